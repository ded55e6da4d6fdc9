"""The loop, on a tiny problem: what it restores, when it stops, that a killed run ends as if nothing had happened."""

import math
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
import torch
from torch import nn

import recattn_mini
from recattn_mini.training import checkpoint
from recattn_mini.training.fit import fit
from recattn_mini.training.not_finite import NotFinite

ROOT = Path(recattn_mini.__file__).parents[1]


class Points(NamedTuple):
    x: torch.Tensor
    y: torch.Tensor


class Line:
    """y = 3x - 1 and noise, in batches of an order that the generator draws."""

    def __init__(self, validation=None, pause=0.0, on_epoch=None):
        noise = torch.randn(64, 1, generator=torch.Generator().manual_seed(1))
        self.x = torch.linspace(-1, 1, 64)[:, None]
        self.y = 3 * self.x - 1 + 0.1 * noise
        self.told = validation
        self.pause = pause

    def batches(self, generator):
        for rows in torch.randperm(64, generator=generator).split(16):
            time.sleep(self.pause)
            yield Points(self.x[rows], self.y[rows])

    def validate(self, model):
        assert not model.training
        assert not torch.is_grad_enabled()
        return next(self.told) if self.told else -(model(self.x) - self.y).square().mean().item()


def network():
    torch.manual_seed(7)
    return nn.Sequential(nn.Linear(1, 8), nn.ReLU(), nn.Dropout(0.1), nn.Linear(8, 1))


def squares(model, batch):
    return (model(batch.x) - batch.y).square().mean()


def weights(model):
    return torch.cat([p.detach().flatten() for p in model.parameters()])


class Watched(Line):
    """Notes the weights of each epoch, and tells how good they are as it was told."""

    def __init__(self, seen, told):
        super().__init__(iter(told))
        self.seen = seen

    def validate(self, model):
        self.seen.append(weights(model).clone())
        return super().validate(model)


def test_learns_the_line():
    model = network()
    fitted = fit(model, Line(), squares, epochs=200, patience=200, learning_rate=0.02)
    assert fitted.losses[0] > 1 > 0.5 > fitted.losses[-1]
    assert fitted.validation[fitted.best] == max(fitted.validation) > -0.1
    assert not model.training


def test_goes_back_to_the_best_weights_and_stops_after_patience():
    seen, told = [], [0.1, 0.5, float("nan"), 0.4, 0.5, 0.3]
    model = network()
    fitted = fit(model, Watched(seen, told), squares, epochs=100, patience=3)
    assert fitted.validation[:2] == [0.1, 0.5]
    assert len(fitted.validation) == 5, "a tie is no rise: three epochs after the best"
    assert fitted.best == 1
    assert torch.equal(weights(model), seen[1])


def test_where_nothing_is_held_out_all_epochs_run_and_the_last_weights_stay():
    seen, told = [], [float("nan")] * 5
    model = network()
    fitted = fit(model, Watched(seen, told), squares, epochs=5, patience=1)
    assert fitted.best == 4
    assert torch.equal(weights(model), seen[4])
    assert not torch.equal(seen[3], seen[4])


def test_one_seed_one_result_and_the_callers_generators_are_left_alone():
    one, same, other = network(), network(), network()
    before = torch.get_rng_state()
    fit(one, Line(), squares, epochs=3, seed=5)
    assert torch.equal(torch.get_rng_state(), before)
    torch.rand(3)
    fit(same, Line(), squares, epochs=3, seed=5)
    fit(other, Line(), squares, epochs=3, seed=6)
    assert torch.equal(weights(one), weights(same))
    assert not torch.equal(weights(one), weights(other))


def test_the_first_step_is_that_of_torch():
    """One batch, no dropout: the loop is AdamW's step on the clipped gradient, written out."""

    class Once(Line):
        def batches(self, generator):
            yield Points(self.x, 100 * self.y)

    model, theirs = network().eval(), network().eval()
    model[2].p = theirs[2].p = 0.0
    fit(model, Once(), squares, epochs=1, learning_rate=0.1, weight_decay=0.3, largest_gradient_norm=2.0)
    optimiser = torch.optim.AdamW(theirs.parameters(), lr=0.1, weight_decay=0.3)
    squares(theirs, next(Once().batches(None))).backward()
    assert nn.utils.clip_grad_norm_(theirs.parameters(), 2.0) > 2
    optimiser.step()
    assert torch.equal(weights(model), weights(theirs))


