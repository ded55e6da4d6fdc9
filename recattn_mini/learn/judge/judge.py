"""Judge an answer: the right outcome, the check that failed, where, and which known mistake it is."""

import __future__

import ast
import contextlib
import inspect
import linecache
import sys
import traceback
import warnings
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import torch

from recattn_mini.exercises import exercise_of, spec_of
from recattn_mini.exercises.spec import Mistake, Named, Raised
from recattn_mini.exercises.spec.common import common_checks
from recattn_mini.learn.judge.answer import FORKS, Answer, forks
from recattn_mini.learn.judge.diagnosis import UNKNOWN, diagnose
from recattn_mini.learn.judge.errors import meaning
from recattn_mini.learn.judge.forbidden import forbidden_call, innermost
from recattn_mini.learn.judge.originals import LIBRARIES, Originals, own_modules
from recattn_mini.learn.judge.prints import cut, shown
from recattn_mini.learn.judge.time_limit import BY_THE_CLOCK, SECONDS, TooLate, TooSlow, time_limit
from recattn_mini.learn.judge.verdict import Result, Verdict
from recattn_mini.learn.notebook import YOUR_TURN, Statement


def checks(spec: ModuleType) -> list[Callable]:
    """The checks of an exercise: its examples, the spec's own in the order they stand there, what all are asked."""
    examples, *others = common_checks(spec)
    return [examples, *(f for name, f in vars(spec).items() if name.startswith("check_")), *others]


def keys(spec: ModuleType) -> list[Callable]:
    """The library's own answers, in every form the exercise has."""
    return [f for name, f in vars(spec).items() if exercise_of(name) == spec.__name__.rsplit(".", 1)[1]]


def judge(
    learners: Callable, seconds: float | None = None, reach: Callable[[Verdict], None] = lambda so_far: None
) -> Verdict:
    """Hold an answer to its spec. Never raises, never hangs on a Python loop; `reach` is told what is known so far."""
    spec, name = spec_of(exercise_of(learners.__name__)), learners.__name__
    so_far = [Verdict(name, "holds", unreached(spec, name))]
    verdict = so_far[0]
    if (problem := _of_another_kind(learners, getattr(spec, name))) is not None:
        return replace(verdict, outcome="cannot be judged", results=verdict.failing(problem))
    own = [] if learners in keys(spec) else keys(spec)
    if found := forbidden_call(learners, spec.FORBIDDEN, own):
        seen = f"uses {found}, which would be the answer itself: write it out"
        return replace(verdict, outcome="forbidden", results=verdict.failing(seen))

    def note(verdict: Verdict) -> None:
        so_far.append(verdict)
        reach(verdict)

    answer, limit = Answer(learners, spec), seconds or SECONDS
    with _as_it_was():
        try:
            with time_limit(limit):
                judged = _run(verdict, answer, spec, note)
        except TooSlow as slow:
            return _too_slow(so_far[-1], slow, limit, _files(learners))
        if judged.outcome not in ("wrong", "raised"):
            return judged
        with contextlib.suppress(TooSlow), time_limit(limit):  # that it is wrong is known already
            return _diagnosed(judged, answer, spec)
        return judged


def _too_slow(verdict: Verdict, slow: TooSlow, seconds: float, own: set[str]) -> Verdict:
    if isinstance(slow, TooLate):
        clock = BY_THE_CLOCK * seconds
        seen = f"stopped after {clock:g} s by the clock: does it sleep, or wait for a lock or for input?"
    else:
        seen = f"stopped after {seconds:g} s of computing: a loop that does not end?"
    return replace(verdict, outcome="too slow", results=verdict.failing(f"{seen}{_where(slow, own)}"))


def _of_another_kind(learners: Callable, key: Callable) -> str | None:
    """A class where a function is asked for, or the other way round."""
    if inspect.isclass(key) and not (inspect.isclass(learners) and issubclass(learners, torch.nn.Module)):
        return f"a class derived from nn.Module is asked for, this is {_kind(learners)}"
    try:
        innermost = inspect.unwrap(learners)
    except ValueError:
        return "its __wrapped__ leads back to itself: define it by def, and a decorator of it with functools.wraps"
    if not inspect.isclass(key) and not inspect.isfunction(innermost):
        return f"a function is asked for, this is {_kind(learners)}: define it by def"
    return None


def judge_program(
    answer: str,
    program: Iterable[Statement],
    seconds: float | None = None,
    reach: Callable[[Verdict], None] = lambda so_far: None,
) -> Verdict:
    """Run the statements that define an answer, then hold it to its spec."""
    unrun, limit = Verdict(answer, "raised", unreached(spec_of(exercise_of(answer)), answer)), seconds or SECONDS
    space: dict[str, Any] = {"__name__": "__main__", "display": print}  # which IPython brings
    program = list(program)
    forked = forks()
    flags = __future__.annotations.compiler_flag if any(s.is_future for s in program) else 0
    try:
        with _as_it_was(), time_limit(limit), shown():
            try:
                for statement in program:
                    code = compile(ast.Module([statement.node], []), statement.file, "exec", flags, dont_inherit=True)
                    exec(code, space)
            except (Exception, SystemExit) as error:
                seen = f"its cell raises {_said(error)}{_where(error, set())}"
                return replace(unrun, results=unrun.failing(seen))
    except TooSlow as slow:
        return _too_slow(unrun, slow, limit, set())
    if forks() != forked:
        return replace(unrun, outcome="cannot be judged", results=unrun.failing(f"its cell {FORKS}"))
    if _name(found := space[answer]) != answer:
        seen = f"{answer} is {_kind(found)}: define it by def, and a decorator of it with functools.wraps"
        return replace(unrun, outcome="cannot be judged", results=unrun.failing(seen))
    return judge(found, limit, reach)


