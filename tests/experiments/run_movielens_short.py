"""What trains live in lesson 03, for three seeds instead of one; some two minutes.

    PYTHONPATH=.:tests python tests/experiments/run_movielens_short.py

The code is the lesson's own, read from its source: all its cells but the exercises, and those that print what this
program records. tests/test_lesson_03.py holds the lesson to the figures.
"""

import jupytext
import matplotlib.pyplot as plt
import torch
from experiments.recording import write
from notebooks import ROOT

from recattn_mini.metrics.paired_bootstrap import paired_bootstrap_numpy
from recattn_mini.models.din import DIN
from recattn_mini.models.mean_pooling import MeanPooling

SOURCE = ROOT / "lessons" / "source" / "03_train_and_recommend.py"
SEEDS = [0, 1, 2]
CLICK_FIGURES = ("auc", "gauc", "log_loss")
PROTOCOL = (
    "MovieLens-100K, by the code of lesson 03. Next item: leave one out by time, all films ranked but those met, one "
    "block of width 32 and 25 events, 12 epochs with a patience of 3 on validation NDCG@10, rate 0.01. Clicks: each "
    "user's last fifth of ratings tests, four stars are a like, 15 events, width 16, 6 epochs with a patience of 2 on "
    "validation GAUC, rate 0.005. One thread"
)


def lesson() -> dict:
    """All names of the lesson after it was run, without its exercises."""
    plt.switch_backend("agg")
    names: dict = {}
    for cell in jupytext.read(SOURCE, fmt="py:percent").cells:
        if cell.cell_type == "code" and "check(" not in cell.source and "recorded" not in cell.metadata.get("tags", []):
            exec(cell.source, names)
            plt.close("all")
    return names


def rounded(values) -> list[float]:
    """To four digits."""
    return [round(float(value), 4) for value in values]


def by_key(rows: list[dict]) -> dict:
    """Of one row a seed: a list a key, one number a seed."""
    return {key: [row[key] for row in rows] for key in rows[0]}


def next_item(names: dict) -> dict:
    """HR@10 and NDCG@10, what is gained over others, and what it costs to serve otherwise than trained."""
    data, rows, intervals, served, told, events = names["data"], {}, {}, [], [], []
    for seed in SEEDS:
        models = {"SASRec": names["sasrec"](seed), "GRU4Rec": names["gru4rec"](seed)}
        found = {**names["results"]}
        for name, model in models.items():
            settings = {"epochs": 12, "patience": 3, "learning_rate": 0.01, "seed": seed}
            names["library"].training.fit.fit(model, data, names["full"], **settings)
            found[name] = data.evaluate(model)
            row = {key: round(found[name].figures[key].value, 4) for key in ("hit_rate", "ndcg")}
            print(f"seed {seed}, {name}: {row}", flush=True)
            rows.setdefault(name, []).append(row)
        for other in ("popularity", "Markov", "GRU4Rec"):
            apart = paired_bootstrap_numpy(found["SASRec"].per_user["ndcg"], found[other].per_user["ndcg"], 2000)
            intervals.setdefault(other, []).append(rounded((apart.low, apart.high)))
        model = models["SASRec"]
        requests = names["REQUESTS"].items()
        rate = {name: names["served"](model, rows, names["known"], data.test) for name, rows in requests}
        served.append({name: round(float(value), 4) for name, value in rate.items()})
        told.append(str(data.recommend(model, user=849, k=8)).splitlines())
        events.append(names["left_out"](model, names["met_by_849"]))
    return {
        "next item": {name: by_key(row) for name, row in rows.items()},
        "NDCG@10, SASRec less another, 95 % interval": intervals,
        "HR@10 of popularity": round(names["results"]["popularity"].figures["hit_rate"].value, 4),
        "HR@10 of SASRec, served": by_key(served),
        "recommended": told[0],
        "an event of user 849 left out": by_key(events),
    }


def clicks(names: dict) -> dict:
    """Figures of both models, what DIN answers when it is asked otherwise, and with features of another definition."""
    data, fitted_ranker = names["clicks"], names["fitted_ranker"]

    def figures_of(data, model) -> dict:
        found = data.evaluate(model).figures
        return {name: round(found[name], 4) for name in CLICK_FIGURES}

    rows, asked, served, told = {"DIN": [], "mean pooling": []}, {}, {}, []
    for seed in SEEDS:
        din, history = fitted_ranker(DIN, 16, 16, seed=seed)
        pooling, _ = fitted_ranker(MeanPooling, 16, seed=seed)
        curves = {"training loss": rounded(history.losses), "validation GAUC": rounded(history.validation)}
        rows["DIN"].append({**figures_of(data, din), **curves})
        rows["mean pooling"].append(figures_of(data, pooling))
        print(f"seed {seed}: DIN {rows['DIN'][-1]}, mean pooling {rows['mean pooling'][-1]}", flush=True)
        for name, how in names["ASKED"].items():
            asked.setdefault(name, []).append(figures_of(data, names["Asked"](din, how)))
        for name, table in names["TABLES"].items():
            found = figures_of(names["dataclasses"].replace(data, table=table), din)
            served.setdefault(name, []).append({key: found[key] for key in ("gauc", "log_loss")})
        told.append(str(data.recommend(din, user=849, k=8)).splitlines())
    return {
        "clicks": {name: by_key(row) for name, row in rows.items()},
        "DIN asked": {name: by_key(row) for name, row in asked.items()},
        "DIN served": {name: by_key(row) for name, row in served.items()},
        "recommended": told[0],
    }


def main() -> None:
    torch.set_num_threads(1)
    names = lesson()
    of_items, of_clicks = next_item(names), clicks(names)
    told = {"SASRec": of_items.pop("recommended"), "DIN": of_clicks.pop("recommended")}
    figures = {**of_items, **of_clicks, "recommended to user 849": told}
    write("movielens_short", figures, protocol=PROTOCOL, seeds=SEEDS, packages=["torch", "numpy"])


if __name__ == "__main__":
    main()
