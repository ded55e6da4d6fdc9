"""Metrics of a catalogue: numbers worked by hand, loops over pairs, scikit-learn's cosine."""

import itertools

import numpy as np
import pytest
import torch

from recattn_mini.metrics import (
    catalogue_coverage,
    gini_of_exposure,
    intra_list_diversity,
    novelty,
    personalisation,
    popularity_bias,
    serendipity,
)

RANDOM = np.random.RandomState(0)
LISTS = np.stack([RANDOM.permutation(30)[:6] for _ in range(11)])
LISTS[2, 4:] = LISTS[5, 1:] = -1
FEATURES = RANDOM.rand(30, 5) - 0.2
POPULARITY = RANDOM.randint(1, 40, 30) / 40
MODULES = {
    "catalogue_coverage": (catalogue_coverage, (LISTS, 30)),
    "gini_of_exposure": (gini_of_exposure, (LISTS, 30)),
    "personalisation": (personalisation, (LISTS, 30)),
    "novelty": (novelty, (LISTS, POPULARITY)),
    "intra_list_diversity": (intra_list_diversity, (LISTS, FEATURES)),
    "serendipity": (serendipity, (LISTS, RANDOM.rand(11, 30) < 0.3, POPULARITY)),
    "popularity_bias": (popularity_bias, (LISTS, LISTS[::-1].copy(), POPULARITY)),
}


def tensors(arguments):
    return [torch.from_numpy(x) if isinstance(x, np.ndarray) else x for x in arguments]


@pytest.mark.parametrize("name", MODULES)
def test_both_forms_agree(name):
    module, arguments = MODULES[name]
    ours, theirs = getattr(module, f"{name}_numpy")(*arguments), getattr(module, name)(*tensors(arguments))
    np.testing.assert_allclose(ours, theirs, rtol=1e-12)
    assert np.asarray(ours).dtype == np.asarray(theirs).dtype == np.float64


def test_coverage_by_hand():
    lists = np.array([[1, 2], [2, 3], [3, 4]])
    assert catalogue_coverage.catalogue_coverage_numpy(lists, 6) == pytest.approx(4 / 6)
    assert catalogue_coverage.catalogue_coverage_numpy(np.full((2, 3), -1), 6) == 0


def test_novelty_by_hand():
    """Items known to 3, 2, 1, 1 and no user of 3; the unknown one counts as one user. 1.4183 bits over the lists."""
    shares = np.array([3, 2, 1, 1, 1]) / 3
    got = novelty.novelty_numpy(np.array([[3, 4], [3, 2], [1, 2]]), shares)
    assert got == pytest.approx([np.log2(3), np.log2(3), (np.log2(1.5) + np.log2(3)) / 2])
    assert got.mean() == pytest.approx(1.4182958340544893, abs=1e-12)


def test_an_empty_list_has_no_novelty():
    for got in (
        novelty.novelty_numpy(np.array([[-1, -1], [0, -1]]), np.array([0.5, 0.25])),
        novelty.novelty(torch.tensor([[-1, -1], [0, -1]]), torch.tensor([0.5, 0.25])).numpy(),
    ):
        np.testing.assert_array_equal(got, [np.nan, 1])


def test_an_item_nobody_knows_is_an_error():
    with pytest.raises(ValueError, match="popularity must be above 0, got 0"):
        novelty.novelty_numpy(np.array([[0]]), np.array([0.0]))


def test_gini_by_hand():
    """Exposures 0 1 2 2 1 0: over the catalogue 4/9, over the four shown alone only 1/6."""
    lists = np.array([[1, 2], [2, 3], [3, 4]])
    assert gini_of_exposure.gini_of_exposure_numpy(lists, 6) == pytest.approx(4 / 9)
    assert gini_of_exposure.gini_of_exposure_numpy(lists - 1, 4) == pytest.approx(1 / 6)
    assert gini_of_exposure.gini_of_exposure_numpy(np.array([[0, 1], [2, 3]]), 4) == pytest.approx(0)
    assert gini_of_exposure.gini_of_exposure_numpy(np.zeros((9, 1), int), 10) == pytest.approx(1 - 1 / 10)


def test_gini_is_the_mean_difference_of_all_pairs():
    exposure = np.bincount(LISTS[LISTS >= 0], minlength=30)
    want = np.abs(exposure[:, None] - exposure).mean() / (2 * exposure.mean())
    assert gini_of_exposure.gini_of_exposure_numpy(LISTS, 30) == pytest.approx(want, abs=1e-12)


