"""What the tests of notebooks share: run one, read what its cells say."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import matplotlib.pyplot as plt
import nbformat
import numpy as np
import torch
from nbclient import NotebookClient

ROOT = Path(__file__).parents[1]


@contextmanager
def printing_as_before() -> Iterator[None]:
    """A lesson's cells set how numbers are printed and figures drawn; the tests after it shall not notice."""
    with np.printoptions(), plt.rc_context():
        yield
    torch.set_printoptions(profile="default")


def run(text: str, folder: Path, **environment: str) -> nbformat.NotebookNode:
    """The notebook after a run in a clean kernel."""
    nb = nbformat.reads(text, as_version=4)
    steady = {"NO_COLOR": "1", "RECATTN_DATA_DIR": str(folder), "PYTHONPATH": str(ROOT)}
    NotebookClient(nb, timeout=300).execute(cwd=str(folder), env={**os.environ, **steady, **environment})
    return nb


def said(cell: nbformat.NotebookNode) -> str:
    """What a cell printed, errors and all."""
    return "".join(
        "\n".join(o.get("traceback", [])) or "".join(o.get("text", "") or o.get("data", {}).get("text/plain", ""))
        for o in cell.get("outputs", [])
    )


def code(nb: nbformat.NotebookNode) -> list[nbformat.NotebookNode]:
    return [cell for cell in nb.cells if cell.cell_type == "code"]
