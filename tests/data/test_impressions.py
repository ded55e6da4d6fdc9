"""Impressions against plain Python over the real log: nothing of the same second, nothing later, nobody else's."""

import numpy as np
import pytest
import torch

from recattn_mini.data import movielens
from recattn_mini.data.impressions import genre_features, impressions, recency, split_each_user_by_time, user_features
from recattn_mini.data.movielens import Interactions

LENGTH = 5


@pytest.fixture(scope="module")
def films():
    return movielens.load()


@pytest.fixture(scope="module")
def table(films):
    return impressions(films, LENGTH)


@pytest.fixture(scope="module")
def log(films):
    """All rows (user, time, place in the file, item, rating), sorted as Python sorts tuples."""
    columns = films.users, films.timestamps, np.arange(len(films.users)), films.items, films.ratings
    return sorted(zip(*(column.tolist() for column in columns), strict=True))


@pytest.mark.parametrize("row", [0, 1, 9, 271, 272, 40_000, 77_777, 99_999])
def test_what_was_known_at_that_moment(table, log, films, row):
    user, time, _, item, rating = log[row]
    before = [event for event in log if event[0] == user and event[1] < time]
    padding = [0] * max(0, LENGTH - len(before))
    assert table.history[row].tolist() == padding + [event[3] for event in before][-LENGTH:]
    assert table.ratings[row].tolist() == padding + [event[4] for event in before][-LENGTH:]
    assert table.candidates[row].tolist() == [item]
    assert table.liked[row].tolist() == [rating >= 4]
    gap = time - before[-1][1] if before else -1
    assert table.context[row].tolist() == [time // 3600 % 24, recency(np.array([gap]))[0]]
    assert torch.equal(table.user[row], user_features(films)[user])


def test_some_rows_share_their_second_and_none_knows_the_other(table, log):
    same = [row for row in range(1, len(log)) if log[row][:2] == log[row - 1][:2]]
    assert len(same) > 40_000
    assert (table.history[same] != table.candidates[[row - 1 for row in same]]).all()


def test_features_of_users_and_films(films):
    users, genres = user_features(films), genre_features(films)
    assert users.shape == (944, 3)
    assert users[0].tolist() == [0, 0, 0]
    assert users[1, 0].item() == films.ages[1] // 10 + 1 == 3
    assert [int(column.max()) for column in users.T] == [8, 2, len(set(films.occupations[1:]))]
    assert genres.shape[0] == 1683
    assert genres[0].sum() == 0
    torch.testing.assert_close(genres[1:].sum(1), torch.ones(1682))
    assert (genres[1] > 0).sum() == len(films.genres[1]) == 3


def test_a_split_keeps_each_users_order(films):
    split = split_each_user_by_time(films)
    users = np.sort(films.users)
    assert sorted(np.concatenate([split.train, split.validation, split.test])) == list(range(100_000))
    for user in (1, 405, 943):
        parts = [rows[users[rows] == user] for rows in (split.train, split.validation, split.test)]
        assert parts[0].max() < parts[1].min() <= parts[1].max() < parts[2].min()
        share = len(parts[2]) / sum(map(len, parts))
        assert abs(share - 0.2) < 0.05


def test_the_shares_of_a_split_are_counted_by_user():
    """Users 1, 2 and 3 have 10, 20 and 5 events: the last fifth is the test, and validation begins at 7 tenths."""
    users = np.array([3, 2, 1, 2] * 5 + [1, 2] * 5 + [2] * 5)
    split = split_each_user_by_time(Interactions(users, users, np.ones(35), np.arange(35)))
    assert split.train.tolist() == [*range(7), *range(10, 24), *range(30, 34)]
    assert split.validation.tolist() == [7, 24, 25]  # and none of user 3: event 4 of 5 is at 6 tenths, event 5 at 8
    assert split.test.tolist() == [8, 9, *range(26, 30), 34]


def test_other_shares_of_a_split():
    users = np.ones(8, np.int64)
    split = split_each_user_by_time(Interactions(users, users, np.ones(8), np.arange(8)), validation=0.25, test=0.5)
    assert [part.tolist() for part in (split.train, split.validation, split.test)] == [[0, 1], [2, 3], [4, 5, 6, 7]]
    users = np.ones(5, np.int64)  # 1 - .2 - .2 is a little more than .6 in floating point
    split = split_each_user_by_time(Interactions(users, users, np.ones(5), np.arange(5)), validation=0.2, test=0.2)
    assert [part.tolist() for part in (split.train, split.validation, split.test)] == [[0, 1, 2], [3], [4]]
