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
    """gains (u r) in rank order and judged (u m), all that could be gained -> (u), NaN where that is nothing.

    >>> recall_numpy(np.array([[1, 0, 1], [0, 0, 0]]), np.array([[1, 1], [0, 0]]), 2)  # one of two; nothing to find
    array([0.5, nan])
    """
    relevant = np.einsum("um->u", judged > 0, dtype=np.int64)
    return np.einsum("ur->u", gains[:, :k] > 0, dtype=np.int64) / np.where(relevant == 0, np.nan, relevant)


@takes(gains="gains u r", judged="gains u m", k="count")
def recall(gains: torch.Tensor, judged: torch.Tensor, k: int) -> torch.Tensor:
    """gains (u r) in rank order and judged (u m), all that could be gained -> (u), NaN where that is nothing."""
    relevant = (judged > 0).sum(dim=1).double()
    return (gains[:, :k] > 0).sum(dim=1) / relevant.where(relevant != 0, torch.nan)
