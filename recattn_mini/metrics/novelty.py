r"""Novelty: how improbable the recommended items are, in bits; the mean self-information of a list.

    novelty_u = mean over i in R_u of -log₂ p_i,   p_i the share of users who know item i

Axes    items (u k), -1 where a list has ended; popularity (n) in (0, 1] -> (u).
Rule    An item that nobody knows would have infinite surprise, and is a ValueError: count it as known to one user, and
        say so. NaN for an empty list.
Asked   "How do you measure novelty?"  By a mean of logarithms; the logarithm of the mean popularity is another figure.
Source  Zhou et al. 2010; Vargas, Castells 2011. recommenders counts interactions, not users; RePlay divides by log₂ U.
"""

import numpy as np
import torch

from recattn_mini.metrics._checks import check_items
from recattn_mini.shapes import takes


@takes(items="int u k", popularity="chances n")
def novelty_numpy(items: np.ndarray, popularity: np.ndarray) -> np.ndarray:
    """The mean of -log₂ popularity over the items of each user's list, in bits: -> (u), float64.

    items (u k) are places in popularity, from 0, each once in a list, and -1 where a list has ended: no item, left out
    of the sum and of the count. popularity (n) is the share of users who know each item. If a popularity is 0, of any
    item, listed or not: ValueError. A user with an empty list has NaN. The inputs stay unchanged.

    >>> novelty_numpy(np.array([[0, 1], [0, -1], [-1, -1]]), np.array([0.5, 0.125]))  # 1 and 3 bits
    array([ 2.,  1., nan])
    """
    check_items(items, len(popularity))
    _check_popularity(float(popularity.min()))
    listed = items >= 0
    bits = -np.log2(popularity.astype(np.float64))
    total = np.where(listed, bits[items], 0).sum(axis=1)  # -1 as an index reads the last item
    length = listed.sum(axis=1)
    return total / np.where(length == 0, np.nan, length)


@takes(items="int u k", popularity="chances n")
def novelty(items: torch.Tensor, popularity: torch.Tensor) -> torch.Tensor:
    """The mean of -log₂ popularity over the items of each user's list, in bits: -> (u), float64.

    items (u k) are places in popularity, from 0, each once in a list, and -1 where a list has ended: no item, left out
    of the sum and of the count. popularity (n) is the share of users who know each item. If a popularity is 0, of any
    item, listed or not: ValueError. A user with an empty list has NaN. The inputs stay unchanged.

    >>> novelty(torch.tensor([[0, 1], [0, -1], [-1, -1]]), torch.tensor([0.5, 0.125]))  # 1 and 3 bits
    tensor([2., 1., nan], dtype=torch.float64)
    """
    check_items(items.cpu().numpy(), len(popularity))
    _check_popularity(popularity.min().item())
    listed = items >= 0
    bits = -popularity.double().log2()
    total = bits[items].where(listed, 0).sum(dim=1)  # -1 as an index reads the last item
    length = listed.sum(dim=1).double()
    return total / length.where(length != 0, torch.nan)


def _check_popularity(least: float) -> None:
    if least <= 0:
        raise ValueError(f"popularity must be above 0, got {least:g}: count an item that nobody knows as one user")
