"""Recorded figures: each says where it came from, one program writes it, and the lessons' prose needs nothing else."""

import ast
import datetime
import json
from pathlib import Path

import pytest
from experiments import recording
from notebooks import ROOT

from recattn_mini.data import recorded
from recattn_mini.learn import lessons, notebook

FOLDER = Path(recorded.__file__).parent
NAMES = sorted(path.stem for path in FOLDER.glob("*.json"))


@pytest.mark.parametrize("name", NAMES)
def test_a_file_says_where_its_figures_come_from(name: str):
    found = recorded.read(name)
    provenance = found.pop("provenance")
    program = f"tests/experiments/run_{name}.py"
    assert provenance["command"] == f"PYTHONPATH=.:tests python {program}"
    assert f"    {provenance['command']}\n" in (ROOT / program).read_text(encoding="utf-8"), "its docstring says how"
    assert provenance.keys() == {"command", "protocol", "seeds", "versions", "date"}
    assert all(provenance[key] for key in ("protocol", "versions"))
    assert datetime.date.fromisoformat(provenance["date"]) <= datetime.date.today() + datetime.timedelta(days=1)
    assert found


@pytest.mark.parametrize("name", NAMES)
def test_a_file_is_as_its_program_writes_it(name: str):
    """So nobody edited it by hand with another layout, and recording again shows in a diff what changed."""
    text = (FOLDER / f"{name}.json").read_text(encoding="utf-8")
    assert recording.as_text(json.loads(text)) == text


def test_every_program_has_its_file_and_nothing_else_writes_one():
    programs = [*ROOT.glob("tests/**/*.py"), *ROOT.glob("recattn_mini/**/*.py"), *ROOT.glob("lessons/**/*.py")]
    writers = {path for path in programs if imports_write(path)}
    assert writers == {ROOT / "tests" / "experiments" / f"run_{name}.py" for name in NAMES}
    assert writers == set((ROOT / "tests" / "experiments").glob("run_*.py"))


def imports_write(path: Path) -> bool:
    nodes = ast.walk(ast.parse(path.read_text(encoding="utf-8")))
    froms = [node for node in nodes if isinstance(node, ast.ImportFrom) and node.module == "experiments.recording"]
    return any(alias.name == "write" for node in froms for alias in node.names)


def test_what_was_there_stays_until_all_of_the_new_is_written(tmp_path, monkeypatch):
    monkeypatch.setattr(recording, "FOLDER", tmp_path)
    how = {"protocol": "none", "seeds": [0], "packages": ["numpy"]}
    recording.write("tiny", {"ndcg": [0.5]}, **how)
    before = (tmp_path / "tiny.json").read_bytes()
    with pytest.raises(ValueError, match="not JSON compliant"):
        recording.write("tiny", {"ndcg": [float("nan")]}, **how)
    assert [path.read_bytes() for path in tmp_path.iterdir()] == [before]
    assert json.loads(before)["ndcg"] == [0.5]


def test_a_name_that_is_not_there_is_said_with_those_that_are():
    with pytest.raises(ValueError, match=r"name must be one of keras, .*; got 'movies'"):
        recorded.read("movies")


@pytest.mark.parametrize("name", lessons.lesson_names())
def test_no_other_cell_needs_what_a_live_cell_defines(name: str):
    """nbval does not run a live cell, and what the others print must not depend on a training."""
    lesson = json.loads(lessons.fresh(name))
    of_live: set[str] = set()
    for n, cell in notebook.code_cells(lesson):
        live = "live" in cell["metadata"].get("tags", [])
        for statement in notebook.statements(notebook.text(cell), f"{name}, cell {n}"):
            if live:
                of_live |= statement.binds
            else:
                assert not (statement.uses - statement.binds) & of_live, f"{cell['id']} needs a live cell"
                of_live -= statement.binds


@pytest.mark.parametrize("name", lessons.lesson_names())
def test_nothing_else_is_exempt_from_nbval(name: str):
    for _, cell in notebook.code_cells(json.loads(lessons.fresh(name))):
        tags = cell["metadata"].get("tags", [])
        assert "nbval-ignore-output" not in tags, cell["id"]
        assert ("nbval-skip" in tags) == ("live" in tags), cell["id"]
