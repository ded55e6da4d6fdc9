r"""The mean of a metric over the users for whom there is something to measure.

    mean = Σ_u x_u / #{u : x_u is a number}

Axes    values (u), NaN where a user has nothing relevant.
Rule    Users without a value are left out and counted: the figure comes with both numbers. If nobody has one, there is
        no figure, and that is an error. Every user counts alike (macro); pooling hits first (micro) favours the heavy.
        The sum is exact, so the order of users, batches or machines does not change the last digit.
Asked   "A user has no click in the test week: 0, skipped, or NaN? How does that move your figure?"
Source  Macro- and micro-averaging: Manning, Raghavan, Schütze 2008, 13.6.
"""

import math
from typing import NamedTuple

import numpy as np
import torch

from recattn_mini.shapes import takes


class Mean(NamedTuple):
    """The mean, the number of users in it, and the number left out because there was nothing to measure."""

    value: float
    users: int
    excluded: int


@takes(values="u")
def mean_over_users_numpy(values: np.ndarray) -> Mean:
    """values (u), NaN = nothing to measure -> the mean of the others, and both counts.

    >>> mean_over_users_numpy(np.array([1.0, 0.5, np.nan]))
    Mean(value=0.75, users=2, excluded=1)
    """
    counted = values[~np.isnan(values)]
    if not len(counted):
        raise ValueError(f"values must hold a number, got {len(values)} NaN: no user has anything to measure")
    return Mean(math.fsum(counted) / len(counted), len(counted), len(values) - len(counted))


@takes(values="u")
def mean_over_users(values: torch.Tensor) -> Mean:
    """values (u), NaN = nothing to measure -> the mean of the others, and both counts."""
    return mean_over_users_numpy(values.detach().cpu().numpy())
