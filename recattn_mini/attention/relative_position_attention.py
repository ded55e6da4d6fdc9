r"""Relative positions (Shaw): keys and values depend on how far they stand from the query, up to a distance m.

    r_ts = clip(s - t, -m, m) + m
    score_ts = q_t·(k_s + A_k[r_ts]) / √d;   out_t = Σ_s softmax_s(score_ts) (v_s + A_v[r_ts])

Axes    q (... t d), k (... s d), v (... s e); A_k (2m+1 d), A_v (2m+1 e), one pair of tables for all heads.
Rule    Key minus query: row m is the query's own place, row 0 is m or more steps back, the last row m or more ahead.
        With fewer queries than keys the last query stands on the last key, as in `causal_mask`.
        A query that may attend to nothing gets zeros.
Cost    O(t·s·(d+e)) time, and as much memory for the vectors of all pairs; without them, O(t·(s + m)) memory: see
        `fast/relative_position_attention.py`, which takes a quarter of the time or less.
Asked   "Why are values given a distance too? How do you get rid of the (t s d) tensor?"
Source  Shaw, Uszkoreit, Vaswani 2018, eq. 3–5 and sec. 3.3. https://arxiv.org/abs/1803.02155
"""

import math

import numpy as np
import torch

from recattn_mini.attention.masks import masked_scores, masked_scores_numpy
from recattn_mini.attention.softmax import softmax, softmax_numpy
from recattn_mini.shapes import takes


def _largest_distance(rows: int) -> int:
    if rows % 2 == 0:
        raise ValueError(f"relative_k must have 2m+1 rows, for distances from -m to m, got {rows}")
    return rows // 2


@takes(q="... t d", k="... s d", v="... s e", relative_k="distances d", relative_v="distances e", mask="bool (... t s)")
def relative_position_attention_numpy(
    q: np.ndarray,
    k: np.ndarray,
    v: np.ndarray,
    relative_k: np.ndarray,
    relative_v: np.ndarray,
    mask: np.ndarray | None = None,
) -> np.ndarray:
    """q (... t d), k (... s d), v (... s e), relative_k (2m+1 d), relative_v (2m+1 e), mask (... t s) -> (... t e).

    >>> one, none = np.ones((1, 1)), np.zeros((3, 1))
    >>> relative_k = np.array([[np.log(3)], [0.0], [0.0]])  # one step back: odds 3 to 1
    >>> relative_position_attention_numpy(one, none[:2], np.array([[8.0], [4.0]]), relative_k, none)
    array([[7.]])
    """
    t, s, m = q.shape[-2], k.shape[-2], _largest_distance(len(relative_k))
    distance = np.arange(s) - (np.arange(t)[:, None] + s - t)
    row = np.clip(distance, -m, m) + m  # (t s)
    keys = k[..., None, :, :] + relative_k[row]  # (... t s d): what query t sees of key s
    values = v[..., None, :, :] + relative_v[row]  # (... t s e)
    scores = (q[..., None, :] * keys).sum(axis=-1) / math.sqrt(q.shape[-1])  # (... t s)
    weights = softmax_numpy(masked_scores_numpy(scores, mask))
    return (weights[..., None] * values).sum(axis=-2)


@takes(q="... t d", k="... s d", v="... s e", relative_k="distances d", relative_v="distances e", mask="bool (... t s)")
def relative_position_attention(
    q: torch.Tensor,
    k: torch.Tensor,
    v: torch.Tensor,
    relative_k: torch.Tensor,
    relative_v: torch.Tensor,
    mask: torch.Tensor | None = None,
) -> torch.Tensor:
    """q (... t d), k (... s d), v (... s e), relative_k (2m+1 d), relative_v (2m+1 e), mask (... t s) -> (... t e).

    mask is boolean, True = may attend. A query that may attend to nothing gets zeros, and no gradient is NaN.

    >>> one, none = torch.ones(1, 1), torch.zeros(3, 1)
    >>> relative_v = torch.tensor([[2.0], [0.0], [0.0]])  # one step back: 2 more
    >>> relative_position_attention(one, none[:2], torch.tensor([[8.0], [4.0]]), none, relative_v)  # ½(8 + 2) + ½·4
    tensor([[7.]])
    """
    t, s, m = q.shape[-2], k.shape[-2], _largest_distance(len(relative_k))
    distance = torch.arange(s, device=q.device) - (torch.arange(t, device=q.device)[:, None] + s - t)
    row = distance.clamp(-m, m) + m  # (t s)
    keys = k[..., None, :, :] + relative_k[row]  # (... t s d): what query t sees of key s
    values = v[..., None, :, :] + relative_v[row]  # (... t s e)
    scores = (q[..., None, :] * keys).sum(dim=-1) / math.sqrt(q.shape[-1])  # (... t s)
    weights = softmax(masked_scores(scores, mask))
    return (weights[..., None] * values).sum(dim=-2)
