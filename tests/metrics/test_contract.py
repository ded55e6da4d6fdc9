"""The contract of `metrics/__init__.py`, row by row, for every ranking metric and in both forms."""

import importlib

import numpy as np
import pytest
import torch

from recattn_mini.metrics.gains_and_judged import gains_of_items, gains_of_items_numpy, gains_of_lists_numpy
from recattn_mini.metrics.mean_over_users import Mean, mean_over_users, mean_over_users_numpy
from recattn_mini.metrics.top_k import top_k_numpy

NAMES = [
    "precision",
    "recall",
    "hit_rate",
    "f1",
    "average_precision",
    "average_precision_capped",
    "reciprocal_rank",
    "ndcg",
    "ndcg_exponential",
]
MODULE = {"average_precision_capped": "average_precision", "ndcg_exponential": "ndcg"}


@pytest.fixture(params=[f"{name}{form}" for name in NAMES for form in ("", "_numpy")])
def metric(request):
    name = request.param.removesuffix("_numpy")
    module = importlib.import_module(f"recattn_mini.metrics.{MODULE.get(name, name)}")
    form = getattr(module, request.param)

    def call(gains, judged, k):
        if request.param.endswith("_numpy"):
            return form(np.asarray(gains), np.asarray(judged), k)
        return form(torch.tensor(np.asarray(gains)), torch.tensor(np.asarray(judged)), k).numpy()

    call.name = name
    return call


def test_a_short_list_is_a_list_of_misses(metric):
    np.testing.assert_array_equal(metric([[1, 1]], [[1, 1, 1]], 5), metric([[1, 1, 0, 0, 0]], [[1, 1, 1]], 5))


def test_k_beyond_the_catalogue_is_no_error(metric):
    assert np.isfinite(metric([[0, 1]], [[1, 0]], 1000)).all()


def test_nothing_relevant_is_nan_and_counted(metric):
    values = metric([[0, 0], [1, 0]], [[0, 0], [1, 0]], 2)
    assert np.isnan(values[0])
    assert not np.isnan(values[1])
    mean = mean_over_users_numpy(values)
    assert (mean.users, mean.excluded) == (1, 1)
    assert mean.value == values[1]


def test_no_list_at_all_has_missed_everything(metric):
    gains, judged = gains_of_lists_numpy({"ann": ["x"]}, {"ann": {"x"}, "bob": {"y"}})
    assert metric(gains, judged, 3)[1] == 0


def test_padding_the_truth_and_its_order_change_nothing(metric):
    gains = [[2, 0, 1, 0]]
    np.testing.assert_allclose(metric(gains, [[1, 2, 3]], 3), metric(gains, [[0, 3, 0, 2, 1, 0]], 3), rtol=1e-15)


def test_users_are_each_for_themselves(metric):
    random = np.random.RandomState(0)
    gains = random.randint(0, 2, (9, 5))
    judged = np.hstack([gains, random.randint(0, 2, (9, 3))])
    order = random.permutation(9)
    np.testing.assert_array_equal(metric(gains, judged, 3)[order], metric(gains[order], judged[order], 3))


def test_it_is_between_0_and_1(metric):
    random = np.random.RandomState(1)
    gains = random.randint(0, 4, (500, 6)) * (random.rand(500, 6) < 0.5)
    judged = np.hstack([gains, random.randint(0, 2, (500, 4))])
    values = metric(gains, judged, 4)
    values = values[~np.isnan(values)]
    assert values.min() >= 0
    assert values.max() <= 1 + 1e-15


def test_a_better_place_is_never_worse(metric):
    for r in range(1, 6):
        here, there = np.zeros((1, 6)), np.zeros((1, 6))
        here[0, r], there[0, r - 1] = 1, 1
        assert metric(there, [[1]], 4)[0] >= metric(here, [[1]], 4)[0]


def test_only_the_order_of_scores_counts(metric):
    random = np.random.RandomState(2)
    scores, relevance = random.randn(8, 20), random.randint(0, 2, (8, 20))

    def of(scores):
        return metric(gains_of_items_numpy(top_k_numpy(scores, 5), relevance), relevance, 5)

    for other in (np.exp(scores), scores - 100, scores**3):
        np.testing.assert_array_equal(of(scores), of(other))