def test_gini_of_nothing_is_an_error():
    with pytest.raises(ValueError, match="items must hold an item, got only -1"):
        gini_of_exposure.gini_of_exposure_numpy(np.full((1, 1), -1), 3)


def test_personalisation_is_one_minus_the_mean_cosine_of_pairs():
    assert personalisation.personalisation_numpy(np.array([[3, 4], [3, 2], [1, 2]]), 5) == pytest.approx(2 / 3)
    sets = [set(row[row >= 0]) for row in LISTS]
    cosines = [len(a & b) / np.sqrt(len(a) * len(b)) for a, b in itertools.combinations(sets, 2)]
    assert personalisation.personalisation_numpy(LISTS, 30) == pytest.approx(1 - np.mean(cosines), abs=1e-12)
    assert personalisation.personalisation_numpy(np.tile(LISTS[:1], (4, 1)), 30) == pytest.approx(0)
    assert personalisation.personalisation_numpy(np.array([[0], [-1]]), 1) == 1
    with pytest.raises(ValueError, match="two users or more, got 1"):
        personalisation.personalisation_numpy(LISTS[:1], 30)


def test_diversity_is_the_mean_distance_of_pairs():
    pairwise = pytest.importorskip("sklearn.metrics.pairwise")
    for row, got in zip(LISTS, intra_list_diversity.intra_list_diversity_numpy(LISTS, FEATURES), strict=True):
        items = row[row >= 0]
        if len(items) < 2:
            assert np.isnan(got)
            continue
        similar = pairwise.cosine_similarity(FEATURES[items])
        assert got == pytest.approx(1 - similar[np.triu_indices(len(items), 1)].mean(), abs=1e-12)


def test_diversity_by_hand():
    features = np.array([[1, 0], [1, 0], [0, 1], [1, 1], [0, 1]], float)
    lists = np.array([[3, 4], [3, 2], [1, 2]])
    assert intra_list_diversity.intra_list_diversity_numpy(lists, features).mean() == pytest.approx(0.5285954792089683)


def test_serendipity_needs_relevance_and_surprise():
    popular = np.array([0.9, 0.8, 0.2, 0.1])
    relevance = np.array([[1, 0, 1, 0], [1, 1, 0, 0], [0, 0, 0, 0]])
    lists = np.array([[2, 3], [0, 2], [2, 3]])
    # item 2 is relevant and unpopular, 3 only unpopular; user 2's hit is the most popular; user 3 has nothing to find
    np.testing.assert_array_equal(serendipity.serendipity_numpy(lists, relevance, popular), [0.5, 0, np.nan])


def test_popularity_bias_by_hand():
    popular = np.array([8.0, 4.0, 2.0])
    lists, history = np.array([[0, 1], [2, -1], [-1, -1]]), np.array([[1, 2, -1], [2, -1, -1], [0, 1, 2]])
    got = popularity_bias.popularity_bias_numpy(lists, history, popular)
    np.testing.assert_allclose(got, [6 / 3 - 1, 0, np.nan])


@pytest.mark.parametrize("name", MODULES)
@pytest.mark.parametrize("form", ["", "_numpy"])
@pytest.mark.parametrize(
    ("row", "told"),
    [
        ([-2, 0, 1, 2, 3, 4], "items must be from 0 to n - 1 = 29, or -1 for none, got -2 to"),
        ([30, 0, 1, 2, 3, 4], "items must be from 0 to n - 1 = 29, or -1 for none, got -1 to 30"),
        ([7, 0, 1, 2, 3, 7], r"items\[0\] has 7 twice, expected each item once"),
    ],
)
def test_lists_that_are_none_are_an_error(name, form, row, told):
    module, (lists, *others) = MODULES[name]
    lists = lists.copy()
    lists[0] = row
    arguments = [lists, *others] if form else tensors([lists, *others])
    with pytest.raises(ValueError, match=told):
        getattr(module, name + form)(*arguments)


def test_a_feature_that_is_nan_is_an_error():
    features = FEATURES.copy()
    features[3, 1] = np.nan
    with pytest.raises(ValueError, match=r"features must be without NaN, got nan at \(3, 1\)"):
        intra_list_diversity.intra_list_diversity_numpy(LISTS, features)
