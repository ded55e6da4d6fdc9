r"""Fit: the training loop, once, for every model of this package.

    each epoch   for each batch: loss, gradients, clip, step; then validate, keep the best weights, write a checkpoint
    rate         falls along half a cosine, from learning_rate to nearly 0 in the last of `epochs`
    stop         when validation has not risen for `patience` epochs, or epochs are up; go back to the best

Rule   Where nothing is held out (validation is NaN in every epoch) all epochs are run and the last weights are kept;
       take their number from an earlier run with validation.
       All randomness (order, crops, negatives, dropout) comes from `seed`, and the caller's generators are left as they
       were. A run that was killed and is started again with its checkpoint ends with the same bits, on a CPU. Data,
       loss and patience are not in the checkpoint: the caller must give the same ones again.
       weight_decay is AdamW's, no term of the loss: each step shrinks every parameter by rate · weight_decay, biases
       and norms too.
Asked  "Write the training loop. What decides when it stops? What is in your checkpoint? The loss is NaN: and now?"
Source Prechelt 1998, "Early Stopping – But When?". https://doi.org/10.1007/3-540-49430-8_3
"""

import copy
import math
import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Generic, Protocol, TypeVar

import torch
from torch import nn
from tqdm import tqdm  # type: ignore[import-untyped]

from recattn_mini.training import checkpoint as file
from recattn_mini.training.not_finite import NotFinite, likely_cause

Model = TypeVar("Model", bound=nn.Module)
Validated = TypeVar("Validated", bound=nn.Module, contravariant=True)


class Data(Protocol[Validated]):
    """What a model is trained on: see `training.next_item` and `training.clicks`."""

    def batches(self, generator: torch.Generator) -> Iterable[Any]:
        """One epoch: named tuples of tensors, in an order drawn from the generator."""

    def validate(self, model: Validated) -> float:
        """How good the model is on what is held out; more is better, NaN where nothing is."""


@dataclass(frozen=True)
class Fitted:
    """What happened, by epoch; `best` is the epoch, from 0, whose weights the model has now."""

    losses: list[float]
    validation: list[float]
    best: int


def fit(
    model: Model,
    data: Data[Model],
    loss: Callable[[Model, Any], torch.Tensor],
    *,
    epochs: int = 100,
    patience: int = 10,
    learning_rate: float = 1e-3,
    weight_decay: float = 0.0,
    largest_gradient_norm: float = 5.0,
    seed: int = 0,
    checkpoint: str | Path | None = None,
) -> Fitted:
    """Train the model on the device where it is; in the end it has its best weights and is in evaluation mode.

    An interrupted training ends like this too. A loss or a gradient that is not finite raises `NotFinite`, with the
    step and a likely cause; a checkpoint of other settings, or of another model, is a ValueError.
    """
    if epochs < 1 or patience < 1:
        raise ValueError(f"epochs and patience must be from 1, got {epochs} and {patience}")
    settings = {  # Python's own numbers: a checkpoint with NumPy's would not be read back
        "epochs": int(epochs),
        "learning_rate": float(learning_rate),
        "weight_decay": float(weight_decay),
        "largest_gradient_norm": float(largest_gradient_norm),
        "seed": int(seed),
    }
    path = None if checkpoint is None else Path(checkpoint)
    run = _Run.start(model, settings)
    with torch.random.fork_rng([run.device] if run.device.type == "cuda" else []):
        _seed(int(seed), run.device)
        if path is not None and path.exists():
            _resume(run, path)
        try:
            _run_epochs(run, data, loss, patience, path)
        finally:
            if run.best:
                model.load_state_dict(run.best)
            model.eval()
    return Fitted(run.losses, run.validation, _best(run.validation))


@dataclass
class _Run(Generic[Model]):
    """One training: its settings, and everything that changes from epoch to epoch."""

    settings: dict[str, Any]
    model: Model
    optimiser: torch.optim.Optimizer
    generator: torch.Generator  # draws the batches; on the CPU, so that every device sees the same ones
    losses: list[float] = field(default_factory=list)
    validation: list[float] = field(default_factory=list)
    best: dict[str, torch.Tensor] = field(default_factory=dict)

    @classmethod
    def start(cls, model: Model, settings: dict[str, Any]) -> "_Run[Model]":
        """Before the first epoch."""
        rate, decay = settings["learning_rate"], settings["weight_decay"]
        optimiser = torch.optim.AdamW(model.parameters(), lr=rate, weight_decay=decay)
        return cls(settings, model, optimiser, torch.Generator().manual_seed(settings["seed"]))

    @property
    def device(self) -> torch.device:
        """Where the model is."""
        return next(self.model.parameters()).device


