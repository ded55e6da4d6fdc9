"""Build lessons/*.ipynb (unsolved) and solutions/*.ipynb (solved, run) from lessons/source/*.py, and READMEs' tables.

A source is a percent script that runs as it is. A cell tagged "exercise" imports one answer of the library; the lesson
shows its signature and docstring, the solution its source. So no answer is written down twice.

A cell tagged "live" trains: what it prints is another number on another machine. It is run, and nothing of it is
stored; nbval skips it, no other cell needs it, and prose relies on `recattn_mini.data.recorded` instead.

    python lessons/build.py            write what is stale
    python lessons/build.py 01         the same, of lessons whose name begins so
    python lessons/build.py --all      run every solution again, whether its source has changed or not
    python lessons/build.py --check    write nothing; name what is stale, edited, missing or superfluous
"""

import argparse
import ast
import itertools
import json
import os
import re
import runpy
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import jupytext  # type: ignore[import-untyped]

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # the package beside this file, whichever is installed

from recattn_mini.exercises import answer_names, answer_source, exercise_of
from recattn_mini.exercises import facts as exercise_facts
from recattn_mini.learn import files, lessons, notebook

ROOT = Path(__file__).resolve().parents[1]
SECONDS_A_CELL = 300
STEADY = {
    "NO_COLOR": "1",
    "PYTHONHASHSEED": "0",
    "OMP_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    "TQDM_DISABLE": "1",
}
HERE = [re.escape(str(p)) for p in (ROOT, Path(tempfile.gettempdir()), Path.home()) if len(p.parts) > 1]
PATHS = [r"(?<![\w/.])/(home|Users|root|tmp|usr|var|opt|mnt)/", r"\b[A-Z]:\\", "site-packages", *HERE]
UNFIT = {
    "✗": "a check that fails",
    "^<Figure": "a figure that is not shown",
    r"\b0x[0-9a-fA-F]{6,}": "the address of an object",
    "|".join(PATHS): "a path of this machine",
}


class BuildError(Exception):
    """What is wrong with a lesson, for the one who writes it."""


def sources(root: Path, prefix: str = "") -> list[Path]:
    """The sources of all lessons, or of those whose name begins with `prefix`."""
    found = sorted((root / "lessons" / "source").glob(f"{prefix}*.py"))
    if prefix and not found:
        raise BuildError(f"no lesson begins with {prefix!r} in {root / 'lessons' / 'source'}")
    return found


def lesson(source: Path) -> str:
    """The text of the unsolved notebook."""
    return as_text(_render(source, notebook.stub))


def solution(source: Path) -> dict[str, Any]:
    """The solved notebook, before it is run."""
    return _render(source, notebook.solved)


def as_text(rendered: dict[str, Any]) -> str:
    """A notebook as it is stored: the same bytes whenever its content is the same."""
    return json.dumps(rendered, ensure_ascii=False, indent=1, sort_keys=True) + "\n"


def run(rendered: dict[str, Any]) -> dict[str, Any]:
    """A notebook with its outputs, run by a clean kernel in an empty folder."""
    import nbformat
    from nbclient import NotebookClient
    from nbclient.exceptions import CellExecutionError

    nb = nbformat.reads(as_text(rendered), as_version=4)
    with tempfile.TemporaryDirectory() as folder:
        own = {"RECATTN_DATA_DIR": folder, "IPYTHONDIR": folder, "PYTHONPATH": str(ROOT)}
        client = NotebookClient(nb, timeout=SECONDS_A_CELL, record_timing=False, coalesce_streams=True)
        try:
            client.execute(cwd=folder, env={**os.environ, **STEADY, **own})
        except CellExecutionError as error:
            raise BuildError(f"{rendered['metadata']['recattn']['lesson']}: {error}") from None
    ran = {**json.loads(nbformat.writes(nb)), "metadata": rendered["metadata"]}
    if found := list(faults(ran)):
        raise BuildError("\n".join(found))
    for cell in _live_cells(ran):
        cell["outputs"] = []
    return ran


