"""Scores into lists of k, block by block of users, so that the memory is one block whatever the number of users."""

from collections.abc import Callable, Iterator, Sequence

import numpy as np

from recattn_mini.metrics.fast.top_k import top_k_numpy
from recattn_mini.shapes import items_of_user

Scores = np.ndarray | Callable[[np.ndarray], np.ndarray]


def ranked(
    scores: Scores, size: tuple[int, int], k: int, seen: Sequence[np.ndarray] | None, block: int
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """The users (b) of each block and their k best items (b k).

    scores are (u n), of the given size, or a function users (b) -> scores (b n); seen[u] are no candidates for user u.
    """
    u, n = size
    if isinstance(scores, np.ndarray) and scores.shape != size:
        raise ValueError(f"scores must be (u n) = {size} as in truth, got {scores.shape}")
    if seen is not None and len(seen) != u:
        raise ValueError(f"seen must have a row for each of the {u} users of truth, got {len(seen)}")
    for first in range(0, u, block):
        users = np.arange(first, min(first + block, u))
        part = scores(users) if callable(scores) else scores[first : first + block]
        if not isinstance(part, np.ndarray) or part.dtype.kind != "f":
            came = getattr(part, "dtype", type(part).__name__)
            raise ValueError(f"scores must be a floating numpy.ndarray, got {came}")
        if part.shape != (len(users), n):
            raise ValueError(f"scores must give (b n) = ({len(users)}, {n}), got {part.shape}")
        if seen is not None:
            part = part.copy()
            for row, user in enumerate(users.tolist()):
                part[row, items_of_user(f"seen[{user}]", seen[user], n)] = -np.inf
        yield users, _best(part, users, k)


def _best(part: np.ndarray, users: np.ndarray, k: int) -> np.ndarray:
    try:
        return top_k_numpy(part, k)
    except ValueError:
        missing = np.argwhere(np.isnan(part))
        if not len(missing):
            raise
        row, item = missing[0]  # the row is one of the block: the caller knows it by its user
        raise ValueError(f"scores must be without NaN, got nan for user {users[row]}, item {item}") from None
