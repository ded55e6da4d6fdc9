r"""AUC: the chance that a random positive is scored above a random negative; a tie is half a win.

    AUC = (wins + ½ ties) / (P · N)      over all pairs of one of P positives and one of N negatives

Axes    scores (n), labels (n) -> a number.
Rule    Exact with ties: a model that scores all alike has ½. One class only: undefined, a ValueError.
Cost    O(n log n): both classes sorted, then each positive looked up among the negatives, how many lie below and
        how many lie below or tie. Sorted positives are looked up several times faster: the next place is near.
Asked   "Write it without a loop over pairs. What do ties do?"  Ranks by argsort give tied rows an order by luck.
Source  Hanley, McNeil 1982; Mann, Whitney 1947.
"""

import numpy as np
import torch

from recattn_mini.shapes import takes


@takes(scores="scores n", labels="labels n")
def auc_numpy(scores: np.ndarray, labels: np.ndarray) -> float:
    """The share of pairs (a positive, a negative) in which the positive has the higher score, as a Python float.

    scores (n), floating, without NaN; labels (n), 0 or 1. A tied pair counts half. Scores are compared as they are, of
    any size, and two of -inf are tied like any other two. Labels of one class only make no pair: ValueError. The inputs
    stay unchanged.

    >>> auc_numpy(np.array([0.9, 0.4, 0.4, 0.1]), np.array([1, 0, 1, 0]))  # of 4 pairs 3 are won and one is tied
    0.875
    """
    positives, negatives = np.sort(scores[labels == 1]), np.sort(scores[labels == 0])
    _check_classes(len(positives), len(labels))
    below = np.searchsorted(negatives, positives).sum()
    below_or_tied = np.searchsorted(negatives, positives, side="right").sum()
    return float((below + below_or_tied) / 2 / (len(positives) * len(negatives)))


@takes(scores="scores n", labels="labels n")
def auc(scores: torch.Tensor, labels: torch.Tensor) -> float:
    """The share of pairs (a positive, a negative) in which the positive has the higher score, as a Python float.

    scores (n), floating, without NaN; labels (n), 0 or 1. A tied pair counts half. Scores are compared as they are, of
    any size, and two of -inf are tied like any other two. Labels of one class only make no pair: ValueError. The inputs
    stay unchanged.

    >>> auc(torch.tensor([0.9, 0.4, 0.4, 0.1]), torch.tensor([1, 0, 1, 0]))  # of 4 pairs 3 are won and one is tied
    0.875
    """
    positives, negatives = scores[labels == 1].sort().values, scores[labels == 0].sort().values
    _check_classes(len(positives), len(labels))
    below = torch.searchsorted(negatives, positives).sum().item()
    below_or_tied = torch.searchsorted(negatives, positives, right=True).sum().item()
    return (below + below_or_tied) / 2 / (len(positives) * len(negatives))


def _check_classes(positives: int, n: int) -> None:
    if positives in (0, n):
        raise ValueError(f"labels must hold both classes, got {positives} positives among {n}")
