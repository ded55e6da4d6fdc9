r"""DIEN's AUGRU: a GRU whose update gate is scaled by how much the event concerns the candidate.

    u = 1 - z,  ũ = a u,  h ← (1 - ũ) h + ũ n      gate z and candidate n as in `gru_cell`
                            =  (1 - a) h + a GRU(x, h)

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

from recattn_mini.attention.gru_cell import gru_gates, gru_gates_numpy
from recattn_mini.shapes import takes

WEIGHTS = {"w_input": "d+d+d c", "w_state": "d+d+d d", "b_input": "d+d+d", "b_state": "d+d+d"}
STEP = {"x": "b c", "state": "b d", "attention": "b", **WEIGHTS}


@takes(**STEP)
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

    The gates are nn.GRUCell's, and so is the order of the three blocks of each weight, r, z, n:
    r, z = σ(W x + b_input + U state + b_state),  n = tanh(W_n x + b_input_n + r ⊙ (U_n state + b_state_n)).
    Here z keeps the state and u = 1 - z updates it. Attention a, from 0 to 1, scales u alone, ũ = a u; the result is
    (1 - ũ) ⊙ state + ũ ⊙ n. Gates far beyond ±1,000 neither overflow nor are cut. The arguments stay as they are.

    >>> x, state, a, w, b = np.zeros((1, 1)), np.array([[8.0]]), np.array([0.5]), np.zeros((3, 1)), np.zeros(3)
    >>> augru_cell_numpy(x, state, a, w, w, b, b)  # z = u = 1/2 and n = 0, so ũ = 1/4 of 8 goes
    array([[6.]])
    """
    reset_x, keep_x, new_x = np.split(x @ w_input.T + b_input, 3, axis=-1)
    reset_h, keep_h, new_h = np.split(state @ w_state.T + b_state, 3, axis=-1)
    reset, keep = _sigmoid_numpy(reset_x + reset_h), _sigmoid_numpy(keep_x + keep_h)
    candidate = np.tanh(new_x + reset * new_h)
    update = attention[:, None] * (1 - keep)
    return (1 - update) * state + update * candidate


@takes(**STEP)
def augru_cell_released_numpy(
    x: np.ndarray,
    state: np.ndarray,
    attention: np.ndarray,
    w_input: np.ndarray,
    w_state: np.ndarray,
    b_input: np.ndarray,
    b_state: np.ndarray,
) -> np.ndarray:
    """z ← (1 - a) z, as in the authors' code, which has r inside the matrix product; weights as in `augru_cell`.

    >>> x, state, a, w, b = np.zeros((1, 1)), np.array([[8.0]]), np.array([0.5]), np.zeros((3, 1)), np.zeros(3)
    >>> augru_cell_released_numpy(x, state, a, w, w, b, b)  # z = 1/2, of which half remains
    array([[2.]])

    Asked   "Which way is the gate in the authors' code?"
    Source  `mouna99/dien` 2018.
    """
    keep, candidate = gru_gates_numpy(x, state, w_input, w_state, b_input, b_state)
    keep = (1 - attention[:, None]) * keep
    return keep * state + (1 - keep) * candidate


@takes(**STEP)
def augru_cell(
    x: torch.Tensor,
    state: torch.Tensor,
    attention: torch.Tensor,
    w_input: torch.Tensor,
    w_state: torch.Tensor,
    b_input: torch.Tensor,
    b_state: torch.Tensor,
) -> torch.Tensor:
    """x (b c), state (b d), attention (b), w_input (3d c), w_state (3d d), b_input (3d), b_state (3d) -> (b d).

    Formula and order of the blocks as in `augru_cell_numpy`; no gradient is NaN or infinite where gates saturate. The
    result has the state's dtype; the arguments stay as they are.

    >>> x, state, a = torch.zeros(1, 1), torch.tensor([[8.0]]), torch.tensor([0.5])
    >>> w, b = torch.zeros(3, 1), torch.zeros(3)
    >>> augru_cell(x, state, a, w, w, b, b)  # z = u = 1/2 and n = 0, so ũ = 1/4 of 8 goes
    tensor([[6.]])
    """
    reset_x, keep_x, new_x = (x @ w_input.mT + b_input).chunk(3, dim=-1)
    reset_h, keep_h, new_h = (state @ w_state.mT + b_state).chunk(3, dim=-1)
    reset, keep = torch.sigmoid(reset_x + reset_h), torch.sigmoid(keep_x + keep_h)
    candidate = torch.tanh(new_x + reset * new_h)
    update = attention[:, None] * (1 - keep)
    return (1 - update) * state + update * candidate


@takes(**STEP)
def augru_cell_released(
    x: torch.Tensor,
    state: torch.Tensor,
    attention: torch.Tensor,
    w_input: torch.Tensor,
    w_state: torch.Tensor,
    b_input: torch.Tensor,
    b_state: torch.Tensor,
) -> torch.Tensor:
    """z ← (1 - a) z, as in the authors' code, which has r inside the matrix product; weights as in `augru_cell`."""
    keep, candidate = gru_gates(x, state, w_input, w_state, b_input, b_state)
    keep = (1 - attention[:, None]) * keep
    return keep * state + (1 - keep) * candidate


def _sigmoid_numpy(x: np.ndarray) -> np.ndarray:
    return (1 + np.tanh(x / 2)) / 2  # the same as 1 / (1 + exp(-x)), whose exp overflows


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
            attention = attention.masked_fill(~mask, 0)  # a = 0 keeps the state
        weights = self.cell.weight_ih, self.cell.weight_hh, self.cell.bias_ih, self.cell.bias_hh
        state, states = x.new_zeros(len(x), self.cell.hidden_size), []
        for event, weight in zip(x.unbind(1), attention.unbind(1), strict=True):
            state = augru_cell(event, state, weight, *weights)
            states.append(state)
        return torch.stack(states, dim=1)
