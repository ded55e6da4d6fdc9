"""The build, in folders of its own: what is written, what is refused, what is kept."""

import doctest
import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys
import uuid
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from recattn_mini.learn import lessons

build: ModuleType = lessons.builder()
REPOSITORY = Path(__file__).parents[1]
TINY = """\
# %% [markdown] tags=["question"]
# # Tiny
#
# What is a softmax? 什么是 softmax？

# %%
import os

import matplotlib.pyplot as plt
import numpy as np

import recattn_mini
from recattn_mini.learn import check

# %% tags=["exercise"]
from recattn_mini.attention.softmax import softmax_numpy

# %%
check(softmax_numpy)

# %%
plt.plot([1, 2])
plt.show()

# %%
print("one", flush=True)
print(os.path.dirname(recattn_mini.__path__[0]) == os.environ["PYTHONPATH"])
print("two", os.environ["NO_COLOR"], os.environ["PYTHONHASHSEED"], os.environ["RECATTN_DATA_DIR"] == os.getcwd())

# %% tags=["live"]
print("another number every time:", os.urandom(8))
"""


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A root with one lesson, built once."""
    root = tmp_path_factory.mktemp("root")
    (root / "lessons" / "source").mkdir(parents=True)
    (root / "lessons" / "source" / "01_tiny.py").write_text(TINY, encoding="utf-8")
    build.build(root)
    return root


@pytest.fixture
def root(built: Path, tmp_path: Path) -> Path:
    """A copy of it to change."""
    return Path(shutil.copytree(built, tmp_path / "root"))


@pytest.fixture
def not_run(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Solutions are noted instead of run."""
    ran: list[str] = []

    def note(rendered: dict[str, Any]) -> dict[str, Any]:
        ran.append(rendered["metadata"]["recattn"]["lesson"])
        for n, cell in enumerate(c for c in rendered["cells"] if c["cell_type"] == "code"):
            cell["execution_count"] = n + 1
        return rendered

    monkeypatch.setattr(build, "run", note)
    return ran


def read(path: Path) -> dict[str, Any]:
    return json.loads(path.read_text(encoding="utf-8"))


def edit(path: Path, cell: int, source: str) -> None:
    found = read(path)
    found["cells"][cell]["source"] = source
    path.write_text(json.dumps(found), encoding="utf-8")


def ran_cell(**output: Any) -> dict[str, Any]:
    cell = {"cell_type": "code", "id": "01-00", "execution_count": 1, "outputs": [output] if output else []}
    return {"cells": [{**cell, "source": "x", "metadata": {}}], "metadata": {}}


def test_a_lesson_is_unsolved_and_has_no_outputs(built: Path):
    lesson = read(built / "lessons" / "01_tiny.ipynb")
    code = [cell for cell in lesson["cells"] if cell["cell_type"] == "code"]
    assert all(cell["outputs"] == [] and cell["execution_count"] is None for cell in code)
    assert "".join(code[1]["source"]).endswith('raise NotImplementedError("your turn: softmax_numpy")')
    assert "keepdims" not in json.dumps(lesson)
    assert [cell["metadata"].get("tags") for cell in lesson["cells"][:3]] == [["question"], None, ["exercise"]]
    assert lesson["metadata"]["recattn"]["exercises"] == {"softmax_numpy": "softmax_numpy"}


def test_a_solution_is_solved_and_ran_by_itself(built: Path, data_folder: Path):
    import nbformat

    solution = nbformat.read(built / "solutions" / "01_tiny.ipynb", as_version=4)
    nbformat.validate(solution)
    code = [cell for cell in solution.cells if cell.cell_type == "code"]
    assert "keepdims" in code[1].source
    assert [cell.execution_count for cell in code] == [1, 2, 3, 4, 5, 6]
    assert code[2].outputs[0].text.startswith("✓ softmax_numpy holds")
    assert "image/png" in code[3].outputs[0].data
    [streamed] = code[4].outputs  # in one piece, however it came
    assert streamed.text == "one\nTrue\ntwo 1 0 True\n"
    assert not list(data_folder.iterdir())
    assert "execution" not in code[0].metadata
    assert (code[5].outputs, code[5].metadata["tags"]) == ([], ["live", "nbval-skip"])


