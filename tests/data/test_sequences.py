"""Histories as batches, against slices of Python lists."""

import numpy as np
import pytest
import torch

from recattn_mini.data.sequences import Sequences

HISTORIES = [[5, 3, 9, 2], [8], [1, 7, 4, 6, 11, 10, 12]]


@pytest.fixture
def sequences():
    return Sequences.of([np.array(history) for history in HISTORIES])


@pytest.mark.parametrize("length", [1, 3, 7, 9])
def test_windows_are_slices(sequences, length):
    cases = [(user, end) for user, history in enumerate(HISTORIES) for end in range(len(history) + 1)]
    users, ends = torch.tensor(cases).T
    expected = [([0] * length + HISTORIES[user][:end])[-length:] for user, end in cases]
    assert sequences.windows(users, ends, length).tolist() == expected


@pytest.mark.parametrize("length", [1, 3, 7, 9])
def test_last_is_the_end_of_each(sequences, length):
    assert sequences.last(length).tolist() == [([0] * length + history)[-length:] for history in HISTORIES]


def test_random_windows_are_all_full_windows_and_equally_likely(sequences):
    users = torch.full((9000,), 2)
    drawn = sequences.random_windows(users, 3, torch.Generator().manual_seed(0)).tolist()
    full = [HISTORIES[2][i : i + 3] for i in range(5)]
    counts = [drawn.count(window) for window in full]
    assert sum(counts) == 9000
    assert max(abs(count - 1800) for count in counts) < 200  # five standard deviations


def test_a_short_history_is_there_as_a_whole(sequences):
    drawn = sequences.random_windows(torch.tensor([1, 0, 2]), 7, torch.Generator().manual_seed(0))
    assert drawn.tolist() == [[0] * 6 + [8], [0, 0, 0, 5, 3, 9, 2], HISTORIES[2]]


def test_the_generator_decides(sequences):
    def draw(seed):
        return sequences.random_windows(torch.full((50,), 2), 3, torch.Generator().manual_seed(seed)).tolist()

    assert draw(1) == draw(1) != draw(2)


@pytest.mark.parametrize(
    ("histories", "message"),
    [
        ([[5], []], r"an event for every user, got lengths \[1, 0\]"),
        ([], r"an event for every user, got lengths \[\]"),
        ([[5, 0]], "item ids from 1, for 0 is padding; got 0"),
    ],
)
def test_bad_histories(histories, message):
    with pytest.raises(ValueError, match=message):
        Sequences.of([np.array(history) for history in histories])


def test_bad_windows(sequences):
    with pytest.raises(ValueError, match="length must be a whole number from 1, got 0"):
        sequences.last(0)
    with pytest.raises(ValueError, match="ends must be"):
        sequences.windows(torch.tensor([0, 1]), torch.tensor([1]), 3)


@pytest.mark.parametrize("end", [-1, 3])
def test_ends_beyond_a_users_events_are_refused(end):
    sequences = Sequences.of([np.array([5, 3]), np.array([8])])
    with pytest.raises(ValueError, match=rf"ends must be from 0 to each user's number of events, got \[{end}\]"):
        sequences.windows(torch.tensor([0]), torch.tensor([end]), 3)
