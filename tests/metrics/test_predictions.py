"""Metrics of predictions: held to scikit-learn, torchmetrics, SciPy and numbers worked by hand."""

import tracemalloc
from fractions import Fraction

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from recattn_mini.metrics import (
    accuracy,
    auc,
    click_through_rate,
    expected_calibration_error,
    gauc,
    log_loss,
    normalised_entropy,
    recalibrate,
)

sklearn = pytest.importorskip("sklearn.metrics")

AUC = [pytest.param(lambda s, y: auc.auc_numpy(s, y), id="numpy")]
AUC += [pytest.param(lambda s, y: auc.auc(torch.from_numpy(s), torch.from_numpy(y)), id="torch")]
GAUC = [pytest.param(gauc.gauc_numpy, id="numpy")]
GAUC += [pytest.param(lambda *x: gauc.gauc(*map(torch.from_numpy, x)), id="torch")]


def pairs_won(scores, labels):
    """The definition: every pair of a positive and a negative, in fractions."""
    won = [
        Fraction(int(p > n) * 2 + int(p == n), 2)
        for p, y in zip(scores, labels, strict=True)
        if y
        for n, z in zip(scores, labels, strict=True)
        if not z
    ]
    return float(sum(won) / len(won))


few_values = st.sampled_from([-np.inf, -2.5, -1e-30, -0.0, 0.0, 0.25, 1.0, 1.0000001, 7.0, np.inf])


@pytest.mark.parametrize("f", AUC)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@given(st.lists(st.tuples(few_values, st.booleans()), min_size=2, max_size=30))
@settings(max_examples=150, deadline=None)
def test_auc_is_the_share_of_pairs_won(f, dtype, rows):
    scores, labels = np.array([s for s, _ in rows], dtype), np.array([y for _, y in rows])
    assume(0 < labels.sum() < len(labels))
    assert f(scores, labels) == pytest.approx(pairs_won(scores.tolist(), labels), abs=1e-12)


@pytest.mark.parametrize("f", AUC)
@pytest.mark.parametrize("values", [7, 10**9])
def test_auc_is_scikit_learns(f, values):
    random = np.random.RandomState(values % 97)
    for dtype in (np.float32, np.float64):
        scores = (random.randint(-values, values, 3000) / values).astype(dtype)
        labels = random.rand(3000) < 0.1
        assert f(scores, labels) == pytest.approx(sklearn.roc_auc_score(labels, scores), abs=1e-12)


def test_auc_keeps_what_float32_would_lose():
    scores = np.array([1.0, 1.0 + 1e-12])
    assert auc.auc_numpy(scores, np.array([0, 1])) == 1.0
    assert auc.auc_numpy(scores.astype(np.float32), np.array([0, 1])) == 0.5


@pytest.mark.parametrize("f", AUC)
@pytest.mark.parametrize("label", [0, 1])
def test_auc_of_one_class_is_an_error(f, label):
    with pytest.raises(ValueError, match=f"labels must hold both classes, got {3 * label} positives among 3"):
        f(np.zeros(3), np.full(3, label))


@pytest.mark.parametrize("f", GAUC)
def test_gauc_by_hand(f):
    """A has AUC 1 of 4 impressions, B 5/9 of 6, C no positive: (4 · 1 + 6 · 5/9) / 10."""
    users = np.array([5] * 4 + [2] * 6 + [9] * 2)
    labels = np.array([1, 0, 0, 0, 1, 0, 1, 0, 0, 1, 0, 0])
    scores = np.array([0.9, 0.5, 0.4, 0.1, 0.9, 0.8, 0.6, 0.5, 0.4, 0.3, 0.2, 0.1])
    won = pairs_won(scores[4:10], labels[4:10])
    for order in (np.arange(12), np.random.RandomState(0).permutation(12)):
        got = f(scores[order], labels[order], users[order])
        assert got == pytest.approx((4 + 6 * won) / 10, abs=1e-12)


