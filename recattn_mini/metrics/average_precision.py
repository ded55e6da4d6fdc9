r"""Average precision: the precision at the place of every relevant item, averaged; its mean over users is MAP.

    AP@k = 1/R Σ_{r <= k, gain_r > 0} Precision@r           capped: 1/min(k, R) instead of 1/R

Axes    gains (u r), judged (u m) -> (u).
Rule    A relevant item outside the first k counts as precision 0, in the divisor R. Then a perfect list of k < R places
        has AP k/R, capped 1. NaN where nothing is relevant. With one relevant item both are the reciprocal rank.
Asked   "MAP@10 is 0.10 in one library and 0.02 in another, on the same lists. Which is right?"  Both, by their own
        divisor: R (trec_eval, ranx), min(k, R) (RecBole), or the hits in the list (torchmetrics), which forgives
        whatever was not found.
Source  Buckley, Voorhees 2000; trec_eval `map_cut`; min(k, R): Kaggle's MAP@k.
"""

import numpy as np
import torch

from recattn_mini.shapes import takes


@takes(gains="gains u r", judged="gains u m", k="count")
def average_precision_numpy(gains: np.ndarray, judged: np.ndarray, k: int) -> np.ndarray:
    """Precision@r summed over the places r <= k of a user's hits, by R: gains (u r), judged (u m) -> (u), float64.

    gains is what the item at each place is worth, best place first; judged all that the user could have gained, in any
    order, padded with 0; gains are not negative. A hit is a place worth more than 0; Precision@r is the share of hits
    among the first r places, counted from 1; R counts what is above 0 in judged, ranked or not. A list may end before
    k. A user with nothing relevant has NaN. The inputs stay unchanged.

    >>> gains, judged = np.array([[1, 0, 1, 1], [0, 0, 0, 0]]), np.array([[1, 1, 1, 1, 1], [0, 0, 0, 0, 0]])
    >>> average_precision_numpy(gains, judged, 3).round(4)  # (1 + 2/3) / 5; nothing to find
    array([0.3333,    nan])
    """
    relevant = (judged > 0).sum(axis=1)
    return _summed_precision_numpy(gains, k) / np.where(relevant == 0, np.nan, relevant)


def _summed_precision_numpy(gains: np.ndarray, k: int) -> np.ndarray:
    hits = gains[:, :k] > 0
    precision = hits.cumsum(axis=1) / np.arange(1, hits.shape[1] + 1)
    return (precision * hits).sum(axis=1)


@takes(gains="gains u r", judged="gains u m", k="count")
def average_precision(gains: torch.Tensor, judged: torch.Tensor, k: int) -> torch.Tensor:
    """Precision@r summed over the places r <= k of a user's hits, by R: gains (u r), judged (u m) -> (u), float64.

    gains is what the item at each place is worth, best place first; judged all that the user could have gained, in any
    order, padded with 0; gains are not negative. A hit is a place worth more than 0; Precision@r is the share of hits
    among the first r places, counted from 1; R counts what is above 0 in judged, ranked or not. A list may end before
    k. A user with nothing relevant has NaN. The inputs stay unchanged.

    >>> gains, judged = torch.tensor([[1.0, 0, 1, 1], [0, 0, 0, 0]]), torch.tensor([[1.0, 1, 1, 1, 1], [0, 0, 0, 0, 0]])
    >>> average_precision(gains, judged, 3)  # (1 + 2/3) / 5; nothing to find
    tensor([0.3333,    nan], dtype=torch.float64)
    """
    relevant = (judged > 0).sum(dim=1).double()
    return _summed_precision(gains, k) / relevant.where(relevant != 0, torch.nan)


def _summed_precision(gains: torch.Tensor, k: int) -> torch.Tensor:
    hits = gains[:, :k] > 0
    precision = hits.cumsum(dim=1).double() / torch.arange(1, hits.shape[1] + 1, device=gains.device)
    return (precision * hits).sum(dim=1)


@takes(gains="gains u r", judged="gains u m", k="count")
def average_precision_capped_numpy(gains: np.ndarray, judged: np.ndarray, k: int) -> np.ndarray:
    """As `average_precision_numpy`, divided by min(k, R), the most that k places can hold.

    >>> average_precision_capped_numpy(np.array([[1, 0, 1, 1]]), np.ones((1, 5)), 3).round(4)  # (1 + 2/3) / 3
    array([0.5556])

    Asked   "Why is a perfect top 10 not a MAP@10 of 1?"
    """
    relevant = (judged > 0).sum(axis=1)
    return _summed_precision_numpy(gains, k) / np.where(relevant == 0, np.nan, np.minimum(k, relevant))


@takes(gains="gains u r", judged="gains u m", k="count")
def average_precision_capped(gains: torch.Tensor, judged: torch.Tensor, k: int) -> torch.Tensor:
    """As `average_precision`, divided by min(k, R), the most that k places can hold."""
    relevant = (judged > 0).sum(dim=1).double()
    return _summed_precision(gains, k) / relevant.where(relevant != 0, torch.nan).clamp_max(k)
