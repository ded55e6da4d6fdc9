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
    """1 if anything relevant is among the user's first k places, else 0: gains (u r), judged (u m) -> (u), float64.

    gains is what the item at each place is worth, best place first; judged all that the user could have gained, in any
    order, padded with 0; gains are not negative. An item is relevant if it is worth more than 0. A list may end before
    k. A user with nothing relevant has NaN. The inputs stay unchanged.

    >>> gains, judged = np.array([[0, 1, 1], [0, 0, 1], [0, 0, 0]]), np.array([[1, 1], [1, 0], [0, 0]])
    >>> hit_rate_numpy(gains, judged, 2)  # at place 2; at place 3; nothing to find
    array([ 1.,  0., nan])
    """
    hit = (gains[:, :k] > 0).any(axis=1)
    return np.where((judged > 0).any(axis=1), hit, np.nan)


@takes(gains="gains u r", judged="gains u m", k="count")
def hit_rate(gains: torch.Tensor, judged: torch.Tensor, k: int) -> torch.Tensor:
    """1 if anything relevant is among the user's first k places, else 0: gains (u r), judged (u m) -> (u), float64.

    gains is what the item at each place is worth, best place first; judged all that the user could have gained, in any
    order, padded with 0; gains are not negative. An item is relevant if it is worth more than 0. A list may end before
    k. A user with nothing relevant has NaN. The inputs stay unchanged.

    >>> gains = torch.tensor([[0.0, 1, 1], [0, 0, 1], [0, 0, 0]])
    >>> judged = torch.tensor([[1.0, 1], [1, 0], [0, 0]])
    >>> hit_rate(gains, judged, 2)  # at place 2; at place 3; nothing to find
    tensor([1., 0., nan], dtype=torch.float64)
    """
    hit = (gains[:, :k] > 0).any(dim=1).double()
    return hit.where((judged > 0).any(dim=1), torch.nan)
