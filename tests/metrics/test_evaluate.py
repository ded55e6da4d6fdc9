"""evaluate: held to trec_eval and to lists written out; in blocks, without a figure that has no protocol."""

import tracemalloc

import numpy as np
import pytest
import torch

from recattn_mini.metrics.evaluate import METRICS, evaluate, evaluate_lists
from recattn_mini.metrics.ground_truth import GroundTruth
from recattn_mini.metrics.protocol import Protocol
from recattn_mini.metrics.recall import recall_numpy

FILTERED = Protocol(split="made up", candidates="full", seen="filtered")
UNFILTERED = Protocol(split="made up", candidates="full", seen="not filtered")


@pytest.fixture
def world():
    random = np.random.RandomState(0)
    scores = random.rand(70, 40).astype(np.float32)
    truth = [
        dict(zip(random.permutation(40)[: u % 6].tolist(), random.randint(1, 4, 6), strict=False)) for u in range(70)
    ]
    seen = [random.permutation([i for i in range(40) if i not in truth[u]])[: u % 4] for u in range(70)]
    return scores, truth, seen


def test_it_is_trec_eval(world):
    pytrec_eval = pytest.importorskip("pytrec_eval")
    scores, truth, seen = world
    qrels = {f"u{u}": {f"i{i}": int(g) for i, g in row.items()} for u, row in enumerate(truth) if row}
    run = {
        f"u{u}": {f"i{i}": float(scores[u, i]) for i in range(40) if i not in seen[u]} for u in range(70) if truth[u]
    }
    theirs = pytrec_eval.RelevanceEvaluator(qrels, {"ndcg_cut.5", "map_cut.5", "recall.5", "P.5", "success.5"})
    rows = theirs.evaluate(run).values()
    found = evaluate(scores, GroundTruth.of(truth, 40), 5, FILTERED, seen=seen)
    for ours, name in {
        "ndcg": "ndcg_cut_5",
        "average_precision": "map_cut_5",
        "recall": "recall_5",
        "precision": "P_5",
        "hit_rate": "success_5",
    }.items():
        mean, users, excluded = found.figures[ours]
        assert mean == pytest.approx(np.mean([row[name] for row in rows]), abs=1e-12)
        assert (users, excluded) == (len(qrels), 70 - len(qrels))
    lists = np.argsort(-np.where(masked(seen), -np.inf, scores), axis=1)[:, :5]
    assert found.coverage == len(np.unique(lists)) / 40


def masked(seen):
    mask = np.zeros((70, 40), bool)
    for user, items in enumerate(seen):
        mask[user, items] = True
    return mask


@pytest.mark.parametrize("block", [1, 7, 70, 512])
def test_blocks_change_no_bit(world, block):
    scores, truth, seen = world
    relevant = GroundTruth.of(truth, 40)
    want = evaluate(scores, relevant, 5, FILTERED, seen=seen)
    for given in (scores, lambda users: scores[users]):
        got = evaluate(given, relevant, 5, FILTERED, seen=seen, block=block)
        assert got.figures == want.figures
        assert got.coverage == want.coverage


def test_the_scores_are_left_alone(world):
    scores, truth, seen = world
    before = scores.copy()
    evaluate(scores, GroundTruth.of(truth, 40), 5, FILTERED, seen=seen)
    np.testing.assert_array_equal(scores, before)


def test_memory_is_one_block_whatever_the_number_of_users():
    n, block = 5000, 128

    def score(users):
        return np.random.RandomState(users[0]).rand(len(users), n).astype(np.float32)

    peaks = []
    for users in (1024, 4096):
        relevant = GroundTruth.of([[u % n] for u in range(users)], n)
        tracemalloc.start()
        evaluate(score, relevant, 10, FILTERED, seen=[np.array([1])] * users, block=block)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    one = block * n * 8  # rand gives float64 first
    assert peaks[1] < 4 * one
    assert peaks[1] < peaks[0] + 4096 * 2000


