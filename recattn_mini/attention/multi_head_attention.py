r"""Multi-head attention: h attentions side by side, each over its own slice of the projected width.

    head_i = attention( q W_qᵀ, k W_kᵀ, v W_vᵀ )   on columns i·a/h … (i+1)·a/h
    out    = [head_1 … head_h] W_oᵀ

Axes    q (b t d), k (b s c), v (b s e); W_q (a d), W_k (a c), W_v (a e), W_o (d a); heads of width a/h.
Rule    The scale is √(a/h), the width of a head. h changes no parameter count. W_o sums what the heads found,
        Σ_i head_i W_o[:, i]ᵀ. No biases: the keys' would add q_t·b to all scores of a query, and softmax forgets that.
Cost    O((t+s)·d·a + t·s·a) time, O(h·t·s) memory for the weights.
Asked   "Write it without einsum. Does h change the parameter count? Why many heads, and why W_o?"
Source  Vaswani et al. 2017, sec. 3.2.2. https://arxiv.org/abs/1706.03762
"""

import numpy as np
import torch
from torch import nn

from recattn_mini.attention.scaled_dot_product_attention import (
    scaled_dot_product_attention,
    scaled_dot_product_attention_numpy,
)
from recattn_mini.shapes import takes


def head_width(a: int, h: int) -> int:
    """The width of one of h heads that share the width a; h that does not divide a is a ValueError.

    Asked   "Why must h divide the width, and what does a narrow head cost?"
    """
    if h < 1 or a % h:
        raise ValueError(f"h must divide the width that the heads share, a = {a}, got {h}")
    return a // h


@takes(x="b t a", h="count")
def split_heads_numpy(x: np.ndarray, h: int) -> np.ndarray:
    """(b t a) -> (b h t a/h): head i gets the columns from i·a/h on.

    >>> split_heads_numpy(np.array([[[1, 2, 3, 4], [5, 6, 7, 8.0]]]), 2)[0, 0]  # both positions, the first half of each
    array([[1., 2.],
           [5., 6.]])

    Asked   "What do you get from view(b, h, t, d) without a transpose? Why swap back before you flatten the heads?"
    """
    # not reshape(b, h, t, a/h): same shape, but a head would get whole positions, not a slice of each
    return np.swapaxes(x.reshape(*x.shape[:2], h, head_width(x.shape[2], h)), 1, 2)


@takes(heads="b h t d")
def join_heads_numpy(heads: np.ndarray) -> np.ndarray:
    """(b h t d) -> (b t h·d): the heads of one position side by side; undoes `split_heads_numpy`."""
    b, h, t, d = heads.shape
    return np.swapaxes(heads, 1, 2).reshape(b, t, h * d)


@takes(q="b t d", k="b s c", v="b s e", w_q="a d", w_k="a c", w_v="a e", w_o="d a", h="count", mask="bool (b h t s)")
def multi_head_attention_numpy(
    q: np.ndarray,
    k: np.ndarray,
    v: np.ndarray,
    w_q: np.ndarray,
    w_k: np.ndarray,
    w_v: np.ndarray,
    w_o: np.ndarray,
    h: int,
    mask: np.ndarray | None = None,
) -> np.ndarray:
    """q (b t d), k (b s c), v (b s e), w_q (a d), w_k (a c), w_v (a e), w_o (d a), h heads -> (b t d).

    Weights, masks and what is raised as in `multi_head_attention`.
    >>> one, x = np.eye(2), np.array([[[np.log(3.0), 0.0], [0.0, 0.0]]])
    >>> multi_head_attention_numpy(one[None, :1], x, x + 8, one, one, one, one, 2).round(3)  # log 3: odds 3 to 1
    array([[[8.824, 8.   ]]])
    """
    q, k, v = split_heads_numpy(q @ w_q.T, h), split_heads_numpy(k @ w_k.T, h), split_heads_numpy(v @ w_v.T, h)
    return join_heads_numpy(scaled_dot_product_attention_numpy(q, k, v, mask)) @ w_o.T


@takes(x="b t a", h="count")
def split_heads(x: torch.Tensor, h: int) -> torch.Tensor:
    """(b t a) -> (b h t a/h): head i gets the columns from i·a/h on; see `split_heads_numpy`."""
    return x.unflatten(-1, (h, head_width(x.shape[2], h))).transpose(1, 2)


