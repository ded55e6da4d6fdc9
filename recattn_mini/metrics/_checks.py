"""What several metrics ask of their arguments beyond shape and kind."""

import numpy as np


def check_items(smallest: int, largest: int, n: int) -> None:
    """Items are columns of the catalogue, or -1."""
    if smallest < -1 or largest >= n:
        raise ValueError(f"items must be from 0 to n - 1 = {n - 1}, or -1 for none, got {smallest} to {largest}")


def paired_differences(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """The differences a - b of the users for whom there is something to measure: the same ones in both.

    >>> paired_differences(np.array([1.0, np.nan]), np.array([0.5, np.nan]))
    array([0.5])
    """
    if (np.isnan(a) != np.isnan(b)).any():
        user = int(np.flatnonzero(np.isnan(a) != np.isnan(b))[0])
        raise ValueError(f"a and b must be NaN for the same users, got {a[user]} and {b[user]} for user {user}")
    delta = (a - b)[~np.isnan(a)].astype(np.float64)
    if not len(delta):
        raise ValueError("a and b must hold a number, got only NaN")
    return delta
