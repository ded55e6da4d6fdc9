r"""AUC: the chance that a random positive is scored above a random negative; a tie is half a win.

    AUC = (wins + ½ ties) / (P · N)      over all pairs of one of P positives and one of N negatives

Axes    scores (n), labels (n) -> a number.
Rule    Exact with ties. One class only: undefined, a ValueError.
Cost    One sort. A positive's wins are the negatives in lower runs of equal scores, its ties those in its own run.
Asked   "Write it without a loop over pairs. What do ties do?"  Ranks by argsort break them by luck.
Source  Hanley, McNeil 1982; Mann, Whitney 1947.
"""

import numpy as np
import torch

from recattn_mini.shapes import takes


@takes(scores="scores n", labels="labels n")
def auc_numpy(scores: np.ndarray, labels: np.ndarray) -> float:
    """scores (n), labels (n) -> the area under the ROC curve.

    >>> auc_numpy(np.array([0.9, 0.9, 0.4, 0.4, 0.1]), np.array([1, 0, 1, 0, 0])).__round__(4)  # 4 of 6 pairs
    0.6667
    """
    positive = labels == 1
    _check_classes(int(positive.sum()), len(labels))
    if scores.dtype == np.float32:
        # one sort of one array instead of an argsort and two gathers: the label rides in the lowest bit
        keys = np.sort(sortable_bits(scores) << np.uint64(1) | positive)
        positive, scores = (keys & np.uint64(1)).astype(bool), keys >> np.uint64(1)
    else:
        order = np.argsort(scores)
        positive, scores = positive[order], scores[order]
    starts = np.flatnonzero(np.r_[True, scores[1:] != scores[:-1]])  # of the runs of equal scores
    ends = np.r_[starts[1:], len(scores)]
    up_to = np.r_[0, np.cumsum(positive)]
    in_run = up_to[ends] - up_to[starts]
    others = ends - starts - in_run
    below = np.cumsum(others) - others
    wins = float(in_run.astype(np.float64) @ (below + others / 2))
    return wins / (int(up_to[-1]) * (len(scores) - int(up_to[-1])))


def sortable_bits(scores: np.ndarray) -> np.ndarray:
    """Float32 scores as uint64 that sort the same way; 0.0 and -0.0 are one.

    >>> np.argsort(sortable_bits(np.array([1, -2, 0, -np.inf], np.float32))).tolist()
    [3, 1, 2, 0]
    """
    bits = (scores + np.float32(0)).view(np.uint32)  # -0.0 + 0.0 is 0.0
    flipped = np.where(bits >> np.uint32(31), ~bits, bits | np.uint32(1 << 31))
    return flipped.astype(np.uint64)


@takes(scores="scores n", labels="labels n")
def auc(scores: torch.Tensor, labels: torch.Tensor) -> float:
    """scores (n), labels (n) -> the area under the ROC curve."""
    positive = labels == 1
    positives = int(positive.sum())
    _check_classes(positives, len(labels))
    _, run, size = scores.unique(return_inverse=True, return_counts=True)  # runs of equal scores, ascending
    in_run = torch.zeros_like(size, dtype=torch.float64).index_add(0, run, positive.double())
    others = size - in_run
    below = others.cumsum(0) - others
    return ((in_run * (below + others / 2)).sum() / (positives * (len(labels) - positives))).item()


def _check_classes(positives: int, n: int) -> None:
    if positives in (0, n):
        raise ValueError(f"labels must hold both classes, got {positives} positives among {n}")
