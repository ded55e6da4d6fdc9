r"""AGRU and AIGRU: the two ways to put attention into a GRU that DIEN was compared with.

    h ← (1 - a) h + a n    AGRU: a instead of the update gate, one number for all units
    h ← GRU(a x, h)        AIGRU: a scales the input, and a = 0 still moves h

Axes    x (b c) an event, h (b d) the state, a (b) from 0 to 1; weights and candidate n as in `gru_cell`.
Rule    AGRU loses the gate, which decides unit by unit. AIGRU keeps it and has no way to skip an event: the gates move
        the state also where the input is 0. `augru_cell` scales the gate, and has both.
Cost    That of a GRU's step, again for every candidate.
Asked   "What is lost if attention replaces the gate?"
Source  Zhou et al., AAAI 2019, "Interest Evolving Layer". https://arxiv.org/abs/1809.03672
"""

import numpy as np
import torch

from recattn_mini.attention.gru_cell import gru_gates, gru_gates_numpy
from recattn_mini.shapes import takes

WEIGHTS = {"w_input": "d+d+d c", "w_state": "d+d+d d", "b_input": "d+d+d", "b_state": "d+d+d"}
STEP = {"x": "b c", "state": "b d", "attention": "b", **WEIGHTS}


@takes(**STEP)
def agru_cell_numpy(
    x: np.ndarray,
    state: np.ndarray,
    attention: np.ndarray,
    w_input: np.ndarray,
    w_state: np.ndarray,
    b_input: np.ndarray,
    b_state: np.ndarray,
) -> np.ndarray:
    """(1 - a) h + a n: x (b c), state (b d), attention (b), weights as in `gru_cell` -> (b d).

    >>> x, state, w, b = np.zeros((1, 1)), np.array([[8.0]]), np.zeros((3, 1)), np.zeros(3)
    >>> agru_cell_numpy(x, state, np.array([0.25]), w, w, b, b)  # n = 0: a quarter of 8 goes
    array([[6.]])
    """
    _, candidate = gru_gates_numpy(x, state, w_input, w_state, b_input, b_state)
    return (1 - attention[:, None]) * state + attention[:, None] * candidate


@takes(x="b c", attention="b")
def aigru_input_numpy(x: np.ndarray, attention: np.ndarray) -> np.ndarray:
    """a x: the input that AIGRU gives a GRU, x (b c), attention (b) -> (b c).

    Asked   "Why not scale the input?"
    """
    return attention[:, None] * x


@takes(**STEP)
def agru_cell(
    x: torch.Tensor,
    state: torch.Tensor,
    attention: torch.Tensor,
    w_input: torch.Tensor,
    w_state: torch.Tensor,
    b_input: torch.Tensor,
    b_state: torch.Tensor,
) -> torch.Tensor:
    """(1 - a) h + a n: x (b c), state (b d), attention (b), weights as in `gru_cell` -> (b d)."""
    _, candidate = gru_gates(x, state, w_input, w_state, b_input, b_state)
    return (1 - attention[:, None]) * state + attention[:, None] * candidate


@takes(x="b c", attention="b")
def aigru_input(x: torch.Tensor, attention: torch.Tensor) -> torch.Tensor:
    """a x: the input that AIGRU gives a GRU, x (b c), attention (b) -> (b c)."""
    return attention[:, None] * x
