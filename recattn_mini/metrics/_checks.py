"""What several metrics ask of their arguments beyond shape and kind."""

from collections.abc import Collection

import numpy as np


def check_items(items: np.ndarray, n: int, name: str = "items") -> None:
    """Items (u k) are columns of a catalogue of n, each once in a list, or -1 where a list has ended."""
    smallest, largest = int(items.min()), int(items.max())
    if smallest < -1 or largest >= n:
        raise ValueError(f"{name} must be from 0 to n - 1 = {n - 1}, or -1 for none, got {smallest} to {largest}")
    ordered = np.sort(items.astype(np.promote_types(np.int32, np.min_scalar_type(-n))), axis=1)  # twice as fast
    flat = ordered.ravel()  # so are its neighbours; of those, some are two users'
    users, places = np.divmod(np.flatnonzero((flat[1:] == flat[:-1]) & (flat[1:] >= 0)), items.shape[1])
    if (twice := places < items.shape[1] - 1).any():
        at = users[twice][0], places[twice][0]
        raise ValueError(f"{name}[{at[0]}] has {ordered[at]} twice, expected each item once")


def paired_differences(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """The differences a - b of the users for whom there is something to measure: the same ones in both.

    >>> paired_differences(np.array([1.0, np.nan]), np.array([0.5, np.nan]))
    array([0.5])
    """
    if (np.isnan(a) != np.isnan(b)).any():
        user = int(np.flatnonzero(np.isnan(a) != np.isnan(b))[0])
        raise ValueError(f"a and b must be NaN for the same users, got {a[user]} and {b[user]} for user {user}")
    if np.isinf(a).any() or np.isinf(b).any():
        raise ValueError("a and b must be finite, or NaN for a user without a value, got inf")
    delta = (a.astype(np.float64) - b)[~np.isnan(a)]
    delta[np.abs(delta) <= 1e-12 * np.maximum(np.abs(a), np.abs(b))[~np.isnan(a)]] = 0  # equal but for rounding
    if not len(delta):
        raise ValueError("a and b must hold a number, got only NaN")
    return delta


def items_of_user(name: str, items: Collection[int], n: int) -> np.ndarray:
    """A user's items, whole numbers from 0 to n - 1: as an index, -1 would be the last item, and 1.7 would be 1.

    >>> items_of_user("seen[3]", [4, 0], 5)
    array([4, 0])
    """
    came = np.asarray(items if isinstance(items, np.ndarray) else list(items))
    whole = came.dtype.kind in "iu" or not came.size  # an empty list is float64
    if came.ndim != 1 or not whole or (came.size and not 0 <= came.min() <= came.max() < n):
        raise ValueError(f"{name} must be items from 0 to {n - 1}, got {came.tolist()}")
    return came.astype(np.int64)
