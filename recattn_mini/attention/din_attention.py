r"""DIN's local activation unit: a small network decides how much of an event concerns this candidate.

    score_ts = w_score · σ(W [q_t, k_s, q_t - k_s, q_t ⊙ k_s] + b);   out_t = Σ_s score_ts k_s

Axes    q (... t d) candidates, k (... s d) history, both keys and values; W (a 4d), b (a), w_score (a).
Rule    No softmax, no scale: ten matching events weigh ten times as much as one. A masked event has the weight 0.
        The authors' released code divides by √d and takes a softmax: `din_attention_softmax`. Its four blocks and
        sigmoid units are used here, one hidden layer for its two; the paper has an outer product and PReLU or Dice.
        The score needs no bias: a softmax forgets it, and for a sum, a unit whose row of W is 0 gives one.
        Nothing to attend to gives zeros. Unmasked padding adds nothing if embedded as 0, but a softmax gives it weight.
        The block q - k adds weights and no power: W_q q + W_k k + W_m (q - k) = (W_q + W_m) q + (W_k - W_m) k.
Cost    O(t·s·d·a) time, O(t·s·(d+a)) memory. Only the product needs each pair: see `fast/din_attention.py`.
Asked   "Why no softmax? Which block sees the match of q and k? What may be computed once for all candidates?"
Source  Zhou et al., KDD 2018, sec. 4.3. https://arxiv.org/abs/1706.06978
"""

import math

import numpy as np
import torch
from torch import nn

from recattn_mini.attention.masks import masked_scores, masked_scores_numpy
from recattn_mini.attention.softmax import softmax, softmax_numpy
from recattn_mini.shapes import takes


@takes(q="... t d", k="... s d", w_hidden="a d+d+d+d", b_hidden="a", w_score="a")
def din_scores_numpy(
    q: np.ndarray, k: np.ndarray, w_hidden: np.ndarray, b_hidden: np.ndarray, w_score: np.ndarray
) -> np.ndarray:
    """How much each event concerns each candidate: q (... t d), k (... s d) -> (... t s), of either sign."""
    q, k = np.broadcast_arrays(q[..., :, None, :], k[..., None, :, :])  # (... t s d)
    hidden = np.concatenate([q, k, q - k, q * k], axis=-1) @ w_hidden.T + b_hidden  # (... t s a)
    return (1 + np.tanh(hidden / 2)) / 2 @ w_score  # σ without an overflow in exp


@takes(q="... t d", k="... s d", w_hidden="a d+d+d+d", b_hidden="a", w_score="a", mask="bool (... t s)")
def din_attention_numpy(
    q: np.ndarray,
    k: np.ndarray,
    w_hidden: np.ndarray,
    b_hidden: np.ndarray,
    w_score: np.ndarray,
    mask: np.ndarray | None = None,
) -> np.ndarray:
    """Σ_s score_ts k_s: q (... t d), k (... s d), w_hidden (a 4d), b_hidden (a), w_score (a) -> (... t d).

    mask is boolean and broadcasts to (... t s), True = may attend. A candidate that may attend to nothing gets zeros.

    >>> q, k, product_only = np.log([[3.0]]), np.array([[1.0], [0.0]]), np.array([[0.0, 0.0, 0.0, 1.0]])
    >>> din_attention_numpy(q, k, product_only, np.zeros(1), np.array([4.0])).round(6)  # 4 σ(log 3) · 1 + 4 σ(0) · 0
    array([[3.]])
    """
    scores = din_scores_numpy(q, k, w_hidden, b_hidden, w_score)
    return (scores if mask is None else np.where(mask, scores, 0)) @ k


@takes(q="... t d", k="... s d", w_hidden="a d+d+d+d", b_hidden="a", w_score="a", mask="bool (... t s)")
def din_attention_softmax_numpy(
    q: np.ndarray,
    k: np.ndarray,
    w_hidden: np.ndarray,
    b_hidden: np.ndarray,
    w_score: np.ndarray,
    mask: np.ndarray | None = None,
) -> np.ndarray:
    """What the authors released, Σ_s softmax_s(score_ts / √d) k_s; arguments and shapes as in `din_attention_numpy`.

    >>> q, k, zero = np.ones((1, 1)), np.array([[3.0], [1.0]]), np.zeros((1, 4))
    >>> din_attention_softmax_numpy(q, k, zero, zero[0, :1], np.array([4.0]))  # equal scores: the mean, not 2·3 + 2·1
    array([[2.]])

    Asked   "What did DIN's authors release, and what does its softmax forget?"
    Source  `zhougr1993/DeepInterestNetwork` 2018.
    """
    scores = din_scores_numpy(q, k, w_hidden, b_hidden, w_score) / math.sqrt(q.shape[-1])
    return softmax_numpy(masked_scores_numpy(scores, mask)) @ k