@pytest.mark.parametrize("f", GAUC)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@given(st.lists(st.tuples(st.integers(-3, 3), few_values, st.booleans()), min_size=2, max_size=60))
@settings(max_examples=100, deadline=None)
def test_gauc_is_a_loop_over_scikit_learns_auc(f, dtype, rows):
    users, scores = np.array([u for u, *_ in rows]), np.array([s for _, s, _ in rows]).astype(dtype)
    labels = np.array([y for *_, y in rows])
    scores = np.clip(scores, -9, 9)  # scikit-learn takes no infinity
    both = [u for u in np.unique(users) if 0 < labels[users == u].sum() < (users == u).sum()]
    assume(both)
    sizes = [(users == u).sum() for u in both]
    aucs = [sklearn.roc_auc_score(labels[users == u], scores[users == u]) for u in both]
    assert f(scores, labels, users) == pytest.approx(np.average(aucs, weights=sizes), abs=1e-12)


@pytest.mark.parametrize("f", GAUC)
def test_gauc_without_a_user_of_both_classes_is_an_error(f):
    with pytest.raises(ValueError, match="both classes for some user, got 2 users"):
        f(np.zeros(4), np.array([1, 1, 0, 0]), np.array([1, 1, 2, 2]))


CASES = [np.random.RandomState(seed).rand(2, 500) for seed in range(3)]


@pytest.mark.parametrize("draw", CASES, ids=str)
def test_probabilities_are_scored_as_by_scikit_learn(draw):
    p, y = draw[0], (draw[1] < draw[0]).astype(int)
    loss = sklearn.log_loss(y, p)
    base = sklearn.log_loss(y, np.full(500, y.mean()))
    threshold = 0.3
    for module, name, want in (
        (log_loss, "log_loss", loss),
        (normalised_entropy, "normalised_entropy", loss / base),
        (normalised_entropy, "relative_information_gain", 1 - loss / base),
    ):
        assert getattr(module, f"{name}_numpy")(p, y) == pytest.approx(want, abs=1e-12)
        assert getattr(module, name)(torch.from_numpy(p), torch.from_numpy(y)) == pytest.approx(want, abs=1e-12)
    assert log_loss.log_loss_numpy(p, y) == pytest.approx(
        F.binary_cross_entropy(torch.from_numpy(p), torch.from_numpy(y).double()).item(), abs=1e-12
    )
    want = sklearn.accuracy_score(y, p >= threshold)
    assert accuracy.accuracy_numpy(p, y, threshold) == want
    assert accuracy.accuracy(torch.from_numpy(p), torch.from_numpy(y), threshold) == pytest.approx(want)


def test_a_certain_mistake_costs_everything():
    for value in (
        log_loss.log_loss_numpy(np.array([0.0, 0.5]), np.array([1, 0])),
        log_loss.log_loss(torch.tensor([0.0, 0.5]), torch.tensor([1, 0])),
    ):
        assert value == np.inf


@pytest.mark.parametrize("rate", [0, 1])
def test_the_entropy_of_one_class_is_no_divisor(rate):
    with pytest.raises(ValueError, match=f"labels must hold both classes, got a mean of {rate}"):
        normalised_entropy.normalised_entropy_numpy(np.full(3, 0.5), np.full(3, rate))


def test_normalised_entropy_by_hand():
    p, y = np.array([0.6, 0.2, 0.1, 0.4, 0.3, 0.1, 0.2, 0.1]), np.array([1, 0, 0, 1, 0, 0, 0, 0])
    assert normalised_entropy.normalised_entropy_numpy(p, y) == pytest.approx(0.318270 / 0.562335, abs=1e-5)


@pytest.mark.parametrize("bins", [1, 2, 5, 10, 15])
def test_calibration_error_is_torchmetrics(bins):
    torchmetrics = pytest.importorskip("torchmetrics.functional.classification")
    draw = np.random.RandomState(bins).rand(2, 2000)
    p, y = draw[0] ** 2, (draw[1] < draw[0]).astype(int)
    want = torchmetrics.binary_calibration_error(
        torch.from_numpy(p), torch.from_numpy(y), n_bins=bins, norm="l1"
    ).item()
    assert expected_calibration_error.expected_calibration_error_numpy(p, y, bins) == pytest.approx(want, abs=1e-6)
    got = expected_calibration_error.expected_calibration_error(torch.from_numpy(p), torch.from_numpy(y), bins)
    assert got == pytest.approx(want, abs=1e-6)


