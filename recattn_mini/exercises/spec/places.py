"""Where an answer makes its tensors, found without a GPU: what is made without a device is followed to where it goes.

On a GPU a tensor from `torch.arange(n)` is on the CPU. It may serve as an index or be moved; where it meets an input in
any other operation PyTorch raises an error, and where it comes back the caller gets a tensor of another device.
"""

from collections.abc import Callable
from typing import Any

import torch
from torch.overrides import TorchFunctionMode

NAMES = """arange as_tensor empty eye from_numpy full linspace logspace ones rand randint randn randperm scalar_tensor
tensor tril_indices triu_indices zeros"""
FACTORIES = {getattr(torch, name) for name in NAMES.split()}
TAKES_INDICES = {torch.Tensor.__getitem__, torch.Tensor.__setitem__}
MOVES = {torch.Tensor.to, torch.Tensor.type_as, torch.Tensor.cuda}


class Places(TorchFunctionMode):
    """Watch every call of torch: `mixed` is set where a tensor made without a device meets one that came in."""

    def __init__(self) -> None:
        super().__init__()
        self.mixed = False
        self._made: dict[int, torch.Tensor] = {}  # the tensors are kept, so that no id is used again

    def __torch_function__(self, func: Callable, types: Any, args: tuple = (), kwargs: dict | None = None) -> Any:
        """Call it, and note the place of what comes back."""
        kwargs = kwargs or {}
        out = func(*args, **kwargs)
        given = [x for x in _tensors([args, list(kwargs.values())]) if x.dim()]  # a number without axes goes anywhere
        made = [x for x in given if self.is_made(x)]
        if func in FACTORIES:
            is_made = kwargs.get("device") is None and not any(x is y for x in _tensors(out) for y in given)
        elif func in MOVES:
            out = out.view_as(out) if self.is_made(out) else out  # moved to where it is, it comes back as itself
            is_made = False
        elif func in TAKES_INDICES:
            is_made = self.is_made(args[0])
        else:
            self.mixed |= 0 < len(made) < len(given)
            is_made = bool(made) and len(made) == len(given)
        if is_made:
            self._made |= {id(x): x for x in _tensors(out)}
        return out

    def is_made(self, x: Any) -> bool:
        """Whether a tensor was made without a device, or of such tensors alone."""
        return id(x) in self._made


def _tensors(found: Any) -> list[torch.Tensor]:
    if isinstance(found, (tuple, list)):
        return [x for one in found for x in _tensors(one)]
    return [found] if isinstance(found, torch.Tensor) else []
