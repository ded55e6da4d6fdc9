"""Spec of recall: hits by all that is relevant."""

import torch

from recattn_mini.exercises.spec import but, float64, right, same, teaching
from recattn_mini.exercises.spec.ranking import (
    hits_in,
    mistakes_of_dividing,
    mistakes_of_ranking,
    per_user,
    relevant_of,
    share,
    users_of_every_kind,
)
from recattn_mini.metrics.recall import recall, recall_numpy

LEVEL, MINUTES = "easy", 3
DIFFERENTIABLE = False
HINTS = (
    "Two counts a user: what was found in the first k places, and what there was to find.",
    "An item is relevant if its gain is above 0; a grade of 3 is one item. R counts judged, not the list.",
    "(gains[:, :k] > 0).sum(1) / (judged > 0).sum(1), and NaN where the divisor is 0: there was nothing to find.",
)
FORBIDDEN: tuple[str, ...] = ()
inputs = users_of_every_kind


def expected(gains, judged, k):
    """Counted in plain Python."""
    return per_user(lambda g, j, k: sum(x > 0 for x in g[:k]) / sum(x > 0 for x in j), gains, judged, k)


def _agrees(f, *cases):
    for case in cases:
        same(f(*inputs()[case]), expected(*inputs()[case]))


@teaching
def check_worked_example(f):
    "two of four relevant items within three places: a half"
    same(f(float64([[1, 0, 1]]), float64([[1, 1, 1, 1]]), 3), float64([0.5]))


def check_values(f):
    "counts within the first k places, by all relevant items; also on views, on equal sizes, on one user"
    _agrees(
        f, "lists", "the first place", "one hit each", "the whole list", "no hit", "views", "all sizes equal", "one"
    )


def check_short_list(f):
    "a list that ends before k has missed the rest"
    _agrees(f, "a list that ends before k")


def check_grades(f):
    "an item of grade 3 is one relevant item"
    _agrees(f, "grades", "whole numbers")


def check_nothing_relevant(f):
    "a user with nothing to find has NaN, not 0: there is nothing to measure"
    _agrees(f, "nothing relevant")


def answer(gains, judged, k, *, gained=hits_in, possible=relevant_of, divide=share):
    return divide(gained(gains, k), possible(judged, k))


RANKING = mistakes_of_ranking(recall)
DIVIDING = mistakes_of_dividing(hits_in, relevant_of, without=["by_what_was_found"])  # which is the hit rate
hit_rate_instead = but(
    answer,
    "that is the hit rate: recall is how much was found",
    divide=lambda hits, relevant: share((hits > 0) * relevant, relevant),
)
capped = but(
    answer,
    "divided by min(k, R): capped recall. Divide by R",
    possible=lambda judged, k: relevant_of(judged).clamp_max(k),
)
grades_added = but(
    answer,
    "grades are added up, found by all: count items, with > 0",
    gained=lambda gains, k: gains[:, :k].sum(1).double(),
    possible=lambda judged, k: judged.sum(1).double(),
)
grades_by_number = but(
    answer,
    "grades are added up and divided by the number of items, so that it can be above 1: count hits, with > 0",
    gained=lambda gains, k: gains[:, :k].sum(1).double(),
)
padding_counted = but(
    answer,
    "divided by the width of judged: it is padded with 0, count what is above",
    possible=lambda judged, k: torch.full((len(judged),), judged.shape[1], dtype=torch.float64),
    divide=lambda hits, width: hits / width,
)
precision_instead = but(
    answer,
    "divided by k: that is precision",
    gained=lambda gains, k: hits_in(gains, k) / k,
    divide=lambda hits, relevant: share(hits * relevant, relevant),
)
precision_with_zero = but(
    answer,
    "divided by k, for users with nothing relevant too: that is precision. Divide by R, NaN where it is 0",
    gained=lambda gains, k: hits_in(gains, k) / k,
    divide=lambda hits, relevant: hits,
)
precision_of_the_list = but(
    answer,
    "divided by the number of places looked at: that is precision",
    gained=lambda gains, k: hits_in(gains, k) / min(k, gains.shape[1]),
    divide=lambda hits, relevant: hits,
)
scaled_up = but(
    answer,
    "a list shorter than k is scaled up as if the missing places were as good as the others",
    gained=lambda gains, k: hits_in(gains, k) * max(1, k / gains.shape[1]),
)


@right
def a_loop(gains, judged, k):
    return expected(gains, judged, k)


@right
def by_division_of_zeros(gains, judged, k):
    return (gains > 0)[:, :k].double().sum(-1) / judged.bool().double().sum(-1)