def faults(ran: dict[str, Any]) -> Iterator[str]:
    """What must not be stored in a solution, by cell."""
    for _, cell in notebook.code_cells(ran):
        if cell["execution_count"] is None:
            yield f"{cell['id']}: did not run"
        for output in cell["outputs"]:
            if output["output_type"] == "error" or output.get("name") == "stderr":
                told = output.get("evalue") or "".join(output.get("text", ""))
                yield f"{cell['id']}: {output.get('ename', 'stderr')}: {told.strip()}"
                continue
            data = {"text/plain": output.get("text", ""), **output.get("data", {})}
            if "image/png" in data:
                del data["text/plain"]  # a figure's name is no harm where the figure is shown
            shown = "\n".join("".join(v) for kind, v in data.items() if kind.startswith("text/"))
            for pattern, name in UNFIT.items():
                if match := re.search(pattern, shown, re.MULTILINE):
                    line = shown[shown.rfind("\n", 0, match.start()) + 1 :].splitlines()[0]
                    yield f"{cell['id']}: the output holds {name}: {line.strip()}"


def build(root: Path, prefix: str = "", every: bool = False) -> None:
    """Write the tables and lessons, and run the solutions, that are stale or missing (or `every` one)."""
    for path, text in _stale_tables(root):
        files.write(path, text)
        print(f"wrote {path}")
    for source in sources(root, prefix):
        path = root / "lessons" / f"{source.stem}.ipynb"
        if not path.exists() or path.read_text(encoding="utf-8") != lesson(source):
            _replace(path, lesson(source))
        path, rendered = root / "solutions" / f"{source.stem}.ipynb", solution(source)
        if every or not path.exists() or not _is_run_of(path, rendered):
            _replace(path, as_text(run(rendered)))
    for path in _superfluous(root, prefix):
        print(f"{path.relative_to(root)} has no source: remove it, or move it elsewhere")


def problems(root: Path, prefix: str = "") -> Iterator[str]:
    """What a build would write or complain of, one line a file."""
    for source in sources(root, prefix):
        for folder in ("lessons", "solutions"):
            path = root / folder / f"{source.stem}.ipynb"
            if not path.exists():
                yield f"{path.relative_to(root)}: missing"
            elif lessons.is_edited(path):
                yield f"{path.relative_to(root)}: edited"
            elif folder == "lessons" and path.read_text(encoding="utf-8") != lesson(source):
                yield f"{path.relative_to(root)}: stale"
            elif folder == "solutions" and not _is_run_of(path, solution(source)):
                yield f"{path.relative_to(root)}: stale, or a cell did not run"
    yield from (f"{path.relative_to(root)}: stale" for path, _ in _stale_tables(root))
    yield from (f"{path.relative_to(root)}: superfluous" for path in _superfluous(root, prefix))


def _stale_tables(root: Path) -> Iterator[tuple[Path, str]]:
    """Each README whose tables are not what docstrings and lessons say, and what it should hold."""
    pages = runpy.run_path(str(Path(__file__).with_name("tables.py")))["pages"]  # lessons/ is no package to import from
    try:
        for path, text in pages(root).items():
            if not path.exists() or path.read_text(encoding="utf-8") != text:
                yield path, text
    except ValueError as error:
        raise BuildError(str(error)) from None


