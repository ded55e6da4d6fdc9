"""Judge an answer: the right outcome, the check that failed, where, and which known mistake it is."""

import ast
import contextlib
import importlib
import inspect
import linecache
import traceback
import warnings
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import torch

from recattn_mini.exercises import exercise_of
from recattn_mini.exercises._spec import Mistake, Named
from recattn_mini.judge.answer import Answer, Raised
from recattn_mini.judge.diagnosis import diagnose
from recattn_mini.judge.errors import meaning
from recattn_mini.judge.forbidden import forbidden_call
from recattn_mini.judge.time_limit import TooSlow, time_limit
from recattn_mini.judge.verdict import Result, Verdict
from recattn_mini.notebook import Statement

SECONDS = 5.0  # an answer of lesson size takes milliseconds


def load(exercise: str) -> ModuleType:
    """The spec of an exercise."""
    return importlib.import_module(f"recattn_mini.exercises.{exercise}")


def checks(spec: ModuleType) -> list[Callable]:
    """The checks of a spec, in the order they stand there."""
    return [f for name, f in vars(spec).items() if name.startswith("check_")]


def answers(spec: ModuleType) -> list[Callable]:
    """The library's own answers, in every form the exercise has."""
    return [f for name, f in vars(spec).items() if exercise_of(name) == spec.__name__.rsplit(".", 1)[1]]


def judge(learners: Callable, seconds: float | None = None) -> Verdict:
    """Hold an answer to its spec. Never raises, never hangs on a Python loop."""
    spec = load(exercise_of(learners.__name__))
    answer = Answer(learners, spec)
    verdict = Verdict(learners.__name__, "holds", unreached(spec, learners.__name__))
    own = [] if learners in answers(spec) else answers(spec)
    if found := forbidden_call(learners, spec.FORBIDDEN, own):
        seen = f"uses {found}, which would be the answer itself: write it out"
        return replace(verdict, outcome="forbidden", results=verdict.failing(seen))
    try:
        with time_limit(seconds or SECONDS), _one_thread():
            return _run(verdict, answer, spec)
    except TooSlow as slow:
        where = _where(slow, _files(learners))
        seen = f"stopped after {seconds or SECONDS:g} s: a loop that does not end?{where}"
        return replace(verdict, outcome="too slow", results=verdict.failing(seen))


def judge_program(answer: str, program: Iterable[Statement]) -> Verdict:
    """Run the statements that define an answer, then hold it to its spec."""
    unrun = Verdict(answer, "raised", unreached(load(exercise_of(answer)), answer))
    space: dict[str, Any] = {"__name__": "__main__"}
    try:
        with time_limit(SECONDS), np.errstate(all="ignore"), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            for statement in program:
                exec(compile(ast.Module([statement.node], []), statement.file, "exec"), space)
    except TooSlow as slow:
        seen = f"its cell was stopped after {SECONDS:g} s{_where(slow, set())}"
        return replace(unrun, outcome="too slow", results=unrun.failing(seen))
    except (Exception, SystemExit) as error:
        return replace(unrun, results=unrun.failing(f"its cell raises {_said(error)}{_where(error, set())}"))
    return judge(space[answer])


def unreadable(answer: str, error: SyntaxError) -> Verdict:
    """The verdict on an answer whose cell does not parse."""
    unrun = Verdict(answer, "raised", unreached(load(exercise_of(answer)), answer))
    seen = (
        f"{type(error).__name__}: {error.msg}\nin {error.filename}, line {error.lineno}: {(error.text or '').strip()}"
    )
    return replace(unrun, results=unrun.failing(seen))


def unreached(spec: ModuleType, answer: str) -> tuple[Result, ...]:
    """The checks that are asked of an answer of this name, before any was run."""
    asked = [c for c in checks(spec) if not (answer.endswith("_numpy") and hasattr(c, "torch_only"))]
    return tuple(Result(c.__name__, inspect.cleandoc(c.__doc__ or "")) for c in asked)


@contextlib.contextmanager
def _one_thread() -> Iterator[None]:
    """Inputs are tiny: on a busy machine threads that wait for each other cost a hundred times what they share."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def _run(verdict: Verdict, answer: Answer, spec: ModuleType) -> Verdict:
    results, named = list(verdict.results), False
    for n, result in enumerate(results):
        try:
            getattr(spec, result.name)(answer)
            results[n] = replace(result, held=True)
        except Mistake as mistake:
            results[n] = replace(result, held=False, seen=str(mistake))
            if named := isinstance(mistake, Named):
                break
        except Raised as raised:
            verdict = _raised(replace(verdict, results=tuple(results)), raised.error, answer)
            known = _diagnosis(answer, spec) if verdict.outcome == "raised" else ""
            return replace(verdict, diagnosis=known) if known.startswith("looks like") else verdict
    verdict = replace(verdict, results=tuple(results))
    if all(r.held for r in results):
        return verdict
    known = _diagnosis(answer, spec)
    return replace(verdict, outcome="wrong", diagnosis="" if named and not known.startswith("looks like") else known)


def _diagnosis(answer: Answer, spec: ModuleType) -> str:
    """Against the key in the same form, so that a gradient counts where there is one."""
    key = next(a for a in answers(spec) if inspect.isfunction(a) and a.__name__.endswith("_numpy") == answer.is_numpy)
    return diagnose(answer, Answer(key, spec), spec, with_gradients=not answer.is_numpy)


def _raised(verdict: Verdict, error: BaseException, answer: Answer) -> Verdict:
    where = _where(error, _files(answer.learners))
    if isinstance(error, NotImplementedError):
        raiser = traceback.extract_tb(error.__traceback__)[-1].name
        own = {answer.learners.__name__, "forward"}
        if raiser in own:
            message = "write the answer in its cell and run that cell; a stub left in the kernel looks the same"
            return replace(verdict, outcome="not attempted", message=message)
        seen = f"{raiser} is still a stub in this kernel: answer it and run its cell first{where}"
    elif isinstance(error, SystemExit):
        seen = f"leaves Python by sys.exit: return a value instead{where}"
    elif isinstance(error, NameError):
        seen = f"{error}: define or import it, and run the cell that does{where}"
    else:
        usually = f"\nusually: {told}" if (told := meaning(error)) else ""
        seen = f"{_said(error)}{where}{usually}"
    return replace(verdict, outcome="raised", results=verdict.failing(seen))


def _said(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}" if str(error) else type(error).__name__


def _where(error: BaseException, own: set[str]) -> str:
    """The innermost line of the learner's own that was running, without the frames of libraries."""
    for frame in reversed(traceback.extract_tb(error.__traceback__)):
        is_cell = not frame.filename.startswith("<frozen") and not Path(frame.filename).exists()
        if frame.filename in own or is_cell:
            line = linecache.getline(frame.filename, frame.lineno or 0).strip()
            cell = frame.filename.rpartition(", ")[2] + ", " if ", cell " in frame.filename else ""
            return f"\nin {cell}{frame.name}, line {frame.lineno}: {line}".replace("<module>, ", "")
    return ""


def _files(learners: Callable) -> set[str]:
    members = vars(learners).values() if inspect.isclass(learners) else [learners]
    return {inspect.unwrap(m).__code__.co_filename for m in members if inspect.isfunction(m)}
