"""Planted worlds: users whose clicks follow a rule that we wrote, so that we know what a model ought to find.

    events   ten of 20 categories, each its category's centre plus noise; then random events that mean nothing
    label    clicked if at least so many of the ten are of the candidate's category
Asked        "Does attention help?" has no answer before somebody says what the label depends on.
"""

from typing import NamedTuple

import numpy as np

CATEGORIES, EVENTS, WIDTH = 20, 10, 32


class Clicks(NamedTuple):
    """Candidates (u 1 d) as queries, events (u s d) as keys and values, clicked (u)."""

    candidates: np.ndarray
    events: np.ndarray
    clicked: np.ndarray


def clicks_on_matches(seed: int, at_least: int, inserted: int, users: int = 2000) -> Clicks:
    """Users who click if at least `at_least` of their ten events match the candidate; then `inserted` random events.

    About half of the users click: with at_least=1 one of ten events matches or none does, otherwise one to eight do.

    >>> world = clicks_on_matches(seed=0, at_least=5, inserted=40)
    >>> world.candidates.shape, world.events.shape, world.clicked.shape  # ten events and 40 that were inserted
    ((2000, 1, 32), (2000, 50, 32), (2000,))
    """
    if not 1 <= at_least <= 8:
        raise ValueError(f"at_least must be 1 to 8, got {at_least}")
    draw = np.random.RandomState(seed)
    centre, target = draw.randn(CATEGORIES, WIDTH), draw.randint(CATEGORIES, size=users)
    matches = draw.randint(0, 2, size=users) if at_least == 1 else draw.randint(1, 9, size=users)
    others = (target[:, None] + draw.randint(1, CATEGORIES, size=(users, EVENTS))) % CATEGORIES
    category = np.where(np.arange(EVENTS) < matches[:, None], target[:, None], others)
    events = centre[category] + draw.randn(users, EVENTS, WIDTH)
    noise = np.sqrt(2) * draw.randn(users, inserted, WIDTH)  # the variance of a centre and its noise
    return Clicks(centre[target][:, None], np.concatenate([events, noise], axis=1), matches >= at_least)
