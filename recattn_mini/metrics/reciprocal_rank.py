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
    """1 / the place of the user's first relevant item, counted from 1: gains (u r), judged (u m) -> (u), float64.

    gains is what the item at each place is worth, best place first; judged all that the user could have gained, in any
    order, padded with 0; gains are not negative. An item is relevant if it is worth more than 0. 0 if none is among the
    first k places; a list may end before k. A user with nothing relevant has NaN. The inputs stay unchanged.

    >>> gains, judged = np.array([[0, 1, 1], [0, 0, 1], [0, 0, 0]]), np.array([[1, 1], [1, 0], [0, 0]])
    >>> reciprocal_rank_numpy(gains, judged, 2)  # at place 2; beyond k; nothing to find
    array([0.5, 0. , nan])
    """
    hits = gains[:, :k] > 0
    best = (hits / np.arange(1, hits.shape[1] + 1)).max(axis=1)
    return np.where((judged > 0).any(axis=1), best, np.nan)


@takes(gains="gains u r", judged="gains u m", k="count")
def reciprocal_rank(gains: torch.Tensor, judged: torch.Tensor, k: int) -> torch.Tensor:
    """1 / the place of the user's first relevant item, counted from 1: gains (u r), judged (u m) -> (u), float64.

    gains is what the item at each place is worth, best place first; judged all that the user could have gained, in any
    order, padded with 0; gains are not negative. An item is relevant if it is worth more than 0. 0 if none is among the
    first k places; a list may end before k. A user with nothing relevant has NaN. The inputs stay unchanged.

    >>> gains = torch.tensor([[0.0, 1, 1], [0, 0, 1], [0, 0, 0]])
    >>> judged = torch.tensor([[1.0, 1], [1, 0], [0, 0]])
    >>> reciprocal_rank(gains, judged, 2)  # at place 2; beyond k; nothing to find
    tensor([0.5000, 0.0000,    nan], dtype=torch.float64)
    """
    hits = (gains[:, :k] > 0).double()
    best = (hits / torch.arange(1, hits.shape[1] + 1, device=gains.device)).amax(dim=1)
    return best.where((judged > 0).any(dim=1), torch.nan)
