"""`pytest 01_….ipynb`: every outcome a learner can meet, as the learner reads it."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from filelock import FileLock

from recattn_mini.exercises import answer_source

# pytester forgets the modules that a run imports, and torch cannot be imported twice
from recattn_mini.exercises import softmax as softmax_spec
from recattn_mini.learn import notebook, progress
from recattn_mini.learn.judge import child, judge

pytest_plugins = ["pytester"]

IMPORTS = "import numpy as np\nfrom recattn_mini.learn import check"
STUB = notebook.stub(answer_source("softmax_numpy"), "softmax_numpy")
RIGHT = notebook.solved(answer_source("softmax_numpy"), "softmax_numpy")
WRONG = "def softmax_numpy(x):\n    return np.exp(x) / np.exp(x).sum(-1, keepdims=True)"
CHECKS = len(judge.unreached(softmax_spec, "softmax_numpy"))
CHECKS_OF_TORCH = len(judge.unreached(softmax_spec, "softmax"))
HELD = 3  # of WRONG: the examples, another one by hand, every axis


class Learner:
    """Writes notebooks and runs pytest on them, in this process."""

    def __init__(self, pytester: pytest.Pytester, plugin: list[str]) -> None:
        self.pytester, self.plugin = pytester, plugin
        pytester.makeini("[pytest]\naddopts = -p no:nbval -p no:anyio -p no:cacheprovider -p no:hypothesispytest")

    def writes(self, *cells: str, name: str = "01_tiny.ipynb") -> Path:
        """A notebook of these code cells."""
        new = {"cell_type": "code", "execution_count": None, "metadata": {}, "outputs": []}
        code = [{**new, "id": f"cell-{n}", "source": cell} for n, cell in enumerate(cells)]
        path = self.pytester.path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(json.dumps({"cells": code, "metadata": {}, "nbformat": 4, "nbformat_minor": 5}), "utf-8")
        return path

    def runs(self, *words: str, **outcomes: int) -> str:
        """What pytest prints; the numbers of outcomes are held to `outcomes`."""
        ran = self.pytester.runpytest_inprocess(*self.plugin, *words)
        ran.assert_outcomes(**outcomes)
        return ran.stdout.str()

    def judged(self, *cells: str, **outcomes: int) -> str:
        """What pytest prints for a notebook of these cells."""
        self.writes(*cells)
        return self.runs(**outcomes)


class Kept(child.Child):
    """One for all tests, since each start imports PyTorch; what it does when it is closed has tests of its own."""

    def close(self) -> None:
        """Live on, unless it died or hangs."""
        if self._process is not None and (self._process.poll() is not None or sys.exc_info()[0] is not None):
            super().close()


@pytest.fixture(scope="module")
def kept() -> Iterator[Kept]:
    kept = Kept()
    yield kept
    child.Child.close(kept)


@pytest.fixture
def learner(
    pytester: pytest.Pytester, request: pytest.FixtureRequest, kept: Kept, monkeypatch: pytest.MonkeyPatch
) -> Learner:
    """Somebody who answers softmax_numpy."""
    monkeypatch.setattr(child, "Child", lambda: kept)
    installed = request.config.pluginmanager.has_plugin("recattn")
    return Learner(pytester, [] if installed else ["-p", "recattn_mini.learn.plugin"])


def entry() -> progress.Entry:
    return progress.read()[0]["softmax"]


def test_an_answer_that_holds(learner: Learner):
    told = learner.judged(IMPORTS, RIGHT, "check(softmax_numpy)", passed=CHECKS)
    assert "01_tiny.ipynb" in told
    assert entry().held
    assert entry().tries == 1  # not once a check


def test_one_check_can_be_asked_for(learner: Learner):
    learner.writes(IMPORTS, RIGHT)
    learner.runs("01_tiny.ipynb::softmax_numpy::check_large_scores", passed=1)


def test_a_wrong_answer_is_named(learner: Learner):
    told = learner.judged(IMPORTS, WRONG, passed=HELD, failed=CHECKS - HELD)
    assert "softmax_numpy: wrong" in told
    assert "✗ scores beyond 1,000, below -1,000 and below -1e9 neither overflow nor vanish" in told
    assert "looks like: the textbook formula" in told
    assert "Traceback" not in told
    assert (entry().outcome, entry().tries, entry().held) == ("wrong", 1, None)
    assert entry().diagnosis.startswith("looks like: the textbook formula")


def test_a_stub_is_skipped_and_no_try(learner: Learner):
    learner.writes(IMPORTS, STUB)
    assert "not attempted" in learner.runs("-rs", skipped=CHECKS)
    assert not progress.path().exists()


@pytest.mark.parametrize(
    ("cell", "message", "where"),
    [
        ("def {}:\n    y = x\n    return y.top()", "AttributeError", "cell 2, softmax_numpy, line 3: return y.top()"),
        ("def {}:\n    return nump.exp(x)", "name 'nump' is not defined: define or import it", "line 2: return nump."),
        ("import sys\ndef {}:\n    sys.exit(3)", "leaves Python by sys.exit", "line 3: sys.exit(3)"),
        ("n = 1 / 0\ndef {}:\n    return n", "its cell raises ZeroDivisionError", "in cell 2, line 1: n = 1 / 0"),
        ("import sys\nn = sys.exit(2)\ndef {}:\n    return n", "its cell raises SystemExit: 2", "in cell 2, line 2"),
        ("def {}:\n    return np.linalg.inv('a')", "raised", "line 2: return np.linalg.inv('a')"),
        ("def {}:\n    return (x", "SyntaxError: '(' was never closed", "01_tiny.ipynb, cell 2, line 2: return (x"),
        ("def {}:\nreturn x", "IndentationError", "01_tiny.ipynb, cell 2, line 2: return x"),
    ],
)
def test_what_raises_is_shown_in_the_learners_own_line(learner: Learner, cell: str, message: str, where: str):
    cell = cell.format("softmax_numpy(x)")
    told = learner.judged(IMPORTS, cell, "other = 1", failed=1, skipped=CHECKS - 1)
    assert "softmax_numpy: raised" in told
    assert message in told
    assert where in told
    for frame in ("site-packages", "judge.py", "answer.py", "answers.py", "Traceback"):
        assert frame not in told
    assert entry().outcome == "raised"


def test_an_import_that_is_missing_is_named(learner: Learner):
    cells = "import nonesuch", "def softmax_numpy(x):\n    return nonesuch.f(x)"
    told = learner.judged(IMPORTS, *cells, failed=1, skipped=CHECKS - 1)
    assert "ModuleNotFoundError: No module named 'nonesuch'\n    in cell 2, line 1: import nonesuch" in told


@pytest.mark.parametrize(
    "cells",
    [
        ["def softmax_numpy(x):\n    while True:\n        pass"],
        ["def helper(x):\n    while True:\n        x + 1", "def softmax_numpy(x):\n    return helper(x)"],
        ["n = 0\nwhile True:\n    n += 1", "def softmax_numpy(x):\n    return n"],
        ["def softmax_numpy(x):\n    while True:\n        try: x + 1\n        except Exception: pass"],
    ],
)
def test_a_loop_that_does_not_end_is_stopped(learner: Learner, cells: list[str], monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(child, "SECONDS", 0.2)
    told = learner.judged(IMPORTS, *cells, failed=1, skipped=CHECKS - 1)
    assert "softmax_numpy: too slow" in told
    assert re.search(r"stopped after (0\.2 s of computing|1\.2 s by the clock)", told), "as busy as the machine is"
    assert "in cell 2, " in told


def test_a_call_that_gives_it_away_is_refused(learner: Learner):
    cells = "import torch", "def softmax_numpy(x):\n    return torch.softmax(torch.tensor(x), -1).numpy()"
    assert "uses torch.softmax" in learner.judged(IMPORTS, *cells, failed=1, skipped=CHECKS - 1)
    assert entry().outcome == "forbidden"


def test_a_helper_may_stand_in_any_cell(learner: Learner):
    helper = RIGHT.replace("softmax_numpy", "helper").removeprefix("import numpy as np").strip()
    answer = "def softmax_numpy(x):\n    return helper(x)"
    learner.judged(IMPORTS, answer, "x = 1", helper, passed=CHECKS)


def test_nothing_else_in_the_notebook_runs(learner: Learner):
    learner.judged(
        IMPORTS, "1 / 0", "plots = 1 / 0", RIGHT, "check(softmax_numpy); 1 / 0", "this is no Python", passed=CHECKS
    )


def test_magics_are_passed_over(learner: Learner):
    cells = [
        "%matplotlib inline\n" + IMPORTS + "\n!ls",
        "%%time\n" + RIGHT,
        "%%bash\nfor f in *; do echo; done",
        "np.exp?",
    ]
    learner.judged(*cells, passed=CHECKS)


def test_the_definition_that_runs_last_counts(learner: Learner):
    learner.judged(IMPORTS, STUB, RIGHT, passed=CHECKS)
    learner.judged(IMPORTS, RIGHT, WRONG, passed=HELD, failed=CHECKS - HELD)


def test_one_answer_is_one_heading_even_if_a_cell_of_it_is_broken(learner: Learner):
    told = learner.judged(IMPORTS, RIGHT, "def softmax_numpy(x):\n    return (", failed=1, skipped=CHECKS - 1)
    assert "cell 3, line 2" in told


def test_a_broken_cell_does_not_hide_the_other_answers(learner: Learner):
    torch_form = notebook.solved(answer_source("softmax"), "softmax")
    learner.writes(IMPORTS, torch_form, "def softmax_numpy(x):\n    return (")
    learner.runs(passed=CHECKS_OF_TORCH, failed=1, skipped=CHECKS - 1)


def test_prints_are_the_learners(learner: Learner):
    learner.writes(IMPORTS, WRONG.replace("return", "print('seen', x.shape)\n    return"))
    assert "seen (3,)" in learner.runs("-rA", passed=HELD, failed=CHECKS - HELD)


def test_prints_stand_below_the_first_check_that_fails(learner: Learner):
    """pytest shows what is printed while a test runs that fails; the answer runs while the first check is asked."""
    learner.writes(IMPORTS, WRONG.replace("return", "print('seen', x.shape)\n    return"))
    told = learner.runs(passed=HELD, failed=CHECKS - HELD)
    assert told.count("seen (3,)") == 1
    learner.writes(IMPORTS, "def softmax_numpy(x):\n    print('seen', x.shape)\n    return x")
    assert learner.runs(failed=CHECKS).count("seen (3,)") == 1


def test_what_is_printed_without_end_is_cut(learner: Learner):
    said = "import sys\nprint('o' * 10**6)\nprint('e' * 10**6, file=sys.stderr)\nraise ValueError('x' * 10**6)"
    learner.writes(IMPORTS, "def softmax_numpy(x):\n    " + said.replace("\n", "\n    "))
    told = learner.runs(failed=1, skipped=CHECKS - 1)
    assert "ValueError: xxx" in told
    assert "(1,000,012 characters)" in told
    assert told.count("no more of your prints is shown") == 2
    assert len(told) < 60_000


def test_modules_beside_the_notebook_are_found_and_hide_no_library(learner: Learner):
    learner.pytester.makepyfile(own="import numpy as np\n" + WRONG.replace("softmax_numpy", "mine"), random="1 / 0")
    learner.writes(IMPORTS, "import own\ndef softmax_numpy(x):\n    print(open('own.py').name)\n    return own.mine(x)")
    assert "own.py\n" in learner.runs(passed=HELD, failed=CHECKS - HELD)


ENDS = {
    "os._exit": ("os._exit(3)", "ended Python itself (exit status 3)"),
    "a crash": ("import ctypes; ctypes.string_at(0)", "the interpreter crashed"),
    "an interrupt": ("raise KeyboardInterrupt", "KeyboardInterrupt"),
    "a fork": ("os.fork()", "it starts a copy of the process (os.fork)"),
    "a fork of its cell": ("return x + process", "its cell starts a copy of the process (os.fork)"),
}


@pytest.mark.skipif(os.name == "nt", reason="signals and forks")
@pytest.mark.parametrize(("statement", "words"), ENDS.values(), ids=ENDS.keys())
def test_an_answer_that_ends_the_process_costs_that_answer(learner: Learner, statement: str, words: str):
    evil = f"def softmax_numpy(x):\n    print('the last words')\n    {statement}\n    return x"
    torch_form = notebook.solved(answer_source("softmax"), "softmax")
    learner.writes(IMPORTS + "\nimport os", "process = print('the last words') or os.fork()", evil, torch_form)
    told = learner.runs(passed=CHECKS_OF_TORCH, failed=1, skipped=CHECKS - 1)
    assert words in told
    assert "the last words" in told


@pytest.mark.skipif(os.name == "nt", reason="signals and forks")
def test_an_answer_that_cannot_be_stopped_is_killed(learner: Learner, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(child, "SECONDS", 0.2)
    monkeypatch.setattr(child, "GRACE", 0.3)
    deaf = "signal.signal(signal.SIGALRM, signal.SIG_IGN)\n    signal.signal(signal.SIGPROF, signal.SIG_IGN)"
    evil = f"import signal\ndef softmax_numpy(x):\n    {deaf}\n    while True:\n        pass"
    learner.writes(IMPORTS, evil, "import torch\n" + notebook.stub(answer_source("softmax"), "softmax"))
    assert "softmax_numpy: too slow" in (told := learner.runs("-rs", failed=1, skipped=CHECKS - 1 + CHECKS_OF_TORCH))
    assert "not attempted" in told, "the next one is asked"
    assert "killed after 1.5 s by the clock" in told


def test_no_process_is_left_and_each_notebook_has_its_own(learner: Learner, monkeypatch: pytest.MonkeyPatch):
    started: list[child.Child] = []

    def start() -> child.Child:
        started.append(Kept.__base__())
        return started[-1]

    monkeypatch.setattr(child, "Child", start)
    for name in ("01_a.ipynb", "02_b.ipynb"):
        learner.writes(
            IMPORTS, "import os\n" + WRONG.replace("return", "print('pid', os.getpid())\n    return"), name=name
        )
    most = CHECKS - HELD + 1  # all of the first notebook, and one of the second
    told = learner.runs("-s", f"--maxfail={most}", passed=2 * HELD, failed=most)
    assert len(set(re.findall(r"pid \d+", told))) == 2
    [real] = started
    assert real._process is None


def test_pytest_itself_does_not_wait_for_torch(learner: Learner):
    """The process that judges imports it, once."""
    learner.writes(IMPORTS, STUB)
    code = "import sys, pytest; pytest.main(['-q', '--co', *sys.argv[1:]]); sys.exit('torch' in sys.modules)"
    words = [*learner.plugin, "-p", "no:cacheprovider", "01_tiny.ipynb"]
    path = os.pathsep.join(p for p in sys.path if p)
    ran = subprocess.run(
        [sys.executable, "-c", code, *words],
        env={**os.environ, "PYTHONPATH": path},
        cwd=learner.pytester.path,
        capture_output=True,
        text=True,
    )
    assert (ran.returncode, "check_large_scores" in ran.stdout) == (0, True), ran.stdout + ran.stderr


def test_foreign_notebooks_and_kept_ones_are_ignored(learner: Learner):
    learner.writes("def softmax_numpy(x): return 1", name="foreign.ipynb")
    learner.writes(IMPORTS, WRONG, name="kept/01_tiny.20200101T000000.ipynb")
    learner.writes(IMPORTS, "x = 1", name="02_none.ipynb")
    assert "collected 0 items" in learner.runs()


def test_a_file_that_is_no_notebook_is_named(learner: Learner):
    (learner.pytester.path / "01_bad.ipynb").write_text('{"recattn_mini": ')
    told = learner.runs(errors=1)
    assert "01_bad.ipynb must be a Jupyter notebook" in told
    assert "Traceback" not in told


def test_a_solution_is_judged_but_is_nobodys_progress(learner: Learner):
    learner.writes(IMPORTS, RIGHT, name="solutions/01_tiny.ipynb")
    learner.runs(passed=CHECKS)
    assert not progress.path().exists()


def test_progress_that_cannot_be_kept_is_told(learner: Learner, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    (tmp_path / "file").touch()
    monkeypatch.setenv("RECATTN_DATA_DIR", str(tmp_path / "file"))
    assert "progress cannot be kept" in learner.judged(IMPORTS, WRONG, passed=HELD, failed=CHECKS - HELD)


def test_nbval_gets_the_notebooks_it_asks_for(learner: Learner, monkeypatch: pytest.MonkeyPatch):
    for name in ("NO_COLOR", "TQDM_DISABLE", "OMP_NUM_THREADS", "MKL_NUM_THREADS"):
        monkeypatch.setenv(name, "1")  # nbval's runs set them; this one shall not outlive the test
    learner.writes(IMPORTS, RIGHT)
    told = learner.runs("-p", "nbval", "--nbval", "--collect-only", "-q")
    assert "Cell 1" in told
    assert "check_" not in told


@pytest.mark.parametrize(
    "hopeless",
    ["x = '\ud800'", "x = " + "1 + " * 5_000 + "1", f"x = {'-' * 5_000}1"],
    ids=["surrogate", "sum", "signs"],
)
def test_a_hopeless_cell_is_named_and_the_others_are_judged(learner: Learner, hopeless: str):
    torch_form = notebook.solved(answer_source("softmax"), "softmax")
    learner.writes(IMPORTS, f"{hopeless}\ndef softmax_numpy(x):\n    return x", torch_form)
    told = learner.runs(passed=CHECKS_OF_TORCH, failed=1, skipped=CHECKS - 1)
    assert "this cell cannot be read" in told
    assert "in 01_tiny.ipynb, cell 2" in told


@pytest.mark.parametrize(
    ("cells", "way_back"),
    [
        ([IMPORTS], "its cell is gone: `recattn reset --lesson 01_tiny` keeps this lesson aside"),
        ([IMPORTS, WRONG.replace("max_n", "mxa_n")], "defines no softmax_numpy: `recattn reset softmax_numpy` makes"),
    ],
)
def test_a_question_that_is_gone_is_told_with_the_way_back(learner: Learner, cells: list[str], way_back: str):
    path = learner.writes(*cells, notebook.solved(answer_source("softmax"), "softmax"))
    edited = json.loads(path.read_text("utf-8"))
    asked = {"cell-1": "softmax_numpy", "cell-9": "softmax", "cell-8": "of_a_version_to_come"}
    edited["cells"][-1]["id"] = "cell-9"
    path.write_text(json.dumps(edited | {"metadata": {"recattn": {"exercises": asked}}}), "utf-8")
    told = learner.runs(passed=CHECKS_OF_TORCH, failed=1)
    assert way_back in told
    assert "Traceback" not in told
    assert way_back in learner.runs("01_tiny.ipynb::softmax_numpy", failed=1)


def test_nbvals_progress_is_nobodys_and_leaves_nothing(learner: Learner, tmp_path: Path, monkeypatch):
    """Nor does a run that was killed, once there is another; one that goes on keeps its folder."""
    monkeypatch.delenv("RECATTN_DATA_DIR")
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    learner.writes("import os; print(os.environ['RECATTN_DATA_DIR'])")
    command = [sys.executable, "-m", "pytest", *learner.plugin, "-p", "nbval", "--nbval-lax", "-q"]
    alive, killed = tmp_path / "recattn-nbval-alive", tmp_path / "recattn-nbval-killed"
    for folder in (alive, killed):
        folder.mkdir()
        (folder / "run.lock").touch()
    with FileLock(alive / "run.lock"):
        ran = subprocess.run(command, capture_output=True, text=True, timeout=100)
    assert "1 passed" in ran.stdout
    assert [p.name for p in tmp_path.glob("recattn-nbval-*")] == [alive.name]


def test_nbval_makes_no_folder_where_there_is_one(learner: Learner, tmp_path: Path, monkeypatch):
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    learner.writes(IMPORTS)
    command = [sys.executable, "-m", "pytest", *learner.plugin, "-p", "nbval", "--nbval", "--collect-only", "-q"]
    subprocess.run(command, capture_output=True, timeout=60, check=True)
    assert not list(tmp_path.glob("recattn-nbval-*"))


def test_a_notebook_of_another_user_is_named(learner: Learner, monkeypatch: pytest.MonkeyPatch):
    learner.writes(IMPORTS, RIGHT)
    learner.writes(IMPORTS, name="02_theirs.ipynb")
    read = Path.read_bytes

    def refuse(path: Path) -> bytes:  # permissions do not bind root
        if path.name == "02_theirs.ipynb":
            raise PermissionError(13, "Permission denied", str(path))
        return read(path)

    monkeypatch.setattr(Path, "read_bytes", refuse)
    told = learner.runs("--continue-on-collection-errors", passed=CHECKS, errors=1)
    assert "[Errno 13] Permission denied: " in told
    assert "02_theirs.ipynb" in told
    assert "Traceback" not in told
