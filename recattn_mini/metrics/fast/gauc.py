"""GAUC of many users: one sort brings the rows into the order of (user, score, label), and sums over it do the rest.

Scores of up to 32 bits are sorted together with user and label as one integer, which NumPy sorts many times faster
than rows. The PyTorch form numbers the distinct (user, score) pairs instead, and counts per pair.
"""

import numpy as np
import torch

from recattn_mini.metrics.fast._sortable import sortable_bits
from recattn_mini.shapes import takes


@takes(scores="scores n", labels="labels n", users="int n")
def gauc_numpy(scores: np.ndarray, labels: np.ndarray, users: np.ndarray) -> float:
    """As `metrics.gauc.gauc_numpy`.

    >>> gauc_numpy(np.array([0.1, 0.9, 0.5, 0.3, 0.8]), np.array([0, 1, 1, 1, 0]), np.array([7, 7, 4, 4, 4]))
    0.4
    """
    new_user, new_score, positive = _in_order(scores, labels == 1, users)
    start, place = np.flatnonzero(new_user), np.flatnonzero(positive)
    size, first = np.diff(start, append=len(scores)), np.searchsorted(place, start)
    positives = np.diff(first, append=len(place))
    # a positive at place i beats the i - start rows before it that are no positives; all is doubled to stay whole
    upto = np.r_[0, np.cumsum(2 * place + 1)]
    doubled = np.diff(upto[first], append=upto[-1]) - 2 * start * positives - positives**2
    # in a run of equal scores the positives come last and have beaten all negatives of the run: half is taken back
    turn = np.flatnonzero(~new_score[1:] & positive[1:] & ~positive[:-1]) + 1
    if len(turn):
        run = np.flatnonzero(new_score)
        at = np.searchsorted(run, turn)
        ties = (turn - run[at - 1]) * (np.r_[run, len(scores)][at] - turn)
        np.subtract.at(doubled, np.searchsorted(start, turn, side="right") - 1, ties)
    return _by_impressions(doubled / 2, positives * (size - positives), size)


def _in_order(scores: np.ndarray, positive: np.ndarray, users: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Of the rows by (user, score, label): does a user begin here, does a run of equal scores, is the row positive."""
    if scores.itemsize > 4:  # a float64 leaves no room for the user in 64 bits, and none of its bits may be dropped
        order = np.lexsort((positive, scores, users))
        new_user = _changes(users[order])
        return new_user, new_user | _changes(scores[order]), positive[order]
    if users.min() < 0 or users.max() >= 1 << 31:
        users = np.unique(users, return_inverse=True)[1]
    keys = users.astype(np.uint64)  # 31 bits of user, 32 of score, 1 of label
    keys <<= np.uint64(32)
    keys |= sortable_bits(scores)
    keys <<= np.uint64(1)
    keys |= positive
    keys.sort()
    positive = (keys.astype(np.uint8) & 1).astype(bool)
    keys >>= np.uint64(1)
    new_score = _changes(keys)
    keys >>= np.uint64(32)
    return _changes(keys), new_score, positive


def _changes(x: np.ndarray) -> np.ndarray:
    return np.r_[True, x[1:] != x[:-1]]


def _by_impressions(wins: np.ndarray, pairs: np.ndarray, size: np.ndarray) -> float:
    both = pairs > 0
    if not both.any():
        raise ValueError(f"labels must hold both classes for some user, got {len(size)} users with one class each")
    return float((size[both] * wins[both] / pairs[both]).sum() / size[both].sum())


@takes(scores="scores n", labels="labels n", users="int n")
def gauc(scores: torch.Tensor, labels: torch.Tensor, users: torch.Tensor) -> float:
    """As `metrics.gauc.gauc`."""
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
