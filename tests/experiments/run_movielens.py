"""The long runs on MovieLens-100K behind lesson 03: three seeds of every model, some half an hour on two cores.

    PYTHONPATH=.:tests python tests/experiments/run_movielens.py

tests/test_lesson_03.py holds the lesson to the figures. The settings were chosen
on the validation part, by NDCG@10 at the end of training: of a dozen for SASRec, the closest three of them with three
seeds, of twenty for GRU4Rec, with one. A next-item model is then trained on everything but the test items, for a number
of epochs, as the baselines are counted on everything but them, and GRU4Rec for as many more as take it as long; a click
model stops on its validation part. Protocols: `training.next_item` and `training.clicks`. Seconds are wall time of
training on the machine that is named.
"""

import time

import torch
from experiments.recording import write

from recattn_mini.data import movielens
from recattn_mini.metrics.paired_bootstrap import paired_bootstrap_numpy
from recattn_mini.models.dien import DIEN
from recattn_mini.models.din import DIN
from recattn_mini.models.gru4rec import GRU4Rec
from recattn_mini.models.mean_pooling import MeanPooling
from recattn_mini.models.sasrec import SASRec
from recattn_mini.training.clicks import ClickData, click_loss, click_loss_with_auxiliary
from recattn_mini.training.fit import fit
from recattn_mini.training.next_item import (
    NextItemData,
    loss_over_all_items,
    loss_over_sampled_items,
    loss_with_one_negative,
)

SEEDS = [0, 1, 2]
PROTOCOL = (
    "MovieLens-100K. Next item: leave one out by time, all films ranked but those met, fitted on everything but the "
    "test items, models of width 64, for a number of epochs chosen on validation. Clicks: each user's last fifth of "
    "ratings tests, four stars are a like, stopped on validation GAUC. Seconds are wall time of training"
)


def trained(make, data, loss, seed, **settings):
    """A model after its training, and what that took."""
    torch.manual_seed(seed)
    model, start = make(), time.monotonic()
    fitted = fit(model, data, loss, seed=seed, **settings)
    return model, {"epochs": fitted.best + 1, "seconds": round(time.monotonic() - start)}


def by_key(rows):
    print(rows, flush=True)
    return {key: [row[key] for row in rows] for key in rows[0]}


def next_item(make, loss, negatives=1, *, epochs=80, learning_rate=5e-3, weight_decay=0.3):
    """HR@10 and NDCG@10 of the test items, by seed."""
    data = NextItemData.of(movielens.load(), negatives=negatives)
    settings = {"epochs": epochs, "learning_rate": learning_rate, "weight_decay": weight_decay}
    rows = []
    for seed in SEEDS:
        model, took = trained(lambda: make(data.n), data.with_validation(), loss, seed, **settings)
        figures = data.evaluate(model).figures
        rows.append({"hit_rate": round(figures["hit_rate"].value, 4), "ndcg": round(figures["ndcg"].value, 4), **took})
    return by_key(rows)


def clicks(make, loss):
    """Figures of the test impressions by seed, and the predictions themselves."""
    data = ClickData.of(movielens.load(), length=20)
    rows, predictions = [], []
    for seed in SEEDS:
        settings = {"epochs": 6, "patience": 2, "learning_rate": 2e-3}
        model, took = trained(lambda: make(data.genres, data.occupations), data, loss, seed, **settings)
        predictions.append(data.evaluate(model))
        rows.append({**{key: round(value, 4) for key, value in predictions[-1].figures.items()}, **took})
    return by_key(rows), predictions


def paired(one, other):
    """The mean difference of users' AUC, DIN less mean pooling, with its 95 % interval, by seed."""
    rows = []
    for seed in SEEDS:
        found = paired_bootstrap_numpy(one[seed].auc_by_user(), other[seed].auc_by_user(), resamples=10_000)
        rows.append({key: round(getattr(found, key), 4) for key in ("value", "low", "high")})
    return by_key(rows)


def main():
    sasrec = {"make": lambda n: SASRec(n, d=64, h=1, length=50, blocks=2, dropout=0.3)}
    full = next_item(**sasrec, loss=loss_over_all_items)
    tuned = {"epochs": 100, "learning_rate": 0.016, "weight_decay": 0.0}
    first = {"learning_rate": 2e-3, "weight_decay": 0.0}
    results = {
        "next item": {
            "SASRec": full,
            "GRU4Rec": next_item(lambda n: GRU4Rec(n, d=64, dropout=0.6), loss_over_all_items, **tuned),
            "GRU4Rec, not tuned": next_item(lambda n: GRU4Rec(n, d=64, dropout=0.4), loss_over_all_items, **first),
        },
        "loss and negatives": {
            "BCE, 1 negative": next_item(**sasrec, loss=loss_with_one_negative, negatives=64 * 50),
            "softmax, 256 shared negatives": next_item(**sasrec, loss=loss_over_sampled_items, negatives=256),
            "full softmax": full,
        },
    }
    din, of_din = clicks(lambda genres, occupations: DIN(genres, occupations, d=32, a=36), click_loss)
    mean, of_mean = clicks(lambda genres, occupations: MeanPooling(genres, occupations, d=32), click_loss)
    dien, _ = clicks(lambda genres, occupations: DIEN(genres, occupations, d=32), click_loss_with_auxiliary)
    results["clicks"] = {"DIN": din, "mean pooling": mean, "DIEN": dien}
    results["AUC of a user, DIN less mean pooling"] = paired(of_din, of_mean)
    write("movielens", results, protocol=PROTOCOL, seeds=SEEDS, packages=["torch", "numpy"])


if __name__ == "__main__":
    main()
