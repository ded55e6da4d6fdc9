r"""Fit: the training loop, once, for every model of this package.

    each epoch   for each batch: loss, gradients, clip, step; then validate, keep the best weights, write a checkpoint
    rate         falls along half a cosine, from learning_rate to nearly 0 in the last of `epochs`
    stop         when validation has not risen for `patience` epochs, or epochs are up; go back to the best

Rule   Where nothing is held out any more (validation is NaN throughout) all epochs are run and the last weights kept;
       how many there should be, an earlier run has shown.
       All randomness (order, crops, negatives, dropout) comes from `seed`, and the caller's generators are left as they
       were. A run that was killed and is started again with its checkpoint ends with the same bits, on a CPU. Data,
       loss and patience are not in the checkpoint: they are yours to keep the same.
       AdamW's decay is not the loss's: it shrinks every parameter by rate · weight_decay a step, biases and norms too.
Asked  "Write the training loop. What decides when it stops? What is in your checkpoint? The loss is NaN: and now?"
Source Prechelt 1998, "Early Stopping – But When?". https://doi.org/10.1007/3-540-49430-8_3
"""

import copy
import math
import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, TypeVar

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
    """Train the model where it is, on whatever device; it ends with its best weights, in evaluation mode.

    So it does when it is interrupted. A loss or a gradient that is not finite raises `NotFinite`, with the step and a
    likely cause; a checkpoint of other settings, or of another model, is a ValueError.
    """
    if epochs < 1 or patience < 1:
        raise ValueError(f"epochs and patience must be from 1, got {epochs} and {patience}")
    learning_rate, weight_decay, seed = float(learning_rate), float(weight_decay), int(seed)
    settings = {"epochs": int(epochs), "learning_rate": learning_rate, "weight_decay": weight_decay}
    settings |= {"largest_gradient_norm": float(largest_gradient_norm), "seed": seed}  # NumPy's would not be read back
    device = next(model.parameters()).device
    optimiser = torch.optim.AdamW(model.parameters(), lr=learning_rate, weight_decay=weight_decay)
    generator = torch.Generator().manual_seed(seed)  # on the CPU, so that every device sees the same batches
    losses: list[float] = []
    validation: list[float] = []
    best: dict[str, torch.Tensor] = {}

    with torch.random.fork_rng([device] if device.type == "cuda" else []):
        _seed(seed, device)
        if checkpoint is not None and Path(checkpoint).exists():
            state = file.read(Path(checkpoint))
            _check_belongs(state, settings, model, checkpoint)
            losses, validation, best = state["losses"], state["validation"], state["best"]
            model.load_state_dict(state["model"])
            optimiser.load_state_dict(state["optimiser"])
            generator.set_state(state["generator"])
            _set_global_generators(state["global generators"], device)
        try:
            with tqdm(total=epochs, initial=len(losses), unit="epoch", file=sys.stdout) as progress:
                while not _finished(validation, epochs, patience):
                    for group in optimiser.param_groups:
                        group["lr"] = learning_rate * (1 + math.cos(math.pi * len(losses) / epochs)) / 2
                    losses.append(_train(model, data, loss, optimiser, largest_gradient_norm, generator, len(losses)))
                    model.eval()
                    with torch.no_grad():
                        validation.append(float(data.validate(model)))
                    if _best(validation) == len(validation) - 1:
                        best = copy.deepcopy(model.state_dict())
                    if checkpoint is not None:
                        state = {
                            "settings": settings,
                            "losses": losses,
                            "validation": validation,
                            "best": best,
                            "model": model.state_dict(),
                            "optimiser": optimiser.state_dict(),
                            "generator": generator.get_state(),
                            "global generators": _global_generators(device),
                        }
                        file.write(Path(checkpoint), state)
                    progress.set_postfix(loss=f"{losses[-1]:.4f}", validation=f"{validation[-1]:.4f}")
                    progress.update()
        finally:
            if best:
                model.load_state_dict(best)
            model.eval()
    return Fitted(losses, validation, _best(validation))


def _train(
    model: Model,
    data: Data[Model],
    loss: Callable[[Model, Any], torch.Tensor],
    optimiser: torch.optim.Optimizer,
    largest_gradient_norm: float,
    generator: torch.Generator,
    epoch: int,
) -> float:
    """One epoch; the mean of its losses."""
    model.train()
    device = next(model.parameters()).device
    losses = []
    for step, batch in enumerate(data.batches(generator)):
        batch = batch._make(x.to(device) for x in batch)
        value = loss(model, batch)
        optimiser.zero_grad()
        value.backward()
        norm = nn.utils.clip_grad_norm_(model.parameters(), largest_gradient_norm)
        if not (value.isfinite() and norm.isfinite()):
            raise NotFinite(
                f"the loss is {value.item():g} and its gradient's norm {norm.item():g} in epoch {epoch}, step {step}: "
                + likely_cause(model, loss, batch)
            )
        optimiser.step()
        losses.append(value.item())
    if not losses:
        raise ValueError("data gave no batch to train on")
    return math.fsum(losses) / len(losses)


def _best(validation: list[float]) -> int:
    """The first epoch with the highest value; the last one if there is no value at all."""
    told = [epoch for epoch, value in enumerate(validation) if not math.isnan(value)]
    return max(told, key=lambda epoch: validation[epoch], default=len(validation) - 1)


def _finished(validation: list[float], epochs: int, patience: int) -> bool:
    return len(validation) >= epochs or (len(validation) > 0 and len(validation) - 1 - _best(validation) >= patience)


def _check_belongs(state: dict[str, Any], settings: dict[str, float], model: nn.Module, path: str | Path) -> None:
    """Before anything of the caller's is overwritten: is this checkpoint one of this run?"""
    if not isinstance(state, dict) or "settings" not in state:
        raise ValueError(f"checkpoint {path} was not written by fit")
    if state["settings"] != settings:
        raise ValueError(f"checkpoint {path} was made with {state['settings']}, now it is {settings}")
    told, asked = ({name: tuple(x.shape) for name, x in each.items()} for each in (state["model"], model.state_dict()))
    if told != asked:
        name = next(name for name in (*told, *asked) if told.get(name) != asked.get(name))
        raise ValueError(f"checkpoint {path} is another model's: {name} is {told.get(name)}, here {asked.get(name)}")


def _seed(seed: int, device: torch.device) -> None:
    """The generators that dropout draws from; torch.manual_seed would reach those of all other devices as well."""
    torch.default_generator.manual_seed(seed)
    if device.type == "cuda":
        torch.cuda.manual_seed(seed)


def _global_generators(device: torch.device) -> list[torch.Tensor]:
    return [torch.get_rng_state(), *([torch.cuda.get_rng_state(device)] if device.type == "cuda" else [])]


def _set_global_generators(states: list[torch.Tensor], device: torch.device) -> None:
    torch.set_rng_state(states[0])
    if device.type == "cuda" and len(states) > 1:  # one that was made on a CPU goes on, but not with the same bits
        torch.cuda.set_rng_state(states[1], device)
