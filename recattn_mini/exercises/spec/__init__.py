"""The words that specs are written in: wrong, but, mistakes_of, right, teaching, torch_only, module_only, same.

What several specs share stands once, in this folder:

    attention       inputs of every kind for attention, and the mistakes of scaling, masking and weighing
    heads           the mistakes of projecting, splitting and joining heads
    modules         a learner's module as a function of its weights
    common          what every exercise is asked: its examples, float32, another device, its ValueErrors
"""

import functools
import inspect
import numbers
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

import numpy as np
import torch

TOLERANCE = 1e-9


class Mistake(AssertionError):
    """What is wrong with an answer, in words for the one who wrote it."""


class Named(Mistake):
    """A mistake whose message already says which one it is: a wrong kind, dtype or number of results."""


class Raised(Exception):
    """The learner's own code raised `error`."""

    def __init__(self, error: BaseException) -> None:
        super().__init__()
        self.error = error


def wrong(hint: str) -> Callable[[Callable], Callable]:
    """Mark a known wrong answer; `hint` is what a learner who wrote it is told."""

    def mark(function: Callable) -> Callable:
        function.hint = hint  # type: ignore[attr-defined]
        return function

    return mark


def but(answer: Callable, hint: str, **parts: Any) -> Callable:
    """A known wrong answer: the right one, `answer`, with some of its parts replaced.

    A spec writes its answer once, with what can go wrong as keyword arguments; a mistake names the part and the hint.
    """
    parameters = inspect.signature(answer).parameters.values()
    names = [p.name for p in parameters if p.kind is p.KEYWORD_ONLY]
    if (unknown := set(parts) - set(names)) and not any(p.kind is p.VAR_KEYWORD for p in parameters):
        raise ValueError(f"parts must be among {names}, got {sorted(unknown)}")

    def mistaken(*args: Any) -> Any:
        return answer(*args, **parts)

    return wrong(hint)(mistaken)


def mistakes_of(answer: Callable, **parts: dict[str, tuple[str, Any]]) -> list[Callable]:
    """A known wrong answer for each thing that a part may be replaced by: part={name: (hint, replacement)}."""
    found = []
    for part, mistakes in parts.items():
        for name, (hint, other) in mistakes.items():
            mistaken = but(answer, hint, **{part: other})
            mistaken.__name__ = name
            found.append(mistaken)
    return found


def right(function: Callable) -> Callable:
    """Mark a right answer that is written differently: einsum, a loop, another order."""
    function.is_right = True  # type: ignore[attr-defined]
    return function


def teaching(check: Callable) -> Callable:
    """Mark a check that rejects nothing that others let through; it is there for its sentence."""
    check.teaches = True  # type: ignore[attr-defined]
    return check


def torch_only(check: Callable) -> Callable:
    """Mark a check that NumPy forms are not asked: it differentiates the answer, or moves it to a device."""
    check.torch_only = True  # type: ignore[attr-defined]
    return check


def module_only(check: Callable) -> Callable:
    """Mark a check that only modules are asked: a function keeps nothing from call to call."""
    check.module_only = True  # type: ignore[attr-defined]
    return check


class Drawn(Mapping[str, tuple]):
    """Inputs by name, copied as they are taken: an answer may change what it is given."""

    def __init__(self, cases: dict[str, tuple]) -> None:
        self._cases = cases

    def __getitem__(self, name: str) -> tuple:
        """Tensors with numbers of their own."""
        return tuple(map(copy_of, self._cases[name]))

    def __iter__(self) -> Iterator[str]:
        """The names, in order."""
        return iter(self._cases)

    def __len__(self) -> int:
        """How many there are."""
        return len(self._cases)


def drawn_once(inputs: Callable[[], dict[str, tuple]]) -> Callable[[], Drawn]:
    """Work the inputs of a spec out once, and hand out copies."""
    drawn = functools.cache(inputs)
    return lambda: Drawn(drawn())


def copy_of(x: Any) -> Any:
    """A tensor with numbers of its own, in the same memory layout; anything else as it is."""
    if not isinstance(x, torch.Tensor):
        return x
    if x.is_contiguous() or 0 in x.stride():  # nothing can be written to what is expanded
        return x.clone()
    return torch.empty_strided(x.shape, x.stride(), dtype=x.dtype, device=x.device).copy_(x)  # clone packs a slice


def random_tensors(*shapes: tuple[int, ...], seed: int = 0) -> list[torch.Tensor]:
    """Standard normal float64 tensors from NumPy's frozen stream."""
    rng = np.random.RandomState(seed)
    return [torch.from_numpy(rng.randn(*shape)) for shape in shapes]


def float64(values: Any) -> torch.Tensor:
    """A float64 tensor of literals; by way of float32 a logarithm would lose half its digits."""
    return torch.tensor(values, dtype=torch.float64)


class Gradients(tuple):
    """One for each floating input; None where no gradient arrived."""


def gradients(f: Callable, *args: Any) -> Gradients:
    """The gradients of every floating input under a random upstream gradient (a sum would hide softmax's)."""
    args = tuple(a.detach().requires_grad_(a.is_floating_point()) if isinstance(a, torch.Tensor) else a for a in args)
    leaves = [a for a in args if isinstance(a, torch.Tensor) and a.requires_grad]
    out = f(*args)
    if not isinstance(out, torch.Tensor) or not out.requires_grad:
        return Gradients([None] * len(leaves))
    upstream = torch.from_numpy(np.asarray(np.random.RandomState(1).randn(*out.shape))).to(out.dtype)
    try:
        # as a product: to be given it, autograd.grad imports SymPy, a second of the first check
        return Gradients(torch.autograd.grad((out * upstream).sum(), leaves, allow_unused=True))
    except Exception as error:  # also what the backward of a Function of the learner's own raises
        told = next(iter(str(error).splitlines()), "")
        raise Mistake(f"autograd cannot differentiate it: {type(error).__name__}: {told}") from None


