"""Which known wrong answer does an answer behave like? The same outcome in every way in which it can be called."""

import functools
import inspect
from collections.abc import Callable
from dataclasses import dataclass
from types import ModuleType
from typing import Any

import torch

from recattn_mini.exercises.spec import TOLERANCE, Mistake, copy_of, float64, gradients
from recattn_mini.exercises.spec.common import (
    FLOAT32,
    arrays_keep_their_dtype,
    cases_elsewhere,
    common_mistakes,
    float32_cases,
    key_of,
    place_of_result,
)

UNKNOWN = "not a mistake we know: more than one, or a new one"
RANDOM = "the same call gives another result each time: is dropout on, or is something kept from call to call?"
FEW = 6  # numbers: on fewer, two different mistakes easily agree


@dataclass(frozen=True, eq=False)
class Way:
    """One way to call an answer, on one input."""

    kind: str  # value, refused, float32, device, gradient
    how: Callable[..., Any]
    case: tuple
    of_modules: bool = True  # False for what a module takes only filled up, or refuses when it is built

    def outcome(self, f: Callable) -> Any:
        """The result, or that there was none: an error counts alike in NumPy and in PyTorch."""
        try:
            return self.how(f, *map(copy_of, self.case))
        except Mistake as mistake:
            return str(mistake)
        except Exception:
            return "raised"


@functools.cache
def ways(spec: ModuleType, with_gradients: bool) -> list[Way]:
    """Every way in which an answer is called to be told apart; a NumPy form, or a float, has no gradients."""
    inputs, only = spec.inputs(), getattr(spec, "FUNCTIONS_ONLY", ())
    if with_gradients:
        names, in_float32 = getattr(spec, "IN_DEPTH", inputs), float32_cases(spec)
        found = list(ways(spec, False))
        if not arrays_keep_their_dtype(spec):
            found += [Way("float32", _value, in_float32[name][0]) for name in names if name in in_float32]
        found += [Way("device", _place, case, of_modules=False) for case in cases_elsewhere(spec)]
        if getattr(spec, "DIFFERENTIABLE", True):
            found += [Way("gradient", _gradients, inputs[name]) for name in names]
        return found
    refused: dict[str, tuple] = getattr(spec, "refused", dict)()
    found = [Way("value", _value, case, of_modules=name not in only) for name, case in inputs.items()]
    found += [Way("refused", _let_through, case, of_modules=False) for case in refused.values()]
    if arrays_keep_their_dtype(spec):
        found += [Way("float32", _value, case) for case, _ in float32_cases(spec).values()]
    return found


def ways_of(f: Callable, spec: ModuleType, with_gradients: bool) -> list[Way]:
    """Those for an answer: what only functions are asked tells nothing of a module."""
    is_module = inspect.isclass(getattr(f, "learners", f))
    return [way for way in ways(spec, with_gradients) if way.of_modules or not is_module]


def _value(f: Callable, *args: Any) -> Any:
    with torch.no_grad():
        out = f(*args)
    return float64(out) if isinstance(out, float) else out


def _let_through(f: Callable, *args: Any) -> Any:
    """Finite numbers along an axis only as such: nobody is told what they should have been."""
    out = _value(f, *args)
    is_tensor = isinstance(out, torch.Tensor) and out.is_floating_point() and out.dim() > 0
    return "let through" if out is None or (is_tensor and out.isfinite().all()) else out


def _gradients(f: Callable, *args: Any) -> tuple[torch.Tensor, ...]:
    """Zeros where none arrived: what is not used and what cancels are one mistake."""
    floating = [x for x in args if isinstance(x, torch.Tensor) and x.is_floating_point()]
    found = gradients(f, *args)
    return tuple(torch.zeros_like(x) if g is None else g for x, g in zip(floating, found, strict=True))


def _place(f: Callable, *args: Any) -> str:
    return place_of_result(f, args)


