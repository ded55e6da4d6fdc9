r"""Personalisation: how different the lists of two users are.

    1 - mean over pairs of users of |R_u ∩ R_v| / √(|R_u| |R_v|)      the cosine of two lists as 0/1 vectors

Axes    items (u k), -1 where a list has ended; n items -> a number: 0 if all get one list, 1 if no item is shared.
Rule    A user without a list shares nothing. Fewer than two users: a ValueError.
Cost    O(u k), not O(u²): the sum over pairs is the squared length of the sum of the unit vectors.
Asked   "Attention is said to personalise. Does yours?"  Popularity has 0; a random list nearly 1, so it is no goal.
Source  recmetrics and rexmex compute it in this form; Zhou et al. 2010 as the inter-user Hamming distance.
"""

import numpy as np
import torch

from recattn_mini.metrics._checks import check_items
from recattn_mini.shapes import takes


@takes(items="int u k", n="count")
def personalisation_numpy(items: np.ndarray, n: int) -> float:
    """items (u k) of a catalogue of n -> 1 - the mean cosine of two users' lists.

    >>> personalisation_numpy(np.array([[3, 4], [3, 2], [1, 2]]), 5).__round__(4)  # cosines ½, 0 and ½
    0.6667
    """
    check_items(items, n)
    listed = items >= 0
    length = listed.sum(axis=1)
    weight = np.repeat(1 / np.sqrt(np.maximum(length, 1)), length)
    if len(items) < 2:
        raise ValueError(f"items must have two users or more, got {len(items)}")
    sums = np.bincount(items[listed], weight, minlength=n)
    pairs = len(items) * (len(items) - 1)
    return float(1 - (sums @ sums - np.count_nonzero(length)) / pairs)  # less the pairs of a user with itself


@takes(items="int u k", n="count")
def personalisation(items: torch.Tensor, n: int) -> float:
    """items (u k) of a catalogue of n -> 1 - the mean cosine of two users' lists."""
    return personalisation_numpy(items.cpu().numpy(), n)
