r"""Sign test: on how many users is one system better, and could a coin have done that?

    p = min(1, 2 · P[X ≤ min(wins, losses)]),   X ~ Binomial(wins + losses, ½)

Axes    a (u), b (u), the same users in the same order -> p, two-sided.
Rule    Users on which both are equal say nothing and are left out; if all are equal, p is 1. The size of a difference
        does not count: robust, and weaker than `permutation_test`.
Asked   "60 users improved, 40 got worse. Significant?"  p = .057.
Source  Arbuthnot 1710; Conover 1999, 3.4.
"""

import math

import numpy as np

from recattn_mini.metrics._checks import paired_differences
from recattn_mini.shapes import takes


@takes(a="u", b="u")
def sign_test_numpy(a: np.ndarray, b: np.ndarray) -> float:
    """a (u) and b (u), one value a user of each system -> p.

    >>> round(sign_test_numpy(np.array([0.9, 0.8, 0.7, 0.5]), np.array([0.8, 0.6, 0.6, 0.5])), 9)  # 3 of 3: 2 / 8
    0.25
    """
    delta = paired_differences(a, b)
    wins, losses = int((delta > 0).sum()), int((delta < 0).sum())
    n, fewer = wins + losses, np.arange(min(wins, losses) + 1)
    # by logarithms: the binomial coefficients of 1,000 users are no float64
    log_factorial = np.r_[0.0, np.cumsum(np.log(np.arange(1, n + 1)))]
    chances = np.exp(log_factorial[n] - log_factorial[fewer] - log_factorial[n - fewer] - n * math.log(2))
    return min(1.0, 2 * float(chances.sum()))
