"""The pytest plugin: `pytest lessons/01_….ipynb` judges the answers in a notebook, one item a check.

It is loaded by every pytest run of the environment it is installed in, so what costs time is imported when a
notebook with answers is met. With nbval's options given, notebooks are nbval's.
"""

import contextlib
import os
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from recattn_mini.learn.judge.child import Child
    from recattn_mini.learn.judge.verdict import Result, Verdict

CHILD: "pytest.StashKey[Child]" = pytest.StashKey()


def pytest_configure(config: pytest.Config) -> None:
    """Under nbval the kernels print plain text and no progress bars, add up in one order, and are nobody's progress."""
    if _nbval(config):
        for name in ("NO_COLOR", "TQDM_DISABLE", "OMP_NUM_THREADS", "MKL_NUM_THREADS"):
            os.environ.setdefault(name, "1")
        if not os.environ.get("RECATTN_DATA_DIR"):
            _lend_a_data_folder(config)


def pytest_unconfigure(config: pytest.Config) -> None:
    """End the process that judged."""
    if (child := config.stash.get(CHILD, None)) is not None:
        child.close()


def _child(config: pytest.Config) -> "Child":
    if CHILD not in config.stash:
        from recattn_mini.learn.judge import child

        config.stash[CHILD] = child.Child()
    return config.stash[CHILD]


def pytest_collect_file(file_path: Path, parent: pytest.Collector) -> "Notebook | None":
    """A notebook that uses recattn_mini and defines answers."""
    if file_path.suffix != ".ipynb" or file_path.parent.name == "kept" or _nbval(parent.config):
        return None
    with contextlib.suppress(OSError):  # the notebook says why, when it is collected
        if b"recattn_mini" not in file_path.read_bytes():
            return None
    return Notebook.from_parent(parent, path=file_path)


def _lend_a_data_folder(config: pytest.Config) -> None:
    """A temporary one, for this run; those of runs that were killed are removed: nobody holds their lock any more."""
    import shutil
    import tempfile

    from filelock import FileLock

    for left in Path(tempfile.gettempdir()).glob("recattn-nbval-*"):
        with contextlib.suppress(OSError), FileLock(left / "run.lock", timeout=0):
            shutil.rmtree(left)
    folder = tempfile.mkdtemp(prefix="recattn-nbval-")
    lock = FileLock(Path(folder) / "run.lock")
    lock.acquire()
    os.environ["RECATTN_DATA_DIR"] = folder

    def give_back() -> None:
        del os.environ["RECATTN_DATA_DIR"]
        lock.release()
        shutil.rmtree(folder, ignore_errors=True)

    config.add_cleanup(give_back)


def _nbval(config: pytest.Config) -> bool:
    return bool(config.getoption("nbval", False) or config.getoption("nbval_lax", False))


class Notebook(pytest.File):
    """A lesson as a learner left it."""

    def collect(self) -> Iterator["Exercise | Lost"]:
        """The answers that the notebook defines, and those that it asks for and defines no more."""
        from recattn_mini.learn import lessons, notebook

        try:
            read = notebook.read(self.path)
            program, bad = notebook.program(read, self.path.name)
        except (ValueError, OSError) as error:
            raise self.CollectError(str(error)) from None
        cells = [{"cell_type": c["cell_type"], "source": c["source"]} for c in read["cells"]]
        broken = {answer: cell.error for cell in bad for answer in cell.answers}
        elsewhere = "\n".join(f"{cell.error.filename} does not parse: {cell.error.msg}" for cell in bad)
        defined = notebook.defined(program, bad)
        for answer in defined:
            exercise = Exercise.from_parent(self, name=answer)
            exercise.cells, exercise.syntax_error = cells, broken.get(answer)
            exercise.elsewhere = elsewhere
            yield exercise
        for answer, sentence in lessons.lost(read, self.path.stem, defined).items():
            yield Lost.from_parent(self, name=answer, sentence=sentence)


