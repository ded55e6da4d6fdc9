r"""Softmax: scores of any size become weights that are positive and sum to one.

    softmax(x)_s = exp(x_s - max x) / Σ_s' exp(x_s' - max x)

Axes    x (... s); the last axis is normalised.
Rule    Subtracting the maximum changes nothing in exact arithmetic and everything in floating point: exp(710) is inf.
        A row of -inf (nothing to attend to) gives zeros, not NaN.
Cost    O(s) time and memory a row.
Asked   "Write a stable softmax, derive its Jacobian, and say when the gradient vanishes."
Source  Bridle 1990; the Jacobian is diag(p) - p pᵀ, so the gradient is zero where p is one-hot.
"""

import math

import numpy as np
import torch

from recattn_mini.shapes import takes


@takes(x="... s")
def softmax_numpy(x: np.ndarray) -> np.ndarray:
    """Normalise the last axis of x (... s) -> (... s): every row sums to 1, but a row of -inf is all zeros.

    Scores of any size are allowed, 1,000 or -1,000 too. The result has x's dtype; x stays as it is.

    >>> softmax_numpy(np.log([1.0, 2.0, 5.0]))  # exp undoes log: 1, 2 and 5 parts of 8
    array([0.125, 0.25 , 0.625])
    """
    top = x.max(axis=-1, keepdims=True)
    top = np.where(top == -np.inf, 0, top)  # -inf - (-inf) would be NaN
    parts = np.exp(x - top)
    total = parts.sum(axis=-1, keepdims=True)
    return parts / np.where(total == 0, 1, total)


@takes(grad_output="... s", weights="... s")
def softmax_backward_numpy(grad_output: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """The gradient of the scores (... s), given that of the weights (... s) and the weights themselves.

    Jᵀg = (diag(p) - p pᵀ) g = p ⊙ (g - ⟨p, g⟩): no matrix is built, and the gradient of a one-hot row is zero.

    >>> softmax_backward_numpy(np.array([1.0, 0.0]), np.array([0.5, 0.5]))  # 0.5 · (1 - 0.5), 0.5 · (0 - 0.5)
    array([ 0.25, -0.25])
    """
    return weights * (grad_output - (grad_output * weights).sum(axis=-1, keepdims=True))


@takes(x="... s")
def softmax(x: torch.Tensor) -> torch.Tensor:
    """Normalise the last axis of x (... s) -> (... s): every row sums to 1, but a row of -inf is all zeros.

    Scores of any size are allowed, 1,000 or -1,000 too. The result has x's dtype and device; half precision is summed
    in float32. No gradient is NaN, also in a row of -inf. x stays as it is.

    >>> softmax(torch.tensor([[1000.0, 1000.0], [-math.inf, -math.inf]]))
    tensor([[0.5000, 0.5000],
            [0.0000, 0.0000]])
    """
    wide = x.to(torch.promote_types(x.dtype, torch.float32))
    top = wide.detach().amax(dim=-1, keepdim=True)  # the shift cancels, so it needs no gradient
    top = top.masked_fill(top == -math.inf, 0)  # -inf - (-inf) would be NaN
    parts = torch.exp(wide - top)
    total = parts.sum(dim=-1, keepdim=True)
    return (parts / total.masked_fill(total == 0, 1)).to(x.dtype)