@pytest.mark.parametrize(
    ("gains", "judged", "k", "told"),
    [
        ([[1.0, np.nan]], [[1.0]], 1, "gains must be finite and not negative, got nan"),
        ([[1.0]], [[-1.0]], 1, "judged must be finite and not negative, got -1"),
        ([[1.0]], [[1.0]], 0, "k must be a whole number from 1, got 0"),
        ([[1.0]], [[1.0], [1.0]], 1, "judged must be"),
        (np.zeros((0, 3)), np.zeros((0, 3)), 1, "gains has an empty axis"),
    ],
)
def test_bad_input_is_named(metric, gains, judged, k, told):
    with pytest.raises(ValueError, match=told):
        metric(gains, judged, k)


def test_recall_of_one_item_fixes_precision():
    from recattn_mini.metrics.precision import precision_numpy
    from recattn_mini.metrics.recall import recall_numpy

    for k in (1, 2, 7):
        found, judged = np.eye(7)[:k], np.ones((k, 1))
        np.testing.assert_array_equal(recall_numpy(found, judged, k), 1)
        np.testing.assert_allclose(precision_numpy(found, judged, k), 1 / k)


def test_an_item_twice_is_an_error_that_names_the_user_and_the_item():
    with pytest.raises(ValueError, match=r"lists\['bob'\] has 'y' twice, expected each item once"):
        gains_of_lists_numpy({"ann": ["x"], "bob": ["x", "y", "y"]}, {"ann": {"x"}})


def test_users_of_either_side_are_kept_in_order():
    gains, judged = gains_of_lists_numpy({1: "ab", 3: "b"}, {2: {"a": 2.0}, 1: {"b"}})
    assert gains.tolist() == [[0, 0], [0, 1], [0, 0]]  # 2 has no list, then 1, then 3, of whom no truth is known
    assert judged.tolist() == [[2], [1], [0]]


def test_empty_input_is_an_error():
    with pytest.raises(ValueError, match="lists and truth are empty"):
        gains_of_lists_numpy({}, {})
    with pytest.raises(ValueError, match="values must hold a number, got 2 NaN"):
        mean_over_users_numpy(np.full(2, np.nan))


@pytest.mark.parametrize("gain", [-1.0, np.nan, np.inf])
def test_a_gain_that_is_none_is_named(gain):
    with pytest.raises(ValueError, match=r"truth\['ann'\] must be finite and not negative"):
        gains_of_lists_numpy({}, {"ann": {"x": gain}})


def test_a_masked_item_is_not_found_and_still_missed():
    scores, relevance = np.array([[0.9, -np.inf, 0.5]]), np.array([[0, 1, 1]])
    items = top_k_numpy(scores, 3)
    assert items.tolist() == [[0, 2, -1]]
    for got in (
        gains_of_items_numpy(items, relevance),
        gains_of_items(torch.from_numpy(items), torch.from_numpy(relevance)).numpy(),
    ):
        assert got.tolist() == [[0, 1, 0]]
        assert got.dtype == relevance.dtype


def test_the_sum_over_users_is_exact():
    values = np.array([1e16, 1.0, -1e16, np.nan, 1.0])
    assert mean_over_users_numpy(values) == Mean(0.5, 4, 1)
    for order in (values[::-1], values[[1, 4, 0, 3, 2]]):
        assert mean_over_users_numpy(order.copy()) == Mean(0.5, 4, 1)
        assert mean_over_users(torch.from_numpy(order.copy())) == Mean(0.5, 4, 1)


@pytest.mark.parametrize(
    ("row", "told"), [([0, 0, 2], r"items\[0\] has 0 twice"), ([0, 1, 3], "items must be from 0 to n - 1 = 2")]
)
def test_items_twice_or_outside_the_catalogue_are_an_error(row, told):
    items, relevance = np.array([row]), np.array([[1, 0, 1]])
    with pytest.raises(ValueError, match=told):
        gains_of_items_numpy(items, relevance)
    with pytest.raises(ValueError, match=told):
        gains_of_items(torch.from_numpy(items), torch.from_numpy(relevance))
