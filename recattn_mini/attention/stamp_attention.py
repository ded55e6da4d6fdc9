r"""STAMP: attention that asks with the last click and with the session's mean; no RNN, no order but "last".

    m_s = mean of the x_j;   a_j = w_score · σ(W_item x_j + W_last x_t + W_mean m_s + b);   m_a = Σ_j a_j x_j
    score of item i = Σ_d tanh(W_s m_a + b_s) ⊙ tanh(W_t x_t + b_t) ⊙ x_i

Axes    x (... s d), last x_t (... d), items (n d), mask broadcasts to (... s); W_item, W_last, W_mean (a d), b and
        w_score (a); W_s, W_t (d d), b_s, b_t (d).
Rule    No softmax: a_j is any number. m_s is the mean of the clicks, not of s places: count what the mask lets in.
        The paper scores m_a; the authors' program and RecBole score m_a + m_s. torch-rechub adds a softmax that is in
        neither. No click at all gives m_a = 0.
        σ of the scores, also in the paper, is left out: it keeps the order, and squashes what a softmax loss needs.
Cost    O(s·d·a) time, all s at once; O(n·d) to score n items.
Asked   "Short and long interest without an RNN: where is each? What happens when the last click was an accident?"
Source  Liu et al. 2018, sec. 3. https://doi.org/10.1145/3219819.3219950
"""

import numpy as np
import torch
from torch import nn

from recattn_mini.shapes import takes


@takes(x="... s d", last="... d", w_item="a d", w_last="a d", w_mean="a d", b="a", w_score="a", mask="bool (... s)")
def stamp_attention_numpy(
    x: np.ndarray,
    last: np.ndarray,
    w_item: np.ndarray,
    w_last: np.ndarray,
    w_mean: np.ndarray,
    b: np.ndarray,
    w_score: np.ndarray,
    mask: np.ndarray | None = None,
) -> np.ndarray:
    """m_a: x (... s d), last (... d), w_item, w_last, w_mean (a d), b, w_score (a), mask (... s) -> (... d).

    >>> x, zero = np.array([[8.0], [4.0]]), np.zeros((1, 1))
    >>> stamp_attention_numpy(x, x[-1], zero, zero, zero, zero[0], np.array([2.0]))  # each weighs 2·σ(0) = 1
    array([12.])
    """
    real = np.ones(x.shape[:-1], x.dtype) if mask is None else np.broadcast_to(mask, x.shape[:-1]).astype(x.dtype)
    mean = (real[..., None, :] @ x)[..., 0, :] / np.maximum(real.sum(-1, keepdims=True), 1)
    hidden = x @ w_item.T + (last @ w_last.T + mean @ w_mean.T + b)[..., None, :]  # (... s a)
    weights = (1 + np.tanh(hidden / 2)) / 2 @ w_score * real  # σ without an overflow in exp; 0 where padding is
    return (weights[..., None, :] @ x)[..., 0, :]


@takes(x="... s d", last="... d", w_item="a d", w_last="a d", w_mean="a d", b="a", w_score="a", mask="bool (... s)")
def stamp_attention(
    x: torch.Tensor,
    last: torch.Tensor,
    w_item: torch.Tensor,
    w_last: torch.Tensor,
    w_mean: torch.Tensor,
    b: torch.Tensor,
    w_score: torch.Tensor,
    mask: torch.Tensor | None = None,
) -> torch.Tensor:
    """m_a: x (... s d), last (... d), w_item, w_last, w_mean (a d), b, w_score (a), mask (... s) -> (... d)."""
    real = x.new_ones(x.shape[:-1]) if mask is None else mask.expand(x.shape[:-1]).to(x.dtype)
    mean = (real[..., None, :] @ x)[..., 0, :] / real.sum(-1, keepdim=True).clamp(min=1)
    hidden = x @ w_item.mT + (last @ w_last.mT + mean @ w_mean.mT + b)[..., None, :]  # (... s a)
    weights = hidden.sigmoid() @ w_score * real
    return (weights[..., None, :] @ x)[..., 0, :]


@takes(memory="... d", last="... d", items="n d", w_s="d d", b_s="d", w_t="d d", b_t="d")
def stamp_scores_numpy(
    memory: np.ndarray,
    last: np.ndarray,
    items: np.ndarray,
    w_s: np.ndarray,
    b_s: np.ndarray,
    w_t: np.ndarray,
    b_t: np.ndarray,
) -> np.ndarray:
    """memory m_a (or m_a + m_s), last (... d), items (n d), w_s, w_t (d d), b_s, b_t (d) -> (... n).

    >>> memory, one = np.arctanh([0.5]), np.eye(1)
    >>> stamp_scores_numpy(memory, -memory, np.array([[8.0], [4.0]]), one, 0 * one[0], one, 0 * one[0])  # ½ · -½ · x
    array([-2., -1.])

    Asked   "What can a product of two cells not score, if the last click was an accident?"
    """
    return np.tanh(memory @ w_s.T + b_s) * np.tanh(last @ w_t.T + b_t) @ items.T


@takes(memory="... d", last="... d", items="n d", w_s="d d", b_s="d", w_t="d d", b_t="d")
def stamp_scores(
    memory: torch.Tensor,
    last: torch.Tensor,
    items: torch.Tensor,
    w_s: torch.Tensor,
    b_s: torch.Tensor,
    w_t: torch.Tensor,
    b_t: torch.Tensor,
) -> torch.Tensor:
    """memory m_a (or m_a + m_s), last (... d), items (n d), w_s, w_t (d d), b_s, b_t (d) -> (... n)."""
    return torch.tanh(memory @ w_s.mT + b_s) * torch.tanh(last @ w_t.mT + b_t) @ items.mT


class STAMPAttention(nn.Module):
    """Σ_j score · σ(item_proj(x_j) + last_proj(last) + mean_proj(mean of x)) x_j; width d of x, a of the hidden layer.

    Parameters: item_proj.weight, last_proj.weight, mean_proj.weight (a d), item_proj.bias (a), score.weight (1 a).
    """

    def __init__(self, d: int, a: int) -> None:
        super().__init__()
        self.item_proj = nn.Linear(d, a)
        self.last_proj = nn.Linear(d, a, bias=False)
        self.mean_proj = nn.Linear(d, a, bias=False)
        self.score = nn.Linear(a, 1, bias=False)

    def forward(self, x: torch.Tensor, last: torch.Tensor, mask: torch.Tensor | None = None) -> torch.Tensor:
        """x (... s d), last (... d), mask (... s), True = a click -> (... d)."""
        weights = self.item_proj.weight, self.last_proj.weight, self.mean_proj.weight
        return stamp_attention(x, last, *weights, self.item_proj.bias, self.score.weight[0], mask)
