r"""Self-attention: multi-head attention in which one sequence asks, answers and is summed up.

    out = multi_head_attention( x, x, x )

Axes    x (b t d); W_q, W_k, W_v (a d), W_o (d a); the mask broadcasts to (b h t t).
Rule    Without a mask and without positions it is equivariant: shuffled items come out shuffled, each with the same
        vector as before. Order has to come in by a position or by a mask.
        A query that may attend to nothing gets zeros.
Cost    4·t·d·a multiplications for the projections, 2·t²·a for the pairs: the projections cost more up to t = 2d.
Asked   "What does it cost in t, and from which length on? What happens to the output if I shuffle the history?"
Source  Vaswani et al. 2017, sec. 3.2.3 and table 1. https://arxiv.org/abs/1706.03762
"""

import numpy as np
import torch

from recattn_mini.attention.multi_head_attention import multi_head_attention, multi_head_attention_numpy
from recattn_mini.shapes import takes


@takes(x="b t d", w_q="a d", w_k="a d", w_v="a d", w_o="d a", h="count", mask="bool (b h t t)")
def self_attention_numpy(
    x: np.ndarray,
    w_q: np.ndarray,
    w_k: np.ndarray,
    w_v: np.ndarray,
    w_o: np.ndarray,
    h: int,
    mask: np.ndarray | None = None,
) -> np.ndarray:
    """x (b t d), w_q, w_k, w_v (a d), w_o (d a), h heads -> (b t d); mask broadcasts to (b h t t), True = may attend.

    >>> one, x = np.ones((1, 1)), np.array([[[np.log(3.0)], [0.0]]])
    >>> out = self_attention_numpy(x, one / np.log(3), one, one, one, 1)  # scores log 3 and 0, then 0 and 0
    >>> out / np.log(3)  # what the first item counts for: odds 3 to 1, then even odds
    array([[[0.75],
            [0.5 ]]])
    """
    return multi_head_attention_numpy(x, x, x, w_q, w_k, w_v, w_o, h, mask)


@takes(x="b t d", w_q="a d", w_k="a d", w_v="a d", w_o="d a", h="count", mask="bool (b h t t)")
def self_attention(
    x: torch.Tensor,
    w_q: torch.Tensor,
    w_k: torch.Tensor,
    w_v: torch.Tensor,
    w_o: torch.Tensor,
    h: int,
    mask: torch.Tensor | None = None,
) -> torch.Tensor:
    """x (b t d), w_q, w_k, w_v (a d), w_o (d a), h heads, mask (b h t t), True = may attend -> (b t d)."""
    return multi_head_attention(x, x, x, w_q, w_k, w_v, w_o, h, mask)
