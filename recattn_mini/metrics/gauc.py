r"""GAUC: AUC within each user, averaged by impressions. It asks for the order that a user gets to see.

    GAUC = Σ_u n_u · AUC_u / Σ_u n_u,   over users with both a positive and a negative

Axes    scores (n), labels (n), users (n) -> one figure. Rows of a user need not stand together.
Rule    A tie is half a win. Users with one class have no AUC and are left out, weight and all; if nobody is left, that
        is a ValueError. The weight is the user's number of rows; by clicks, or every user alike, is another figure.
Asked   "AUC went up, GAUC did not. What did the model learn?"  Who clicks much, not what they click.
Source  Zhu et al. 2017; Zhou et al. 2018 (DIN).
"""

import math

import numpy as np
import torch

from recattn_mini.shapes import takes


@takes(scores="scores n", labels="labels n", users="int n")
def gauc_numpy(scores: np.ndarray, labels: np.ndarray, users: np.ndarray) -> float:
    """scores (n), labels (n), users (n) -> the mean AUC of users, weighted by their rows.

    >>> scores, labels = np.array([0.9, 0.1, 0.5, 0.5, 0.8]), np.array([1, 0, 1, 0, 0])
    >>> gauc_numpy(scores, labels, np.array([7, 7, 8, 8, 9]))  # (2 · 1 + 2 · 0.5) / 4; user 9 never clicked
    0.75
    """
    new_user, new_score, positive = _in_order(scores, labels == 1, users)
    first = np.flatnonzero(new_score)  # of each run of rows with one user and one score
    size = np.diff(first, append=len(scores))
    hits = np.add.reduceat(positive, first, dtype=np.int64)
    run = np.flatnonzero(new_user[first])  # each user's first one
    positives, n = np.add.reduceat(hits, run), np.add.reduceat(size, run)
    # ranks in all rows, from 1, doubled to stay whole: tied rows share the mean of the run's first and last
    ranks = np.add.reduceat(hits * (2 * first + size + 1), run) - 2 * positives * first[run]
    won = ranks - positives * (positives + 1)
    return _weighted(won.tolist(), positives.tolist(), n.tolist())


def _in_order(scores: np.ndarray, positive: np.ndarray, users: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The rows by (user, score): where a user begins, where a user or a score does, and which are positive."""
    if scores.dtype.itemsize > 4:  # 64 bits of score leave no room for the user, and none may be dropped
        order = np.lexsort((scores, users))
        scores, users = scores[order], users[order]
        new_user = _changes(users)
        return new_user, new_user | _changes(scores), positive[order]
    if users.min() < 0 or users.max() >= 1 << 31:
        users = np.unique(users, return_inverse=True)[1]
    # user, score and label in one number: sorting numbers is many times faster than sorting rows.
    # -0.0 + 0.0 is 0.0. Floats order as their bits do once the negative ones are inverted and the others lifted above.
    bits = (scores.astype(np.float32) + np.float32(0)).view(np.uint32)
    bits = np.where(bits >> 31, ~bits, bits | np.uint32(1 << 31))
    packed = users.astype(np.uint64) << np.uint64(33) | bits.astype(np.uint64) << np.uint64(1) | positive
    packed.sort()
    return _changes(packed >> np.uint64(33)), _changes(packed >> np.uint64(1)), (packed & np.uint64(1)) == 1


def _changes(x: np.ndarray) -> np.ndarray:
    return np.concatenate([[True], x[1:] != x[:-1]])


@takes(scores="scores n", labels="labels n", users="int n")
def gauc(scores: torch.Tensor, labels: torch.Tensor, users: torch.Tensor) -> float:
    """scores (n), labels (n), users (n) -> the mean AUC of users, weighted by their rows."""
    order = scores.argsort()
    order = order[users[order].argsort(stable=True)]  # by user, and within a user still by score
    _, user, n = users[order].unique_consecutive(return_inverse=True, return_counts=True)
    tied = torch.stack([user.to(scores.dtype), scores[order]])
    raise NotImplementedError(tied, n)


def _weighted(won: list[int], positives: list[int], n: list[int]) -> float:
    """won counts a won pair twice and a tied one once."""
    both = [(w, p, m) for w, p, m in zip(won, positives, n, strict=True) if 0 < p < m]
    if not both:
        raise ValueError(f"labels must hold both 0 and 1 for at least one user, got one class for each of {len(n)}")
    return math.fsum(m * w / (2 * p * (m - p)) for w, p, m in both) / sum(m for _, _, m in both)
