r"""What the click models share: embeddings of users, films and moments, and the network on top.

    film      E[item] + W genres            event     film + R[rating]
    profile   age + gender + occupation + hour + recency, an embedding each
    logit     MLP [film, interest, film ⊙ interest, profile]

Axes   b impressions, n candidates, s history positions, d width of everything.
Rule   A film's vector is one and the same as candidate and in the history, or attention could not match them. Genres
       give a film without clicks a place to start from. DIN, DIEN and mean pooling differ in the interest alone.
Asked  "Which features, how are they embedded, and which are shared?"
Source Zhou et al. 2018, sec. 4.1. https://arxiv.org/abs/1706.06978
"""

import torch
from torch import nn

from recattn_mini.data.impressions import AGES, HOURS, RECENCIES


class ClickFeatures(nn.Module):
    """Embeddings of width d; `genres` (items genres) has a row for each item id, row 0 is padding."""

    genres: torch.Tensor

    def __init__(self, genres: torch.Tensor, occupations: int, d: int) -> None:
        super().__init__()
        self.register_buffer("genres", genres)
        self.items = nn.Embedding(len(genres), d, padding_idx=0)
        self.genre_proj = nn.Linear(genres.shape[1], d, bias=False)
        self.ratings = nn.Embedding(6, d, padding_idx=0)
        self.profiles = nn.ModuleList(nn.Embedding(n, d) for n in (AGES + 1, 3, occupations + 1, HOURS, RECENCIES))
        for table in (self.items, self.ratings, *self.profiles):
            nn.init.normal_(table.weight, std=0.1)  # dot products of N(0, 1) vectors would start saturated
        with torch.no_grad():
            self.items.weight[0] = self.ratings.weight[0] = 0

    def films(self, items: torch.Tensor) -> torch.Tensor:
        """Item ids (...) -> (... d)."""
        return self.items(items) + self.genre_proj(self.genres[items])

    def events(self, history: torch.Tensor, ratings: torch.Tensor) -> torch.Tensor:
        """History and its ratings (b s) -> (b s d), zeros where there is padding."""
        return self.films(history) + self.ratings(ratings)

    def profile(self, user: torch.Tensor, context: torch.Tensor) -> torch.Tensor:
        """User (b 3) and context (b 2) -> (b d)."""
        columns = torch.cat([user, context], dim=1).unbind(1)
        return torch.stack([table(ids) for table, ids in zip(self.profiles, columns, strict=True)]).sum(0)


class ClickHead(nn.Module):
    """The network on top: how likely this user, whose interest this is, likes this candidate now.

    Asked   "What sees the candidate, the interest and the profile together?"
    """

    def __init__(self, d: int) -> None:
        super().__init__()
        self.network = nn.Sequential(nn.Linear(4 * d, 2 * d), nn.ReLU(), nn.Linear(2 * d, 1))

    def forward(self, films: torch.Tensor, interest: torch.Tensor, profile: torch.Tensor) -> torch.Tensor:
        """Candidates (b n d), the interest in each (b n d), the profile (b d) -> logits (b n)."""
        profile = profile[:, None].expand_as(films)
        return self.network(torch.cat([films, interest, films * interest, profile], dim=-1)).squeeze(-1)
