r"""Undo negative down-sampling: from the click rate of the sample to that of all traffic.

    q = p / (p + (1 - p) / rate),   rate = the share of negatives kept       log-odds: logit q = logit p + ln rate

Axes    probabilities (n) -> (n), float64.
Rule    The model, trained on every click and a share of the rest, overstates: its odds are 1 / rate too high. The map
        is monotone, so AUC stays; log-loss and Σp / Σy do not. rate 1 changes nothing.
Asked   "You keep 1 % of the negatives, and the model says 50 %. What do you bid on?"  0.5 / (0.5 + 0.5 / 0.01) ≈ 1 %.
        "Is AUC wrong too?"  No. "When is this not enough?"  It corrects the sampling, not a model that is off.
Source  He et al. 2014; rare events: King, Zeng 2001.
"""

import numbers

import numpy as np
import torch

from recattn_mini.shapes import takes


@takes(probabilities="chances n")
def recalibrate_numpy(probabilities: np.ndarray, rate: float) -> np.ndarray:
    """probabilities (n) by a model that saw a share `rate` of the negatives -> what they are on all traffic (n).

    >>> recalibrate_numpy(np.array([0.0, 0.5, 1.0]), 0.25)  # odds of 1 : 1 were 1 : 4 before the sampling
    array([0. , 0.2, 1. ])
    """
    _check(rate)
    p = probabilities.astype(np.float64)
    return rate * p / (rate * p + 1 - p)  # no division by rate: it may be tiny


@takes(probabilities="chances n")
def recalibrate(probabilities: torch.Tensor, rate: float) -> torch.Tensor:
    """probabilities (n) by a model that saw a share `rate` of the negatives -> what they are on all traffic (n)."""
    _check(rate)
    p = probabilities.double()
    return rate * p / (rate * p + 1 - p)


def _check(rate: float) -> None:
    if not isinstance(rate, numbers.Real) or not 0 < rate <= 1:
        raise ValueError(f"rate must be the share of negatives kept, above 0 and up to 1, got {rate!r}")
