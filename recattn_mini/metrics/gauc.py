r"""GAUC: the AUC of each user, averaged by impressions. It forgets how much a user clicks and keeps what they click.

    GAUC = Σ_u n_u · AUC_u / Σ_u n_u      over the users with both classes; n_u impressions

Axes    scores (n), labels (n), users (n) -> a number.
Rule    A user with one class has no AUC and is left out, of both sums. Ties count half.
Cost    O(n) for each user, since each user's rows are looked for among all. `fast/gauc.py` sorts the rows by user and
        score once: at a thousand users it takes a few hundredths of the time.
Asked   "AUC is up and the ranking is not. Why?"  AUC rewards knowing which user clicks; GAUC cannot.
Source  Zhu et al. 2017 (OCPC); Zhou et al. 2018 (DIN), 6.3. Some weigh by clicks (RecBole), or not at all.
"""

import numpy as np
import torch

from recattn_mini.metrics.auc import auc, auc_numpy
from recattn_mini.shapes import takes


@takes(scores="scores n", labels="labels n", users="int n")
def gauc_numpy(scores: np.ndarray, labels: np.ndarray, users: np.ndarray) -> float:
    """The mean of the users' AUCs, each weighted by the user's impressions, as a Python float.

    scores (n), without NaN, labels (n), 0 or 1, and users (n), whose impression each row is: any whole number, in any
    order. AUC is the share of the user's pairs (a positive, a negative) in which the positive has the higher score; a
    tie, of two scores of -inf too, is half a pair. A user whose labels are all 0 or all 1 is left out, from the sum and
    from the weights. If that leaves nobody, or there are no rows: ValueError. The inputs stay unchanged.

    >>> scores, labels = np.array([0.1, 0.9, 0.5, 0.3, 0.8, 0.7]), np.array([0, 1, 1, 1, 0, 1])
    >>> users = np.array([7, 7, 4, 4, 4, 9])  # 7 has 1 of 1 pairs in order, 4 has 0 of 2, 9 has no pair
    >>> gauc_numpy(scores, labels, users)  # (2 · 1 + 3 · 0) / (2 + 3)
    0.4
    """
    aucs, impressions, everybody = [], [], np.unique(users)
    for user in everybody:
        own = users == user
        if len(np.unique(labels[own])) == 2:
            aucs.append(auc_numpy(scores[own], labels[own]))
            impressions.append(own.sum())
    _check_anybody(len(aucs), len(everybody))
    return float(np.average(aucs, weights=impressions))


@takes(scores="scores n", labels="labels n", users="int n")
def gauc(scores: torch.Tensor, labels: torch.Tensor, users: torch.Tensor) -> float:
    """The mean of the users' AUCs, each weighted by the user's impressions, as a Python float.

    scores (n), without NaN, labels (n), 0 or 1, and users (n), whose impression each row is: any whole number, in any
    order. AUC is the share of the user's pairs (a positive, a negative) in which the positive has the higher score; a
    tie, of two scores of -inf too, is half a pair. A user whose labels are all 0 or all 1 is left out, from the sum and
    from the weights. If that leaves nobody, or there are no rows: ValueError. The inputs stay unchanged.

    >>> scores, labels = torch.tensor([0.1, 0.9, 0.5, 0.3, 0.8, 0.7]), torch.tensor([0, 1, 1, 1, 0, 1])
    >>> users = torch.tensor([7, 7, 4, 4, 4, 9])  # 7 has 1 of 1 pairs in order, 4 has 0 of 2, 9 has no pair
    >>> gauc(scores, labels, users)  # (2 · 1 + 3 · 0) / (2 + 3)
    0.4
    """
    aucs, impressions, everybody = [], [], users.unique()
    for user in everybody:
        own = users == user
        if len(labels[own].unique()) == 2:
            aucs.append(auc(scores[own], labels[own]))
            impressions.append(int(own.sum()))
    _check_anybody(len(aucs), len(everybody))
    return sum(a * n for a, n in zip(aucs, impressions, strict=True)) / sum(impressions)


def _check_anybody(counted: int, users: int) -> None:
    if counted == 0:
        raise ValueError(f"labels must hold both classes for some user, got {users} users with one class each")
