"""The fast NDCG is the plain one, whatever the gains are made of."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from recattn_mini.metrics import ndcg as plain
from recattn_mini.metrics.fast import ndcg as fast

DTYPES = st.sampled_from([np.bool_, np.int64, np.float16, np.float32, np.float64])


@settings(max_examples=150, deadline=None)
@given(data=st.data(), of_gains=DTYPES, of_judged=DTYPES, u=st.integers(1, 5), k=st.integers(1, 14))
def test_any_lists(data: st.DataObject, of_gains: type, of_judged: type, u: int, k: int) -> None:
    gains, judged = (
        data.draw(hnp.arrays(dtype, (u, data.draw(st.integers(1, 12))), elements=st.sampled_from([0, 1])))
        for dtype in (of_gains, of_judged)
    )
    want = plain.ndcg_numpy(gains, judged, k)
    np.testing.assert_allclose(fast.ndcg_numpy(gains, judged, k), want, rtol=1e-12, atol=0)
    np.testing.assert_array_equal(np.isnan(want), ~judged.any(axis=1))


@pytest.mark.parametrize("k", [1, 10, 299, 300, 1000])
def test_many_relevant_items(k: int) -> None:
    """More than an int8 can count, and more than k."""
    judged = np.arange(300) < np.array([0, 1, 9, 10, 128, 299, 300])[:, None]
    gains = judged[:, :20]
    np.testing.assert_allclose(fast.ndcg_numpy(gains, judged, k), plain.ndcg_numpy(gains, judged, k), rtol=1e-12)
