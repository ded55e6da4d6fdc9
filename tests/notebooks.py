"""What the tests of notebooks share: run one, read what its cells say."""

import os
from pathlib import Path

import nbformat
from nbclient import NotebookClient

ROOT = Path(__file__).parents[1]


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