def test_a_user_with_many_relevant_items_widens_nobody_else():
    n, users = 2000, 20_000
    relevant = GroundTruth.of([range(1500), *([u % n] for u in range(1, users))], n)
    tracemalloc.start()
    evaluate(lambda of: np.zeros((len(of), n), np.float32), relevant, 10, UNFILTERED)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < users * 1500 * 8 / 4  # what truth takes as a matrix, and metrics sort copies of it


def test_parts_are_all_users_once(monkeypatch):
    monkeypatch.setattr("recattn_mini.metrics.ground_truth.AT_ONCE", 6)
    relevant = GroundTruth.of([[0, 1, 2], [], [1], [0], [2]], 3)
    assert [part.tolist() for part in relevant.parts()] == [[0, 1], [2, 3], [4]]
    found = evaluate(np.array([[3.0, 2.0, 1.0]] * 5), relevant, 2, UNFILTERED, metrics=[recall_numpy])
    np.testing.assert_array_equal(found.per_user["recall"], [2 / 3, np.nan, 1, 1, 0])


def test_lists_are_judged_in_the_same_way(world):
    scores, truth, seen = world
    order = np.argsort(-np.where(masked(seen), -np.inf, scores), axis=1)[:, :9]
    lists = {u: order[u].tolist() for u in range(70)}
    got = evaluate_lists(lists, dict(enumerate(truth)), 5, FILTERED)
    want = evaluate(scores, GroundTruth.of(truth, 40), 5, FILTERED, seen=seen)
    for name, mean in got.figures.items():
        assert mean.value == pytest.approx(want.figures[name].value, abs=1e-12)
    assert got.coverage is None


def test_it_prints_its_protocol(world):
    scores, truth, _ = world
    told = str(evaluate(scores, GroundTruth.of(truth, 40), 5, UNFILTERED))
    for text in ("made up", "full", "not filtered", "stable, by item order", "58, and 12 without", "ndcg@5"):
        assert text in told
    assert len(told.splitlines()) == 5 + len(METRICS) + 1


@pytest.mark.parametrize("part", ["split", "candidates", "seen"])
def test_a_protocol_has_every_part(part):
    with pytest.raises(ValueError, match=f"protocol must say its {part}, got ' '"):
        Protocol(**{"split": "x", "candidates": "x", "seen": "filtered", part: " "})


def test_no_figure_without_an_honest_protocol(world):
    scores, truth, seen = world
    relevant = GroundTruth.of(truth, 40)
    with pytest.raises(ValueError, match="protocol must be a Protocol"):
        evaluate(scores, relevant, 5, "leave one out")
    with pytest.raises(ValueError, match="protocol must be a Protocol: split, candidates, seen; got None"):
        evaluate(scores, relevant, 5)
    with pytest.raises(ValueError, match="protocol must be a Protocol"):
        evaluate_lists({}, {1: [2]}, 5, None)
    with pytest.raises(ValueError, match="seen items are filtered, but seen is NoneType"):
        evaluate(scores, relevant, 5, FILTERED)
    with pytest.raises(ValueError, match="seen items are not filtered, but seen is list"):
        evaluate(scores, relevant, 5, UNFILTERED, seen=seen)
    with pytest.raises(ValueError, match="'filtered' or 'not filtered', got 'perhaps'"):
        Protocol("x", "full", "perhaps")


def test_sizes_have_to_fit(world):
    scores, truth, seen = world
    relevant = GroundTruth.of(truth, 40)
    with pytest.raises(ValueError, match=r"scores must be \(u n\) = \(70, 40\) as in truth, got \(70, 39\)"):
        evaluate(scores[:, 1:], relevant, 5, UNFILTERED)
    with pytest.raises(ValueError, match=r"scores must give \(b n\) = \(70, 40\), got \(70, 39\)"):
        evaluate(lambda users: scores[users, 1:], relevant, 5, UNFILTERED)
    with pytest.raises(ValueError, match="a row for each of the 70 users of truth, got 3"):
        evaluate(scores, relevant, 5, FILTERED, seen=seen[:3])


