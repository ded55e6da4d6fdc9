"""What lesson 02 records of its planted task, trained again: eight designs in five worlds, some three minutes.

Not part of the plain test run (its name is none that pytest looks for):

    pytest tests/experiments/exp_target_task.py
    PYTHONPATH=.:tests python tests/experiments/exp_target_task.py    prints what the lesson is to record

The code is the lesson's own, read from its source.
"""

import jupytext
import numpy as np
import pytest
import torch
from notebooks import ROOT

from recattn_mini.data import planted

CELLS = jupytext.read(ROOT / "lessons" / "source" / "02_design_an_attention_model.py", fmt="py:percent").cells
LESSON: dict = {}
for tag in ("imports", "planted", "recorded-auc"):
    [source] = [c.source for c in CELLS if tag in c.metadata.get("tags", [])]
    exec(source, LESSON)
WORLDS = range(5)


def trained(design: str) -> list[float]:
    """Test AUC in worlds 0 to 4."""
    torch.set_num_threads(1)
    return [round(LESSON["fit"](design, seed)[1], 4) for seed in WORLDS]


@pytest.mark.parametrize("design", LESSON["DESIGNS"])
def test_training_again_gives_what_is_recorded(design: str):
    """Within .01 in each world: another processor rounds otherwise, and a stop may come an epoch sooner or later."""
    np.testing.assert_allclose(trained(design), LESSON["RECORDED"][design], atol=0.01)


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


@pytest.mark.parametrize("design", ["self-attention, then mean", "the same with residual"])
def test_a_lower_rate_does_not_bring_self_attention_up_to_the_mean(design: str):
    torch.set_num_threads(1)
    for seed in (0, 1):
        assert LESSON["fit"](design, seed, rate=0.005)[1] < LESSON["RECORDED"]["mean"][seed] - 0.02


if __name__ == "__main__":
    for each in LESSON["DESIGNS"]:
        print(f'    "{each}": {trained(each)},', flush=True)
