"""Metrics of hits, user by user in exact fractions, in both forms; where torchmetrics means something else, by name."""

import importlib
from fractions import Fraction

import numpy as np
import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st

from recattn_mini.metrics.average_precision import average_precision_capped_numpy, average_precision_numpy
from recattn_mini.metrics.hit_rate import hit_rate_numpy
from recattn_mini.metrics.precision import precision_numpy
from recattn_mini.metrics.r_precision import r_precision, r_precision_numpy
from recattn_mini.metrics.recall import recall_numpy
from recattn_mini.metrics.reciprocal_rank import reciprocal_rank_numpy

MODULE = {"average_precision_capped": "average_precision"}
NAMES = [
    *("precision", "recall", "hit_rate", "f1", "average_precision", "average_precision_capped"),
    *("reciprocal_rank", "r_precision"),
]
BOTH = pytest.mark.parametrize("form", [r_precision, r_precision_numpy], ids=["torch", "numpy"])
GRADES = [0, 0, 0.25, 1, 3]  # a gain below 1 is relevant


def by_hand(name, gains, judged, k):
    """One user's value; NaN where there is nothing to find."""
    relevant = sum(g > 0 for g in judged)
    if not relevant:
        return float("nan")
    if name == "r_precision":
        return float(Fraction(sum(g > 0 for g in gains[:relevant]), relevant))
    places = [r for r, g in enumerate(gains[:k], 1) if g > 0]
    hits, precisions = len(places), sum(Fraction(nth, r) for nth, r in enumerate(places, 1))
    return float(
        {
            "precision": Fraction(hits, k),
            "recall": Fraction(hits, relevant),
            "hit_rate": Fraction(min(hits, 1)),
            "f1": 2 / (1 / Fraction(hits, k) + 1 / Fraction(hits, relevant)) if hits else 0,
            "average_precision": Fraction(precisions, relevant),
            "average_precision_capped": Fraction(precisions, min(k, relevant)),
            "reciprocal_rank": Fraction(1, places[0]) if places else 0,
        }[name]
    )


@st.composite
def rankings(draw):
    """Gains of lists, and with those what was missed, shuffled: no hit, nothing to find, R above and below k."""
    users, length, missed = draw(st.integers(1, 4)), draw(st.integers(1, 7)), draw(st.integers(0, 4))
    rows = [
        (
            draw(st.lists(st.sampled_from(GRADES), min_size=length, max_size=length)),
            draw(st.lists(st.sampled_from(GRADES), min_size=missed, max_size=missed)),
        )
        for _ in range(users)
    ]
    return np.array([found for found, _ in rows]), np.array([draw(st.permutations(f + m)) for f, m in rows])


@pytest.mark.parametrize("name", NAMES)
@given(ranking=rankings(), k=st.integers(1, 12))
@example(ranking=(np.array([[1, 0, 1], [0, 0, 1], [0, 0, 0]]), np.array([[1, 1, 1], [0, 0, 1], [0, 0, 0]])), k=2)
@settings(max_examples=60, deadline=None)
def test_the_definition_in_fractions(name, ranking, k):
    gains, judged = ranking
    module = importlib.import_module(f"recattn_mini.metrics.{MODULE.get(name, name)}")
    cutoff = () if name == "r_precision" else (k,)
    want = [by_hand(name, *user, k) for user in zip(gains.tolist(), judged.tolist(), strict=True)]
    got = getattr(module, f"{name}_numpy")(gains, judged, *cutoff)
    in_torch = getattr(module, name)(torch.from_numpy(gains), torch.from_numpy(judged), *cutoff)
    np.testing.assert_allclose(got, want, rtol=1e-14)
    np.testing.assert_allclose(in_torch, want, rtol=1e-14)
    assert (got.dtype, in_torch.dtype) == (np.float64, torch.float64)


@BOTH
@pytest.mark.parametrize("dtype", [torch.bool, torch.uint8, torch.int64, torch.float16, torch.float32])
def test_r_precision_under_the_contract(form, dtype):
    gains = torch.tensor([[1, 0, 1, 0], [0, 0, 0, 0], [0, 1, 1, 1], [1, 1, 0, 0]]).to(dtype)
    judged = torch.tensor([[0, 1, 1, 0, 0, 0], [0] * 6, [1, 0, 1, 0, 1, 0], [1] * 6]).to(dtype)
    if form is r_precision_numpy:
        gains, judged = gains.numpy(), judged.numpy()
    got = form(gains, judged)
    assert got.dtype in (np.float64, torch.float64)
    # one of the first 2; nothing to find; two of the first 3; six relevant, and the list ended after four
    np.testing.assert_allclose(got, [1 / 2, np.nan, 2 / 3, 2 / 6])


@BOTH
@pytest.mark.parametrize(
    ("gains", "judged", "told"),
    [
        ([[float("nan")]], [[1.0]], "gains must be finite and not negative, got nan"),
        ([[1.0]], [[-1.0]], "judged must be finite and not negative, got -1"),
        ([[1.0]], [[1.0], [1.0]], "judged must be"),
        ([[]], [[1.0]], "gains has an empty axis"),
    ],
)
def test_r_precision_names_bad_input(form, gains, judged, told):
    made = np.array if form is r_precision_numpy else torch.tensor
    with pytest.raises(ValueError, match=told):
        form(made(gains), made(judged))


TM = "torchmetrics.functional.retrieval"
THEIRS = {
    "retrieval_hit_rate": hit_rate_numpy,
    "retrieval_precision": precision_numpy,
    "retrieval_recall": recall_numpy,
    "retrieval_reciprocal_rank": reciprocal_rank_numpy,
}


@pytest.mark.parametrize("name", THEIRS)
def test_torchmetrics_agrees_where_scores_are_positive_and_distinct_and_all_relevant_are_candidates(name):
    theirs = getattr(pytest.importorskip(TM), name)
    random = np.random.RandomState(0)
    scores, relevant = random.permutation(9) + 1.0, random.rand(40, 9) < 0.3
    relevant = relevant[relevant.any(axis=1)]
    ranked, ours = relevant[:, np.argsort(-scores)], THEIRS[name]
    for k in (1, 4, 9):
        want = [theirs(torch.from_numpy(scores), torch.from_numpy(row), top_k=k).item() for row in relevant]
        np.testing.assert_allclose(ours(ranked, relevant, k), want, rtol=1e-6)  # theirs are float32


def test_torchmetrics_r_precision_agrees():
    theirs = pytest.importorskip(TM).retrieval_r_precision
    relevant = np.array([[1, 0, 1, 1, 0], [0, 0, 1, 0, 0], [1, 1, 0, 0, 0]]) > 0
    want = [theirs(torch.arange(5, 0, -1.0), torch.from_numpy(row)).item() for row in relevant]
    np.testing.assert_allclose(r_precision_numpy(relevant, relevant), want, rtol=1e-6)


def test_torchmetrics_divides_by_hits_so_a_miss_outside_the_list_costs_nothing_and_here_it_costs_its_share():
    theirs = pytest.importorskip(TM).retrieval_average_precision
    relevant = np.array([[1, 0, 0, 1]])
    assert theirs(torch.tensor([0.9, 0.8, 0.7, 0.6]), torch.tensor([True, False, False, True]), top_k=2) == 1
    assert average_precision_numpy(relevant, relevant, 2)[0] == 1 / 2
    assert average_precision_capped_numpy(relevant, relevant, 2)[0] == 1 / 2
    assert average_precision_numpy(relevant, relevant, 4)[0] == (1 + 2 / 4) / 2  # with both found there is one answer
