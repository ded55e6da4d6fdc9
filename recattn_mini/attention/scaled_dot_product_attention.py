r"""Scaled dot-product attention: every query takes a weighted mean of the values, weighted by how well keys match.

    out_t = Σ_s softmax_s( q_t·k_s / √d ) v_s

Axes    q (... t d), k (... s d), v (... s e), mask broadcasts to (... t s), True = may attend.
Rule    √d is the standard deviation of a sum of d unit products; d is the width of q and k, not of v, not s.
        A query that may attend to nothing gets zeros. In half precision the scores are rounded before the softmax,
        which costs little while they are small; a float16 score beyond 65,504 is inf, and its row NaN. Fused kernels
        keep scores in float32.
Cost    O(t·s·(d+e)) time, O(t·s) memory for the weights.
Asked   "Write it with a mask. Why √d? What is the gradient of q?"
Source  Vaswani et al. 2017, eq. 1. https://arxiv.org/abs/1706.03762
"""

import math

import numpy as np
import torch

from recattn_mini.attention.masks import masked_scores, masked_scores_numpy
from recattn_mini.attention.softmax import softmax, softmax_backward_numpy, softmax_numpy
from recattn_mini.shapes import takes


@takes(q="... t d", k="... s d", mask="bool (... t s)")
def attention_weights_numpy(q: np.ndarray, k: np.ndarray, mask: np.ndarray | None = None) -> np.ndarray:
    """What each query looks at: q (... t d), k (... s d), mask (... t s) -> weights (... t s), rows sum to 1 or 0.

    >>> q, k = np.array([[2.0, 0.0, 0.0, 0.0]]), np.array([[np.log(3.0), 0, 0, 0], [0.0, 5, 5, 5]])
    >>> attention_weights_numpy(q, k)  # scores 2·log 3/√4 and 0: odds 3 to 1
    array([[0.75, 0.25]])

    Asked   "Which history items does this candidate look at?"
    """
    scores = q / math.sqrt(q.shape[-1]) @ np.swapaxes(k, -1, -2)  # (... t s)
    return softmax_numpy(masked_scores_numpy(scores, mask))


@takes(q="... t d", k="... s d", v="... s e", mask="bool (... t s)")
def scaled_dot_product_attention_numpy(
    q: np.ndarray, k: np.ndarray, v: np.ndarray, mask: np.ndarray | None = None
) -> np.ndarray:
    """softmax(q kᵀ / √d) v: q (... t d), k (... s d), v (... s e) -> (... t e).

    mask is boolean and broadcasts to (... t s), True = may attend. A query that may attend to nothing gets zeros. A
    masked key counts for nothing, however large its score. The arguments stay as they are.

    >>> q, k = np.array([[2.0, 0.0, 0.0, 0.0]]), np.array([[np.log(3.0), 0, 0, 0], [0.0, 5, 5, 5]])
    >>> scaled_dot_product_attention_numpy(q, k, np.array([[8.0], [4.0]]))  # 0.75 · 8 + 0.25 · 4
    array([[7.]])
    """
    return attention_weights_numpy(q, k, mask) @ v


@takes(grad_output="... t e", q="... t d", k="... s d", v="... s e", mask="bool (... t s)")
def scaled_dot_product_attention_backward_numpy(
    grad_output: np.ndarray, q: np.ndarray, k: np.ndarray, v: np.ndarray, mask: np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The gradients of q (... t d), k (... s d) and v (... s e), given that of softmax(q kᵀ / √d) v (... t e).

    mask is boolean and broadcasts to (... t s), True = may attend. A query that may attend to nothing gets zeros, and
    adds nothing to the gradients of k and v. Scores beyond ±1,000 do not overflow, and a masked key counts for nothing,
    however large its score. The gradients come in this order, and the arguments stay as they are.

    >>> one, half = np.array([[1.0]]), np.array([[0.5], [-0.5]])
    >>> grad_q, grad_k, grad_v = scaled_dot_product_attention_backward_numpy(one, 0 * one, half, half)
    >>> grad_q  # weights ½, ½; scores get ½(½ - 0) = ¼ and -¼; q gets ¼·½ + (-¼)(-½)
    array([[0.25]])
    >>> grad_v.ravel()  # each value gets its weight
    array([0.5, 0.5])
    """
    weights = attention_weights_numpy(q, k, mask)  # (... t s)
    grad_v = np.swapaxes(weights, -1, -2) @ grad_output
    grad_weights = grad_output @ np.swapaxes(v, -1, -2)
    # the scores were divided by √d, so their gradient is too; a masked weight is 0 and so is its gradient
    grad_scores = softmax_backward_numpy(grad_weights, weights) / math.sqrt(q.shape[-1])
    return grad_scores @ k, np.swapaxes(grad_scores, -1, -2) @ q, grad_v


@takes(q="... t d", k="... s d", mask="bool (... t s)")
def attention_weights(q: torch.Tensor, k: torch.Tensor, mask: torch.Tensor | None = None) -> torch.Tensor:
    """What each query looks at: q (... t d), k (... s d), mask (... t s) -> weights (... t s), rows sum to 1 or 0."""
    scores = q / math.sqrt(q.shape[-1]) @ k.mT  # (... t s); scaled first: in float16 a bare q·k can overflow
    return softmax(masked_scores(scores, mask))


@takes(q="... t d", k="... s d", v="... s e", mask="bool (... t s)")
def scaled_dot_product_attention(
    q: torch.Tensor, k: torch.Tensor, v: torch.Tensor, mask: torch.Tensor | None = None
) -> torch.Tensor:
    """softmax(q kᵀ / √d) v: q (... t d), k (... s d), v (... s e) -> (... t e).

    mask is boolean and broadcasts to (... t s), True = may attend. A query that may attend to nothing gets zeros, and
    no gradient is NaN. A masked key counts for nothing, however large its score. The result has v's dtype and device.
    The arguments stay as they are.

    >>> q, k, v = torch.zeros(1, 3), torch.ones(2, 3), torch.tensor([[8.0], [4.0]])
    >>> scaled_dot_product_attention(q, k, v)  # equal scores: the plain mean
    tensor([[6.]])
    >>> scaled_dot_product_attention(q, k, v, torch.tensor([[True, False]]))
    tensor([[8.]])
    """
    return attention_weights(q, k, mask) @ v