@pytest.mark.parametrize(
    ("cell", "message"),
    [("1 / 0", "ZeroDivisionError"), ("print('✗ f: wrong')", "the output holds a check that fails")],
)
def test_a_live_cell_must_be_fit_to_be_stored_all_the_same(tmp_path: Path, cell: str, message: str):
    source = tmp_path / "01_bad.py"
    source.write_text(f'# %% tags=["live"]\n{cell}\n', encoding="utf-8")
    with pytest.raises(build.BuildError, match=message):
        build.run(build.solution(source))


def test_a_solution_with_the_output_of_a_live_cell_is_stale(root: Path):
    path = root / "solutions" / "01_tiny.ipynb"
    found = read(path)
    found["cells"][-1]["outputs"] = [{"output_type": "stream", "name": "stdout", "text": ["0.7"]}]
    path.write_text(json.dumps(found), encoding="utf-8")
    assert list(build.problems(root)) == ["solutions/01_tiny.ipynb: stale, or a cell did not run"]


def test_twice_gives_the_same_bytes(root: Path):
    before = {path: path.read_bytes() for path in root.rglob("*.ipynb")}
    build.build(root, every=True)
    for path in before:
        if path.parent.name == "lessons":
            path.unlink()
    build.build(root)
    assert {path: path.read_bytes() for path in root.rglob("*.ipynb")} == before
    assert len(before) == 2


def test_the_order_in_which_a_cell_was_put_together_does_not_show():
    assert build.as_text({"a": {"b": 1, "c": 2}, "d": 3}) == build.as_text({"d": 3, "a": {"c": 2, "b": 1}})


def test_what_was_built_has_no_problems_and_is_not_built_again(root: Path, not_run: list[str], capsys):
    assert list(build.problems(root)) == []
    build.build(root)
    assert not_run == []
    assert capsys.readouterr().out == ""
    build.build(root, every=True)
    assert not_run == ["01_tiny"]


def test_a_source_that_changed_makes_both_stale(root: Path, not_run: list[str]):
    with (root / "lessons" / "source" / "01_tiny.py").open("a") as source:
        source.write("\n# %% [markdown]\n# More.\n")
    assert [p.split(":")[0] for p in build.problems(root)] == ["lessons/01_tiny.ipynb", "solutions/01_tiny.ipynb"]
    build.build(root)
    assert list(build.problems(root)) == []
    assert not_run == ["01_tiny"]
    assert not (root / "lessons" / "kept").exists()


@pytest.fixture
def with_tables(root: Path) -> Path:
    """A root whose package has a module and a README, with a table that was never written."""
    package = root / "recattn_mini" / "attention"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text('"""Few.\n\nIn the order to read them:\n\n    last   softmax\n"""\n')
    (package / "softmax.py").write_text(
        '"""Softmax: scores become weights.\n\nAsked   "Why?"  Because.\nSource  Bridle 1990. https://a.b/1.\n"""\n'
        'def softmax_numpy(x):\n    """One | two."""\ndef parts(x):\n    """Parts.\n\n    Asked   "Which?"\n    """\n'
    )
    (package / "alibi.py").write_text(
        '"""ALiBi.\n\nAsked   "Slopes?"\nSource  Press 2022.\n"""\nclass ALiBi:\n    """A."""\n'
    )
    (root / "README.md").write_text(
        "# Tiny\n\n<!-- lessons: written by lessons/build.py -->\nold\n<!-- end of lessons -->\nend\n"
    )
    return root


