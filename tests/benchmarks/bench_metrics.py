"""How fast the metrics are, as ratios within one process: pytest tests/benchmarks/bench_metrics.py

Needs pytest-benchmark, ranx, torchmetrics and scikit-learn. No part of a plain `pytest`, which only collects test_*.py.
A ratio is of CPU seconds, the least of several runs that take turns, with one thread each: wall time on a busy machine
says more about the machine. The table at the end has each ratio, its aim, and what was scaled up from fewer users.
Every value that is timed is first compared. Aims are for the fast form where there is one; the last rows have the plain
forms by their fast ones, aimed at 3 where the plain form does not say why it takes longer.
"""

import time
import tracemalloc
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
import torch

from recattn_mini.metrics import gains_and_judged as plain_judged
from recattn_mini.metrics import gauc as plain_gauc
from recattn_mini.metrics import ndcg as plain_ndcg
from recattn_mini.metrics import top_k as plain_top_k
from recattn_mini.metrics.auc import auc_numpy
from recattn_mini.metrics.average_precision import average_precision_numpy
from recattn_mini.metrics.fast.gains_and_judged import (
    gains_of_items_numpy,
    judged_of_relevance,
    judged_of_relevance_numpy,
)
from recattn_mini.metrics.fast.gauc import gauc, gauc_numpy
from recattn_mini.metrics.fast.ndcg import ndcg_numpy
from recattn_mini.metrics.fast.top_k import top_k, top_k_numpy
from recattn_mini.metrics.recall import recall_numpy
from recattn_mini.metrics.reciprocal_rank import reciprocal_rank_numpy

K = 10
OURS = (ndcg_numpy, average_precision_numpy, recall_numpy, reciprocal_rank_numpy)
Add = Callable[..., None]


def _seconds(f: Callable[[], Any]) -> float:
    start = time.process_time()
    f()
    return time.process_time() - start


@pytest.fixture(scope="module")
def table(request: pytest.FixtureRequest) -> Iterator[list[tuple[str, float, str, str]]]:
    rows: list[tuple[str, float, str, str]] = []
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield rows
    torch.set_num_threads(threads)
    with request.config.pluginmanager.getplugin("capturemanager").global_and_fixture_disabled():
        print(f"\n\n{'':66}{'measured':>9}  aim")
        for what, ratio, aim, note in rows:
            print(f"{what:66}{ratio:9.2f}  {aim:9}{note}")


@pytest.fixture
def ratio(table: list[tuple[str, float, str, str]]) -> Add:
    """Time two things in turns and put the first over the second into the table."""

    def add(
        what: str,
        above: Callable[[], Any],
        below: Callable[[], Any],
        aim: str,
        times: float = 1,
        rounds: int = 7,
        note: str = "",
    ) -> None:
        pairs = [(_seconds(above), _seconds(below)) for _ in range(rounds)]
        a, b = (min(side) for side in zip(*pairs, strict=True))
        table.append((what, times * a / b, aim, f"{note}{times * a:9.4f} s / {b:.4f} s"))

    return add


def _users(users: int, n: int = 100) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    scores = rng.standard_normal((users, n), dtype=np.float32)
    labels = rng.random((users, n)) < 0.05
    labels[np.arange(users), rng.integers(0, n, users)] = True  # each user has something to find
    return scores, labels


def _four(scores: np.ndarray, labels: np.ndarray, block: int = 16384) -> np.ndarray:
    """The four metrics of each user; blocks of users, as `evaluate` takes them, find their arrays in the cache."""
    parts = []
    for start in range(0, len(scores), block):
        found = labels[start : start + block]
        gains = gains_of_items_numpy(top_k_numpy(scores[start : start + block], K), found)
        judged = judged_of_relevance_numpy(found)
        parts.append(np.stack([metric(gains, judged, K) for metric in OURS]))
    return np.concatenate(parts, axis=1)


def test_four_metrics_against_ranx(benchmark: Any, ratio: Add) -> None:
    numba = pytest.importorskip("numba")
    ranx = pytest.importorskip("ranx.metrics")
    numba.set_num_threads(1)
    scores, labels = _users(100_000)
    order = np.argsort(-scores, axis=1, kind="stable")
    run = np.stack([order.astype(float), np.take_along_axis(scores, order, axis=1)], axis=-1)
    filled = judged_of_relevance_numpy(labels)
    truth = np.stack([np.full(filled.shape, -1.0), filled.astype(float)], axis=-1)
    truth[filled, 0] = np.nonzero(labels)[1]
    theirs = (ranx.ndcg, ranx.average_precision, ranx.recall, ranx.reciprocal_rank)
    for ours, other in zip(_four(scores, labels), theirs, strict=True):
        np.testing.assert_allclose(ours, other(truth, run, K), atol=1e-9)
    ratio(
        "ranx, prepared and sorted arrays / ours from scores, 1e5 x 100",
        lambda: [other(truth, run, K) for other in theirs],
        lambda: _four(scores, labels),
        ">= 4",
    )
    benchmark.pedantic(_four, (scores, labels), rounds=5)


