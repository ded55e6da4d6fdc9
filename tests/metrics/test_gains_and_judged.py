"""Truth without its zeros says what the truth says: held to plain lists, and to metrics of the whole truth."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from recattn_mini.metrics import gains_and_judged as plain
from recattn_mini.metrics.fast import gains_and_judged as fast
from recattn_mini.metrics.ndcg import ndcg_numpy

FORMS = [
    pytest.param(module.judged_of_relevance_numpy, id=f"{name}-numpy")
    for name, module in {"plain": plain, "fast": fast}.items()
] + [
    pytest.param(lambda x, f=module.judged_of_relevance: f(torch.from_numpy(x)).numpy(), id=f"{name}-torch")
    for name, module in {"plain": plain, "fast": fast}.items()
]


@pytest.mark.parametrize("judged_of", FORMS)
@settings(max_examples=60, deadline=None)
@given(
    relevance=hnp.arrays(
        st.sampled_from([np.bool_, np.int64, np.float16, np.float32]),
        st.tuples(st.integers(1, 6), st.integers(1, 12)),
        elements=st.integers(0, 1),
    ),
    grade=st.integers(1, 3),
)
def test_it_is_the_truth_without_its_zeros(judged_of, relevance: np.ndarray, grade: int) -> None:
    if relevance.dtype != bool:
        relevance = relevance * np.arange(grade, grade + relevance.shape[1], dtype=relevance.dtype)
    rows = [[gain for gain in row if gain] for row in relevance.tolist()]
    width = max(1, *map(len, rows))
    judged = judged_of(relevance)
    assert judged.tolist() == [row + [0] * (width - len(row)) for row in rows]
    assert judged.dtype == relevance.dtype


@pytest.mark.parametrize("judged_of", FORMS)
@pytest.mark.parametrize("dtype", [np.bool_, np.int64, np.float32, np.float64])
def test_a_metric_is_the_same_by_either_truth(judged_of, dtype: type) -> None:
    random = np.random.RandomState(0)
    relevance = (random.randint(1, 4, (50, 30)) * (random.rand(50, 30) < 0.1)).astype(dtype)
    gains, kept = relevance[:, :9], relevance.copy()
    judged = judged_of(relevance)
    assert judged.shape[1] < 30
    np.testing.assert_allclose(ndcg_numpy(gains, judged, 5), ndcg_numpy(gains, relevance, 5), rtol=1e-12)
    np.testing.assert_array_equal(relevance, kept)
