r"""F1: the harmonic mean of precision and recall.

    F1@k = 2 P R' / (P + R') = 2 hits / (k + R),   P = hits / k,   R' = hits / R

Axes    gains (u r), judged (u m) -> (u).
Rule    The second form has no 0 / 0: without a hit it is 0. NaN where nothing is relevant. Taken user by user, then
        averaged; the F1 of the two averages is another number.
Asked   "Why the harmonic mean?"  It stays near the smaller of the two: P = 1 and R' = 0.01 give 0.02, not 0.5.
Source  van Rijsbergen 1979 (as the effectiveness E = 1 - F).
"""

import numpy as np
import torch

from recattn_mini.shapes import takes


@takes(gains="gains u r", judged="gains u m", k="count")
def f1_numpy(gains: np.ndarray, judged: np.ndarray, k: int) -> np.ndarray:
    """gains (u r) in rank order and judged (u m), all that could be gained -> (u), NaN where that is nothing.

    >>> f1_numpy(np.array([[1, 0], [0, 0]]), np.array([[1, 1], [1, 0]]), 2)  # P = R' = 1/2; both 0
    array([0.5, 0. ])
    """
    hits, relevant = (gains[:, :k] > 0).sum(axis=1), (judged > 0).sum(axis=1)
    return np.where(relevant > 0, 2 * hits / (k + relevant), np.nan)


@takes(gains="gains u r", judged="gains u m", k="count")
def f1(gains: torch.Tensor, judged: torch.Tensor, k: int) -> torch.Tensor:
    """gains (u r) in rank order and judged (u m), all that could be gained -> (u), NaN where that is nothing."""
    hits, relevant = (gains[:, :k] > 0).sum(dim=1).double(), (judged > 0).sum(dim=1)
    return (2 * hits / (k + relevant)).where(relevant > 0, torch.nan)