def test_a_score_on_an_edge_belongs_to_the_bin_above():
    """p = .2 .4 .6 stand on edges of five bins; in bins (lo, hi] the same rows give .175."""
    p, y = np.array([0.6, 0.2, 0.1, 0.4, 0.3, 0.1, 0.2, 0.1]), np.array([1, 0, 0, 1, 0, 0, 0, 0])
    got = [expected_calibration_error.expected_calibration_error_numpy(p, y, bins) for bins in (2, 5, 10, 15)]
    assert got == pytest.approx([0.1, 0.25, 0.25, 0.25])
    assert expected_calibration_error.expected_calibration_error_numpy(np.ones(2), np.array([1, 1]), 5) == 0


@pytest.mark.parametrize("kept", [1.0, 0.25, 0.05])
def test_recalibration_restores_what_down_sampling_changed(kept):
    random = np.random.RandomState(0)
    true = random.beta(1, 20, 400_000)
    clicked = random.rand(len(true)) < true
    sampled = clicked | (random.rand(len(true)) < kept)
    odds = true / (1 - true) / kept  # what the sample shows: by Bayes' rule, and counted below
    learnt = odds / (1 + odds)
    assert learnt[sampled].sum() / clicked[sampled].sum() == pytest.approx(1, abs=0.02)
    for q in (
        recalibrate.recalibrate_numpy(learnt, kept),
        recalibrate.recalibrate(torch.from_numpy(learnt), kept).numpy(),
    ):
        np.testing.assert_allclose(q, true, rtol=1e-9)
        assert q.sum() / clicked.sum() == pytest.approx(1, abs=0.02)


@pytest.mark.parametrize("rate", [0, -0.1, 1.1, np.nan])
def test_a_rate_that_is_no_share_is_an_error(rate):
    with pytest.raises(ValueError, match="rate must be a share"):
        recalibrate.recalibrate_numpy(np.array([0.5]), rate)


@pytest.mark.parametrize(("clicks", "n"), [(0, 5), (1, 10), (37, 1000), (10, 10), (1, 1)])
def test_the_interval_is_wilsons(clicks, n):
    stats = pytest.importorskip("scipy.stats")
    want = stats.binomtest(clicks, n).proportion_ci(0.95, method="wilson")
    row = np.zeros(n, int)
    row[:clicks] = 1
    for got in (
        click_through_rate.click_through_rate_numpy(row),
        click_through_rate.click_through_rate(torch.from_numpy(row)),
    ):
        assert got == pytest.approx((clicks / n, want.low, want.high), abs=1e-9)


@pytest.mark.parametrize("n", [1, 3, 6, 7, 10, 12, 100])
def test_the_interval_holds_its_value(n):
    """Rounding put the low end of 0 clicks of 7 at 4e-17, above the rate it belongs to."""
    assert click_through_rate.click_through_rate_numpy(np.zeros(n, int))[:2] == (0.0, 0.0)
    assert click_through_rate.click_through_rate_numpy(np.ones(n, int))[::2] == (1.0, 1.0)


def test_log_loss_of_a_tiny_chance_is_that_chance():
    """-log(1 - p) = p + p^2 / 2 + ...: 1e-20 to all digits, and 1 - 1e-20 is 1."""
    assert log_loss.log_loss_numpy(np.array([1e-20]), np.array([0])) == pytest.approx(1e-20, rel=1e-12, abs=0)
    assert log_loss.log_loss(torch.tensor([1e-20], dtype=torch.float64), torch.tensor([0])) == pytest.approx(
        1e-20, rel=1e-12, abs=0
    )


