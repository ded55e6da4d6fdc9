"""DIN's unit with W cut into its four blocks: only the product q ⊙ k is built for each pair, d numbers, not 4d."""

import torch

from recattn_mini.attention import din_attention as plain
from recattn_mini.shapes import takes


@takes(q="... t d", k="... s d", w_hidden="a d+d+d+d", b_hidden="a", w_score="a")
def din_scores(
    q: torch.Tensor, k: torch.Tensor, w_hidden: torch.Tensor, b_hidden: torch.Tensor, w_score: torch.Tensor
) -> torch.Tensor:
    """How much each event concerns each candidate: q (... t d), k (... s d) -> (... t s), of either sign.

    W_q q + W_k k + W_minus (q - k) = (W_q + W_minus) q + (W_k - W_minus) k: each side is multiplied once for all pairs.
    """
    w_q, w_k, w_minus, w_times = w_hidden.chunk(4, dim=-1)
    q, k = q[..., :, None, :], k[..., None, :, :]  # (... t 1 d), (... 1 s d)
    hidden = q @ (w_q + w_minus).mT + k @ (w_k - w_minus).mT + (q * k) @ w_times.mT + b_hidden  # (... t s a)
    return hidden.sigmoid() @ w_score


@takes(q="... t d", k="... s d", w_hidden="a d+d+d+d", b_hidden="a", w_score="a", mask="bool (... t s)")
def din_attention(
    q: torch.Tensor,
    k: torch.Tensor,
    w_hidden: torch.Tensor,
    b_hidden: torch.Tensor,
    w_score: torch.Tensor,
    mask: torch.Tensor | None = None,
) -> torch.Tensor:
    """Σ_s score_ts k_s: q (... t d), k (... s d), w_hidden (a 4d), b_hidden (a), w_score (a) -> (... t d).

    mask is boolean and broadcasts to (... t s), True = may attend. A candidate that may attend to nothing gets zeros.

    >>> q, k, zero = torch.ones(1, 1), torch.tensor([[3.0], [1.0]]), torch.zeros(1, 4)
    >>> din_attention(q, k, zero, zero[0, :1], torch.tensor([4.0]))  # 4 σ(0) = 2 of each event: 2·3 + 2·1
    tensor([[8.]])
    """
    scores = din_scores(q, k, w_hidden, b_hidden, w_score)
    return (scores if mask is None else scores.masked_fill(~mask, 0)) @ k


class DINAttention(plain.DINAttention):
    """The plain module, with its parameters, computed by the functions of this file."""

    def forward(self, q: torch.Tensor, k: torch.Tensor, mask: torch.Tensor | None = None) -> torch.Tensor:
        """Candidates q (... t d), history k (... s d) -> (... t d); mask broadcasts to (... t s), True = may attend."""
        return din_attention(q, k, self.hidden.weight, self.hidden.bias, self.score.weight[0], mask)
