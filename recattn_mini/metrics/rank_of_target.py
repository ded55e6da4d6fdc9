r"""The rank of one item among all: every leave-one-out metric is a function of it.

    rank = 1 + #{j : s_j > s_t} + #{j < t : s_j = s_t}           expected: the last term is half of #{j ≠ t : s_j = s_t}

Axes    scores (u n), target (u) -> (u), int64; the expected rank is float64.
Rule    The items before the target are counted, which needs no sort and gives the place that `top_k` would. The
        expected rank is the mean over all orders of the tied items. A masked target (-inf) has no place: a ValueError.
        With rank ρ <= k: HR 1, RR = AP = 1/ρ, NDCG = 1 / log₂(ρ + 1); otherwise all are 0.
Asked   "A constant model has HR@10 = 1. Find the bug."  Counting only j with s_j > s_t gives every tie to the target.
Source  Over all items, not a sample: Krichene, Rendle 2020. Ties that favour the target: Sun et al. 2020 (knowledge
        graphs).
"""

import numpy as np
import torch

from recattn_mini.shapes import takes


def _score_numpy(scores: np.ndarray, target: np.ndarray) -> np.ndarray:
    """What each target scored (u 1)."""
    _check(((target >= 0) & (target < scores.shape[1])).tolist(), target.tolist(), f"an item below {scores.shape[1]}")
    scored = np.take_along_axis(scores, target[:, None], axis=1)
    _check((scored[:, 0] != -np.inf).tolist(), target.tolist(), "a candidate, not masked by a score of -inf")
    return scored


def _score(scores: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    _check(((target >= 0) & (target < scores.shape[1])).tolist(), target.tolist(), f"an item below {scores.shape[1]}")
    scored = scores.gather(1, target[:, None].long())
    _check((scored[:, 0] != -torch.inf).tolist(), target.tolist(), "a candidate, not masked by a score of -inf")
    return scored


def _check(good: list[bool], target: list[int], expected: str) -> None:
    if not all(good):
        user = good.index(False)
        raise ValueError(f"target must be {expected}, got {target[user]} for user {user}")


@takes(scores="scores u n", target="int u")
def rank_of_target_numpy(scores: np.ndarray, target: np.ndarray) -> np.ndarray:
    """scores (u n) and one item each, target (u) -> its rank (u) from 1, int64, ties by item order.

    >>> rank_of_target_numpy(np.array([[0.2, 0.9, 0.9, 0.5]]), np.array([2]))  # behind 1, which ties with it
    array([2])
    """
    scored = _score_numpy(scores, target)
    before = np.arange(scores.shape[1]) < target[:, None]
    return 1 + ((scores > scored) | ((scores == scored) & before)).sum(axis=1)


@takes(scores="scores u n", target="int u")
def rank_of_target(scores: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    """scores (u n) and one item each, target (u) -> its rank (u) from 1, int64, ties by item order."""
    scored = _score(scores, target)
    before = torch.arange(scores.shape[1], device=scores.device) < target[:, None]
    return 1 + ((scores > scored) | ((scores == scored) & before)).sum(dim=1)


@takes(scores="scores u n", target="int u")
def expected_rank_numpy(scores: np.ndarray, target: np.ndarray) -> np.ndarray:
    """scores (u n) and one item each, target (u) -> its mean rank (u) over all orders of the tied, float64.

    >>> expected_rank_numpy(np.array([[0.2, 0.9, 0.9, 0.5]]), np.array([2]))  # first or second
    array([1.5])

    Asked   "What rank has an item among ties?"
    Source  McSherry, Najork 2008.
    """
    scored = _score_numpy(scores, target)
    return 1 + (scores > scored).sum(axis=1) + ((scores == scored).sum(axis=1) - 1) / 2


@takes(scores="scores u n", target="int u")
def expected_rank(scores: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    """scores (u n) and one item each, target (u) -> its mean rank (u) over all orders of the tied, float64."""
    scored = _score(scores, target)
    return 1 + (scores > scored).sum(dim=1) + ((scores == scored).sum(dim=1).double() - 1) / 2
