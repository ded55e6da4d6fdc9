r"""Accuracy: how many thresholded predictions are right.

    accuracy = #{i : [p_i ≥ threshold] = y_i} / n

Axes    probabilities (n), labels (n) -> a number.
Rule    At a click rate of 1 % "never" has 99 %, and a calibrated model hardly more: no p_i reaches ½.
Asked   "Your accuracy is 99 %. Is the model good?"
Source  The word also means (TP + TN) / catalogue in RecTools and AUC in ir_measures; Provost et al. 1998 against it.
"""

import numbers

import numpy as np
import torch

from recattn_mini.shapes import takes


@takes(probabilities="chances n", labels="labels n")
def accuracy_numpy(probabilities: np.ndarray, labels: np.ndarray, threshold: float = 0.5) -> float:
    """probabilities (n), labels (n) -> the share that is right.

    >>> accuracy_numpy(np.array([0.9, 0.5, 0.2, 0.4]), np.array([1, 1, 0, 1]))  # 0.5 counts as 1; the last is wrong
    0.75
    """
    _check_threshold(threshold)
    return float(((probabilities >= float(threshold)) == (labels == 1)).mean())


@takes(probabilities="chances n", labels="labels n")
def accuracy(probabilities: torch.Tensor, labels: torch.Tensor, threshold: float = 0.5) -> float:
    """probabilities (n), labels (n) -> the share that is right."""
    _check_threshold(threshold)
    return ((probabilities >= float(threshold)) == (labels == 1)).double().mean().item()


def _check_threshold(threshold: float) -> None:
    if not isinstance(threshold, numbers.Real) or not 0 <= threshold <= 1:
        raise ValueError(f"threshold must be a number from 0 to 1, got {threshold!r}")
