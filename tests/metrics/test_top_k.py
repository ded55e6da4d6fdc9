"""The k best items are those of Python's own sort, which is stable; -inf is no candidate, and -1 fills the list."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from recattn_mini.metrics.top_k import top_k, top_k_numpy

INF = np.inf
FORMS = [
    pytest.param(top_k_numpy, id="numpy"),
    pytest.param(lambda scores, k: top_k(torch.from_numpy(scores), k).numpy(), id="torch"),
]
FLOATS = st.sampled_from([np.float16, np.float32, np.float64])
FEW_VALUES = st.sampled_from([-INF, -2.0, -1.0, -0.0, 0.0, 1e-7, 0.5, 1.0, INF])


def by_sorting(scores: np.ndarray, k: int) -> list[list[int]]:
    rows = []
    for row in scores.tolist():
        items = sorted((item for item, score in enumerate(row) if score != -INF), key=lambda item: -row[item])[:k]
        rows.append(items + [-1] * (k - len(items)))
    return rows


@pytest.mark.parametrize("best", FORMS)
@settings(max_examples=100, deadline=None)
@given(data=st.data(), dtype=FLOATS, shape=st.tuples(st.integers(1, 4), st.integers(1, 40)), k=st.integers(1, 50))
def test_any_matrix(best, data: st.DataObject, dtype: type, shape: tuple[int, int], k: int) -> None:
    any_number = st.floats(width=np.dtype(dtype).itemsize * 8, allow_nan=False)
    scores = data.draw(hnp.arrays(dtype, shape, elements=data.draw(st.sampled_from([FEW_VALUES, any_number]))))
    got = best(scores, k)
    assert got.dtype == np.int64
    assert got.tolist() == by_sorting(scores, k)


@pytest.mark.parametrize("best", FORMS)
def test_many_ties(best) -> None:
    """NumPy sorts up to 16 numbers by insertion, which is stable by itself."""
    scores = np.random.default_rng(0).integers(0, 3, (5, 500)).astype(np.float32)
    assert best(scores, 400).tolist() == by_sorting(scores, 400)


@pytest.mark.parametrize("best", FORMS)
def test_float64_keeps_what_float32_would_round_away(best) -> None:
    scores = np.tile(1 + np.arange(50) * 2.0**-50, (3, 1))
    assert best(scores, 3).tolist() == [[49, 48, 47]] * 3


@pytest.mark.parametrize("best", FORMS)
def test_the_scores_stay_and_may_lie_anyhow(best) -> None:
    scores = np.asfortranarray(np.random.default_rng(0).integers(0, 40, (60, 50)).astype(np.float32))
    kept = scores.copy()
    assert best(scores, 10).tolist() == by_sorting(kept, 10)
    np.testing.assert_array_equal(scores, kept)


def test_half_precision_tensors() -> None:
    scores = torch.randint(0, 30, (9, 90), generator=torch.Generator().manual_seed(0)).to(torch.bfloat16)
    assert top_k(scores, 10).tolist() == by_sorting(scores.float().numpy(), 10)


@pytest.mark.parametrize("best", FORMS)
def test_bad_input_is_named(best) -> None:
    with pytest.raises(ValueError, match=r"scores must be without NaN, got nan at \(1, 0\)"):
        best(np.array([[0.5, 1.0], [np.nan, -INF]]), 1)
    with pytest.raises(ValueError, match=r"scores must be floating, got (torch\.)?int64"):
        best(np.array([[1, 2]]), 1)
    with pytest.raises(ValueError, match=r"scores has an empty axis, got \(2, 0\)"):
        best(np.zeros((2, 0)), 1)
    with pytest.raises(ValueError, match=r"scores must be \(u n\), got \(2,\)"):
        best(np.zeros(2), 1)
    with pytest.raises(ValueError, match="k must be a whole number from 1, got 0"):
        best(np.zeros((2, 2)), 0)
