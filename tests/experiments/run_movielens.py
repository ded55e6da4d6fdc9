"""The long runs on MovieLens-100K behind lesson 03: three seeds of every model, some quarter of an hour on two cores.

    PYTHONPATH=. python tests/experiments/run_movielens.py

writes movielens_results.json beside this file; tests/test_lesson_03.py holds the lesson to it. Epochs were chosen on
the validation part; the test part was looked at once a run. Protocols: `training.next_item` and `training.clicks`.
Seconds are wall time of training alone, and say which machine they were measured on.
"""

import time
from pathlib import Path

import torch

from recattn_mini.training.fit import fit

SEEDS = range(3)
SECONDS = 90  # of training, for every next-item model; early stopping may need fewer
FILE = Path(__file__).with_name("movielens_results.json")


def trained(make, data, loss, seed, **settings):
    """A model that was trained, its epochs, and the seconds that they took."""
    torch.manual_seed(seed)
    model, start = make(), time.monotonic()
    fitted = fit(model, data, loss, seed=seed, **settings)
    return model, {"epochs": fitted.best + 1, "seconds": round(time.monotonic() - start)}
