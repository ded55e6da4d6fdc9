r"""Normalised entropy: the log-loss, as a share of what always predicting the base rate would cost.

    NE = log-loss / H(ȳ),   H(ȳ) = -ȳ log ȳ - (1 - ȳ) log(1 - ȳ);   RIG = 1 - NE

Axes    probabilities (n), labels (n) -> a number.
Rule    1 is the constant ȳ, below is better, above is worse than no model. One class only: H = 0, a ValueError.
Asked   "Log-loss fell from 0.08 to 0.07 on another day. Is the model better?"  Divide by that day's entropy first.
Source  He et al. 2014 (Facebook), 3; RIG = relative information gain.
"""

import numpy as np
import torch

from recattn_mini.metrics.log_loss import log_loss, log_loss_numpy
from recattn_mini.shapes import takes


@takes(probabilities="chances n", labels="labels n")
def normalised_entropy_numpy(probabilities: np.ndarray, labels: np.ndarray) -> float:
    """probabilities (n), labels (n) -> the log-loss divided by that of the base rate.

    >>> normalised_entropy_numpy(np.array([0.25, 0.25, 0.25, 0.25]), np.array([1, 0, 0, 0])).__round__(9)
    1.0
    """
    return log_loss_numpy(probabilities, labels) / _entropy(float(labels.mean(dtype=np.float64)))


@takes(probabilities="chances n", labels="labels n")
def normalised_entropy(probabilities: torch.Tensor, labels: torch.Tensor) -> float:
    """probabilities (n), labels (n) -> the log-loss divided by that of the base rate."""
    return log_loss(probabilities, labels) / _entropy(labels.double().mean().item())


@takes(probabilities="chances n", labels="labels n")
def relative_information_gain_numpy(probabilities: np.ndarray, labels: np.ndarray) -> float:
    """1 - NE: the share of the base rate's surprise that the model takes away; negative if it adds some.

    Asked   "Which share of the surprise does the model take away?"
    """
    return 1 - normalised_entropy_numpy(probabilities, labels)


@takes(probabilities="chances n", labels="labels n")
def relative_information_gain(probabilities: torch.Tensor, labels: torch.Tensor) -> float:
    """1 - NE: the share of the base rate's surprise that the model takes away; negative if it adds some."""
    return 1 - normalised_entropy(probabilities, labels)


def _entropy(rate: float) -> float:
    if rate in (0, 1):
        raise ValueError(f"labels must hold both classes, got a mean of {rate:g}")
    return float(-rate * np.log(rate) - (1 - rate) * np.log1p(-rate))
