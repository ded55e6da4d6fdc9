r"""Recall: the share of the relevant items that reached the first k places.

    Recall@k = #{r <= k : gain_r > 0} / R,   R = #{relevant items of the user}

Axes    gains (u r), judged (u m) -> (u).
Rule    Divided by R, all that is relevant, ranked or not: for R > k its best is k / R. NaN where nothing is relevant.
        With one relevant item it is the hit rate, and Precision@k is a k-th of it.
Asked   "A user has 50 relevant items, your list has 10 places. What is the best recall?"  0.2. Dividing by min(k, R)
        makes it 1, and is a different metric (capped, or calibrated, recall).
Source  Cleverdon 1967; trec_eval `recall`; divided by min(k, R): LensKit's recall, RecPack's CalibratedRecall,
        implicit's "precision".
"""

import numpy as np
import torch

from recattn_mini.shapes import takes


@takes(gains="gains u r", judged="gains u m", k="count")
def recall_numpy(gains: np.ndarray, judged: np.ndarray, k: int) -> np.ndarray:
    """The share of each user's relevant items that the first k places hold: gains (u r), judged (u m) -> (u), float64.

    gains is what the item at each place is worth, best place first; judged all that the user could have gained, in any
    order, padded with 0; gains are not negative. An item is relevant if it is worth more than 0, and counts once,
    whatever it is worth. A list that ends before k has missed the rest. A user with nothing relevant has NaN. The
    inputs stay unchanged.

    >>> recall_numpy(np.array([[1, 0, 3], [0, 0, 0]]), np.array([[3, 1], [0, 0]]), 2)  # one of two; nothing to find
    array([0.5, nan])
    """
    hits = (gains[:, :k] > 0).sum(axis=1)
    relevant = (judged > 0).sum(axis=1)
    return hits / np.where(relevant == 0, np.nan, relevant)


@takes(gains="gains u r", judged="gains u m", k="count")
def recall(gains: torch.Tensor, judged: torch.Tensor, k: int) -> torch.Tensor:
    """The share of each user's relevant items that the first k places hold: gains (u r), judged (u m) -> (u), float64.

    gains is what the item at each place is worth, best place first; judged all that the user could have gained, in any
    order, padded with 0; gains are not negative. An item is relevant if it is worth more than 0, and counts once,
    whatever it is worth. A list that ends before k has missed the rest. A user with nothing relevant has NaN. The
    inputs stay unchanged.

    >>> gains, judged = torch.tensor([[1.0, 0, 3], [0, 0, 0]]), torch.tensor([[3.0, 1], [0, 0]])
    >>> recall(gains, judged, 2)  # one of two; nothing to find
    tensor([0.5000,    nan], dtype=torch.float64)
    """
    hits = (gains[:, :k] > 0).sum(dim=1)
    relevant = (judged > 0).sum(dim=1).double()
    return hits / relevant.where(relevant != 0, torch.nan)
