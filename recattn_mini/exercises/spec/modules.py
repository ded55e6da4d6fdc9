"""A learner's module as a function of its weights: how `call_module` of a spec builds it, fills it and calls it.

    def call_module(module, x, w, mask=None):
        return call(module(*sizes), {"proj.weight": w}, x, mask)

It calls the module once: whether that keeps something from call to call is for `check_keeps_nothing` to see.
"""

from collections.abc import Iterable
from typing import Any

import torch
import torch.nn.functional as F
from torch import nn

from recattn_mini.exercises.spec import same_parameters


def call(built: nn.Module, weights: dict[str, torch.Tensor], *inputs: Any) -> Any:
    """What it gives with these weights in place of those that it drew: it has to hold them, and no others."""
    same_parameters(built, weights)
    return torch.func.functional_call(built, weights, inputs, strict=True)


def call_heads(built: nn.Module, weights: Iterable[torch.Tensor], *inputs: Any) -> Any:
    """The same for w_q, w_k, w_v, w_o."""
    return call(built, {f"{name}_proj.weight": w for name, w in zip("qkvo", weights, strict=True)}, *inputs)


def filled_up(x: torch.Tensor, width: int) -> torch.Tensor:
    """Zeros behind its last axis: where a module has one width for all, they meet zeros in the weights."""
    return x if x.shape[-1] == width else F.pad(x, (0, width - x.shape[-1]))


def cut_off(out: Any, width: int) -> Any:
    """What comes back of `filled_up`, without the zeros; anything else as it is."""
    is_filled_up = isinstance(out, torch.Tensor) and out.dim() and not out[..., width:].any()
    return out[..., :width] if is_filled_up else out
