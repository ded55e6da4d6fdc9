"""Softmax as powers of two, in place: torch's exp on a CPU takes ten times as long at -inf, a masked score."""

import math

import torch

from recattn_mini.shapes import takes

LOG2_E = math.log2(math.e)


@takes(x="... s")
def _softmax_parts(x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """x (... s) -> positive parts (... s), 1 for the largest, and what divides them (... 1): their sum, or 1 for 0.

    A caller that sums the parts may divide afterwards, when fewer numbers are left. Half precision becomes float32.
    Only the ratio of the two results has the right gradient, since the shift by the maximum carries none.

    >>> _softmax_parts(torch.tensor([[8.0, 2.0, 2.0]]).log())  # 8, 2 and 2 over the largest, 8
    (tensor([[1.0000, 0.2500, 0.2500]]), tensor([[1.5000]]))
    """
    wide = x.to(torch.promote_types(x.dtype, torch.float32))
    # the shift cancels, so it needs no gradient; the clamp is for rows of -inf, where -inf - (-inf) would be NaN
    top = wide.detach().amax(-1, keepdim=True).clamp(min=torch.finfo(wide.dtype).min)
    parts = (wide - top).mul_(LOG2_E).exp2_()  # e^x = 2^(x log₂ e)
    return parts, parts.sum(-1, keepdim=True).clamp(min=1)  # the sum is below 1 only in a row of nothing but -inf


@takes(x="... s")
def softmax(x: torch.Tensor) -> torch.Tensor:
    """Normalise the last axis of x (... s) -> (... s): every row sums to 1, but a row of -inf is all zeros."""
    parts, total = _softmax_parts(x)
    return (parts / total).to(x.dtype)