def test_tables_are_written_from_docstrings(with_tables: Path, not_run: list[str]):
    pages = ["recattn_mini/attention/README.md", "README.md"]
    assert list(build.problems(with_tables)) == [f"{page}: stale" for page in pages]
    build.build(with_tables)
    assert list(build.problems(with_tables)) == []
    told = (with_tables / pages[0]).read_text(encoding="utf-8")
    assert told.startswith("# recattn_mini.attention\n\nFew.\n\nGenerated by")
    assert (
        told.index("## Last") < told.index("[`softmax`](softmax.py)") < told.index("## Further") < told.index("ALiBi")
    )
    assert "| Softmax: scores become weights. | Why? | ✎ 01 | [Bridle 1990](https://a.b/1) |\n" in told
    assert "| [`parts`](softmax.py) | Parts. | Which? | – | [Bridle 1990](https://a.b/1) |\n" in told
    listed = (with_tables / pages[1]).read_text(encoding="utf-8")
    assert "old" not in listed
    assert listed.endswith("<!-- end of lessons -->\nend\n")
    assert "(solutions/01_tiny.ipynb)" in listed
    assert "| `softmax_numpy` |\n" in listed


def test_a_fast_form_is_linked_beside_the_plain_one(with_tables: Path):
    fast = with_tables / "recattn_mini" / "attention" / "fast"
    fast.mkdir()
    (fast / "__init__.py").write_text('"""Tuned.\n\nMore."""\n')
    (fast / "softmax.py").touch()
    build.build(with_tables)
    told = (fast.parent / "README.md").read_text(encoding="utf-8")
    assert "[`softmax`](softmax.py) · [fast](fast/softmax.py) |" in told
    assert "[`fast/`](fast): Tuned.\n" in told


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("bare.py", '"""Bare.\n\nSource  Press 2022.\n"""\n', "bare.py: its docstring needs"),
        ("bare.py", '"""Bare.\n\nAsked   "Who?"\nSource  the paper\n"""\n', "bare.py: its docstring needs"),
        (
            "__init__.py",
            '"""Few.\n\nIn the order to read them:\n\n    last  gone, alibi\n"""\n',
            "names gone: no such file",
        ),
        (
            "__init__.py",
            '"""Few.\n\nIn the order to read them:\n\n    last  alibi, alibi\n"""\n',
            "names alibi: no such",
        ),
    ],
)
def test_a_docstring_that_makes_no_table_is_named(with_tables: Path, name: str, text: str, message: str):
    (with_tables / "recattn_mini" / "attention" / name).write_text(text)
    with pytest.raises(build.BuildError, match=message):
        list(build.problems(with_tables))


def test_what_tables_say_of_themselves():
    spec = importlib.util.spec_from_file_location("tables", REPOSITORY / "lessons" / "tables.py")
    tables = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(tables)
    assert doctest.testmod(tables) == (0, 3)


def test_every_problem_is_named(root: Path):
    lesson, solution = root / "lessons" / "01_tiny.ipynb", root / "solutions" / "01_tiny.ipynb"
    unrun = read(solution)
    unrun["cells"][1]["execution_count"] = None
    solution.write_text(json.dumps(unrun), encoding="utf-8")
    lesson.rename(root / "lessons" / "02_gone.ipynb")
    assert list(build.problems(root)) == [
        "lessons/01_tiny.ipynb: missing",
        "solutions/01_tiny.ipynb: stale, or a cell did not run",
        "lessons/02_gone.ipynb: superfluous",
    ]


def test_an_output_that_somebody_else_ran_makes_a_lesson_stale_but_not_edited(root: Path, not_run: list[str]):
    lesson = root / "lessons" / "01_tiny.ipynb"
    found = read(lesson)
    found["cells"][1] |= {"execution_count": 1, "outputs": [{"output_type": "stream", "name": "stdout", "text": "hi"}]}
    found["metadata"]["language_info"] = {"name": "python", "version": "3.12"}
    lesson.write_text(json.dumps(found), encoding="utf-8")
    assert list(build.problems(root)) == ["lessons/01_tiny.ipynb: stale"]
    build.build(root)
    assert list(build.problems(root)) == []
    assert not (root / "lessons" / "kept").exists()