def _run_epochs(
    run: _Run[Model],
    data: Data[Model],
    loss: Callable[[Model, Any], torch.Tensor],
    patience: int,
    path: Path | None,
) -> None:
    """Epochs until one of the rules stops them: each trains, validates, keeps the best weights, writes a checkpoint."""
    epochs = run.settings["epochs"]
    with tqdm(total=epochs, initial=len(run.losses), unit="epoch", file=sys.stdout) as progress:
        while not _finished(run.validation, epochs, patience):
            rate = run.settings["learning_rate"] * (1 + math.cos(math.pi * len(run.losses) / epochs)) / 2
            for group in run.optimiser.param_groups:
                group["lr"] = rate
            run.losses.append(_train(run, data, loss))
            run.model.eval()
            with torch.no_grad():
                run.validation.append(float(data.validate(run.model)))
            if _best(run.validation) == len(run.validation) - 1:
                run.best = copy.deepcopy(run.model.state_dict())
            if path is not None:
                _save(run, path)
            progress.set_postfix(loss=f"{run.losses[-1]:.4f}", validation=f"{run.validation[-1]:.4f}")
            progress.update()


def _train(run: _Run[Model], data: Data[Model], loss: Callable[[Model, Any], torch.Tensor]) -> float:
    """One epoch; the mean of its losses."""
    model, epoch = run.model, len(run.losses)
    model.train()
    losses = []
    for step, batch in enumerate(data.batches(run.generator)):
        batch = batch._make(x.to(run.device) for x in batch)
        value = loss(model, batch)
        run.optimiser.zero_grad()
        value.backward()
        norm = nn.utils.clip_grad_norm_(model.parameters(), run.settings["largest_gradient_norm"])
        if not (value.isfinite() and norm.isfinite()):
            raise NotFinite(
                f"the loss is {value.item():g} and its gradient's norm {norm.item():g} in epoch {epoch}, step {step}: "
                + likely_cause(model, loss, batch)
            )
        run.optimiser.step()
        losses.append(value.item())
    if not losses:
        raise ValueError("data gave no batch to train on")
    return math.fsum(losses) / len(losses)


def _save(run: _Run[Model], path: Path) -> None:
    state = {
        "settings": run.settings,
        "losses": run.losses,
        "validation": run.validation,
        "best": run.best,
        "model": run.model.state_dict(),
        "optimiser": run.optimiser.state_dict(),
        "generator": run.generator.get_state(),
        "global generators": _global_generators(run.device),
    }
    file.write(path, state)


def _resume(run: _Run[Model], path: Path) -> None:
    """Put everything back to where the checkpoint was written."""
    state = file.read(path)
    _check_belongs(state, run.settings, run.model, path)
    run.losses, run.validation, run.best = state["losses"], state["validation"], state["best"]
    run.model.load_state_dict(state["model"])
    run.optimiser.load_state_dict(state["optimiser"])
    run.generator.set_state(state["generator"])
    _set_global_generators(state["global generators"], run.device)


def _best(validation: list[float]) -> int:
    """The first epoch with the highest value; the last one if there is no value at all."""
    known = [epoch for epoch, value in enumerate(validation) if not math.isnan(value)]
    return max(known, key=lambda epoch: validation[epoch], default=len(validation) - 1)


def _finished(validation: list[float], epochs: int, patience: int) -> bool:
    return len(validation) >= epochs or (len(validation) > 0 and len(validation) - 1 - _best(validation) >= patience)


def _check_belongs(state: dict[str, Any], settings: dict[str, float], model: nn.Module, path: str | Path) -> None:
    """A checkpoint of another run is a ValueError, raised before anything of the caller's is overwritten."""
    if not isinstance(state, dict) or "settings" not in state:
        raise ValueError(f"checkpoint {path} was not written by fit")
    if state["settings"] != settings:
        raise ValueError(f"checkpoint {path} was made with {state['settings']}, now it is {settings}")
    theirs = {name: tuple(x.shape) for name, x in state["model"].items()}
    ours = {name: tuple(x.shape) for name, x in model.state_dict().items()}
    for name in (*theirs, *ours):
        if theirs.get(name) != ours.get(name):
            raise ValueError(
                f"checkpoint {path} is another model's: {name} is {theirs.get(name)}, here {ours.get(name)}"
            )


def _seed(seed: int, device: torch.device) -> None:
    """The generators that dropout draws from; torch.manual_seed would reach those of all other devices as well."""
    torch.default_generator.manual_seed(seed)
    if device.type == "cuda":
        torch.cuda.manual_seed(seed)


def _global_generators(device: torch.device) -> list[torch.Tensor]:
    return [torch.get_rng_state(), *([torch.cuda.get_rng_state(device)] if device.type == "cuda" else [])]


def _set_global_generators(states: list[torch.Tensor], device: torch.device) -> None:
    torch.set_rng_state(states[0])
    if device.type == "cuda" and len(states) > 1:  # from a CPU's checkpoint training goes on, with other random bits
        torch.cuda.set_rng_state(states[1], device)
