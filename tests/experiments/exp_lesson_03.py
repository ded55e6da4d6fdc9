"""What lesson 03 says of the models that it trains, for three seeds instead of one; some two minutes.

Not part of the plain test run (its name is none that pytest looks for):

    pytest tests/experiments/exp_lesson_03.py

The code is the lesson's own, read from its source.
"""

import jupytext
import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch
from notebooks import ROOT

from recattn_mini.metrics.paired_bootstrap import paired_bootstrap_numpy
from recattn_mini.models.din import DIN
from recattn_mini.models.mean_pooling import MeanPooling

SEEDS = range(3)


@pytest.fixture(scope="module")
def lesson() -> dict:
    """All names of the lesson after it was run, without its exercises."""
    torch.set_num_threads(1)
    plt.switch_backend("agg")
    cells = jupytext.read(ROOT / "lessons" / "source" / "03_train_and_recommend.py", fmt="py:percent").cells
    names: dict = {}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(plt, "show", plt.close)
        for cell in cells:
            if cell.cell_type == "code" and "check(" not in cell.source:
                exec(cell.source, names)
    return names


@pytest.fixture(scope="module", params=SEEDS)
def sequential(request, lesson) -> dict:
    """Results by model; SASRec's is that of this seed, and `model` is it."""
    models = {"SASRec": lesson["sasrec"](request.param), "GRU4Rec": lesson["gru4rec"](request.param)}
    for model in models.values():
        fit = lesson["library"].training.fit.fit
        fit(model, lesson["data"], lesson["full"], epochs=12, patience=3, learning_rate=0.01, seed=request.param)
    return {
        **lesson["results"],
        **{name: lesson["data"].evaluate(model) for name, model in models.items()},
        "model": models["SASRec"],
    }


def difference(results: dict, one: str, other: str) -> tuple[float, float]:
    """The interval of the difference in NDCG@10."""
    _, low, high, _ = paired_bootstrap_numpy(results[one].per_user["ndcg"], results[other].per_user["ndcg"], 2000)
    return low, high


def test_sasrec_beats_popularity_and_neither_markov_nor_gru4rec(sequential):
    low, _ = difference(sequential, "SASRec", "popularity")
    assert low > 0
    for other in ("Markov", "GRU4Rec"):
        low, high = difference(sequential, "SASRec", other)
        assert low < 0 < high


def test_what_it_costs_to_serve_otherwise(lesson, sequential):
    data, known = lesson["data"], lesson["known"]
    rate = {
        name: lesson["served"](sequential["model"], rows, known, data.test) for name, rows in lesson["REQUESTS"].items()
    }
    told = rate.pop("as trained")
    assert abs(rate.pop("only ten events, padded on the left") - told) < 0.02
    assert all(value < told - 0.01 for value in rate.values()), rate
    popularity = lesson["results"]["popularity"].figures["hit_rate"].value
    assert abs(rate["newest first"] - popularity) < 0.02


@pytest.mark.parametrize("seed", SEEDS)
def test_target_attention_adds_nothing_and_does_not_use_the_candidate(lesson, seed):
    clicks, fitted = lesson["clicks"], lesson["fitted_ranker"]
    din, history = fitted(DIN, 16, 16, seed=seed)
    assert history.best < len(history.losses) - 1, "the ranking turns while the loss falls"
    assert history.losses == sorted(history.losses, reverse=True)
    pooling, _ = fitted(MeanPooling, 16, seed=seed)
    ours, theirs = (clicks.evaluate(model).auc_by_user() for model in (din, pooling))
    assert np.nanmean(ours) < np.nanmean(theirs) + 0.002

    asked = {name: clicks.evaluate(lesson["Asked"](din, how)).figures for name, how in lesson["ASKED"].items()}
    for name in ("auc", "gauc", "log_loss"):
        assert abs(asked["as trained"][name] - asked["about another film"][name]) < 0.005
    assert asked["not at all"]["auc"] < asked["as trained"]["auc"] - 0.03
    assert asked["not at all"]["gauc"] > asked["as trained"]["gauc"] + 0.01
