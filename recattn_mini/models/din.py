r"""DIN: the candidate looks at the history, so that one user has another interest for every candidate.

    interest_i = din_attention(film_i, events, events)

Axes   b impressions, n candidates, s history positions, d width, a hidden width of the activation unit.
Rule   The activation unit has no softmax, so a long history of matches weighs more than a short one; padding has
       weight 0. All candidates of a request are scored in one call. The unit is the fast form, since a training step
       with the plain one takes 1.3 to 1.6 times as long.
Cost   O(n·s·d·a): every candidate reads the whole history again, so DIN ranks some hundreds, it does not retrieve.
Asked  "Why not a dot product? Why no softmax? What do you precompute when a thousand candidates come in?"
Source Zhou et al. 2018, sec. 4.3. https://arxiv.org/abs/1706.06978
"""

import torch
from torch import nn

from recattn_mini.attention.fast.din_attention import DINAttention, din_scores
from recattn_mini.models.click_features import ClickFeatures, ClickHead


class DIN(nn.Module):
    """Click model whose interest is target attention; widths d of an item, a of the activation unit."""

    def __init__(self, genres: torch.Tensor, occupations: int, d: int, a: int) -> None:
        super().__init__()
        self.features = ClickFeatures(genres, occupations, d)
        self.attention = DINAttention(d, a)
        self.head = ClickHead(d)

    def forward(
        self,
        user: torch.Tensor,
        context: torch.Tensor,
        history: torch.Tensor,
        ratings: torch.Tensor,
        candidates: torch.Tensor,
    ) -> torch.Tensor:
        """user (b 3), context (b 2), history and ratings (b s), candidates (b n) -> logits (b n)."""
        films, events = self.features.films(candidates), self.features.events(history, ratings)
        interest = self.attention(films, events, (history != 0)[:, None])
        return self.head(films, interest, self.features.profile(user, context))

    def weights(self, history: torch.Tensor, ratings: torch.Tensor, candidates: torch.Tensor) -> torch.Tensor:
        """How much each event concerns each candidate: history, ratings (b s), candidates (b n) -> (b n s)."""
        films, events = self.features.films(candidates), self.features.events(history, ratings)
        unit = self.attention
        scores = din_scores(films, events, unit.hidden.weight, unit.hidden.bias, unit.score.weight[0])
        return scores.masked_fill((history == 0)[:, None], 0)
