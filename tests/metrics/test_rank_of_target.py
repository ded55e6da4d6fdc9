"""The rank of a target is SciPy's, and every leave-one-out metric is the function of it that the module names."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from recattn_mini.metrics.average_precision import average_precision_numpy
from recattn_mini.metrics.gains_and_judged import gains_of_items_numpy
from recattn_mini.metrics.hit_rate import hit_rate_numpy
from recattn_mini.metrics.ndcg import ndcg_numpy
from recattn_mini.metrics.rank_of_target import (
    expected_rank,
    expected_rank_numpy,
    rank_of_target,
    rank_of_target_numpy,
)
from recattn_mini.metrics.reciprocal_rank import reciprocal_rank_numpy
from recattn_mini.metrics.top_k import top_k_numpy

stats = pytest.importorskip("scipy.stats")
FORMS = [rank_of_target_numpy, rank_of_target, expected_rank_numpy, expected_rank]
FORM = pytest.mark.parametrize("form", FORMS, ids=lambda f: f.__name__)


def given_to(form, scores, target):
    if form.__name__.endswith("_numpy"):
        return form(scores, target)
    return form(torch.from_numpy(scores), torch.from_numpy(target)).numpy()


@st.composite
def leave_one_out(draw):
    """Scores with many ties and masked items, and a target that is not masked."""
    users, n = draw(st.integers(1, 4)), draw(st.integers(1, 9))
    target = np.array(draw(st.lists(st.integers(0, n - 1), min_size=users, max_size=users)))
    value = st.sampled_from([-np.inf, -2.0, -0.0, 0.0, 0.5, 3.0, np.inf])
    rows = draw(st.lists(st.lists(value, min_size=n, max_size=n), min_size=users, max_size=users))
    scores = np.array(rows)
    at = np.arange(users), target
    scores[at] = np.where(scores[at] == -np.inf, 0.5, scores[at])
    return scores, target


@FORM
@given(case=leave_one_out())
@settings(max_examples=80, deadline=None)
def test_it_is_scipys_rank(form, case):
    scores, target = case
    method = "average" if "expected" in form.__name__ else "ordinal"  # ordinal: in the order in which they stand
    want = stats.rankdata(-scores, method=method, axis=1)[np.arange(len(target)), target]
    got = given_to(form, scores, target)
    np.testing.assert_array_equal(got, want)
    assert got.dtype == (np.float64 if method == "average" else np.int64)


@given(case=leave_one_out(), k=st.integers(1, 11))
@settings(max_examples=80, deadline=None)
def test_every_leave_one_out_metric_is_a_function_of_it(case, k):
    scores, target = case
    rank = rank_of_target_numpy(scores, target)
    relevance = np.eye(scores.shape[1])[target]
    gains = gains_of_items_numpy(top_k_numpy(scores, k), relevance)
    found = rank <= k
    np.testing.assert_array_equal(hit_rate_numpy(gains, relevance, k), found)
    np.testing.assert_array_equal(reciprocal_rank_numpy(gains, relevance, k), found / rank)
    np.testing.assert_array_equal(average_precision_numpy(gains, relevance, k), found / rank)
    np.testing.assert_allclose(ndcg_numpy(gains, relevance, k), found / np.log2(rank + 1), rtol=1e-15)


@FORM
def test_a_constant_model_is_not_first(form):
    """Counting only what scored higher would say so, whichever the target is."""
    target = np.arange(5)
    ranks = given_to(form, np.zeros((5, 5)), target)
    np.testing.assert_array_equal(ranks, 3 if "expected" in form.__name__ else target + 1)


@FORM
@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
@pytest.mark.parametrize("index", [np.uint8, np.int32, np.int64])
def test_any_width_of_numbers(form, dtype, index):
    scores = np.array([[0.25, 0.75, 0.5], [3, 2, 1]], dtype)
    np.testing.assert_array_equal(given_to(form, scores, np.array([2, 0], index)), [2, 1])


@FORM
@pytest.mark.parametrize("further", [np.exp, np.cbrt, lambda s: 8 * s - 100])
def test_only_the_order_of_scores_counts(form, further):
    scores = np.random.RandomState(0).randint(-3, 4, (50, 12)) / 2
    target = np.random.RandomState(1).randint(0, 12, 50)
    np.testing.assert_array_equal(given_to(form, scores, target), given_to(form, further(scores), target))


@pytest.mark.parametrize("form", FORMS[2:], ids=lambda f: f.__name__)
def test_the_expected_rank_does_not_see_the_order_of_items(form):
    scores, target, items = np.random.RandomState(0).randint(0, 3, (9, 12)) / 2, np.arange(9), np.arange(12)[::-1]
    np.testing.assert_array_equal(
        given_to(form, scores, target), given_to(form, scores[:, items].copy(), np.argsort(items)[target])
    )


@FORM
@pytest.mark.parametrize(
    ("scores", "target", "told"),
    [
        ([[0.1, 0.2], [0.1, 0.2]], [1, 2], "target must be an item below 2, got 2 for user 1"),
        ([[0.1, 0.2], [0.1, 0.2]], [-1, 0], "target must be an item below 2, got -1 for user 0"),
        ([[0.1, 0.2], [-np.inf, 0.2]], [1, 0], "target must be a candidate, not masked by .* got 0 for user 1"),
        ([[0.1, np.nan]], [0], "scores must be without NaN, got nan at"),
        ([[0.1, 0.2]], [0.0], "target must be int, got .*float64"),
        ([[0.1, 0.2]], [0, 1], "target must be"),
        ([[1, 2]], [0], "scores must be floating, got .*int64"),
    ],
)
def test_bad_input_is_named(form, scores, target, told):
    with pytest.raises(ValueError, match=told):
        given_to(form, np.array(scores), np.array(target))


@FORM
def test_empty_input_is_an_error(form):
    with pytest.raises(ValueError, match="scores has an empty axis"):
        given_to(form, np.zeros((0, 3)), np.zeros(0, int))
