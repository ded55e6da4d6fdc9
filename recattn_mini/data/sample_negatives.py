r"""Negatives: items that a user has not met, drawn uniformly and with replacement from random numbers in [0, 1).

    item = the r-th of the user's unseen items, in ascending order, r = ⌊uniform · #unseen⌋, counted from 0

Axes    seen (u s), 0 = padding, on any side and in any order; uniform (u k) -> items (u k), int64, from 1 to n.
Rule    The caller draws the random numbers, so the same ones give the same items. Every unseen item is as probable as
        every other, and each draw is independent. A user who has met everything is a ValueError. float32 has 2²⁴
        numbers in [0, 1), which is not enough for millions of items: draw float64 there.
Cost    O(u s log s + u k log s): no table (u n), and no second try, whatever share of the items was met.
Asked   "Sample negatives without rejection. Is the item after a seen one twice as probable in yours?"
        "Why not from popularity?"  That is another objective: softmax needs logQ for it, BPR changes what is learnt.
Source  Uniform: Rendle et al. 2009 (BPR), sec. 4.2; SASRec draws until the item is new. https://arxiv.org/abs/1205.2618
"""

import numpy as np
import torch

from recattn_mini.shapes import takes

Array = np.ndarray | torch.Tensor


@takes(seen="int u s", n="count", uniform="u k")
def sample_negatives_numpy(seen: np.ndarray, n: int, uniform: np.ndarray) -> np.ndarray:
    """seen (u s), items from 1 to n, uniform (u k) in [0, 1) -> items (u k) that the user has not met, int64.

    In seen, 0 is padding, on any side, and an item may be repeated. Each number of uniform is one draw, with
    replacement and no second try: the item of rank ⌊uniform · #unseen⌋, from 0, among the unseen ones, ascending.

    >>> uniform = np.array([[0.0, 0.4, 0.99]])
    >>> sample_negatives_numpy(np.array([[0, 4, 2]]), 5, uniform)  # 1, 3 and 5 are left: a third of [0, 1) each
    array([[1, 3, 5]])
    """
    _check(seen, uniform, n)
    u, s = seen.shape
    met = np.sort(seen.astype(np.int64), axis=1)
    first = np.diff(met, axis=1, prepend=0) > 0  # neither padding nor an item met before
    unseen = n - first.sum(axis=1, keepdims=True)
    _check_left(unseen.ravel().tolist(), n)
    rank = (uniform.astype(np.float64) * unseen).astype(np.int64)  # in float64 it never rounds up to unseen
    # the i-th met item, counted from 1, has met - i unseen ones below it; those with at most `rank` stand before ours
    below = np.sort(np.where(first, met - first.cumsum(axis=1), n), axis=1)
    row = (n + 1) * np.arange(u)[:, None]  # one sorted row of all users, as searchsorted wants it
    before = np.searchsorted((below + row).ravel(), (rank + row).ravel(), side="right").reshape(rank.shape)
    return 1 + rank + before - s * np.arange(u)[:, None]


@takes(seen="int u s", n="count", uniform="u k")
def sample_negatives(seen: torch.Tensor, n: int, uniform: torch.Tensor) -> torch.Tensor:
    """seen (u s), items from 1 to n, uniform (u k) in [0, 1) -> items (u k) that the user has not met, int64.

    In seen, 0 is padding, on any side, and an item may be repeated. Each number of uniform is one draw, with
    replacement and no second try: the item of rank ⌊uniform · #unseen⌋, from 0, among the unseen ones, ascending.

    >>> uniform = torch.tensor([[0.99, 0.0, 0.4, 0.5]])
    >>> sample_negatives(torch.tensor([[0, 4, 2, 4]]), 5, uniform)  # 1, 3 and 5 are left: a third of [0, 1) each
    tensor([[5, 1, 3, 3]])
    """
    _check(seen, uniform, n)
    met = seen.long().sort(dim=1).values
    first = met.diff(dim=1, prepend=torch.zeros_like(met[:, :1])) > 0
    unseen = n - first.sum(dim=1, keepdim=True)
    _check_left(unseen.flatten().tolist(), n)
    rank = (uniform.double() * unseen).long()
    below = (met - first.cumsum(dim=1)).masked_fill(~first, n).sort(dim=1).values
    return 1 + rank + torch.searchsorted(below.contiguous(), rank.contiguous(), right=True)


def _check(seen: Array, uniform: Array, n: int) -> None:
    if seen.min() < 0 or seen.max() > n:
        raise ValueError(f"seen must be items from 1 to n = {n}, or 0 for padding, got {seen.min()} to {seen.max()}")
    if not (uniform.min() >= 0 and uniform.max() < 1):  # NaN is neither
        raise ValueError(f"uniform must be at least 0 and below 1, got {uniform.min()} to {uniform.max()}")


def _check_left(unseen: list[int], n: int) -> None:
    if min(unseen) < 1:
        raise ValueError(f"seen[{unseen.index(0)}] must leave an item to draw, got all {n}")
