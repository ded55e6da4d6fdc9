"""Scores as whole numbers that sort the same way, so that a label, an item or a user can ride along in one integer."""

import numpy as np


def sortable_bits(scores: np.ndarray) -> np.ndarray:
    """Scores of up to 32 bits as uint32 in the same order; 0.0 and -0.0 are one.

    >>> np.argsort(sortable_bits(np.array([1, -2, 0, -np.inf], np.float32))).tolist()
    [3, 1, 2, 0]
    """
    bits = (scores + np.float32(0)).view(np.int32)  # -0.0 + 0.0 is 0.0
    return (bits ^ (bits >> 31 | np.int32(-(1 << 31)))).view(np.uint32)  # a positive's sign, all of a negative's bits