@pytest.mark.parametrize("folder", ["lessons", "solutions"])
def test_what_somebody_wrote_is_kept_every_time(root: Path, folder: str, not_run: list[str], capsys):
    path = root / folder / "01_tiny.ipynb"
    for n in range(3):
        edit(path, 2, f"def softmax_numpy(x): return {n}")
        assert lessons.is_edited(path)
        assert f"{folder}/01_tiny.ipynb: edited" in list(build.problems(root))
        build.build(root)
        assert list(build.problems(root)) == []
    kept = sorted((root / folder / "kept").iterdir(), key=lambda p: p.stat().st_mtime_ns)
    assert [read(p)["cells"][2]["source"][-1] for p in kept] == ["0", "1", "2"]
    told = capsys.readouterr().out
    assert all(str(p) in told for p in kept)


def test_another_kind_of_cell_is_an_edit_too(root: Path):
    lesson = root / "lessons" / "01_tiny.ipynb"
    found = read(lesson)
    found["cells"][0]["cell_type"] = "raw"
    lesson.write_text(json.dumps(found), encoding="utf-8")
    assert lessons.is_edited(lesson)


def test_without_its_metadata_or_unreadable_it_is_somebodys(root: Path, not_run: list[str]):
    lesson = root / "lessons" / "01_tiny.ipynb"
    for content in ('{"cells": [', json.dumps({**read(lesson), "metadata": {}})):
        lesson.write_text(content, encoding="utf-8")
        build.build(root)
    kept = {path.read_text(encoding="utf-8") for path in (root / "lessons" / "kept").iterdir()}
    assert '{"cells": [' in kept
    assert len(kept) == 2
    assert list(build.problems(root)) == []


def test_a_prefix_restricts(root: Path, not_run: list[str]):
    shutil.copy(root / "lessons" / "source" / "01_tiny.py", root / "lessons" / "source" / "02_more.py")
    assert list(build.problems(root, "01")) == []
    assert len(list(build.problems(root))) == 2
    build.build(root, "02")
    assert not_run == ["02_more"]
    with pytest.raises(build.BuildError, match="no lesson begins with '07'"):
        build.build(root, "07")


@pytest.mark.parametrize(
    ("cell", "message"),
    [
        ("import numpy", "an exercise is one `from recattn_mini"),
        ("from recattn_mini.attention.softmax import softmax, softmax_numpy", "an exercise is one"),
        ("from recattn_mini.attention.softmax import softmax as s", "an exercise is one"),
        ("from recattn_mini.attention.softmax import softmax\nx = 1", "an exercise is one"),
        ("from recattn_mini import (", "an exercise is one"),
        ("from recattn_mini.attention.softmax import nothing", "no spec in recattn_mini/exercises is about nothing"),
        ("from recattn_mini.attention.masks import softmax", "takes softmax from recattn_mini.attention.softmax"),
    ],
)
def test_an_exercise_cell_imports_one_answer(tmp_path: Path, cell: str, message: str):
    source = tmp_path / "01_bad.py"
    source.write_text(f'# %%\n1\n\n# %% tags=["exercise"]\n{cell}\n', encoding="utf-8")
    with pytest.raises(build.BuildError, match=message) as raised:
        build.lesson(source)
    assert "01_bad.py, cell 2: " in str(raised.value)


