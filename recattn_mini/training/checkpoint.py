"""Checkpoints: a file that is either the old one or the new one, never half of it, read as tensors and numbers only.

Rule   Written beside its place, flushed to the disk, then renamed over it: killed at any moment, a process leaves a
       whole file. Read with `weights_only=True`, which refuses whatever else a pickle can do. That is a guard, not a
       promise: it had ways around it up to PyTorch 2.5.1 (CVE-2025-32434) and below 2.10 (CVE-2026-24747), as public
       pages report. So this package asks for 2.10, and a stranger's checkpoint stays a stranger's.
Asked  "Training dies at epoch 30 of 40. What must have been saved?" Not the weights alone: the optimiser's moments,
       the state of every random generator, the best weights so far and how validation went.
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
    """
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except OSError:
        raise
    except Exception as error:  # whatever a reader of archives and pickles makes of another file
        raise ValueError(f"checkpoint {path} is no file that `save` wrote: {error}") from error
