"""Ranking metrics on thousands of random lists: equal to trec_eval, scikit-learn, ranx and torchmetrics where those
have our convention; where they do not, a test of its own shows the difference and says which is ours."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from recattn_mini.metrics import (
    average_precision,
    dcg,
    f1,
    gains_and_judged,
    hit_rate,
    ndcg,
    ndcg_tie_averaged,
    precision,
    r_precision,
    rank_of_target,
    recall,
    reciprocal_rank,
)

pytrec_eval = pytest.importorskip("pytrec_eval")
sklearn = pytest.importorskip("sklearn.metrics")

lists = st.integers(0, 8).flatmap(
    lambda n: st.tuples(
        st.permutations(range(12)).map(lambda order: order[:n]),
        st.dictionaries(st.integers(0, 15), st.integers(1, 4), max_size=9),
    )
)
OURS = {
    "ndcg_cut": ndcg.ndcg_numpy,
    "map_cut": average_precision.average_precision_numpy,
    "recall": recall.recall_numpy,
    "P": precision.precision_numpy,
    "success": hit_rate.hit_rate_numpy,
}


@given(st.lists(lists, min_size=1, max_size=5), st.integers(1, 10))
@settings(max_examples=400, deadline=None)
def test_trec_eval(users, k):
    ranked = {f"u{u}": [f"d{i}" for i in order] for u, (order, _) in enumerate(users)}
    truth = {f"u{u}": {f"d{i}": g for i, g in known.items()} for u, (_, known) in enumerate(users)}
    got, judged = gains_and_judged.gains_of_lists_numpy(ranked, truth)
    measures = {f"{name}.{k}" for name in OURS} | {"Rprec", "recip_rank"}
    run = {u: {item: 1 - r / 100 for r, item in enumerate(items)} for u, items in ranked.items()}
    theirs = pytrec_eval.RelevanceEvaluator({u: t for u, t in truth.items() if t}, measures).evaluate(
        {u: items for u, items in run.items() if items}
    )
    whole = max(8, got.shape[1])
    rows = {f"{name}_{k}": f(got, judged, k) for name, f in OURS.items()}
    rows["Rprec"] = r_precision.r_precision_numpy(got, judged)
    rows["recip_rank"] = reciprocal_rank.reciprocal_rank_numpy(got, judged, whole)  # theirs has no cutoff
    for row, user in enumerate(truth):
        for name, values in rows.items():
            if not truth[user]:
                assert np.isnan(values[row]), "nothing to find; trec_eval leaves such a user to the caller"
            else:  # a user without a list is missing there, and 0 here
                assert values[row] == pytest.approx(theirs.get(user, {}).get(name, 0.0), abs=1e-12), name


@st.composite
def matrices(draw):
    users, n = draw(st.integers(1, 4)), draw(st.integers(2, 9))
    scores = draw(st.lists(st.lists(st.integers(0, 4), min_size=n, max_size=n), min_size=users, max_size=users))
    grades = draw(st.lists(st.lists(st.integers(0, 3), min_size=n, max_size=n), min_size=users, max_size=users))
    return np.array(scores) / 4, np.array(grades)


@given(matrices(), st.integers(1, 9))
@settings(max_examples=400, deadline=None)
def test_scikit_learn_averages_over_ties(both, k):
    scores, grades = both
    got = ndcg_tie_averaged.ndcg_tie_averaged_numpy(scores, grades, k)
    in_torch = ndcg_tie_averaged.ndcg_tie_averaged(torch.from_numpy(scores), torch.from_numpy(grades), k)
    for row, (s, g) in enumerate(zip(scores, grades, strict=True)):
        if g.any():
            assert got[row] == pytest.approx(sklearn.ndcg_score([g], [s], k=k), abs=1e-12)
        else:
            assert np.isnan(got[row]), "scikit-learn says 0"
    np.testing.assert_allclose(in_torch, got, rtol=1e-12)


@given(matrices(), st.integers(1, 9))
@settings(max_examples=200, deadline=None)
def test_scikit_learn_without_ties(both, k):
    scores, grades = both
    scores = scores + np.arange(scores.shape[1]) / 1000
    order = np.argsort(-scores, axis=1)
    ranked = gains_and_judged.gains_of_items_numpy(order, grades)
    for name, transform in (("ndcg", lambda g: g), ("ndcg_exponential", lambda g: 2.0**g - 1)):
        got = getattr(ndcg, f"{name}_numpy")(ranked, grades, k)
        for row in np.flatnonzero(grades.any(axis=1)):
            want = sklearn.ndcg_score([transform(grades[row])], [scores[row]], k=k)
            assert got[row] == pytest.approx(want, abs=1e-12)
    want = [sklearn.dcg_score([g], [s], k=k) for g, s in zip(grades, scores, strict=True)]
    np.testing.assert_allclose(dcg.dcg_numpy(ranked, k), want, atol=1e-12)
    np.testing.assert_allclose(dcg.dcg(torch.from_numpy(ranked), k), want, atol=1e-12)


PAIRS = [
    (recall.recall_numpy, recall.recall),
    (precision.precision_numpy, precision.precision),
    (hit_rate.hit_rate_numpy, hit_rate.hit_rate),
    (f1.f1_numpy, f1.f1),
    (average_precision.average_precision_numpy, average_precision.average_precision),
    (average_precision.average_precision_capped_numpy, average_precision.average_precision_capped),
    (reciprocal_rank.reciprocal_rank_numpy, reciprocal_rank.reciprocal_rank),
    (ndcg.ndcg_numpy, ndcg.ndcg),
    (ndcg.ndcg_exponential_numpy, ndcg.ndcg_exponential),
]
CASES = {
    dtype: (
        (np.random.RandomState(0).randint(0, 3, (40, 7)) * (np.random.RandomState(1).rand(40, 7) < 0.4)).astype(dtype),
        (np.random.RandomState(2).randint(0, 3, (40, 11)) * (np.random.RandomState(3).rand(40, 11) < 0.3)).astype(
            dtype
        ),
    )
    for dtype in (np.bool_, np.int64, np.float32, np.float64)
}


@pytest.mark.parametrize(("numpy_form", "torch_form"), PAIRS, ids=lambda f: f.__name__)
@pytest.mark.parametrize("dtype", CASES, ids=lambda d: d.__name__)
@pytest.mark.parametrize("k", [1, 5, 20])
def test_both_forms_agree_whatever_the_dtype(numpy_form, torch_form, dtype, k):
    found, judged = CASES[dtype]
    ours, theirs = numpy_form(found, judged, k), torch_form(torch.from_numpy(found), torch.from_numpy(judged), k)
    assert ours.dtype == np.float64
    assert theirs.dtype == torch.float64
    np.testing.assert_allclose(ours, theirs, rtol=1e-12, atol=1e-15)
    np.testing.assert_array_equal(np.isnan(ours), ~(judged > 0).any(axis=1))


@given(matrices())
@settings(max_examples=200, deadline=None)
def test_the_rank_of_a_target_is_its_place_in_the_stable_order(both):
    scores, _ = both
    for target in range(scores.shape[1]):
        column = np.full(len(scores), target)
        place = (np.argsort(-scores, axis=1, kind="stable") == target).argmax(axis=1) + 1
        np.testing.assert_array_equal(rank_of_target.rank_of_target_numpy(scores, column), place)
        tensors = torch.from_numpy(scores), torch.from_numpy(column)
        np.testing.assert_array_equal(rank_of_target.rank_of_target(*tensors), place)
        last = (np.argsort(-scores[:, ::-1], axis=1, kind="stable") == scores.shape[1] - 1 - target).argmax(axis=1) + 1
        np.testing.assert_allclose(rank_of_target.expected_rank_numpy(scores, column), (place + last) / 2)
        np.testing.assert_allclose(rank_of_target.expected_rank(*tensors), (place + last) / 2)


def f1_of_scikit_learn(found, judged):
    recommended, relevant = np.r_[np.ones(len(found)), np.zeros(5)], np.r_[found, np.zeros(5)]
    relevant[len(found) : len(found) + int(judged - found.sum())] = 1
    return sklearn.f1_score(relevant, recommended)


@pytest.mark.parametrize(("found", "missed"), [([1, 0, 1], 2), ([1, 1, 1], 0), ([0, 0, 1], 4)])
def test_f1_is_scikit_learns(found, missed):
    found = np.array(found)
    judged = np.ones((1, found.sum() + missed), int)
    assert f1.f1_numpy(found[None], judged, 3)[0] == pytest.approx(f1_of_scikit_learn(found, judged.sum()))


def test_no_hit_has_an_f1_of_zero():
    assert f1.f1_numpy(np.zeros((1, 3)), np.ones((1, 2)), 3)[0] == 0


@pytest.fixture(scope="module")
def torchmetrics():
    return pytest.importorskip("torchmetrics.functional.retrieval")


FOUND, ALL = np.array([[1, 0, 1, 0, 0]]), np.array([[1, 1, 1, 1, 1]])
SCORES = torch.tensor([0.9, 0.8, 0.7, 0.6, 0.5])


def test_torchmetrics_divides_average_precision_by_the_hits_and_we_by_all_relevant(torchmetrics):
    theirs = torchmetrics.retrieval_average_precision(SCORES, torch.from_numpy(FOUND[0] > 0), top_k=3).item()
    assert theirs == pytest.approx((1 + 2 / 3) / 2)
    assert average_precision.average_precision_numpy(FOUND, ALL, 3)[0] == pytest.approx((1 + 2 / 3) / 5)
    assert average_precision.average_precision_capped_numpy(FOUND, ALL, 3)[0] == pytest.approx((1 + 2 / 3) / 3)


def test_torchmetrics_sees_only_its_candidates_and_we_see_all_that_is_judged(torchmetrics):
    theirs = torchmetrics.retrieval_normalized_dcg(SCORES, torch.from_numpy(FOUND[0]), top_k=3).item()
    ideal_of_two, ideal_of_three = 1 + 1 / np.log2(3), 1 + 1 / np.log2(3) + 0.5
    assert theirs == pytest.approx(1.5 / ideal_of_two, abs=1e-6)
    assert ndcg.ndcg_numpy(FOUND, ALL, 3)[0] == pytest.approx(1.5 / ideal_of_three)


def test_torchmetrics_takes_a_score_of_zero_or_less_for_not_retrieved_and_we_rank_it(torchmetrics):
    hit = torch.tensor([True, False, True, False, False])
    assert torchmetrics.retrieval_recall(SCORES - 1, hit, top_k=3).item() == 0
    assert torchmetrics.retrieval_recall(SCORES, hit, top_k=3).item() == 1
    assert recall.recall_numpy(FOUND, FOUND, 3)[0] == 1  # places, however they were scored


def test_scikit_learn_counts_a_user_without_relevant_items_as_zero_and_we_leave_it_out():
    assert sklearn.ndcg_score([[0, 0]], [[0.2, 0.1]]) == 0
    assert np.isnan(ndcg.ndcg_numpy(np.zeros((1, 2)), np.zeros((1, 2)), 2)[0])


def test_trec_eval_breaks_ties_by_the_name_of_the_item_and_we_by_its_place():
    qrels, run = {"u": {"d0": 1}}, {"u": {f"d{i}": 1.0 for i in range(4)}}
    assert pytrec_eval.RelevanceEvaluator(qrels, {"P.1"}).evaluate(run)["u"]["P_1"] == 0
    assert gains_and_judged.gains_of_lists_numpy({"u": list(run["u"])}, qrels)[0][0, 0] == 1


@pytest.mark.filterwarnings("ignore")
def test_ranx_agrees():
    ranx = pytest.importorskip("ranx")
    random = np.random.RandomState(0)  # ranx takes users in the order of their names
    truth = {f"u{u:02}": {f"d{i}": int(random.randint(1, 4)) for i in random.permutation(40)[:6]} for u in range(50)}
    ranked = {f"u{u:02}": [f"d{i}" for i in random.permutation(40)[:20]] for u in range(50)}
    run = {u: {item: 1 - r / 100 for r, item in enumerate(items)} for u, items in ranked.items()}
    got, judged = gains_and_judged.gains_of_lists_numpy(ranked, truth)
    ours = {
        "ndcg@10": ndcg.ndcg_numpy,
        "ndcg_burges@10": ndcg.ndcg_exponential_numpy,
        "map@10": average_precision.average_precision_numpy,
        "recall@10": recall.recall_numpy,
        "precision@10": precision.precision_numpy,
        "f1@10": f1.f1_numpy,
        "mrr@10": reciprocal_rank.reciprocal_rank_numpy,
        "hit_rate@10": hit_rate.hit_rate_numpy,
    }
    theirs = ranx.evaluate(ranx.Qrels(truth), ranx.Run(run), list(ours), return_mean=False)
    for name, f in ours.items():
        np.testing.assert_allclose(f(got, judged, 10), theirs[name], atol=1e-12)
