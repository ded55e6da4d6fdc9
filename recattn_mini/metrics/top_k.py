r"""The k best items of each user, best first, ties by item order.

    top_k(scores)_u = the first k of the items sorted by (-score, item)

Axes    scores (u n) -> items (u k), int64; -1 where the list has ended.
Rule    Ties go to the lower column, on every machine. -inf is no candidate (a seen item). NaN is an error.
Asked   "Your two runs disagree in the third digit, with the same weights. Where do you look?"  At the ties.
        "Ten items of ten thousand, without sorting?"  Deal the items into blocks: k blocks hold something as good as
        the k-th best block maximum, so the k-th best score is no lower. Sort only what reaches that floor.
Source  McSherry, Najork 2008. `np.argsort(kind="stable")` says what is meant; argpartition, torch.topk and
        argsort()[::-1] break ties by luck.
"""

import numpy as np
import torch

from recattn_mini.metrics._sortable import best_of_few
from recattn_mini.shapes import takes

AT_ONCE = 2**18  # scores: what stays in the cache from one pass to the next
BLOCKS = 256  # and no fewer than 4k, or the floor is low
FEW = 4  # times k: so many items of a user are cheaper to sort than to sift again


@takes(scores="u n", k="count")
def top_k_numpy(scores: np.ndarray, k: int) -> np.ndarray:
    """The k best items of scores (u n) -> (u k); -inf is not ranked, -1 fills a list that ends early.

    >>> top_k_numpy(np.array([[0.2, 0.9, 0.9, -np.inf]]), 4)  # 1 and 2 are tied; 3 was masked
    array([[ 1,  2,  0, -1]])
    """
    users, n = scores.shape
    best, within = np.empty((users, k), np.int64), min(k, n)
    best[:, within:] = -1
    narrow, tied = n < 2 * BLOCKS and scores.itemsize <= 4, False
    for start in range(0, users, rows := max(1, AT_ONCE // (2 * n if narrow else n))):
        part = np.ascontiguousarray(scores[start : start + rows])
        floor = part.max(keepdims=True) if narrow else _floor(part, within)
        if np.isnan(floor).any():  # a maximum passes NaN on: there is no pass to look for it
            row, item = np.argwhere(np.isnan(part))[0].tolist()
            raise ValueError(f"scores must be without NaN, got nan at {(start + row, item)}")
        if narrow:
            items, tied = best_of_few(part, within, tied)  # users come in kinds: the next are like these
        else:
            items = _ranked(part, floor, within)
        best[start : start + rows, :within] = items
    return best


def _floor(scores: np.ndarray, k: int) -> np.ndarray:
    """What the k-th best of each row (u n) is no lower than -> (u 1); NaN if the row has one."""
    blocks = max(BLOCKS, 4 * k)
    maxima = _maxima(_maxima(scores, 8 * blocks), blocks)  # twice, because short runs are slow
    top = np.partition(maxima, -k, axis=1)[:, -k:]  # NaN sorts last
    return np.where(np.isnan(top).any(axis=1), np.nan, top[:, 0])[:, None].astype(scores.dtype)


def _maxima(scores: np.ndarray, blocks: int) -> np.ndarray:
    """Column c is in block c mod blocks, so that each step compares two runs of memory."""
    n = scores.shape[1]
    if n < 2 * blocks:
        return scores
    whole = n - n % blocks
    maxima = scores[:, :whole].reshape(len(scores), -1, blocks).max(axis=1)
    np.maximum(maxima[:, : n - whole], scores[:, whole:], out=maxima[:, : n - whole])
    return maxima


def _ranked(scores: np.ndarray, floor: np.ndarray, k: int) -> np.ndarray:
    """The k best of each row, which all reach its floor."""
    (u, n), reach = scores.shape, scores >= floor
    few = np.count_nonzero(reach) <= FEW * k * u
    places = np.flatnonzero(reach) if few else _cut(scores, floor, k)
    count = np.bincount(places // n, minlength=u)
    if (wide := count > 4 * FEW * k).any():  # one such row would make them all as wide
        cut = _cut(scores[wide], floor[wide], k)
        cut = np.flatnonzero(wide)[cut // n] * n + cut % n
        places, count = np.sort(np.concatenate([places[~wide[places // n]], cut])), np.where(wide, k, count)
    filled = np.arange(count.max()) < count[:, None]
    items, values = np.zeros(filled.shape, np.int64), np.full(filled.shape, -np.inf, scores.dtype)
    items[filled], values[filled] = places % n, scores.ravel()[places]
    order = np.argsort(-values, axis=1, kind="stable")[:, :k]
    return np.where(np.take_along_axis(values, order, 1) == -np.inf, -1, np.take_along_axis(items, order, 1))


def _cut(scores: np.ndarray, floor: np.ndarray, k: int) -> np.ndarray:
    """If many reach the floor, it is too low or many are tied: the flat places of exactly k a row, in order."""
    (u, n), above = scores.shape, scores > floor
    if np.count_nonzero(above) > k * u or np.bincount(np.flatnonzero(above) // n).max(initial=0) > k:
        floor = np.partition(scores, -k, axis=1)[:, [-k]]
        above = scores > floor
    better = np.flatnonzero(above)
    missing = k - np.bincount(better // n, minlength=u)
    ties = scores[:, : FEW * k] == floor  # where most are tied, the first of them come early
    if (np.count_nonzero(ties, axis=1) < k).any():
        ties = scores == floor
    tied = np.flatnonzero(ties)
    width = ties.shape[1]
    first = np.searchsorted(tied, np.arange(u) * width)
    tied = tied[(first[:, None] + np.arange(k))[np.arange(k) < missing[:, None]]]
    return np.sort(np.concatenate([better, tied // width * n + tied % width]))


@takes(scores="u n", k="count")
def top_k(scores: torch.Tensor, k: int) -> torch.Tensor:
    """The k best items of scores (u n) -> (u k); -inf is not ranked, -1 fills a list that ends early."""
    users, n = scores.shape
    best, within = scores.new_full((users, k), -1, dtype=torch.int64), min(k, n)
    for start in range(0, users, rows := max(1, 4 * AT_ONCE // n)):
        part = scores[start : start + rows]
        # which of the tied items torch.topk takes is luck, their score is not
        top = part.topk(within, dim=1).values
        if top.isnan().any():  # it ranks NaN first
            row, item = part.isnan().nonzero()[0].tolist()
            raise ValueError(f"scores must be without NaN, got nan at {(start + row, item)}")
        reach = part >= top[:, -1:]
        if reach.count_nonzero() > top.numel():  # too many where the k-th is tied: of those, the first
            above, ties = part > top[:, -1:], part == top[:, -1:]
            missing = within - above.sum(dim=1, keepdim=True)
            reach = above | (ties & (ties.cumsum(dim=1, dtype=torch.int32) <= missing))
        items = reach.nonzero()[:, 1].view(-1, within)
        ranked, order = part.gather(1, items).sort(dim=1, descending=True, stable=True)
        best[start : start + rows, :within] = items.gather(1, order).masked_fill(ranked == -torch.inf, -1)
    return best
