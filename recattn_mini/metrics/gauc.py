r"""GAUC: the AUC of each user, averaged by impressions. It forgets how much a user clicks and keeps what they click.

    GAUC = Σ_u n_u · AUC_u / Σ_u n_u      over the users with both classes; n_u impressions

Axes    scores (n), labels (n), users (n) -> a number.
Rule    Users in any order and of any size. A user with one class has no AUC and is left out, of both sums. Nobody left
        is a ValueError. Ties count half.
Asked   "AUC is up and the ranking is not. Why?"  AUC rewards knowing which user clicks; GAUC cannot.
Source  Zhu et al. 2017 (OCPC); Zhou et al. 2018 (DIN), 5.2. Some weigh by clicks (RecBole), or not at all.
"""

import numpy as np
import torch

from recattn_mini.metrics.auc import sortable_bits
from recattn_mini.shapes import takes


@takes(scores="scores n", labels="labels n", users="int n")
def gauc_numpy(scores: np.ndarray, labels: np.ndarray, users: np.ndarray) -> float:
    """scores (n), labels (n), users (n) whose impression each is -> the mean AUC by impressions.

    >>> scores, labels = np.array([0.1, 0.9, 0.5, 0.3, 0.8]), np.array([0, 1, 1, 1, 0])
    >>> gauc_numpy(scores, labels, np.array([7, 7, 4, 4, 4]))  # user 7: 1 of 1 pairs; user 4: 0 of 2
    0.4
    """
    _, group, size = np.unique(users, return_inverse=True, return_counts=True)
    positive = labels == 1
    if scores.dtype == np.float32 and len(size) < 1 << 31:
        keys = np.sort(group.astype(np.uint64) << np.uint64(33) | sortable_bits(scores) << np.uint64(1) | positive)
        positive, keys = (keys & np.uint64(1)).astype(bool), keys >> np.uint64(1)
        starts = np.flatnonzero(np.r_[True, keys[1:] != keys[:-1]])  # of the runs of equal scores of one user
        group = (keys[starts] >> np.uint64(32)).astype(np.int64)
    else:
        order = np.lexsort((scores, group))
        positive, scores, group = positive[order], scores[order], group[order]
        starts = np.flatnonzero(np.r_[True, (scores[1:] != scores[:-1]) | (group[1:] != group[:-1])])
        group = group[starts]
    up_to = np.r_[0, np.cumsum(positive)]
    ends = np.r_[starts[1:], len(positive)]
    in_run = up_to[ends] - up_to[starts]
    others = ends - starts - in_run
    positives, negatives = np.bincount(group, in_run), np.bincount(group, others)
    below = np.cumsum(others) - others - (np.cumsum(negatives) - negatives)[group]
    wins = np.bincount(group, in_run * (below + others / 2))
    return _by_impressions(wins, positives * negatives, size)


def _by_impressions(wins: np.ndarray, pairs: np.ndarray, size: np.ndarray) -> float:
    both = pairs > 0
    if not both.any():
        raise ValueError(f"labels must hold both classes for some user, got {len(size)} users with one class each")
    return float((size[both] * wins[both] / pairs[both]).sum() / size[both].sum())


@takes(scores="scores n", labels="labels n", users="int n")
def gauc(scores: torch.Tensor, labels: torch.Tensor, users: torch.Tensor) -> float:
    """scores (n), labels (n), users (n) whose impression each is -> the mean AUC by impressions."""
    group, size = users.unique(return_inverse=True, return_counts=True)[1:]
    _, level = scores.unique(return_inverse=True)
    key, run = (group * (level.max() + 1) + level).unique(return_inverse=True)
    of_user = key // (level.max() + 1)
    ones = torch.ones(len(labels), dtype=torch.float64, device=scores.device)
    zeros = torch.zeros(len(key), dtype=torch.float64, device=scores.device)
    in_run, others = (zeros.index_add(0, run, ones * (labels == y)) for y in (1, 0))
    per_user = torch.zeros(len(size), dtype=torch.float64, device=scores.device)
    positives, negatives = (per_user.index_add(0, of_user, x) for x in (in_run, others))
    below = others.cumsum(0) - others - (negatives.cumsum(0) - negatives)[of_user]
    wins = per_user.index_add(0, of_user, in_run * (below + others / 2))
    return _by_impressions(*(x.cpu().numpy() for x in (wins, positives * negatives, size)))
