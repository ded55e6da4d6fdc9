"""Checkpoints: a file that is either the old one or the new one, never half of it, and never runs code when read.

Rule   Written beside its place, flushed to the disk, then renamed over it: killed at any moment, a process leaves a
       whole file. Read with `weights_only=True`: a stranger's pickle can do anything, tensors and numbers cannot.
Asked  "Training dies at epoch 30 of 40. What must have been saved?" Not the weights alone: the optimiser's moments,
       the state of every random generator, the best weights so far and how validation went.
Source Eisenman et al. 2022 (Check-N-Run). https://arxiv.org/abs/2010.08679
"""

import os
import tempfile
from pathlib import Path
from typing import Any

import torch


def write(path: Path, state: dict[str, Any]) -> None:
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
        Path(name).unlink(missing_ok=True)
        raise


def read(path: Path) -> dict[str, Any]:
    """The state that `save` put there, on the CPU; `load_state_dict` moves it to where the model is.

    A file that is none is a ValueError.

    Asked   "Why never `torch.load` a stranger's pickle?"
    """
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except OSError:
        raise
    except Exception as error:  # whatever a reader of archives and pickles makes of another file
        raise ValueError(f"checkpoint {path} is no file that `save` wrote: {error}") from error
