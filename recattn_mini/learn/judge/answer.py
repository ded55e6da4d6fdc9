"""Carry a learner's function over to what specs are written for: tensors in, tensors out, no input changed."""

import inspect
import numbers
import os
import warnings
from collections.abc import Callable
from types import ModuleType
from typing import Any

import numpy as np
import torch

from recattn_mini.exercises.spec import Mistake, Named, Raised
from recattn_mini.learn.judge.originals import Originals
from recattn_mini.learn.judge.prints import not_shown, shown
from recattn_mini.learn.judge.time_limit import TooSlow

FORKS = "starts a copy of the process (os.fork): compute in this one"


class Answer:
    """Call a learner's `x`, `x_numpy` or module `X` as the function that the spec checks.

    Prints are shown from the first call only; NumPy's warnings are silenced, so that a NaN is a wrong value and not
    another outcome; an input that comes back changed is a mistake. Where the key returns a float, any one number will
    do: a float, NumPy's, an array or a tensor without axes.
    """

    def __init__(self, learners: Callable, spec: ModuleType) -> None:
        self.is_numpy = learners.__name__.endswith("_numpy")
        self.learners = self._call = learners
        signature = inspect.signature(getattr(spec, learners.__name__))
        self._names = list(signature.parameters)
        if inspect.isclass(learners):
            self._call = lambda *args: spec.call_module(learners, *args)
            self._names = list(inspect.signature(spec.call_module).parameters)[
                1:
            ]  # those of the call, without the module
        self.is_number = signature.return_annotation is float
        self._originals = Originals()
        self._quiet = False
        self.given = ""

    def __call__(self, *args: Any) -> Any:
        self.given = _told(self._names, args)
        args = _apart(args)
        kept = [a.detach().clone() if isinstance(a, torch.Tensor) else a for a in args]
        self._device = next((a.device for a in args if isinstance(a, torch.Tensor)), None)
        given = [_to_numpy(a) for a in args] if self.is_numpy else args
        out = self.guarded(lambda: self._call(*given))
        for name, before, after in zip(self._names, kept, args, strict=False):
            if not isinstance(before, torch.Tensor) or before.is_meta:  # which has a shape, but nothing to compare
                continue
            if not _same(before, after.detach()):
                raise Named(f"the input {name} came back changed: work on a copy, not in place")
        return self._convert(out)

    def guarded(self, call: Callable[[], Any]) -> Any:
        """What a call of the learner's own code returns, whatever it is, with what it may do to others contained."""
        show, self._quiet = not_shown if self._quiet else shown, True
        process, forked = os.getpid(), forks()
        try:
            with show(), warnings.catch_warnings(), np.errstate(all="ignore"):
                warnings.simplefilter("ignore")
                out = call()
        except (Mistake, Raised, TooSlow, KeyboardInterrupt):
            raise
        except BaseException as error:
            raise Raised(error) from error
        finally:
            if os.getpid() != process:  # a copy that the answer made: only the original is judged
                os._exit(0)
            self._originals.put_back()
        if forks() != forked:
            raise Named(f"it {FORKS}")
        return out

    def _convert(self, out: Any) -> Any:
        if inspect.iscoroutine(out):
            out.close()
            raise Named("a coroutine came back: define it by def, not by async def")
        if isinstance(out, (tuple, list)):
            return type(out)(self._convert(one) for one in out) if type(out) in (tuple, list) else out
        if isinstance(out, torch.Tensor):
            out = _plain(out)
        if self.is_number and _is_number(out):
            return torch.tensor(float(out.detach() if isinstance(out, torch.Tensor) else out), dtype=torch.float64)
        if self.is_numpy and isinstance(out, torch.Tensor):
            raise Named("a torch.Tensor came back; the _numpy form returns a NumPy array")
        if not self.is_numpy and isinstance(out, np.ndarray):
            raise Named("a NumPy array came back; this form returns a torch.Tensor")
        if not (self.is_numpy or self.is_number) and isinstance(out, (int, float, complex)):
            raise Named(
                f"a {type(out).__name__} came back; a tensor is asked for: return it without .item() or float()"
            )
        if self.is_numpy and isinstance(out, (np.ndarray, np.generic)):
            try:
                return torch.from_numpy(np.array(out)).to(self._device)
            except (TypeError, ValueError):  # longdouble, strings, objects, another byte order
                raise Named(f"dtype {out.dtype}, expected float64, bool or int64") from None
        return out


def _same(before: torch.Tensor, after: torch.Tensor) -> bool:
    """Equal, with NaN where it was; the first comparison is cheap, and is enough where no NaN came in."""
    return before.shape == after.shape and (
        torch.equal(before, after) or torch.equal(before.nan_to_num(), after.nan_to_num())
    )


def _told(names: list[str], args: tuple) -> str:
    """The shapes of one call, for one who looks for the mistake."""
    parts = [
        f"{name} ({' '.join(map(str, x.shape))})" if isinstance(x, torch.Tensor) else f"{name} = {x:g}"
        for name, x in zip(names, args, strict=False)
        if isinstance(x, (torch.Tensor, int, float))
    ]
    return f"\nfor {', '.join(parts)}" if parts else ""


def _apart(args: tuple) -> tuple:
    """The same tensor given as two arguments becomes two, so that the one that an answer changes can be named."""
    seen, apart = set[int](), []
    for a in args:
        if isinstance(a, torch.Tensor) and not a.is_meta and a.numel():
            if a.data_ptr() in seen:
                a = a.clone()
            seen.add(a.data_ptr())
        apart.append(a)
    return tuple(apart)


def _plain(out: torch.Tensor) -> torch.Tensor:
    """Without the methods of a subclass, which would be asked whether it is close to what was expected."""
    if type(out) is torch.Tensor:
        return out
    try:
        with torch._C.DisableTorchFunctionSubclass():
            return torch.Tensor.as_subclass(out, torch.Tensor)
    except TypeError:  # its __class__ says that it is a tensor
        raise Named(f"a {type(out).__name__} came back; this form returns a torch.Tensor") from None


def _is_number(x: Any) -> bool:
    if isinstance(x, torch.Tensor):
        return x.dim() == 0 and not x.is_complex() and x.dtype != torch.bool
    if isinstance(x, np.ndarray):
        return x.ndim == 0 and x.dtype.kind in "fiu"
    return isinstance(x, numbers.Real) and not isinstance(x, bool)


def _to_numpy(x: Any) -> Any:
    """The same memory layout as the tensor's: a view stays a view."""
    if not isinstance(x, torch.Tensor):
        return x
    return np.zeros(x.shape) if x.is_meta else x.detach().numpy()


_forks = 0


def forks() -> int:
    """How many copies of this process were started so far."""
    return _forks


def _count_a_fork() -> None:
    global _forks
    _forks += 1


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_parent=_count_a_fork)
