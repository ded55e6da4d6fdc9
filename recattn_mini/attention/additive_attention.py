r"""Additive attention (Bahdanau): a small network scores each pair of query and key.

    score_ts = w_score · tanh(W_q q_t + W_k k_s);   out_t = Σ_s softmax_s(score_ts) v_s

Axes    q (... t d), k (... s c), v (... s e); W_q (a d), W_k (a c), w_score (a).
Rule    q and k may differ in width. tanh bounds the score by Σ|w_score|, so it needs no √d.
        A query that may attend to nothing gets zeros.
Cost    O(t·d·a + s·c·a + t·s·(a+e)) time; written plainly O(t·s·a) memory, where the dot product has O(t·s).
Asked   "Additive or dot product: which, when, and what does each cost? Why the tanh?"
Source  Bahdanau, Cho, Bengio 2015, app. A.1.2. https://arxiv.org/abs/1409.0473
"""

import numpy as np
import torch
from torch import nn

from recattn_mini.attention.masks import masked_scores, masked_scores_numpy
from recattn_mini.attention.softmax import softmax, softmax_numpy
from recattn_mini.shapes import takes


@takes(q="... t d", k="... s c", v="... s e", w_q="a d", w_k="a c", w_score="a", mask="bool (... t s)")
def additive_attention_numpy(
    q: np.ndarray,
    k: np.ndarray,
    v: np.ndarray,
    w_q: np.ndarray,
    w_k: np.ndarray,
    w_score: np.ndarray,
    mask: np.ndarray | None = None,
) -> np.ndarray:
    """q (... t d), k (... s c), v (... s e), w_q (a d), w_k (a c), w_score (a), mask (... t s) -> (... t e).

    The sum of v with the weights softmax_s(w_score · tanh(w_q q_t + w_k k_s)), without a scale. mask is boolean and
    broadcasts to (... t s), True = may attend. A query that may attend to nothing gets zeros. The arguments stay as
    they are.

    >>> one, v = np.ones((1, 1)), np.array([[8.0], [4.0]])
    >>> k = np.array([[np.arctanh(0.5)], [0.0]])  # tanh(0 + k) is 0.5 and 0
    >>> additive_attention_numpy(0 * one, k, v, one, one, np.array([2 * np.log(3)])).round(6)  # odds 3 to 1
    array([[7.]])
    """
    # without the tanh, W_q q_t is the same for all s, the softmax forgets it, and every query gets the same weights
    hidden = np.tanh((q @ w_q.T)[..., :, None, :] + (k @ w_k.T)[..., None, :, :])  # (... t s a)
    return softmax_numpy(masked_scores_numpy(hidden @ w_score, mask)) @ v


@takes(q="... t d", k="... s c", v="... s e", w_q="a d", w_k="a c", w_score="a", mask="bool (... t s)")
def additive_attention(
    q: torch.Tensor,
    k: torch.Tensor,
    v: torch.Tensor,
    w_q: torch.Tensor,
    w_k: torch.Tensor,
    w_score: torch.Tensor,
    mask: torch.Tensor | None = None,
) -> torch.Tensor:
    """q (... t d), k (... s c), v (... s e), w_q (a d), w_k (a c), w_score (a), mask (... t s) -> (... t e).

    The sum of v with the weights softmax_s(w_score · tanh(w_q q_t + w_k k_s)), without a scale. mask is boolean and
    broadcasts to (... t s), True = may attend. A query that may attend to nothing gets zeros, and no gradient is NaN.
    The result has v's dtype; the arguments stay as they are.

    >>> one, k, v = torch.ones(1, 1), torch.tensor([[0.5], [0.0]]).atanh(), torch.tensor([[8.0], [4.0]])
    >>> out = additive_attention(0 * one, k, v, one, one, 2 * torch.tensor([3.0]).log())  # tanh is 0.5, 0: odds 3 to 1
    >>> out.round(decimals=3)
    tensor([[7.]])
    """
    hidden = torch.tanh((q @ w_q.mT)[..., :, None, :] + (k @ w_k.mT)[..., None, :, :])  # (... t s a)
    return softmax(masked_scores(hidden @ w_score, mask)) @ v


class AdditiveAttention(nn.Module):
    """softmax over s of score · tanh(W_q q + W_k k), times v; widths d of q, c of k, a of the hidden layer.

    Parameters: q_proj.weight (a d), k_proj.weight (a c), score.weight (1 a); no biases, no scale.

    >>> layer = AdditiveAttention(d=1, c=1, a=1)
    >>> _ = nn.init.eye_(layer.q_proj.weight), nn.init.eye_(layer.k_proj.weight)
    >>> _ = nn.init.constant_(layer.score.weight, 2 * np.log(3))
    >>> k, v = torch.tensor([[0.5], [0.0]]).atanh(), torch.tensor([[8.0], [4.0]])
    >>> out = layer(torch.zeros(1, 1), k, v)  # tanh(0 + k) is 0.5 and 0, scores are log 3 and 0: odds 3 to 1
    >>> out.detach().round(decimals=3)
    tensor([[7.]])
    >>> layer(torch.zeros(1, 1), k, v, torch.tensor([[False, True]])).detach()
    tensor([[4.]])
    """

    def __init__(self, d: int, c: int, a: int) -> None:
        super().__init__()
        self.q_proj = nn.Linear(d, a, bias=False)
        self.k_proj = nn.Linear(c, a, bias=False)
        self.score = nn.Linear(a, 1, bias=False)

    def forward(
        self, q: torch.Tensor, k: torch.Tensor, v: torch.Tensor, mask: torch.Tensor | None = None
    ) -> torch.Tensor:
        """q (... t d), k (... s c), v (... s e) -> (... t e); a query that may attend to nothing gets zeros.

        mask is boolean and broadcasts to (... t s), True = may attend. No gradient is NaN. The arguments stay as they
        are.
        """
        return additive_attention(q, k, v, self.q_proj.weight, self.k_proj.weight, self.score.weight[0], mask)
