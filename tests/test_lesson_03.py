"""What lesson 03 claims and cannot compute in seconds: recorded figures, what Keras does, counted arithmetic."""

import json
import os

import jupytext
import pytest
import torch
from notebooks import ROOT, printing_as_before
from torch.utils.flop_counter import FlopCounterMode

from recattn_mini.attention.encoder_block import EncoderBlock

CELLS = jupytext.read(ROOT / "lessons" / "source" / "03_train_and_recommend.py", fmt="py:percent").cells
PARTS = ("next item", "loss and negatives")
RESULTS = ROOT / "tests" / "experiments" / "movielens_results.json"


def defined(*tags: str) -> dict:
    """The names that the lesson's cells with these tags define."""
    names: dict = {}
    with printing_as_before():
        for tag in ("imports", *tags):
            [source] = [c.source for c in CELLS if tag in c.metadata.get("tags", [])]
            exec(source, names)
    return names


@pytest.fixture(scope="module")
def recorded() -> dict:
    return defined("recorded")["RECORDED"]


def test_the_lesson_records_what_the_long_runs_gave(recorded):
    """`run_movielens.py` trains for minutes and writes the file; the lesson prints the same numbers."""
    results = json.loads(RESULTS.read_text(encoding="utf-8"))
    for part, models in recorded.items():
        assert set(models) == set(results[part])
        for model, figures in models.items():
            assert figures == {name: results[part][model][name] for name in figures}, (part, model)
    assert defined("recorded")["PAIRED"] == results["AUC of a user, DIN less mean pooling"]


def test_what_the_lesson_says_of_the_recorded_figures(recorded):
    """Markov's hit rate on the same users is 137 of 943: `tests/models/test_baselines.py`."""
    mean = {part: {name: sum(row["hit_rate"]) / 3 for name, row in recorded[part].items()} for part in PARTS}
    models, losses = recorded["next item"], recorded["loss and negatives"]
    assert models["SASRec"] == losses["full softmax"]
    for name in ("SASRec", "GRU4Rec"):
        assert min(models[name]["hit_rate"]) > 137 / 943 + 0.03
    assert abs(mean["next item"]["SASRec"] - mean["next item"]["GRU4Rec"]) < 0.01
    for other in (models["GRU4Rec, not tuned"], losses["BCE, 1 negative"], losses["softmax, 256 shared negatives"]):
        assert max(other["hit_rate"]) < min(models["GRU4Rec"]["hit_rate"] + models["SASRec"]["hit_rate"]) - 0.01


def test_sasrec_and_gru4rec_had_equal_time():
    rows = json.loads(RESULTS.read_text(encoding="utf-8"))["next item"]
    seconds = [sum(rows[name]["seconds"]) for name in ("SASRec", "GRU4Rec")]
    assert 0.9 < seconds[0] / seconds[1] < 1.1


def test_sasrec_finds_a_fifth_within_ninety_seconds():
    row = json.loads(RESULTS.read_text(encoding="utf-8"))["next item"]["SASRec"]
    assert sum(row["hit_rate"]) / 3 >= 0.2
    assert max(row["seconds"]) <= 90


def test_each_recorded_figure_has_a_value_for_each_of_three_seeds(recorded):
    for part, models in recorded.items():
        for model, figures in models.items():
            assert {name: len(values) for name, values in figures.items()} == dict.fromkeys(figures, 3), (part, model)


def test_mean_pooling_is_level_with_din_or_better(recorded):
    """The claim of section 9, for the means over the seeds."""
    mean = {name: {k: sum(v) / len(v) for k, v in row.items()} for name, row in recorded["clicks"].items()}
    for metric in ("auc", "gauc"):
        assert mean["mean pooling"][metric] > mean["DIN"][metric] - 0.005
    paired = json.loads(RESULTS.read_text(encoding="utf-8"))["AUC of a user, DIN less mean pooling"]
    assert max(paired["high"]) < 0, "with every seed"


def test_keras_takes_the_batches_as_they_come():
    os.environ["KERAS_BACKEND"] = "torch"
    keras = pytest.importorskip("keras")

    class Batches(keras.utils.PyDataset):
        def __len__(self):
            return 3

        def __getitem__(self, index):
            return torch.ones(100, 4).numpy(), torch.ones(100, 1).numpy()

    model = keras.Sequential([keras.layers.Dense(1)])
    model.compile(optimizer="sgd", loss="mse")
    model.fit(Batches(), epochs=1, batch_size=32, verbose=0)
    assert int(model.optimizer.iterations) == defined("recorded-keras")["KERAS"]["steps an epoch"]


def counted(positions: int) -> int:
    """Multiply-adds of an encoder block as PyTorch counts them: every pair of positions, masked or not."""
    block = EncoderBlock(64, 2, 4 * 64)
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        block(torch.zeros(1, positions, 64))
    return counter.get_total_flops() // 2


@pytest.mark.parametrize("positions", [51, 1050])
def test_the_lesson_counts_as_pytorch_does(positions: int):
    assert defined("counting")["multiply_adds"](positions, positions**2) == counted(positions)


def test_a_thousand_candidates_in_one_pass_cost_a_fiftieth():
    """Of a history of 100; the pairs are counted from the mask itself."""
    names = defined("counting")
    assert names["ratios"][100] >= 50
    assert all(ratio < history for history, ratio in names["ratios"].items())
