"""NDCG with ties against every order of the tied, tried out one by one; 2^g - 1 at both ends of the scale."""

import math
from itertools import pairwise, permutations

import numpy as np
import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st

from recattn_mini.metrics.ndcg import ndcg, ndcg_exponential, ndcg_exponential_numpy, ndcg_numpy
from recattn_mini.metrics.ndcg_tie_averaged import ndcg_tie_averaged, ndcg_tie_averaged_numpy

INF = np.inf
TIED = pytest.mark.parametrize("form", [ndcg_tie_averaged, ndcg_tie_averaged_numpy], ids=["torch", "numpy"])
EXPONENTIAL = pytest.mark.parametrize("form", [ndcg_exponential, ndcg_exponential_numpy], ids=["torch", "numpy"])


def given_to(form, first, second, k):
    if form.__name__.endswith("_numpy"):
        return form(np.asarray(first), np.asarray(second), k)
    return form(torch.from_numpy(np.asarray(first)), torch.from_numpy(np.asarray(second)), k).numpy()


def dcg_of(gains):
    return math.fsum(gain / math.log2(place + 1) for place, gain in enumerate(gains, 1))


def over_every_order(scores, relevance, k):
    """The mean NDCG of all the orders of the candidates in which no score is followed by a higher one."""
    ideal = dcg_of(sorted(relevance, reverse=True)[:k])
    candidates = [item for item, score in enumerate(scores) if score != -INF]
    orders = [order for order in permutations(candidates) if all(scores[a] >= scores[b] for a, b in pairwise(order))]
    return math.fsum(dcg_of([relevance[i] for i in order[:k]]) for order in orders) / len(orders) / ideal


@st.composite
def tied(draw):
    users, n = draw(st.integers(1, 3)), draw(st.integers(1, 5))

    def matrix(value):
        return np.array(draw(st.lists(st.lists(value, min_size=n, max_size=n), min_size=users, max_size=users)))

    return matrix(st.sampled_from([-INF, -1.5, 0.0, 2.0, INF])), matrix(st.integers(0, 3))


@TIED
@given(case=tied(), k=st.integers(1, 7))
@example(case=(np.array([[-INF, -INF], [1.0, 1.0]]), np.array([[0, 2], [0, 0]])), k=1)
@settings(max_examples=80, deadline=None)
def test_it_is_the_mean_over_every_order_of_the_tied(form, case, k):
    got = given_to(form, *case, k)
    assert got.dtype == np.float64
    for value, scores, relevance in zip(got, *map(np.ndarray.tolist, case), strict=True):
        if any(relevance):
            assert value == pytest.approx(over_every_order(scores, relevance, k), abs=1e-14)
            assert 0 <= value <= 1 + 1e-14
        else:
            assert math.isnan(value)


@TIED
def test_no_order_of_items_and_no_scale_of_scores_changes_it(form):
    random = np.random.RandomState(0)
    scores, relevance, items = (
        random.randint(-2, 3, (20, 12)) / 2,
        random.randint(0, 3, (20, 12)),
        random.permutation(12),
    )
    once = given_to(form, scores, relevance, 5)
    np.testing.assert_allclose(given_to(form, scores[:, items], relevance[:, items], 5), once, rtol=1e-13)
    for further in (np.exp(scores), 4 * scores - 100, scores**3):
        np.testing.assert_allclose(given_to(form, further, relevance, 5), once, rtol=1e-13)


@TIED
@pytest.mark.parametrize("of_scores", [np.float16, np.float32, np.float64])
@pytest.mark.parametrize("of_gains", [np.bool_, np.uint8, np.int64, np.float32])
def test_any_width_of_numbers(form, of_scores, of_gains):
    scores, relevance = np.array([[0.5, 0.5, 0.25]], of_scores), np.array([[1, 0, 1]], of_gains)
    value = given_to(form, scores, relevance, 3)
    third = 1 / 2  # 1 / log₂ 4
    assert value.dtype == np.float64
    assert value[0] == pytest.approx(((1 + 1 / math.log2(3)) / 2 + third) / (1 + 1 / math.log2(3)), rel=1e-14)


