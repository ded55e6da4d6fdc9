"""What several metrics ask of their arguments beyond shape and kind."""

import numpy as np


def check_items(items: np.ndarray, n: int, name: str = "items") -> None:
    """Items (u k) are columns of a catalogue of n, each once in a list, or -1 where a list has ended."""
    smallest, largest = int(items.min()), int(items.max())
    if smallest < -1 or largest >= n:
        raise ValueError(f"{name} must be from 0 to n - 1 = {n - 1}, or -1 for none, got {smallest} to {largest}")
    ordered = np.sort(items, axis=1)
    twice = (ordered[:, 1:] == ordered[:, :-1]) & (ordered[:, 1:] >= 0)
    if twice.any():
        user, place = np.argwhere(twice)[0]
        raise ValueError(f"{name}[{user}] has {ordered[user, place]} twice, expected each item once")


def paired_differences(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """The differences a - b, without the users for whom there is nothing to measure (NaN), who are the same in both.

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
