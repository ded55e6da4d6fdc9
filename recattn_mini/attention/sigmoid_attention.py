r"""Sigmoid attention: each key is weighed on its own, and the weights need not sum to one.

    out_t = Σ_s σ( q_t·k_s / √d + bias ) v_s

Axes    q (... t d), k (... s d), v (... s e); bias a number, or broadcasts to (... t s).
Rule    Ten matches weigh ten times as much as one: the sum keeps the intensity that softmax divides away.
        bias = -log s starts it near softmax's scale; bias = 0 starts with half of every value, s/2 in sum.
        A query that may attend to nothing gets zeros.
Cost    O(t·s·(d+e)) time, O(t·s) memory; no row maximum or sum, so blocks need no running correction.
Asked   "Why do DIN and HSTU drop the softmax? What do you lose?"
Source  Ramapuram et al. 2024, sec. 2. https://arxiv.org/abs/2409.04431
"""

import math

import numpy as np
import torch

from recattn_mini.attention.masks import masked_scores, masked_scores_numpy
from recattn_mini.shapes import takes


@takes(q="... t d", k="... s d", v="... s e", bias="(... t s) | number", mask="bool (... t s)")
def sigmoid_attention_numpy(
    q: np.ndarray, k: np.ndarray, v: np.ndarray, bias: float | np.ndarray, mask: np.ndarray | None = None
) -> np.ndarray:
    """q (... t d), k (... s d), v (... s e), bias (... t s), mask bool (... t s), True = may attend -> (... t e).

    >>> q, k, v = np.zeros((1, 2)), np.ones((3, 2)), np.array([[8.0], [4.0], [2.0]])
    >>> sigmoid_attention_numpy(q, k, v, bias=0.0)  # half of each, not a third
    array([[7.]])
    """
    scores = q / math.sqrt(q.shape[-1]) @ np.swapaxes(k, -1, -2) + np.asarray(bias, q.dtype)
    scores = masked_scores_numpy(scores, mask)
    # σ without an overflow in exp, exact far below 0 too, where bias = -log s puts it: (1 + tanh(x/2)) / 2 cancels
    weights = np.exp(np.minimum(scores, 0)) / (1 + np.exp(-np.abs(scores)))
    return weights @ v


@takes(q="... t d", k="... s d", v="... s e", bias="(... t s) | number", mask="bool (... t s)")
def sigmoid_attention(
    q: torch.Tensor,
    k: torch.Tensor,
    v: torch.Tensor,
    bias: float | torch.Tensor,
    mask: torch.Tensor | None = None,
) -> torch.Tensor:
    """q (... t d), k (... s d), v (... s e), bias (... t s), mask bool (... t s), True = may attend -> (... t e)."""
    scores = q / math.sqrt(q.shape[-1]) @ k.mT + bias
    return masked_scores(scores, mask).sigmoid() @ v
