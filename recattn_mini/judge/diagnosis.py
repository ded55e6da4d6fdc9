"""Which known wrong answer does an answer behave like? Same outputs on every input, and same gradients."""

import functools
from collections.abc import Callable
from types import ModuleType
from typing import Any

import torch

from recattn_mini.exercises._spec import Mistake, gradients
from recattn_mini.judge.answer import Raised

TOLERANCE = 1e-9


def wrong_answers(spec: ModuleType) -> list[Callable]:
    """The functions of the spec that are marked @wrong, in the order they stand there."""
    return [f for f in vars(spec).values() if hasattr(f, "hint")]


def behaviour(f: Callable, spec: ModuleType) -> list[Any]:
    """What `f` gives on every input of the spec, then every gradient; an error counts by its kind."""
    return [_outcome(how, f, case) for how in (_value, gradients) for case in spec.inputs().values()]


def looks_like(f: Callable, spec: ModuleType, with_gradients: bool) -> str | None:
    """The hint of the known wrong answer that `f` behaves like, or None: then it is more than one, or a new one."""
    cases = len(spec.inputs())
    seen: list[Any] = []
    for bad, known in _bank(spec).items():
        for n in range(len(known) if with_gradients else cases):
            if n == len(seen):
                how, case = (_value, gradients)[n // cases], list(spec.inputs().values())[n % cases]
                seen.append(_outcome(how, f, case))
            if not alike(seen[n], known[n]):
                break
        else:
            return bad.hint  # type: ignore[attr-defined]
    return None


@functools.cache
def _bank(spec: ModuleType) -> dict[Callable, list[Any]]:
    return {bad: behaviour(bad, spec) for bad in wrong_answers(spec)}


def _value(f: Callable, *args: Any) -> Any:
    return f(*args)


def _outcome(how: Callable, f: Callable, case: tuple) -> Any:
    try:
        with torch.set_grad_enabled(how is gradients):
            return how(f, *(a.clone() if isinstance(a, torch.Tensor) and a.is_contiguous() else a for a in case))
    except Mistake as mistake:
        return str(mistake)
    except Raised as raised:
        return type(raised.error)
    except Exception as error:
        return type(error)


def alike(a: Any, b: Any) -> bool:
    """Equal as far as a learner could tell: same structure and dtype, values within the tolerance, NaN where NaN."""
    if isinstance(a, (tuple, list)) and isinstance(b, (tuple, list)):
        return len(a) == len(b) and all(alike(x, y) for x, y in zip(a, b, strict=True))
    if isinstance(a, torch.Tensor) and isinstance(b, torch.Tensor):
        same_kind = a.shape == b.shape and a.dtype == b.dtype
        return same_kind and torch.allclose(a, b, rtol=TOLERANCE, atol=TOLERANCE, equal_nan=True)
    return type(a) is type(b) and a == b