@TIED
@pytest.mark.parametrize(
    ("scores", "relevance", "k", "told"),
    [
        ([[0.1, np.nan]], [[1, 0]], 1, "scores must be without NaN"),
        ([[0.1, 0.2]], [[1, -1]], 1, "relevance must be finite and not negative, got -1"),
        ([[0.1, 0.2]], [[1, 0, 0]], 1, "relevance must be .* n = 2 as in scores"),
        ([[0.1, 0.2]], [[1, 0]], 0, "k must be a whole number from 1, got 0"),
        (np.zeros((0, 2)), np.zeros((0, 2)), 1, "scores has an empty axis"),
    ],
)
def test_bad_input_is_named(form, scores, relevance, k, told):
    with pytest.raises(ValueError, match=told):
        given_to(form, scores, relevance, k)


def test_torchmetrics_averages_over_ties_too_and_sees_nothing_between_two_float32():
    theirs = pytest.importorskip("torchmetrics.functional.retrieval").retrieval_normalized_dcg
    scores, relevance = np.array([[0.5, 0.5, 0.5, 0.1]]), np.array([[3, 0, 1, 2]])
    want = theirs(torch.from_numpy(scores[0]), torch.from_numpy(relevance[0]), top_k=2).item()
    assert ndcg_tie_averaged_numpy(scores, relevance, 2)[0] == pytest.approx(want, abs=1e-6)
    close, second = np.array([[1.0, 1 + 1e-9]]), np.array([[0, 1]])
    assert theirs(torch.from_numpy(close[0]), torch.from_numpy(second[0]), top_k=1).item() == 0.5
    assert ndcg_tie_averaged_numpy(close, second, 1)[0] == 1


@EXPONENTIAL
@pytest.mark.parametrize("k", [1, 4, 20])
def test_grades_of_0_and_1_are_the_same_either_way_and_in_any_dtype(form, k):
    random = np.random.RandomState(0)
    judged = random.rand(60, 9) < 0.3
    gains, linear = judged[:, :6], ndcg if form is ndcg_exponential else ndcg_numpy
    want = given_to(form, gains, judged, k)
    np.testing.assert_array_equal(np.isnan(want), ~judged.any(axis=1))
    for dtype in (np.bool_, np.uint8, np.int64, np.float32):
        np.testing.assert_allclose(given_to(linear, gains.astype(dtype), judged.astype(dtype), k), want, rtol=1e-13)


@EXPONENTIAL
def test_a_gain_too_small_for_2_to_its_power_is_still_relevant(form):
    assert 2**1e-17 - 1 == 0
    # near 0, 2^g - 1 is g log 2, and log 2 cancels
    assert given_to(form, [[0, 1e-17]], [[1e-17, 0]], 2)[0] == pytest.approx(1 / math.log2(3), rel=1e-14)


@EXPONENTIAL
def test_a_grade_beyond_float64_is_named_as_an_argument(form):
    assert given_to(form, [[0, 1000]], [[1000, 0]], 2)[0] == pytest.approx(1 / math.log2(3), rel=1e-14)
    with pytest.raises(ValueError, match=r"^gains must be grades up to 1000 for 2\^gain, got 1024"):
        given_to(form, [[1024]], [[1]], 1)
    with pytest.raises(ValueError, match=r"^judged must be grades up to 1000 for 2\^gain, got 5000"):
        given_to(form, [[1]], [[5000.0]], 1)


@EXPONENTIAL
@pytest.mark.parametrize("dtype", [np.uint8, np.int8, np.float16])
def test_the_power_is_taken_in_float64_whatever_came(form, dtype):
    # in 8 bits 2^9 - 1 wraps around, in 16 it overflows from 2^16 on
    got = given_to(form, np.array([[9, 20]], dtype), np.array([[20, 9]], dtype), 2)
    best, second = 2**20 - 1, 2**9 - 1
    want = (second + best / math.log2(3)) / (best + second / math.log2(3))
    assert got[0] == pytest.approx(want, rel=1e-13)
