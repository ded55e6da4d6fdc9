"""NDCG@4 of one list, as five libraries return it: the example with which lesson 05 begins.

    pip install ranx torchmetrics scikit-learn rectools recbole
    PYTHONPATH=.:tests python tests/experiments/run_libraries.py

Each library is called with its own defaults; tests/metrics/test_conventions.py holds our conventions to the figures.
"""

import warnings

import numpy as np
import torch
from experiments.recording import write

RANKED = {"c": 1.0, "a": 0.9, "x": 0.8, "b": 0.7, "y": 0.6}
RELEVANT = {"a": 3, "b": 2, "c": 1}
K = 4
PROTOCOL = "one user, a list of five with its scores, three relevant items worth 3, 2 and 1; NDCG@4 by default settings"


def ranx() -> float:
    import ranx

    return ranx.evaluate(ranx.Qrels({"ann": RELEVANT}), ranx.Run({"ann": RANKED}), f"ndcg@{K}")


def torchmetrics() -> float:
    from torchmetrics.functional.retrieval import retrieval_normalized_dcg

    gains = torch.tensor([RELEVANT.get(item, 0) for item in RANKED])
    return retrieval_normalized_dcg(torch.tensor([*RANKED.values()]), gains, top_k=K)


def sklearn() -> float:
    from sklearn.metrics import ndcg_score

    return ndcg_score([[RELEVANT.get(item, 0) for item in RANKED]], [[*RANKED.values()]], k=K)


def rectools() -> float:
    import pandas as pd
    from rectools.metrics import NDCG

    ranked = pd.DataFrame({"user_id": "ann", "item_id": [*RANKED], "rank": range(1, len(RANKED) + 1)})
    relevant = pd.DataFrame({"user_id": "ann", "item_id": [*RELEVANT], "weight": [*RELEVANT.values()]})
    return NDCG(k=K).calc(ranked, relevant)


def recbole() -> float:
    from recbole.evaluator.metrics import NDCG

    np.float = float  # type: ignore[attr-defined]  # the alias of older NumPys that RecBole uses
    metric = NDCG({"topk": [K], "metric_decimal_place": 16})
    hits = np.array([[item in RELEVANT for item in RANKED][:K]])
    return metric.metric_info(hits, np.array([len(RELEVANT)]))[0, K - 1]


LIBRARIES = {"ranx": ranx, "torchmetrics": torchmetrics, "sklearn": sklearn, "RecTools": rectools, "RecBole": recbole}


def main() -> None:
    warnings.simplefilter("ignore")  # theirs
    figures = {}
    for name, ndcg in LIBRARIES.items():
        figures[name] = float(ndcg())
        print(f"{name:13} {figures[name]}", flush=True)
    packages = ["ranx", "torchmetrics", "scikit-learn", "rectools", "recbole", "torch", "numpy"]
    write("libraries", {f"NDCG@{K}": figures}, protocol=PROTOCOL, seeds=[], packages=packages)


if __name__ == "__main__":
    main()
