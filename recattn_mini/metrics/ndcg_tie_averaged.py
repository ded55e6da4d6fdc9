r"""NDCG of scores with ties: the mean over every order that the tied items could come in.

    E[DCG@k] = Σ_items gain_i · (mean discount of the places that i's group of equal scores takes up)

Axes    scores (u n), relevance (u n) -> (u).
Rule    Closed form, no order is tried out: every item of a group gets the group's mean discount, 0 beyond k. It depends
        on no item order. -inf is never ranked, though its relevance counts in the ideal. NaN where nothing is relevant.
Asked   "A model that gives every item one score has NDCG 1. How?"  The ties were broken by the order of the file, and
        the relevant items came first. Averaged, it has what a random order has.
Source  McSherry, Najork 2008; scikit-learn's `ndcg_score` and torchmetrics average, trec_eval and ranx do not.
"""

import numpy as np
import torch

from recattn_mini.metrics.dcg import dcg, dcg_numpy
from recattn_mini.shapes import takes


@takes(scores="scores u n", relevance="gains u n", k="count")
def ndcg_tie_averaged_numpy(scores: np.ndarray, relevance: np.ndarray, k: int) -> np.ndarray:
    """scores (u n) and what each item is worth, relevance (u n) -> (u), NaN where nothing is worth anything.

    >>> scores, relevance = np.array([[0.5, 0.5, 0.1]]), np.array([[1, 0, 0]])
    >>> ndcg_tie_averaged_numpy(scores, relevance, 2).round(4)  # first or second: the mean of 1 and 1 / log₂ 3
    array([0.8155])
    """
    n, worth = scores.shape[1], relevance.astype(np.float64)
    order = np.argsort(-scores, axis=1)
    ranked = np.take_along_axis(scores, order, axis=1)
    start = np.pad(ranked[:, 1:] != ranked[:, :-1], [(0, 0), (1, 0)], constant_values=True)
    end = np.pad(ranked[:, 1:] != ranked[:, :-1], [(0, 0), (0, 1)], constant_values=True)
    # each place knows where its group begins and ends, so the group's discounts are a difference of two running sums
    first = np.maximum.accumulate(np.where(start, np.arange(n), 0), axis=1)
    last = np.minimum.accumulate(np.where(end, np.arange(1, n + 1), n)[:, ::-1], axis=1)[:, ::-1]
    discounts = np.where(np.arange(n) < k, 1 / np.log2(np.arange(2, n + 2)), 0)
    running = np.concatenate([[0], discounts.cumsum()])
    mean = np.where(ranked == -np.inf, 0, (running[last] - running[first]) / (last - first))
    ideal = dcg_numpy(-np.sort(-worth, axis=1), k)
    return (np.take_along_axis(worth, order, axis=1) * mean).sum(axis=1) / np.where(ideal == 0, np.nan, ideal)


@takes(scores="scores u n", relevance="gains u n", k="count")
def ndcg_tie_averaged(scores: torch.Tensor, relevance: torch.Tensor, k: int) -> torch.Tensor:
    """scores (u n) and what each item is worth, relevance (u n) -> (u), NaN where nothing is worth anything."""
    n, worth = scores.shape[1], relevance.double()
    ranked, order = scores.sort(dim=1, descending=True)
    places = torch.arange(n, device=scores.device)
    change = ranked[:, 1:] != ranked[:, :-1]
    start = torch.nn.functional.pad(change, (1, 0), value=True)
    end = torch.nn.functional.pad(change, (0, 1), value=True)
    first = torch.where(start, places, 0).cummax(dim=1).values
    last = torch.where(end, places + 1, n).flip(1).cummin(dim=1).values.flip(1)
    discounts = (1 / (places + 2).double().log2()).where(places < k, 0)
    running = torch.nn.functional.pad(discounts.cumsum(dim=0), (1, 0))
    mean = ((running[last] - running[first]) / (last - first)).where(ranked != -torch.inf, 0)
    ideal = dcg(worth.sort(dim=1, descending=True).values, k)
    return (worth.gather(1, order) * mean).sum(dim=1) / ideal.where(ideal != 0, torch.nan)
