r"""The k best items of each user, without sorting all n: only those are sorted that reach a floor below the k-th best.

Asked   "Ten items of ten thousand, without sorting?"  Deal the items into blocks and take each block's maximum. The k
        best maxima are k scores, so the k-th best score is no lower than the lowest of them: that is the floor.
Cost    One read of the scores for the maxima and one against the floor. Where many scores reach it, because they are
        tied, the first of the tied ones are taken. Rows of few items are sorted whole, score and item in one integer.
        Users come in blocks that stay in the cache, so memory does not grow with their number.
"""

import numpy as np
import torch

from recattn_mini.metrics.fast._sortable import best_of_few
from recattn_mini.shapes import takes

AT_ONCE = 2**18  # so many scores stay in the cache from one pass to the next
BLOCKS = 256  # of items, but no fewer than 4k: with fewer the floor would be low, and many would reach it
FEW = 4  # up to 4k items of a user are cheaper to sort than to sift again


@takes(scores="u n", k="count")
def top_k_numpy(scores: np.ndarray, k: int) -> np.ndarray:
    """As `metrics.top_k.top_k_numpy`.

    >>> top_k_numpy(np.array([[0.2, 0.9, 0.9, -np.inf]]), 4)  # 1 and 2 are tied; 3 is masked
    array([[ 1,  2,  0, -1]])
    """
    users, n = scores.shape
    best, within = np.empty((users, k), np.int64), min(k, n)
    best[:, within:] = -1
    narrow = n < 2 * BLOCKS and scores.itemsize <= 4
    tied = False
    rows = max(1, AT_ONCE // (2 * n if narrow else n))
    for start in range(0, users, rows):
        part = np.ascontiguousarray(scores[start : start + rows])
        floor = part.max(keepdims=True) if narrow else _floor(part, within)
        if np.isnan(floor).any():  # the maximum of numbers and a NaN is NaN, so no pass of its own looks for NaN
            row, item = np.argwhere(np.isnan(part))[0].tolist()
            raise ValueError(f"scores must be without NaN, got nan at {(start + row, item)}")
        if narrow:
            items, tied = best_of_few(part, within, tied)  # where these rows are tied, the next will be
        else:
            items = _ranked(part, floor, within)
        best[start : start + rows, :within] = items
    return best


def _floor(scores: np.ndarray, k: int) -> np.ndarray:
    """What the k-th best of each row (u n) is no lower than -> (u 1); NaN if the row has one."""
    blocks = max(BLOCKS, 4 * k)
    maxima = _maxima(_maxima(scores, 8 * blocks), blocks)  # in two steps, since long runs of memory are faster
    top = np.partition(maxima, -k, axis=1)[:, -k:]  # NaN sorts last
    return np.where(np.isnan(top).any(axis=1), np.nan, top[:, 0])[:, None].astype(scores.dtype)


def _maxima(scores: np.ndarray, blocks: int) -> np.ndarray:
    """The maxima of each row's blocks. Column c is in block c mod blocks, so that whole runs of memory are compared."""
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
    wide = count > 4 * FEW * k
    if wide.any():  # one such row would make the rows of all users as wide
        cut = _cut(scores[wide], floor[wide], k)
        cut = np.flatnonzero(wide)[cut // n] * n + cut % n
        places, count = np.sort(np.concatenate([places[~wide[places // n]], cut])), np.where(wide, k, count)
    filled = np.arange(count.max()) < count[:, None]
    items, values = np.zeros(filled.shape, np.int64), np.full(filled.shape, -np.inf, scores.dtype)
    items[filled], values[filled] = places % n, scores.ravel()[places]
    order = np.argsort(-values, axis=1, kind="stable")[:, :k]
    return np.where(np.take_along_axis(values, order, 1) == -np.inf, -1, np.take_along_axis(items, order, 1))


def _cut(scores: np.ndarray, floor: np.ndarray, k: int) -> np.ndarray:
    """The flat places of exactly k items a row, in order, where many reach the floor: it is too low, or many tie."""
    (u, n), above = scores.shape, scores > floor
    if np.count_nonzero(above) > k * u or np.bincount(np.flatnonzero(above) // n).max(initial=0) > k:
        floor = np.partition(scores, -k, axis=1)[:, [-k]]
        above = scores > floor
    better = np.flatnonzero(above)
    missing = k - np.bincount(better // n, minlength=u)
    ties = scores[:, : FEW * k] == floor  # where most items are tied, the first k tied ones are among these
    if (np.count_nonzero(ties, axis=1) < k).any():
        ties = scores == floor
    tied = np.flatnonzero(ties)
    width = ties.shape[1]
    first = np.searchsorted(tied, np.arange(u) * width)
    tied = tied[(first[:, None] + np.arange(k))[np.arange(k) < missing[:, None]]]
    return np.sort(np.concatenate([better, tied // width * n + tied % width]))


@takes(scores="u n", k="count")
def top_k(scores: torch.Tensor, k: int) -> torch.Tensor:
    """As `metrics.top_k.top_k`."""
    users, n = scores.shape
    best, within = scores.new_full((users, k), -1, dtype=torch.int64), min(k, n)
    rows = max(1, 4 * AT_ONCE // n)
    for start in range(0, users, rows):
        part = scores[start : start + rows]
        # torch.topk may take any of the items tied at place k, but their score is the same
        top = part.topk(within, dim=1).values
        if top.isnan().any():  # torch.topk ranks NaN first
            row, item = part.isnan().nonzero()[0].tolist()
            raise ValueError(f"scores must be without NaN, got nan at {(start + row, item)}")
        reach = part >= top[:, -1:]
        if reach.count_nonzero() > top.numel():  # some are tied with the k-th best: take the first of the tied
            above, ties = part > top[:, -1:], part == top[:, -1:]
            missing = within - above.sum(dim=1, keepdim=True)
            reach = above | (ties & (ties.cumsum(dim=1, dtype=torch.int32) <= missing))
        items = reach.nonzero()[:, 1].view(-1, within)
        ranked, order = part.gather(1, items).sort(dim=1, descending=True, stable=True)
        best[start : start + rows, :within] = items.gather(1, order).masked_fill(ranked == -torch.inf, -1)
    return best
