r"""Serendipity: recommendations that are relevant *and* that popularity would not have made.

    serendipity@k = #{i in R_u : relevant, and not among the k most popular items} / k

Axes    items (u k), -1 where a list has ended; relevance (u n); popularity (n) -> (u).
Rule    Unexpected means: not in the list of the popularity baseline, ties by item order. NaN where nothing is relevant.
Asked   "How does it differ from novelty?"  It needs relevance: a random obscure item is novel and not serendipitous.
Source  Murakami et al. 2008; Ge et al. 2010, 2.2 (the primitive model here: popularity).
"""

import numpy as np
import torch

from recattn_mini.metrics.gains_and_judged import gains_of_items, gains_of_items_numpy
from recattn_mini.metrics.top_k import top_k, top_k_numpy
from recattn_mini.shapes import takes


@takes(items="int u k", relevance="gains u n", popularity="chances n")
def serendipity_numpy(items: np.ndarray, relevance: np.ndarray, popularity: np.ndarray) -> np.ndarray:
    """items (u k), relevance (u n), popularity (n) -> (u), NaN where nothing is relevant.

    >>> serendipity_numpy(np.array([[0, 2]]), np.array([[1, 0, 1]]), np.array([0.9, 0.8, 0.1]))  # 0 was to be expected
    array([0.5])
    """
    k = items.shape[1]
    expected = np.isin(items, top_k_numpy(popularity[None].astype(np.float64), k))
    relevant = gains_of_items_numpy(items, relevance) > 0
    return np.where((relevance > 0).any(axis=1), (relevant & ~expected).sum(axis=1) / k, np.nan)


@takes(items="int u k", relevance="gains u n", popularity="chances n")
def serendipity(items: torch.Tensor, relevance: torch.Tensor, popularity: torch.Tensor) -> torch.Tensor:
    """items (u k), relevance (u n), popularity (n) -> (u), NaN where nothing is relevant."""
    k = items.shape[1]
    expected = torch.isin(items, top_k(popularity[None].double(), k))
    relevant = gains_of_items(items, relevance) > 0
    return ((relevant & ~expected).sum(dim=1).double() / k).where((relevance > 0).any(dim=1), torch.nan)
