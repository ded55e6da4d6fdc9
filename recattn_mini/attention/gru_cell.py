r"""A GRU's step: gates decide, unit by unit, what is kept of the state and what the event overwrites.

    r = σ(W_ir x + b_ir + W_hr h + b_hr)           reset: how much of W_hn h the candidate sees
    z = σ(W_iz x + b_iz + W_hz h + b_hz)           keep
    n = tanh(W_in x + b_in + r (W_hn h + b_hn))    candidate
    h ← z h + (1 - z) n

Axes    x (b c) an event, h (b d) the state; w_input (3d c), w_state (3d d), both biases (3d): blocks r, z, n.
Rule    Which way z points is a convention: Cho 2014 and PyTorch keep z of the state; Chung 2014 and DIEN overwrite u of
        it: u = 1 - z. r stands outside W_hn h, so b_hn does not merge with b_in; Cho has W_hn (r h). Keras has z, r, n.
Cost    O(b·d·(c+d)) time a step, and each step waits for the one before; attention's positions do not.
Asked   "Write a GRU cell. What does z near 1 do? Why two biases?"
Source  Cho et al. 2014, sec. 2.3, https://arxiv.org/abs/1406.1078; Chung et al. 2014, https://arxiv.org/abs/1412.3555
"""

import numpy as np
import torch

from recattn_mini.shapes import takes


def _sigmoid_numpy(x: np.ndarray) -> np.ndarray:
    return (1 + np.tanh(x / 2)) / 2  # without an overflow in exp


@takes(x="b c", state="b d", w_input="d+d+d c", w_state="d+d+d d", b_input="d+d+d", b_state="d+d+d")
def gru_gates_numpy(
    x: np.ndarray,
    state: np.ndarray,
    w_input: np.ndarray,
    w_state: np.ndarray,
    b_input: np.ndarray,
    b_state: np.ndarray,
) -> tuple[np.ndarray, np.ndarray]:
    """x (b c), state (b d) and weights as in `gru_cell_numpy` -> the keep gate z (b d) and the candidate n (b d)."""
    reset_x, keep_x, new_x = np.split(x @ w_input.T + b_input, 3, axis=-1)
    reset_h, keep_h, new_h = np.split(state @ w_state.T + b_state, 3, axis=-1)
    reset, keep = _sigmoid_numpy(reset_x + reset_h), _sigmoid_numpy(keep_x + keep_h)
    return keep, np.tanh(new_x + reset * new_h)


@takes(x="b c", state="b d", w_input="d+d+d c", w_state="d+d+d d", b_input="d+d+d", b_state="d+d+d")
def gru_cell_numpy(
    x: np.ndarray,
    state: np.ndarray,
    w_input: np.ndarray,
    w_state: np.ndarray,
    b_input: np.ndarray,
    b_state: np.ndarray,
) -> np.ndarray:
    """z h + (1 - z) n: x (b c), state (b d), w_input (3d c), w_state (3d d), b_input (3d), b_state (3d) -> (b d).

    >>> x, state, zero = np.zeros((1, 1)), np.array([[8.0]]), np.zeros((3, 1))
    >>> gru_cell_numpy(x, state, zero, zero, np.array([0, np.log(3.0), 0]), zero[:, 0])  # z = σ(log 3) = 3/4, n = 0
    array([[6.]])
    """
    keep, candidate = gru_gates_numpy(x, state, w_input, w_state, b_input, b_state)
    return keep * state + (1 - keep) * candidate


@takes(x="b c", state="b d", w_input="d+d+d c", w_state="d+d+d d", b_input="d+d+d", b_state="d+d+d")
def gru_gates(
    x: torch.Tensor,
    state: torch.Tensor,
    w_input: torch.Tensor,
    w_state: torch.Tensor,
    b_input: torch.Tensor,
    b_state: torch.Tensor,
) -> tuple[torch.Tensor, torch.Tensor]:
    """x (b c), state (b d) and weights as in `gru_cell` -> the keep gate z (b d) and the candidate n (b d)."""
    reset_x, keep_x, new_x = (x @ w_input.mT + b_input).chunk(3, dim=-1)
    reset_h, keep_h, new_h = (state @ w_state.mT + b_state).chunk(3, dim=-1)
    reset, keep = (reset_x + reset_h).sigmoid(), (keep_x + keep_h).sigmoid()
    return keep, torch.tanh(new_x + reset * new_h)


@takes(x="b c", state="b d", w_input="d+d+d c", w_state="d+d+d d", b_input="d+d+d", b_state="d+d+d")
def gru_cell(
    x: torch.Tensor,
    state: torch.Tensor,
    w_input: torch.Tensor,
    w_state: torch.Tensor,
    b_input: torch.Tensor,
    b_state: torch.Tensor,
) -> torch.Tensor:
    """z h + (1 - z) n: x (b c), state (b d), w_input (3d c), w_state (3d d), b_input (3d), b_state (3d) -> (b d).

    With nn.GRUCell's weight_ih, weight_hh, bias_ih and bias_hh it is nn.GRUCell.
    """
    keep, candidate = gru_gates(x, state, w_input, w_state, b_input, b_state)
    return keep * state + (1 - keep) * candidate
