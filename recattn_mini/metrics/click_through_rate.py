r"""Click-through rate, with the interval that belongs to it.

    CTR = c / n                 Wilson: the rates q for which |CTR - q| <= z · √(q (1 - q) / n),   z = 1.96 for 95 %

Axes    clicks (n), one row an impression, 0 or 1 -> value, low, high.
Rule    The interval stays within [0, 1] and is not empty at 0 clicks, where CTR ± z · s.e. is. It takes impressions as
        independent: those of one user are not, and it is too narrow then; resample users instead.
Asked   "3 clicks of 100 against 5 of 100: is B better?"  [1 %, 8 %] and [2 %, 11 %]: this does not tell.
        "Offline CTR?"  It is the rate of what was shown, by the old policy. Of another policy it says nothing: `ips`.
Source  Wilson 1927; Brown, Cai, DasGupta 2001.
"""

import math
from typing import NamedTuple

import numpy as np
import torch

from recattn_mini.shapes import takes

Z = 1.959963984540054  # 2.5 % of a normal distribution lie above


class Interval(NamedTuple):
    """A figure and the 95 % interval around it."""

    value: float
    low: float
    high: float


@takes(clicks="labels n")
def click_through_rate_numpy(clicks: np.ndarray) -> Interval:
    """clicks (n), 0 or 1 -> their share, and the Wilson interval.

    >>> click_through_rate_numpy(np.array([0, 0, 0, 0]))  # none of 4: it may still be one of two
    Interval(value=0.0, low=0.0, high=0.4898908364545996)
    """
    return _wilson(int((clicks == 1).sum()), len(clicks))


@takes(clicks="labels n")
def click_through_rate(clicks: torch.Tensor) -> Interval:
    """clicks (n), 0 or 1 -> their share, and the Wilson interval."""
    return _wilson(int((clicks == 1).sum()), len(clicks))


def _wilson(clicks: int, n: int) -> Interval:
    return Interval(clicks / n, _low(clicks, n), 1 - _low(n - clicks, n))


def _low(clicks: int, n: int) -> float:
    return (clicks + Z**2 / 2 - Z * math.sqrt(clicks * (n - clicks) / n + Z**2 / 4)) / (n + Z**2)
