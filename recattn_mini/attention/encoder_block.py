r"""Encoder block: self-attention, then a feed-forward network for each position, each added to what came in.

    x ← x + attention(norm x);   x ← x + W_out relu(W_in norm x)

Axes    x (b t d); W_q, W_k, W_v (a d), W_o (d a), W_in (f d), W_out (d f), scales (d); mask broadcasts to (b h t t).
Rule    Pre-norm: each sublayer reads a normalised x, with a norm of its own, and is added to x itself. So a path leads
        from the last layer to the first without a norm in it, and the stack needs one more norm at its end; the block
        as first published is `encoder_block_post_norm`. SASRec as published adds the *normalised* x.
        Attention mixes positions, linearly in their values; the network transforms each of them.
Cost    t·d·(4a + 2f) + 2·t²·a multiplications, d·(4a + 2f + 2) parameters: ⅔ of them in the network if f = 4d, a = d.
Asked   "Pre- or post-norm: what happens to the gradient at depth? What is the feed-forward network for?"
Source  Vaswani et al. 2017, sec. 3.1, 3.3; Xiong et al. 2020, sec. 3. https://arxiv.org/abs/2002.04745
"""

import numpy as np
import torch
from torch import nn

from recattn_mini.attention.layer_norm import layer_norm, layer_norm_numpy
from recattn_mini.attention.multi_head_attention import (
    MultiHeadAttention,
    multi_head_attention,
    multi_head_attention_numpy,
)
from recattn_mini.shapes import takes

ATTENTION = {"x": "b t d", "w_q": "a d", "w_k": "a d", "w_v": "a d", "w_o": "d a", "h": "count"}
FEED_FORWARD = {"w_in": "f d", "w_out": "d f", "scale_1": "d", "scale_2": "d", "mask": "bool (b h t t)"}


@takes(**ATTENTION, **FEED_FORWARD)
def encoder_block_numpy(
    x: np.ndarray,
    w_q: np.ndarray,
    w_k: np.ndarray,
    w_v: np.ndarray,
    w_o: np.ndarray,
    w_in: np.ndarray,
    w_out: np.ndarray,
    scale_1: np.ndarray,
    scale_2: np.ndarray,
    h: int,
    mask: np.ndarray | None = None,
) -> np.ndarray:
    """Pre-norm: x (b t d), w_q, w_k, w_v (a d), w_o (d a), w_in (f d), w_out (d f), scales (d), h heads -> (b t d).

    First multi-head attention of norm(x), with scale_1, is added to x; then W_out relu(W_in norm(x)), with scale_2, is
    added to that. norm(x) = scale ⊙ (x - mean) / √(variance + 1e-5), both over the d numbers of a position and divided
    by d. There are no biases, no dropout and no third norm; the arguments stay as they are.

    mask is boolean, True = may attend, and broadcasts to (b h t t): (t t) is for all users and heads, (b 1 1 t) hides a
    user's padding. Three axes are read as (h t t); a mask (b t t) has to come as mask[:, None]. Where a position may
    attend to nothing, attention adds 0. h that does not divide a is a ValueError.

    >>> x, one, half, scale = np.array([[[300.0, 100.0]]]), np.eye(2), 0.5 * np.eye(2), np.ones(2)
    >>> encoder_block_numpy(x, one, one, one, one, one, half, scale, scale, 1).round(4)  # norm is (1, -1): +1 +½, -1 +0
    array([[[301.5,  99. ]]])
    """
    y = layer_norm_numpy(x, scale_1)
    x = x + multi_head_attention_numpy(y, y, y, w_q, w_k, w_v, w_o, h, mask)
    return x + np.maximum(layer_norm_numpy(x, scale_2) @ w_in.T, 0) @ w_out.T


@takes(**ATTENTION, **FEED_FORWARD)
def encoder_block(
    x: torch.Tensor,
    w_q: torch.Tensor,
    w_k: torch.Tensor,
    w_v: torch.Tensor,
    w_o: torch.Tensor,
    w_in: torch.Tensor,
    w_out: torch.Tensor,
    scale_1: torch.Tensor,
    scale_2: torch.Tensor,
    h: int,
    mask: torch.Tensor | None = None,
) -> torch.Tensor:
    """Pre-norm: x (b t d), w_q, w_k, w_v (a d), w_o (d a), w_in (f d), w_out (d f), scales (d), h heads -> (b t d).

    First multi-head attention of norm(x), with scale_1, is added to x; then W_out relu(W_in norm(x)), with scale_2, is
    added to that. norm(x) = scale ⊙ (x - mean) / √(variance + 1e-5), both over the d numbers of a position and divided
    by d. There are no biases, no dropout and no third norm; the arguments stay as they are.

    mask is boolean, True = may attend, and broadcasts to (b h t t): (t t) is for all users and heads, (b 1 1 t) hides a
    user's padding. Three axes are read as (h t t); a mask (b t t) has to come as mask[:, None]. Where a position may
    attend to nothing, attention adds 0, and no gradient is NaN. The result has x's dtype. h that does not divide a is a
    ValueError.

    >>> x, one, scale = torch.tensor([[[300.0, 100.0]]]), torch.eye(2), torch.ones(2)
    >>> encoder_block(x, one, one, one, one, one, 0.5 * one, scale, scale, 1)  # norm is (1, -1): +1 +½, then -1 +0
    tensor([[[301.5000,  99.0000]]])
    >>> nobody = torch.tensor([[False]])  # attention adds 0, the network still ½ and 0
    >>> encoder_block(x, one, one, one, one, one, 0.5 * one, scale, scale, 1, nobody)
    tensor([[[300.5000, 100.0000]]])
    """
    y = layer_norm(x, scale_1)
    x = x + multi_head_attention(y, y, y, w_q, w_k, w_v, w_o, h, mask)
    return x + torch.relu(layer_norm(x, scale_2) @ w_in.mT) @ w_out.mT


class EncoderBlock(nn.Module):
    """Pre-norm block of width d, h heads, a network of width f; dropout on what is added and on the hidden layer.

    Parameters: norm_1.weight, norm_2.weight (d), attention.{q,k,v,o}_proj.weight (d d), w_in.weight (f d),
    w_out.weight (d f); no biases.

    >>> block = EncoderBlock(d=2, h=1, f=2)  # its norms begin with scales of 1
    >>> for weight in block.parameters():
    ...     if weight.ndim == 2:
    ...         _ = nn.init.eye_(weight)
    >>> block(torch.tensor([[[300.0, 100.0]]])).detach().round(decimals=3)  # norm is (1, -1): +1 +1, then -1 +0
    tensor([[[302.,  99.]]])
    """

    def __init__(self, d: int, h: int, f: int, dropout: float = 0.0) -> None:
        super().__init__()
        self.norm_1, self.attention = nn.LayerNorm(d, bias=False), MultiHeadAttention(d, h)
        self.norm_2, self.w_in = nn.LayerNorm(d, bias=False), nn.Linear(d, f, bias=False)
        self.w_out, self.dropout = nn.Linear(f, d, bias=False), nn.Dropout(dropout)

    def feed_forward(self, x: torch.Tensor) -> torch.Tensor:
        """What the second sublayer adds."""
        return self.dropout(self.w_out(self.dropout(torch.relu(self.w_in(x)))))

    def forward(self, x: torch.Tensor, mask: torch.Tensor | None = None) -> torch.Tensor:
        """x (b t d), mask (b h t t), True = may attend -> (b t d); where it allows nothing, attention adds 0."""
        y = self.norm_1(x)
        x = x + self.dropout(self.attention(y, y, y, mask))
        return x + self.feed_forward(self.norm_2(x))