@takes(heads="b h t d")
def join_heads(heads: torch.Tensor) -> torch.Tensor:
    """(b h t d) -> (b t h·d): the heads of one position side by side; undoes `split_heads`."""
    return heads.transpose(1, 2).flatten(2)


@takes(q="b t d", k="b s c", v="b s e", w_q="a d", w_k="a c", w_v="a e", w_o="d a", h="count", mask="bool (b h t s)")
def multi_head_attention(
    q: torch.Tensor,
    k: torch.Tensor,
    v: torch.Tensor,
    w_q: torch.Tensor,
    w_k: torch.Tensor,
    w_v: torch.Tensor,
    w_o: torch.Tensor,
    h: int,
    mask: torch.Tensor | None = None,
) -> torch.Tensor:
    """q (b t d), k (b s c), v (b s e), w_q (a d), w_k (a c), w_v (a e), w_o (d a), h heads -> (b t d).

    Each weight is applied as nn.Linear does, x @ w.T, without a bias; head i works on columns i·a/h to (i+1)·a/h, its
    scores divided by √(a/h). h that does not divide a is a ValueError: no column may be left over. The result has q's
    dtype; the arguments stay as they are.

    mask is boolean, True = may attend, and broadcasts to (b h t s): (t s) is for all users and heads, (b 1 1 s) hides a
    user's padding, (b h t s) is for each head. Three axes are read as (h t s), one mask a head; a mask (b t s), one a
    user, has to come as mask[:, None]. A query that may attend to nothing gets zeros, and no gradient is NaN.

    >>> one, x = torch.eye(2), torch.tensor([[[3.0, 1.0], [1.0, 1.0]]]).log()
    >>> multi_head_attention(one[None, :1], x, x + 8, one, one, one, one, 2)  # the first head's odds are 3 to 1
    tensor([[[8.8240, 8.0000]]])
    >>> of_heads = torch.tensor([[[False, True]], [[False, False]]])  # (h t s): the second head may see nothing
    >>> multi_head_attention(one[None, :1], x, x + 8, one, one, one, one, 2, of_heads)
    tensor([[[8., 0.]]])
    """
    q, k, v = split_heads(q @ w_q.mT, h), split_heads(k @ w_k.mT, h), split_heads(v @ w_v.mT, h)
    return join_heads(scaled_dot_product_attention(q, k, v, mask)) @ w_o.mT


class MultiHeadAttention(nn.Module):
    """h heads over width d, in and out; parameters q_proj, k_proj, v_proj, o_proj .weight (d d), no biases.

    >>> layer = MultiHeadAttention(d=2, h=2)
    >>> _ = [nn.init.eye_(weight) for weight in layer.parameters()]
    >>> q, k = torch.tensor([[[1.0, 0.0]]]), torch.tensor([[[3.0, 1.0], [1.0, 1.0]]]).log()
    >>> v = torch.tensor([[[8.0, 8.0], [4.0, 4.0]]])  # odds of 3 to 1 in the first head, even odds in the second
    >>> layer(q, k, v).detach().round(decimals=3)
    tensor([[[7., 6.]]])
    """

    def __init__(self, d: int, h: int) -> None:
        super().__init__()
        head_width(d, h)  # here, not at the first call: h must divide d
        self.h = h
        self.q_proj, self.k_proj, self.v_proj, self.o_proj = (nn.Linear(d, d, bias=False) for _ in range(4))

    def forward(
        self, q: torch.Tensor, k: torch.Tensor, v: torch.Tensor, mask: torch.Tensor | None = None
    ) -> torch.Tensor:
        """q (b t d), k (b s d), v (b s d) -> (b t d); head i has columns i·d/h to (i+1)·d/h and the scale √(d/h).

        mask is boolean, broadcasts to (b h t s), True = may attend: three axes are (h t s), a mask (b t s) must come as
        mask[:, None]. A query that may attend to nothing gets zeros. No gradient is NaN, and no argument is changed.
        """
        weights = self.q_proj.weight, self.k_proj.weight, self.v_proj.weight, self.o_proj.weight
        return multi_head_attention(q, k, v, *weights, self.h, mask)
