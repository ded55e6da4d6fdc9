"""Shaw's relative positions without a vector for each pair: q meets each of the 2m+1 distances once, (... t 2m+1)."""

import math

import torch

from recattn_mini.attention.masks import masked_scores
from recattn_mini.attention.relative_position_attention import _largest_distance
from recattn_mini.attention.softmax import softmax
from recattn_mini.shapes import takes


@takes(q="... t d", k="... s d", v="... s e", relative_k="distances d", relative_v="distances e", mask="bool (... t s)")
def relative_position_attention(
    q: torch.Tensor,
    k: torch.Tensor,
    v: torch.Tensor,
    relative_k: torch.Tensor,
    relative_v: torch.Tensor,
    mask: torch.Tensor | None = None,
) -> torch.Tensor:
    """q (... t d), k (... s d), v (... s e), relative_k (2m+1 d), relative_v (2m+1 e), mask (... t s) -> (... t e).

    mask is boolean, True = may attend. A query that may attend to nothing gets zeros, and no gradient is NaN.

    >>> one, none = torch.ones(1, 1), torch.zeros(3, 1)
    >>> relative_v = torch.tensor([[2.0], [0.0], [0.0]])  # one step back: 2 more
    >>> relative_position_attention(one, none[:2], torch.tensor([[8.0], [4.0]]), none, relative_v)  # ½(8 + 2) + ½·4
    tensor([[7.]])
    """
    t, s, m = q.shape[-2], k.shape[-2], _largest_distance(len(relative_k))
    q = q / math.sqrt(q.shape[-1])
    row = torch.arange(s, device=q.device) - (torch.arange(t, device=q.device)[:, None] + s - t)
    row = (row.clamp(-m, m) + m).expand(*q.shape[:-1], s)  # (... t s)
    scores = q @ k.mT + (q @ relative_k.mT).gather(-1, row)  # each key picks the product with its own distance
    weights = softmax(masked_scores(scores, mask))  # (... t s)
    # the weights of all keys at one distance are summed first, and then meet that distance's value. A GPU adds in the
    # dtype it is given, and in half precision a weight of 0.001 is lost when it is added to 0.5: float32 at least
    sums = weights.to(torch.promote_types(weights.dtype, torch.float32))
    by_distance = sums.new_zeros(*sums.shape[:-1], 2 * m + 1).scatter_add(-1, row, sums).to(weights.dtype)
    return weights @ v + by_distance @ relative_v
