r"""Post-norm encoder block, as first published: the norms stand behind the sums.

    x ← norm(x + attention x);   x ← norm(x + W_out relu(W_in x))

Axes    x (b t d); W_q, W_k, W_v (a d), W_o (d a), W_in (f d), W_out (d f), scales (d); mask broadcasts to (b h t t).
Rule    Every path from the last layer to the first leads through all norms, so the gradient depends on depth, and deep
        stacks need a warm-up of the learning rate. The output is normalised: the stack needs no norm at its end.
Cost    That of `encoder_block`, with the same parameters.
Asked   "Why does post-norm need a learning-rate warm-up?"
Source  Vaswani et al. 2017, sec. 3.1; Xiong et al. 2020, sec. 3. https://arxiv.org/abs/2002.04745
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
    """x (b t d), w_q, w_k, w_v (a d), w_o (d a), w_in (f d), w_out (d f), scales (d), h heads -> (b t d).

    mask is boolean, broadcasts to (b h t t), True = may attend; where it allows nothing, attention adds 0.

    >>> x, one, scale = np.array([[[300.0, 100.0]]]), np.eye(2), np.ones(2)
    >>> encoder_block_post_norm_numpy(x, one, one, one, one, one, one, scale, 3 * scale, 1).round(4)  # norm, times 3
    array([[[ 3., -3.]]])
    """
    x = layer_norm_numpy(x + multi_head_attention_numpy(x, x, x, w_q, w_k, w_v, w_o, h, mask), scale_1)
    return layer_norm_numpy(x + np.maximum(x @ w_in.T, 0) @ w_out.T, scale_2)


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
    """x (b t d), w_q, w_k, w_v (a d), w_o (d a), w_in (f d), w_out (d f), scales (d), h heads -> (b t d).

    mask is boolean, broadcasts to (b h t t), True = may attend; where it allows nothing, attention adds 0.
    """
    x = layer_norm(x + multi_head_attention(x, x, x, w_q, w_k, w_v, w_o, h, mask), scale_1)
    return layer_norm(x + torch.relu(x @ w_in.mT) @ w_out.mT, scale_2)


class EncoderBlockPostNorm(nn.Module):
    """Post-norm block of width d, h heads, a network of width f; parameters and dropout as in `EncoderBlock`."""

    def __init__(self, d: int, h: int, f: int, dropout: float = 0.0) -> None:
        super().__init__()
        self.norm_1, self.attention = nn.LayerNorm(d, bias=False), MultiHeadAttention(d, h)
        self.norm_2, self.w_in = nn.LayerNorm(d, bias=False), nn.Linear(d, f, bias=False)
        self.w_out, self.dropout = nn.Linear(f, d, bias=False), nn.Dropout(dropout)

    def feed_forward(self, x: torch.Tensor) -> torch.Tensor:
        """What the second sublayer adds."""
        return self.dropout(self.w_out(self.dropout(torch.relu(self.w_in(x)))))

    def forward(self, x: torch.Tensor, mask: torch.Tensor | None = None) -> torch.Tensor:
        """x (b t d) -> (b t d); mask is boolean and broadcasts to (b h t t), True = may attend."""
        x = self.norm_1(x + self.dropout(self.attention(x, x, x, mask)))
        return self.norm_2(x + self.feed_forward(x))
