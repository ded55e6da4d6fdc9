r"""Paired bootstrap: is the difference of two systems larger than other users would have made it?

    δ_u = a_u - b_u;  draw u users with replacement, many times, and look at the spread of their mean δ

Axes    a (u), b (u), the same users in the same order -> the difference, its 95 % interval, a p-value.
Rule    Paired: most of the variance is between users and cancels. A user that is NaN in both is left out; NaN in one
        only is a ValueError. Users are the unit: resampling their events or the items gives too narrow an interval.
Asked   "NDCG is up by 0.002. Is that real?"
Source  Efron, Tibshirani 1993, ch. 13 and 16; Sakai 2006 (for retrieval).
"""

from typing import NamedTuple

import numpy as np

from recattn_mini.metrics._checks import paired_differences
from recattn_mini.shapes import takes


class Difference(NamedTuple):
    """A mean difference, its 95 % interval, and how often chance alone makes one as large, either way."""

    value: float
    low: float
    high: float
    p: float


@takes(a="u", b="u", resamples="count")
def paired_bootstrap_numpy(a: np.ndarray, b: np.ndarray, resamples: int = 10_000, seed: int = 0) -> Difference:
    """a (u) and b (u), one value a user of each system -> their mean difference with its interval.

    >>> a, b = np.array([0.9, 0.8, 0.7, 0.9]), np.array([0.8, 0.6, 0.6, 0.9])
    >>> [round(x, 3) for x in paired_bootstrap_numpy(a, b)[:3]]  # of δ = 0.1, 0.2, 0.1, 0
    [0.1, 0.025, 0.175]
    """
    delta, random = paired_differences(a, b), np.random.RandomState(seed)
    means = np.array([delta[random.randint(0, len(delta), len(delta))].mean() for _ in range(resamples)])
    value = float(delta.mean())
    # without a difference the means would have the same spread around 0; the tolerance is for rounding
    at_least = np.sum(np.abs(means - value) >= abs(value) * (1 - 1e-12))
    low, high = np.quantile(means, [0.025, 0.975])
    return Difference(value, float(low), float(high), float((at_least + 1) / (resamples + 1)))
