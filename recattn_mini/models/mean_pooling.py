r"""Mean pooling: the user is the mean of the history, the same one for every candidate. The baseline without attention.

    interest = Σ_s event_s / |history|

Axes   b impressions, n candidates, s history positions, d width.
Rule   The mean is over the events, not over the padding; an empty history gives zeros.
Cost   O(s·d) once for all candidates.
Asked  "What is your baseline, and how do you know that attention made the difference?"
Source The base model of Zhou et al. 2018, sec. 4.2 (there a sum). https://arxiv.org/abs/1706.06978
"""

import torch
from torch import nn

from recattn_mini.models.click_features import ClickFeatures, ClickHead


class MeanPooling(nn.Module):
    """Click model whose interest is the mean of the history."""

    def __init__(self, genres: torch.Tensor, occupations: int, d: int) -> None:
        super().__init__()
        self.features = ClickFeatures(genres, occupations, d)
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
        events_of_a_user = (history != 0).sum(1, keepdim=True).clamp(min=1)
        interest = (events.sum(1) / events_of_a_user)[:, None].expand_as(films)
        return self.head(films, interest, self.features.profile(user, context))
