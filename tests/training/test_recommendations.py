"""Recommendations: the text and the picture, for weights that a reader can rank by eye."""

import matplotlib.pyplot as plt
import numpy as np
import pytest

from recattn_mini.training.recommendations import Recommendations

TITLES = ["Alien (1979)", "A film whose title is longer than thirty signs (1999)"]
HISTORY = ["Babe (1995)", "Casino (1995)", "Dead Man, a Long Title (1995)", "Emma (1996)"]
SIGNED = [[0.1, -0.75, 0.5, 0.0], [0.25, 0.25, 0.25, 0.3]]
POSITIVE = [[0.1, 0.6, 0.3, 0.05], [0.25, 0.25, 0.2, 0.3]]


def of(weights, titles=TITLES):
    items, scores = np.array([3, 1]), np.array([2.0, -1.25])
    k = len(titles)
    return Recommendations(items[:k], titles, scores[:k], HISTORY, None if weights is None else np.array(weights))


@pytest.fixture
def drawn(monkeypatch):
    """Draw, and hand over what was shown: the axes, and the image in them."""
    plt.switch_backend("agg")
    shown = []
    monkeypatch.setattr(plt, "show", lambda: shown.append(plt.gcf()))

    def drawn(recommendations):
        recommendations.draw()
        (figure,) = shown
        axes, _ = figure.axes  # the second are those of the colour bar
        (image,) = axes.images
        return axes, image

    yield drawn
    plt.close("all")


def labels(ticks):
    return [tick.get_text() for tick in ticks]


def test_the_three_largest_weights_by_absolute_value_and_ties_in_time_order():
    assert str(of(SIGNED)).splitlines() == [
        " 1    2.000  Alien (1979)                    ← Casino (1995) -0.75, Dead Man, a Long… 0.50, Babe (1995) 0.10",
        " 2   -1.250  A film whose title is longer…   ← Emma (1996) 0.30, Babe (1995) 0.25, Casino (1995) 0.25",
    ]


def test_equal_attention_is_said_once():
    assert str(of([SIGNED[0]] * 2)).splitlines() == [
        " 1    2.000  Alien (1979)",
        " 2   -1.250  A film whose title is longer…",
        "all of them ← Casino (1995) -0.75, Dead Man, a Long… 0.50, Babe (1995) 0.10",
    ]


def test_one_title_has_its_attention_beside_it():
    told = " 1    2.000  Alien (1979)                    ← Casino (1995) 0.60, Dead Man, a Long… 0.30, Babe (1995) 0.10"
    assert str(of(POSITIVE[:1], TITLES[:1])) == told


def test_without_attention_there_are_titles_and_no_picture(drawn):
    assert str(of(None)).splitlines() == [" 1    2.000  Alien (1979)", " 2   -1.250  A film whose title is longer…"]
    with pytest.raises(ValueError, match="no attention to draw"):
        drawn(of(None))


def test_a_row_for_each_title_and_a_column_for_each_event(drawn):
    axes, image = drawn(of(SIGNED))
    assert image.get_array().tolist() == SIGNED
    assert axes.yaxis_inverted(), "the best title is on top"
    assert axes.get_yticks().tolist() == [0, 1]
    assert labels(axes.get_yticklabels()) == ["Alien (1979)", "A film whose title is longer…"]
    assert axes.get_xticks().tolist() == [0, 1, 2, 3]
    assert labels(axes.get_xticklabels()) == ["Babe (1995)", "Casino (1995)", "Dead Man, a Long…", "Emma (1996)"]
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("the history, in time order", "recommended")


def test_equal_attention_is_drawn_once(drawn):
    axes, image = drawn(of([SIGNED[0]] * 2))
    assert image.get_array().tolist() == [SIGNED[0]]
    assert labels(axes.get_yticklabels()) == ["all 2"]


@pytest.mark.parametrize(
    ("weights", "scale", "colours"),
    [
        (SIGNED, (-0.75, 0.75), "PuOr"),
        ([[-0.1, 0.75, -0.5, 0.0]], (-0.75, 0.75), "PuOr"),
        (POSITIVE, (0, 0.6), "cividis"),
    ],
)
def test_zero_is_the_middle_of_the_colours_if_weights_have_signs_and_their_end_if_not(drawn, weights, scale, colours):
    _, image = drawn(of(weights, TITLES[: len(weights)]))
    assert image.get_clim() == scale
    assert image.get_cmap().name == colours
