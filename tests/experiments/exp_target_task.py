"""What lesson 02 records of its planted task, trained again: eight designs in five worlds, some three minutes,
and again on ten times the users, some ten.

Not part of the plain test run (its name is none that pytest looks for):

    pytest tests/experiments/exp_target_task.py
    PYTHONPATH=.:tests python tests/experiments/exp_target_task.py    prints what the lesson is to record

The code is the lesson's own, read from its source.
"""

import jupytext
import numpy as np
import pytest
import torch
from notebooks import ROOT, printing_as_before

from recattn_mini.data import planted

CELLS = jupytext.read(ROOT / "lessons" / "source" / "02_design_an_attention_model.py", fmt="py:percent").cells
LESSON: dict = {}
with printing_as_before():  # a plain run imports this file too, to look for examples in it
    for tag in ("imports", "planted", "recorded-auc"):
        [source] = [c.source for c in CELLS if tag in c.metadata.get("tags", [])]
        exec(source, LESSON)
WORLDS = range(5)


def trained(design: str, users: int) -> list[float]:
    """Test AUC in worlds 0 to 4."""
    torch.set_num_threads(1)
    return [round(LESSON["fit"](design, seed, train=users)[1], 4) for seed in WORLDS]


@pytest.mark.parametrize(("users", "recorded"), [(16_000, "RECORDED"), (160_000, "TENFOLD")])
@pytest.mark.parametrize("design", LESSON["DESIGNS"])
def test_training_again_gives_what_is_recorded(design: str, users: int, recorded: str):
    """Within .01 in each world: another processor rounds otherwise, and a stop may come an epoch sooner or later."""
    np.testing.assert_allclose(trained(design, users), LESSON[recorded][design], atol=0.01)


def test_the_recorded_order_holds_in_every_world():
    """What the lesson says of it, world by world, beyond the .02 that a difference has to be."""
    auc = {design: np.array(worlds) for design, worlds in LESSON["RECORDED"].items()}
    assert set(auc) == set(LESSON["DESIGNS"])
    assert all(len(worlds) == len(WORLDS) for worlds in auc.values())
    assert np.abs(auc["copied layer, then mean"] - auc["mean"]).mean() < 0.02
    assert (auc["self-attention, then mean"] < auc["mean"] - 0.02).all()
    assert (auc["the same with residual"] < auc["mean"] - 0.02).all()
    assert (auc["mean, user ⊙ candidate"] > auc["mean"] + 0.02).all()
    for target in ("target attention, dot", "DIN", "DIN with a softmax"):
        assert (auc[target] > auc["mean"] + 0.05).all()
        assert (auc[target] < planted.bayes_auc()).all()
    for target in ("target attention, dot", "DIN with a softmax"):
        assert (auc[target] > auc["mean, user ⊙ candidate"] + 0.02).all()
        assert auc[target].mean() > auc["DIN"].mean()
        assert auc[target].std() < auc["DIN"].std()


def test_ten_times_the_users_close_the_distance():
    """What the lesson says of it. A test of 10,000 users may exceed the bound; the mean over worlds hardly does."""
    auc = {design: np.array(worlds) for design, worlds in LESSON["TENFOLD"].items()}
    assert set(auc) == set(LESSON["DESIGNS"])
    near = {design for design, worlds in auc.items() if worlds.mean() > planted.bayes_auc() - 0.01}
    assert near == set(auc) - {"self-attention, then mean"}
    assert np.abs(auc["mean, user ⊙ candidate"] - auc["target attention, dot"]).max() < 0.005
    assert all((auc["DIN"] > worlds).all() for design, worlds in auc.items() if design != "DIN")
    assert all((worlds > np.array(LESSON["RECORDED"][design]) + 0.01).all() for design, worlds in auc.items())


@pytest.mark.parametrize("design", ["self-attention, then mean", "the same with residual"])
def test_a_lower_rate_does_not_bring_self_attention_up_to_the_mean(design: str):
    torch.set_num_threads(1)
    for seed in (0, 1):
        assert LESSON["fit"](design, seed, rate=0.005)[1] < LESSON["RECORDED"]["mean"][seed] - 0.02


if __name__ == "__main__":
    for users in (16_000, 160_000):
        for each in LESSON["DESIGNS"]:
            print(f'    "{each}": {trained(each, users)},', flush=True)
