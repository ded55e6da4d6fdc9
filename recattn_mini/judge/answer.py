"""Carry a learner's function over to what specs are written for: tensors in, tensors out, no input changed."""

import contextlib
import inspect
import io
import warnings
from collections.abc import Callable
from types import ModuleType
from typing import Any

import numpy as np
import torch

from recattn_mini.exercises._spec import Named


class Raised(Exception):
    """The learner's own code raised `error`."""

    def __init__(self, error: BaseException) -> None:
        super().__init__(str(error))
        self.error = error


class Answer:
    """Call a learner's `x`, `x_numpy` or module `X` as the function that the spec checks.

    Prints are shown from the first call only; NumPy's warnings are silenced, so that a NaN is a wrong value and not
    another outcome; an input that comes back changed is a mistake.
    """

    def __init__(self, learners: Callable, spec: ModuleType) -> None:
        self.is_numpy = learners.__name__.endswith("_numpy")
        self.learners = self._call = learners
        if inspect.isclass(learners):
            self._call = lambda *args: spec.call_module(learners, *args)
        self._names = list(inspect.signature(getattr(spec, learners.__name__)).parameters)
        self._quiet = False

    def __call__(self, *args: Any) -> Any:
        kept = [a.detach().clone() if isinstance(a, torch.Tensor) else a for a in args]
        self._device = next((a.device for a in args if isinstance(a, torch.Tensor)), None)
        given = [_to_numpy(a) for a in args] if self.is_numpy else args
        out = self._run(given)
        for name, before, after in zip(self._names, kept, args, strict=False):
            if not isinstance(before, torch.Tensor) or before.is_meta:  # which has a shape, but nothing to compare
                continue
            if not torch.equal(before.nan_to_num(), after.detach().nan_to_num()):
                raise Named(f"the input {name} came back changed: work on a copy, not in place")
        return self._convert(out)

    def _run(self, args: Any) -> Any:
        shown = contextlib.redirect_stdout(io.StringIO()) if self._quiet else contextlib.nullcontext()
        self._quiet = True
        try:
            with shown, warnings.catch_warnings(), np.errstate(all="ignore"):
                warnings.simplefilter("ignore")
                return self._call(*args)
        except (Exception, SystemExit) as error:
            raise Raised(error) from error

    def _convert(self, out: Any) -> Any:
        if isinstance(out, (tuple, list)):
            return type(out)(self._convert(one) for one in out) if type(out) in (tuple, list) else out
        if self.is_numpy and isinstance(out, torch.Tensor):
            raise Named("a torch.Tensor came back; the _numpy form returns a NumPy array")
        if not self.is_numpy and isinstance(out, np.ndarray):
            raise Named("a NumPy array came back; this form returns a torch.Tensor")
        if self.is_numpy and isinstance(out, (np.ndarray, np.generic)):
            return torch.from_numpy(np.array(out)).to(self._device) if out.dtype != object else out
        return out


def _to_numpy(x: Any) -> Any:
    """The same memory layout as the tensor's: a view stays a view."""
    if not isinstance(x, torch.Tensor):
        return x
    return np.zeros(x.shape) if x.is_meta else x.detach().numpy()
