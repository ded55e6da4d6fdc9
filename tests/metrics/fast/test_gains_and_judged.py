"""Counting what is not 0 gives the truth that sorting gives, for gains of any dtype and rows of any length."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from recattn_mini.metrics import gains_and_judged as plain
from recattn_mini.metrics.fast import gains_and_judged as fast

DTYPES = [np.bool_, np.int8, np.int64, np.float16, np.float32, np.float64]


def agree(relevance: np.ndarray) -> None:
    want, got = plain.judged_of_relevance_numpy(relevance), fast.judged_of_relevance_numpy(relevance)
    tensors = [f(torch.from_numpy(relevance)).numpy() for f in (plain.judged_of_relevance, fast.judged_of_relevance)]
    for judged in (got, *tensors):
        assert judged.dtype == want.dtype == relevance.dtype
        np.testing.assert_array_equal(judged, want)


@settings(max_examples=150, deadline=None)
@given(data=st.data(), dtype=st.sampled_from(DTYPES), shape=st.tuples(st.integers(1, 9), st.integers(1, 30)))
def test_any_relevance(data: st.DataObject, dtype: type, shape: tuple[int, int]) -> None:
    agree(data.draw(hnp.arrays(dtype, shape, elements=st.sampled_from([0, 0, 1] if dtype == np.bool_ else [0, 1, 3]))))


@pytest.mark.parametrize("dtype", DTYPES)
def test_nothing_everything_and_one_long_row(dtype: type) -> None:
    relevance = np.zeros((5, 300), dtype)
    agree(relevance)
    relevance[3] = 1  # more than an int8 can count
    agree(relevance)
    agree(np.ones((2, 1), dtype))


@settings(max_examples=100, deadline=None)
@given(data=st.data(), dtype=st.sampled_from(DTYPES), u=st.integers(1, 5), n=st.integers(1, 12))
def test_any_lists(data: st.DataObject, dtype: type, u: int, n: int) -> None:
    relevance = data.draw(hnp.arrays(dtype, (u, n), elements=st.sampled_from([0, 1])))
    k = data.draw(st.integers(1, n))
    items = np.array([data.draw(st.permutations(range(n)))[:k] for _ in range(u)])
    items[data.draw(hnp.arrays(np.bool_, items.shape))] = -1
    for of in (items, items.astype(np.int8), np.asfortranarray(items)):
        got, want = fast.gains_of_items_numpy(of, relevance), plain.gains_of_items_numpy(of, relevance)
        np.testing.assert_array_equal(got, want)
        assert got.dtype == relevance.dtype


@pytest.mark.parametrize("row", [[0, 0, 2], [0, 1, 3], [0, 1, -2], [0, 1, 2**32]])
def test_lists_that_are_none_are_the_same_error(row: list[int]) -> None:
    errors = []
    for module in (plain, fast):
        with pytest.raises(ValueError, match="items") as error:
            module.gains_of_items_numpy(np.array([row]), np.ones((1, 3)))
        errors.append(str(error.value))
    assert errors[0] == errors[1]
