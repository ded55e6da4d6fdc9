"""The fast k best items are the plain ones and those of a full stable sort, on any scores, and with little memory."""

import tracemalloc

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from recattn_mini.metrics import top_k as plain
from recattn_mini.metrics.fast.top_k import top_k, top_k_numpy

INF = np.inf


def _by_sorting(scores: np.ndarray, k: int) -> np.ndarray:
    items = np.argsort(-scores, axis=1, kind="stable")[:, :k]
    items[np.take_along_axis(scores, items, 1) == -INF] = -1
    return np.pad(items, [(0, 0), (0, k - items.shape[1])], constant_values=-1)


def _both(scores: np.ndarray, k: int) -> np.ndarray:
    """What NumPy and PyTorch agree on, fast and plain."""
    got, by_torch = top_k_numpy(scores, k), top_k(torch.from_numpy(scores), k)
    assert got.dtype == np.int64
    assert by_torch.dtype == torch.int64
    np.testing.assert_array_equal(got, by_torch.numpy())
    np.testing.assert_array_equal(got, plain.top_k_numpy(scores, k))
    np.testing.assert_array_equal(got, plain.top_k(torch.from_numpy(scores), k).numpy())
    return got


FLOATS = st.sampled_from([np.float16, np.float32, np.float64])
FEW_VALUES = st.sampled_from([-INF, -2.0, -1.0, -0.0, 0.0, 1e-7, 0.5, 1.0, INF])


@settings(max_examples=150, deadline=None)
@given(data=st.data(), dtype=FLOATS, shape=st.tuples(st.integers(1, 6), st.integers(1, 40)), k=st.integers(1, 50))
def test_any_small_matrix(data: st.DataObject, dtype: type, shape: tuple[int, int], k: int) -> None:
    any_number = st.floats(width=np.dtype(dtype).itemsize * 8, allow_nan=False)
    scores = data.draw(hnp.arrays(dtype, shape, elements=data.draw(st.sampled_from([FEW_VALUES, any_number]))))
    np.testing.assert_array_equal(_both(scores, k), _by_sorting(scores, k))


@settings(max_examples=30, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    dtype=FLOATS,
    n=st.integers(400, 6000),
    k=st.sampled_from([1, 2, 10, 100, 500]),
    distinct=st.sampled_from([1, 2, 3, 20, 300, 10**6]),
    masked=st.sampled_from([0, 0.5, 0.99, 0.999, 1]),
)
def test_any_wide_matrix(seed: int, dtype: type, n: int, k: int, distinct: int, masked: float) -> None:
    rng = np.random.default_rng(seed)
    scores = (rng.integers(0, distinct, (5, n)) / 128 - 1).astype(dtype)
    scores[rng.random(scores.shape) < masked] = -INF
    np.testing.assert_array_equal(_both(scores, k), _by_sorting(scores, k))


def _hard_matrices(n: int, dtype: type) -> dict[str, np.ndarray]:
    """Those that the floor from block maxima serves badly, or that sorting by luck gets wrong."""
    rng = np.random.default_rng(0)
    random = rng.standard_normal((60, n)).astype(dtype)
    columns = np.arange(n)
    one_block = [np.where(columns % blocks < 2, random, random - 20) for blocks in (256, 512, 2048)]
    half_tied = random.copy()
    half_tied[::2] = 0
    one_tied = random.copy()
    one_tied[30] = 0
    late = np.zeros_like(random)
    late[:, -7:] = 1
    late[:, -3] = 0
    return {
        "random": random,
        "constant": np.ones_like(random),
        "three values": rng.integers(0, 3, random.shape).astype(dtype),
        "99 % masked": np.where(rng.random(random.shape) < 0.99, -INF, random).astype(dtype),
        "all masked": np.full_like(random, -INF),
        "all certain": np.full_like(random, INF),
        "one candidate, the last": np.where(columns == n - 1, random, -INF).astype(dtype),
        "nine candidates": np.where(columns < 9, random, -INF).astype(dtype),
        "an ulp apart": (1 + columns * 2.0**-23 + np.zeros_like(random)).astype(dtype),
        "rising": np.sort(random, axis=1),
        "falling": -np.sort(-random, axis=1),
        "periodic": (columns % 256 + np.zeros_like(random)).astype(dtype),
        **{f"best in two blocks {i}": scores.astype(dtype) for i, scores in enumerate(one_block)},
        "masked but two blocks": np.where(columns % 256 < 2, random, -INF).astype(dtype),
        "some rows tied": half_tied,
        "one row tied": one_tied,
        "ties beyond the head": late,
        "rounded": random.round(1),
        "zeros of both signs": np.where(rng.random(random.shape) < 0.5, 0.0, -0.0).astype(dtype),
    }


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("n", [7, 100, 511, 512, 513, 2049, 4999])
def test_hard_matrices(n: int, dtype: type) -> None:
    for name, scores in _hard_matrices(n, dtype).items():
        np.testing.assert_array_equal(_both(scores, 10), _by_sorting(scores, 10), err_msg=name)


