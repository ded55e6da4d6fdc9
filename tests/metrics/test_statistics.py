"""Tests of two systems on the same users: held to SciPy, to all signs written out, and to what they promise."""

import itertools

import numpy as np
import pytest

from recattn_mini.metrics.paired_bootstrap import paired_bootstrap_numpy
from recattn_mini.metrics.permutation_test import permutation_test_numpy
from recattn_mini.metrics.sign_test import sign_test_numpy

stats = pytest.importorskip("scipy.stats")
A, B = np.array([0.5, 0.6, 0.2, 0.9, 0.4, 0.7, 0.3, 0.8]), np.array([0.4, 0.6, 0.1, 0.7, 0.5, 0.6, 0.2, 0.8])


def test_ties_that_rounding_parts_are_still_ties():
    """12 of 64 choices of signs are as large; a library that loses ties to rounding has .094."""
    assert permutation_test_numpy(A, B) == 12 / 64


@pytest.mark.parametrize("seed", range(20))
def test_exact_permutations_are_all_signs_written_out(seed):
    random = np.random.RandomState(seed)
    a, b = random.randint(0, 9, (2, 9)) / 8  # eighths: their sums are exact
    delta = a - b
    every = [abs(np.dot(signs, delta)) for signs in itertools.product([1, -1], repeat=9)]
    assert permutation_test_numpy(a, b) == np.mean(np.array(every) >= abs(delta.sum()))


def test_drawn_permutations_are_near_scipys():
    random = np.random.RandomState(0)
    a = random.rand(60)
    b = a - 0.02 + 0.1 * random.randn(60)
    theirs = stats.permutation_test(
        (a, b), lambda x, y: np.mean(x - y), permutation_type="samples", n_resamples=20_000, random_state=0
    ).pvalue
    assert permutation_test_numpy(a, b) == pytest.approx(theirs, abs=0.012)
    assert permutation_test_numpy(a + 10, b) == pytest.approx(1 / (2**16 + 1))  # never 0


def test_equal_systems():
    assert permutation_test_numpy(A, A) == 1
    assert sign_test_numpy(A, A) == 1
    assert paired_bootstrap_numpy(A, A, 100) == (0, 0, 0, 1)


@pytest.mark.parametrize(("wins", "losses"), [(60, 40), (3, 0), (5, 5), (0, 9), (7, 8), (50_500, 49_500)])
def test_the_sign_test_is_the_binomial_test(wins, losses):
    a = np.r_[np.ones(wins), np.zeros(losses), np.full(4, 0.5)]  # four users are equal, and say nothing
    b = np.r_[np.zeros(wins), np.ones(losses), np.full(4, 0.5)]
    assert sign_test_numpy(a, b) == pytest.approx(stats.binomtest(wins, wins + losses).pvalue, rel=1e-7)


def test_the_bootstrap_interval_is_near_scipys():
    random = np.random.RandomState(0)
    a = random.rand(200)
    b = a - 0.01 + 0.1 * random.randn(200)
    ours = paired_bootstrap_numpy(a, b, 5000)
    theirs = stats.bootstrap((a - b,), np.mean, n_resamples=5000, method="percentile", random_state=1)
    assert ours.value == pytest.approx((a - b).mean(), abs=1e-15)
    assert (ours.low, ours.high) == pytest.approx(theirs.confidence_interval, abs=0.0015)


def test_the_bootstrap_interval_holds_the_truth_as_often_as_it_says():
    random = np.random.RandomState(0)
    held = p_below = 0
    for seed in range(300):
        delta = random.randn(80) * 0.3 + 0.05
        found = paired_bootstrap_numpy(delta, np.zeros(80), 400, seed)
        held += found.low <= 0.05 <= found.high
        null = paired_bootstrap_numpy(delta - 0.05, np.zeros(80), 400, seed)
        p_below += null.p <= 0.05
    assert held / 300 == pytest.approx(0.95, abs=0.04)
    assert p_below / 300 == pytest.approx(0.05, abs=0.04)


@pytest.mark.parametrize("f", [paired_bootstrap_numpy, permutation_test_numpy, sign_test_numpy])
def test_users_without_a_value(f):
    a, b = np.append(A, np.nan), np.append(B, np.nan)
    assert f(a, b) == f(A, B)
    with pytest.raises(ValueError, match=r"a and b must be NaN for the same users, got nan and 0\.8 for user 7"):
        f(np.append(A[:7], np.nan), B)
    with pytest.raises(ValueError, match="a and b must hold a number, got only NaN"):
        f(np.full(3, np.nan), np.full(3, np.nan))
    with pytest.raises(ValueError, match="b must be"):
        f(A, B[:3])


@pytest.mark.parametrize("f", [paired_bootstrap_numpy, permutation_test_numpy, sign_test_numpy])
def test_infinite_values_are_an_error(f):
    with pytest.raises(ValueError, match="a and b must be finite"):
        f(np.array([1.0, np.inf]), np.array([0.5, np.inf]))


def test_values_that_are_equal_but_for_rounding_are_equal():
    a, b = np.full(6, 0.1 + 0.2), np.full(6, 0.3)
    assert (a != b).all()
    assert sign_test_numpy(a, b) == permutation_test_numpy(a, b) == 1
