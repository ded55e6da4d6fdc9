r"""Cross-attention: one sequence asks, another one answers.

    out = multi_head_attention( x, context, context )

Axes    x (b t d) asks, context (b s c) is read; W_q (a d), W_k (a c), W_v (a c), W_o (d a); heads of width a/h.
Rule    The output has x's length. The padding mask hides keys of the context, (b 1 1 s); a causal mask has no meaning
        here, as positions of x and of the context do not correspond. With candidates as x and the history as context
        it is target attention, and every candidate is scored on its own. A query that may attend to nothing gets zeros.
Cost    O(t·d·a + s·c·a + t·s·a) time: keys and values of a user are projected once for any number of candidates.
Asked   "Which side is the query? What does it cost with N candidates, and what can be computed before they come?"
Source  Vaswani et al. 2017, sec. 3.2.3, "encoder-decoder attention". https://arxiv.org/abs/1706.03762
"""

import numpy as np
import torch
from torch import nn

from recattn_mini.attention.multi_head_attention import (
    head_width,
    multi_head_attention,
    multi_head_attention_numpy,
)
from recattn_mini.shapes import takes


@takes(x="b t d", context="b s c", w_q="a d", w_k="a c", w_v="a c", w_o="d a", h="count", mask="bool (b h t s)")
def cross_attention_numpy(
    x: np.ndarray,
    context: np.ndarray,
    w_q: np.ndarray,
    w_k: np.ndarray,
    w_v: np.ndarray,
    w_o: np.ndarray,
    h: int,
    mask: np.ndarray | None = None,
) -> np.ndarray:
    """x (b t d), context (b s c), w_q (a d), w_k and w_v (a c), w_o (d a), h heads -> (b t d).

    Queries come from x, keys and values from context; each weight is applied as nn.Linear does, x @ w.T, no bias.
    h that does not divide a is a ValueError: no column may be left over. The arguments stay as they are.

    mask is boolean, True = may attend, and broadcasts to (b h t s): (t s) is for all users and heads, (b 1 1 s) hides a
    user's padding, (b h t s) is for each head. Three axes are read as (h t s), one mask a head; a mask (b t s), one a
    user, has to come as mask[:, None]. A query that may attend to nothing gets zeros.

    >>> one, context = np.ones((1, 1)), np.array([[[8.0], [4.0], [0.0]]])
    >>> cross_attention_numpy(np.zeros((1, 1, 1)), context, one, one, one, one, 1)  # a query of nothing: the plain mean
    array([[[4.]]])
    """
    return multi_head_attention_numpy(x, context, context, w_q, w_k, w_v, w_o, h, mask)


@takes(x="b t d", context="b s c", w_q="a d", w_k="a c", w_v="a c", w_o="d a", h="count", mask="bool (b h t s)")
def cross_attention(
    x: torch.Tensor,
    context: torch.Tensor,
    w_q: torch.Tensor,
    w_k: torch.Tensor,
    w_v: torch.Tensor,
    w_o: torch.Tensor,
    h: int,
    mask: torch.Tensor | None = None,
) -> torch.Tensor:
    """x (b t d), context (b s c), w_q (a d), w_k and w_v (a c), w_o (d a), h heads -> (b t d).

    Queries come from x, keys and values from context; each weight is applied as nn.Linear does, x @ w.T, no bias.
    h that does not divide a is a ValueError: no column may be left over. The arguments stay as they are.

    mask is boolean, True = may attend, and broadcasts to (b h t s): (t s) is for all users and heads, (b 1 1 s) hides a
    user's padding, (b h t s) is for each head. Three axes are read as (h t s), one mask a head; a mask (b t s), one a
    user, has to come as mask[:, None]. A query that may attend to nothing gets zeros, and no gradient is NaN. The
    result has x's dtype.

    >>> one, x, context = torch.ones(1, 1), torch.zeros(1, 1, 1), torch.tensor([[[8.0], [4.0], [0.0]]])
    >>> cross_attention(x, context, one, one, one, one, 1)  # a query of nothing: the plain mean
    tensor([[[4.]]])
    >>> cross_attention(x, context, one, one, one, one, 1, torch.tensor([[[[True, True, False]]]]))  # (b 1 1 s)
    tensor([[[6.]]])
    """
    return multi_head_attention(x, context, context, w_q, w_k, w_v, w_o, h, mask)


class CrossAttention(nn.Module):
    """h heads over width d, reading a context of width c.

    Parameters: q_proj.weight, o_proj.weight (d d), k_proj.weight, v_proj.weight (d c); no biases.

    >>> layer = CrossAttention(d=1, c=1, h=1)
    >>> for weight in layer.parameters():
    ...     _ = nn.init.eye_(weight)
    >>> layer(torch.zeros(1, 1, 1), torch.tensor([[[8.0], [4.0], [0.0]]])).detach()  # a query of nothing: the mean
    tensor([[[4.]]])
    """

    def __init__(self, d: int, c: int, h: int) -> None:
        super().__init__()
        head_width(d, h)  # here, not at the first call: h must divide d
        self.h = h
        self.q_proj, self.o_proj = nn.Linear(d, d, bias=False), nn.Linear(d, d, bias=False)
        self.k_proj, self.v_proj = nn.Linear(c, d, bias=False), nn.Linear(c, d, bias=False)

    def forward(self, x: torch.Tensor, context: torch.Tensor, mask: torch.Tensor | None = None) -> torch.Tensor:
        """x (b t d), context (b s c) -> (b t d); a query that may attend to nothing gets zeros, and no gradient is NaN.

        mask is boolean, broadcasts to (b h t s), True = may attend. Three axes are read as (h t s), one mask a head; a
        mask (b t s) has to come as mask[:, None]. The arguments stay as they are.
        """
        weights = self.q_proj.weight, self.k_proj.weight, self.v_proj.weight, self.o_proj.weight
        return cross_attention(x, context, *weights, self.h, mask)
