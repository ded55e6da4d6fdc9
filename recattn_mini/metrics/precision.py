r"""Precision: the share of the k places that are relevant.

    Precision@k = #{r <= k : gain_r > 0} / k

Axes    gains (u r), judged (u m) -> (u).
Rule    Divided by k even where the list is shorter: an empty place is a wasted one. Its best is min(k, R) / k, so with
        one relevant item Precision@10 cannot exceed 0.1. NaN where nothing is relevant.
Asked   "Precision@10 is 0.08 in leave-one-out. Is that bad?"  Its ceiling is 0.1: it is a hit rate of 0.8.
Source  Cleverdon 1967; trec_eval `P`; division by the length of the list is LensKit's, and torchmetrics'
        `adaptive_k=True`.
"""

import numpy as np
import torch

from recattn_mini.shapes import takes


@takes(gains="gains u r", judged="gains u m", k="count")
def precision_numpy(gains: np.ndarray, judged: np.ndarray, k: int) -> np.ndarray:
    """gains (u r) in rank order and judged (u m), all that could be gained -> (u), NaN where that is nothing.

    >>> precision_numpy(np.array([[1, 0, 1], [0, 0, 0]]), np.array([[1, 1], [0, 0]]), 5)  # 2 of 5; nothing to find
    array([0.4, nan])
    """
    hits = (gains[:, :k] > 0).sum(axis=1)
    return np.where((judged > 0).any(axis=1), hits / k, np.nan)


@takes(gains="gains u r", judged="gains u m", k="count")
def precision(gains: torch.Tensor, judged: torch.Tensor, k: int) -> torch.Tensor:
    """gains (u r) in rank order and judged (u m), all that could be gained -> (u), NaN where that is nothing."""
    hits = (gains[:, :k] > 0).sum(dim=1).double()
    return (hits / k).where((judged > 0).any(dim=1), torch.nan)