def one_number(x: Any) -> float | None:
    """The number that it is, in whatever form: a float, NumPy's, an array or a tensor without axes; else None."""
    if isinstance(x, torch.Tensor):
        return float(x.detach()) if x.dim() == 0 and not x.is_complex() and x.dtype != torch.bool else None
    if isinstance(x, np.ndarray):
        return float(x) if x.ndim == 0 and x.dtype.kind in "fiu" else None
    return float(x) if isinstance(x, numbers.Real) and not isinstance(x, bool) else None


def same_parameters(built: torch.nn.Module, weights: dict[str, torch.Tensor]) -> None:
    """A learner's module has just these parameters, of these sizes."""
    got = {name: tuple(p.shape) for name, p in built.named_parameters()}
    want = {name: tuple(w.shape) for name, w in weights.items()}
    if got != want:
        raise Named(f"its parameters are {got}, expected {want}: keep the __init__ that is given")


def finite(found: tuple[torch.Tensor | None, ...], names: tuple[str, ...]) -> None:
    """No NaN and no infinity in any gradient; one that never arrived is another check's business."""
    for gradient, name in zip(found, names, strict=True):
        if gradient is not None and not gradient.isfinite().all():
            raise Mistake(f"the gradient of {name} is not finite in {int((~gradient.isfinite()).sum())} places")


def same(got: Any, want: Any, names: tuple[str, ...] = (), what: str = "", tolerance: float = TOLERANCE) -> None:
    """Same structure, dtype, shape and values; otherwise say what came, what was expected, where it is worst.

    `names` are those of several results; `tolerance` is relative, and absolute below 1.
    """
    if isinstance(want, tuple):
        if not isinstance(got, (tuple, list)) or len(got) != len(want):
            raise Named(f"{len(want)} results are expected, as a tuple; got {_name(got)}")
        for n, (one, other) in enumerate(zip(got, want, strict=True)):
            name = names[n] if names else f"result {n}"
            if isinstance(want, Gradients) and one is None and other is not None:
                raise Mistake(f"{name} gets no gradient: is it not used, or cut off by detach?")
            same(one, other, what=f"{name}: ", tolerance=tolerance)
        return
    if want is None:
        return
    asked = "number" if isinstance(want, float) else "array"
    want = float64(want) if isinstance(want, float) else want
    if got is None:
        raise Named(what + "nothing came back (None): is a return missing?")
    if not isinstance(got, torch.Tensor):
        raise Named(f"{what}one {asked} is expected, got {_name(got)}")
    if got.dtype != want.dtype:
        raise Named(f"{what}dtype {_dtype(got)}, expected {_dtype(want)}")
    if got.shape != want.shape:
        swapped = _swapped(got.shape, want.shape)
        kind = Named if swapped else Mistake
        raise kind(f"{what}shape {tuple(got.shape)}, expected {tuple(want.shape)}{swapped}")
    got, want = got.detach(), want.detach()
    if want.is_floating_point() and not want.isnan().any() and (nan := got.isnan()).any():
        if not got.dim():
            raise Mistake(f"{what}got NaN, expected {_value(want)}")
        at = tuple(nan.nonzero()[0].tolist())
        raise Mistake(f"{what}{int(nan.sum())} of {got.numel()} values are NaN, the first at {at}")
    differs = ~torch.isclose(got, want, rtol=tolerance, atol=tolerance, equal_nan=True)
    if differs.any() and not got.dim():
        raise Mistake(f"{what}got {_value(got)}, expected {_value(want)}{_nearly(got, want)}")
    if differs.any():
        distance = torch.where(differs, (got.double() - want.double()).abs().nan_to_num(torch.inf), -1.0)
        at = tuple(int(i) for i in np.unravel_index(int(distance.argmax()), got.shape))
        raise Mistake(
            f"{what}at {at} got {_value(got[at])}, expected {_value(want[at])}; "
            f"{int(differs.sum())} of {got.numel()} values differ{_nearly(got, want)}"
        )


def _name(x: Any) -> str:
    if isinstance(x, (tuple, list)):
        return f"a {type(x).__name__} of {len(x)}"
    return "nothing (None)" if x is None else f"a {type(x).__module__}.{type(x).__qualname__}".replace("builtins.", "")


def _dtype(x: torch.Tensor) -> str:
    return str(x.dtype).removeprefix("torch.")


def _value(x: torch.Tensor) -> str:
    return str(x.item()) if x.dtype == torch.bool else f"{x.item():.6g}"


def _nearly(got: torch.Tensor, want: torch.Tensor) -> str:
    """What it may be that costs half the digits and no more."""
    nearly = torch.allclose(got.double(), want.double(), rtol=1e-5, atol=1e-5, equal_nan=True)
    return ", in the last digits only: a float32 on the way, or a small constant added?" if nearly else ""


def _swapped(got: Iterable[int], want: Iterable[int]) -> str:
    """', axes 1 and 2 are swapped' if that alone explains the shape."""
    got, want = list(got), list(want)
    off = [i for i, (a, b) in enumerate(zip(got, want, strict=False)) if a != b]
    if len(got) == len(want) and len(off) == 2 and [got[i] for i in off] == [want[i] for i in reversed(off)]:
        return f": axes {off[0]} and {off[1]} are swapped"
    return ""
