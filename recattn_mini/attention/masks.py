r"""Masks: who may attend to whom. True = may attend; a mask broadcasts to (b h t s).

    score ← score   where mask
            -inf    elsewhere, before the softmax

Axes    b batch, h heads, t query positions, s key positions.
Rule    -inf, not -1e9: with -1e9 a row that may attend to nothing becomes uniform, and float16 has no -1e9 at all.
        Fill the scores, never the boolean mask.
Cost    O(t·s); a padding mask needs only O(b·s).
Asked   "Which way is your mask, what does a fully padded user get, and where does the causal mask start when the
        last query comes alone with a KV cache?"
Source  Vaswani et al. 2017, sec. 3.2.3. https://arxiv.org/abs/1706.03762
"""

import functools
import math
import operator

import numpy as np
import torch

from recattn_mini.shapes import takes


@takes(q="* t d", k="* s c")
def causal_mask_numpy(q: np.ndarray, k: np.ndarray) -> np.ndarray:
    """Query positions q (... t d), key positions k (... s c) -> (t s), boolean; True = may attend.

    A query attends to itself and to what came before. The last query stands on the last key, also when there are
    fewer queries than keys (decoding with a KV cache); with more queries than keys the first ones see nothing.

    >>> causal_mask_numpy(np.zeros((2, 1)), np.zeros((3, 1))).astype(int)
    array([[1, 1, 0],
           [1, 1, 1]])
    """
    t, s = q.shape[-2], k.shape[-2]
    return np.tri(t, s, s - t, dtype=bool)  # without s - t it is aligned top left: a lone new query sees only key 0


@takes(q="* t d", k="* s c")
def causal_mask(q: torch.Tensor, k: torch.Tensor) -> torch.Tensor:
    """Query positions q (... t d), key positions k (... s c) -> (t s), boolean, on q's device; True = may attend.

    A query attends to itself and to what came before. The last query stands on the last key, also when there are
    fewer queries than keys (decoding with a KV cache); with more queries than keys the first ones see nothing.

    >>> causal_mask(torch.zeros(2, 1), torch.zeros(3, 1)).int()
    tensor([[1, 1, 0],
            [1, 1, 1]], dtype=torch.int32)
    """
    t, s = q.shape[-2], k.shape[-2]
    return torch.ones(t, s, dtype=torch.bool, device=q.device).tril(s - t)


@takes(items="int b s")
def padding_mask_numpy(items: np.ndarray) -> np.ndarray:
    """Histories of item ids (b s) -> (b 1 1 s), boolean; True = may be attended to, wherever the id is not 0.

    Padding may stand on either side. A history of nothing but padding is a row of False.

    >>> padding_mask_numpy(np.array([[0, 0, 50, 181]])).astype(int)
    array([[[[0, 0, 1, 1]]]])
    """
    return (items != 0)[:, None, None, :]  # the key axis is the last one: a mask over queries would hide nothing


@takes(items="int b s")
def padding_mask(items: torch.Tensor) -> torch.Tensor:
    """Histories of item ids (b s) -> (b 1 1 s), boolean; True = may be attended to, wherever the id is not 0.

    Padding may stand on either side. A history of nothing but padding is a row of False.

    >>> padding_mask(torch.tensor([[0, 0, 50, 181]])).int()
    tensor([[[[0, 0, 1, 1]]]], dtype=torch.int32)
    """
    return (items != 0)[:, None, None, :]


@takes(masks="bool *")
def combined_mask_numpy(*masks: np.ndarray) -> np.ndarray:
    """What every mask allows, each broadcast to the others.

    >>> combined_mask_numpy(np.array([[True, False], [True, True]]), np.array([[False, True]])).astype(int)
    array([[0, 0],
           [0, 1]])

    Asked   "How do causal and padding mask meet in SASRec?"
    Source  Kang, McAuley 2018. https://arxiv.org/abs/1808.09781
    """
    return functools.reduce(operator.and_, masks)  # "or" would let padding back in


@takes(masks="bool *")
def combined_mask(*masks: torch.Tensor) -> torch.Tensor:
    """What every mask allows, each broadcast to the others; see `combined_mask_numpy`."""
    return functools.reduce(operator.and_, masks)


@takes(scores="... s", mask="bool (... s)")
def masked_scores_numpy(scores: np.ndarray, mask: np.ndarray | None) -> np.ndarray:
    """Scores (... t s) with -inf where the mask says no; no mask allows everything.

    >>> masked_scores_numpy(np.zeros((1, 3)), np.array([True, False, True]))
    array([[  0., -inf,   0.]])

    Asked   "Why -inf and not -1e9?"
    """
    return scores if mask is None else np.where(mask, scores, -np.inf)


@takes(scores="... s", mask="bool (... s)")
def masked_scores(scores: torch.Tensor, mask: torch.Tensor | None) -> torch.Tensor:
    """Scores (... t s) with -inf where the mask says no; no mask allows everything."""
    return scores if mask is None else torch.where(mask, scores, -math.inf)
