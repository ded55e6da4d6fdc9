r"""Layer normalisation: each vector is shifted and scaled to mean 0 and variance 1, then scaled as learned.

    x̂ = (x - μ) / σ,  σ = √(var x + ε);   out = scale ⊙ x̂ + shift

Axes    x (... d), scale (d), shift (d); μ and var are over the last axis, each vector for itself.
Rule    ε = 1e-5 stands inside the root; the variance is the biased one, over d. A constant vector gives shift, and a
        finite gradient. The output of a position depends on no other position or user, so padding and batch size do not
        matter.
Cost    O(d) a vector.
Asked   "Layer or batch norm for sequences, and why? Derive the backward pass."
Source  Ba, Kiros, Hinton 2016, sec. 3. https://arxiv.org/abs/1607.06450
"""

import numpy as np
import torch

from recattn_mini.shapes import takes

EPS = 1e-5


def _normalised(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """x̂ (... d) and σ (... 1)."""
    centred = x - x.mean(axis=-1, keepdims=True)
    sigma = np.sqrt((centred**2).mean(axis=-1, keepdims=True) + EPS)
    return centred / sigma, sigma


@takes(x="... d", scale="d", shift="d")
def layer_norm_numpy(x: np.ndarray, scale: np.ndarray, shift: np.ndarray | None = None) -> np.ndarray:
    """x (... d), scale (d), shift (d) -> (... d): mean 0 and variance 1 over the last axis, times scale, plus shift.

    >>> layer_norm_numpy(np.array([1000.0, 3000.0]), np.ones(2), np.ones(2)).round(6)  # -1 and 1, then shifted by 1
    array([0., 2.])
    """
    normalised, _ = _normalised(x)
    return scale * normalised if shift is None else scale * normalised + shift


@takes(grad_output="... d", x="... d", scale="d")
def layer_norm_backward_numpy(
    grad_output: np.ndarray, x: np.ndarray, scale: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The gradients of x (... d), scale (d) and shift (d), given that of the output (... d).

    ∂μ/∂x_j = 1/d and ∂σ/∂x_j = x̂_j/d, so ∂x̂_i/∂x_j = (δ_ij - 1/d - x̂_i x̂_j/d) / σ; with g = scale ⊙ grad_output
    that is grad_x = (g - mean g - x̂ · mean(g ⊙ x̂)) / σ: what would move the mean or the length is taken away.

    >>> x, grad_output = np.sqrt([[1.5, 0.0, 1.5]]) * [[-1, 0, 1]], np.array([[0.0, 1.0, 0.0]])  # mean 0, σ 1
    >>> layer_norm_backward_numpy(grad_output, x, np.ones(3))[0].round(3)  # the mean of g, ⅓, is taken away
    array([[-0.333,  0.667, -0.333]])
    """
    normalised, sigma = _normalised(x)
    g = scale * grad_output
    along = (g * normalised).mean(axis=-1, keepdims=True)
    grad_x = (g - g.mean(axis=-1, keepdims=True) - normalised * along) / sigma
    leading = tuple(range(x.ndim - 1))  # scale and shift are shared by all vectors
    return grad_x, (grad_output * normalised).sum(axis=leading), grad_output.sum(axis=leading)


@takes(x="... d", scale="d", shift="d")
def layer_norm(x: torch.Tensor, scale: torch.Tensor, shift: torch.Tensor | None = None) -> torch.Tensor:
    """x (... d), scale (d), shift (d) -> (... d): mean 0 and variance 1 over the last axis, times scale, plus shift.

    The result has x's dtype; half precision is computed in float32.
    """
    wide = x.to(torch.promote_types(x.dtype, torch.float32))
    centred = wide - wide.mean(-1, keepdim=True)
    sigma = (centred.square().mean(-1, keepdim=True) + EPS).sqrt()
    out = centred / sigma * scale
    return (out if shift is None else out + shift).to(x.dtype)
