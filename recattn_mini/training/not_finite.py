"""A loss that is NaN or infinite: stop at once, say where, and what it usually comes from.

Asked   "The loss is NaN. And now?"
Source  Micikevicius et al. 2018 (mixed precision). https://arxiv.org/abs/1710.03740
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import nn

HUGE = 1e6  # no parameter of ours grows so large, unless steps are


class NotFinite(ArithmeticError):
    """Training ran into NaN or infinity; the message names the step and a likely cause."""


def likely_cause(model: nn.Module, loss: Callable[..., torch.Tensor], batch: NamedTuple) -> str:
    """What went wrong first: the batch, a parameter, a layer, the loss, or only its gradient.

    >>> from collections import namedtuple
    >>> batch = namedtuple("Batch", "age")(torch.tensor([[31.0], [float("nan")]]))
    >>> likely_cause(nn.Linear(1, 1), lambda model, batch: model(batch.age).mean(), batch)
    'age of the batch is not finite: is a feature missing, or divided by 0?'
    """
    for name, x in batch._asdict().items():
        if not x.isfinite().all():
            return f"{name} of the batch is not finite: is a feature missing, or divided by 0?"
    for name, buffer in model.named_buffers():
        if not buffer.isfinite().all():
            return f"{name}, which is not trained, is not finite: was it made of missing values?"
    for name, parameter in model.named_parameters():
        if not parameter.abs().max() < HUGE:
            return (
                f"{name} was not finite before this step, or beyond {HUGE:.0e}, so a step before was too large: "
                "lower learning_rate, or the largest gradient norm"
            )
    with torch.no_grad():
        if (layer := _first_layer(model, loss, batch)) is not None:
            return (
                f"{layer} is the first layer whose output is not finite, from finite inputs: a softmax over a row of "
                "-inf (nothing to attend to), a division by 0, or an overflow?"
            )
        if not loss(model, batch).isfinite():
            return "all layers are finite, the loss is not: a logarithm of 0? Give the loss logits, not probabilities"
    return "the loss is finite, its gradient is not: a root or a norm at 0, or an infinity behind a where?"


def _first_layer(model: nn.Module, loss: Callable[..., torch.Tensor], batch: NamedTuple) -> str | None:
    """The innermost module that first gives NaN or infinity, from finite inputs."""
    found: list[str] = []

    def note(name: str, module: nn.Module) -> Callable[..., None]:
        def hook(_: nn.Module, inputs: tuple[Any, ...], output: Any) -> None:
            if not found and isinstance(output, torch.Tensor) and not output.isfinite().all():
                found.append(f"{name or 'the model'} ({type(module).__name__})")

        return hook

    hooks = [module.register_forward_hook(note(name, module)) for name, module in model.named_modules()]
    try:
        loss(model, batch)
    finally:
        for hook in hooks:
            hook.remove()
    return found[0] if found else None
