r"""Normalised DCG: how close a list comes to the best list that was possible.

    NDCG@k = DCG@k / IDCG@k,   IDCG@k = DCG of the k largest of all the user's gains       exponential: of 2^gain - 1

Axes    gains (u r), judged (u m) -> (u).
Rule    The ideal has min(R, k) places and counts relevant items that were never ranked. NaN where nothing is relevant.
        With one relevant item at rank r it is 1 / log₂(r + 1).
Asked   "Two libraries give two NDCGs for one list. Name three reasons."  Gain (binary, linear, 2^g - 1); the ideal
        (min(R, k), k places, or only what was retrieved); ties; what a user without relevant items counts as.
Source  Järvelin, Kekäläinen 2002; 2^g - 1: Burges et al. 2005; ties: McSherry, Najork 2008.
"""

import math

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
    if judged.dtype == bool:  # no sort: the best list of R ones is min(R, k) ones
        best = np.r_[0.0, dcg_numpy(np.tri(min(k, judged.shape[1]), dtype=bool), k)]
        ideal = best[np.minimum(np.einsum("um->u", judged, dtype=np.int64), k)]
    else:
        ideal = dcg_numpy(-np.sort(-judged.astype(np.float64), axis=1), k)
    return dcg_numpy(gains, k) / np.where(ideal == 0, np.nan, ideal)


@takes(gains="gains u r", judged="gains u m", k="count")
def ndcg(gains: torch.Tensor, judged: torch.Tensor, k: int) -> torch.Tensor:
    """gains (u r) in rank order and judged (u m), all that could be gained -> (u), NaN where that is nothing."""
    ideal = dcg(judged.double().sort(dim=1, descending=True).values, k)
    return dcg(gains, k) / ideal.where(ideal != 0, torch.nan)


@takes(gains="gains u r", judged="gains u m", k="count")
def ndcg_exponential_numpy(gains: np.ndarray, judged: np.ndarray, k: int) -> np.ndarray:
    """As `ndcg_numpy`, a gain g worth 2^g - 1: the best grades decide. On gains of 0 and 1 it is the same.

    >>> ndcg_exponential_numpy(np.array([[1, 2]]), np.array([[1, 2]]), 2).round(4)  # 2.89 / 3.63: worth 1 and 3
    array([0.7967])

    Asked   "When does the gain choose the winner?"
    Source  Burges et al. 2005.
    """
    return ndcg_numpy(_exponential_numpy("gains", gains), _exponential_numpy("judged", judged), k)


@takes(gains="gains u r", judged="gains u m", k="count")
def ndcg_exponential(gains: torch.Tensor, judged: torch.Tensor, k: int) -> torch.Tensor:
    """As `ndcg`, a gain g worth 2^g - 1: the best grades decide. On gains of 0 and 1 it is the same."""
    return ndcg(_exponential("gains", gains), _exponential("judged", judged), k)


def _exponential_numpy(name: str, gains: np.ndarray) -> np.ndarray:
    _check_grades(name, float(gains.max()))
    return np.expm1(gains.astype(np.float64) * math.log(2))  # exp2(g) - 1 would be 0 for a small g


def _exponential(name: str, gains: torch.Tensor) -> torch.Tensor:
    _check_grades(name, gains.double().max().item())
    return (gains.double() * math.log(2)).expm1()


def _check_grades(name: str, largest: float) -> None:
    if largest > 1000:  # 2^1024 is no float64
        raise ValueError(f"{name} must be grades up to 1000 for 2^gain, got {largest}")
