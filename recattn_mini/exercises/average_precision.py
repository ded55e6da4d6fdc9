"""Spec of average_precision: the precision at each hit, by all that is relevant."""

import torch

from recattn_mini.exercises.spec import but, float64, right, same, teaching
from recattn_mini.exercises.spec.ranking import (
    hits_in,
    mistakes_of_dividing,
    mistakes_of_ranking,
    per_user,
    ranks_of,
    relevant_of,
    share,
    users_of_every_kind,
)
from recattn_mini.metrics.average_precision import average_precision, average_precision_numpy

LEVEL, MINUTES = "medium", 10
DIFFERENTIABLE = False
HINTS = (
    "At each hit, look back: how many of the places so far are hits? Average that, over what?",
    "precision@r = hits so far / r. It counts at hits only; the sum is divided by R, all relevant items in judged.",
    "hits = gains[:, :k] > 0; (hits * hits.cumsum(1) / ranks).sum(1) / R with ranks 1, 2, …; NaN where R is 0.",
)
FORBIDDEN = ("sklearn.metrics.average_precision_score", "sklearn.metrics.label_ranking_average_precision_score")
inputs = users_of_every_kind


def expected(gains, judged, k):
    """Counted in plain Python."""

    def of_one(g, j, k):
        hits = [x > 0 for x in g[:k]]
        return sum(sum(hits[:r]) / r for r in range(1, len(hits) + 1) if hits[r - 1]) / sum(x > 0 for x in j)

    return per_user(of_one, gains, judged, k)


def _agrees(f, *cases):
    for case in cases:
        same(f(*inputs()[case]), expected(*inputs()[case]))


@teaching
def check_worked_example(f):
    "hits at 1 and 3 of three relevant items: (1 + 2/3) / 3"
    same(f(float64([[1, 0, 1]]), float64([[1, 1, 1]]), 3), float64([5 / 9]))


def check_values(f):
    "the precision at each hit within k, summed, divided by all relevant items; also on views and equal sizes"
    _agrees(
        f, "lists", "the first place", "one hit each", "the whole list", "no hit", "views", "all sizes equal", "one"
    )


def check_short_list(f):
    "the same when the list ends before k: R stays R"
    _agrees(f, "a list that ends before k")


def check_grades(f):
    "an item of grade 3 is one relevant item"
    _agrees(f, "grades", "whole numbers")


def check_nothing_relevant(f):
    "a user with nothing to find has NaN, not 0: there is nothing to measure"
    _agrees(f, "nothing relevant")


def precision(top):
    """Precision@r at every place."""
    return (top > 0).cumsum(1) / ranks_of(top)


def at_hits(top):
    return ((top > 0) * precision(top)).sum(1)


def _relevant(gains, judged, k):
    return relevant_of(judged)


def answer(gains, judged, k, *, summed=at_hits, by=_relevant, divide=share):
    return divide(summed(gains[:, :k]), by(gains, judged, k))


def of_relevant_users(figure, relevant):
    return torch.where(relevant == 0, torch.nan, figure)


