r"""DIEN's AUGRU: a GRU whose update gate is scaled by how much the event concerns the candidate.

    ũ = a (1 - z),  h ← (1 - ũ) h + ũ n    AUGRU; gate z and candidate n as in `gru_cell`
                 =  (1 - a) h + a GRU(x, h)
    h ← (1 - a) h + a n                    AGRU: a instead of the gate, one number for all units
    h ← GRU(a x, h)                        AIGRU: a scales the input, and a = 0 still moves h

Axes    x (b c) an event, h (b d) the state, a (b) from 0 to 1; weights as in `gru_cell`: blocks r, z, n.
Rule    a = 0 keeps the state, a = 1 is a GRU. The authors' released code has a = 0 a GRU and a = 1 overwrite the state,
        (1 - a) GRU(x, h) + a n: `augru_cell_released`. DIEN's a_t are a softmax over the history of h_tᵀ W e, see
        `multiplicative_attention`: they sum to 1, so most are near 1/s and a = 1 is a limit.
Cost    O(b·s·d·(c+d)) for a history, step after step, and again for every candidate: dear when a request has many.
Asked   "Write AUGRU. What do a = 0 and a = 1 do? Why not scale the input, and why is it slow online?"
Source  Zhou et al., AAAI 2019, "Interest Evolving Layer". https://arxiv.org/abs/1809.03672
"""

import numpy as np
import torch
from torch import nn

from recattn_mini.attention.gru_cell import gru_cell, gru_gates, gru_gates_numpy
from recattn_mini.shapes import takes


@takes(x="b c", state="b d", attention="b")
def augru_cell_numpy(
    x: np.ndarray,
    state: np.ndarray,
    attention: np.ndarray,
    w_input: np.ndarray,
    w_state: np.ndarray,
    b_input: np.ndarray,
    b_state: np.ndarray,
) -> np.ndarray:
    """x (b c), state (b d), attention (b), w_input (3d c), w_state (3d d), b_input (3d), b_state (3d) -> (b d).

    >>> x, state, half, weights = np.zeros((1, 1)), np.array([[8.0]]), np.array([0.5]), [np.zeros((3, 1))] * 2
    >>> augru_cell_numpy(x, state, half, *weights, np.zeros(3), np.zeros(3))  # u = 1/2, so ũ = 1/4 of 8 goes
    array([[6.]])
    """
    keep, candidate = gru_gates_numpy(x, state, w_input, w_state, b_input, b_state)
    update = attention[:, None] * (1 - keep)
    return (1 - update) * state + update * candidate


@takes(x="b c", state="b d", attention="b")
def augru_cell_released_numpy(
    x: np.ndarray, state: np.ndarray, attention: np.ndarray, *weights: np.ndarray
) -> np.ndarray:
    """z ← (1 - a) z, what the authors' code does (r is there inside the matrix product); weights as in `augru_cell`.

    >>> x, state, half, weights = np.zeros((1, 1)), np.array([[8.0]]), np.array([0.5]), [np.zeros((3, 1))] * 2
    >>> augru_cell_released_numpy(x, state, half, *weights, np.zeros(3), np.zeros(3))  # z = 1/2, of which half remains
    array([[2.]])

    Asked   "Which way is the gate in the authors' code?"
    Source  `mouna99/dien` 2018.
    """
    keep, candidate = gru_gates_numpy(x, state, *weights)
    keep = (1 - attention[:, None]) * keep
    return keep * state + (1 - keep) * candidate


@takes(x="b c", state="b d", attention="b")
def agru_cell_numpy(x: np.ndarray, state: np.ndarray, attention: np.ndarray, *weights: np.ndarray) -> np.ndarray:
    """(1 - a) h + a n: attention in the gate's place; weights (w_input, w_state, b_input, b_state).

    Asked   "What is lost if attention replaces the gate?"
    """
    _, candidate = gru_gates_numpy(x, state, *weights)
    return (1 - attention[:, None]) * state + attention[:, None] * candidate


@takes(x="b c", attention="b")
def aigru_input_numpy(x: np.ndarray, attention: np.ndarray) -> np.ndarray:
    """a x: the input that AIGRU gives a GRU, x (b c), attention (b) -> (b c).

    Asked   "Why not scale the input?"
    """
    return attention[:, None] * x


@takes(x="b c", state="b d", attention="b")
def augru_cell(
    x: torch.Tensor,
    state: torch.Tensor,
    attention: torch.Tensor,
    w_input: torch.Tensor,
    w_state: torch.Tensor,
    b_input: torch.Tensor,
    b_state: torch.Tensor,
) -> torch.Tensor:
    """x (b c), state (b d), attention (b), w_input (3d c), w_state (3d d), b_input (3d), b_state (3d) -> (b d)."""
    stepped = gru_cell(x, state, w_input, w_state, b_input, b_state)
    return (1 - attention[:, None]) * state + attention[:, None] * stepped  # the same as ũ = a (1 - z)


@takes(x="b c", state="b d", attention="b")
def augru_cell_released(
    x: torch.Tensor, state: torch.Tensor, attention: torch.Tensor, *weights: torch.Tensor
) -> torch.Tensor:
    """z ← (1 - a) z, what the authors' code does (r is there inside the matrix product); weights as in `augru_cell`."""
    keep, candidate = gru_gates(x, state, *weights)
    keep = (1 - attention[:, None]) * keep
    return keep * state + (1 - keep) * candidate


@takes(x="b c", state="b d", attention="b")
def agru_cell(x: torch.Tensor, state: torch.Tensor, attention: torch.Tensor, *weights: torch.Tensor) -> torch.Tensor:
    """(1 - a) h + a n: attention in the gate's place; weights (w_input, w_state, b_input, b_state)."""
    _, candidate = gru_gates(x, state, *weights)
    return (1 - attention[:, None]) * state + attention[:, None] * candidate


@takes(x="b c", attention="b")
def aigru_input(x: torch.Tensor, attention: torch.Tensor) -> torch.Tensor:
    """a x: the input that AIGRU gives a GRU, x (b c), attention (b) -> (b c)."""
    return attention[:, None] * x


class AUGRU(nn.Module):
    """`augru_cell` over a history; widths c of an event, d of the state, which starts at zero.

    Parameters: cell.weight_ih (3d c), cell.weight_hh (3d d), cell.bias_ih (3d), cell.bias_hh (3d).
    """

    def __init__(self, c: int, d: int) -> None:
        super().__init__()
        self.cell = nn.GRUCell(c, d)

    @takes(x="b s c", attention="b s", mask="bool b s")
    def forward(self, x: torch.Tensor, attention: torch.Tensor, mask: torch.Tensor | None = None) -> torch.Tensor:
        """x (b s c), attention (b s), mask (b s), True = an event -> the states (b s d); padding keeps the state."""
        if mask is not None:
            attention = attention.masked_fill(~mask, 0)  # and a = 0 keeps the state
        weights = self.cell.weight_ih, self.cell.weight_hh, self.cell.bias_ih, self.cell.bias_hh
        state, states = x.new_zeros(len(x), self.cell.hidden_size), []
        for event, weight in zip(x.unbind(1), attention.unbind(1), strict=True):
            state = augru_cell(event, state, weight, *weights)
            states.append(state)
        return torch.stack(states, dim=1)