@pytest.mark.parametrize("k", [64, 65, 255, 256, 257, 500, 2047, 5000])
def test_any_cutoff(k: int) -> None:
    scores = np.random.default_rng(0).integers(0, 3000, (8, 5000)).astype(np.float32)
    np.testing.assert_array_equal(_both(scores, k), _by_sorting(scores, k))


@pytest.mark.parametrize("n", [50, 3000])
def test_float64_keeps_what_float32_would_round_away(n: int) -> None:
    scores = np.tile(1 + np.arange(n) * 2.0**-50, (3, 1))
    assert len(np.unique(scores.astype(np.float32))) < n
    assert _both(scores, 3).tolist() == [[n - 1, n - 2, n - 3]] * 3


@pytest.mark.parametrize("n", [50, 3000])
def test_any_memory_layout(n: int) -> None:
    scores = np.random.default_rng(0).integers(0, 40, (60, n)).astype(np.float32)
    expected = _by_sorting(scores, 10)
    kept = scores.copy()
    for same in (np.asfortranarray(scores), np.repeat(scores, 2, axis=1)[:, ::2], scores.astype(">f4")):
        np.testing.assert_array_equal(top_k_numpy(same, 10), expected)
    np.testing.assert_array_equal(scores, kept)
    np.testing.assert_array_equal(top_k(torch.from_numpy(np.asfortranarray(scores)), 10).numpy(), expected)


@pytest.mark.parametrize("sign", [1, -1])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("n", [1, 30, 700, 5000])
def test_nan_is_named_wherever_it_is(n: int, dtype: type, sign: int) -> None:
    users = 120 if n == 5000 else 5  # the rows come in parts
    for row, item in ((0, 0), (users - 1, n - 1), (users // 2, n // 3)):
        scores = np.full((users, n), -INF, dtype)
        scores[row, item] = np.copysign(np.nan, sign)
        for function, x in ((top_k_numpy, scores), (top_k, torch.from_numpy(scores))):
            with pytest.raises(ValueError, match=rf"scores must be without NaN, got nan at \({row}, {item}\)"):
                function(x, 3)


def test_bad_input_is_named() -> None:
    with pytest.raises(ValueError, match=r"scores must be float, got int64"):
        top_k_numpy(np.array([[1, 2]]), 1)
    with pytest.raises(ValueError, match=r"scores has an empty axis, got \(2, 0\)"):
        top_k_numpy(np.zeros((2, 0)), 1)
    with pytest.raises(ValueError, match=r"scores must be \(u n\), got \(2,\)"):
        top_k(torch.zeros(2), 1)
    with pytest.raises(ValueError, match="k must be a whole number from 1, got 0"):
        top_k(torch.zeros(2, 2), 0)


def test_half_precision_tensors() -> None:
    scores = torch.randint(0, 30, (9, 900), generator=torch.Generator().manual_seed(0)).to(torch.bfloat16)
    np.testing.assert_array_equal(top_k(scores, 10).numpy(), _by_sorting(scores.float().numpy(), 10))


@pytest.mark.parametrize("kind", ["random", "constant", "three values", "best in two blocks 0", "some rows tied"])
def test_memory_does_not_grow_with_users(kind: str) -> None:
    scores = np.tile(_hard_matrices(5000, np.float32)[kind], (30, 1))
    tracemalloc.start()
    try:
        top_k_numpy(scores, 10)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 10 * 2**20 < scores.nbytes / 3  # int64 positions of all the scores would be 61 MiB
