"""What every baseline reads: a list of histories, or the same padded to a matrix."""

from collections.abc import Collection, Sequence

import numpy as np

from recattn_mini.shapes import items_of_user

Histories = Sequence[Collection[int] | np.ndarray] | np.ndarray


def items_of(histories: Histories, n: int) -> list[np.ndarray]:
    """Each user's items, oldest first, without padding; anything but 0 and item ids up to n is a ValueError.

    >>> items_of(np.array([[0, 3, 1], [0, 0, 0]]), 3)
    [array([3, 1]), array([], dtype=int64)]
    """
    if not len(histories):
        raise ValueError("histories is empty, expected at least one user")
    rows = [items_of_user(f"histories[{user}]", items, n + 1) for user, items in enumerate(histories)]
    return [items[items != 0] for items in rows]
