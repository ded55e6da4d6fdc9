r"""ComiRec-SA: several learned queries pool one history, so a user gets k vectors instead of one.

    A = softmax_s( W_score tanh(W Xᵀ) );   V = A X

Axes    x (... s d), mask broadcasts to (... s), True = may be pooled; W (a d), W_score (k a); k interests.
Rule    Each interest's weights sum to 1 over the history, not over the interests. A history of nothing gives zeros.
        "Self-attentive" as in Lin et al. 2017: one learned query per interest, no t·s scores between the items.
        Of the multi-interest models only this one is attention; MIND and ComiRec-DR route capsules.
        As written the order is lost: the authors' program adds positions to x in the tanh, not to the x it pools.
        Nothing in the formula keeps the k interests apart: equal rows of W_score stay equal.
Cost    O(s·a·(d+k)) time, O(s·(a+k)) memory: linear in s. Serving asks the index k times.
Asked   "Why k vectors and not one wider one? How do you train and serve k of them? What if they collapse?"
Source  Cen et al. 2020, sec. 3. https://arxiv.org/abs/2005.09347
"""

import numpy as np
import torch
from torch import nn

from recattn_mini.attention.masks import masked_scores, masked_scores_numpy
from recattn_mini.attention.softmax import softmax, softmax_numpy
from recattn_mini.shapes import takes


@takes(x="... s d", w="a d", w_score="k a", mask="bool (... s)")
def self_attentive_interests_numpy(
    x: np.ndarray, w: np.ndarray, w_score: np.ndarray, mask: np.ndarray | None = None
) -> np.ndarray:
    """x (... s d), w (a d), w_score (k a), mask (... s), True = may be pooled -> (... k d).

    >>> x, w = np.array([[8.0], [0.0]]), np.arctanh([[0.5]]) / 8  # tanh(w x) is 0.5 and 0
    >>> w_score = np.array([[2 * np.log(3)], [-2 * np.log(3)]])  # odds 3 to 1 for one interest, 1 to 3 for the other
    >>> self_attentive_interests_numpy(x, w, w_score).round(6)
    array([[6.],
           [2.]])
    """
    scores = w_score @ np.tanh(w @ np.swapaxes(x, -1, -2))  # (... k s): the history is the last axis
    return softmax_numpy(masked_scores_numpy(scores, None if mask is None else mask[..., None, :])) @ x


@takes(x="... s d", w="a d", w_score="k a", mask="bool (... s)")
def self_attentive_interests(
    x: torch.Tensor, w: torch.Tensor, w_score: torch.Tensor, mask: torch.Tensor | None = None
) -> torch.Tensor:
    """x (... s d), w (a d), w_score (k a), mask (... s), True = may be pooled -> (... k d)."""
    scores = w_score @ torch.tanh(w @ x.mT)  # (... k s): the history is the last axis
    return softmax(masked_scores(scores, None if mask is None else mask[..., None, :])) @ x


class SelfAttentiveInterests(nn.Module):
    """softmax over s of score(tanh(hidden(x))), one row an interest, times x; widths d of x, a of the hidden layer.

    Parameters: hidden.weight (a d), score.weight (k a); no biases, as in the paper.
    """

    def __init__(self, d: int, a: int, k: int) -> None:
        super().__init__()
        self.hidden = nn.Linear(d, a, bias=False)
        self.score = nn.Linear(a, k, bias=False)

    def forward(self, x: torch.Tensor, mask: torch.Tensor | None = None) -> torch.Tensor:
        """x (... s d), mask (... s), True = may be pooled -> (... k d); a history of nothing gives zeros."""
        return self_attentive_interests(x, self.hidden.weight, self.score.weight, mask)