@functools.cache
def wrong_answers(spec: ModuleType) -> list[Callable]:
    """The known wrong answers: the spec's own, those that it takes from what specs share, and everybody's."""
    found = []
    for name, value in vars(spec).items():
        if hasattr(value, "hint"):
            value.__name__ = name
            found.append(value)
        elif isinstance(value, list):
            found += [one for one in value if hasattr(one, "hint")]
    return found + common_mistakes(spec)


@functools.cache
def known(f: Callable, way: Way) -> Any:
    """What a function of ours gives, worked out once."""
    return way.outcome(f)


def diagnose(f: Callable, spec: ModuleType, with_gradients: bool) -> str:
    """Which known wrong answer `f` behaves like in every way, or in most of those in which its values are wrong.

    Nothing, where no way tells it from the key: what the check says is all that is known.
    """
    bank, tried = wrong_answers(spec), ways_of(f, spec, with_gradients)
    of_f = functools.cache(lambda way: way.outcome(f))
    off = [way for way in tried if not alike(of_f(way), known(key_of(spec), way))]
    if not off:
        return ""
    if not alike(of_f(off[0]), off[0].outcome(f)):
        return RANDOM
    # where it is wrong first: few mistakes agree there, and most of the bank is never run on the rest
    order = [*off, *(way for way in tried if way not in off)]
    # a ValueError that is missing besides has a check of its own to tell it
    for ordered in (order, [way for way in order if way.kind != "refused"]):
        if ordered[:1] and ordered[0] in off and (found := _agreeing(bank, ordered, of_f)):
            return f"looks like: {found[0].hint}"  # type: ignore[attr-defined]
    values = [way for way in off if way.kind == "value" and _tells(of_f(way))]
    if (part := _most_like(bank, values, of_f)) is not None:
        return f"in part like: {part.hint}\nand there is more: a second mistake, or a new one"  # type: ignore[attr-defined]
    return UNKNOWN


def _agreeing(bank: list[Callable], tried: list[Way], of_f: Callable[[Way], Any]) -> list[Callable]:
    """The known wrong answers that agree in every way; each is run only until it does not."""
    for way in tried:
        bank = [bad for bad in bank if alike(of_f(way), known(bad, way))]
    return bank


def _most_like(bank: list[Callable], off: list[Way], of_f: Callable[[Way], Any]) -> Callable | None:
    """The one that explains more of the wrong values than any other, and at least two thirds of them."""
    need = max(2, -(-2 * len(off) // 3))
    explained = dict.fromkeys(bank, 0)
    for n, way in enumerate(off, 1):
        for bad in list(explained):
            explained[bad] += alike(of_f(way), known(bad, way))
            if explained[bad] + len(off) - n < need:
                del explained[bad]
    best = sorted(explained, key=lambda bad: -explained[bad])
    if not best or (len(best) > 1 and explained[best[0]] == explained[best[1]]):
        return None
    return best[0]


def _tells(outcome: Any) -> bool:
    """Whether a result is large enough for a coincidence to be unlikely."""
    if isinstance(outcome, (tuple, list)):
        return any(map(_tells, outcome))
    return isinstance(outcome, torch.Tensor) and outcome.dtype != torch.bool and outcome.numel() >= FEW


def alike(a: Any, b: Any) -> bool:
    """Equal as far as a learner could tell: same structure and dtype, values within the tolerance, NaN where NaN."""
    if isinstance(a, (tuple, list)) and isinstance(b, (tuple, list)):
        return len(a) == len(b) and all(alike(x, y) for x, y in zip(a, b, strict=True))
    if isinstance(a, torch.Tensor) and isinstance(b, torch.Tensor):
        if (a.shape, a.dtype, a.device) != (b.shape, b.dtype, b.device):
            return False
        if a.is_meta:
            return True
        if torch.equal(a, b):  # a tenth of the time, and most often so
            return True
        off = FLOAT32 if a.dtype == torch.float32 else TOLERANCE
        return torch.allclose(a, b, rtol=off, atol=off, equal_nan=True)
    return type(a) is type(b) and a == b
