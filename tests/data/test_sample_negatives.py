"""sample_negatives: held to a list of the unmet items in plain Python; uniform by construction and by χ²."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from recattn_mini.data.sample_negatives import sample_negatives, sample_negatives_numpy

BELOW_ONE = float(np.nextafter(1, 0))
FORMS = [
    pytest.param(sample_negatives_numpy, id="numpy"),
    pytest.param(lambda s, n, x: sample_negatives(torch.tensor(s), n, torch.tensor(x)).numpy(), id="torch"),
]


def unmet(row, n: int) -> list[int]:
    return [item for item in range(1, n + 1) if item not in set(map(int, row))]


def by_hand(seen, n: int, uniform) -> list[list[int]]:
    left = [unmet(row, n) for row in seen]
    return [[items[int(x * len(items))] for x in row] for items, row in zip(left, uniform.tolist(), strict=True)]


def world(u=7, s=11, n=17, k=13):
    """Histories padded anywhere, with repeats; the third is nothing but padding."""
    random = np.random.RandomState(0)
    seen = random.randint(1, n + 1, (u, s)) * (random.rand(u, s) < 0.7)
    seen[2] = 0
    return seen, n, random.rand(u, k)


@pytest.mark.parametrize("draw", FORMS)
def test_it_is_the_list_of_unmet_items(draw):
    seen, n, uniform = world()
    got = draw(seen, n, uniform)
    assert got.tolist() == by_hand(seen, n, uniform)
    assert got.dtype == np.int64


@pytest.mark.parametrize("draw", FORMS)
@given(data=st.data())
def test_of_any_histories(draw, data):
    u, s, n, k = (data.draw(st.integers(1, most)) for most in (3, 9, 12, 5))
    item = st.integers(0, n)
    row = st.lists(item, min_size=s, max_size=s).filter(lambda items: unmet(items, n))
    seen = np.array(data.draw(st.lists(row, min_size=u, max_size=u)))
    number = st.floats(0, 1, exclude_max=True) | st.sampled_from([0.0, 0.5, 1 / 3, BELOW_ONE])
    uniform = np.array(data.draw(st.lists(st.lists(number, min_size=k, max_size=k), min_size=u, max_size=u)))
    assert draw(seen, n, uniform).tolist() == by_hand(seen, n, uniform)


@pytest.mark.parametrize("draw", FORMS)
def test_every_unmet_item_has_the_same_share(draw):
    """One number in the middle of each share draws each unmet item once: no item of 1 to n is missed, or has two."""
    seen, n, _ = world()
    for row in seen:
        left = unmet(row, n)
        middles = (np.arange(len(left)) + 0.5) / len(left)
        assert draw(row[None], n, middles[None]).tolist() == [left]


@pytest.mark.parametrize("draw", FORMS)
def test_uniform_by_chi_square(draw):
    """60,000 draws over 6 unmet items: χ² with 5 degrees of freedom passes 20.5 for one seed in 1,000, not for this."""
    seen = np.array([[2, 3, 4, 0, 10]])
    got = draw(seen, 10, np.random.RandomState(0).rand(1, 60_000))[0]
    counts = np.bincount(got, minlength=11)
    assert np.flatnonzero(counts).tolist() == [1, 5, 6, 7, 8, 9]
    assert ((counts[counts > 0] - 10_000) ** 2 / 10_000).sum() < 20.5


@pytest.mark.parametrize("draw", FORMS)
@pytest.mark.parametrize("count", [1, 3, 5, 6, 7, 1000, 2**20 + 1])
def test_the_number_just_below_one_is_the_last_unmet_item(draw, count):
    """The product never rounds up to the number of unmet items: no clipping is needed, and none is done."""
    got = draw(np.array([[1, count + 2]]), count + 2, np.array([[0.0, BELOW_ONE]]))
    assert got.tolist() == [[2, count + 1]]


def test_draws_are_with_replacement():
    assert sample_negatives_numpy(np.array([[1]]), 3, np.array([[0.1, 0.1, 0.9, 0.9]])).tolist() == [[2, 2, 3, 3]]


def test_the_padding_side_changes_nothing():
    seen, n, uniform = world()
    want = sample_negatives_numpy(seen, n, uniform)
    for other in (seen[:, ::-1], np.sort(seen, axis=1), -np.sort(-seen, axis=1), np.pad(seen, ((0, 0), (3, 2)))):
        np.testing.assert_array_equal(sample_negatives_numpy(other, n, uniform), want)
        tensors = torch.tensor(other.copy()), n, torch.from_numpy(uniform)
        np.testing.assert_array_equal(sample_negatives(*tensors), want)


def test_views_and_narrow_integers():
    seen, n, uniform = world()
    want = by_hand(seen, n, uniform)
    columns, numbers = torch.tensor(seen.T.copy()).T, torch.tensor(uniform.T.copy()).T
    assert not columns.is_contiguous()
    assert not numbers.is_contiguous()
    warns_always = torch.is_warn_always_enabled()
    torch.set_warn_always(True)  # torch.searchsorted warns of views that it has to copy, but only once
    try:
        for dtype in (torch.int16, torch.int32, torch.int64):
            assert sample_negatives(columns.to(dtype), n, numbers).tolist() == want
    finally:
        torch.set_warn_always(warns_always)
    for dtype in (np.uint8, np.int16, np.int32):
        assert sample_negatives_numpy(columns.numpy().astype(dtype), n, numbers.numpy()).tolist() == want


def test_float32_numbers_are_taken_for_what_they_are():
    """0.7 in float32 is a little less: ten times that is below 7, but 7 if rounded to float32, one rank too many."""
    number = np.float32(0.7)
    assert (int(number * np.float32(10)), int(float(number) * 10)) == (7, 6)
    assert sample_negatives_numpy(np.array([[0]]), 10, np.array([[number]])).tolist() == [[7]]
    assert sample_negatives(torch.zeros(1, 1).long(), 10, torch.tensor([[float(number)]])).tolist() == [[7]]


def test_a_generator_of_either_library():
    seen, n, _ = world()
    for first, again, other in (
        [sample_negatives_numpy(seen, n, np.random.RandomState(seed).rand(7, 5)) for seed in (0, 0, 1)],
        [
            sample_negatives(torch.tensor(seen), n, torch.rand(7, 5, generator=torch.Generator().manual_seed(seed)))
            for seed in (0, 0, 1)
        ],
    ):
        assert first.tolist() == again.tolist() != other.tolist()


def test_inputs_are_left_alone():
    seen, n, uniform = world()
    kept = seen.copy(), uniform.copy()
    sample_negatives_numpy(seen, n, uniform)
    sample_negatives(torch.from_numpy(seen), n, torch.from_numpy(uniform))
    np.testing.assert_array_equal(seen, kept[0])
    np.testing.assert_array_equal(uniform, kept[1])


@pytest.mark.parametrize("draw", FORMS)
@pytest.mark.parametrize(
    ("seen", "n", "uniform", "told"),
    [
        ([[1, 2], [3, 1]], 2, [[0.5]] * 2, r"seen must be items from 1 to n = 2, or 0 for padding, got 1 to 3"),
        ([[1, -1]], 2, [[0.5]], r"seen must be items from 1 to n = 2, or 0 for padding, got -1 to 1"),
        ([[0, 1], [2, 1]], 2, [[0.5]] * 2, r"seen\[1\] must leave an item to draw, got all 2"),
        ([[1]], 2, [[1.0]], r"uniform must be at least 0 and below 1, got 1.0 to 1.0"),
        ([[1]], 2, [[0.5, -0.5]], r"uniform must be at least 0 and below 1, got -0.5 to 0.5"),
        ([[1]], 2, [[0.5, np.nan]], r"uniform must be at least 0 and below 1, got nan to nan"),
        ([[1]], 0, [[0.5]], r"n must be a whole number from 1, got 0"),
        ([[1], [1]], 2, [[0.5]], r"uniform must be \(u k\), u = 2 as in seen, got \(1, 1\)"),
        ([[1.0]], 2, [[0.5]], r"seen must be int, got"),
        ([[1]], 2, [[0]], r"uniform must be float, got"),
    ],
)
def test_bad_input_is_named(draw, seen, n, uniform, told):
    with pytest.raises(ValueError, match=f"^{told}"):
        draw(np.array(seen), n, np.array(uniform))
