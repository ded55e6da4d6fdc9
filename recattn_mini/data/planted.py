"""Planted worlds: made-up users whose clicks follow a written rule, so that it is known what a model ought to find.

    clicks_on_matches            vectors that are given: clicked if at least so many of ten events are of the
                                 candidate's category; random events that mean nothing are inserted
    clicks_on_target_category    item ids, whose vectors are to be learned: the more of ten events are of the
                                 candidate's category, the likelier a click; no model can beat `bayes_auc()`
Asked   "Does attention help?"  It depends on what the label depends on, so say that first.
Source  Zhou et al. 2018 (DIN), sec. 4.3. https://arxiv.org/abs/1706.06978
"""

import math
from typing import NamedTuple

import numpy as np

CATEGORIES, EVENTS, WIDTH = 20, 10, 32
ITEMS, LIKED = 200, 3  # ten items of each category; three categories that a user likes
FAITHFUL, TARGETED = 0.7, 0.5  # events, and candidates, drawn from a liked category; the others from any
SLOPE, HALFWAY = 2.0, 2.0  # of the logit: at two matches a click has probability ½; the best AUC is then .944


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


class TargetClicks(NamedTuple):
    """Item ids from 1: histories (u s), candidates (u); clicked (u), and the true chance (u) of a click."""

    histories: np.ndarray
    candidates: np.ndarray
    clicked: np.ndarray
    chance: np.ndarray


def clicks_on_target_category(seed: int, users: int = 20_000) -> TargetClicks:
    """Users who click with the chance σ(2 (matches - 2)): matches are the events of the candidate's category.

    Item i is of category i % 20, which is no input of any model. Every user likes three categories.

    >>> world = clicks_on_target_category(seed=0)
    >>> matches = (world.histories % 20 == world.candidates[:, None] % 20).sum(1)
    >>> [round(float(world.chance[matches == n][0]), 2) for n in range(5)]  # σ of -4, -2, 0, 2, 4
    [0.02, 0.12, 0.5, 0.88, 0.98]

    Asked   "On which task would you compare two attention designs, and what is its best possible AUC?"
    """
    if users < 1:
        raise ValueError(f"users must be at least 1, got {users}")
    draw = np.random.RandomState(seed)
    liked = draw.rand(users, CATEGORIES).argsort(1)[:, :LIKED]

    def ids(of_liked: float, n: int) -> np.ndarray:
        """n items for each user, of a liked category with that probability, otherwise of any."""
        favourite = np.take_along_axis(liked, draw.randint(LIKED, size=(users, n)), axis=1)
        category = np.where(draw.rand(users, n) < of_liked, favourite, draw.randint(CATEGORIES, size=(users, n)))
        return category + CATEGORIES * draw.randint(ITEMS // CATEGORIES, size=(users, n)) + 1

    histories, candidates = ids(FAITHFUL, EVENTS), ids(TARGETED, 1)
    matches = (histories % CATEGORIES == candidates % CATEGORIES).sum(1)
    chance = 1 / (1 + np.exp(-SLOPE * (matches - HALFWAY)))
    return TargetClicks(histories, candidates[:, 0], draw.rand(users) < chance, chance)


def bayes_auc() -> float:
    """AUC of the true chance over all users of `clicks_on_target_category`: what the best possible model reaches.

    The number of matches is a mixture of two binomials: the user likes the candidate's category, or does not.

    >>> round(bayes_auc(), 3)
    0.944

    Asked   "Your AUC is .92. How much was there to gain?"
    Source  Hanley, McNeil 1982.
    """
    stray = (1 - FAITHFUL) / CATEGORIES  # an event of a category that the user does not care for
    is_liked = TARGETED + (1 - TARGETED) * LIKED / CATEGORIES
    n = np.arange(EVENTS + 1)
    ways = np.array([math.comb(EVENTS, k) for k in n])
    share = sum(
        weight * ways * p**n * (1 - p) ** (EVENTS - n)
        for weight, p in ((is_liked, FAITHFUL / LIKED + stray), (1 - is_liked, stray))
    )
    chance = 1 / (1 + np.exp(-SLOPE * (n - HALFWAY)))
    clicked, passed = share * chance, share * (1 - chance)
    right = np.tril(np.outer(clicked, passed), -1).sum() + (clicked * passed).sum() / 2  # a tie is half a pair
    return float(right / (clicked.sum() * passed.sum()))
