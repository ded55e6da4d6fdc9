"""NDCG of binary truth without a sort: the ideal DCG of R relevant items is looked up in a table of k + 1 sums."""

import numpy as np

from recattn_mini.metrics import ndcg as plain
from recattn_mini.metrics.dcg import dcg_numpy
from recattn_mini.shapes import takes


@takes(gains="gains u r", judged="gains u m", k="count")
def ndcg_numpy(gains: np.ndarray, judged: np.ndarray, k: int) -> np.ndarray:
    """As `metrics.ndcg.ndcg_numpy`; only where judged is bool is it faster.

    >>> ndcg_numpy(np.array([[0, 1], [0, 0]]), np.array([[1, 0], [0, 0]], bool), 2).round(4)
    array([0.6309,    nan])
    """
    if judged.dtype != bool:
        return plain.ndcg_numpy(gains, judged, k)
    places = min(k, judged.shape[1])
    best_lists = np.tri(places, dtype=bool)  # row R - 1 begins with R relevant items
    ideal_of = np.r_[np.nan, dcg_numpy(best_lists, k)]  # by R; nothing relevant has no ideal
    relevant = np.einsum("um->u", judged, dtype=np.int64)  # counts bools faster than .sum(axis=1)
    return dcg_numpy(gains, k) / ideal_of[np.minimum(relevant, places)]