@pytest.mark.parametrize(
    ("output", "fault"),
    [
        ({"output_type": "stream", "name": "stdout", "text": "fine\n✗ f: wrong"}, "a check that fails: ✗ f: wrong"),
        ({"output_type": "stream", "name": "stdout", "text": ["f at 0x7f31c", "d"]}, "the address of an object"),
        ({"output_type": "stream", "name": "stdout", "text": "in /home/me/x.py"}, "a path of this machine"),
        ({"output_type": "stream", "name": "stdout", "text": r"C:\Users\me"}, "a path of this machine"),
        ({"output_type": "stream", "name": "stdout", "text": str(REPOSITORY / "x")}, "a path of this machine"),
        ({"output_type": "stream", "name": "stderr", "text": "50%"}, "01-00: stderr: 50%"),
        (
            {"output_type": "execute_result", "data": {"text/plain": "<Figure size 640x480>"}},
            "a figure that is not shown",
        ),
        ({"output_type": "execute_result", "data": {"text/html": "<b id=0x7f31cd>"}}, "the address of an object"),
        ({"output_type": "error", "ename": "ValueError", "evalue": "no", "traceback": []}, "01-00: ValueError: no"),
    ],
)
def test_what_may_not_be_stored(output: dict[str, Any], fault: str):
    [found] = build.faults(ran_cell(**output))
    assert fault in found


def test_a_cell_that_did_not_run_is_a_fault():
    notebook = ran_cell()
    assert list(build.faults(notebook)) == []
    notebook["cells"][0]["execution_count"] = None
    assert list(build.faults(notebook)) == ["01-00: did not run"]


@pytest.mark.parametrize("text", ["0x1F", "https://example.org/home/x", "yes/no/usr/x", "a: b\\c", "3.0"])
def test_what_may_be_stored(text: str):
    assert list(build.faults(ran_cell(output_type="stream", name="stdout", text=text))) == []
    shown = {"image/png": "0x7f31cd/home/", "text/plain": "<Figure size 640x480>"}
    assert list(build.faults(ran_cell(output_type="display_data", data=shown))) == []


@pytest.mark.parametrize(
    ("cell", "message"),
    [
        ("1 / 0", r"01_bad: (.|\n)*1 / 0(.|\n)*ZeroDivisionError"),
        ("print('✗ f: wrong')", "print-f-wrong-[0-9a-f]{8}: the output holds a check that fails"),
    ],
)
def test_a_solution_that_is_unfit_is_not_written(tmp_path: Path, cell: str, message: str):
    source = tmp_path / "lessons" / "source" / "01_bad.py"
    source.parent.mkdir(parents=True)
    source.write_text(f"# %%\n{cell}\n", encoding="utf-8")
    with pytest.raises(build.BuildError, match=message):
        build.build(tmp_path)
    assert not (tmp_path / "solutions" / "01_bad.ipynb").exists()


