r"""Clipping by norm: a gradient that is too long is made shorter, all parameters by one factor.

    g ← g · min(1, largest / ‖g‖),   ‖g‖² = the sum over all parameters of all their squares

Axes    gradients, a list of arrays of any shapes.
Rule    One norm over all parameters: clipped parameter by parameter, or value by value, the gradient would change its
        direction. Clip after the whole backward pass and before the step. Clipping only shortens: a vanished gradient
        stays vanished, and NaN stays NaN. torch.nn.utils adds 1e-6 to the norm; here it is exact.
Cost    O(parameters).
Asked   "Norm or value? Does clipping cure vanishing gradients? Which norm do you log, and what does it tell?"
Source  Pascanu, Mikolov, Bengio 2013. https://arxiv.org/abs/1211.5063
"""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch


def gradient_norm_numpy(gradients: Sequence[np.ndarray]) -> float:
    """The Euclidean length of all gradients as one vector.

    >>> gradient_norm_numpy([np.array([2.0, 3.0]), np.array([[6.0]])])  # √(4 + 9 + 36)
    7.0
    """
    _check(gradients, np.ndarray)
    return math.hypot(*(float(np.linalg.norm(g.astype(np.float64))) for g in gradients))


def clip_gradient_norm_numpy(gradients: Sequence[np.ndarray], largest: float) -> list[np.ndarray]:
    """The gradients, scaled down together if their norm is more than `largest`; the arrays given stay as they are.

    >>> clip_gradient_norm_numpy([np.array([3.0]), np.array([[4.0]])], largest=1.0)  # 5 is too long by a factor of 5
    [array([0.6]), array([[0.8]])]
    """
    _check_largest(largest)
    scale = 1 / max(gradient_norm_numpy(gradients) / largest, 1)  # largest / norm would divide by a norm of 0
    return [g * g.dtype.type(scale) for g in gradients]


def gradient_norm(gradients: Sequence[torch.Tensor]) -> torch.Tensor:
    """The Euclidean length of all gradients as one vector; half precision is summed in float32.

    >>> gradient_norm([torch.tensor([2.0, 3.0]), torch.tensor([[6.0]])])
    tensor(7.)
    """
    _check(gradients, torch.Tensor)
    wide = [torch.promote_types(g.dtype, torch.float32) for g in gradients]
    norms = [torch.linalg.vector_norm(g, dtype=dtype) for g, dtype in zip(gradients, wide, strict=True)]
    return torch.linalg.vector_norm(torch.stack(norms))


def clip_gradient_norm(gradients: Sequence[torch.Tensor], largest: float) -> list[torch.Tensor]:
    """The gradients, scaled down together if their norm is more than `largest`; the tensors given stay as they are.

    >>> clip_gradient_norm([torch.tensor([3.0]), torch.tensor([[4.0]])], largest=1.0)
    [tensor([0.6000]), tensor([[0.8000]])]
    """
    _check_largest(largest)
    scale = 1 / (gradient_norm(gradients) / largest).clamp(min=1)
    return [g * scale for g in gradients]


def _check_largest(largest: float) -> None:
    if not largest > 0:
        raise ValueError(f"largest must be more than 0, got {largest}")


def _check(gradients: Sequence[Any], form: type[Any]) -> None:
    if isinstance(gradients, (np.ndarray, torch.Tensor)) or not len(gradients):
        raise ValueError(f"gradients must be a list of at least one, got {type(gradients).__name__} {gradients!r:.40}")
    for i, g in enumerate(gradients):
        if not isinstance(g, form):
            cure = ": leave out parameters that have no gradient" if g is None else ""
            raise ValueError(
                f"gradients[{i}] must be a {form.__module__}.{form.__qualname__}, got {type(g).__name__}{cure}"
            )
