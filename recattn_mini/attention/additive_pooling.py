r"""Additive pooling: many vectors become one, weighted by how each answers a query that is learned, not given.

    score_s = w_score · tanh(W x_s + b);   out = Σ_s softmax_s(score_s) x_s

Axes    x (... s d), mask broadcasts to (... s), True = may be pooled; W (a d), b and w_score (a).
Rule    What is averaged is x itself, not its hidden layer. b stands inside the tanh; a bias of the score would be the
        same for all s, and the softmax would forget it. Nothing to pool gives zeros.
        w_score is one query for all users and all candidates: a user's vector can be computed before the candidate
        is known, which DIN's cannot.
Cost    O(s·d·a) time, O(s·a) memory.
Asked   "Where is the query? What can it do that mean pooling cannot, and what can DIN do that it cannot?"
Source  Yang et al. 2016 (HAN), eq. 5-7. https://aclanthology.org/N16-1174; NAML and NRMS (2019) pool words and news so.
"""

import numpy as np
import torch
from torch import nn

from recattn_mini.attention.masks import masked_scores, masked_scores_numpy
from recattn_mini.attention.softmax import softmax, softmax_numpy
from recattn_mini.shapes import takes


@takes(x="... s d", w_hidden="a d", b_hidden="a", w_score="a", mask="bool (... s)")
def additive_pooling_numpy(
    x: np.ndarray, w_hidden: np.ndarray, b_hidden: np.ndarray, w_score: np.ndarray, mask: np.ndarray | None = None
) -> np.ndarray:
    """x (... s d), w_hidden (a d), b_hidden (a), w_score (a), mask (... s), True = may be pooled -> (... d).

    The sum of x with the weights softmax_s(w_score · tanh(w_hidden x_s + b_hidden)). mask is boolean and broadcasts to
    (... s): one mask (s) may serve a whole batch. Nothing to pool gives zeros. The arguments stay as they are.

    >>> x, w_hidden = np.array([[8.0], [4.0]]), np.arctanh([[0.5]]) / 4
    >>> b_hidden = -4 * w_hidden[0]  # tanh(W x + b) is 0.5 and 0
    >>> additive_pooling_numpy(x, w_hidden, b_hidden, np.array([2 * np.log(3)])).round(6)  # scores log 3 and 0
    array([7.])
    """
    scores = np.tanh(x @ w_hidden.T + b_hidden) @ w_score  # (... s)
    weights = softmax_numpy(masked_scores_numpy(scores, mask))
    return (weights[..., None] * x).sum(axis=-2)


@takes(x="... s d", w_hidden="a d", b_hidden="a", w_score="a", mask="bool (... s)")
def additive_pooling(
    x: torch.Tensor,
    w_hidden: torch.Tensor,
    b_hidden: torch.Tensor,
    w_score: torch.Tensor,
    mask: torch.Tensor | None = None,
) -> torch.Tensor:
    """x (... s d), w_hidden (a d), b_hidden (a), w_score (a), mask (... s), True = may be pooled -> (... d).

    The sum of x with the weights softmax_s(w_score · tanh(w_hidden x_s + b_hidden)). mask is boolean and broadcasts to
    (... s): one mask (s) may serve a whole batch. Nothing to pool gives zeros, and no gradient is NaN. The result has
    x's dtype; the arguments stay as they are.

    >>> x, zero = torch.tensor([[8.0], [4.0]]), torch.zeros(1)
    >>> additive_pooling(x, zero[:, None], zero, zero)  # equal scores: the plain mean
    tensor([6.])
    >>> additive_pooling(x, zero[:, None], zero, zero, torch.tensor([True, False]))
    tensor([8.])
    """
    scores = torch.tanh(x @ w_hidden.mT + b_hidden) @ w_score  # (... s)
    weights = softmax(masked_scores(scores, mask))
    return (weights[..., None] * x).sum(dim=-2)


class AdditivePooling(nn.Module):
    """softmax over s of score · tanh(hidden(x)), times x; width d of x, a of the hidden layer.

    Parameters: hidden.weight (a d), hidden.bias (a), score.weight (1 a); a bias of the score would cancel.

    >>> pool = AdditivePooling(d=1, a=1)
    >>> _ = nn.init.ones_(pool.hidden.weight), nn.init.zeros_(pool.hidden.bias), nn.init.zeros_(pool.score.weight)
    >>> pool(torch.tensor([[8.0], [4.0]])).detach()  # equal scores: the plain mean
    tensor([6.])
    """

    def __init__(self, d: int, a: int) -> None:
        super().__init__()
        self.hidden = nn.Linear(d, a)
        self.score = nn.Linear(a, 1, bias=False)

    def forward(self, x: torch.Tensor, mask: torch.Tensor | None = None) -> torch.Tensor:
        """x (... s d), mask (... s), True = may be pooled -> (... d).

        Nothing to pool gives zeros, and no gradient is NaN. The arguments stay as they are.
        """
        return additive_pooling(x, self.hidden.weight, self.hidden.bias, self.score.weight[0], mask)
