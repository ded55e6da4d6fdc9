"""Where stdout cannot show ✓, √ or Chinese, what is told is told all the same."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from recattn_mini.learn.judge.verdict import Result, Verdict
from recattn_mini.learn.output import printable

ENCODINGS = ["ascii", "latin-1", "cp1252", "cp437", "gbk", "utf-8"]
SIGNS = "✓ ✗ ○ √ … → 注意力 é ² ½ ŷ"
CHECK = f"""
import numpy as np
from recattn_mini.learn import check, hint, solution
def softmax_numpy(x):
    raise ValueError({SIGNS!a} + chr(0xd800))
check(softmax_numpy)
hint(softmax_numpy, 3)
solution(softmax_numpy)
solution(softmax_numpy, give_up=True)
"""


def told(command: list[str], encoding: str, **environment: str) -> str:
    """What a program says through an encoding; nothing may go wrong."""
    own = {**os.environ, "PYTHONUTF8": "0", "PYTHONIOENCODING": encoding, **environment}
    ran = subprocess.run([sys.executable, *command], env=own, capture_output=True, timeout=100)
    assert (ran.returncode, ran.stderr) == (0, b"")
    return ran.stdout.decode(encoding)


def recattn(*words: str) -> list[str]:
    return ["-c", "from recattn_mini.learn.cli import main; main()", *words]


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_check_hint_and_solution(encoding: str):
    said = told(["-c", CHECK], encoding)
    assert "softmax_numpy: raised" in said
    assert "hint 3 of 3" in said
    assert "does not hold yet" in said
    assert "def softmax_numpy" in said
    assert printable(f"ValueError: {SIGNS}", encoding) in said


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_recattn(encoding: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    folder = tmp_path / "注意力"
    for name in ("01_what_is_attention", "02_√"):
        (folder / f"{name}.ipynb").mkdir(parents=True)  # so that there is something to say of it
    monkeypatch.chdir(folder)
    said = told(recattn(), encoding)
    assert "0 of 0 exercises hold" in said
    assert printable("02_√", encoding) in said
    assert "move it away" in said
    assert printable(f"is not in {folder}: `recattn reset --lesson 02", encoding) in said
    assert "hint 1 of 3" in told(recattn("hint", "softmax"), encoding)
    assert "Commands:" in told(recattn("--help"), encoding)


def test_the_c_locale_without_coercion():
    c = {"LC_ALL": "C", "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0"}
    own = {**os.environ, **c}
    own.pop("PYTHONIOENCODING", None)
    ran = subprocess.run([sys.executable, "-c", CHECK], env=own, capture_output=True, timeout=100)
    assert (ran.returncode, ran.stderr) == (0, b"")
    assert b"x softmax_numpy: raised" in ran.stdout
    assert ran.stdout.isascii()


@pytest.mark.parametrize("columns", ["0", "1", "none"])
def test_a_terminal_that_says_it_has_no_width(columns: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    assert "exercises hold" in told(recattn(), "utf-8", COLUMNS=columns)
    assert "softmax_numpy: raised" in told(["-c", CHECK], "utf-8", COLUMNS=columns)


def test_marks_stay_apart_from_each_other():
    verdict = Verdict("f", "wrong", (Result("a", "one", True), Result("b", "two", False), Result("c", "three")))
    assert printable(str(verdict), "ascii").splitlines() == ["x f: wrong", "  + one", "  x two", "  . three"]
    assert printable("√d, ½, 意, \ud800", "ascii") == "sqrt d, 1/2, ?, ?"
    assert printable("√d, ½, 意, \ud800", "utf-8") == "√d, ½, 意, ?"
    assert printable("✓", None) == "✓"
