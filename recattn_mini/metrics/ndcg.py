r"""Normalised DCG: how close a list comes to the best list that was possible.

    NDCG@k = DCG@k / IDCG@k,   IDCG@k = DCG of the k largest of all the user's gains       exponential: of 2^gain - 1

Axes    gains (u r), judged (u m) -> (u).
Rule    The ideal has min(R, k) places and counts relevant items that were never ranked. NaN where nothing is relevant.
        With one relevant item at rank r, NDCG is 1 / log₂(r + 1).
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
    """NDCG of each user's list, of gains as they are: gains (u r), judged (u m) -> (u), float64.

    gains is what the item at each place is worth, best place first; judged all that the user could have gained, in any
    order, padded with 0; gains are not negative. DCG is the sum of gain / log₂(r + 1) over the places r = 1 … k, gains
    taken linearly (not 2^gain - 1). It is divided by the DCG of the best list there could be: the k largest of judged,
    largest first. Either list may end before k. A user with nothing relevant has NaN. The inputs stay unchanged.

    >>> ndcg_numpy(np.array([[0, 1], [0, 0]]), np.array([[1, 0], [0, 0]]), 2).round(4)  # 1 / log₂ 3; nothing to find
    array([0.6309,    nan])
    """
    best = np.sort(judged, axis=1)[:, ::-1]
    ideal = dcg_numpy(best, k)
    return dcg_numpy(gains, k) / np.where(ideal == 0, np.nan, ideal)


@takes(gains="gains u r", judged="gains u m", k="count")
def ndcg(gains: torch.Tensor, judged: torch.Tensor, k: int) -> torch.Tensor:
    """NDCG of each user's list, of gains as they are: gains (u r), judged (u m) -> (u), float64.

    gains is what the item at each place is worth, best place first; judged all that the user could have gained, in any
    order, padded with 0; gains are not negative. DCG is the sum of gain / log₂(r + 1) over the places r = 1 … k, gains
    taken linearly (not 2^gain - 1). It is divided by the DCG of the best list there could be: the k largest of judged,
    largest first. Either list may end before k. A user with nothing relevant has NaN. The inputs stay unchanged.

    >>> gains, judged = torch.tensor([[0.0, 1], [0, 0]]), torch.tensor([[1.0, 0], [0, 0]])
    >>> ndcg(gains, judged, 2)  # 1 / log₂ 3; nothing to find
    tensor([0.6309,    nan], dtype=torch.float64)
    """
    best = judged.sort(dim=1, descending=True).values
    ideal = dcg(best, k)
    return dcg(gains, k) / ideal.where(ideal != 0, torch.nan)


@takes(gains="gains u r", judged="gains u m", k="count")
def ndcg_exponential_numpy(gains: np.ndarray, judged: np.ndarray, k: int) -> np.ndarray:
    """As `ndcg_numpy`, but a gain g is worth 2^g - 1, so that the best grades decide; gains of 0 and 1 stay the same.

    >>> ndcg_exponential_numpy(np.array([[1, 2]]), np.array([[1, 2]]), 2).round(4)  # 2.89 / 3.63: worth 1 and 3
    array([0.7967])

    Asked   "When does the gain choose the winner?"
    Source  Burges et al. 2005.
    """
    return ndcg_numpy(_exponential_numpy("gains", gains), _exponential_numpy("judged", judged), k)


@takes(gains="gains u r", judged="gains u m", k="count")
def ndcg_exponential(gains: torch.Tensor, judged: torch.Tensor, k: int) -> torch.Tensor:
    """As `ndcg`, but a gain g is worth 2^g - 1, so that the best grades decide; gains of 0 and 1 stay the same."""
    return ndcg(_exponential("gains", gains), _exponential("judged", judged), k)


def _exponential_numpy(name: str, gains: np.ndarray) -> np.ndarray:
    _check_grades(name, float(gains.max()))
    return np.expm1(gains.astype(np.float64) * math.log(2))  # exp2(g) - 1 would round to 0 for a small g


def _exponential(name: str, gains: torch.Tensor) -> torch.Tensor:
    _check_grades(name, gains.double().max().item())
    return (gains.double() * math.log(2)).expm1()


def _check_grades(name: str, largest: float) -> None:
    if largest > 1000:  # 2^1024 is no float64
        raise ValueError(f"{name} must be grades up to 1000 for 2^gain, got {largest}")
