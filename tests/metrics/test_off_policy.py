"""IPS, SNIPS, clipping: by hand, and as estimates of a policy that is known."""

import numpy as np
import pytest
import torch

from recattn_mini.metrics import ips

REWARDS, WEIGHTS = np.array([1, 0, 1, 0, 1, 0]), np.array([0.4, 1.2, 2.0, 0.4, 1.2, 2.0])
BY_HAND = {"ips": 3.6 / 6, "snips": 3.6 / 7.2, "clipped_ips": 3.1 / 6}


def extra(name):
    return [1.5] if name == "clipped_ips" else []


@pytest.mark.parametrize("name", BY_HAND)
def test_by_hand(name):
    assert getattr(ips, f"{name}_numpy")(REWARDS, WEIGHTS, *extra(name)) == pytest.approx(BY_HAND[name], abs=1e-12)
    tensors = torch.from_numpy(REWARDS), torch.from_numpy(WEIGHTS)
    assert getattr(ips, name)(*tensors, *extra(name)) == pytest.approx(BY_HAND[name], abs=1e-12)


def test_ips_is_unbiased_and_snips_steadier():
    random = np.random.RandomState(0)
    rate, log, new = np.array([0.1, 0.5, 0.9]), np.array([0.8, 0.15, 0.05]), np.array([0.1, 0.3, 0.6])
    estimates = []
    for _ in range(2000):
        shown = random.choice(3, 400, p=log)
        reward, weight = (random.rand(400) < rate[shown]).astype(float), (new / log)[shown]
        estimates.append(
            (ips.ips_numpy(reward, weight), ips.snips_numpy(reward, weight), ips.clipped_ips_numpy(reward, weight, 4))
        )
    truth, (unbiased, steady, clipped) = new @ rate, np.array(estimates).T
    assert unbiased.mean() == pytest.approx(truth, abs=4 * unbiased.std() / np.sqrt(2000))
    assert steady.std() < unbiased.std() / 2
    assert steady.mean() == pytest.approx(truth, abs=0.01)
    assert clipped.mean() < truth - 0.1


def test_a_constant_reward_is_what_snips_says_it_is():
    assert ips.snips_numpy(np.full(6, 0.7), WEIGHTS) == pytest.approx(0.7)


@pytest.mark.parametrize(
    "form", [lambda r, w: ips.snips_numpy(r, w), lambda r, w: ips.snips(*map(torch.from_numpy, (r, w)))]
)
def test_weights_that_are_all_zero_are_an_error(form):
    with pytest.raises(ValueError, match="weights must not all be 0"):
        form(np.ones(2), np.zeros(2))


def test_bad_input_is_named():
    with pytest.raises(ValueError, match=r"weights must be finite and not negative, got -1\.0"):
        ips.ips_numpy(np.ones(2), np.array([1.0, -1.0]))
    with pytest.raises(ValueError, match="clip must be above 0, got 0"):
        ips.clipped_ips_numpy(np.ones(2), np.ones(2), 0)
