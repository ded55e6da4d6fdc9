r"""The k best items of each user, best first, ties by item order.

    top_k(scores)_u = the first k of the items sorted by (-score, item)

Axes    scores (u n) -> items (u k), int64; -1 where the list has ended.
Rule    Ties go to the lower column, on every machine. -inf is no candidate (a seen item). NaN is an error.
Asked   "Your two runs disagree in the third digit, with the same weights. Where do you look?"  At the ties.
        "Ten thousand users, ten thousand items: how do you get a top ten without sorting?"  Deal the items into blocks.
        The k-th largest block maximum is at most the k-th largest score: k blocks have an item that good. One pass for
        the maxima, one to compare with that floor, and there are few items left to sort.
Source  `np.argsort(kind="stable")` says what is meant; argpartition, torch.topk, argsort()[::-1] break ties by luck.
"""

import numpy as np
import torch

from recattn_mini.shapes import takes

AT_ONCE = 2**19  # scores: they stay in the cache from one pass to the next, and what a pass allocates stays small
BLOCKS = 512
FEW = 16  # times k: so many items a user are sorted as they are


@takes(scores="u n", k="count")
def top_k_numpy(scores: np.ndarray, k: int) -> np.ndarray:
    """The k best items of scores (u n) -> (u k); -inf is not ranked, -1 fills a list that ends early.

    >>> top_k_numpy(np.array([[0.2, 0.9, 0.9, -np.inf]]), 4)  # 1 and 2 are tied; 3 was masked
    array([[ 1,  2,  0, -1]])
    """
    users, n = scores.shape
    items, within = np.full((users, k), -1), min(k, n)
    for start in range(0, users, rows := max(1, AT_ONCE // n)):
        part = np.ascontiguousarray(scores[start : start + rows])
        floor = _floor(part, within)
        if np.isnan(floor).any():
            u, i = np.argwhere(np.isnan(part))[0]
            raise ValueError(f"scores must be without NaN, got nan at {(start + int(u), int(i))}")
        found = _sift(part, floor, within)
        best = np.take_along_axis(part, found, axis=1)
        items[start : start + rows, :within] = np.where(best == -np.inf, -1, found)
    return items


def _floor(scores: np.ndarray, k: int) -> np.ndarray:
    """At most the k-th largest score of each row (u n) -> (u 1), exactly that in a narrow row; NaN where there is one."""
    n, blocks = scores.shape[1], max(BLOCKS, 4 * k)
    if n >= 2 * blocks:
        # column c is in block c mod blocks: so each step is a maximum of two long runs, and what is left over fits in
        whole = n - n % blocks
        maxima = scores[:, :whole].reshape(len(scores), -1, blocks).max(axis=1)
        np.maximum(maxima[:, : n - whole], scores[:, whole:], out=maxima[:, : n - whole])
        scores = maxima
    ranked = np.partition(scores, scores.shape[1] - k, axis=1)[:, -k:]
    return np.where(np.isnan(ranked).any(axis=1), np.nan, ranked[:, 0])[:, None]


def _sift(scores: np.ndarray, floor: np.ndarray, k: int) -> np.ndarray:
    u, n = scores.shape
    left = scores >= floor
    if np.count_nonzero(left) > FEW * k * u:
        # so many are as good as the floor only if the floor is low, or many are tied
        if (np.count_nonzero(scores > floor, axis=1) >= k).any():
            floor = np.partition(scores, n - k, axis=1)[:, [n - k]]
        return _order(scores, _with_ties(scores, floor, k), k)
    left = np.flatnonzero(left)
    starts = np.searchsorted(left, np.arange(u + 1) * n)
    counts = np.diff(starts)
    if len(left) == u * k:
        return _order(scores, left.reshape(u, k) % n, k)
    filled = np.arange(counts.max()) < counts[:, None]
    columns = np.zeros(filled.shape, dtype=np.int64)
    values = np.full(filled.shape, -np.inf, dtype=scores.dtype)
    columns[filled] = left % n
    values[filled] = scores.ravel()[left]
    order = np.argsort(-values, axis=1, kind="stable")[:, :k]
    return np.take_along_axis(columns, order, axis=1)


def _with_ties(scores, kth, k):
    u, n = scores.shape
    above = np.flatnonzero(scores > kth)
    ties = np.flatnonzero(scores == kth)
    room = k - np.diff(np.searchsorted(above, np.arange(u + 1) * n))
    first = np.searchsorted(ties, np.arange(u) * n)
    chosen = np.arange(k) < room[:, None]
    taken = ties[(first[:, None] + np.arange(k))[chosen]]
    return np.sort(np.concatenate([above, taken])).reshape(u, k) % n


def _order(scores, columns, k):
    order = np.argsort(-np.take_along_axis(scores, columns, axis=1), axis=1, kind="stable")
    return np.take_along_axis(columns, order, axis=1)


@takes(scores="scores u n", k="count")
def top_k(scores: torch.Tensor, k: int) -> torch.Tensor:
    """The k best items of scores (u n) -> (u k); -inf is not ranked, -1 fills a list that ends early."""
    ranked, items = torch.sort(scores, dim=1, descending=True, stable=True)
    items = items[:, :k].masked_fill(ranked[:, :k] == -torch.inf, -1)
    return torch.nn.functional.pad(items, (0, max(0, k - items.shape[1])), value=-1)
