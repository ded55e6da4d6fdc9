r"""Novelty: how improbable the recommended items are, in bits; the mean self-information of a list.

    novelty_u = mean over i in R_u of -log₂ p_i,   p_i the share of users who know item i

Axes    items (u k), -1 where a list has ended; popularity (n) in (0, 1] -> (u).
Rule    p = 0 has infinite surprise: count an unseen item as one user, and say so. NaN for an empty list.
Asked   "How do you measure novelty?"  A mean of logarithms; the logarithm of the mean popularity is another thing.
Source  Zhou et al. 2010; Vargas, Castells 2011. recommenders counts interactions, not users; RePlay divides by log₂ U.
"""

import numpy as np
import torch

from recattn_mini.metrics._checks import check_items
from recattn_mini.shapes import takes


@takes(items="int u k", popularity="chances n")
def novelty_numpy(items: np.ndarray, popularity: np.ndarray) -> np.ndarray:
    """items (u k), popularity (n) the share of users who know each -> (u) bits.

    >>> novelty_numpy(np.array([[0, 1], [1, -1], [-1, -1]]), np.array([0.5, 0.125]))  # 1 and 3 bits
    array([ 2.,  3., nan])
    """
    check_items(items, len(popularity))
    _check_popularity(float(popularity.min()))
    listed = items >= 0
    bits = np.where(listed, -np.log2(popularity.astype(np.float64))[items], 0)  # -1 would read the last item's
    length = listed.sum(axis=1)
    return bits.sum(axis=1) / np.where(length == 0, np.nan, length)


@takes(items="int u k", popularity="chances n")
def novelty(items: torch.Tensor, popularity: torch.Tensor) -> torch.Tensor:
    """items (u k), popularity (n) the share of users who know each -> (u) bits."""
    check_items(items.cpu().numpy(), len(popularity))
    _check_popularity(popularity.min().item())
    listed = items >= 0
    bits = -popularity.double().log2()[items.clamp_min(0)].masked_fill(~listed, 0)
    length = listed.sum(dim=1).double()
    return bits.sum(dim=1) / length.where(length != 0, torch.nan)


def _check_popularity(least: float) -> None:
    if least <= 0:
        raise ValueError(f"popularity must be above 0, got {least:g}: count an item that nobody knows as one user")
