r"""T5's position bias: a learned number for each head and each bucket of distances is added to the scores.

    score_hts = q_ht·k_hs + table[bucket(s - t), h];   out = softmax_s(score) v      without 1/√d

Axes    q (... h t d), k (... h s d), v (... h s e), table (buckets h); the bias (h t s) is the same for all users.
Rule    Key minus query. Half of the buckets hold one distance each, the other half grow as a logarithm does up to 128,
        and the last holds all beyond. An encoder gives half of its buckets to the future, a decoder none: there, all
        keys ahead fall into bucket 0 and need the causal mask. The last query stands on the last key.
        Unscaled: T5 folds 1/√d into the initial W_Q. A query that may attend to nothing gets zeros.
Cost    buckets·h parameters, shared by all layers; O(h·t·s), and a fused kernel has to take a bias.
Asked   "Why does T5 extrapolate better than a learned table? Where is the √d?"
Source  Raffel et al. 2020, sec. 2.1. https://arxiv.org/abs/1910.10683
"""

import math

import numpy as np
import torch

from recattn_mini.attention.masks import masked_scores, masked_scores_numpy
from recattn_mini.attention.softmax import softmax, softmax_numpy
from recattn_mini.shapes import takes

FAR = 128  # T5's; from here on all distances share the last bucket


def _exact_buckets(buckets: int, parts: int) -> int:
    """How many distances have a bucket of their own: half of the buckets of a direction."""
    if buckets % parts or not parts <= buckets < parts * FAR:
        raise ValueError(f"buckets must be a multiple of {parts} and less than {parts * FAR}, got {buckets}")
    return buckets // parts


def _bucket_numpy(distance: np.ndarray, exact: int) -> np.ndarray:
    shared = exact + np.log(np.maximum(distance, exact) / exact) / math.log(FAR / exact) * exact
    return np.where(distance < exact, distance, np.minimum(shared.astype(np.int64), 2 * exact - 1))


def _bucket(distance: torch.Tensor, exact: int) -> torch.Tensor:
    shared = exact + (distance.clamp(min=exact).float() / exact).log() / math.log(FAR / exact) * exact
    return torch.where(distance < exact, distance, shared.long().clamp(max=2 * exact - 1))


@takes(relative="int *", buckets="count")
def relative_position_bucket_numpy(relative: np.ndarray, buckets: int) -> np.ndarray:
    """Key minus query, of any axes -> buckets of an encoder, int64: the lower half looks back, the upper one ahead.

    >>> relative_position_bucket_numpy(np.array([0, -1, 1, -7, -8, -128, -999, 999]), 32)
    array([ 0,  1, 17,  7,  8, 15, 15, 31])

    Asked   "Key minus query or query minus key, and who gets the upper half?"
    """
    exact, relative = _exact_buckets(buckets, 4), relative.astype(np.int64)
    return np.where(relative > 0, 2 * exact, 0) + _bucket_numpy(np.abs(relative), exact)


@takes(relative="int *", buckets="count")
def relative_position_bucket_causal_numpy(relative: np.ndarray, buckets: int) -> np.ndarray:
    """Key minus query, of any axes -> buckets of a decoder, int64: all look back, and what is ahead has bucket 0.

    >>> relative_position_bucket_causal_numpy(np.array([0, -1, 1, -15, -16, -128, -999, 999]), 32)
    array([ 0,  1,  0, 15, 16, 31, 31,  0])

    Asked   "Why does a decoder tell distances apart better with as many buckets?"
    """
    return _bucket_numpy(np.maximum(-relative.astype(np.int64), 0), _exact_buckets(buckets, 2))


@takes(relative="int *", buckets="count")
def relative_position_bucket(relative: torch.Tensor, buckets: int) -> torch.Tensor:
    """Key minus query, of any axes -> buckets of an encoder, int64: the lower half looks back, the upper one ahead."""
    exact, relative = _exact_buckets(buckets, 4), relative.long()
    return 2 * exact * (relative > 0) + _bucket(relative.abs(), exact)


