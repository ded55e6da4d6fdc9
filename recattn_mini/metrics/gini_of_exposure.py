r"""Gini index of exposure: how unequally recommendations are spread over the catalogue.

    G = Σ_j (2j - n - 1) x_(j) / (n Σ x),   x_(1) ≤ … ≤ x_(n) how often each item is recommended

Axes    items (u k), -1 where a list has ended; n items -> a number from 0 (equal) to 1 - 1/n (one item has it all).
Rule    Over the whole catalogue: items that nobody is shown count. Over the shown items alone it is far smaller.
Asked   "Popularity or your model: which starves the tail?"
Source  Gini 1912; Fleder, Hosanagar 2009. elliot reports 1 - G n / (n - 1).
"""

import numpy as np
import torch

from recattn_mini.metrics._checks import check_items
from recattn_mini.shapes import takes


@takes(items="int u k", n="count")
def gini_of_exposure_numpy(items: np.ndarray, n: int) -> float:
    """items (u k) of a catalogue of n -> the Gini index of how often each is listed.

    >>> gini_of_exposure_numpy(np.array([[1, 2], [2, 3], [3, 4]]), 6).__round__(4)  # exposures 0 1 2 2 1 0
    0.4444
    """
    check_items(items, n)
    return _gini(np.bincount(items[items >= 0], minlength=n))


@takes(items="int u k", n="count")
def gini_of_exposure(items: torch.Tensor, n: int) -> float:
    """items (u k) of a catalogue of n -> the Gini index of how often each is listed."""
    check_items(items.cpu().numpy(), n)
    return _gini(items[items >= 0].bincount(minlength=n).cpu().numpy())


def _gini(exposure: np.ndarray) -> float:
    n, total = len(exposure), exposure.sum()
    if total == 0:
        raise ValueError("items must hold an item, got only -1")
    return float((2 * np.arange(1, n + 1) - n - 1) @ np.sort(exposure) / (n * total))
