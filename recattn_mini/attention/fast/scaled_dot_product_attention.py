"""Attention that divides after the sum over the values, as fused kernels do: e divisions a query, where plain has s."""

import math

import torch

from recattn_mini.attention.fast.softmax import _softmax_parts
from recattn_mini.attention.masks import masked_scores
from recattn_mini.shapes import takes


@takes(q="... t d", k="... s d", v="... s e", mask="bool (... t s)")
def scaled_dot_product_attention(
    q: torch.Tensor, k: torch.Tensor, v: torch.Tensor, mask: torch.Tensor | None = None
) -> torch.Tensor:
    """softmax(q kᵀ / √d) v: q (... t d), k (... s d), v (... s e), mask (... t s), True = may attend -> (... t e).

    >>> q, k, v = torch.zeros(1, 3), torch.ones(2, 3), torch.tensor([[8.0], [4.0]])
    >>> scaled_dot_product_attention(q, k, v)  # parts 1 and 1: (8 + 4) / 2
    tensor([[6.]])
    """
    scores = q / math.sqrt(q.shape[-1]) @ k.mT
    parts, total = _softmax_parts(masked_scores(scores, mask))
    return (parts @ v.to(parts.dtype) / total).to(v.dtype)
