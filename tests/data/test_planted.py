"""The planted worlds are what they say: labels follow the rule, inserted events mean nothing."""

import numpy as np
import pytest

from recattn_mini.data.planted import EVENTS, clicks_on_matches


@pytest.mark.parametrize("at_least", [1, 5])
def test_labels_follow_the_rule(at_least: int):
    """Matches come first, so the last that is needed is one just if the user clicked: |x - c|² is 32, or 96."""
    world = clicks_on_matches(seed=0, at_least=at_least, inserted=7)
    squared = ((world.events - world.candidates) ** 2).sum(-1)
    assert squared[world.clicked, at_least - 1].mean() == pytest.approx(32, abs=1)
    assert squared[~world.clicked, at_least - 1].mean() == pytest.approx(96, abs=8)
    assert squared[:, EVENTS:].mean() == pytest.approx(96, abs=4)
    assert 0.4 < world.clicked.mean() < 0.6


def test_inserting_changes_neither_labels_nor_the_ten_events():
    bare, noisy = (clicks_on_matches(seed=3, at_least=5, inserted=n) for n in (0, 40))
    np.testing.assert_array_equal(bare.clicked, noisy.clicked)
    np.testing.assert_array_equal(bare.events, noisy.events[:, :EVENTS])
    assert noisy.events[:, EVENTS:].std() == pytest.approx(bare.events.std(), rel=0.1)


def test_seeds_differ_and_repeat():
    one, again, other = (clicks_on_matches(seed, at_least=1, inserted=0).events for seed in (0, 0, 1))
    np.testing.assert_array_equal(one, again)
    assert not np.array_equal(one, other)


@pytest.mark.parametrize("at_least", [0, 9])
def test_bad_input_is_named(at_least: int):
    with pytest.raises(ValueError, match=f"at_least must be 1 to 8, got {at_least}"):
        clicks_on_matches(seed=0, at_least=at_least, inserted=0)
