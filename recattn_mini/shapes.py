"""What a public function takes, written once above it and checked at its edge, so that bodies stay readable.

    @takes(q="... t d", k="... s d", mask="bool (... t s)")
    def attention(q, k, mask=None): ...

A letter is an axis and has one size in the whole call (`d+c` is the sum of two); `...` stands for any leading axes,
the same ones everywhere. Parentheses mean "broadcasts to". A first word `bool` or `int` names the dtype; without one
it is floating point. A `_numpy` function takes arrays, any other takes tensors. `None` is left alone: the argument
was optional.
"""

import functools
import inspect
import numbers
from collections.abc import Callable
from typing import Any, NamedTuple, ParamSpec, TypeVar

import numpy as np
import torch

P = ParamSpec("P")
R = TypeVar("R")
Sizes = dict[str, tuple[tuple[int, ...], str]]  # axis → its size (of "...": sizes), and the argument that fixed it


class Expected(NamedTuple):
    axes: tuple[str, ...]
    dtype: str
    broadcasts: bool

    @classmethod
    def parse(cls, text: str) -> "Expected":
        dtype, axes = text.split(" ", 1) if text.startswith(("bool ", "int ")) else ("float", text)
        return cls(tuple(axes.strip("()").split()), dtype, axes.startswith("("))


def _dtype(x: Any) -> str:
    if isinstance(x, torch.Tensor):
        return "bool" if x.dtype == torch.bool else "float" if x.dtype.is_floating_point else "int"
    return {"b": "bool", "f": "float"}.get(x.dtype.kind, "int")


def _split(shape: tuple[int, ...], axes: tuple[str, ...]) -> dict[str, tuple[int, ...]] | None:
    """The size of each axis of `shape`, or None if their number is wrong."""
    letters = axes[axes[0] == "..." :]
    lead = len(shape) - len(letters)
    if lead < 0 or (lead > 0 and len(letters) == len(axes)):
        return None
    sizes: dict[str, tuple[int, ...]] = {"...": shape[:lead]} if len(letters) < len(axes) else {}
    return sizes | {axis: (n,) for axis, n in zip(letters, shape[lead:], strict=True)}


def _size(axis: str, sizes: Sizes) -> tuple[int, ...] | None:
    if "+" in axis:
        return (sum(sizes[part][0][0] for part in axis.split("+")),)
    return sizes[axis][0] if axis in sizes else None


def _fits(shape: tuple[int, ...], expected: Expected, sizes: Sizes) -> bool:
    if expected.broadcasts:
        target = [n for axis in expected.axes for n in _size(axis, sizes) or ()]
        return len(shape) <= len(target) and all(
            n in (1, want) for n, want in zip(reversed(shape), reversed(target), strict=False)
        )
    own = _split(shape, expected.axes)
    return own is not None and all(_size(axis, sizes) in (None, n) for axis, n in own.items())


def _check(name: str, x: Any, expected: Expected, form: type[Any], sizes: Sizes) -> None:
    """Raise what is wrong with one argument; otherwise add the axes it fixes to `sizes`."""
    if not isinstance(x, form):
        want = "numpy.ndarray" if form is np.ndarray else "torch.Tensor"
        raise ValueError(f"{name} must be a {want}, got {type(x).__module__}.{type(x).__qualname__}")
    if _dtype(x) != expected.dtype:
        meaning = " (True = may attend)" if expected.dtype == "bool" else ""
        raise ValueError(f"{name} must be {expected.dtype}{meaning}, got {x.dtype}")
    shape = tuple(x.shape)
    if not _fits(shape, expected, sizes):
        known = [(axis, *sizes[axis]) for part in expected.axes for axis in part.split("+") if axis in sizes]
        raise ValueError(
            f"{name} must {'broadcast to' if expected.broadcasts else 'be'} ({' '.join(expected.axes)}), "
            + "".join(f"{axis} = {' '.join(map(str, n)) or 'none'} as in {owner}, " for axis, n, owner in known)
            + f"got {shape}"
        )
    if expected.broadcasts:
        return
    if 0 in shape:
        raise ValueError(f"{name} has an empty axis, got {shape}; give an empty history one padding key and mask it")
    for axis, n in (_split(shape, expected.axes) or {}).items():
        sizes.setdefault(axis, (n, name))


def takes(**texts: str) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Hold the named arguments to the given axes; anything else is a ValueError that says which, what and why.

    >>> @takes(q="... t d", k="... s d")
    ... def scores(q, k):
    ...     return q @ k.mT
    >>> scores(torch.ones(2, 5, 7), torch.ones(2, 11, 8))
    Traceback (most recent call last):
    ValueError: k must be (... s d), ... = 2 as in q, d = 7 as in q, got (2, 11, 8)
    """
    # what broadcasts is held to the sizes that the others fix, so it comes last
    every = sorted(((name, Expected.parse(text)) for name, text in texts.items()), key=lambda item: item[1].broadcasts)

    def decorate(function: Callable[P, R]) -> Callable[P, R]:
        signature = inspect.signature(function)
        form = np.ndarray if function.__name__.endswith("_numpy") else torch.Tensor

        @functools.wraps(function)
        def checked(*args: P.args, **kwargs: P.kwargs) -> R:
            if not torch.compiler.is_compiling():  # a compiled graph has checked its shapes already
                arguments, sizes = signature.bind(*args, **kwargs).arguments, Sizes()
                for name, expected in every:
                    x = arguments.get(name)
                    if x is not None and not (expected.broadcasts and isinstance(x, numbers.Real)):
                        _check(name, x, expected, form, sizes)
            return function(*args, **kwargs)

        return checked

    return decorate