def test_the_command_line_checks(root: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(build, "ROOT", root)
    monkeypatch.setattr(sys, "argv", ["build.py", "--check"])
    build.main()
    edit(root / "lessons" / "01_tiny.ipynb", 0, "mine")
    with pytest.raises(SystemExit) as raised:
        build.main()
    assert raised.value.code == "lessons/01_tiny.ipynb: edited\nrun: python lessons/build.py"
    assert read(root / "lessons" / "01_tiny.ipynb")["cells"][0]["source"] == "mine"


def test_rendering_imports_nothing_heavy(built: Path):
    code = (
        "import sys; from pathlib import Path; from recattn_mini.learn.lessons import builder;"
        "builder().lesson(Path(sys.argv[1])); builder().solution(Path(sys.argv[1]));"
        "sys.exit(', '.join({'torch', 'numpy', 'nbclient', 'click', 'filelock'} & set(sys.modules)) or None)"
    )
    source = built / "lessons" / "source" / "01_tiny.py"
    ran = subprocess.run([sys.executable, "-c", code, str(source)], cwd=REPOSITORY, capture_output=True, text=True)
    assert (ran.returncode, ran.stderr) == (0, "")


def test_the_wheel_holds_lessons_as_the_sources_say(root: Path):
    pytest.importorskip("hatchling")
    shutil.copytree(REPOSITORY / "recattn_mini", root / "recattn_mini", ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("build.py", "tables.py", "wheel.py"):
        shutil.copy(REPOSITORY / "lessons" / name, root / "lessons" / name)
    for name in ("pyproject.toml", "LICENSE"):
        shutil.copy(REPOSITORY / name, root / name)
    (root / "README.md").touch()
    edit(root / "lessons" / "01_tiny.ipynb", 2, "def softmax_numpy(x): return 'a learner wrote this'")

    def wheel() -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", "out"]
        alone = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
        return subprocess.run(command, cwd=root, env=alone, capture_output=True, text=True)

    assert (ran := wheel()).returncode == 0, ran.stderr
    [archive] = (root / "out").iterdir()
    shutil.unpack_archive(archive, root / "unpacked", "zip")
    inside = root / "unpacked" / "recattn_mini"
    fresh = build.lesson(root / "lessons" / "source" / "01_tiny.py")
    assert (inside / "_lessons" / "01_tiny.ipynb").read_text(encoding="utf-8") == fresh
    solution = (root / "solutions" / "01_tiny.ipynb").read_bytes()
    assert (inside / "_solutions" / "01_tiny.ipynb").read_bytes() == solution
    assert len(list((root / "unpacked").rglob("*.ipynb"))) == 2
    recorded = {path.name: path.read_bytes() for path in (inside / "data" / "recorded").glob("*.json")}
    assert recorded == {p.name: p.read_bytes() for p in REPOSITORY.glob("recattn_mini/data/recorded/*.json")} != {}

    (root / "solutions" / "01_tiny.ipynb").unlink()
    ran = wheel()
    assert ran.returncode != 0
    assert "solutions/01_tiny.ipynb: missing\nrun: python lessons/build.py" in ran.stderr


def ids(root: Path, source: str) -> list[str]:
    path = root / "01_ids.py"
    path.write_text(source, encoding="utf-8")
    return [cell["id"] for cell in json.loads(build.lesson(path))["cells"]]


def test_a_cell_that_is_put_in_changes_no_other_cells_id(tmp_path: Path):
    before = ids(tmp_path, TINY)
    assert before[2:4] == ["softmax_numpy", "check-softmax_numpy"]
    after = ids(tmp_path, TINY.replace("# %%\nimport os", "# %%\nprint('new')\n\n# %%\nimport os"))
    assert [told for told in after if told not in before] == [after[1]]
    assert [told for told in after if told in before] == before
    changed = ids(tmp_path, TINY.replace("plt.plot([1, 2])", "plt.plot([1, 3])"))
    assert [n for n, told in enumerate(changed) if told not in before] == [4]


def test_every_id_is_valid_and_alone(tmp_path: Path):
    cells = ["print(1)", "print(1)", "print(1)", "check(x)", "check(x)", "", "# 中文", f"print('{'long ' * 30}')"]
    every = [ids(tmp_path, "\n\n".join(f"# %%\n{cell}" for cell in cells))]
    every += [[cell["id"] for cell in json.loads(lessons.fresh(name))["cells"]] for name in lessons.lesson_names()]
    for found in every:
        assert len(found) == len(set(found))
        assert all(re.fullmatch("[a-zA-Z0-9_-]{1,64}", told) for told in found)
        assert all(lessons.is_given({"id": told}) for told in found)
    assert not any(lessons.is_given({"id": told}) for told in (uuid.uuid4().hex[:8], str(uuid.uuid4())))


def test_a_notebook_says_that_it_is_generated(built: Path):
    for folder in ("lessons", "solutions"):
        told = read(built / folder / "01_tiny.ipynb")["metadata"]["recattn"]["generated"]
        assert told.startswith("from lessons/source/01_tiny.py by lessons/build.py")
    marked = ["git", "check-attr", "linguist-generated", "lessons/01_tiny.ipynb", "solutions/01_tiny.ipynb"]
    if (REPOSITORY / ".git").exists():
        told = subprocess.run(marked, cwd=REPOSITORY, capture_output=True, text=True).stdout
        assert told.count("linguist-generated: set") == 2
