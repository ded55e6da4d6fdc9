"""Gains by one flat index into relevance, and truth without its zeros by counting what is not 0 instead of sorting."""

import numpy as np
import torch

from recattn_mini.metrics._checks import check_items
from recattn_mini.shapes import takes


@takes(items="int u k", relevance="gains u n")
def gains_of_items_numpy(items: np.ndarray, relevance: np.ndarray) -> np.ndarray:
    """As `metrics.gains_and_judged.gains_of_items_numpy`.

    >>> gains_of_items_numpy(np.array([[2, 0, -1]]), np.array([[3.0, 0.0, 1.0]]))
    array([[1., 3., 0.]])
    """
    users, n = relevance.shape
    narrow = items.astype(np.int32) if n < 2**31 and -1 <= items.min() <= items.max() < n else items
    check_items(narrow, n)  # which sorts them: 32 bits in half the time
    gains = relevance.ravel()[items.astype(np.int64, copy=False) + n * np.arange(users)[:, None]]
    gains[items < 0] = 0  # where -1 read the last item of the user before
    return gains


@takes(relevance="gains u n")
def judged_of_relevance_numpy(relevance: np.ndarray) -> np.ndarray:
    """As `metrics.gains_and_judged.judged_of_relevance_numpy`.

    >>> judged_of_relevance_numpy(np.array([[0, 0, 3, 1], [0, 0, 0, 0], [0, 2, 0, 0]]))
    array([[3, 1],
           [0, 0],
           [2, 0]])
    """
    if relevance.dtype == bool:  # what is not 0 is True: the count of a row is all there is to know
        # einsum adds 8-bit numbers into 32-bit ones without a copy, twice as fast as .sum(axis=1)
        count = np.einsum("un->u", relevance.view(np.int8), dtype=np.int32)
        return np.arange(max(1, count.max())) < count[:, None]
    users, n = relevance.shape
    places = np.flatnonzero(relevance)
    count = np.bincount(places // n, minlength=users)
    filled = np.arange(max(1, count.max())) < count[:, None]
    judged = np.zeros(filled.shape, relevance.dtype)
    judged[filled] = relevance.ravel()[places]
    return judged


@takes(relevance="gains u n")
def judged_of_relevance(relevance: torch.Tensor) -> torch.Tensor:
    """As `metrics.gains_and_judged.judged_of_relevance`."""
    some = relevance != 0
    count = some.sum(dim=1, keepdim=True)
    filled = torch.arange(max(1, int(count.max())), device=relevance.device) < count
    return relevance.new_zeros(filled.shape).masked_scatter(filled, relevance[some])
