r"""Null-key attention: one more key that belongs to no item, so that a query may give its weight to nothing.

    out_t = Σ_s softmax_s( q_t·k_s / √d ) v_s,   s over the keys and the null key

Axes    q (... t d), k (... s d), v (... s e); null_k (d), or (h d) a head, null_v (e) or (h e).
Rule    The null key is never masked, so no row is empty: a query with nothing to attend to gets null_v.
        A null key and value of zeros is "softmax plus one": the other weights sum to less than 1.
Cost    that of scaled dot-product attention with s + 1 keys, d + e parameters.
Asked   "Softmax must spend its whole weight. What if nothing in the history is relevant?"
Source  nn.MultiheadAttention's add_bias_kv, and add_zero_attn for zeros; attention sinks: Xiao et al. 2024. https://arxiv.org/abs/2309.17453
"""

import numpy as np
import torch
import torch.nn.functional as F

from recattn_mini.attention.scaled_dot_product_attention import (
    scaled_dot_product_attention,
    scaled_dot_product_attention_numpy,
)
from recattn_mini.shapes import takes


@takes(q="... t d", k="... s d", v="... s e", null_k="(...) d", null_v="(...) e", mask="bool (... t s)")
def null_key_attention_numpy(
    q: np.ndarray,
    k: np.ndarray,
    v: np.ndarray,
    null_k: np.ndarray,
    null_v: np.ndarray,
    mask: np.ndarray | None = None,
) -> np.ndarray:
    """q (... t d), k (... s d), v (... s e), null_k (... d), null_v (... e), mask (... t s) -> (... t e).

    >>> q, k, v = np.zeros((1, 2)), np.ones((3, 2)), np.array([[8.0], [4.0], [12.0]])
    >>> null_key_attention_numpy(q, k, v, np.zeros(2), np.zeros(1))  # four equal shares, one of them of nothing
    array([[6.]])
    """
    k = np.concatenate([np.broadcast_to(null_k[..., None, :], (*k.shape[:-2], 1, k.shape[-1])), k], axis=-2)
    v = np.concatenate([np.broadcast_to(null_v[..., None, :], (*v.shape[:-2], 1, v.shape[-1])), v], axis=-2)
    if mask is not None:
        mask = np.broadcast_to(mask, (*mask.shape[:-1], k.shape[-2] - 1))
        mask = np.concatenate([np.ones_like(mask[..., :1]), mask], axis=-1)
    return scaled_dot_product_attention_numpy(q, k, v, mask)


@takes(q="... t d", k="... s d", v="... s e", null_k="(...) d", null_v="(...) e", mask="bool (... t s)")
def null_key_attention(
    q: torch.Tensor,
    k: torch.Tensor,
    v: torch.Tensor,
    null_k: torch.Tensor,
    null_v: torch.Tensor,
    mask: torch.Tensor | None = None,
) -> torch.Tensor:
    """q (... t d), k (... s d), v (... s e), null_k (... d), null_v (... e), mask (... t s) -> (... t e)."""
    k = torch.cat([null_k[..., None, :].expand(*k.shape[:-2], 1, -1), k], -2)
    v = torch.cat([null_v[..., None, :].expand(*v.shape[:-2], 1, -1), v], -2)
    if mask is not None:
        mask = F.pad(mask.expand(*mask.shape[:-1], k.shape[-2] - 1), (1, 0), value=True)
    return scaled_dot_product_attention(q, k, v, mask)
