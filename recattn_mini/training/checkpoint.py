"""Checkpoints: a file that is either the old one or the new one, never half of it, read as tensors and numbers only.

Rule   A checkpoint is written to a temporary file in the same folder, flushed to the disk, then renamed, and the folder
       is flushed for the name: a process that is killed, or a power cut, at any moment leaves a whole file. It is read
       with `weights_only=True`, which refuses whatever else a pickle can do. That is a guard and no promise: as public
       pages report, there were ways around it up to PyTorch 2.5.1 (CVE-2025-32434) and below 2.10 (CVE-2026-24747). So
       this package asks for 2.10; read no stranger's file.
Asked  "Training is killed at epoch 30 of 40. What must have been saved?" Not only the weights: the optimiser's moments,
       the state of every random generator, the best weights so far and how validation went.
Source Eisenman et al. 2022 (Check-N-Run). https://arxiv.org/abs/2010.08679
"""

import contextlib
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
    _flush_folder(path.parent)


def _flush_folder(folder: Path) -> None:
    """A new name is safe from a power cut once its folder is on the disk; Windows cannot, and need not."""
    with contextlib.suppress(OSError):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def read(path: Path) -> dict[str, Any]:
    """The state that `write` put there, on the CPU; `load_state_dict` moves it to where the model is.

    A file that is no checkpoint is a ValueError.

    Asked   "Why never `torch.load` a stranger's pickle?"
    """
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except OSError:
        raise
    except Exception as error:  # whatever a reader of archives and pickles makes of another file
        raise ValueError(f"checkpoint {path} is no file that `write` wrote: {error}") from error
