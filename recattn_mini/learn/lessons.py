"""Where the lessons come from, what one asks, and whether somebody wrote in it.

In a clone a fresh lesson is rendered from lessons/source; a wheel carries them as they were when it was built. What a
lesson's `recattn` metadata holds is written by lessons/build.py. As text, without torch: see `notebook`.
"""

import hashlib
import importlib.util
import json
import re
from collections.abc import Collection
from pathlib import Path
from types import ModuleType
from typing import Any

from recattn_mini.exercises import answer_names
from recattn_mini.learn import notebook

PACKAGE = Path(__file__).parents[1]
FIRST_EDITION = r"\d\d_\w+-\d+"  # how it named its cells: 01_what_is_attention-07


def clone() -> Path | None:
    """The clone that this package runs from; None where it was installed from a wheel."""
    return PACKAGE.parent if (PACKAGE.parent / "lessons" / "source").is_dir() else None


def lesson_names() -> list[str]:
    """Every lesson there is, in order: `01_what_is_attention`, …"""
    root = clone()
    found = (root / "lessons" / "source").glob("[0-9]*.py") if root else (PACKAGE / "_lessons").glob("*.ipynb")
    return sorted(path.stem for path in found)


def fresh(name: str) -> str:
    """The text of a lesson in which nothing is answered yet."""
    if root := clone():
        return builder().lesson(root / "lessons" / "source" / f"{name}.py")
    return (PACKAGE / "_lessons" / f"{name}.ipynb").read_text(encoding="utf-8")


def builder() -> ModuleType:
    """lessons/build.py, which stands beside this package and not in it."""
    spec = importlib.util.spec_from_file_location("recattn_build", PACKAGE.parent / "lessons" / "build.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def fingerprint(lesson: dict[str, Any]) -> str:
    """What changes with every edit of a cell, and with nothing that Jupyter does by itself."""
    cells = [[cell["cell_type"], "".join(cell["source"])] for cell in lesson["cells"]]
    return hashlib.sha256(json.dumps(cells).encode()).hexdigest()


def digest(text: str) -> str:
    """Eight digits that change with every edit of a cell."""
    return hashlib.sha256(text.encode()).hexdigest()[:8]


def cell_id(kind: str, source: str) -> str:
    """What the build calls a cell that is no exercise: by its first words and its content.

    >>> cell_id("code", "check(softmax_numpy)"), cell_id("markdown", "## Why √d?\\n\\nLet")
    ('check-softmax_numpy', 'why-d-e105e27b')
    """
    if checked := re.fullmatch(r"check\((\w+)\)", source):
        return f"check-{checked[1]}"
    words = re.findall(r"[a-z0-9]+", source.partition("\n")[0].lower())
    return f"{'-'.join(words)[:40].strip('-') or kind}-{digest(kind + source)}"


def is_given(cell: dict[str, Any]) -> bool:
    """Whether the build made this cell, by its id: Jupyter's own look otherwise. The first edition numbered them."""
    told = str(cell.get("id", ""))
    return (
        told in answer_names()
        or re.fullmatch(rf"{FIRST_EDITION}|check-\w+(-\d+)?|.*-[0-9a-f]{{8}}(-\d+)?", told) is not None
    )


def is_changed(cell: dict[str, Any]) -> bool:
    """Whether a given cell that is no exercise holds something else than its id says; numbers say nothing."""
    told, built = str(cell.get("id", "")), cell_id(cell["cell_type"], "".join(cell["source"]))
    if re.fullmatch(FIRST_EDITION, told):
        return False
    return told != built and re.fullmatch(rf"{re.escape(built)}-\d+", told) is None


def is_edited(path: Path) -> bool:
    """Whether a notebook holds anything but what was built; one that cannot be read is somebody's too."""
    try:
        found = notebook.read(path)
    except ValueError:
        return True
    return build_metadata(found).get("sha256") != fingerprint(found)


def build_metadata(lesson: dict[str, Any]) -> dict[str, Any]:
    """What the build wrote down of a lesson: its name, its fingerprint, its exercises by the id of their cells."""
    found = lesson.get("metadata", {}).get("recattn", {})
    return found if isinstance(found, dict) else {}


def exercises(lesson: dict[str, Any]) -> dict[str, str]:
    """The id of the cell that asks for it, by answer, in their order; where a tool dropped that, what is defined."""
    asked = build_metadata(lesson).get("exercises")
    if asked and isinstance(asked, dict) and all(isinstance(answer, str) for answer in asked.values()):
        place = {str(cell.get("id")): n for n, cell in enumerate(lesson["cells"])}
        return {asked[cell]: cell for cell in sorted(asked, key=lambda cell: place.get(cell, len(place)))}
    found, broken = notebook.program(lesson, "lesson")
    return dict.fromkeys([*notebook.answers_in(found), *(a for cell in broken for a in cell.answers)], "")


def lost(lesson: dict[str, Any], name: str, defined: Collection[str]) -> dict[str, str]:
    """The answers that a lesson asks for and no cell defines, each with how to get its question back."""
    ids = {cell.get("id") for _, cell in notebook.code_cells(lesson)}
    return {
        answer: f"its cell defines no {answer}: `recattn reset {answer}` makes it the question again"
        if cell in ids
        else f"its cell is gone: `recattn reset --lesson {name}` keeps this lesson aside and writes a fresh one"
        for answer, cell in exercises(lesson).items()
        if answer in answer_names() and answer not in defined
    }
