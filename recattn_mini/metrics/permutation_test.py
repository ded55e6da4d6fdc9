r"""Paired permutation test: if the two systems were one, each user's difference could as well have the other sign.

    p = share of the 2^u ways to choose signs s for which |Σ s_u δ_u| ≥ |Σ δ_u|

Axes    a (u), b (u), the same users in the same order -> p, two-sided.
Rule    All ways if there are at most 2^16. Otherwise 2^16 are drawn, and p = (count + 1) / (draws + 1): the observed
        signs are one way more, so p is never 0. Sums that are equal but for rounding are equal: without that tolerance
        ties are lost and p comes out too small (.094 for 12/64 = .1875 in one library).
Asked   "Which test for two recommenders, and what does it assume?"  Only that signs are exchangeable.
Source  Fisher 1935; Smucker, Allan, Carterette 2007.
"""

import numpy as np

from recattn_mini.metrics._checks import paired_differences
from recattn_mini.shapes import takes

EXACT_UP_TO = 16  # users that differ


@takes(a="u", b="u")
def permutation_test_numpy(a: np.ndarray, b: np.ndarray, seed: int = 0) -> float:
    """a (u) and b (u), one value a user of each system -> p.

    >>> permutation_test_numpy(np.array([0.9, 0.8, 0.7]), np.array([0.8, 0.6, 0.6]))  # +++ and --- of 8
    0.25
    """
    delta = paired_differences(a, b)
    delta = delta[delta != 0]  # the sign of a 0 changes no sum
    observed, bits = abs(delta.sum()), np.arange(len(delta))
    enough = observed * (1 - 1e-9) - 1e-12 * np.abs(delta).sum()
    if len(delta) <= EXACT_UP_TO:
        signs = 1 - 2 * (np.arange(2 ** len(delta))[:, None] >> bits & 1)
        return float((np.abs(signs @ delta) >= enough).mean())
    random = np.random.RandomState(seed)
    draws = 2**EXACT_UP_TO
    sums = np.concatenate([(1 - 2 * random.randint(0, 2, (256, len(delta)))) @ delta for _ in range(draws // 256)])
    return float((np.sum(np.abs(sums) >= enough) + 1) / (draws + 1))