def test_four_metrics_against_torchmetrics(ratio: Add) -> None:
    retrieval = pytest.importorskip("torchmetrics.retrieval")
    users = 1000
    scores, labels = _users(100_000)
    few = torch.from_numpy(scores[:users].ravel()), torch.from_numpy(labels[:users].ravel())
    index = torch.arange(users).repeat_interleave(100)
    names = ("RetrievalNormalizedDCG", "RetrievalMAP", "RetrievalRecall", "RetrievalMRR")

    def theirs() -> list[float]:
        metrics = [getattr(retrieval, name)(top_k=K) for name in names]
        return [metric(*few, indexes=index).item() for metric in metrics]

    ours = [values.mean() for values in _four(scores[:users], labels[:users])]
    for i in (0, 2, 3):  # its average precision divides by the hits in the list
        assert theirs()[i] == pytest.approx(ours[i], abs=1e-5)
    ratio(
        "torchmetrics / ours from scores, 1e5 x 100",
        theirs,
        lambda: _four(scores, labels),
        ">= 400",
        times=100_000 / users,
        rounds=3,
        note=f"(scaled from {users} users) ",
    )


def _score_matrices(users: int, n: int) -> Iterator[tuple[str, np.ndarray]]:
    rng = np.random.default_rng(0)
    random = rng.standard_normal((users, n), dtype=np.float32)
    column = np.arange(n)
    yield "random", random
    yield "constant", np.zeros_like(random)
    yield "3 values", rng.integers(0, 3, random.shape).astype(np.float32)
    yield "99 % -inf", np.where(rng.random(random.shape, dtype=np.float32) < 0.99, np.float32(-np.inf), random)
    yield "all -inf", np.full_like(random, -np.inf)
    yield "rising", np.sort(random, axis=1)
    yield "falling", -np.sort(random, axis=1)
    yield "best in two blocks", np.where(column % 256 < 2, random, random - 20)
    yield "-inf but two blocks", np.where(column % 256 < 2, random, np.float32(-np.inf))
    for every in (8, 100):
        yield f"every {every}th row constant", np.where(np.arange(users)[:, None] % every, random, np.float32(0))


