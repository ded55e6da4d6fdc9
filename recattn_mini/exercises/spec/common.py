"""What every exercise is asked besides its own checks, as far as it applies, and the mistakes that these catch.

examples   the examples of the docstring, compared as numbers to the digits that are printed
float32    the dtype is kept and float64's range not needed: by a PyTorch form, and by NumPy's if its docstring says so
device     a PyTorch form works where its inputs are and makes its tensors there
refused    what the docstring calls an error is a ValueError: `refused()` of the spec, by what is wrong
nothing    a module gives the same after other calls as when it is new
"""

import contextlib
import doctest
import functools
import inspect
import io
import math
import numbers
import re
import sys
from collections.abc import Callable, Iterator
from types import ModuleType
from typing import Any

import numpy as np
import torch
from torch import nn

from recattn_mini.exercises.spec import (
    TOLERANCE,
    Mistake,
    Named,
    Raised,
    copy_of,
    module_only,
    one_number,
    same,
    teaching,
    torch_only,
    wrong,
)
from recattn_mini.exercises.spec.places import Places

FLOAT32 = 1e-4  # relative; float32 holds seven digits, and a sum of a few dozen terms loses one or two
NUMBER = re.compile(r"(?<![\w.])[-+]?(?:\d+\.?\d*(?:e[-+]?\d+)?|inf|nan)(?!\w)|True|False")


@functools.cache
def key_of(spec: ModuleType) -> Callable:
    """The library's function for tensors; where there is one for arrays alone, that one, given tensors."""
    name = spec.__name__.rsplit(".", 1)[1]
    if hasattr(spec, name):
        return getattr(spec, name)
    of_arrays = getattr(spec, f"{name}_numpy")

    @functools.wraps(of_arrays)
    def of_tensors(*args: Any) -> Any:
        out = of_arrays(*(x.numpy() if isinstance(x, torch.Tensor) else x for x in args))
        return tuple(map(torch.from_numpy, out)) if isinstance(out, tuple) else torch.from_numpy(out)

    return of_tensors


@functools.cache
def common_checks(spec: ModuleType) -> list[Callable]:
    """Those that apply to the exercise."""
    applies = {
        check_examples: True,
        check_float32: bool(float32_cases(spec)),
        check_device: bool(cases_elsewhere(spec)),
        check_refused: hasattr(spec, "refused"),
        check_keeps_nothing: hasattr(spec, "call_module"),
    }
    asked: list[Callable] = [
        functools.update_wrapper(functools.partial(c, spec), c) for c, does in applies.items() if does
    ]
    if not any(_is_float(x) for _, want in float32_cases(spec).values() for x in _tensors(want)):
        asked = [teaching(c) if c.__name__ == "check_float32" else c for c in asked]  # no dtype to lose
    return asked


@functools.cache
def common_mistakes(spec: ModuleType) -> list[Callable]:
    """Known wrong answers to any exercise: the key, with something done to its inputs or to its results."""
    key = key_of(spec)
    made = []
    if any(1 in x.shape for case in spec.inputs().values() for x in _tensors(key(*case))):
        made.append(_after(key, squeezed))
    kinds = {x.dtype for _, want in float32_cases(spec).values() for x in _tensors(want)}
    if torch.float32 in kinds:
        made.append(_before(key, widened))
    elif torch.float64 in kinds:
        made.append(_narrowing(key))
    if cases_elsewhere(spec):
        made.append(_after(key, made_elsewhere))
    if hasattr(spec, "refused"):
        made.append(_let_through(key, "nothing_refused", "is let through", None))
        if inspect.signature(key).return_annotation is float:
            made.append(_let_through(key, "refused_as_nan", "gives NaN", math.nan))
            made.append(_let_through(key, "refused_as_zero", "gives 0", 0.0))
    return made


@wrong("axes of size 1 are squeezed away: keep the shape, also where there is only one of something")
def squeezed(x: torch.Tensor) -> torch.Tensor:
    return x.squeeze()


@wrong("float32 came in and float64 goes back: the result has the dtype of the inputs")
def widened(x: Any) -> Any:
    return x.double() if _is_float(x) else x


def _narrowing(key: Callable) -> Callable:
    @wrong("the result has the float32 of the inputs: it is float64 whatever comes in")
    def narrowed(*case: Any) -> Any:
        out, narrow = key(*case), any(_is_float(x) and x.dtype == torch.float32 for x in case)
        return out.float() if narrow and isinstance(out, torch.Tensor) and out.dtype == torch.float64 else out

    return narrowed


@wrong("the result is made on the default device, not on that of the inputs: give it device=….device")
def made_elsewhere(x: torch.Tensor) -> torch.Tensor:
    made = torch.empty(x.shape, dtype=x.dtype)
    return made.copy_(x)


def _before(key: Callable, change: Callable) -> Callable:
    return functools.update_wrapper(lambda *case: key(*map(change, case)), change)


