"""What a learner wrote in one notebook, put into another: cell by cell, as dicts; no file is read or written.

An answer goes into the cell that asks for it, whatever else it holds. A cell of the learner's own goes behind the cell
that it stood behind. A cell of the lesson that the learner changed stays changed where the other notebook has it too.
What has no place is handed back.
"""

import ast
import builtins
import copy
import uuid
from collections import defaultdict
from dataclasses import dataclass, field
from typing import Any

from recattn_mini.exercises import answer_names
from recattn_mini.learn import lessons, notebook

Cell = dict[str, Any]


@dataclass
class Carried:
    """The other notebook with what was put into it."""

    notebook: dict[str, Any]
    answers: list[str] = field(default_factory=list)
    reworded: list[str] = field(default_factory=list)  # of these, the ones whose question reads otherwise now
    others: int = 0  # cells that were put in besides
    left: list[Cell] = field(default_factory=list)  # cells without a place

    @property
    def is_anything(self) -> bool:
        """Whether anything was put in."""
        return bool(self.answers or self.others)


def over(old: dict[str, Any], new: dict[str, Any]) -> Carried:
    """Put what a learner wrote in `old` into a copy of `new`; what the learner wrote there already stays."""
    carried = Carried(copy.deepcopy(new))
    cells, asked, asked_now = carried.notebook["cells"], asked_in(old), asked_in(new)
    slots = {answer: n for n, answer in asked_now.items()}
    answered = {a for a, n in slots.items() if not is_question(cells[n], a, new)}
    answered |= {a for n, cell in enumerate(cells) if n not in asked_now for a in defined(cell)}
    ids = {_id(cell): n for n, cell in enumerate(cells)}
    contents = {_content(cell): n for n, cell in reversed(list(enumerate(cells)))}
    ids_are_known = any(map(lessons.is_given, old["cells"]))

    places: dict[int, int] = {}  # where a cell of `old` stands in `new`
    gone, own, seen = list[int](), list[int](), set[str]()
    for n, cell in enumerate(old["cells"]):
        is_copy, answer = bool(_id(cell)) and _id(cell) in seen, asked.get(n)
        seen.add(_id(cell))
        if answer and not is_copy:
            place, is_theirs = slots.get(answer), not is_question(cell, answer, old)
        elif _content(cell) in contents:
            place, is_theirs = contents[_content(cell)], False
        elif lessons.is_given(cell) and not is_copy:
            place, is_theirs = ids.get(_id(cell)), lessons.is_changed(cell)
        elif ids_are_known and _content(cell)[1].strip() and not answered.intersection(defined(cell)):
            own.append(n)
            continue
        else:
            place, is_theirs = None, bool(_content(cell)[1].strip())
        if place is None:
            gone.append(n)
        else:
            places[n] = place
        if is_theirs and not (place is not None and _put(carried, place, cell, answer)):
            carried.left.append(cell)

    needed = _needed(old["cells"], gone, [*cells, *(old["cells"][n] for n in own)])
    carried.left = [cell for cell in carried.left if all(cell is not old["cells"][n] for n in needed)]
    carried.others += len(own) + len(needed)
    behind = defaultdict[int, list[Cell]](list)
    for n in sorted([*own, *needed]):
        cell = copy.deepcopy(old["cells"][n])
        if not _id(cell) or _id(cell) in ids:
            cell["id"] = uuid.uuid4().hex[:8]  # as Jupyter makes one
        ids[_id(cell)] = n
        behind[_place(n, old["cells"], asked, places, slots)].append(cell)
    carried.notebook["cells"] = [*behind[-1], *(c for n, cell in enumerate(cells) for c in (cell, *behind[n]))]
    return carried


def asked_in(lesson: dict[str, Any]) -> dict[int, str]:
    """The answer that a cell asks for, by the cell's number from 0; where a tool dropped ids, by what it defines."""
    told = lessons.build_metadata(lesson).get("exercises")
    by_id = {name: name for name in answer_names()} | (told if isinstance(told, dict) else {})
    ids_are_known = any(map(lessons.is_given, lesson["cells"]))
    found = dict[int, str]()
    for n, cell in enumerate(lesson["cells"]):
        if _id(cell) in by_id:
            found[n] = by_id[_id(cell)]
        elif (not ids_are_known or (not told and lessons.is_given(cell))) and (answers := defined(cell)):
            found[n] = answers[0]
    return found


def defined(cell: Cell) -> list[str]:
    """The answers that a cell defines, or means to where it does not parse."""
    if cell["cell_type"] != "code":
        return []
    found, broken = notebook.program({"cells": [cell]}, "lesson")
    return [*notebook.answers_in(found), *(answer for bad in broken for answer in bad.answers)]


