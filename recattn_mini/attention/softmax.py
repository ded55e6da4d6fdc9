r"""Softmax: scores of any size become weights that are positive and sum to one.

    softmax(x)_s = exp(x_s - max x) / Σ_s' exp(x_s' - max x)

Axes    x (... s); the last axis is normalised.
Rule    Subtracting the maximum changes nothing in exact arithmetic and everything in floating point: exp(710) is inf.
        A row of -inf (nothing to attend to) gives zeros, not NaN.
Cost    O(s) time and memory a row.
Asked   "Write a stable softmax, derive its Jacobian, and say when the gradient vanishes."
Source  Bridle 1990; the Jacobian is diag(p) - p pᵀ, so the gradient dies where p is one-hot.
"""

import math

import numpy as np
import torch

from recattn_mini.shapes import takes

LOG2_E = math.log2(math.e)


@takes(x="... s")
def softmax_numpy(x: np.ndarray) -> np.ndarray:
    """Normalise the last axis of x (... s) -> (... s): every row sums to 1, but a row of -inf is all zeros.

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

    Jᵀg = (diag(p) - p pᵀ) g = p ⊙ (g - ⟨p, g⟩): no matrix is built, and a one-hot row has no gradient at all.

    >>> softmax_backward_numpy(np.array([1.0, 0.0]), np.array([0.5, 0.5]))  # 0.5 · (1 - 0.5), 0.5 · (0 - 0.5)
    array([ 0.25, -0.25])
    """
    return weights * (grad_output - (grad_output * weights).sum(axis=-1, keepdims=True))


@takes(x="... s")
def softmax_parts(x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """x (... s) -> positive parts (... s), 1 for the largest, and what divides them (... 1): their sum, or 1 for 0.

    For those who divide last, when fewer numbers are left. Half precision becomes float32. Only their ratio has the
    right gradient: the shift carries none.

    >>> softmax_parts(torch.tensor([[8.0, 2.0, 2.0]]).log())  # 8, 2 and 2 by the largest
    (tensor([[1.0000, 0.2500, 0.2500]]), tensor([[1.5000]]))

    Asked   "When do you divide, before or after the sum over the values?"
    Source  Milakov, Gimelshein 2018. https://arxiv.org/abs/1805.02867
    """
    wide = x.to(torch.promote_types(x.dtype, torch.float32))
    # the shift cancels, so it needs no gradient; -inf - (-inf) would be NaN
    top = wide.detach().amax(-1, keepdim=True).clamp(min=torch.finfo(wide.dtype).min)
    # 2^(x log₂ e), not e^x: torch's exp on a CPU is ten times slower at -inf, as behind a mask
    parts = (wide - top).mul_(LOG2_E).exp2_()
    return parts, parts.sum(-1, keepdim=True).clamp(min=1)  # below 1 only where there is nothing


@takes(x="... s")
def softmax(x: torch.Tensor) -> torch.Tensor:
    """Normalise the last axis of x (... s) -> (... s): every row sums to 1, but a row of -inf is all zeros.

    The result has x's dtype; half precision is summed in float32. No gradient is NaN.

    >>> softmax(torch.tensor([[1000.0, 1000.0], [-math.inf, -math.inf]]))
    tensor([[0.5000, 0.5000],
            [0.0000, 0.0000]])
    """
    parts, total = softmax_parts(x)
    return (parts / total).to(x.dtype)
