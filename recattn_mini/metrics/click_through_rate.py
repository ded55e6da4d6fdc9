r"""Click-through rate of a policy that was served, with an interval.

    CTR = clicks / impressions;   Wilson: (CTR + z²/2n ± z √(CTR(1 - CTR)/n + z²/4n²)) / (1 + z²/n), z = 1.96

Axes    clicks (n), 0 or 1 -> (value, low, high).
Rule    An *online* figure: it belongs to the policy that chose what was shown. Impressions are taken as independent; if
        one user has many, resample users instead. Wilson's interval stays within [0, 1], also with no click at all.
Asked   "What is the offline CTR of your new model?"  There is none: predict clicks, or reweigh logged ones (`ips`).
Source  Wilson 1927.
"""

import math
from typing import NamedTuple

import numpy as np
import torch

from recattn_mini.shapes import takes

Z = 1.959963984540054  # 95 % of a normal distribution lies within


class Interval(NamedTuple):
    """A figure and the 95 % interval around it."""

    value: float
    low: float
    high: float


@takes(clicks="labels n")
def click_through_rate_numpy(clicks: np.ndarray) -> Interval:
    """clicks (n) -> the rate and its 95 % interval.

    >>> [round(x, 3) for x in click_through_rate_numpy(np.array([1] + 9 * [0]))]  # one of ten says little
    [0.1, 0.018, 0.404]
    """
    n, clicked = len(clicks), int((clicks == 1).sum())
    return Interval(clicked / n, _low(clicked, n), 1 - _low(n - clicked, n))


@takes(clicks="labels n")
def click_through_rate(clicks: torch.Tensor) -> Interval:
    """clicks (n) -> the rate and its 95 % interval."""
    return click_through_rate_numpy(clicks.cpu().numpy())


def _low(clicked: int, n: int) -> float:
    """Wilson's lower end, written in counts, so that at 0 clicks the two terms cancel to exactly 0."""
    return (clicked + Z**2 / 2 - Z * math.sqrt(clicked * (n - clicked) / n + Z**2 / 4)) / (n + Z**2)
