r"""Relative positions (Shaw): keys and values depend on how far they stand from the query, up to a distance m.

    r_ts = clip(s - t, -m, m) + m
    score_ts = q_t·(k_s + A_k[r_ts]) / √d;   out_t = Σ_s softmax_s(score_ts) (v_s + A_v[r_ts])

Axes    q (... t d), k (... s d), v (... s e); A_k (2m+1 d), A_v (2m+1 e), one pair of tables for all heads.
Rule    Key minus query: row m is the query's own place, row 0 is m or more steps back, the last row m or more ahead.
        With fewer queries than keys the last query stands on the last key, as in `causal_mask`.
        A query that may attend to nothing gets zeros.
Cost    O(t·(s + m)·(d+e)) time, O(t·(s + m)) memory: r_ts is never made a vector, which would cost O(t·s·d).
Asked   "Why are values given a distance too? How do you get rid of the (t s d) tensor?"
Source  Shaw, Uszkoreit, Vaswani 2018, eq. 3–5 and sec. 3.3. https://arxiv.org/abs/1803.02155
"""

import math
from typing import Any

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
    q, queries = q / math.sqrt(q.shape[-1]), np.arange(t)[:, None]
    row = np.clip(np.arange(s) - (queries + s - t), -m, m) + m  # (t s)
    pick: Any = (..., queries, row)
    # q_t meets each of the 2m+1 distances once, (... t 2m+1), and each key picks its own
    scores = q @ np.swapaxes(k, -1, -2) + (q @ relative_k.T)[pick]
    weights = softmax_numpy(masked_scores_numpy(scores, mask))  # (... t s)
    # the other way round: what each distance is worth, all its keys together
    by_distance = np.zeros((*weights.shape[:-1], 2 * m + 1), weights.dtype)
    np.add.at(by_distance, pick, weights)  # += would count one key of each distance
    return weights @ v + by_distance @ relative_v


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

    mask is boolean, True = may attend. A query that may attend to nothing gets zeros, and no NaN in any gradient.

    >>> one, none = torch.ones(1, 1), torch.zeros(3, 1)
    >>> relative_v = torch.tensor([[2.0], [0.0], [0.0]])  # one step back: 2 more
    >>> relative_position_attention(one, none[:2], torch.tensor([[8.0], [4.0]]), none, relative_v)  # ½(8 + 2) + ½·4
    tensor([[7.]])
    """
    t, s, m = q.shape[-2], k.shape[-2], _largest_distance(len(relative_k))
    q = q / math.sqrt(q.shape[-1])
    row = torch.arange(s, device=q.device) - (torch.arange(t, device=q.device)[:, None] + s - t)
    row = (row.clamp(-m, m) + m).expand(*q.shape[:-1], s)  # (... t s)
    # q_t meets each of the 2m+1 distances once, (... t 2m+1), and each key picks its own
    scores = q @ k.mT + (q @ relative_k.mT).gather(-1, row)
    weights = softmax(masked_scores(scores, mask))  # (... t s)
    # the other way round: what each distance is worth, all its keys together. A GPU adds them in the dtype it is given,
    # and in half precision a weight of 0.001 is lost when it is added to 0.5: float32 at least
    sums = weights.to(torch.promote_types(weights.dtype, torch.float32))
    by_distance = sums.new_zeros(*sums.shape[:-1], 2 * m + 1).scatter_add(-1, row, sums).to(weights.dtype)
    return weights @ v + by_distance @ relative_v
