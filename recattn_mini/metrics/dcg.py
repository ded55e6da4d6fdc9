r"""Discounted cumulative gain: what a list is worth, a place counting less the lower it is.

    DCG@k = Σ_{r=1..k} gain_r / log₂(r + 1)

Axes    gains (u r) -> (u).
Rule    The first place is divided by log₂ 2 = 1: ranks count from 1. The base of the logarithm scales DCG and cancels
        in NDCG. A list shorter than k earns nothing where it is missing.
Asked   "Why a logarithm?"  By convention: it is gentle, so that places 5 and 10 still differ and no one place decides.
Source  Järvelin, Kekäläinen 2002 (their own form leaves ranks below the base undiscounted); Burges et al. 2005.
"""

import numpy as np
import torch

from recattn_mini.shapes import takes


@takes(gains="gains u r", k="count")
def dcg_numpy(gains: np.ndarray, k: int) -> np.ndarray:
    """gains (u r), what the item at each place is worth, best place first -> (u), float64.

    >>> dcg_numpy(np.array([[3.0, 0.0, 2.0]]), 3)  # 3 / log₂ 2 + 2 / log₂ 4
    array([4.])
    """
    top = gains[:, :k]
    discounted = top / np.log2(np.arange(2, top.shape[1] + 2))
    return discounted.sum(axis=1)  # not `@`: BLAS rounds a row differently when there are more rows


@takes(gains="gains u r", k="count")
def dcg(gains: torch.Tensor, k: int) -> torch.Tensor:
    """gains (u r) in rank order -> (u), float64."""
    top = gains[:, :k].double()
    discounted = top / torch.arange(2, top.shape[1] + 2, dtype=top.dtype, device=top.device).log2()
    return discounted.sum(dim=1)
