r"""Dot attention (Luong): the score is the bare dot product, without scale and without a parameter.

    score_ts = q_t · k_s;   out_t = Σ_s softmax_s(score_ts) v_s

Axes    q (... t d), k (... s d), v (... s e).
Rule    Without a scale the norm of the inputs sets how sharp the weights are: doubled vectors make the scores four
        times as large. With N(0,1) inputs of width 64 the weights are one-hot; with small embeddings they are uniform.
        A query that may attend to nothing gets zeros.
Cost    O(t·s·(d+e)) time, O(t·s) memory; no parameters.
Asked   "Keras's Attention layer: what does it compute, and which scale is missing?"
Source  Luong, Pham, Manning 2015, sec. 3.1, "dot". https://arxiv.org/abs/1508.04025
"""

import numpy as np
import torch

from recattn_mini.attention.masks import masked_scores, masked_scores_numpy
from recattn_mini.attention.softmax import softmax, softmax_numpy
from recattn_mini.shapes import takes


@takes(q="... t d", k="... s d", v="... s e", mask="bool (... t s)")
def dot_attention_numpy(q: np.ndarray, k: np.ndarray, v: np.ndarray, mask: np.ndarray | None = None) -> np.ndarray:
    """q (... t d), k (... s d), v (... s e), mask bool (... t s), True = may attend -> (... t e).

    >>> q, k, v = np.array([[1.0, 0.0]]), np.array([[np.log(3.0), 9.0], [0.0, 9.0]]), np.array([[8.0], [4.0]])
    >>> dot_attention_numpy(q, k, v)  # scores log 3 and 0: odds 3 to 1, so 0.75 · 8 + 0.25 · 4
    array([[7.]])
    """
    return softmax_numpy(masked_scores_numpy(q @ np.swapaxes(k, -1, -2), mask)) @ v


@takes(q="... t d", k="... s d", v="... s e", mask="bool (... t s)")
def dot_attention(q: torch.Tensor, k: torch.Tensor, v: torch.Tensor, mask: torch.Tensor | None = None) -> torch.Tensor:
    """q (... t d), k (... s d), v (... s e), mask bool (... t s), True = may attend -> (... t e)."""
    return softmax(masked_scores(q @ k.mT, mask)) @ v
