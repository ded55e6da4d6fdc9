"""Checkpoints: a file that is either the old one or the new one, never half of it, and never runs code when read.

Rule   Written beside its place, flushed to the disk, then renamed over it: killed at any moment, a process leaves a
       whole file. Read with `weights_only=True`: a stranger's pickle can do anything, tensors and numbers cannot.
Asked  "Training dies at epoch 30 of 40. What must have been saved?" Not the weights alone: the optimiser's moments,
       the state of every random generator, the best weights so far and how validation went.
"""

import os
import tempfile
from pathlib import Path
from typing import Any

import torch


def save(path: Path, state: dict[str, Any]) -> None:
    """Put the state (tensors, numbers, text, lists and dicts of them) into the file, as a whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as file:
            torch.save(state, file)
            file.flush()
            os.fsync(file.fileno())
        os.replace(name, path)
    except BaseException:
        os.unlink(name)
        raise


def load(path: Path) -> dict[str, Any]:
    """The state that `save` put there, on the CPU; `load_state_dict` moves it to where the model is."""
    return torch.load(path, map_location="cpu", weights_only=True)