def _after(key: Callable, change: Callable) -> Callable:
    def mistaken(*case: Any) -> Any:
        out = key(*case)
        return tuple(map(change, out)) if isinstance(out, tuple) else change(out)

    return functools.update_wrapper(mistaken, change)


def _let_through(key: Callable, name: str, what: str, result: float | None) -> Callable:
    def mistaken(*case: Any) -> Any:
        try:
            return key(*case)
        except ValueError:
            return result

    mistaken.__name__ = name
    return wrong(f"what the docstring calls an error {what}: raise the ValueError that it promises")(mistaken)


def _tensors(out: Any) -> list[torch.Tensor]:
    return [x for x in (out if isinstance(out, tuple) else (out,)) if isinstance(x, torch.Tensor)]


@teaching
def check_examples(spec: ModuleType, f: Callable) -> None:
    "the examples of its docstring come out as they are printed there"
    learners = getattr(f, "learners", f)
    key = getattr(spec, learners.__name__, None) or key_of(spec)
    library = vars(inspect.getmodule(inspect.unwrap(key)))
    asked = _rounded_too(learners) if getattr(f, "is_number", False) else learners
    space = {"torch": torch, "np": np, "math": math, "nn": nn, **library, key.__name__: asked}
    guarded = getattr(f, "guarded", lambda call: call())
    for example in _examples(key):
        shown = f">>> {example.source.strip()}"
        try:
            values = guarded(functools.partial(_shown_by, example.source, space))
        except Raised as raised:
            if example.exc_msg is None or not isinstance(raised.error, ValueError):
                raise
            continue
        if example.exc_msg is not None:
            raise Mistake(f"{shown}\nis to raise a ValueError, and raised nothing")
        if not _agree(said := list(_numbers(values)), example.want):
            gave = " ".join(f"{x:g}" for x in said) or "no number"
            raise Mistake(f"{shown}\ngave {gave}, and not\n{example.want.strip()}")


def _rounded_too(learners: Callable) -> Callable:
    """Where any one number will do: examples round it, and print it as a float."""

    @functools.wraps(learners)
    def of_a_number(*args: Any, **kwargs: Any) -> Any:
        out = learners(*args, **kwargs)
        return out if (number := one_number(out)) is None else number

    return of_a_number


def _examples(key: Callable) -> list[doctest.Example]:
    """The examples of a function; those of a class stand in its own docstring or in that of `forward`."""
    parts = [key, vars(key).get("forward")] if inspect.isclass(key) else [key]
    return [e for part in parts for e in doctest.DocTestParser().get_examples(inspect.getdoc(part) or "")]


def _shown_by(source: str, space: dict[str, Any]) -> list[Any]:
    """The values that an example shows or prints; what the answer itself prints is not among them."""
    values: list[Any] = []
    space["print"] = lambda *some, **_: values.extend(some)
    hook, sys.displayhook = sys.displayhook, values.append
    try:
        printing = {"print": lambda *some, **_: values.extend(some)}
        exec(
            compile(source, "an example of the docstring", "single"), space | printing if "print(" in source else space
        )
    finally:
        sys.displayhook = hook
    return values


def _numbers(value: Any) -> Iterator[float]:
    if isinstance(value, (tuple, list)):
        for one in value:
            yield from _numbers(one)
    elif issubclass(type(value), torch.Tensor):
        with torch._C.DisableTorchFunctionSubclass():
            yield from torch.Tensor.double(value.detach().cpu()).flatten().tolist()
    elif isinstance(value, (np.ndarray, np.generic)) and value.dtype.kind in "biuf":
        yield from np.asarray(value, dtype=np.float64).ravel().tolist()
    elif isinstance(value, numbers.Real):
        yield float(value)
    elif isinstance(value, str):
        yield from map(_number, NUMBER.findall(value))


def _number(text: str) -> float:
    return float({"True": "1", "False": "0"}.get(text, text))


def _agree(said: list[float], want: str) -> bool:
    """The same numbers, each to the digits that are printed."""
    printed = NUMBER.findall(re.sub(r"(dtype|device|grad_fn)=[^,)]+", "", want))
    return len(said) == len(printed) and all(map(_near, said, printed))


def _near(x: float, printed: str) -> bool:
    digits, _, exponent = printed.lower().partition("e")
    off = 0.51 * 10.0 ** (int(exponent or 0) - max(4, len(digits.partition(".")[2])))
    y = _number(printed)
    return math.isclose(x, y, rel_tol=0, abs_tol=off) or (math.isnan(x) and math.isnan(y))


def check_float32(spec: ModuleType, f: Callable) -> None:
    "float32 comes in, as in training: the result has the key's dtype, and is right to float32's digits"
    if getattr(f, "is_numpy", False) and not arrays_keep_their_dtype(spec):
        return
    for case, want in float32_cases(spec).values():
        with torch.no_grad():
            same(f(*map(copy_of, case)), want, tolerance=FLOAT32)


