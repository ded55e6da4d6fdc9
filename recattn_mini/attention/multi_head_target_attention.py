r"""Multi-head target attention: candidates ask, the history answers, each head in its own way.

    out_n = multi_head_attention( q = candidate_n, k = v = history )

Axes    candidates (b n d), history (b s d); W_q, W_k, W_v (a d), W_o (d a); h heads of width a/h.
Rule    Candidates are queries: scored together or one by one, they get the same, since none sees another. Swapped, each
        event would ask for candidates, and the result would be (b s d). Keys and values are the history's, W_k and W_v
        its two views. Nothing says when an event was: add positions to the history if its order matters.
        Its weights sum to one, so it says what the matching events are like, and not, as DIN does, how many they are.
        A candidate whose history is empty gets zeros; the mask is (b 1 1 s).
Cost    O((n+s)·d·a + n·s·a) time; k and v are projected once a user, for all n candidates.
Asked   "Who is query, key and value when a user's history meets n candidates? What can be cached? DIN or this?"
Source  Chang et al., KDD 2023 (TWIN), its exact search unit. https://arxiv.org/abs/2302.02352
"""

import numpy as np
import torch

from recattn_mini.attention.multi_head_attention import multi_head_attention, multi_head_attention_numpy
from recattn_mini.shapes import takes


@takes(
    candidates="b n d",
    history="b s d",
    w_q="a d",
    w_k="a d",
    w_v="a d",
    w_o="d a",
    h="count",
    mask="bool (b h n s)",
)
def multi_head_target_attention_numpy(
    candidates: np.ndarray,
    history: np.ndarray,
    w_q: np.ndarray,
    w_k: np.ndarray,
    w_v: np.ndarray,
    w_o: np.ndarray,
    h: int,
    mask: np.ndarray | None = None,
) -> np.ndarray:
    """candidates (b n d), history (b s d), w_q (a d), w_k (a d), w_v (a d), w_o (d a), h heads -> (b n d).

    mask is boolean and broadcasts to (b h n s), True = may attend. h that does not divide a is a ValueError.

    >>> one, history = np.eye(1), np.array([[[np.log(3.0)], [0.0]]])
    >>> w_v = 8 * one / np.log(3.0)  # values 8 and 0; scores log 3 and 0, so odds of 3 to 1
    >>> multi_head_target_attention_numpy(np.ones((1, 1, 1)), history, one, one, w_v, one, 1)
    array([[[6.]]])
    """
    return multi_head_attention_numpy(candidates, history, history, w_q, w_k, w_v, w_o, h, mask)


@takes(
    candidates="b n d",
    history="b s d",
    w_q="a d",
    w_k="a d",
    w_v="a d",
    w_o="d a",
    h="count",
    mask="bool (b h n s)",
)
def multi_head_target_attention(
    candidates: torch.Tensor,
    history: torch.Tensor,
    w_q: torch.Tensor,
    w_k: torch.Tensor,
    w_v: torch.Tensor,
    w_o: torch.Tensor,
    h: int,
    mask: torch.Tensor | None = None,
) -> torch.Tensor:
    """candidates (b n d), history (b s d), w_q (a d), w_k (a d), w_v (a d), w_o (d a), h heads -> (b n d).

    mask is boolean and broadcasts to (b h n s), True = may attend. h that does not divide a is a ValueError.
    """
    return multi_head_attention(candidates, history, history, w_q, w_k, w_v, w_o, h, mask)
