"""The fast GAUC is the plain one, for scores of any width, tied and infinite ones, and users of any id."""

import numpy as np
import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from recattn_mini.metrics import gauc as plain
from recattn_mini.metrics.fast import gauc as fast

FORMS = [
    pytest.param(fast.gauc_numpy, id="numpy"),
    pytest.param(lambda *x: fast.gauc(*map(torch.from_numpy, x)), id="torch"),
]
few_values = st.sampled_from([-np.inf, -2.5, -6e-8, -0.0, 0.0, 6e-8, 0.25, 1.0, 1.001, 7.0, np.inf])
ids = st.sampled_from([-(2**62), -3, 0, 1, 2, 2**31 - 1, 2**31, 2**40])


@pytest.mark.parametrize("f", FORMS)
@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
@given(st.lists(st.tuples(ids, few_values, st.booleans()), min_size=2, max_size=60))
@settings(max_examples=80, deadline=None)
def test_any_rows(f, dtype, rows):
    users, scores = np.array([u for u, *_ in rows]), np.array([s for _, s, _ in rows]).astype(dtype)
    labels = np.array([y for *_, y in rows])
    assume(any(0 < labels[users == u].sum() < (users == u).sum() for u in users))
    kept = scores.copy(), labels.copy(), users.copy()
    assert f(scores, labels, users) == pytest.approx(plain.gauc_numpy(scores, labels, users), abs=1e-12)
    for now, before in zip((scores, labels, users), kept, strict=True):
        np.testing.assert_array_equal(now, before)


@pytest.mark.parametrize("f", FORMS)
@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
@pytest.mark.parametrize("values", [2, 9, 1000])
def test_users_of_every_size(f, dtype, values):
    random = np.random.RandomState(values)
    users = np.repeat(np.arange(40), random.randint(1, 60, 40))[random.permutation(1000)[:900] % 900]
    scores = (random.randint(-values, values, 900) / values).astype(dtype)
    for labels in (random.rand(900) < 0.2, (random.rand(900) < 0.2).astype(np.float32)):
        want = plain.gauc_numpy(scores, labels, users)
        assert f(scores, labels, users) == pytest.approx(want, abs=1e-12)
        tensors = torch.from_numpy(scores), torch.from_numpy(labels), torch.from_numpy(users)
        assert plain.gauc(*tensors) == pytest.approx(want, abs=1e-12)


@pytest.mark.parametrize("f", FORMS)
def test_nobody_left_is_the_same_error(f):
    rows = np.zeros(4), np.array([1, 1, 0, 0]), np.array([1, 1, 2, 2])
    for form in (f, plain.gauc_numpy):
        with pytest.raises(ValueError, match="labels must hold both classes for some user, got 2 users with one class"):
            form(*rows)
