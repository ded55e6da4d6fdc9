"""Every lesson as its reader meets it: unsolved, solved, without the data; and what nbval does not ask of a solution.

Lessons are built from their sources here, so that what a learner wrote into lessons/ turns nothing red.
"""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest
import torch
from notebooks import ROOT, code, dependent, run, said

from recattn_mini.exercises import answer_names
from recattn_mini.learn import lessons, notebook

NAMES = lessons.lesson_names()
SOURCES = ROOT / "lessons" / "source"


def lesson(name: str) -> nbformat.NotebookNode:
    return nbformat.reads(lessons.fresh(name), as_version=4)


def solution(name: str) -> nbformat.NotebookNode:
    return nbformat.read(ROOT / "solutions" / f"{name}.ipynb", as_version=4)


@pytest.mark.parametrize("name", NAMES)
def test_unsolved_it_runs_from_top_to_bottom(name: str, tmp_path: Path):
    """Only the cells that differ from the solution's, all of which nbval runs: stubs, and what uses their names."""
    asked = lesson(name)
    nb = run(dependent(asked, notebook.YOUR_TURN), tmp_path)
    checks = [cell for cell in code(nb) if cell.source.startswith("check(")]
    assert len(checks) == len(lessons.exercises(asked)) >= 3
    for cell in checks:
        assert said(cell).startswith("○"), said(cell)
        assert "not attempted" in said(cell)
    assert not [said(cell) for cell in code(nb) if "Traceback" in said(cell)]
    assert not (tmp_path / "progress.json").exists(), "nobody tried anything"


@pytest.mark.parametrize("name", NAMES)
def test_what_is_not_asked_is_the_same_in_the_solution(name: str):
    """So that it need not be run twice."""
    stubs = set(lessons.exercises(lesson(name)).values())
    unsolved, solved = (
        {cell["id"]: "".join(cell["source"]) for cell in rendered["cells"] if cell["id"] not in stubs}
        for rendered in (lesson(name), lessons.builder().solution(SOURCES / f"{name}.py"))
    )
    assert unsolved == solved


@pytest.mark.parametrize("name", NAMES)
def test_without_data_it_says_how_to_get_it_and_goes_on(name: str, tmp_path: Path):
    """Only the cells that differ from the run with data: those that ask for it, and those that use what they define.

    A cache that cannot be written is the quickest way to have none: pip is not even asked.
    """
    (cache := tmp_path / "cache").touch()
    nb = run(dependent(lesson(name), "movielens.load()"), tmp_path, RECATTN_CACHE_DIR=str(cache))
    told = [said(cell) for cell in code(nb) if "recattn data" in said(cell)]
    asks = [cell for cell in code(nb) if "movielens.load()" in cell.source]
    assert len(told) == len(asks) > 0
    assert all(str(cache) in sentence and "Traceback" not in sentence for sentence in told)
    assert all(cell.execution_count for cell in code(nb))


@pytest.mark.parametrize("name", NAMES)
def test_every_cell_of_a_solution_ran_and_no_output_holds_a_failure(name: str):
    for cell in code(solution(name)):
        assert cell.execution_count, cell.id
        assert "✗" not in said(cell), cell.id
        assert all(output.output_type != "error" for output in cell.outputs), cell.id
        if cell.source.startswith("check("):
            assert "✓" in said(cell), cell.id
            assert "holds" in said(cell), cell.id


@pytest.mark.parametrize("name", NAMES)
def test_no_figure_is_stored_that_a_training_gave(name: str):
    """It is another one on another machine: what `fit` gave is in a live cell, of which nothing is stored."""
    for cell in code(solution(name)):
        if "live" in cell.metadata.get("tags", []):
            assert not cell.outputs, cell.id
        elif "training.fit.fit(" in cell.source:
            assert not re.search(r"\d\.\d", said(cell)), cell.id


@pytest.mark.parametrize("name", NAMES)
def test_a_figure_stands_beside_printed_numbers(name: str):
    drawn = [cell for cell in code(solution(name)) if any("image/png" in o.get("data", {}) for o in cell.outputs)]
    assert drawn
    for cell in drawn:
        assert re.search(r"\d", "".join(o.text for o in cell.outputs if o.output_type == "stream")), cell.id


