"""Truth without its zeros, by counting what is not 0 instead of sorting by whether it is."""

import numpy as np
import torch

from recattn_mini.shapes import takes


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
