r"""Normalised DCG: how close a list comes to the best list that was possible.

    NDCG@k = DCG@k / IDCG@k,   IDCG@k = DCG of the k largest of all the user's gains

Axes    gains (u r), judged (u m) -> (u).
Rule    The ideal has min(R, k) places and counts relevant items that were never ranked. NaN where nothing is relevant.
        With one relevant item at rank r it is 1 / log₂(r + 1).
Asked   "Two libraries give two NDCGs for one list. Name three reasons."  Gain (binary, linear, 2^g - 1); the ideal
        (min(R, k), k places, or only what was retrieved); ties; what a user without relevant items counts as.
Source  Järvelin, Kekäläinen 2002; 2^g - 1: Burges et al. 2005; ties: McSherry, Najork 2008.
"""

import numpy as np
import torch

from recattn_mini.metrics.dcg import dcg, dcg_numpy
from recattn_mini.shapes import takes


@takes(gains="gains u r", judged="gains u m", k="count")
def ndcg_numpy(gains: np.ndarray, judged: np.ndarray, k: int) -> np.ndarray:
    """gains (u r) in rank order and judged (u m), all that could be gained -> (u), NaN where that is nothing.

    >>> ndcg_numpy(np.array([[0, 1], [0, 0]]), np.array([[1, 0], [0, 0]]), 2).round(4)  # 1 / log₂ 3; nothing to find
    array([0.6309,    nan])
    """
    ideal = dcg_numpy(-np.sort(-judged.astype(np.float64), axis=1), k)
    return dcg_numpy(gains, k) / np.where(ideal == 0, np.nan, ideal)


@takes(gains="gains u r", judged="gains u m", k="count")
def ndcg(gains: torch.Tensor, judged: torch.Tensor, k: int) -> torch.Tensor:
    """gains (u r) in rank order and judged (u m), all that could be gained -> (u), NaN where that is nothing."""
    ideal = dcg(judged.double().sort(dim=1, descending=True).values, k)
    return dcg(gains, k) / ideal.where(ideal != 0, torch.nan)
