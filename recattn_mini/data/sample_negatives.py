r"""Negatives: items that a user has not met, drawn uniformly and with replacement from random numbers in [0, 1).

    item = the r-th of the user's unseen items, in ascending order, r = ⌊uniform · #unseen⌋, counted from 0

Axes    seen (u s), 0 = padding, on any side and in any order; uniform (u k) -> items (u k), int64, from 1 to n.
Rule    The caller draws the random numbers, so the same ones give the same items. Every unseen item is as probable as
        every other, and each draw is independent. A user who has met everything is a ValueError. float32 has 2²⁴
        numbers in [0, 1), which is not enough for millions of items: draw float64 there.
Cost    O(n) a user: a list, or a row of a table, of the whole catalogue. Without it: sort the s met items; the i-th,
        counted from 0, has met_i - 1 - i unseen ones below it, so a binary search finds what stands before rank r.
Asked   "Sample negatives without rejection. Is the item after a seen one twice as probable in yours?"
        "Why not from popularity?"  That is another objective: softmax needs logQ for it, BPR changes what is learnt.
Source  Uniform: Rendle et al. 2009 (BPR), sec. 4.2; SASRec draws until the item is new. https://arxiv.org/abs/1205.2618
"""

import numpy as np
import torch

from recattn_mini.shapes import takes


@takes(seen="int u s", n="count", uniform="u k")
def sample_negatives_numpy(seen: np.ndarray, n: int, uniform: np.ndarray) -> np.ndarray:
    """For every number of uniform (u k) an item that the user has not met -> (u k), int64, items from 1 to n.

    seen (u s) holds what each user met, in any order: an item may be repeated, and 0 is padding, on any side. uniform
    holds numbers from 0 to below 1, drawn by the caller; computed in float64, each is one draw, with replacement and
    no second try: the item of rank ⌊uniform · #unseen⌋, from 0, among the user's unseen items in ascending order. If a
    user has met all n items: ValueError. The inputs stay unchanged.

    >>> uniform = np.array([[0.99, 0.0, 0.3, 0.6]])
    >>> sample_negatives_numpy(np.array([[0, 4, 2, 4]]), 5, uniform)  # 1, 3 and 5 are left: a third of [0, 1) each
    array([[5, 1, 1, 3]])
    """
    _check(int(seen.min()), int(seen.max()), float(uniform.min()), float(uniform.max()), n)
    items = np.empty(uniform.shape, np.int64)
    for user in range(len(seen)):
        unseen = np.setdiff1d(np.arange(1, n + 1), seen[user])  # ascending; padding is not in it
        _check_left(user, len(unseen), n)
        rank = (uniform[user].astype(np.float64) * len(unseen)).astype(np.int64)
        items[user] = unseen[rank]
    return items


@takes(seen="int u s", n="count", uniform="u k")
def sample_negatives(seen: torch.Tensor, n: int, uniform: torch.Tensor) -> torch.Tensor:
    """For every number of uniform (u k) an item that the user has not met -> (u k), int64, items from 1 to n.

    seen (u s) holds what each user met, in any order: an item may be repeated, and 0 is padding, on any side. uniform
    holds numbers from 0 to below 1, drawn by the caller; computed in float64, each is one draw, with replacement and
    no second try: the item of rank ⌊uniform · #unseen⌋, from 0, among the user's unseen items in ascending order. If a
    user has met all n items: ValueError. The inputs stay unchanged.

    >>> uniform = torch.tensor([[0.99, 0.0, 0.3, 0.6]])
    >>> sample_negatives(torch.tensor([[0, 4, 2, 4]]), 5, uniform)  # 1, 3 and 5 are left: a third of [0, 1) each
    tensor([[5, 1, 1, 3]])
    """
    _check(int(seen.min()), int(seen.max()), float(uniform.min()), float(uniform.max()), n)
    unseen = seen.new_ones((len(seen), n + 1), dtype=torch.int64).scatter(1, seen.long(), 0)[:, 1:]
    upto = unseen.cumsum(dim=1)  # how many unseen items there are up to each item
    for user, count in enumerate(upto[:, -1].tolist()):
        _check_left(user, count, n)
    rank = (uniform.double() * upto[:, -1:]).long()
    return 1 + torch.searchsorted(upto, rank.contiguous(), right=True)  # the first item with more than `rank` up to it


def _check(first: int, last: int, least: float, most: float, n: int) -> None:
    if first < 0 or last > n:
        raise ValueError(f"seen must be items from 1 to n = {n}, or 0 for padding, got {first} to {last}")
    if not (least >= 0 and most < 1):  # NaN is neither
        raise ValueError(f"uniform must be at least 0 and below 1, got {least} to {most}")


def _check_left(user: int, unseen: int, n: int) -> None:
    if unseen == 0:
        raise ValueError(f"seen[{user}] must leave an item to draw, got all {n}")