@takes(relative="int *", buckets="count")
def relative_position_bucket_causal(relative: torch.Tensor, buckets: int) -> torch.Tensor:
    """Key minus query, of any axes -> buckets of a decoder, int64: all look back, and what is ahead has bucket 0."""
    return _bucket(relative.long().neg().clamp(min=0), _exact_buckets(buckets, 2))


def _relative_numpy(q: np.ndarray, k: np.ndarray) -> np.ndarray:
    t, s = q.shape[-2], k.shape[-2]
    return np.arange(s) - (np.arange(t)[:, None] + s - t)  # (t s)


def _relative(q: torch.Tensor, k: torch.Tensor) -> torch.Tensor:
    t, s = q.shape[-2], k.shape[-2]
    return torch.arange(s, device=q.device) - (torch.arange(t, device=q.device)[:, None] + s - t)  # (t s)


@takes(q="* t d", k="* s c", table="buckets h")
def t5_position_bias_numpy(q: np.ndarray, k: np.ndarray, table: np.ndarray) -> np.ndarray:
    """Query positions q (* t d), key positions k (* s c), table (buckets h) -> an encoder's bias (h t s).

    >>> t5_position_bias_numpy(np.zeros((2, 1)), np.zeros((3, 1)), np.arange(8.0)[:, None])
    array([[[1., 0., 5.],
            [2., 1., 0.]]])
    """
    return np.moveaxis(table[relative_position_bucket_numpy(_relative_numpy(q, k), len(table))], -1, 0)


@takes(q="* t d", k="* s c", table="buckets h")
def t5_position_bias_causal_numpy(q: np.ndarray, k: np.ndarray, table: np.ndarray) -> np.ndarray:
    """Query positions q (* t d), key positions k (* s c), table (buckets h) -> a decoder's bias (h t s).

    Asked   "Which row of the bias does one new query with a KV cache need?"
    """
    return np.moveaxis(table[relative_position_bucket_causal_numpy(_relative_numpy(q, k), len(table))], -1, 0)


@takes(q="* t d", k="* s c", table="buckets h")
def t5_position_bias(q: torch.Tensor, k: torch.Tensor, table: torch.Tensor) -> torch.Tensor:
    """Query positions q (* t d), key positions k (* s c), table (buckets h) -> an encoder's bias (h t s)."""
    return table[relative_position_bucket(_relative(q, k), len(table))].movedim(-1, 0)


@takes(q="* t d", k="* s c", table="buckets h")
def t5_position_bias_causal(q: torch.Tensor, k: torch.Tensor, table: torch.Tensor) -> torch.Tensor:
    """Query positions q (* t d), key positions k (* s c), table (buckets h) -> a decoder's bias (h t s)."""
    return table[relative_position_bucket_causal(_relative(q, k), len(table))].movedim(-1, 0)


@takes(q="... h t d", k="... h s d", v="... h s e", table="buckets h", mask="bool (... h t s)")
def t5_attention_numpy(
    q: np.ndarray, k: np.ndarray, v: np.ndarray, table: np.ndarray, mask: np.ndarray | None = None
) -> np.ndarray:
    """q (... h t d), k (... h s d), v (... h s e), table (buckets h), mask (... h t s) -> (... h t e)."""
    scores = q @ np.swapaxes(k, -1, -2) + t5_position_bias_numpy(q, k, table)
    return softmax_numpy(masked_scores_numpy(scores, mask)) @ v


@takes(q="... h t d", k="... h s d", v="... h s e", table="buckets h", mask="bool (... h t s)")
def t5_attention(
    q: torch.Tensor, k: torch.Tensor, v: torch.Tensor, table: torch.Tensor, mask: torch.Tensor | None = None
) -> torch.Tensor:
    """q (... h t d), k (... h s d), v (... h s e), table (buckets h), mask (... h t s) -> (... h t e)."""
    return softmax(masked_scores(q @ k.mT + t5_position_bias(q, k, table), mask)) @ v
