r"""Hit rate: whether any relevant item is among the first k.

    HitRate@k = 1 if some r <= k has gain_r > 0, else 0

Axes    gains (u r), judged (u m) -> (u).
Rule    Blind to which place, how many and how relevant. NaN where nothing is relevant. With one relevant item it equals
        Recall@k; with more it is never below it.
Asked   "When are hit rate and recall the same?"  With one relevant item a user, as in leave-one-out. Papers call
        either by the other's name.
Source  trec_eval `success`; HR@10 with leave-one-out: He et al. 2017 (NCF).
"""

import numpy as np
import torch

from recattn_mini.shapes import takes


@takes(gains="gains u r", judged="gains u m", k="count")
def hit_rate_numpy(gains: np.ndarray, judged: np.ndarray, k: int) -> np.ndarray:
    """gains (u r) in rank order and judged (u m), all that could be gained -> (u), NaN where that is nothing.

    >>> hit_rate_numpy(np.array([[0, 1, 1], [0, 0, 1]]), np.array([[1, 1], [1, 0]]), 2)  # the second's is third
    array([1., 0.])
    """
    hit = (gains[:, :k] > 0).any(axis=1).astype(np.float64)
    return np.where((judged > 0).any(axis=1), hit, np.nan)


@takes(gains="gains u r", judged="gains u m", k="count")
def hit_rate(gains: torch.Tensor, judged: torch.Tensor, k: int) -> torch.Tensor:
    """gains (u r) in rank order and judged (u m), all that could be gained -> (u), NaN where that is nothing."""
    hit = (gains[:, :k] > 0).any(dim=1).double()
    return hit.where((judged > 0).any(dim=1), torch.nan)
