r"""Multiplicative attention (Luong's "general"): one matrix between query and key.

    score_ts = q_tᵀ W k_s;   out_t = Σ_s softmax_s(score_ts) v_s

Axes    q (... t d), k (... s c), v (... s e); W (d c).
Rule    W need not be square, so q and k may differ in width; W is not symmetric, so q and k don't swap.
        W = W_qᵀ W_k / √a, of W_q (a d) and W_k (a c), is scaled dot-product attention with projections; with a below
        d and c it is the low-rank form of this one.
        A query that may attend to nothing gets zeros.
Cost    O(t·d·c + t·s·(c+e)) time, O(t·s) memory, d·c parameters.
Asked   "What is the bilinear score, and how does it relate to W_Q and W_K?"
Source  Luong, Pham, Manning 2015, sec. 3.1, "general". https://arxiv.org/abs/1508.04025
"""

import numpy as np
import torch

from recattn_mini.attention.masks import masked_scores, masked_scores_numpy
from recattn_mini.attention.softmax import softmax, softmax_numpy
from recattn_mini.shapes import takes


@takes(q="... t d", k="... s c", v="... s e", w="d c", mask="bool (... t s)")
def multiplicative_attention_numpy(
    q: np.ndarray, k: np.ndarray, v: np.ndarray, w: np.ndarray, mask: np.ndarray | None = None
) -> np.ndarray:
    """softmax(q W kᵀ) v, without a scale: q (... t d), k (... s c), v (... s e), w (d c) -> (... t e).

    mask is boolean and broadcasts to (... t s), True = may attend. A query that may attend to nothing gets zeros. A
    masked key counts for nothing, however large its score. The arguments stay as they are.

    >>> q, k, v = np.array([[1.0, 0.0]]), np.array([[1.0], [0.0]]), np.array([[8.0], [4.0]])
    >>> multiplicative_attention_numpy(q, k, v, np.array([[np.log(3.0)], [9.0]]))  # scores log 3 and 0
    array([[7.]])
    """
    return softmax_numpy(masked_scores_numpy(q @ w @ np.swapaxes(k, -1, -2), mask)) @ v


@takes(q="... t d", k="... s c", v="... s e", w="d c", mask="bool (... t s)")
def multiplicative_attention(
    q: torch.Tensor, k: torch.Tensor, v: torch.Tensor, w: torch.Tensor, mask: torch.Tensor | None = None
) -> torch.Tensor:
    """softmax(q W kᵀ) v, without a scale: q (... t d), k (... s c), v (... s e), w (d c) -> (... t e).

    mask is boolean and broadcasts to (... t s), True = may attend. A query that may attend to nothing gets zeros, and
    no gradient is NaN. The result has v's dtype; the arguments stay as they are.

    >>> q, k, v = torch.tensor([[1.0, 0.0]]), torch.tensor([[1.0], [0.0]]), torch.tensor([[8.0], [4.0]])
    >>> out = multiplicative_attention(q, k, v, torch.tensor([[3.0], [9.0]]).log())  # scores log 3 and 0: odds 3 to 1
    >>> out.round(decimals=3)
    tensor([[7.]])
    """
    return softmax(masked_scores(q @ w @ k.mT, mask)) @ v
