r"""Encoder block: self-attention, then a feed-forward network for each position, each added to what came in.

    pre-norm     x ← x + attention(norm x);   x ← x + W_out relu(W_in norm x)
    post-norm    x ← norm(x + attention x);   x ← norm(x + W_out relu(W_in x))

Axes    x (b t d); W_q, W_k, W_v (a d), W_o (d a), W_in (f d), W_out (d f), scales (d); mask broadcasts to (b h t t).
Rule    Each sublayer has its own norm, and is added to x, not to the normalised x. Pre-norm leaves a path from the last
        layer to the first without a norm in it, and the stack needs one more at its end. Attention mixes positions,
        linearly in their values; the network transforms each of them. SASRec as published adds the *normalised* x.
Cost    t·d·(4a + 2f) + 2·t²·a multiplications, d·(4a + 2f + 2) parameters: ⅔ the network's if f = 4d, a = d ≫ t.
Asked   "Pre- or post-norm: what of the gradient at depth, and which needs a warm-up? What is the feed-forward net for?"
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
FEED_FORWARD = {"w_in": "f d", "w_out": "d f", "scale_1": "d", "scale_2": "d"}


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

    mask is boolean, broadcasts to (b h t t), True = may attend; where it allows nothing, attention adds 0.

    >>> x, one, half, scale = np.array([[[300.0, 100.0]]]), np.eye(2), 0.5 * np.eye(2), np.ones(2)
    >>> encoder_block_numpy(x, one, one, one, one, one, half, scale, scale, 1).round(4)  # norm is (1, -1): +1 +½, -1 +0
    array([[[301.5,  99. ]]])
    """
    y = layer_norm_numpy(x, scale_1)
    x = x + multi_head_attention_numpy(y, y, y, w_q, w_k, w_v, w_o, h, mask)
    return x + np.maximum(layer_norm_numpy(x, scale_2) @ w_in.T, 0) @ w_out.T


@takes(**ATTENTION, **FEED_FORWARD)
def encoder_block_post_norm_numpy(
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
    """Post-norm, as first published: the arguments of `encoder_block_numpy`, the norms behind the sums.

    >>> x, one, scale = np.array([[[300.0, 100.0]]]), np.eye(2), np.ones(2)
    >>> encoder_block_post_norm_numpy(x, one, one, one, one, one, one, scale, 3 * scale, 1).round(4)  # norm, times 3
    array([[[ 3., -3.]]])
    """
    x = layer_norm_numpy(x + multi_head_attention_numpy(x, x, x, w_q, w_k, w_v, w_o, h, mask), scale_1)
    return layer_norm_numpy(x + np.maximum(x @ w_in.T, 0) @ w_out.T, scale_2)


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

    mask is boolean, broadcasts to (b h t t), True = may attend; where it allows nothing, attention adds 0.
    """
    y = layer_norm(x, scale_1)
    x = x + multi_head_attention(y, y, y, w_q, w_k, w_v, w_o, h, mask)
    return x + torch.relu(layer_norm(x, scale_2) @ w_in.mT) @ w_out.mT


@takes(**ATTENTION, **FEED_FORWARD)
def encoder_block_post_norm(
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
    """Post-norm, as first published: the arguments of `encoder_block`, the norms behind the sums."""
    x = layer_norm(x + multi_head_attention(x, x, x, w_q, w_k, w_v, w_o, h, mask), scale_1)
    return layer_norm(x + torch.relu(x @ w_in.mT) @ w_out.mT, scale_2)


class EncoderBlock(nn.Module):
    """Pre-norm block of width d, h heads, a network of width f; dropout on what is added and on the hidden layer."""

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


class EncoderBlockPostNorm(EncoderBlock):
    """The post-norm block, with the parameters of `EncoderBlock`."""

    def forward(self, x: torch.Tensor, mask: torch.Tensor | None = None) -> torch.Tensor:
        """x (b t d) -> (b t d); mask is boolean and broadcasts to (b h t t), True = may attend."""
        x = self.norm_1(x + self.dropout(self.attention(x, x, x, mask)))
        return self.norm_2(x + self.feed_forward(x))
