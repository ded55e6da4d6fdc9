r"""Concat attention (Luong): query and key side by side through one layer.

    score_ts = w_score · tanh(W [q_t ; k_s]);   out_t = Σ_s softmax_s(score_ts) v_s

Axes    q (... t d), k (... s c), v (... s e); W (a d+c), w_score (a).
Rule    W [q; k] = W_left q + W_right k, so this is additive attention with its two matrices in one, and
        `additive_attention` with the two halves of W computes it without laying out the pairs.
        Keras's `score_mode="concat"` is something else: it has no matrix and sums tanh(q + k).
        A query that may attend to nothing gets zeros.
Cost    O(t·s·(a·(d+c) + e)) time and O(t·s·(a+d+c)) memory with the pairs laid out, as here; as additive attention
        O((t+s)·a·(d+c) + t·s·(a+e)) and O(t·s·a).
Asked   "Is concat attention different from additive attention?"
Source  Luong, Pham, Manning 2015, sec. 3.1, "concat". https://arxiv.org/abs/1508.04025
"""

import numpy as np
import torch

from recattn_mini.attention.masks import masked_scores, masked_scores_numpy
from recattn_mini.attention.softmax import softmax, softmax_numpy
from recattn_mini.shapes import takes


@takes(q="... t d", k="... s c", v="... s e", w="a d+c", w_score="a", mask="bool (... t s)")
def concat_attention_numpy(
    q: np.ndarray,
    k: np.ndarray,
    v: np.ndarray,
    w: np.ndarray,
    w_score: np.ndarray,
    mask: np.ndarray | None = None,
) -> np.ndarray:
    """q (... t d), k (... s c), v (... s e), w (a d+c), w_score (a), mask bool (... t s) -> (... t e).

    >>> one, v = np.ones((1, 1)), np.array([[8.0], [4.0]])
    >>> k = np.array([[np.arctanh(0.5)], [0.0]])  # tanh(0 + k) is 0.5 and 0
    >>> concat_attention_numpy(0 * one, k, v, np.ones((1, 2)), np.array([2 * np.log(3)])).round(6)  # odds 3 to 1
    array([[7.]])
    """
    *lead, t, s = *q.shape[:-1], k.shape[-2]
    left = np.broadcast_to(q[..., :, None, :], (*lead, t, s, q.shape[-1]))
    right = np.broadcast_to(k[..., None, :, :], (*lead, t, s, k.shape[-1]))
    pairs = np.concatenate([left, right], axis=-1)  # (... t s d+c)
    return softmax_numpy(masked_scores_numpy(np.tanh(pairs @ w.T) @ w_score, mask)) @ v


@takes(q="... t d", k="... s c", v="... s e", w="a d+c", w_score="a", mask="bool (... t s)")
def concat_attention(
    q: torch.Tensor,
    k: torch.Tensor,
    v: torch.Tensor,
    w: torch.Tensor,
    w_score: torch.Tensor,
    mask: torch.Tensor | None = None,
) -> torch.Tensor:
    """q (... t d), k (... s c), v (... s e), w (a d+c), w_score (a), mask bool (... t s) -> (... t e)."""
    *lead, t, s = *q.shape[:-1], k.shape[-2]
    left, right = q[..., :, None, :].expand(*lead, t, s, -1), k[..., None, :, :].expand(*lead, t, s, -1)
    pairs = torch.cat([left, right], dim=-1)  # (... t s d+c)
    return softmax(masked_scores(torch.tanh(pairs @ w.mT) @ w_score, mask)) @ v
