"""The recorded values of other libraries are still what they return: computed anew wherever the library is installed.

`pip install -e '.[parity]'` brings ranx, `.[dev]` the others; a library that is missing is skipped.
"""

import json
import math
import re
from pathlib import Path

import numpy as np
import pytest
import torch

RECORDED = Path(__file__).parents[1] / "metrics" / "data" / "metric_disagreements.json"
SCENARIOS = {
    name: case
    for name, case in json.loads(RECORDED.read_text("utf-8"))["scenarios"].items()
    if re.fullmatch(r"S\d+", name)  # F and L came of other calls
}
METRICS = ("ndcg", "ap", "recall", "precision", "rr", "hr")


def trec_eval(scenario, k):
    pytrec_eval = pytest.importorskip("pytrec_eval")
    qrels = {u: {f"d{i}": int(g) for i, g in gains.items()} for u, gains in scenario["relevance"].items() if gains}
    run = {u: {f"d{i}": s for i, s in ranked} for u, ranked in scenario["ranked"].items() if ranked}
    names = {
        "ndcg": f"ndcg_cut_{k}",
        "ap": f"map_cut_{k}",
        "recall": f"recall_{k}",
        "precision": f"P_{k}",
        "rr": "recip_rank",
        "hr": f"success_{k}",
    }
    measures = {f"{m}.{k}" for m in ("ndcg_cut", "map_cut", "recall", "P", "success")} | {"recip_rank"}
    found = pytrec_eval.RelevanceEvaluator(qrels, measures).evaluate(run)
    return {ours: np.mean([user[theirs] for user in found.values()]) for ours, theirs in names.items()}


def ranx(scenario, k):
    library = pytest.importorskip("ranx")
    qrels = library.Qrels(
        {u: {f"d{i}": int(g) for i, g in gains.items()} for u, gains in scenario["relevance"].items()}
    )
    run = library.Run({u: {f"d{i}": s for i, s in ranked} for u, ranked in scenario["ranked"].items()})
    names = {
        "ndcg": f"ndcg@{k}",
        "ap": f"map@{k}",
        "recall": f"recall@{k}",
        "precision": f"precision@{k}",
        "rr": f"mrr@{k}",
        "hr": f"hit_rate@{k}",
    }
    found = library.evaluate(qrels, run, list(names.values()), make_comparable=True)
    return {ours: float(found[theirs]) for ours, theirs in names.items()}


def torchmetrics(scenario, k):
    library = pytest.importorskip("torchmetrics.retrieval")
    names = {
        "ndcg": library.RetrievalNormalizedDCG,
        "ap": library.RetrievalMAP,
        "recall": library.RetrievalRecall,
        "precision": library.RetrievalPrecision,
        "rr": library.RetrievalMRR,
        "hr": library.RetrievalHitRate,
    }
    rows = [
        (n, score, scenario["relevance"].get(user, {}).get(str(item), 0))
        for n, (user, ranked) in enumerate(scenario["ranked"].items())
        for item, score in dict(map(tuple, ranked)).items()
    ]
    index, score, gain = (torch.tensor(x) for x in zip(*rows, strict=True))
    return {
        name: metric(top_k=k)(score, gain if name == "ndcg" else gain > 0, indexes=index).item()
        for name, metric in names.items()
    }


@pytest.mark.parametrize("scenario", SCENARIOS)
@pytest.mark.parametrize(
    ("library", "recorded_as"),
    [(trec_eval, "pytrec_eval-terrier"), (ranx, "ranx"), (torchmetrics, "torchmetrics(list)")],
    ids=lambda x: getattr(x, "__name__", ""),
)
@pytest.mark.filterwarnings("ignore")  # theirs
def test_a_recorded_value_is_what_the_library_returns(scenario, library, recorded_as):
    case = SCENARIOS[scenario]
    recorded = case["values"][recorded_as]
    found = library(case, case["k"])
    compared = 0
    for metric in METRICS:
        if (recorded_as, scenario, metric) == ("torchmetrics(list)", "S8", "precision"):
            continue  # it has no lists with duplicates: what is left of one, and its k, are the caller's
        if isinstance(recorded.get(metric), float) and not math.isnan(recorded[metric]):
            assert found[metric] == pytest.approx(recorded[metric], abs=1e-6), metric
            compared += 1
    assert compared >= 5