def test_the_rate_falls_along_half_a_cosine(monkeypatch):
    rates, step = [], torch.optim.AdamW.step

    def noted(self, *args):
        rates.append(self.param_groups[0]["lr"])
        return step(self, *args)

    monkeypatch.setattr(torch.optim.AdamW, "step", noted)
    fit(network(), Line(), squares, epochs=4, patience=9, learning_rate=8.0, largest_gradient_norm=1e-9)
    root = math.sqrt(0.5)
    assert rates[::4] == pytest.approx([8, 4 + 4 * root, 4, 4 - 4 * root])
    assert len(rates) == 16


KILLED = """
from pathlib import Path
from test_fit import Line, fit, network, squares
fit(network(), Line(pause={pause}), squares, epochs=30, patience=30, checkpoint=Path({path!r}))
"""


def test_a_killed_run_ends_with_the_same_bits(tmp_path):
    path = tmp_path / "run.pt"
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), str(Path(__file__).parent)])}
    program = KILLED.format(pause=0.02, path=str(path))
    process = subprocess.Popen([sys.executable, "-c", program], env=environment, stderr=subprocess.DEVNULL)
    while not path.exists():
        assert process.poll() is None
        time.sleep(0.01)
    time.sleep(0.3)  # somewhere within an epoch
    process.send_signal(signal.SIGKILL)
    process.wait()
    done = len(checkpoint.read(path)["losses"])
    assert 0 < done < 30

    resumed, whole = network(), network()
    after = fit(resumed, Line(), squares, epochs=30, patience=30, checkpoint=path)
    at_once = fit(whole, Line(), squares, epochs=30, patience=30)
    assert after == at_once
    assert torch.equal(weights(resumed), weights(whole))
    again = network()
    assert fit(again, Line(), squares, epochs=30, patience=30, checkpoint=path) == at_once
    assert torch.equal(weights(again), weights(whole))


def test_a_checkpoint_of_other_settings_is_refused(tmp_path):
    fit(network(), Line(), squares, epochs=1, checkpoint=tmp_path / "a.pt")
    with pytest.raises(ValueError, match=r"'seed': 0.*'seed': 1"):
        fit(network(), Line(), squares, epochs=1, seed=1, checkpoint=tmp_path / "a.pt")
    with pytest.raises(ValueError, match=r"'epochs': 1.*'epochs': 2"):
        fit(network(), Line(), squares, epochs=2, checkpoint=tmp_path / "a.pt")


