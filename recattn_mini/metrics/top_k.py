r"""The k best items of each user, best first, ties by item order.

    top_k(scores)_u = the first k of the items sorted by (-score, item)

Axes    scores (u n) -> items (u k), int64; -1 where the list has ended.
Rule    Ties go to the lower column, on every machine. -inf is no candidate (a seen item). NaN is an error.
Asked   "Your two runs disagree in the third digit, with the same weights. Where do you look?"  At the ties.
Source  `np.argsort(kind="stable")` says what is meant; argpartition, torch.topk, argsort()[::-1] break ties by luck.
"""

import numpy as np
import torch

from recattn_mini.shapes import takes


@takes(scores="scores u n", k="count")
def top_k_numpy(scores: np.ndarray, k: int) -> np.ndarray:
    """The k best items of scores (u n) -> (u k); -inf is not ranked, -1 fills a list that ends early.

    >>> top_k_numpy(np.array([[0.2, 0.9, 0.9, -np.inf]]), 4)  # 1 and 2 are tied; 3 was masked
    array([[ 1,  2,  0, -1]])
    """
    items = np.argsort(-scores, axis=1, kind="stable")[:, :k]
    items = np.where(np.take_along_axis(scores, items, 1) == -np.inf, -1, items)
    return np.pad(items, [(0, 0), (0, k - items.shape[1])], constant_values=-1)


@takes(scores="scores u n", k="count")
def top_k(scores: torch.Tensor, k: int) -> torch.Tensor:
    """The k best items of scores (u n) -> (u k); -inf is not ranked, -1 fills a list that ends early."""
    ranked, items = torch.sort(scores, dim=1, descending=True, stable=True)
    items = items[:, :k].masked_fill(ranked[:, :k] == -torch.inf, -1)
    return torch.nn.functional.pad(items, (0, max(0, k - items.shape[1])), value=-1)
