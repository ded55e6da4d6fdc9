r"""Popularity bias: how much more popular the recommended items are than the items of the user's own history.

    bias_u = mean popularity of R_u / mean popularity of H_u - 1

Axes    items (u k) and history (u s), -1 where they end; popularity (n) -> (u).
Rule    0: as popular as what the user likes; 1: twice as popular. NaN for an empty list or history, and where the
        history has popularity 0.
Asked   "Does your model push hits on people who like the long tail?"
Source  Abdollahpouri et al. 2019 (ΔGAP, there for groups of users). ARP, the numerator alone, is Yin et al. 2012.
"""

import numpy as np
import torch

from recattn_mini.metrics._checks import check_items
from recattn_mini.shapes import takes


@takes(items="int u k", history="int u s", popularity="gains n")
def popularity_bias_numpy(items: np.ndarray, history: np.ndarray, popularity: np.ndarray) -> np.ndarray:
    """items (u k), history (u s), popularity (n) in any unit -> (u).

    >>> popularity_bias_numpy(np.array([[0, 1]]), np.array([[1, 2]]), np.array([9, 6, 4]))  # 7.5 / 5 - 1
    array([0.5])
    """
    check_items(items, len(popularity))
    check_items(history, len(popularity), "history")
    listed, known = (_mean_numpy(x, popularity.astype(np.float64)) for x in (items, history))
    return listed / np.where(known == 0, np.nan, known) - 1


def _mean_numpy(items: np.ndarray, popularity: np.ndarray) -> np.ndarray:
    there = items >= 0
    count = there.sum(axis=1)
    return np.where(there, popularity[items], 0).sum(axis=1) / np.where(count == 0, np.nan, count)


@takes(items="int u k", history="int u s", popularity="gains n")
def popularity_bias(items: torch.Tensor, history: torch.Tensor, popularity: torch.Tensor) -> torch.Tensor:
    """items (u k), history (u s), popularity (n) in any unit -> (u)."""
    check_items(items.cpu().numpy(), len(popularity))
    check_items(history.cpu().numpy(), len(popularity), "history")
    listed, known = (_mean(x, popularity.double()) for x in (items, history))
    return listed / known.where(known != 0, torch.nan) - 1


def _mean(items: torch.Tensor, popularity: torch.Tensor) -> torch.Tensor:
    there = items >= 0
    count = there.sum(dim=1).double()
    return (popularity[items.clamp_min(0)] * there).sum(dim=1) / count.where(count != 0, torch.nan)