@functools.cache
def arrays_keep_their_dtype(spec: ModuleType) -> bool:
    """Whether the docstring of the NumPy form promises it; a number has none."""
    of_arrays = getattr(spec, f"{spec.__name__.rsplit('.', 1)[1]}_numpy", None)
    if of_arrays is None or inspect.signature(of_arrays).return_annotation is float:
        return False
    return "dtype" in (of_arrays.__doc__ or "") and bool(float32_cases(spec))


@functools.cache
def float32_cases(spec: ModuleType) -> dict[str, tuple[tuple, Any]]:
    """Inputs in float32 with what the key makes of them, where it loses no more than float32's own digits."""
    key = key_of(spec)
    if key.__name__.endswith("_numpy"):
        return {}
    cases = {name: tuple(map(_narrowed, case)) for name, case in spec.inputs().items() if any(map(_is_float, case))}
    found = {}
    for name, case in cases.items():
        if any(isinstance(x, torch.Tensor) and x.is_meta for x in case):
            continue
        with torch.no_grad(), contextlib.suppress(ValueError):  # a tiny chance may be 0 in float32, and refused
            want, exact = key(*case), key(*map(widened, case))
            is_bool = isinstance(want, torch.Tensor) and want.dtype == torch.bool  # which no digits go into
            if not is_bool and _near_enough(want, exact):
                found[name] = case, want
    return found


def _is_float(x: Any) -> bool:
    return isinstance(x, torch.Tensor) and x.is_floating_point()


def _narrowed(x: Any) -> Any:
    return x.float() if _is_float(x) else x


def _near_enough(want: Any, exact: Any) -> bool:
    if isinstance(want, tuple):
        return all(map(_near_enough, want, exact))
    want, exact = torch.as_tensor(want).double(), torch.as_tensor(exact).double()
    return want.shape == exact.shape and torch.allclose(want, exact, FLOAT32 / 10, FLOAT32 / 10, equal_nan=True)


@torch_only
def check_device(spec: ModuleType, f: Callable) -> None:
    "inputs on a GPU: what the answer makes on the way is made there too, and so is the result"
    if inspect.isclass(getattr(f, "learners", f)):
        return  # what a module makes when it is built is moved along with it
    for case in cases_elsewhere(spec):
        place = place_of_result(f, tuple(map(copy_of, case)))
        if place == "mixed":
            raise Named("a tensor that you make meets an input, on a GPU on two devices: give it device=….device")
        if place == "made":
            raise Named("the result is made on the default device, not on that of the inputs: give it device=….device")


@functools.cache
def cases_elsewhere(spec: ModuleType) -> list[tuple]:
    """Inputs with which the key stays where they are, if its docstring says so."""
    key = key_of(spec)
    if key.__name__.endswith("_numpy") or "device" not in (key.__doc__ or ""):
        return []
    return [case for case in spec.inputs().values() if place_of_result(key, case) == "with the inputs"]


def place_of_result(f: Callable, case: tuple) -> str:
    """Where the result would be if the inputs were on another device; "" where no tensor comes back."""
    try:
        with torch.no_grad(), Places() as places:
            out = f(*case)
    except Exception:
        return ""
    first = out[0] if isinstance(out, (tuple, list)) and out else out
    if not isinstance(first, torch.Tensor):
        return ""
    return "mixed" if places.mixed else "made" if places.is_made(first) else "with the inputs"


def check_refused(spec: ModuleType, f: Callable) -> None:
    "what the docstring calls an error is a ValueError"
    for what, case in spec.refused().items():
        try:
            f(*case)
        except Raised as raised:
            if not isinstance(raised.error, ValueError):
                told = f"{type(raised.error).__name__}: {raised.error}"
                raise Named(f"{what}: a ValueError is expected, got {told}") from None
        except ValueError:
            continue
        else:
            raise Mistake(f"{what}: a ValueError is expected, and nothing was raised")


@module_only
def check_keeps_nothing(spec: ModuleType, f: Any) -> None:
    "a module gives the same after other calls as when it is new"

    def outcome(module: Callable, case: tuple) -> Any:
        with contextlib.suppress(Raised), torch.no_grad():
            return f.guarded(lambda: spec.call_module(module, *map(copy_of, case)))
        return None

    cases = spec.inputs()
    plain, masked = cases["no mask"], next(case for name, case in cases.items() if "mask" in name and name != "no mask")
    other = tuple(1.5 * x if _is_float(x) else x for x in masked)
    kept = functools.cache(f.learners)  # one module for all calls
    for case in (masked, other, plain, masked):
        new = outcome(f.learners, case)
        if _close(new, outcome(kept, case)):
            continue
        if not _close(new, outcome(f.learners, case)):
            raise Named("two calls differ: draw no weights in forward, and drop out by self.dropout, in training only")
        raise Named("after another call the same one gives something else: keep no mask, keys or values on self")


def _close(x: Any, y: Any) -> bool:
    if not (isinstance(x, torch.Tensor) and isinstance(y, torch.Tensor)):
        return type(x) is type(y)
    return x.shape == y.shape and torch.allclose(x, y, TOLERANCE, TOLERANCE, equal_nan=True)
