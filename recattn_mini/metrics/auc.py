r"""AUC: how often a positive scores higher than a negative, over all pairs of the two. A tie is half a win.

    AUC = (#{(i, j) : s_i > s_j} + ½ #{(i, j) : s_i = s_j}) / (P · N),   i positive, j negative

Axes    scores (n), labels (n) -> one figure.
Rule    Counted in whole numbers, so exact: no curve, no bins. Only the order of scores matters; -0.0 equals 0.0.
        Undefined without a positive or without a negative: a ValueError.
Asked   "A constant model's AUC?"  0.5. Ranks of a bare argsort say anything from 0 to 1, by the order of the rows.
        "Why can AUC rise and the lists get worse?"  It compares rows of different users: see `gauc`.
Source  Mann, Whitney 1947; Hanley, McNeil 1982.
"""

import numpy as np
import torch

from recattn_mini.shapes import takes

AT_ONCE = 1 << 20


@takes(scores="scores n", labels="labels n")
def auc_numpy(scores: np.ndarray, labels: np.ndarray) -> float:
    """scores (n), labels (n) -> the share of pairs (positive, negative) in the right order.

    >>> auc_numpy(np.array([0.9, 0.9, 0.4, 0.4, 0.1]), np.array([1, 0, 1, 0, 0]))  # (3 wins + 2 ties / 2) / 6 pairs
    0.6666666666666666
    """
    positive = labels == 1
    high, low = scores[positive], scores[~positive]
    _check(len(high), len(low))
    high.sort()  # apart: half the memory of an argsort, and sorted needles are found faster
    low.sort()
    doubled = 0
    for start in range(0, len(high), AT_ONCE):
        part = high[start : start + AT_ONCE]
        # below on the left, below or tied on the right: their mean gives a tie its half
        doubled += sum(int(np.searchsorted(low, part, side).sum()) for side in ("left", "right"))
    return doubled / (2 * len(high) * len(low))


@takes(scores="scores n", labels="labels n")
def auc(scores: torch.Tensor, labels: torch.Tensor) -> float:
    """scores (n), labels (n) -> the share of pairs (positive, negative) in the right order."""
    positive = labels == 1
    high, low = scores[positive].sort().values, scores[~positive].sort().values
    _check(len(high), len(low))
    doubled = sum(int(torch.searchsorted(low, high, right=right).sum()) for right in (False, True))
    return doubled / (2 * len(high) * len(low))


def _check(positives: int, negatives: int) -> None:
    if not positives or not negatives:
        raise ValueError(f"labels must hold both 0 and 1, got {negatives} times 0 and {positives} times 1")
