r"""NRMS: words look at each other, then additive pooling makes them one vector; news become a user the same way.

    c = [head_1 … head_h],  head_i = self-attention of x on columns i·e/h … (i+1)·e/h;   out = additive_pooling(c)

Axes    x (... s d), mask broadcasts to (... s), True = a word; W_q, W_k, W_v (e d); pooling's W (a e), b, w_score (a).
Rule    No CNN: that is NAML. No positions: shuffled words give the same vector. No W_o: pooling is a weighted mean, so
        a W_o before it could as well stand behind it. Two masks: padding is no key, and padding is not pooled. A
        text of nothing but padding gives zeros.
        The paper's score is x_i Q x_j, one Q a head; Microsoft's program takes W_q, W_k and 1/√(e/h), as here.
Cost    O(s·d·e + s²·e) time, O(h·s²) memory a text: texts are short. An encoder of words and another of news.
Asked   "NAML or NRMS: what does a CNN see of a title that self-attention without positions does not?"
Source  Wu et al. 2019 (NRMS), sec. 2. https://aclanthology.org/D19-1671
"""

import numpy as np
import torch
from torch import nn

from recattn_mini.attention.additive_pooling import AdditivePooling, additive_pooling, additive_pooling_numpy
from recattn_mini.attention.multi_head_attention import join_heads, join_heads_numpy, split_heads, split_heads_numpy
from recattn_mini.attention.scaled_dot_product_attention import (
    scaled_dot_product_attention,
    scaled_dot_product_attention_numpy,
)
from recattn_mini.shapes import takes


@takes(
    x="... s d",
    w_q="e d",
    w_k="e d",
    w_v="e d",
    h="count",
    w_hidden="a e",
    b_hidden="a",
    w_score="a",
    mask="bool (... s)",
)
def nrms_encoder_numpy(
    x: np.ndarray,
    w_q: np.ndarray,
    w_k: np.ndarray,
    w_v: np.ndarray,
    h: int,
    w_hidden: np.ndarray,
    b_hidden: np.ndarray,
    w_score: np.ndarray,
    mask: np.ndarray | None = None,
) -> np.ndarray:
    """x (... s d), w_q, w_k, w_v (e d), h heads, w_hidden (a e), b_hidden (a), w_score (a), mask (... s) -> (... e).

    >>> x, one, zero = np.array([[8.0], [4.0]]), np.ones((1, 1)), np.zeros((1, 1))
    >>> nrms_encoder_numpy(x, zero, zero, one, 1, zero, zero[0], zero[0])  # equal scores: the mean of two means
    array([6.])
    """
    texts = x.reshape(-1, *x.shape[-2:])  # (b s d)
    words = None if mask is None else np.broadcast_to(mask, x.shape[:-1]).reshape(texts.shape[:2])
    q, k, v = (split_heads_numpy(texts @ weight.T, h) for weight in (w_q, w_k, w_v))
    heads = scaled_dot_product_attention_numpy(q, k, v, None if words is None else words[:, None, None, :])
    return additive_pooling_numpy(join_heads_numpy(heads), w_hidden, b_hidden, w_score, words).reshape(
        *x.shape[:-2], -1
    )


@takes(
    x="... s d",
    w_q="e d",
    w_k="e d",
    w_v="e d",
    h="count",
    w_hidden="a e",
    b_hidden="a",
    w_score="a",
    mask="bool (... s)",
)
def nrms_encoder(
    x: torch.Tensor,
    w_q: torch.Tensor,
    w_k: torch.Tensor,
    w_v: torch.Tensor,
    h: int,
    w_hidden: torch.Tensor,
    b_hidden: torch.Tensor,
    w_score: torch.Tensor,
    mask: torch.Tensor | None = None,
) -> torch.Tensor:
    """x (... s d), w_q, w_k, w_v (e d), h heads, w_hidden (a e), b_hidden (a), w_score (a), mask (... s) -> (... e)."""
    texts = x.reshape(-1, *x.shape[-2:])  # (b s d)
    words = None if mask is None else mask.expand(x.shape[:-1]).reshape(texts.shape[:2])
    q, k, v = (split_heads(texts @ weight.mT, h) for weight in (w_q, w_k, w_v))
    heads = scaled_dot_product_attention(q, k, v, None if words is None else words[:, None, None, :])
    return additive_pooling(join_heads(heads), w_hidden, b_hidden, w_score, words).reshape(*x.shape[:-2], -1)


class NRMSEncoder(nn.Module):
    """One level: words into news, or, another of them, news into a user. Widths d in, e out, a of the hidden layer.

    Parameters: q_proj, k_proj, v_proj .weight (e d), no biases, and those of pooling, an AdditivePooling(e, a).
    """

    def __init__(self, d: int, e: int, h: int, a: int) -> None:
        super().__init__()
        self.h = h
        self.q_proj, self.k_proj, self.v_proj = (nn.Linear(d, e, bias=False) for _ in range(3))
        self.pooling = AdditivePooling(e, a)

    def forward(self, x: torch.Tensor, mask: torch.Tensor | None = None) -> torch.Tensor:
        """x (... s d), mask (... s), True = a word, or a clicked news -> (... e)."""
        projections = self.q_proj.weight, self.k_proj.weight, self.v_proj.weight
        pooling = self.pooling.hidden.weight, self.pooling.hidden.bias, self.pooling.score.weight[0]
        return nrms_encoder(x, *projections, self.h, *pooling, mask)