def unreached(spec: ModuleType, answer: str) -> tuple[Result, ...]:
    """The checks that are asked of an answer of this name, before any was run."""
    is_numpy, is_module = answer.endswith("_numpy"), inspect.isclass(getattr(spec, answer))
    others = ["torch_only"] * is_numpy + ["module_only"] * (not is_module)
    asked = [c for c in checks(spec) if not any(hasattr(c, other) for other in others)]
    return tuple(Result(c.__name__, inspect.cleandoc(c.__doc__ or "")) for c in asked)


@contextlib.contextmanager
def _as_it_was() -> Iterator[None]:
    """Put back what an answer, or the exception that stops it, may leave changed; on the CPU, on one thread of it.

    Inputs are tiny: on a busy machine threads that wait for each other cost a hundred times what they share.
    """
    stdout, stderr, errors, rng = sys.stdout, sys.stderr, np.geterr(), np.random.get_state()
    originals = Originals([*LIBRARIES, *own_modules()])
    threads, dtype, grad = torch.get_num_threads(), torch.get_default_dtype(), torch.is_grad_enabled()
    # as a context, a device costs every call of torch some microseconds
    on_cpu = contextlib.nullcontext() if torch.get_default_device().type == "cpu" else torch.device("cpu")
    try:
        with (
            warnings.catch_warnings(),
            np.errstate(all="ignore"),
            torch.random.fork_rng(devices=[]),
            on_cpu,
            torch.enable_grad(),
        ):
            warnings.simplefilter("ignore")
            torch.set_num_threads(1)
            yield
    finally:
        originals.put_back()
        sys.stdout, sys.stderr = stdout, stderr
        np.seterr(**errors)
        np.random.set_state(rng)
        torch.set_num_threads(threads)
        torch.set_default_dtype(dtype)
        torch.set_grad_enabled(grad)


def _run(verdict: Verdict, answer: Answer, spec: ModuleType, note: Callable[[Verdict], None]) -> Verdict:
    results, named = list(verdict.results), False
    by_name = {check.__name__: check for check in checks(spec)}
    for n, result in enumerate(results):
        try:
            by_name[result.name](answer)
            results[n] = replace(result, held=True)
        except Mistake as mistake:
            results[n] = replace(result, held=False, seen=f"{cut(str(mistake))}{answer.given}")
            if named := isinstance(mistake, Named):
                break
        except Raised as raised:
            return _raised(replace(verdict, results=tuple(results)), raised.error, answer)
        except Exception as error:  # what a check did with the result, which no check had foreseen
            verdict = replace(verdict, outcome="cannot be judged", results=tuple(results))
            seen = f"what came back cannot be looked at: {_said(error).splitlines()[0]}"
            return replace(verdict, results=verdict.failing(seen))
        note(replace(verdict, results=tuple(results)))
    verdict = replace(verdict, results=tuple(results))
    if all(r.held for r in results):
        return verdict
    return replace(verdict, outcome="wrong", diagnosis="" if named else UNKNOWN)


def _diagnosed(verdict: Verdict, answer: Answer, spec: ModuleType) -> Verdict:
    """With the known mistake it is; one that was told already, or raised, is only named where all of it agrees."""
    told = diagnose(answer, spec, with_gradients=not (answer.is_numpy or answer.is_number))
    return replace(verdict, diagnosis=told) if verdict.diagnosis or told.startswith("looks like") else verdict


def _raised(verdict: Verdict, error: BaseException, answer: Answer) -> Verdict:
    where = _where(error, _files(answer.learners))
    if isinstance(error, NotImplementedError) and YOUR_TURN in str(error):  # PyTorch raises them too
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
        usually = f"\nusually: {told}" if (told := meaning(said := _said(error))) else ""
        seen = f"{said}{where}{usually}"
    return replace(verdict, outcome="raised", results=verdict.failing(seen))


def _name(found: object) -> str:
    """What it is called; a property of the learner's own may raise what it likes."""
    with contextlib.suppress(Exception):
        if isinstance(name := getattr(found, "__name__", ""), str):
            return cut(name, 100)
    return ""


def _kind(found: object) -> str:
    kind = "a class" if inspect.isclass(found) else f"a {_name(type(found))}"
    return f"{kind} called {_name(found) or 'nothing'}"


def _said(error: BaseException) -> str:
    try:
        text = str(error)
    except Exception:  # an exception of the learner's own that cannot be told
        text = ""
    return cut(f"{_name(type(error))}: {text}" if text else _name(type(error)))


def _where(error: BaseException, own: set[str]) -> str:
    """The innermost line of the learner's own that was running, without the frames of libraries."""
    for frame in reversed(traceback.extract_tb(error.__traceback__)):
        is_cell = not frame.filename.startswith("<frozen") and not Path(frame.filename).exists()
        if frame.filename in own or is_cell:
            line = cut(linecache.getline(frame.filename, frame.lineno or 0).strip(), 200)
            cell = frame.filename.rpartition(", ")[2] + ", " if ", cell " in frame.filename else ""
            return f"\nin {cell}{frame.name}, line {frame.lineno}: {line}".replace("<module>, ", "")
    return ""


def _files(learners: Callable) -> set[str]:
    members = vars(learners).values() if inspect.isclass(learners) else [learners]
    return {m.__code__.co_filename for m in map(innermost, members) if inspect.isfunction(m)}
