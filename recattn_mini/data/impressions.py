r"""Impressions: a film was shown; was it liked? With what was known of the user at that moment, and nothing later.

    label    rating ≥ 4                      user     decade of age, gender, occupation
    history  earlier films, their ratings    context  hour of the day; how long ago the last event was

Axes   b impressions, s history positions, n candidates; ids count from 1, 0 is padding, or nothing known.
Rule   History is what lies before the impression's second. Half of all events share their second with the next one,
       since people rate a page at a time, and what stands on the same page is not yet history. The parts of a split
       are each user's own earlier and later events, so a training event of one user may be later than a test event of
       another.
Asked  "What does your model know in training that it does not know when it is served?"
Source Zhou et al. 2018, sec. 6.1, label their MovieLens so. https://arxiv.org/abs/1706.06978
"""

from typing import NamedTuple

import numpy as np
import torch

from recattn_mini.data.movielens import MovieLens, Split
from recattn_mini.data.sequences import Sequences

HOURS, AGES, RECENCIES = 24, 8, 16


class Impressions(NamedTuple):
    """user (b 3), context (b 2), history and its ratings (b s), candidates and whether they were liked (b n)."""

    user: torch.Tensor
    context: torch.Tensor
    history: torch.Tensor
    ratings: torch.Tensor
    candidates: torch.Tensor
    liked: torch.Tensor

    def at(self, rows: torch.Tensor) -> "Impressions":
        """The impressions of these rows."""
        return Impressions(*(x[rows] for x in self))


def impressions(films: MovieLens, length: int) -> Impressions:
    """Every rating as an impression with one candidate, by user, then time, ties in file order.

    The history is the user's last `length` events of an earlier second.
    """
    order = np.lexsort((films.timestamps, films.users))
    users, times = films.users[order], films.timestamps[order]
    first = np.searchsorted(users, users)  # the row of the user's first event
    turns = np.r_[True, (users[1:] != users[:-1]) | (times[1:] != times[:-1])]
    known = np.flatnonzero(turns)[turns.cumsum() - 1] - first  # events of the user in earlier seconds
    since = np.where(known > 0, times - times[first + known - 1], -1)

    last_rows = np.flatnonzero(users[1:] != users[:-1]) + 1
    at = torch.from_numpy(users - 1), torch.from_numpy(known), length
    return Impressions(
        user_features(films)[users],
        torch.from_numpy(np.stack([times // 3600 % HOURS, recency(since)], axis=1)),
        Sequences.of(np.split(films.items[order], last_rows)).windows(*at),
        Sequences.of(np.split(films.ratings[order].astype(np.int64), last_rows)).windows(*at),
        torch.from_numpy(films.items[order])[:, None],
        torch.from_numpy(films.ratings[order] >= 4)[:, None].float(),
    )


def user_features(films: MovieLens) -> torch.Tensor:
    """By user id: decade of age, gender, occupation, each counted from 1 -> (users 3); row 0 is nobody."""
    _, genders = np.unique(films.genders[1:].astype(str), return_inverse=True)
    _, occupations = np.unique(films.occupations[1:].astype(str), return_inverse=True)
    features = np.stack([np.minimum(films.ages[1:] // 10, AGES - 1), genders, occupations], axis=1) + 1
    return torch.from_numpy(np.concatenate([np.zeros((1, 3), np.int64), features]))


def genre_features(films: MovieLens) -> torch.Tensor:
    """By item id: the share of each genre, equal shares that sum to 1 -> (items genres); row 0 is nothing."""
    names = sorted(set().union(*films.genres))
    table = torch.tensor([[float(name in genres) for name in names] for genres in films.genres])
    return table / table.sum(1, keepdim=True).clamp(min=1)


def recency(seconds: np.ndarray) -> np.ndarray:
    """How long ago the last event was, in powers of 4 of a second, from 1; 0 where there was none (given as -1).

    >>> recency(np.array([-1, 0, 1, 3, 4, 3600, 86400, 10**9]))  # 4^5 seconds are 17 minutes, 4^8 are 18 hours
    array([ 0,  1,  1,  1,  2,  6,  9, 15])
    """
    powers = np.floor(np.log2(np.maximum(seconds, 1)) / 2).astype(np.int64) + 1
    return np.where(seconds < 0, 0, np.minimum(powers, RECENCIES - 1))


def split_each_user_by_time(films: MovieLens, validation: float = 0.1, test: float = 0.2) -> Split:
    """Rows of `impressions`: of every user the first events for training, then these shares for the other parts."""
    users = np.sort(films.users)
    first, last = np.searchsorted(users, users), np.searchsorted(users, users, side="right")
    # 0 is the user's first event; without 1e-9, rounding would move an event at a border (1 - .2 - .2 exceeds .6)
    place = (np.arange(len(users)) - first) / (last - first) + 1e-9
    in_test = place >= 1 - test
    in_train = place < 1 - validation - test
    return Split(np.flatnonzero(in_train), np.flatnonzero(~in_train & ~in_test), np.flatnonzero(in_test))
