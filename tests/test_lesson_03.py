"""What lesson 03 claims and cannot compute in seconds: recorded figures, counted arithmetic."""

import jupytext
import numpy as np
import pytest
import torch
from notebooks import ROOT, printing_as_before
from torch.utils.flop_counter import FlopCounterMode

from recattn_mini.attention.encoder_block import EncoderBlock
from recattn_mini.data import recorded

CELLS = jupytext.read(ROOT / "lessons" / "source" / "03_train_and_recommend.py", fmt="py:percent").cells
LONG, SHORT = recorded.read("movielens"), recorded.read("movielens_short")


def defined(*tags: str) -> dict:
    """The names that the lesson's cells with these tags define."""
    names: dict = {}
    with printing_as_before():
        for tag in ("imports", *tags):
            [source] = [c.source for c in CELLS if tag in c.metadata.get("tags", [])]
            exec(source, names)
    return names


def hit_rates(rows: dict) -> dict[str, np.ndarray]:
    return {name: np.array(row["hit_rate"]) for name, row in rows.items()}


def test_there_is_a_value_for_each_of_three_seeds():
    rows = [row for of in (LONG, SHORT) for part in ("next item", "clicks") for row in of[part].values()]
    rows += [*LONG["loss and negatives"].values(), *SHORT["DIN asked"].values(), *SHORT["DIN served"].values()]
    rows += [SHORT["HR@10 of SASRec, served"], SHORT["NDCG@10, SASRec less another, 95 % interval"]]
    for row in rows:
        assert {name: len(values) for name, values in row.items()} == dict.fromkeys(row, 3)


def test_attention_and_recurrence_are_level_and_both_above_markov_when_trained_longer():
    """Markov's hit rate on the same users is 137 of 943: `tests/models/test_baselines.py`."""
    models, losses = hit_rates(LONG["next item"]), hit_rates(LONG["loss and negatives"])
    assert LONG["next item"]["SASRec"] == LONG["loss and negatives"]["full softmax"]
    for name in ("SASRec", "GRU4Rec"):
        assert models[name].min() > 137 / 943 + 0.03
    assert abs(models["SASRec"].mean() - models["GRU4Rec"].mean()) < 0.01
    level = min(models["GRU4Rec"].min(), models["SASRec"].min())
    for other in (models["GRU4Rec, not tuned"], losses["BCE, 1 negative"], losses["softmax, 256 shared negatives"]):
        assert other.max() < level - 0.01


def test_sasrec_and_gru4rec_had_equal_time():
    seconds = [sum(LONG["next item"][name]["seconds"]) for name in ("SASRec", "GRU4Rec")]
    assert 0.9 < seconds[0] / seconds[1] < 1.1


def test_sasrec_finds_a_fifth_within_ninety_seconds():
    row = LONG["next item"]["SASRec"]
    assert np.mean(row["hit_rate"]) >= 0.2
    assert max(row["seconds"]) <= 90


def test_mean_pooling_is_level_with_din_or_better():
    """The claim of section 9, for the means over the seeds, of either training."""
    for of in (LONG, SHORT):
        for metric in ("auc", "gauc"):
            mean = {name: np.mean(row[metric]) for name, row in of["clicks"].items()}
            assert mean["mean pooling"] > mean["DIN"] - 0.002
    assert max(LONG["AUC of a user, DIN less mean pooling"]["high"]) < 0, "with every seed"


def test_dien_knows_better_who_likes_much():
    din, dien = ({key: np.array(row) for key, row in LONG["clicks"][name].items()} for name in ("DIN", "DIEN"))
    mean = LONG["clicks"]["mean pooling"]
    assert min(dien["auc"] - np.maximum(din["auc"], mean["auc"])) > 0
    assert np.mean(dien["gauc"]) < np.mean(mean["gauc"])


def test_the_ranking_turns_while_the_loss_falls():
    curves = SHORT["clicks"]["DIN"]
    for losses, validation in zip(curves["training loss"], curves["validation GAUC"], strict=True):
        assert losses == sorted(losses, reverse=True)
        assert np.argmax(validation) < len(validation) - 1


def test_a_few_seconds_of_training_beat_popularity_and_neither_markov_nor_gru4rec():
    intervals = SHORT["NDCG@10, SASRec less another, 95 % interval"]
    assert all(low > 0 for low, _ in intervals["popularity"])
    for other in ("Markov", "GRU4Rec"):
        assert all(low < 0 < high for low, high in intervals[other])


def test_what_is_missed_most_is_mostly_what_had_most_attention():
    rows = SHORT["an event of user 849 left out"]
    agree = [one == other for one, other in zip(rows["most attention"], rows["missed most"], strict=True)]
    assert sum(agree) == 2, "the lesson says: but with one seed of three"
    assert min(rows["rank correlation of weight and effect"]) > 0.5


def test_the_prediction_does_not_use_the_candidate_s_question():
    asked = {how: {key: np.array(v) for key, v in row.items()} for how, row in SHORT["DIN asked"].items()}
    trained, other, nothing = asked["as trained"], asked["about another film"], asked["not at all"]
    for name in ("auc", "gauc", "log_loss"):
        assert np.abs(trained[name] - other[name]).max() < 0.005
    assert (nothing["auc"] < trained["auc"] - 0.03).all()
    assert (nothing["gauc"] > trained["gauc"] + 0.01).all()
    assert (nothing["log_loss"] > trained["log_loss"] + 0.03).all()


def test_what_it_costs_to_serve_otherwise():
    rate = {name: np.array(values) for name, values in SHORT["HR@10 of SASRec, served"].items()}
    told = rate.pop("as trained")
    assert np.abs(rate.pop("only ten events, padded on the left") - told).max() < 0.01
    assert all((value < told - 0.01).all() for value in rate.values()), rate
    assert np.abs(rate["newest first"] - SHORT["HR@10 of popularity"]).max() < 0.01


def test_the_log_loss_notices_other_features_and_gauc_hardly():
    rows = {how: {key: np.array(v) for key, v in row.items()} for how, row in SHORT["DIN served"].items()}
    told = rows.pop("as trained")
    for row in rows.values():
        assert np.abs(row["gauc"] - told["gauc"]).max() < 0.015
        assert (row["log_loss"] > told["log_loss"]).all()


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
