r"""Accuracy of a classifier: the share of rows where the prediction, cut at a threshold, is the label.

    accuracy = #{i : [p_i >= threshold] = y_i} / n

Axes    probabilities (n), labels (n) -> one figure.
Rule    A probability on the threshold counts as positive. A model that never predicts a click has accuracy 1 - CTR.
Asked   "Your CTR model is 99 % accurate. Is it good?"  At a CTR of 1 % a constant is. Ask for AUC and log-loss.
Source  Classification. Elsewhere the name stands for (TP + TN) / catalogue, near 1 for any model, and for AUC.
"""

import numbers

import numpy as np
import torch

from recattn_mini.shapes import takes


@takes(probabilities="chances n", labels="labels n")
def accuracy_numpy(probabilities: np.ndarray, labels: np.ndarray, threshold: float = 0.5) -> float:
    """probabilities (n), labels (n) -> the share that is right.

    >>> accuracy_numpy(np.array([0.9, 0.5, 0.2, 0.1]), np.array([1, 1, 1, 0]))  # 0.5 counts as 1; 0.2 is wrong
    0.75
    """
    _check(threshold)
    return float(((probabilities >= float(threshold)) == (labels == 1)).mean())


@takes(probabilities="chances n", labels="labels n")
def accuracy(probabilities: torch.Tensor, labels: torch.Tensor, threshold: float = 0.5) -> float:
    """probabilities (n), labels (n) -> the share that is right."""
    _check(threshold)
    return ((probabilities >= float(threshold)) == (labels == 1)).double().mean().item()


def _check(threshold: float) -> None:
    if not isinstance(threshold, numbers.Real) or not 0 <= threshold <= 1:
        raise ValueError(f"threshold must be a number from 0 to 1, got {threshold!r}")