def is_question(cell: Cell, answer: str, lesson: dict[str, Any]) -> bool:
    """Whether the cell of an exercise holds nothing of the learner's."""
    source, built = "".join(cell["source"]), lessons.build_metadata(lesson).get("built")
    if not source.strip():
        return True
    if isinstance(built, dict) and answer in built:
        return lessons.digest(source) == built[answer]
    return _is_bare(source, answer)


def _is_bare(source: str, answer: str) -> bool:
    """The same for the first edition, which wrote no digests down: docstrings over `raise`, and not a line besides."""
    try:
        [node] = ast.parse(source).body
    except (SyntaxError, ValueError):
        return False
    if getattr(node, "name", None) != answer or node.lineno != 1 or node.end_lineno != len(source.splitlines()):
        return False
    if isinstance(node, ast.ClassDef):
        return all(_is_open(n) for n in node.body if isinstance(n, ast.FunctionDef) and n.name != "__init__")
    return _is_open(node)


def _is_open(function: Any) -> bool:
    if len(function.body) != 2 or ast.get_docstring(function) is None:
        return False
    docstring, last = function.body
    return last.lineno == docstring.end_lineno + 1 and f"NotImplementedError('{notebook.YOUR_TURN}" in ast.unparse(last)


def _put(carried: Carried, n: int, cell: Cell, answer: str | None) -> bool:
    """Put what a learner wrote into cell `n`, unless something of the learner's stands there."""
    there = carried.notebook["cells"][n]
    if _content(there) == _content(cell):
        return True
    if lessons.is_changed(there) if answer is None else not is_question(there, answer, carried.notebook):
        return False
    if answer is None:
        carried.others += 1
    else:
        before, now = _docstrings(cell, answer), _docstrings(there, answer)
        carried.reworded += [answer] * any(before[name] != now[name] for name in before.keys() & now.keys())
        carried.answers.append(answer)
    its = {"id": there["id"], "metadata": {**cell.get("metadata", {}), **there.get("metadata", {})}}
    there.clear()
    there.update({**copy.deepcopy(cell), **its})
    return True


def _id(cell: Cell) -> str:
    """Its id; tools that drop it exist."""
    return str(cell.get("id") or "")


def _content(cell: Cell) -> tuple[str, str]:
    return cell["cell_type"], "".join(cell["source"])


def _docstrings(cell: Cell, answer: str) -> dict[str, str]:
    """The question as a cell states it: of the function, or of the class and its methods."""
    found, _ = notebook.program({"cells": [cell]}, "lesson")
    nodes = [s.node for s in found if isinstance(s.node, (ast.FunctionDef, ast.ClassDef)) and s.node.name == answer]
    methods = [
        n for node in nodes if isinstance(node, ast.ClassDef) for n in node.body if isinstance(n, ast.FunctionDef)
    ]
    return {n.name: told for n in [*nodes, *methods] if (told := ast.get_docstring(n))}


def _needed(cells: list[Cell], gone: list[int], there: list[Cell]) -> list[int]:
    """The cells of the old lesson, gone from the new one, which define a name that would be missing in it."""
    found, _ = notebook.program({"cells": there}, "lesson")
    has = frozenset(dir(builtins)).union(*(s.binds for s in found))
    missing = frozenset[str]().union(*(s.uses for s in found)) - has
    chosen = list[int]()
    for n in gone:
        program, _ = notebook.program({"cells": [cells[n]]}, "lesson")
        if any(missing & s.binds for s in program):
            chosen.append(n)
    if not chosen:
        return []
    left = [n for n in gone if n not in chosen]
    return chosen + _needed(cells, left, [*there, *(cells[n] for n in chosen)])


def _place(n: int, cells: list[Cell], asked: dict[int, str], places: dict[int, int], slots: dict[str, int]) -> int:
    """Behind which cell of the new lesson cell `n` goes: between its neighbours; which definition counts stays so."""
    above = next((m for m in range(n - 1, -1, -1) if m in places), None)
    below = next((m for m in range(n + 1, len(cells)) if m in places), None)
    place = -1 if above is None else places[above]
    # cells between it and the neighbour above may have changed, not gone: then it goes behind what they are now
    is_apart = any(lessons.is_given(cells[m]) for m in range(0 if above is None else above + 1, n + 1))
    if below is not None and (is_apart or places[below] <= place):
        place = places[below] - 1
    for answer in set(defined(cells[n])) & slots.keys():
        if any(m > n for m, other in asked.items() if other == answer):
            place = min(place, slots[answer] - 1)
        else:
            place = max(place, slots[answer])
    return place
