r"""DIEN: interests drift. A GRU extracts them from the history, an AUGRU follows those that lead to the candidate.

    h_1 … h_s = GRU(events);   a_t = softmax_t(h_t W film);   interest = last state of AUGRU(h, a)
    auxiliary   h_t should predict event t + 1, and not another user's

Axes   b impressions, n candidates, s history positions, d width.
Rule   Without the auxiliary loss the GRU learns from one label at the end of s steps. Padding on the left changes
       nothing: attention is 0 there, and AUGRU keeps its state. The softmax spreads a sum of 1, so updates are small.
Cost   O(s·d²) for the GRU and again for *every candidate*, in s steps that wait for each other.
Asked  "What does DIEN add to DIN, what does it cost online, and what is the auxiliary loss for?"
Source Zhou et al. 2019, sec. "Interest Extractor Layer". https://arxiv.org/abs/1809.03672
"""

import torch
from torch import nn

from recattn_mini.attention.augru_cell import AUGRU
from recattn_mini.attention.masks import masked_scores
from recattn_mini.attention.softmax import softmax
from recattn_mini.models.click_features import ClickFeatures, ClickHead


class DIEN(nn.Module):
    """Click model whose interest evolves towards the candidate; width d of everything."""

    def __init__(self, genres: torch.Tensor, occupations: int, d: int) -> None:
        super().__init__()
        self.features = ClickFeatures(genres, occupations, d)
        self.extractor = nn.GRU(d, d, bias=False, batch_first=True)  # so that zeros leave the state at zero
        self.w = nn.Linear(d, d, bias=False)
        self.evolution = AUGRU(d, d)
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
        films, n = self.features.films(candidates), candidates.shape[1]
        states, _ = self.extractor(self.features.events(history, ratings))
        weights = self._weights(states, history, films).flatten(0, 1)  # (b·n s)
        evolved = self.evolution(states.repeat_interleave(n, 0), weights)[:, -1]
        return self.head(films, evolved.unflatten(0, (-1, n)), self.features.profile(user, context))

    def weights(self, history: torch.Tensor, ratings: torch.Tensor, candidates: torch.Tensor) -> torch.Tensor:
        """The attention of each event, by candidate: history, ratings (b s), candidates (b n) -> (b n s)."""
        states, _ = self.extractor(self.features.events(history, ratings))
        return self._weights(states, history, self.features.films(candidates))

    def _weights(self, states: torch.Tensor, history: torch.Tensor, films: torch.Tensor) -> torch.Tensor:
        scores = films @ self.w(states).mT
        return softmax(masked_scores(scores, (history != 0)[:, None]))

    def auxiliary_logits(self, history: torch.Tensor, ratings: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """How well each step's state predicts the next event, and how well an event of another user: (m), (m).

        The other event stands at the same step in the row before in the batch, which is nearly always another user's.
        Steps are left out where either event is padding; in a batch of one, all are.
        """
        events = self.features.events(history, ratings)
        states, _ = self.extractor(events)
        there = history != 0
        pairs = there[:, :-1] & there[:, 1:] & there.roll(1, 0)[:, 1:] & (len(history) > 1)
        right = (states[:, :-1] * events[:, 1:]).sum(-1)
        other = (states[:, :-1] * events.roll(1, 0)[:, 1:]).sum(-1)
        return right[pairs], other[pairs]
