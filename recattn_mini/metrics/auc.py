r"""AUC: the chance that a random positive is scored above a random negative; a tie is half a win.

    AUC = (wins + ½ ties) / (P · N)      over all pairs of one of P positives and one of N negatives

Axes    scores (n), labels (n) -> a number.
Rule    Exact with ties. One class only: undefined, a ValueError.
Cost    Each class sorted by itself, in place: about the memory of the scores. Then each distinct score of the smaller
        class is looked up in the larger: how many lie below, and, only where it is there, how many tie.
Asked   "Write it without a loop over pairs. What do ties do?"  Ranks by argsort break them by luck.
Source  Hanley, McNeil 1982; Mann, Whitney 1947.
"""

import numpy as np
import torch

from recattn_mini.shapes import takes

AT_ONCE = 1 << 18  # scores looked up together: what bounds the memory beyond the two classes


@takes(scores="scores n", labels="labels n")
def auc_numpy(scores: np.ndarray, labels: np.ndarray) -> float:
    """scores (n), labels (n) -> the area under the ROC curve.

    >>> auc_numpy(np.array([0.9, 0.9, 0.4, 0.4, 0.1]), np.array([1, 0, 1, 0, 0])).__round__(4)  # 4 of 6 pairs
    0.6667
    """
    positive = labels == 1
    _check_classes(int(positive.sum()), len(labels))
    classes = scores[positive], scores[~positive]
    for one in classes:
        one.sort()
    few, many = sorted(classes, key=len)
    doubled = 0  # twice the pairs in which `many` is below `few`: whole, so exact
    for start in range(0, len(few), AT_ONCE):
        values, times = np.unique(few[start : start + AT_ONCE], return_counts=True)
        below = np.searchsorted(many, values)
        tied = np.flatnonzero(many[np.minimum(below, len(many) - 1)] == values)
        ties = np.searchsorted(many, values[tied], side="right") - below[tied]
        doubled += 2 * int(times @ below) + int(times[tied] @ ties)
    pairs = len(few) * len(many)
    return (doubled if few is classes[0] else 2 * pairs - doubled) / (2 * pairs)


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
