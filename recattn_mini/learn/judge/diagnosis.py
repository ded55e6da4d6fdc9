"""Which known wrong answer does an answer behave like? The same outcome in every way in which it can be called."""

import functools
from collections.abc import Callable
from dataclasses import dataclass
from types import ModuleType
from typing import Any

import torch

from recattn_mini.exercises.spec import TOLERANCE, Mistake, copy_of, float64, gradients
from recattn_mini.exercises.spec.common import (
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

    kind: str  # value, float32, device, gradient
    how: Callable[..., Any]
    case: tuple

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
    inputs = spec.inputs()
    if with_gradients:
        names, in_float32 = getattr(spec, "IN_DEPTH", inputs), float32_cases(spec)
        found = list(ways(spec, False))
        found += [Way("float32", _value, in_float32[name][0]) for name in names if name in in_float32]
        found += [Way("device", _place, case) for case in cases_elsewhere(spec)]
        if getattr(spec, "DIFFERENTIABLE", True):
            found += [Way("gradient", gradients, inputs[name]) for name in names]
        return found
    refused: dict[str, tuple] = getattr(spec, "refused", dict)()
    return [Way("value", _value, case) for case in [*inputs.values(), *refused.values()]]


def _value(f: Callable, *args: Any) -> Any:
    with torch.no_grad():
        out = f(*args)
    return float64(out) if isinstance(out, float) else out


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
    bank, tried = wrong_answers(spec), ways(spec, with_gradients)
    of_f = functools.cache(lambda way: way.outcome(f))
    off = [way for way in tried if not alike(of_f(way), known(key_of(spec), way))]
    if not off:
        return ""
    if not alike(of_f(off[0]), off[0].outcome(f)):
        return RANDOM
    # where it is wrong first: few mistakes agree there, and most of the bank is never run on the rest
    if found := _agreeing(bank, [*off, *(way for way in tried if way not in off)], of_f):
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
        off = 1e-5 if a.dtype == torch.float32 else TOLERANCE
        return torch.allclose(a, b, rtol=off, atol=off, equal_nan=True)
    return type(a) is type(b) and a == b
