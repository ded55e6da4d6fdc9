r"""Reciprocal rank: one over the place of the first relevant item; its mean over users is MRR.

    RR@k = max_{r <= k} [gain_r > 0] / r = 1 / (place of the first relevant item), 0 if it is not among the first k

Axes    gains (u r), judged (u m) -> (u).
Rule    Only the first relevant item counts: everything after it is ignored. NaN where nothing is relevant. With one
        relevant item it equals AP@k; its mean is 1 over the harmonic, not the arithmetic, mean of the ranks.
Asked   "Two users find theirs at 1 and at 10. Is the MRR that of both at 5.5?"  No: 0.55, against 0.18.
Source  Voorhees 1999 (TREC-8 question answering); trec_eval `recip_rank` has no cutoff.
"""

import numpy as np
import torch

from recattn_mini.shapes import takes


@takes(gains="gains u r", judged="gains u m", k="count")
def reciprocal_rank_numpy(gains: np.ndarray, judged: np.ndarray, k: int) -> np.ndarray:
    """gains (u r) in rank order and judged (u m), all that could be gained -> (u), NaN where that is nothing.

    >>> reciprocal_rank_numpy(np.array([[0, 1, 1], [0, 0, 1]]), np.ones((2, 2)), 2)  # second place; beyond k
    array([0.5, 0. ])
    """
    hits = gains[:, :k] > 0
    first = hits.argmax(axis=1)
    best = hits[np.arange(len(hits)), first] / (first + 1)  # 0 where the first one is no hit: there is none
    return np.where(judged.any(axis=1), best, np.nan)


@takes(gains="gains u r", judged="gains u m", k="count")
def reciprocal_rank(gains: torch.Tensor, judged: torch.Tensor, k: int) -> torch.Tensor:
    """gains (u r) in rank order and judged (u m), all that could be gained -> (u), NaN where that is nothing."""
    hits = (gains[:, :k] > 0).double()
    best = (hits / torch.arange(1, hits.shape[1] + 1, device=gains.device)).amax(dim=1)
    return best.where((judged > 0).any(dim=1), torch.nan)
