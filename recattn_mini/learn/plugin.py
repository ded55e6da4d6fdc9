"""The pytest plugin: `pytest lessons/01_….ipynb` judges the answers in a notebook, one item a check.

It is loaded by every pytest run of the environment it is installed in, so what costs time is imported when a
notebook with answers is met. With nbval's options given, notebooks are nbval's.
"""

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
        import tempfile

        for name in ("NO_COLOR", "TQDM_DISABLE", "OMP_NUM_THREADS", "MKL_NUM_THREADS"):
            os.environ.setdefault(name, "1")
        os.environ.setdefault("RECATTN_DATA_DIR", tempfile.mkdtemp(prefix="recattn-nbval-"))


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
    if b"recattn_mini" not in file_path.read_bytes():
        return None
    return Notebook.from_parent(parent, path=file_path)


def _nbval(config: pytest.Config) -> bool:
    return bool(config.getoption("nbval", False) or config.getoption("nbval_lax", False))


class Notebook(pytest.File):
    """A lesson as a learner left it."""

    def collect(self) -> Iterator["Exercise"]:
        """The answers that the notebook defines."""
        from recattn_mini.learn import notebook

        try:
            found = notebook.read(self.path)
            program, bad = notebook.program(found, self.path.name)
        except ValueError as error:
            raise self.CollectError(str(error)) from None
        cells = [{"cell_type": c["cell_type"], "source": c["source"]} for c in found["cells"]]
        broken = {answer: cell.error for cell in bad for answer in cell.answers}
        elsewhere = "\n".join(f"{cell.error.filename} does not parse: {cell.error.msg}" for cell in bad)
        for answer in dict.fromkeys([*notebook.answers_in(program), *broken]):
            exercise = Exercise.from_parent(self, name=answer)
            exercise.cells, exercise.syntax_error = cells, broken.get(answer)
            exercise.elsewhere = elsewhere
            yield exercise


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


class CheckFailed(Exception):
    """A check that did not hold; its text is what the learner reads."""

    def __init__(self, verdict: "Verdict", result: "Result") -> None:
        told = [f"✗ {result.sentence}", *(f"    {line}" for line in result.seen.splitlines())]
        super().__init__(
            "\n".join([f"{verdict.answer}: {verdict.outcome}", *told, verdict.diagnosis, verdict.note]).rstrip()
        )
