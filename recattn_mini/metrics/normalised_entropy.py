r"""Normalised entropy: log-loss, measured in that of a model that knows only the click-through rate.

    NE = log-loss(p, y) / H(CTR),   H(c) = -c · ln c - (1 - c) · ln(1 - c),   CTR = mean(y)         RIG = 1 - NE

Axes    probabilities (n), labels (n) -> one figure.
Rule    Below 1 is better than always predicting the CTR; 0 is certainty that holds. One class only: H is 0, ValueError.
Asked   "Log-loss fell from 0.3 to 0.2 after we changed the traffic. Is the model better?"  Rare clicks alone lower it:
        compare NE. "Can NE be compared between data sets?"  Better than log-loss, but its ceiling still differs.
Source  He et al. 2014 (NE). RIG: Graepel et al. 2010.
"""

import numpy as np
import torch

from recattn_mini.metrics.log_loss import log_loss, log_loss_numpy
from recattn_mini.shapes import takes


@takes(probabilities="chances n", labels="labels n")
def normalised_entropy_numpy(probabilities: np.ndarray, labels: np.ndarray) -> float:
    """probabilities (n), labels (n) -> log-loss ÷ that of the mean label as a constant prediction.

    >>> round(normalised_entropy_numpy(np.array([0.8, 0.2]), np.array([1, 0])), 4)  # ln 1.25 / ln 2
    0.3219
    """
    return log_loss_numpy(probabilities, labels) / _entropy((labels == 1).mean().item())


@takes(probabilities="chances n", labels="labels n")
def normalised_entropy(probabilities: torch.Tensor, labels: torch.Tensor) -> float:
    """probabilities (n), labels (n) -> log-loss ÷ that of the mean label as a constant prediction."""
    return log_loss(probabilities, labels) / _entropy((labels == 1).double().mean().item())


@takes(probabilities="chances n", labels="labels n")
def relative_information_gain_numpy(probabilities: np.ndarray, labels: np.ndarray) -> float:
    """1 - NE: the share of the uncertainty about clicks that the model takes away; below 0 if it adds some.

    >>> round(relative_information_gain_numpy(np.array([0.8, 0.2]), np.array([1, 0])), 4)  # 1 - ln 1.25 / ln 2
    0.6781
    """
    return 1 - normalised_entropy_numpy(probabilities, labels)


@takes(probabilities="chances n", labels="labels n")
def relative_information_gain(probabilities: torch.Tensor, labels: torch.Tensor) -> float:
    """1 - NE: the share of the uncertainty about clicks that the model takes away; below 0 if it adds some."""
    return 1 - normalised_entropy(probabilities, labels)


def _entropy(rate: float) -> float:
    """The log-loss of always predicting the rate."""
    if rate in (0, 1):
        raise ValueError(f"labels must hold both 0 and 1, got only {rate:.0f}: there is nothing to predict")
    return log_loss_numpy(np.array([rate, rate]), np.array([0, 1]))