class Exercise(pytest.Collector):
    """One answer; it is judged once, when its first check is asked for."""

    cells: list[dict]
    unreached: "tuple[Result, ...]"
    syntax_error: SyntaxError | None
    elsewhere: str
    printed = ""
    _verdict: "Verdict | None" = None

    def collect(self) -> Iterator["Check"]:
        """The checks of its spec."""
        self.unreached = _child(self.config).unreached(self.name)
        for n, result in enumerate(self.unreached):
            yield Check.from_parent(self, name=result.name, number=n)

    def verdict(self) -> "Verdict":
        """The verdict on the answer, which is also remembered as progress."""
        if self._verdict is None:
            self._verdict = self._judge()
            if self.path.parent.name != "solutions":
                from recattn_mini.learn import progress

                if note := progress.record(self._verdict):
                    self._verdict = self._verdict.told(note)
        return self._verdict

    def _judge(self) -> "Verdict":
        from recattn_mini.learn.judge.verdict import Verdict

        unrun = Verdict(self.name, "raised", self.unreached)
        if (error := self.syntax_error) is not None:
            seen = f"{type(error).__name__}: {error.msg}\nin {error.filename}, line {error.lineno}: "
            return replace(unrun, results=unrun.failing(seen + (error.text or "").strip()))
        verdict = _child(self.config).judge(self.path, self.cells, unrun, self._show)
        # what is not defined may have been meant to be, in a cell that does not parse
        return verdict.told(self.elsewhere) if any("is not defined" in r.seen for r in verdict.results) else verdict

    def _show(self, text: str, stream: str) -> None:
        print(text, end="", file=getattr(sys, stream))
        self.printed += text


class Check(pytest.Item):
    """One check of one answer."""

    def __init__(self, number: int, **kwargs: object) -> None:
        super().__init__(**kwargs)  # type: ignore[arg-type]
        self.number = number

    def runtest(self) -> None:
        """Pass, fail or, where the check was not reached, skip."""
        assert isinstance(self.parent, Exercise)
        printed_before = self.parent.printed
        verdict = self.parent.verdict()
        result = verdict.results[self.number]
        if result.held is None:
            pytest.skip(verdict.outcome if verdict.outcome == "not attempted" else f"not reached: {verdict.outcome}")
        if not result.held:
            if printed_before:  # while an earlier check was asked, which held: pytest has not shown it
                self.add_report_section("call", "prints", printed_before)
            self.parent.printed = ""
            raise CheckFailed(verdict, result)

    def repr_failure(self, excinfo: pytest.ExceptionInfo[BaseException], style: object = None) -> str:
        """What the learner did, without a line of ours."""
        return str(excinfo.value) if isinstance(excinfo.value, CheckFailed) else str(super().repr_failure(excinfo))

    def reportinfo(self) -> tuple[Path, None, str]:
        """The heading of a failure."""
        assert self.parent is not None
        return self.path, None, f"{self.parent.name}: {self.name.removeprefix('check_').replace('_', ' ')}"


class Lost(pytest.Item):
    """An answer that the lesson asks for, in a notebook that defines it no more."""

    def __init__(self, sentence: str, **kwargs: object) -> None:
        super().__init__(**kwargs)  # type: ignore[arg-type]
        self.sentence = sentence

    def runtest(self) -> None:
        """Fail: nothing can be judged, and nothing is said about the learner's progress."""
        pytest.fail(f"{self.name}: {self.sentence}", pytrace=False)

    def reportinfo(self) -> tuple[Path, None, str]:
        """The heading of a failure."""
        return self.path, None, self.name


class CheckFailed(Exception):
    """A check that did not hold; its text is what the learner reads."""

    def __init__(self, verdict: "Verdict", result: "Result") -> None:
        told = [f"✗ {result.sentence}", *(f"    {line}" for line in result.seen.splitlines())]
        super().__init__(
            "\n".join([f"{verdict.answer}: {verdict.outcome}", *told, verdict.diagnosis, verdict.note]).rstrip()
        )
