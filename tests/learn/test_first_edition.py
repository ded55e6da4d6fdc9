"""An environment that was installed from the first edition, with this one checked out, goes on working.

Its entry points were written down at install time: `recattn_mini.cli:main` and the plugin `recattn_mini.answers`.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
OLD = """\
[console_scripts]
recattn = recattn_mini.cli:main

[pytest11]
recattn = recattn_mini.answers
"""
CELLS = [
    "import numpy as np\n\nfrom recattn_mini.check import check, hint, solution",
    "def softmax_numpy(x):\n    return np.ones_like(x)",
    "check(softmax_numpy)",
]


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    """The first edition's entry points come before those of the environment that runs the tests."""
    installed = tmp_path / "site" / "recattn_mini-0.1.0.dist-info"
    installed.mkdir(parents=True)
    (installed / "METADATA").write_text("Metadata-Version: 2.1\nName: recattn-mini\nVersion: 0.1.0\n")
    (installed / "entry_points.txt").write_text(OLD)
    return {**os.environ, "PYTHONPATH": os.pathsep.join([str(installed.parent), str(ROOT)])}


@pytest.fixture
def lesson(tmp_path: Path) -> Path:
    """A notebook of the first edition with a wrong answer."""
    new = {"cell_type": "code", "execution_count": None, "metadata": {}, "outputs": []}
    cells = [{**new, "id": f"01_old-{n:02d}", "source": source} for n, source in enumerate(CELLS)]
    told = {"recattn": {"lesson": "01_old", "exercises": {"01_old-01": "softmax_numpy"}}}
    path = tmp_path / "01_old.ipynb"
    path.write_text(json.dumps({"cells": cells, "metadata": told, "nbformat": 4, "nbformat_minor": 5}))
    return path


def run(environment: dict[str, str], folder: Path, *words: str) -> str:
    ran = subprocess.run(
        [sys.executable, *words], cwd=folder, env=environment, capture_output=True, text=True, encoding="utf-8"
    )
    assert not ran.stderr, ran.stderr
    return ran.stdout


def test_its_command_starts_ours(environment: dict[str, str], lesson: Path):
    code = (
        "from importlib.metadata import entry_points;"
        "[script] = list(entry_points(group='console_scripts', name='recattn'))[:1];"
        "print(script.value); script.load()()"
    )
    told = run(environment, lesson.parent, "-c", code)
    assert told.startswith("recattn_mini.cli:main\n")
    assert "next: softmax_numpy in 01_old.ipynb" in told


def test_its_plugin_judges_a_notebook(environment: dict[str, str], lesson: Path):
    told = run(environment, lesson.parent, "-m", "pytest", "-q", lesson.name)
    assert f"FAILED {lesson.name}::softmax_numpy::check_every_axis" in told


@pytest.mark.parametrize("ours_too", ["as -p", "as entry point"])
def test_beside_ours_it_takes_a_notebook_once(environment: dict[str, str], lesson: Path, ours_too: str):
    if ours_too == "as entry point":
        [folder] = Path(environment["PYTHONPATH"].split(os.pathsep)[0]).iterdir()
        (folder / "entry_points.txt").write_text(OLD.replace("recattn_mini.answers", "recattn_mini.learn.plugin"))
    plugin = {"as -p": "recattn_mini.learn.plugin", "as entry point": "recattn_mini.answers"}[ours_too]
    told = run(environment, lesson.parent, "-m", "pytest", "--collect-only", "-q", "-p", plugin, lesson.name)
    found = [line for line in told.splitlines() if "::check_" in line]
    assert found
    assert len(found) == len(set(found))


def test_its_notebook_runs(environment: dict[str, str], lesson: Path):
    told = run(environment, lesson.parent, "-c", "\n".join([*CELLS, "hint(softmax_numpy)", "solution(softmax_numpy)"]))
    assert "✗ softmax_numpy: wrong" in told
    assert "hint 1 of 3" in told
    assert "give_up=True" in told