@pytest.mark.parametrize(("users", "n"), [(10_000, 10_000), (100_000, 100), (30_000, 300), (5000, 2000)])
def test_top_k(users: int, n: int, ratio: Add) -> None:
    for name, scores in _score_matrices(users, n):
        some = slice(None, None, users // 50)
        order = np.argsort(-scores[some], axis=1, kind="stable")[:, :K]
        order[np.take_along_axis(scores[some], order, axis=1) == -np.inf] = -1
        np.testing.assert_array_equal(top_k_numpy(scores, K)[some], order)
        ours = lambda scores=scores: top_k_numpy(scores, K)  # noqa: E731
        if n == 10_000 and name == "random":
            ratio("top 10 of 1e4 x 1e4 / one read", ours, lambda scores=scores: scores.max(axis=1), "<= 4", rounds=9)
        partition = lambda scores=scores: np.argpartition(scores, n - K, axis=1)  # noqa: E731
        ratio(f"top 10 of {users} x {n} / np.argpartition, {name}", ours, partition, "<= 1.5", rounds=3)


def test_top_k_of_tensors(ratio: Add) -> None:
    scores = torch.from_numpy(next(_score_matrices(10_000, 10_000))[1])
    ratio("top 10 of 1e4 x 1e4, PyTorch / torch.topk", lambda: top_k(scores, K), lambda: scores.topk(K), "", rounds=3)


def test_top_k_memory(table: list[tuple[str, float, str, str]]) -> None:
    for name, scores in _score_matrices(10_000, 10_000):
        tracemalloc.start()
        top_k_numpy(scores, K)
        peak = tracemalloc.get_traced_memory()[1] / 2**20
        tracemalloc.stop()
        table.append((f"top 10 of 1e4 x 1e4, MiB beyond the input, {name}", peak, "<= 64", ""))


def test_gauc_against_sklearn(benchmark: Any, ratio: Add) -> None:
    metrics = pytest.importorskip("sklearn.metrics")
    users, few = 10_000, 500
    scores, labels = _users(users)
    flat = scores.ravel(), labels.ravel(), np.repeat(np.arange(users), 100)

    def theirs() -> float:
        return float(np.mean([metrics.roc_auc_score(labels[u], scores[u]) for u in range(few)]))

    assert gauc_numpy(*(x[: 100 * few] for x in flat)) == pytest.approx(theirs(), abs=1e-12)
    ratio(
        "sklearn roc_auc_score by user / GAUC, 1e4 x 100",
        theirs,
        lambda: gauc_numpy(*flat),
        ">= 500",
        times=users / few,
        rounds=7,
        note=f"(scaled from {few} users) ",
    )
    benchmark.pedantic(gauc_numpy, flat, rounds=5)


@pytest.mark.parametrize("distinct", [None, 10_000])
def test_auc_against_sklearn(distinct: int | None, ratio: Add) -> None:
    metrics = pytest.importorskip("sklearn.metrics")
    rng = np.random.default_rng(0)
    labels = rng.random(10_000_000) < 0.05
    scores = rng.standard_normal(len(labels), dtype=np.float32) + labels.astype(np.float32)
    if distinct:
        scores = np.floor(scores * distinct / 8) / np.float32(distinct)
    assert auc_numpy(scores, labels) == pytest.approx(metrics.roc_auc_score(labels, scores), abs=1e-9)
    ratio(
        f"sklearn roc_auc_score / AUC, 1e7, {f'{distinct} distinct' if distinct else 'no ties'}",
        lambda: metrics.roc_auc_score(labels, scores),
        lambda: auc_numpy(scores, labels),
        ">= 8",
        rounds=3,
    )


def test_plain_forms_by_their_fast_ones(ratio: Add) -> None:
    """Last, so that these rows stand at the end of the table."""
    why = "says why"
    for users, n in ((2000, 10_000), (20_000, 100)):
        scores = np.random.default_rng(0).standard_normal((users, n), dtype=np.float32)
        tensor = torch.from_numpy(scores)
        ratio(
            f"plain / fast: top_k_numpy, {users} x {n}",
            lambda scores=scores: plain_top_k.top_k_numpy(scores, K),
            lambda scores=scores: top_k_numpy(scores, K),
            why,
            rounds=3,
        )
        ratio(
            f"plain / fast: top_k, {users} x {n}",
            lambda tensor=tensor: plain_top_k.top_k(tensor, K),
            lambda tensor=tensor: top_k(tensor, K),
            why,
            rounds=3,
        )
    scores, labels = _users(10_000)
    relevance = torch.from_numpy(labels)
    ratio(
        "plain / fast: judged_of_relevance_numpy, 1e4 x 100",
        lambda: plain_judged.judged_of_relevance_numpy(labels),
        lambda: judged_of_relevance_numpy(labels),
        why,
    )
    ratio(
        "plain / fast: judged_of_relevance, 1e4 x 100",
        lambda: plain_judged.judged_of_relevance(relevance),
        lambda: judged_of_relevance(relevance),
        why,
    )
    items = top_k_numpy(scores, K)
    gains, judged = gains_of_items_numpy(items, labels), judged_of_relevance_numpy(labels)
    ratio(
        "plain / fast: gains_of_items_numpy, 1e4 x 10",
        lambda: plain_judged.gains_of_items_numpy(items, labels),
        lambda: gains_of_items_numpy(items, labels),
        "<= 3",
    )
    ratio(
        "plain / fast: ndcg_numpy of bools, 1e4 x 10",
        lambda: plain_ndcg.ndcg_numpy(gains, judged, K),
        lambda: ndcg_numpy(gains, judged, K),
        "<= 3",
    )
    some = 1000
    flat = scores[:some].ravel(), labels[:some].ravel(), np.repeat(np.arange(some), 100)
    tensors = tuple(map(torch.from_numpy, flat))
    ratio(
        f"plain / fast: gauc_numpy, {some} x 100", lambda: plain_gauc.gauc_numpy(*flat), lambda: gauc_numpy(*flat), why
    )
    ratio(f"plain / fast: gauc, {some} x 100", lambda: plain_gauc.gauc(*tensors), lambda: gauc(*tensors), why, rounds=3)