def test_nothing_lost_prints_no_sign():
    p, y = np.array([0.0, 1.0]), np.array([0, 1])
    for value in (log_loss.log_loss_numpy(p, y), log_loss.log_loss(torch.from_numpy(p), torch.from_numpy(y))):
        assert str(value) == "0.0"


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(("edge", "bins"), [(0.7, 10), (0.29, 100), (0.3, 10), (0.6, 5)])
def test_an_edge_is_one_in_every_precision(dtype, edge, bins):
    """One row on the edge and one a little below, with opposite labels, are in two bins: no gap cancels."""
    p, y = np.array([edge, edge - 0.004], dtype), np.array([1, 0])
    want = (1 - edge + edge - 0.004) / 2
    got = expected_calibration_error.expected_calibration_error_numpy(p, y, bins)
    assert got == pytest.approx(want, abs=1e-6)
    got = expected_calibration_error.expected_calibration_error(torch.from_numpy(p), torch.from_numpy(y), bins)
    assert got == pytest.approx(want, abs=1e-6)


def test_calibration_error_reads_bools_and_integers():
    """Above, two rows said 1 and one clicked; below, one said 0 and clicked: (|2 - 1| + |0 - 1|) / 3."""
    for p in (np.array([True, False, True]), np.array([1, 0, 1])):
        y = np.array([1, 1, 0])
        assert expected_calibration_error.expected_calibration_error_numpy(p, y) == pytest.approx(2 / 3)
        got = expected_calibration_error.expected_calibration_error(torch.from_numpy(p), torch.from_numpy(y))
        assert got == pytest.approx(2 / 3)


@pytest.mark.parametrize("threshold", [0.7, np.float64(0.7)])
def test_a_threshold_is_met_in_every_precision(threshold):
    p, y = np.array([0.7], np.float32), np.array([1])
    assert accuracy.accuracy_numpy(p, y, threshold) == 1
    assert accuracy.accuracy(torch.from_numpy(p), torch.from_numpy(y), threshold) == 1


@pytest.mark.parametrize("threshold", [np.nan, -0.1, 1.1, "half"])
def test_a_threshold_that_is_no_chance_is_an_error(threshold):
    with pytest.raises(ValueError, match="threshold must be a number from 0 to 1, got"):
        accuracy.accuracy_numpy(np.array([0.5]), np.array([1]), threshold)


def test_recalibration_by_a_tiny_rate():
    """p / (p + (1 - p) / rate) is rate at p = 1/2 for a small rate; 1 / 1e-310 is no float64."""
    np.testing.assert_allclose(
        recalibrate.recalibrate_numpy(np.array([0.0, 0.5, 1.0]), 1e-310), [0, 1e-310, 1], rtol=1e-9
    )


@pytest.mark.parametrize("share", [0.001, 0.5, 0.999])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_auc_is_scikit_learns_whichever_class_is_smaller(share, dtype):
    random = np.random.RandomState(1)
    for values in (50, 10**9):
        scores = (random.randint(-values, values, 20_000) / values).astype(dtype)
        labels = random.rand(20_000) < share
        want = sklearn.roc_auc_score(labels, scores)
        assert auc.auc_numpy(scores, labels) == pytest.approx(want, abs=1e-13)


def test_auc_leaves_its_input_alone_and_takes_little_memory():
    scores = np.random.RandomState(0).rand(2_000_000).astype(np.float32)[::-1]
    labels, before = np.arange(len(scores)) % 2, scores.copy()
    tracemalloc.start()
    auc.auc_numpy(scores, labels)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    np.testing.assert_array_equal(scores, before)
    assert peak < 12 * len(scores)  # an argsort alone is 8 bytes a row, with its gathers 20


@pytest.mark.parametrize("ids", [(-5, 3), (2**31 - 1, 2**31), (2**40, 2**62), (0, 1)])
def test_gauc_takes_any_user_id(ids):
    """One user of AUC 1 with two rows, one of AUC 1/2 with three: (2 + 1.5) / 5."""
    users = np.array(ids)[[1, 0, 1, 0, 0]]
    scores, labels = np.array([0.9, 0.3, 0.1, 0.3, 0.3], np.float32), np.array([1, 0, 0, 1, 0])
    for s in (scores, scores.astype(np.float64), scores.astype(np.float16)):
        assert gauc.gauc_numpy(s, labels, users) == pytest.approx(0.7, abs=1e-12)