@takes(q="... t d", k="... s d", w_hidden="a d+d+d+d", b_hidden="a", w_score="a")
def din_scores(
    q: torch.Tensor, k: torch.Tensor, w_hidden: torch.Tensor, b_hidden: torch.Tensor, w_score: torch.Tensor
) -> torch.Tensor:
    """How much each event concerns each candidate: q (... t d), k (... s d) -> (... t s), of either sign."""
    q, k = torch.broadcast_tensors(q[..., :, None, :], k[..., None, :, :])  # (... t s d)
    hidden = torch.cat([q, k, q - k, q * k], dim=-1) @ w_hidden.mT + b_hidden  # (... t s a)
    return hidden.sigmoid() @ w_score


@takes(q="... t d", k="... s d", w_hidden="a d+d+d+d", b_hidden="a", w_score="a", mask="bool (... t s)")
def din_attention(
    q: torch.Tensor,
    k: torch.Tensor,
    w_hidden: torch.Tensor,
    b_hidden: torch.Tensor,
    w_score: torch.Tensor,
    mask: torch.Tensor | None = None,
) -> torch.Tensor:
    """Σ_s score_ts k_s: q (... t d), k (... s d), w_hidden (a 4d), b_hidden (a), w_score (a) -> (... t d).

    score_ts = w_score · σ(w_hidden [q_t, k_s, q_t - k_s, q_t ⊙ k_s] + b_hidden), the four blocks in this order. No
    softmax, no scale. mask is boolean and broadcasts to (... t s), True = may attend; (... 1 s) is for all candidates.
    A masked event adds nothing, a candidate that may attend to nothing gets zeros. Every gradient is finite, also where
    σ is given ±1,000 and more. The result has k's dtype; the arguments stay as they are.

    >>> q, k, zero = torch.ones(1, 1), torch.tensor([[3.0], [1.0]]), torch.zeros(1, 4)
    >>> din_attention(q, k, zero, zero[0, :1], torch.tensor([4.0]))  # 4 σ(0) = 2 of each event: 2·3 + 2·1
    tensor([[8.]])
    >>> din_attention(q, k, zero, zero[0, :1], torch.tensor([4.0]), torch.tensor([[True, False]]))
    tensor([[6.]])
    """
    scores = din_scores(q, k, w_hidden, b_hidden, w_score)
    return (scores if mask is None else scores.masked_fill(~mask, 0)) @ k


@takes(q="... t d", k="... s d", w_hidden="a d+d+d+d", b_hidden="a", w_score="a", mask="bool (... t s)")
def din_attention_softmax(
    q: torch.Tensor,
    k: torch.Tensor,
    w_hidden: torch.Tensor,
    b_hidden: torch.Tensor,
    w_score: torch.Tensor,
    mask: torch.Tensor | None = None,
) -> torch.Tensor:
    """What the authors released, Σ_s softmax_s(score_ts / √d) k_s; arguments and shapes as in `din_attention`."""
    scores = din_scores(q, k, w_hidden, b_hidden, w_score) / math.sqrt(q.shape[-1])
    return softmax(masked_scores(scores, mask)) @ k


class DINAttention(nn.Module):
    """`din_attention` with weights to learn; widths d of an item, a of the hidden layer.

    Parameters: hidden.weight (a 4d), hidden.bias (a), score.weight (1 a).

    >>> unit = DINAttention(d=1, a=1)
    >>> _ = nn.init.zeros_(unit.hidden.weight), nn.init.zeros_(unit.hidden.bias)
    >>> _ = nn.init.constant_(unit.score.weight, 4)
    >>> unit(torch.ones(1, 1), torch.tensor([[3.0], [1.0]])).detach()  # 4 σ(0) = 2 of each event: 2·3 + 2·1
    tensor([[8.]])
    """

    def __init__(self, d: int, a: int) -> None:
        super().__init__()
        self.hidden = nn.Linear(4 * d, a)
        self.score = nn.Linear(a, 1, bias=False)

    def forward(self, q: torch.Tensor, k: torch.Tensor, mask: torch.Tensor | None = None) -> torch.Tensor:
        """Candidates q (... t d), history k (... s d) -> (... t d); mask broadcasts to (... t s), True = may attend."""
        return din_attention(q, k, self.hidden.weight, self.hidden.bias, self.score.weight[0], mask)
