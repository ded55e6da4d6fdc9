r"""Recalibration after negative down-sampling: from the odds of the sample back to those of the world.

    q = p / (p + (1 - p) / rate)      the odds p / (1 - p) times `rate`, the share of negatives that was kept

Axes    probabilities (n), rate -> (n).
Rule    0 < rate ≤ 1. The order does not change, so AUC does not either; log-loss and Σp / Σy do.
Asked   "You trained on a tenth of the negatives. What do you serve?"
Source  He et al. 2014 (Facebook), 6.3.
"""

import numbers

import numpy as np
import torch

from recattn_mini.shapes import takes


@takes(probabilities="chances n")
def recalibrate_numpy(probabilities: np.ndarray, rate: float) -> np.ndarray:
    """probabilities (n) of a model trained on all positives and a share `rate` of the negatives -> (n).

    >>> recalibrate_numpy(np.array([0.5]), 0.1).round(4)  # odds of 1 to 1 become 0.1 to 1
    array([0.0909])
    """
    _check_rate(rate)
    p = probabilities.astype(np.float64)
    return rate * p / (rate * p + (1 - p))  # not 1 / rate, which overflows for a tiny rate


@takes(probabilities="chances n")
def recalibrate(probabilities: torch.Tensor, rate: float) -> torch.Tensor:
    """probabilities (n) of a model trained on all positives and a share `rate` of the negatives -> (n)."""
    _check_rate(rate)
    p = probabilities.double()
    return rate * p / (rate * p + (1 - p))


def _check_rate(rate: float) -> None:
    if not isinstance(rate, numbers.Real) or not 0 < rate <= 1:
        raise ValueError(f"rate must be a share of the negatives, above 0 and up to 1, got {rate!r}")