@pytest.mark.parametrize("name", NAMES)
def test_a_measured_number_in_prose_is_printed_in_its_section(name: str):
    """Decimals and percentages; years, sections and sizes are words. A number that a cell is given may be said too."""
    for section in sections(solution(name)):
        shown = "\n".join(text for cell in section if cell.cell_type == "code" for text in (cell.source, said(cell)))
        for cell in section:
            if cell.cell_type == "markdown" and not cell.source.startswith("## Sources"):
                for number in re.findall(r"(?<![\d.,])\d+\.\d+|\d+ %", cell.source):
                    assert number in shown or number.replace(" ", "") in shown, f"{cell.id}: {number}"


def sections(nb: nbformat.NotebookNode) -> list[list[nbformat.NotebookNode]]:
    """The cells from one heading of the second level to the next; a heading within a cell begins one too."""
    found: list[list[nbformat.NotebookNode]] = [[]]
    for cell in nb.cells:
        if cell.cell_type == "markdown" and re.search(r"^## ", cell.source, flags=re.MULTILINE):
            before, heading, after = re.split(r"^(## )", cell.source, maxsplit=1, flags=re.MULTILINE)
            found[-1].append({**cell, "source": before})
            found.append([])
            cell = {**cell, "source": heading + after}
        found[-1].append(cell)
    return [[nbformat.from_dict(cell) for cell in section] for section in found]


@pytest.mark.parametrize("name", NAMES)
def test_it_has_what_a_lesson_has(name: str):
    nb = lesson(name)
    tags = [tag for cell in nb.cells for tag in cell.metadata.get("tags", [])]
    assert {"question", "answer", "follow-up", "trap"} <= set(tags)
    for cell in nb.cells:
        if {"question", "answer", "follow-up"} & set(cell.metadata.get("tags", [])):
            assert re.search(r"[\u4e00-\u9fff]", cell.source), f"{cell.id} has no Chinese"
        if "follow-up" in cell.metadata.get("tags", []):
            assert cell.source.count("<details>") == cell.source.count("</details>") >= 5
    assert nb.cells[-1].source.startswith("## Sources")


@pytest.mark.parametrize("name", NAMES)
def test_no_lesson_holds_an_answer_or_an_output(name: str):
    read = json.loads(lessons.fresh(name))
    program, broken = notebook.program(read, name)
    assert not broken
    assert set(notebook.answers_in(program)) == set(lessons.exercises(read)), "a name of an answer is used for another"
    stubs = {s.node.name: s for s in program if getattr(s.node, "name", None) in answer_names()}  # type: ignore[attr-defined]
    assert set(stubs) == set(lessons.exercises(read))
    assert all(notebook.is_stub(statement) for statement in stubs.values())
    assert all(not cell["outputs"] and cell["execution_count"] is None for _, cell in notebook.code_cells(read))


def test_every_exercise_is_asked_in_a_lesson():
    asked = {answer_names()[answer] for name in NAMES for answer in lessons.exercises(json.loads(lessons.fresh(name)))}
    assert asked == set(answer_names().values())


def test_tests_and_the_kernels_they_start_have_one_thread(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    assert torch.get_num_threads() == 1
    for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS"):
        assert os.environ[name] == "1"
        monkeypatch.delenv(name)
    cell = nbformat.v4.new_code_cell("import os; print(os.environ['OMP_NUM_THREADS'], os.environ['MKL_NUM_THREADS'])")
    [ran] = run(nbformat.v4.new_notebook(cells=[cell]), tmp_path).cells
    assert said(ran) == "1 1\n"


def test_what_depends_on_a_cell_is_found():
    sources = ["import a", "n = a.load()", "def f():\n    return n", "m = 1", "f()", "n = m", "print(n)", "m"]
    nb = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(source) for source in sources])
    assert [cell.source for cell in dependent(nb, "load()").cells] == [sources[n] for n in (0, 1, 2, 4)]


def test_pytest_lessons_judges_notebooks_and_nothing_else():
    command = [sys.executable, "-m", "pytest", "--collect-only", "-q", "lessons"]
    told = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60).stdout
    assert ".ipynb::" in told
    assert not re.search(r"\.py\b", told), told