RANKING = mistakes_of_ranking(average_precision)
DIVIDING = mistakes_of_dividing(lambda gains, k: at_hits(gains[:, :k]), relevant_of)
capped = but(
    answer,
    "divided by min(k, R), as average_precision_capped is: divide by R",
    by=lambda gains, judged, k: relevant_of(judged).clamp_max(k),
)
cut_to_the_list = but(
    answer,
    "R is cut to the list's length where k is beyond its end: it stays R",
    by=lambda gains, judged, k: relevant_of(judged).clamp_max(gains.shape[1] if k > gains.shape[1] else torch.inf),
)
by_k = but(
    answer,
    "divided by k: divide by R, all that is relevant",
    by=lambda gains, judged, k: relevant_of(judged).clamp_max(1) * k,
)
padding_counted = but(
    answer,
    "divided by the width of judged: it is padded with 0, count what is above",
    by=lambda gains, judged, k: relevant_of(judged).clamp_max(1) * judged.shape[1],
)
by_sum_of_grades = but(
    answer, "divided by the sum of the grades: R is a number of items", by=lambda gains, judged, k: judged.sum(1)
)
mean_of_precisions = but(
    answer,
    "the mean of precision@1 to precision@k (as elliot does): precision counts at hits only",
    summed=lambda top: precision(top).mean(1),
    divide=of_relevant_users,
)
precision_instead = but(
    answer,
    "that is precision at k: average the precisions at the hits",
    by=lambda gains, judged, k: torch.where(relevant_of(judged) == 0, torch.nan, hits_in(gains, k) / k),
    divide=lambda summed, figure: figure,
)
first_hit_only = but(
    answer,
    "only the first hit counts: that is the reciprocal rank",
    summed=lambda top: ((top > 0) / ranks_of(top)).amax(1),
    divide=of_relevant_users,
)
last_hit_only = but(
    answer,
    "the precision at the last hit only: it is summed over all hits",
    summed=lambda top: torch.where(
        (top > 0) & ((top > 0).cumsum(1) == (top > 0).sum(1)[:, None]), precision(top), 0
    ).sum(1),
)
counted_on = but(
    answer,
    "hits are counted on from user to user, by a cumsum without an axis: count within each row, axis 1",
    summed=lambda top: ((top > 0) * (top > 0).flatten().cumsum(0).reshape(top.shape) / ranks_of(top)).sum(1),
)
at_every_place = but(
    answer, "precision is summed over all places, not at hits only", summed=lambda top: precision(top).sum(1)
)
reciprocal_ranks = but(
    answer,
    "1 / rank is summed at the hits: sum hits so far / rank",
    summed=lambda top: ((top > 0) / ranks_of(top)).sum(1),
)
from_two = but(
    answer,
    "ranks are counted from 2: precision@r divides by r, and the first r is 1",
    summed=lambda top: ((top > 0) * (top > 0).cumsum(1) / (ranks_of(top) + 1)).sum(1),
)
from_zero = but(
    answer,
    "places are counted from 0, and the first precision is divided by 0: count from 1",
    summed=lambda top: ((top > 0).cumsum(1) / (ranks_of(top) - 1) * (top > 0)).sum(1),
)
hits_before = but(
    answer,
    "the hit itself is not counted in its precision: hits up to *and including* this place",
    summed=lambda top: ((top > 0) * ((top > 0).cumsum(1) - 1) / ranks_of(top)).sum(1),
)
grades_added = but(
    answer,
    "grades are added up: count hits (> 0)",
    summed=lambda top: ((top > 0) * top.cumsum(1) / ranks_of(top)).sum(1),
)
weighed_by_grade = but(
    answer, "precision is weighed by the grade: a hit counts once", summed=lambda top: (top * precision(top)).sum(1)
)
interpolated = but(
    answer,
    "interpolated: the best precision from this place on. Take the precision at the hit itself",
    summed=lambda top: ((top > 0) * precision(top).flip(1).cummax(1).values.flip(1)).sum(1),
)
trapezoids = but(
    answer,
    "trapezoids under the curve of precision and recall: a hit counts the precision at its place, no mean of two",
    summed=lambda top: (
        (top > 0) * (precision(top) + torch.cat([torch.ones(len(top), 1), precision(top)[:, :-1]], 1)) / 2
    ).sum(1),
)
discounted = but(
    answer,
    "precision is discounted by log₂(rank + 1): the discount of NDCG has no place here",
    summed=lambda top: ((top > 0) * precision(top) / (ranks_of(top) + 1).log2()).sum(1),
)


@right
def a_loop(gains, judged, k):
    return expected(gains, judged, k)


@right
def by_recall_steps(gains, judged, k):
    hits = (gains[:, :k] > 0).double()
    recall = hits.cumsum(1) / relevant_of(judged)[:, None]
    steps = torch.cat([recall[:, :1], recall.diff(dim=1)], 1)
    return (hits.cumsum(1) / ranks_of(hits) * steps).sum(1)
