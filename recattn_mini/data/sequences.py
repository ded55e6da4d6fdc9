r"""Sequences: histories of unequal length as batches of one, padded on the left, for models that predict the next item.

    window   … 0 0 12 7 31 9    the last items of a user, or a random stretch of them
    history  … 0 0 12 7 31      what the model reads
    target   … 0 12 7 31 9      what the model should predict after each step; 0 where there is nothing to predict

Axes   u users, b a batch of them, s history positions; item ids count from 1, 0 is padding.
Rule   Padding stands on the left, so that the last column is the user's last event, whatever the length. Target and
       history are one window, shifted by one: every position is an example, and one pass over the users is an epoch.
       (One example for every prefix costs s times as much and says the same to a causal model.)
Cost   O(b·s) for a batch, gathered from one flat array: no Python loop over users.
Asked  "How do you make training samples for SASRec? Which side do you pad, and what of users with 700 events?"
Source Kang, McAuley 2018, sec. III. https://arxiv.org/abs/1808.09781
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch

from recattn_mini.shapes import takes


class NextItems(NamedTuple):
    """A batch: histories (b s), the item after each of their positions (b s), and negatives (m) shared by all."""

    history: torch.Tensor
    target: torch.Tensor
    negatives: torch.Tensor


@dataclass(frozen=True, eq=False)
class Sequences:
    """The histories of all users, one after the other, and where each begins and how long it is."""

    items: torch.Tensor
    starts: torch.Tensor
    lengths: torch.Tensor

    @classmethod
    def of(cls, histories: Sequence[np.ndarray]) -> "Sequences":
        """Sequences of histories: an array of item ids for each user, in time order, each with one event or more.

        >>> Sequences.of([np.array([5, 3]), np.array([8])])
        Sequences(items=tensor([5, 3, 8]), starts=tensor([0, 2]), lengths=tensor([2, 1]))
        """
        lengths = torch.tensor([len(history) for history in histories])
        if len(histories) == 0 or not lengths.all():
            raise ValueError(f"histories must have an event for every user, got lengths {lengths.tolist()[:10]}")
        items = torch.from_numpy(np.concatenate(histories).astype(np.int64))
        if items.min() < 1:
            raise ValueError(f"histories must hold item ids from 1, for 0 is padding; got {items.min().item()}")
        return cls(items, lengths.cumsum(0) - lengths, lengths)

    @takes(users="int b", ends="int b", length="count")
    def windows(self, users: torch.Tensor, ends: torch.Tensor, length: int) -> torch.Tensor:
        """The `length` events of each user (b) before its event number `ends` (b) -> (b length), 0 before the first.

        `ends` beyond a user's events is a ValueError: they would be another user's.

        >>> Sequences.of([np.array([5, 3]), np.array([8])]).windows(torch.tensor([0, 0]), torch.tensor([2, 1]), 3)
        tensor([[0, 5, 3],
                [0, 0, 5]])
        """
        if not ((ends >= 0) & (ends <= self.lengths[users])).all():
            raise ValueError(f"ends must be from 0 to each user's number of events, got {ends.tolist()[:10]}")
        place = ends[:, None] - torch.arange(length, 0, -1)  # (b length), negative before the first event
        return self.items[self.starts[users, None] + place.clamp(min=0)].where(place >= 0, 0)

    @takes(length="count")
    def last(self, length: int) -> torch.Tensor:
        """What every user did last -> (u length), padded on the left.

        >>> Sequences.of([np.array([5, 3, 9]), np.array([8])]).last(2)
        tensor([[3, 9],
                [0, 8]])
        """
        return self.windows(torch.arange(len(self.starts)), self.lengths, length)

    @takes(users="int b", length="count")
    def random_windows(self, users: torch.Tensor, length: int, generator: torch.Generator) -> torch.Tensor:
        """A random stretch of `length` consecutive events of each user (b); all events of a user who has fewer."""
        latest = self.lengths[users]
        earliest = latest.clamp(max=length)  # the first event that a full window can end with
        drawn = torch.rand(len(users), generator=generator, dtype=torch.float64)
        return self.windows(users, earliest + (drawn * (latest - earliest + 1)).long(), length)