def _render(source: Path, answer: Callable[[str, str], str]) -> dict[str, Any]:
    cells, exercises, built = list[dict[str, Any]](), dict[str, str](), dict[str, str]()
    for n, cell in enumerate(jupytext.read(source, fmt="py:percent").cells, 1):
        told = {key: cell.metadata[key] for key in ("jupyter", "tags") if key in cell.metadata}
        if "live" in told.get("tags", []):
            told["tags"] = [*told["tags"], "nbval-skip"]
        new = {"cell_type": cell.cell_type, "metadata": told, "source": cell.source}
        # nbformat's own ids are random, and a number would change with every cell that is put in above
        if "exercise" in told.get("tags", []):
            name = _asked(cell.source, f"{source.name}, cell {n}")
            new |= {"id": _free(name, cells), "source": answer(answer_source(name), name)}
            exercises[new["id"]], built[name] = name, lessons.digest(new["source"])
        else:
            new["id"] = _free(lessons.cell_id(cell.cell_type, cell.source), cells)
        cells.append(new)
    facts = {
        "lesson": source.stem,
        "generated": f"from lessons/source/{source.name} by lessons/build.py: edit that; answers go into a copy",
        "exercises": exercises,
        "built": built,
        "sha256": lessons.fingerprint({"cells": cells}),
    }
    for new in cells:
        new["source"] = new["source"].splitlines(keepends=True)
        if new["cell_type"] == "code":
            new |= {"execution_count": None, "outputs": []}
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    metadata = {"kernelspec": kernel, "language_info": {"name": "python"}, "recattn": facts}
    return {"cells": cells, "metadata": metadata, "nbformat": 4, "nbformat_minor": 5}


def _free(cell_id: str, cells: list[dict[str, Any]]) -> str:
    """An id of its own, for cells of equal content too."""
    taken = {cell["id"] for cell in cells}
    return next(i for n in itertools.count(1) if (i := cell_id if n == 1 else f"{cell_id}-{n}") not in taken)


def _asked(source: str, where: str) -> str:
    """The answer that an exercise cell imports."""
    try:
        [node] = ast.parse(source).body
        assert isinstance(node, ast.ImportFrom)
        [alias] = node.names
        assert alias.asname is None
    except (SyntaxError, ValueError, AssertionError):
        raise BuildError(f"{where}: an exercise is one `from recattn_mini.… import name`, got {source!r}") from None
    if alias.name not in answer_names():
        raise BuildError(f"{where}: no spec in recattn_mini/exercises is about {alias.name}")
    if node.module != (holder := exercise_facts(exercise_of(alias.name)).answers[alias.name]):
        raise BuildError(f"{where}: the spec takes {alias.name} from {holder}, the lesson from {node.module}")
    return alias.name


def _is_run_of(path: Path, rendered: dict[str, Any]) -> bool:
    """Whether a stored solution is `rendered` with all its cells run, and nothing of the live ones stored."""
    stored = json.loads(path.read_text(encoding="utf-8"))
    code = [cell for cell in stored["cells"] if cell["cell_type"] == "code"]
    as_run = all(cell["execution_count"] is not None for cell in code)
    as_run &= not any(cell["outputs"] for cell in _live_cells(stored))
    for cell in code:
        cell |= {"execution_count": None, "outputs": []}
    return as_run and stored == rendered


def _live_cells(solution: dict[str, Any]) -> list[dict[str, Any]]:
    """The cells whose output is another one on another machine."""
    return [cell for _, cell in notebook.code_cells(solution) if "live" in cell["metadata"].get("tags", [])]


def _replace(path: Path, text: str) -> None:
    path.parent.mkdir(exist_ok=True)
    if path.exists() and lessons.is_edited(path):
        print(f"{path} was edited: what it held is kept as {files.keep(path)}")
    files.write(path, text)
    print(f"wrote {path}")


def _superfluous(root: Path, prefix: str) -> list[Path]:
    known = {source.stem for source in sources(root)}
    found = [p for folder in ("lessons", "solutions") for p in sorted((root / folder).glob(f"{prefix}*.ipynb"))]
    return [path for path in found if path.stem not in known]


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("prefix", nargs="?", default="", help="only lessons whose name begins so, as in 01")
    how = parser.add_mutually_exclusive_group()
    how.add_argument("--all", action="store_true", help="run every solution again")
    how.add_argument("--check", action="store_true", help="write nothing, name what is not as built")
    options = parser.parse_args()
    try:
        if not options.check:
            build(ROOT, options.prefix, options.all)
        elif found := list(problems(ROOT, options.prefix)):
            sys.exit("\n".join([*found, "run: python lessons/build.py"]))
    except BuildError as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main()
