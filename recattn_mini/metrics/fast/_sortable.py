"""Scores as whole numbers that sort the same way, so that a label, an item or a user can ride along in one integer."""

import numpy as np

MASKED = np.uint32(0xFF800000)  # what -inf is in keys, where the best is lowest


def sortable_bits(scores: np.ndarray) -> np.ndarray:
    """Scores of up to 32 bits as uint32 in the same order; 0.0 and -0.0 become the same number.

    >>> np.argsort(sortable_bits(np.array([1, -2, 0, -np.inf], np.float32))).tolist()
    [3, 1, 2, 0]
    """
    bits = (scores + np.float32(0)).view(np.int32)  # widens float16, and -0.0 + 0.0 is 0.0
    flips = bits >> 31  # of a negative score all bits are turned over, so that the larger of two comes first
    flips |= np.int32(-(1 << 31))  # of a positive one only the sign
    bits ^= flips
    return bits.view(np.uint32)


def best_of_few(scores: np.ndarray, k: int, tied: bool = False) -> tuple[np.ndarray, bool]:
    """The k best items of each row (u n), ties by item, -1 for -inf -> (u k); and whether most rows have ties.

    With `tied`, the caller expects most rows to have ties, as the rows before had; then keys of 32 bits are not tried.

    >>> best_of_few(np.array([[0, 2, 2, -np.inf]], np.float32), 3)[0].tolist()
    [[1, 2, 0]]
    """
    level = _level(scores)
    if level.any():
        items = np.where(scores[:, :1] == -np.inf, -1, np.arange(k))
        items[~level], tied = best_of_few(scores[~level], k, tied)
    elif tied:
        items = _by_long_keys(scores, k)
    else:
        items, doubt = _by_short_keys(scores, k)
        if len(doubt):
            items[doubt] = _by_long_keys(scores[doubt], k)
        tied = 2 * len(doubt) > len(scores)
    return items, tied


def _level(scores: np.ndarray) -> np.ndarray:
    """Which rows have one score for all items, as a new user's may -> (u)."""
    level = (scores[:, 0] == scores[:, -1]) & (scores[:, 0] == scores[:, scores.shape[1] // 2])
    if level.any():
        level[level] = (scores[level] == scores[level, :1]).all(axis=1)
    return level


def _by_long_keys(scores: np.ndarray, k: int) -> np.ndarray:
    """By keys of 64 bits, of which none are tied: the score turned over, then the item. The best key is the lowest."""
    keys = (~sortable_bits(scores)).astype(np.uint64)
    keys <<= np.uint64(32)
    keys |= np.arange(scores.shape[1], dtype=np.uint64)
    keys.partition(k - 1, axis=1)
    keys = np.sort(keys[:, :k], axis=1)
    items = (keys & np.uint64(0xFFFFFFFF)).astype(np.int64)
    items[keys >> np.uint64(32) >= MASKED] = -1
    return items


def _by_short_keys(scores: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
    """By keys of 32 bits, sorted in half the time: the item takes the place of the score's last bits.

    Also the rows where those bits may decide: there, two neighbours among the first k + 1 agree in all other bits.
    """
    n = scores.shape[1]
    last = np.uint32((1 << (n - 1).bit_length()) - 1)
    keys = sortable_bits(scores)
    keys |= last
    keys ^= ~np.arange(n, dtype=np.uint32)  # turns the score over, and leaves the item as the last bits
    keys.sort(axis=1)
    keys = keys[:, : k + 1].copy()
    items = (keys & last).astype(np.int64)
    items[keys >= MASKED] = -1
    flat = keys.ravel()
    alike = np.flatnonzero(flat[1:] ^ flat[:-1] <= last)
    doubt = np.zeros(len(keys), bool)
    doubt[alike[flat[alike] < MASKED] // keys.shape[1]] = True
    return items[:, :k], np.flatnonzero(doubt)
