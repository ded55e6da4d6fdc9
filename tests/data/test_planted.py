"""The planted worlds are what they say: labels follow the rule, inserted events mean nothing."""

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from recattn_mini.data.planted import EVENTS, ITEMS, bayes_auc, clicks_on_matches, clicks_on_target_category


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


@pytest.fixture(scope="module")
def world():
    return clicks_on_target_category(seed=0, users=200_000)


def matches(world) -> np.ndarray:
    """Counted one user at a time, from the rule in the docstring."""
    pairs = zip(world.histories.tolist(), world.candidates.tolist(), strict=True)
    return np.array([sum(event % 20 == candidate % 20 for event in events) for events, candidate in pairs])


def test_items_are_ids_from_1_and_every_one_occurs(world):
    assert np.unique(world.histories).tolist() == list(range(1, ITEMS + 1))
    assert np.unique(world.candidates).tolist() == list(range(1, ITEMS + 1))


def test_the_chance_is_the_rule_and_clicks_follow_it(world):
    """Calibrated: of the users with one chance, that share clicks, within four standard errors."""
    counted = matches(world)
    np.testing.assert_allclose(world.chance, [1 / (1 + 2.718281828459045 ** (4 - 2 * n)) for n in counted], rtol=1e-12)
    for n in range(5):
        among, chance = world.clicked[counted == n], 1 / (1 + np.exp(4 - 2 * n))
        assert among.mean() == pytest.approx(chance, abs=4 * np.sqrt(chance * (1 - chance) / len(among)))


def test_the_bayes_auc_is_that_of_the_true_chance(world):
    """Standard error at 200,000 users is .0005; in the smaller worlds of a lesson, .002."""
    assert bayes_auc() == pytest.approx(0.944, abs=0.0005)
    assert roc_auc_score(world.clicked, world.chance) == pytest.approx(bayes_auc(), abs=0.002)


def test_nothing_but_matches_tells_of_a_click(world):
    """Neither the candidate nor how often an item or a category was chosen: half a pair in two, like a coin."""
    for useless in (world.candidates, world.histories.mean(1), world.candidates % 20):
        assert roc_auc_score(world.clicked, useless) == pytest.approx(0.5, abs=0.006)


def test_users_like_three_categories(world):
    """Of the ten events 7 are of three liked categories and the others anywhere: 7 + 3 · 3/20 of the best three."""
    counts = np.stack([(world.histories % 20 == category).sum(1) for category in range(20)])
    best_three = np.sort(counts, axis=0)[-3:].sum(0).mean()
    assert 7.45 < best_three < 8  # more than the liked ones have, as the best are picked after the draw


def test_target_worlds_differ_and_repeat():
    one, again, other = (clicks_on_target_category(seed, users=100) for seed in (0, 0, 1))
    for x, same, different in zip(one, again, other, strict=True):
        np.testing.assert_array_equal(x, same)
        assert not np.array_equal(x, different)


def test_no_users_is_named():
    with pytest.raises(ValueError, match="users must be at least 1, got 0"):
        clicks_on_target_category(seed=0, users=0)
