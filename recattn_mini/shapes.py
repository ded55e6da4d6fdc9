"""What a public function takes, written once above it and checked at its edge, so that bodies stay readable.

    @takes(q="... t d", k="... s d", mask="bool (... t s)")
    def attention(q, k, mask=None): ...

    d            an axis; a letter has one size in the whole call, `d+c` is the sum of two
    ...          any leading axes, the same ones everywhere;  * any leading axes at all
    (... t s)    what broadcasts to these axes;  (...) d  whose leading axes do, while d is exact
    bool, int    the dtype, if it is not floating; floating arguments share theirs
    scores       floating, each argument for itself, without NaN
    gains        numbers of any dtype, finite and not negative;  labels  of any dtype, 0 or 1;  chances  from 0 to 1
    | number     a plain number will do as well
    count        no array: a whole number from 1

A `_numpy` function takes arrays, any other takes tensors. `None` is left alone where the function says it may come.
"""

import functools
import inspect
import math
import numbers
import re
import typing
from collections.abc import Callable, Collection
from typing import Any, NamedTuple, ParamSpec, TypeVar

import numpy as np
import torch

P = ParamSpec("P")
R = TypeVar("R")
KINDS = "bool|int|scores|gains|labels|chances"
ACCEPTED = {"scores": ("float",), **dict.fromkeys(["gains", "labels", "chances"], ("bool", "int", "float"))}
VALUES: dict[str, tuple[str, Callable[[Any], Any]]] = {
    "scores": ("without NaN", lambda x: x == x),
    "gains": ("finite and not negative", lambda x: (x >= 0) & (x != math.inf)),
    "labels": ("0 or 1", lambda x: (x == 0) | (x == 1)),
    "chances": ("probabilities from 0 to 1", lambda x: (x >= 0) & (x <= 1)),
}
Sizes = dict[str, tuple[Any, str]]  # an axis, or "dtype": its size (of "...": sizes), and the argument that fixed it


class Expected(NamedTuple):
    leading: str  # "", "...", "*"
    letters: tuple[str, ...]
    dtype: str
    broadcasts: str  # "" nothing, "leading" the leading axes, "all"
    number: bool

    @classmethod
    def parse(cls, text: str) -> "Expected":
        """Read it from its text, as in `bool (... t s)`."""
        dtype, axes, number = re.fullmatch(rf"(?:({KINDS}) )?(.+?)( \| number)?", text).groups()  # type: ignore[union-attr]
        broadcasts = ""
        if "(" in axes:
            broadcasts = "all" if axes.endswith(")") else "leading"
        words = re.sub(r"[()]", "", axes).split()
        leading = words.pop(0) if words[0] in ("...", "*") else ""
        return cls(leading, tuple(words), dtype or "float", broadcasts, bool(number))

    def __str__(self) -> str:
        return f"({' '.join(filter(None, [self.leading, *self.letters]))})"


def _kind(x: Any) -> str:
    if isinstance(x, torch.Tensor):
        if x.is_complex():
            return "complex"
        if x.is_floating_point():
            return "float"
        return "bool" if x.dtype == torch.bool else "int"
    return {"b": "bool", "f": "float", "i": "int", "u": "int"}.get(x.dtype.kind, "other")


def _size(axis: str, sizes: Sizes) -> int | None:
    parts = [sizes.get(part, (None, ""))[0] for part in axis.split("+")]
    return None if None in parts else sum(parts)


def _broadcasts(shape: tuple[int, ...], target: tuple[int, ...]) -> bool:
    pairs = zip(reversed(shape), reversed(target), strict=False)
    return len(shape) <= len(target) and all(n in (1, want) for n, want in pairs)


def _fits(shape: tuple[int, ...], expected: Expected, sizes: Sizes) -> bool:
    lead: tuple[int, ...] = sizes.get("...", ((), ""))[0]
    if expected.broadcasts == "all":
        return _broadcasts(shape, (*lead, *(_size(axis, sizes) or 1 for axis in expected.letters)))
    cut = len(shape) - len(expected.letters)
    if cut < 0 or (cut > 0 and not expected.leading):
        return False
    if expected.broadcasts == "leading" and not _broadcasts(shape[:cut], lead):
        return False
    if expected.leading == "..." and not expected.broadcasts and "..." in sizes and shape[:cut] != lead:
        return False
    return all(_size(axis, sizes) in (None, n) for axis, n in zip(expected.letters, shape[cut:], strict=True))


