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


def _parts_numpy(gains: np.ndarray, judged: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
    """The sum of the precisions at the hits (u), and R (u), NaN for 0."""
    hits, relevant = gains[:, :k] > 0, np.einsum("um->u", judged > 0, dtype=np.int64)
    precisions = hits.cumsum(axis=1, dtype=np.float64)
    precisions /= np.arange(1, hits.shape[1] + 1)
    precisions *= hits
    return precisions.sum(axis=1), np.where(relevant == 0, np.nan, relevant)


def _parts(gains: torch.Tensor, judged: torch.Tensor, k: int) -> tuple[torch.Tensor, torch.Tensor]:
    hits, relevant = gains[:, :k] > 0, (judged > 0).sum(dim=1).double()
    precisions = hits.cumsum(dim=1).double() / torch.arange(1, hits.shape[1] + 1, device=gains.device)
    return (precisions * hits).sum(dim=1), relevant.where(relevant != 0, torch.nan)


@takes(gains="gains u r", judged="gains u m", k="count")
def average_precision_numpy(gains: np.ndarray, judged: np.ndarray, k: int) -> np.ndarray:
    """gains (u r) in rank order and judged (u m), all that could be gained -> (u), NaN where that is nothing.

    >>> average_precision_numpy(np.array([[1, 0, 1, 1]]), np.array([[1, 1, 1, 1, 1]]), 3).round(4)  # (1 + 2/3) / 5
    array([0.3333])
    """
    total, relevant = _parts_numpy(gains, judged, k)
    return total / relevant


@takes(gains="gains u r", judged="gains u m", k="count")
def average_precision(gains: torch.Tensor, judged: torch.Tensor, k: int) -> torch.Tensor:
    """gains (u r) in rank order and judged (u m), all that could be gained -> (u), NaN where that is nothing."""
    total, relevant = _parts(gains, judged, k)
    return total / relevant


@takes(gains="gains u r", judged="gains u m", k="count")
def average_precision_capped_numpy(gains: np.ndarray, judged: np.ndarray, k: int) -> np.ndarray:
    """As `average_precision_numpy`, divided by what could have been found in k places.

    >>> average_precision_capped_numpy(np.array([[1, 0, 1, 1]]), np.ones((1, 5)), 3).round(4)  # (1 + 2/3) / 3
    array([0.5556])

    Asked   "Why is a perfect top 10 not a MAP@10 of 1?"
    """
    total, relevant = _parts_numpy(gains, judged, k)
    return total / np.minimum(k, relevant)


@takes(gains="gains u r", judged="gains u m", k="count")
def average_precision_capped(gains: torch.Tensor, judged: torch.Tensor, k: int) -> torch.Tensor:
    """As `average_precision`, divided by what could have been found in k places."""
    total, relevant = _parts(gains, judged, k)
    return total / relevant.clamp_max(k)
