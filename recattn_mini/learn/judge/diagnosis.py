"""Which known wrong answer does an answer behave like? Same outputs on every input, and same gradients."""

import functools
from collections.abc import Callable, Iterator
from types import ModuleType
from typing import Any

import torch

from recattn_mini.exercises.spec import TOLERANCE, Mistake, float64, gradients

UNKNOWN = "not a mistake we know: more than one, or a new one"


def wrong_answers(spec: ModuleType) -> list[Callable]:
    """The functions of the spec that are marked @wrong, in the order they stand there."""
    return [f for f in vars(spec).values() if hasattr(f, "hint")]


def behaviour(f: Callable, spec: ModuleType, with_gradients: bool) -> Iterator[Any]:
    """What `f` gives on every input of the spec, then, one by one as they are asked for, the gradients."""
    for how in (_value, gradients) if with_gradients and getattr(spec, "DIFFERENTIABLE", True) else (_value,):
        for case in spec.inputs().values():
            yield _outcome(how, f, case)


def diagnose(f: Callable, right: Callable, spec: ModuleType, with_gradients: bool) -> str:
    """Which known wrong answer `f` behaves like: everywhere, or else on most of the inputs where it is not right."""
    seen = list(behaviour(f, spec, with_gradients))
    explains = {
        bad: [alike(s, k) for s, k in zip(seen, known, strict=False)] for bad, known in known_wrong(spec).items()
    }
    off = [not alike(s, r) for s, r in zip(seen, behaviour(right, spec, with_gradients), strict=True)]
    for bad, explained in explains.items():
        if all(explained) and any(off):  # on inputs where it is right, it is like every mistake of the gradient
            return f"looks like: {bad.hint}"  # type: ignore[attr-defined]
    explains = {
        bad: [e for e, is_off in zip(explained, off, strict=True) if is_off] for bad, explained in explains.items()
    }
    best = max(explains, key=lambda bad: sum(explains[bad]))
    if any(explains[best]):
        return f"in part like: {best.hint}\nand there is more: a second mistake, or a new one"  # type: ignore[attr-defined]
    return UNKNOWN


@functools.cache
def known_wrong(spec: ModuleType) -> dict[Callable, list[Any]]:
    """What every known wrong answer gives, worked out once."""
    return {bad: list(behaviour(bad, spec, with_gradients=True)) for bad in wrong_answers(spec)}


def _value(f: Callable, *args: Any) -> Any:
    with torch.no_grad():
        out = f(*args)
    return float64(out) if isinstance(out, float) else out


def _outcome(how: Callable, f: Callable, case: tuple) -> Any:
    """A result, or that there was none: an error counts alike in NumPy and in PyTorch."""
    try:
        return how(f, *case)
    except Mistake as mistake:
        return str(mistake)
    except Exception:
        return "raised"


def alike(a: Any, b: Any) -> bool:
    """Equal as far as a learner could tell: same structure and dtype, values within the tolerance, NaN where NaN."""
    if isinstance(a, (tuple, list)) and isinstance(b, (tuple, list)):
        return len(a) == len(b) and all(alike(x, y) for x, y in zip(a, b, strict=True))
    if isinstance(a, torch.Tensor) and isinstance(b, torch.Tensor):
        if (a.shape, a.dtype, a.device) != (b.shape, b.dtype, b.device):
            return False
        return a.is_meta or torch.allclose(a, b, rtol=TOLERANCE, atol=TOLERANCE, equal_nan=True)
    return type(a) is type(b) and a == b