def _check(name: str, x: Any, expected: Expected, form: type[Any], sizes: Sizes) -> None:
    """Raise what is wrong with one argument; otherwise add the axes it fixes to `sizes`."""
    if not isinstance(x, form):
        want = "a numpy.ndarray" if form is np.ndarray else "a torch.Tensor"
        or_number = " or a number" if expected.number else ""
        came = f"{type(x).__module__}.{type(x).__qualname__}".removeprefix("builtins.")
        raise ValueError(f"{name} must be {want}{or_number}, got {came}")
    if _kind(x) not in ACCEPTED.get(expected.dtype, (expected.dtype,)):
        want = {"bool": "bool (True = may attend)", "scores": "floating"}.get(expected.dtype, expected.dtype)
        raise ValueError(f"{name} must be {want}, got {x.dtype}")
    first = sizes.setdefault("dtype", (x.dtype, name)) if expected.dtype == "float" else (x.dtype, name)
    if x.dtype != first[0] and not (form is torch.Tensor and _autocasts()):
        raise ValueError(f"{name} must be {first[0]} as {first[1]} is, got {x.dtype}")
    shape = tuple(x.shape)
    if not _fits(shape, expected, sizes):
        known = ""
        for part in [expected.leading, *(part for axis in expected.letters for part in axis.split("+"))]:
            if part in sizes:
                size, fixed_by = sizes[part]
                known += f"{part} = {' '.join(map(str, np.atleast_1d(size))) or 'none'} as in {fixed_by}, "
        verb = {"": "be", "leading": "have leading axes that broadcast, as", "all": "broadcast to"}[expected.broadcasts]
        raise ValueError(f"{name} must {verb} {expected}, {known}got {shape}")
    if expected.dtype in VALUES and _kind(x) != "bool":  # True and False are good gains, labels and chances
        _check_values(name, x, *VALUES[expected.dtype])
    if expected.broadcasts or (expected.leading == "*" and not expected.letters):
        return
    cut = len(shape) - len(expected.letters)
    if 0 in shape:
        no_keys = dict(zip(expected.letters, shape[cut:], strict=True)).get("s") == 0
        cure = "; give an empty history one padding key and mask it" if no_keys else ""
        raise ValueError(f"{name} has an empty axis, got {shape}{cure}")
    if expected.leading == "...":
        sizes.setdefault("...", (shape[:cut], name))
    for axis, n in zip(expected.letters, shape[cut:], strict=True):
        sizes.setdefault(axis, (n, name))


def _check_values(name: str, x: Any, meaning: str, holds: Callable[[Any], Any]) -> None:
    """Name the first value that is not what it should be, and where it stands."""
    good = holds(x)
    if not good.all():
        bad = ~np.asarray(good.cpu() if isinstance(x, torch.Tensor) else good)
        at = tuple(int(i) for i in np.argwhere(bad)[0])
        raise ValueError(f"{name} must be {meaning}, got {x[at].item()} at {at}")


def _check_count(name: str, x: Any) -> None:
    if not isinstance(x, numbers.Integral) or isinstance(x, bool) or x < 1:
        raise ValueError(f"{name} must be a whole number from 1, got {x!r}")


def _check_together(name: str, given: tuple[Any, ...], expected: Expected, form: type[Any]) -> None:
    """Any number of arguments that broadcast to each other."""
    if not given:
        raise ValueError(f"{name} must be at least one, got none")
    for n, x in enumerate(given):
        _check(f"{name}[{n}]", x, expected, form, {})
    shapes = [tuple(x.shape) for x in given]
    try:
        np.broadcast_shapes(*shapes)
    except ValueError:
        raise ValueError(f"{name} must broadcast to each other, got {' and '.join(map(str, shapes))}") from None


def _autocasts() -> bool:
    """Whether torch.autocast is on. One call may then get two dtypes: activations are cast, parameters not yet."""
    return torch.is_autocast_enabled("cpu") or torch.is_autocast_enabled("cuda")


def _looks(x: Any) -> tuple[Any, ...] | None:
    """All of an argument that a check of shapes, dtypes and counts depends on; None if it may depend on more."""
    if x is None:
        return ()
    try:
        return type(x), x.shape, x.dtype
    except AttributeError:
        return (type(x), x) if isinstance(x, (int, float)) else None


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
        parameters = signature.parameters.values()
        optional = {p.name for p in parameters if p.default is None or type(None) in typing.get_args(p.annotation)}
        together = {p.name for p in parameters if p.kind is p.VAR_POSITIONAL}
        by_value = any(expected.dtype in VALUES for _, expected in every)
        passed: set[tuple[Any, ...]] = set()  # shapes and dtypes of good calls: a check costs more than a small product

        @functools.wraps(function)
        def checked(*args: P.args, **kwargs: P.kwargs) -> R:
            if torch.compiler.is_compiling():  # a check would break the graph; torch's own errors apply there
                return function(*args, **kwargs)
            looks = (*map(_looks, args), *kwargs, *map(_looks, kwargs.values()))
            remembered = not by_value and None not in looks
            if not remembered or looks not in passed:
                bound, sizes = signature.bind(*args, **kwargs), Sizes()
                bound.apply_defaults()
                for name, expected in every:
                    x = bound.arguments[name]
                    if expected.letters == ("count",):
                        _check_count(name, x)
                        sizes[name] = (x, name)  # a mask (b h t s) has as many heads as h says
                    elif name in together:
                        _check_together(name, x, expected, form)
                    elif not ((x is None and name in optional) or (expected.number and isinstance(x, numbers.Real))):
                        _check(name, x, expected, form, sizes)
                if remembered and len(passed) < 1000 and not _autocasts():
                    passed.add(looks)
            return function(*args, **kwargs)

        # torch.compile counts recompilations by code object and stops at the ninth, so each function gets a code object
        checked.__code__ = checked.__code__.replace(co_name=function.__name__)  # type: ignore[attr-defined]
        checked.expected = dict(every)  # type: ignore[attr-defined]  # what tests build arguments from
        return checked

    return decorate


def items_of_user(name: str, items: Collection[int], n: int) -> np.ndarray:
    """A user's items as int64; anything but whole numbers from 0 to n - 1 is a ValueError that calls them `name`.

    Unchecked they would do as indices all the same: -1 as the last item, and 1.7 as item 1.

    >>> items_of_user("seen[3]", [4, 0], 5)
    array([4, 0])
    """
    came = np.asarray(items if isinstance(items, np.ndarray) else list(items))
    whole = came.dtype.kind in "iu" or not came.size  # an empty list is float64
    if came.ndim != 1 or not whole or (came.size and not 0 <= came.min() <= came.max() < n):
        raise ValueError(f"{name} must be items from 0 to {n - 1}, got {came.tolist()}")
    return came.astype(np.int64)
