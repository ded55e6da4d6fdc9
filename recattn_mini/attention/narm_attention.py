r"""NARM's attention: the last state of a GRU looks back at all states, and what it sees is put beside it.

    a_j = w_score · σ(W_last h_T + W_state h_j);   out = [h_T ; Σ_j a_j h_j]

Axes    states h (... s d), last h_T (... d), mask broadcasts to (... s), True = a click; both W (a d), w_score (a).
Rule    No softmax: a_j is any number, so the sum grows with the session. RecBole keeps to the paper; the authors' own
        program computes something else, a hard sigmoid and then a softmax, and torch-rechub takes a softmax too.
        h_T is the state after the last click. Under padding on the right that is not states[:, -1]. No click at all
        gives zeros beside h_T.
Cost    O(s·d·a) time, O(s·a) memory, after a GRU that reads s clicks one by one.
Asked   "What does attention add to a GRU's last state? Why is h_T in the output twice over?"
Source  Li et al. 2017, sec. 3.3-3.5. https://arxiv.org/abs/1711.04725
"""

import numpy as np
import torch
from torch import nn

from recattn_mini.shapes import takes


@takes(states="... s d", last="... d", w_last="a d", w_state="a d", w_score="a", mask="bool (... s)")
def narm_attention_numpy(
    states: np.ndarray,
    last: np.ndarray,
    w_last: np.ndarray,
    w_state: np.ndarray,
    w_score: np.ndarray,
    mask: np.ndarray | None = None,
) -> np.ndarray:
    """states (... s d), last (... d), w_last and w_state (a d), w_score (a), mask (... s) -> (... 2d): last, then sum.

    >>> states, zero = np.array([[8.0], [4.0], [2.0]]), np.zeros((1, 1))
    >>> narm_attention_numpy(states, states[-1], zero, zero, np.array([2.0]))  # each weighs 2·σ(0) = 1: their sum
    array([ 2., 14.])
    """
    hidden = (last @ w_last.T)[..., None, :] + states @ w_state.T  # (... s a)
    weights = (1 + np.tanh(hidden / 2)) / 2 @ w_score  # σ without an overflow in exp
    if mask is not None:
        weights = np.where(mask, weights, 0)  # there is no softmax to turn -inf into 0
    return np.concatenate([last, (weights[..., None] * states).sum(axis=-2)], axis=-1)


@takes(states="... s d", last="... d", w_last="a d", w_state="a d", w_score="a", mask="bool (... s)")
def narm_attention(
    states: torch.Tensor,
    last: torch.Tensor,
    w_last: torch.Tensor,
    w_state: torch.Tensor,
    w_score: torch.Tensor,
    mask: torch.Tensor | None = None,
) -> torch.Tensor:
    """states (... s d), last (... d), w_last and w_state (a d), w_score (a), mask (... s) -> (... 2d): last, then sum.

    >>> states, zero = torch.tensor([[8.0], [4.0], [0.5]]), torch.zeros(1, 1)  # the third is padding's
    >>> narm_attention(states, states[1], zero, zero, torch.tensor([2.0]), torch.tensor([True, True, False]))
    tensor([ 4., 12.])
    """
    hidden = (last @ w_last.mT)[..., None, :] + states @ w_state.mT  # (... s a)
    weights = hidden.sigmoid() @ w_score
    if mask is not None:
        weights = weights.masked_fill(~mask, 0)  # there is no softmax to turn -inf into 0
    return torch.cat([last, (weights[..., None] * states).sum(dim=-2)], dim=-1)


class NARMAttention(nn.Module):
    """[last ; Σ_j score · σ(last_proj(last) + state_proj(h_j)) h_j]; width d of the states, a of the hidden layer.

    Parameters: last_proj.weight (a d), state_proj.weight (a d), score.weight (1 a); no biases, as in the paper.
    """

    def __init__(self, d: int, a: int) -> None:
        super().__init__()
        self.last_proj = nn.Linear(d, a, bias=False)
        self.state_proj = nn.Linear(d, a, bias=False)
        self.score = nn.Linear(a, 1, bias=False)

    def forward(self, states: torch.Tensor, last: torch.Tensor, mask: torch.Tensor | None = None) -> torch.Tensor:
        """states (... s d), last (... d), mask (... s), True = a click -> (... 2d)."""
        weights = self.last_proj.weight, self.state_proj.weight, self.score.weight[0]
        return narm_attention(states, last, *weights, mask)
