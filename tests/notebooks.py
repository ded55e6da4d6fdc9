"""What the tests of notebooks share: run one, read what its cells say."""

import ast
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import matplotlib.pyplot as plt
import nbformat
import numpy as np
import torch
from nbclient import NotebookClient

from recattn_mini.learn import notebook

ROOT = Path(__file__).parents[1]


@contextmanager
def printing_as_before() -> Iterator[None]:
    """A lesson's cells set how numbers are printed and figures drawn; the tests after it shall not notice."""
    with np.printoptions(), plt.rc_context():
        yield
    torch.set_printoptions(profile="default")


def run(nb: nbformat.NotebookNode, folder: Path, **environment: str) -> nbformat.NotebookNode:
    """The notebook after a run in a clean kernel."""
    one_thread = {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}  # more wait for each other on a busy machine
    steady = {"NO_COLOR": "1", "RECATTN_DATA_DIR": str(folder), "PYTHONPATH": str(ROOT), **one_thread}
    NotebookClient(nb, timeout=300).execute(cwd=str(folder), env={**os.environ, **steady, **environment})
    return nb


def dependent(nb: nbformat.NotebookNode, word: str) -> nbformat.NotebookNode:
    """The notebook with only those code cells that say `word`, that use what such a cell defined, or that these need.

    The others do the same whatever becomes of these, and are run by nbval where they stand in a solution.
    """
    cells = code(nb)
    needs: list[set[int]] = []
    bound: dict[str, int] = {}  # a name → the cell that defined it last
    for n, cell in enumerate(cells):
        own: set[str] = set()
        needs.append(set())
        for statement in notebook.statements(notebook.text(cell), f"cell {n}"):
            own |= _loops(statement.node)
            needs[n] |= {bound[name] for name in statement.uses - own if name in bound}
            own |= statement.binds
        bound |= dict.fromkeys(own, n)
    chosen: set[int] = set()
    for n, cell in enumerate(cells):
        if word in cell.source or needs[n] & chosen:
            chosen.add(n)
    for n in reversed(range(len(cells))):
        if n in chosen:
            chosen |= needs[n]
    kept = {id(cells[n]) for n in chosen}
    return nbformat.from_dict({**nb, "cells": [cell for cell in nb.cells if id(cell) in kept]})


def _loops(statement: ast.stmt) -> set[str]:
    """The variables of loops, which bind them before they use them."""
    targets = [node.target for node in ast.walk(statement) if isinstance(node, ast.For)]
    return {node.id for target in targets for node in ast.walk(target) if isinstance(node, ast.Name)}


def said(cell: nbformat.NotebookNode) -> str:
    """What a cell printed, errors and all."""
    return "".join(
        "\n".join(o.get("traceback", [])) or "".join(o.get("text", "") or o.get("data", {}).get("text/plain", ""))
        for o in cell.get("outputs", [])
    )


def code(nb: nbformat.NotebookNode) -> list[nbformat.NotebookNode]:
    return [cell for cell in nb.cells if cell.cell_type == "code"]