def test_writing_fails_and_the_old_checkpoint_is_whole(tmp_path, monkeypatch):
    path = tmp_path / "a.pt"
    checkpoint.write(path, {"x": torch.ones(3)})

    def full(*_):
        raise OSError("No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        checkpoint.write(path, {"x": torch.zeros(3)})
    assert torch.equal(checkpoint.read(path)["x"], torch.ones(3))
    assert list(tmp_path.iterdir()) == [path]


def test_a_checkpoint_runs_no_code(tmp_path):
    class Bomb:
        def __reduce__(self):
            return os.mkdir, (str(tmp_path / "ran"),)

    torch.save({"model": Bomb()}, tmp_path / "a.pt")
    with pytest.raises(Exception, match=r"weights_only|Unsupported"):
        checkpoint.read(tmp_path / "a.pt")
    assert not (tmp_path / "ran").exists()


class Root(nn.Module):
    def __init__(self):
        super().__init__()
        self.w = nn.Parameter(torch.zeros(1))

    def forward(self, x):
        return self.w.square().sum().sqrt() * x


class Log(nn.Module):
    def forward(self, x):
        return x.log()


def poisoned(data, model):
    data.x[3] = float("nan")


def exploded(data, model):
    model[0].bias.data.fill_(float("inf"))


def enormous(data, model):
    model[3].weight.data.fill_(1e30)


def of_missing_values(data, model):
    model.register_buffer("genres", torch.tensor([1.0, float("nan")]))


def nothing(data, model):
    pass


def with_genres(model, batch):
    return squares(model, batch) + model.genres.sum()


def log_of_zero(model, batch):
    return squares(model, batch) + torch.zeros(1).log().sum()


@pytest.mark.parametrize(
    ("model", "loss", "spoil", "cause"),
    [
        (network(), squares, poisoned, "x of the batch is not finite"),
        (network(), squares, exploded, "0.bias was not finite before"),
        (network(), squares, enormous, r"3.weight was .* or beyond 1e\+06"),
        (network(), with_genres, of_missing_values, "genres, which is not trained, is not finite"),
        (nn.Sequential(nn.Linear(1, 1, bias=False), Log()), squares, nothing, r"1 \(Log\) is the first layer"),
        (network(), log_of_zero, nothing, "loss is not"),
        (Root(), squares, nothing, "its gradient is not"),
    ],
    ids=["batch", "parameter", "huge parameter", "buffer", "layer", "loss", "gradient"],
)
def test_not_finite_says_why(model, loss, spoil, cause):
    data = Line()
    spoil(data, model)
    with pytest.raises(NotFinite, match=rf"epoch 0, step \d: .*{cause}"):
        fit(model, data, loss, epochs=2)


def test_nothing_to_train():
    for settings in ({"epochs": 0}, {"patience": 0}):
        with pytest.raises(ValueError, match=r"epochs and patience must be from 1, got"):
            fit(network(), Line(), squares, **settings)
    data = Line()
    data.batches = lambda generator: iter([])
    with pytest.raises(ValueError, match="no batch"):
        fit(network(), data, squares)


@pytest.mark.parametrize("told", [[0.1, 0.5], []], ids=["in the third epoch", "in the first"])
def test_interrupted_it_ends_with_the_best_there_was(told):
    seen = []

    class Interrupted(Line):
        def validate(self, model):
            seen.append(weights(model).clone())
            if len(seen) > len(told):
                raise KeyboardInterrupt
            return told[len(seen) - 1]

    model = network()
    with pytest.raises(KeyboardInterrupt):
        fit(model, Interrupted(), squares)
    assert not model.training
    assert torch.equal(weights(model), seen[1] if told else seen[0])
    assert len(seen) == len(told) + 1


def test_a_resumed_run_goes_back_to_a_best_epoch_of_before_it(tmp_path):
    """The best is saved for itself: when the run dies, the weights are already those of a later epoch."""
    told, path, seen = [0.1, 0.5, 0.3, 0.2], tmp_path / "a.pt", []

    class Dies(Line):
        def validate(self, model):
            seen.append(weights(model).clone())
            if len(seen) == 4:
                raise KeyboardInterrupt
            return told[len(seen) - 1]

    with pytest.raises(KeyboardInterrupt):
        fit(network(), Dies(), squares, epochs=4, checkpoint=path)
    model = network()
    fitted = fit(model, Line(iter(told[3:])), squares, epochs=4, checkpoint=str(path))
    assert fitted.validation == told
    assert torch.equal(weights(model), seen[1])


def test_numbers_of_numpy_are_read_back(tmp_path):
    told = [np.float64(0.1), np.float64(0.2)]
    settings = {"learning_rate": np.float64(0.01), "weight_decay": np.float32(0.5), "seed": np.int64(3)}
    fit(network(), Line(iter(told)), squares, epochs=2, checkpoint=tmp_path / "a.pt", **settings)
    assert fit(network(), Line(), squares, epochs=2, checkpoint=tmp_path / "a.pt", **settings).validation == told


def test_a_file_that_is_no_checkpoint_of_this_model_is_told_and_nothing_is_overwritten(tmp_path):
    path, model = tmp_path / "a.pt", network()
    before = weights(model).clone()
    fit(
        nn.Sequential(nn.Linear(1, 8), nn.ReLU(), nn.Dropout(0.1), nn.Linear(8, 2)),
        Line(),
        squares,
        epochs=1,
        checkpoint=path,
    )
    with pytest.raises(ValueError, match=r"another model's: 3.weight is \(2, 8\), here \(1, 8\)"):
        fit(model, Line(), squares, epochs=1, checkpoint=path)
    torch.save({"x": torch.ones(1)}, path)
    with pytest.raises(ValueError, match="not written by fit"):
        fit(model, Line(), squares, epochs=1, checkpoint=path)
    path.write_bytes(b"\x80junk")
    with pytest.raises(ValueError, match=r"a\.pt is no file that `write` wrote"):
        fit(model, Line(), squares, epochs=1, checkpoint=path)
    assert torch.equal(weights(model), before)


def test_generators_of_other_devices_are_not_touched(monkeypatch):
    def touched(*_):
        raise AssertionError("a model on the CPU draws from no other generator")

    model = network()
    for name in ("manual_seed", "manual_seed_all"):
        monkeypatch.setattr(torch.cuda, name, touched)
    fit(model, Line(), squares, epochs=1)


@pytest.mark.parametrize("device", ["cuda", "mps"])
def test_stays_on_its_device(device):
    if not getattr(torch, device).is_available():
        pytest.skip(f"there is no {device} here")
    model = network().to(device)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Line, "validate", lambda self, model: 0.0)
        fit(model, Line(), squares, epochs=1)
    assert {p.device.type for p in model.parameters()} == {device}