@pytest.mark.parametrize("callable_scores", [False, True])
def test_nan_is_told_by_its_user_and_item(world, callable_scores):
    """User 39 is row 7 of the second block of 32, and nobody but `evaluate` knows of blocks."""
    scores, truth, seen = world
    scores[39, 11] = scores[41, 2] = np.nan
    seen = [row[row != 11] for row in seen]
    given = (lambda users: scores[users]) if callable_scores else scores
    for protocol, masked_items in ((UNFILTERED, None), (FILTERED, seen)):
        with pytest.raises(ValueError, match=r"scores must be without NaN, got nan for user 39, item 11$"):
            evaluate(given, GroundTruth.of(truth, 40), 5, protocol, seen=masked_items, block=32)


def test_what_was_seen_may_score_nan(world):
    scores, truth, seen = world
    want = evaluate(scores, GroundTruth.of(truth, 40), 5, FILTERED, seen=seen)
    scores = np.where(masked(seen), np.nan, scores)
    assert evaluate(scores, GroundTruth.of(truth, 40), 5, FILTERED, seen=seen, block=32).figures == want.figures


def test_a_catalogue_of_nothing_is_another_error():
    with pytest.raises(ValueError, match=r"scores has an empty axis, got \(2, 0\)"):
        evaluate(np.zeros((2, 0)), GroundTruth.of([[], []], 0), 1, UNFILTERED)


@pytest.mark.parametrize("items", [[-1], [40], [1.0], [[1]], np.zeros(40, bool)])
def test_seen_items_are_items(world, items):
    """A -1 that pads a row would mask the last item of the catalogue."""
    scores, truth, seen = world
    with pytest.raises(ValueError, match=r"seen\[9\] must be items from 0 to 39, got"):
        evaluate(scores, GroundTruth.of(truth, 40), 5, FILTERED, seen=[*seen[:9], items, *seen[10:]])


def test_an_empty_row_of_seen_items_has_no_dtype(world):
    scores, truth, _ = world
    relevant = GroundTruth.of(truth, 40)
    got = evaluate(scores, relevant, 5, FILTERED, seen=[np.array([])] * 70)
    assert got.figures == evaluate(scores, relevant, 5, UNFILTERED).figures


def test_what_evaluate_does_not_take(world):
    scores, truth, seen = world
    relevant = GroundTruth.of(truth, 40)
    with pytest.raises(ValueError, match=r"scores must be a floating numpy\.ndarray, got list"):
        evaluate(scores.tolist(), relevant, 5, UNFILTERED)
    with pytest.raises(ValueError, match=r"scores must be a floating numpy\.ndarray, got int64"):
        evaluate(scores.astype(np.int64), relevant, 5, FILTERED, seen=seen)
    with pytest.raises(ValueError, match=r"scores must be a floating numpy\.ndarray, got torch\.float32"):
        evaluate(lambda users: torch.from_numpy(scores[users]), relevant, 5, FILTERED, seen=seen)
    with pytest.raises(ValueError, match="block must be a whole number from 1, got 0"):
        evaluate(scores, relevant, 5, UNFILTERED, block=0)
    for metrics in ([], [recall_numpy, recall_numpy]):
        with pytest.raises(ValueError, match="metrics must be at least one, each with a name of its own"):
            evaluate(scores, relevant, 5, UNFILTERED, metrics=metrics)
    with pytest.raises(ValueError, match="n - 1 = 39, or -1 for none, got 40 to 40"):
        relevant.gains_of(np.array([0]), np.array([[40]]))
    with pytest.raises(ValueError, match="users is empty"):
        GroundTruth.of([], 5)


@pytest.mark.parametrize(
    ("users", "told"),
    [
        ([[1], [2, 2]], r"users\[1\] must be items each once, got \[2, 2\]"),
        ([[5]], r"users\[0\] must be items from 0 to 4, got \[5\]"),
        ([[1.7]], r"users\[0\] must be items from 0 to 4, got \[1.7\]"),
        ([{1: -1.0}], "finite and not negative, got -1.0"),
    ],
)
def test_truth_that_is_none(users, told):
    with pytest.raises(ValueError, match=told):
        GroundTruth.of(users, 5)


def test_nobody_has_anything_to_find():
    with pytest.raises(ValueError, match="no user has anything to measure"):
        evaluate(np.zeros((2, 3)), GroundTruth.of([[], []], 3), 1, UNFILTERED, metrics=[recall_numpy])
