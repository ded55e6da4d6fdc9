"""leave_one_out: held to a loop over users in plain Python; ties, short histories, ids of any size."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from recattn_mini.data import movielens
from recattn_mini.data.leave_one_out import leave_one_out, leave_one_out_numpy

FORMS = [
    pytest.param(leave_one_out_numpy, id="numpy"),
    pytest.param(lambda *x: tuple(p.numpy() for p in leave_one_out(*map(torch.tensor, x))), id="torch"),
]


def by_hand(users, timestamps) -> list[list[int]]:
    """Sorted by (user, timestamp, place in the file); the last two of each user with three or more are held out."""
    train, validation, test = [], [], []
    for user in sorted(set(map(int, users))):
        events = sorted((int(timestamps[event]), event) for event in range(len(users)) if users[event] == user)
        of_user = [event for _, event in events]
        if len(of_user) >= 3:
            test.append(of_user.pop())
            validation.append(of_user.pop())
        train += of_user
    return [train, validation, test]


@pytest.mark.parametrize("split", FORMS)
@pytest.mark.parametrize("moments", [3, 10**9], ids=["ties", "no ties"])
def test_it_is_the_loop_over_users(split, moments):
    random = np.random.RandomState(0)
    users, timestamps = random.randint(0, 23, 101), random.randint(0, moments, 101)
    assert [part.tolist() for part in split(users, timestamps)] == by_hand(users, timestamps)


@pytest.mark.parametrize("split", FORMS)
@given(st.lists(st.tuples(st.integers(-3, 3) | st.just(2**62), st.integers(-2, 2) | st.just(-(2**62))), min_size=1))
def test_of_any_events(split, events):
    """Ids far apart, negative ones and times before 1970 as well."""
    users, timestamps = (np.array(column, dtype=np.int64) for column in zip(*events, strict=True))
    got = split(users, timestamps)
    assert [part.tolist() for part in got] == by_hand(users, timestamps)
    assert {part.dtype for part in got} == {np.dtype(np.int64)}


@pytest.mark.parametrize("split", FORMS)
def test_all_tied_is_file_order(split):
    """1,000 events of one second: long enough for a sort that is not stable to show."""
    train, validation, test = split(np.zeros(1000, int), np.zeros(1000, int))
    assert [*train, *validation, *test] == list(range(1000))


@pytest.mark.parametrize("split", FORMS)
@pytest.mark.parametrize("count", [1, 2, 3, 4])
def test_how_many_events_are_enough(split, count):
    parts = split(np.full(count, 6), np.arange(count))
    assert [len(part) for part in parts] == ([count, 0, 0] if count < 3 else [count - 2, 1, 1])


def test_views_and_narrow_integers():
    random = np.random.RandomState(1)
    log = random.randint(0, 9, (83, 2))
    want = by_hand(log[:, 0], log[:, 1])
    for dtype in (np.uint8, np.int16, np.int32):
        users, timestamps = log.astype(dtype).T
        assert [part.tolist() for part in leave_one_out_numpy(users, timestamps)] == want
    for dtype in (torch.uint8, torch.int16, torch.int32):
        users, timestamps = torch.from_numpy(log).to(dtype).T
        assert not users.is_contiguous()
        assert [part.tolist() for part in leave_one_out(users, timestamps)] == want


def test_movielens_asks_here():
    """One rule, written once: the split of a log is this function's."""
    random = np.random.RandomState(2)
    log = movielens.Interactions(random.randint(1, 9, 61), np.ones(61, int), np.ones(61), random.randint(0, 4, 61))
    split = movielens.leave_one_out_split(log)
    assert [x.tolist() for x in (split.train, split.validation, split.test)] == by_hand(log.users, log.timestamps)


@pytest.mark.parametrize("split", FORMS)
@pytest.mark.parametrize(
    ("users", "timestamps", "told"),
    [
        ([1, 2], [1, 2, 3], r"timestamps must be \(m\), m = 2 as in users, got \(3,\)"),
        ([[1, 2]], [1, 2], r"users must be \(m\), got \(1, 2\)"),
        ([1.0], [1], r"users must be int, got"),
        ([1], [1.5], r"timestamps must be int, got"),
    ],
)
def test_bad_input_is_named(split, users, timestamps, told):
    with pytest.raises(ValueError, match=f"^{told}"):
        split(np.array(users), np.array(timestamps))


def test_no_events_at_all():
    with pytest.raises(ValueError, match=r"users has an empty axis, got \(0,\)"):
        leave_one_out_numpy(np.zeros(0, int), np.zeros(0, int))
