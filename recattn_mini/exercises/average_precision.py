"""Spec of average_precision: the precision at each hit, by all that is relevant."""

import torch

from recattn_mini.exercises._lists import cases, per_user, relevant
from recattn_mini.exercises.spec import float64, right, same, teaching, wrong
from recattn_mini.metrics.average_precision import average_precision, average_precision_numpy

LEVEL, MINUTES = "medium", 10
DIFFERENTIABLE = False
HINTS = (
    "At each hit, look back: how many of the places so far are hits? Average that, over what?",
    "precision@r = hits so far / r. It counts at hits only; the sum is divided by R, all relevant items in judged.",
    "hits = gains[:, :k] > 0; (hits * hits.cumsum(1) / ranks).sum(1) / R with ranks 1, 2, …; NaN where R is 0.",
)
FORBIDDEN = (
    "sklearn.metrics.average_precision_score",
    "sklearn.metrics.label_ranking_average_precision_score",
)
inputs = cases


def expected(gains, judged, k):
    """Counted in plain Python."""

    def of_one(g, j, k):
        hits = [x > 0 for x in g[:k]]
        return sum(sum(hits[:r]) / r for r in range(1, len(hits) + 1) if hits[r - 1]) / sum(x > 0 for x in j)

    return per_user(of_one, gains, judged, k)


def _agrees(f, *names):
    for name in names:
        same(f(*inputs()[name]), expected(*inputs()[name]))


@teaching
def check_worked_example(f):
    "hits at 1 and 3 of three relevant items: (1 + 2/3) / 3"
    same(f(float64([[1, 0, 1]]), float64([[1, 1, 1]]), 3), float64([5 / 9]))


def check_values(f):
    "the precision at each hit within k, summed, divided by all relevant items"
    _agrees(f, "lists", "one hit each", "views", "one")


def check_whole_list(f):
    "the same when k is the whole list or beyond it: the list has ended, and R stays R"
    _agrees(f, "the whole list", "a list that ends before k", "no hit")


def check_grades(f):
    "an item of grade 3 is one relevant item"
    _agrees(f, "grades", "whole numbers")


def check_nothing_relevant(f):
    "a user with nothing to find has NaN, not 0: there is nothing to measure"
    _agrees(f, "nothing relevant")


def _sum(gains, k):
    hits = gains[:, :k] > 0
    return (hits * hits.cumsum(1) / _ranks(hits)).sum(1)


def _ranks(hits):
    return torch.arange(1, hits.shape[1] + 1, dtype=torch.float64)


@wrong("divided by the hits in the list (as torchmetrics does): finding less is rewarded. Divide by R")
def by_hits(gains, judged, k):
    return (_sum(gains, k) / (gains[:, :k] > 0).sum(1)).nan_to_num(0) + 0 * relevant(judged)


@wrong("divided by the hits in the list, so that a list without a hit is 0 / 0. Divide by R")
def by_hits_and_nan(gains, judged, k):
    return _sum(gains, k) / (gains[:, :k] > 0).sum(1)


@wrong("divided by min(k, R): that is average_precision_capped. Here the divisor is R")
def capped(gains, judged, k):
    return _sum(gains, k) / relevant(judged).clamp_max(k)


@wrong("divided by k: the divisor is R, all relevant items")
def by_k(gains, judged, k):
    return _sum(gains, k) / k + 0 * relevant(judged)


@wrong("the mean of precision@1 to precision@k (as elliot does): precision counts at hits only")
def mean_of_precisions(gains, judged, k):
    hits = gains[:, :k] > 0
    return (hits.cumsum(1) / _ranks(hits)).mean(1) + 0 * relevant(judged)


@wrong("precision is summed over all places, not at hits only")
def at_every_place(gains, judged, k):
    hits = gains[:, :k] > 0
    return (hits.cumsum(1) / _ranks(hits)).sum(1) / relevant(judged)


@wrong("1 / rank is summed at the hits: the precision at a hit is the number of hits so far, by the rank")
def reciprocal_ranks(gains, judged, k):
    hits = gains[:, :k] > 0
    return (hits / _ranks(hits)).sum(1) / relevant(judged)


@wrong("ranks are counted from 2: precision@r divides by r, and the first r is 1")
def from_two(gains, judged, k):
    hits = gains[:, :k] > 0
    return (hits * hits.cumsum(1) / (_ranks(hits) + 1)).sum(1) / relevant(judged)


@wrong("the hit itself is not counted in its precision: hits up to *and including* this place")
def hits_before(gains, judged, k):
    hits = gains[:, :k] > 0
    return (hits * (hits.cumsum(1) - hits.long()) / _ranks(hits)).sum(1) / relevant(judged)


@wrong("no cutoff: hits below place k do not count")
def no_cutoff(gains, judged, k):
    return _sum(gains, gains.shape[1]) / relevant(judged)


@wrong("k - 1 places: a slice up to k holds k")
def one_place_short(gains, judged, k):
    return _sum(gains, min(k, gains.shape[1]) - 1) / relevant(judged)


@wrong("R counts the relevant items in the list: those that were never ranked are missing. Count judged")
def relevant_in_the_list(gains, judged, k):
    return (_sum(gains, k) / (gains > 0).sum(1)).nan_to_num(0) + 0 * relevant(judged)


@wrong("grades are added up as if they were hits: count items, with > 0")
def grades_added(gains, judged, k):
    top = gains[:, :k].double()
    return ((top > 0) * top.cumsum(1) / _ranks(top)).sum(1) / relevant(judged)


@wrong("divided by the sum of the grades: R is the number of relevant items")
def by_sum_of_grades(gains, judged, k):
    return _sum(gains, k) * ((judged > 0).sum(1) / judged.sum(1)) / relevant(judged)


@wrong("a user with nothing relevant gets 0, which pulls the mean down unseen. NaN says that there was nothing to find")
def zero_where_nothing(gains, judged, k):
    return (_sum(gains, k) / relevant(judged)).nan_to_num(0)


@wrong("a user with nothing relevant gets 1, as a perfect list. NaN says that there was nothing to find")
def one_where_nothing(gains, judged, k):
    return (_sum(gains, k) / relevant(judged)).nan_to_num(1)


@wrong("beyond the end of the list R is cut to the list's length: it stays R")
def cut_to_the_list(gains, judged, k):
    return _sum(gains, k) / (relevant(judged).clamp_max(gains.shape[1]) if k >= gains.shape[1] else relevant(judged))


@wrong("one number for all users: a figure for each is asked, the mean is taken later")
def one_number(gains, judged, k):
    return average_precision(gains, judged, k).nanmean()


@wrong("axes of size 1 are squeezed away: one user has a figure as well")
def squeezed(gains, judged, k):
    return average_precision(gains, judged, k).squeeze()


@wrong("only gains from 1 count as relevant: anything above 0 does, 0.5 too")
def from_one_up(gains, judged, k):
    return average_precision((gains >= 1).double(), (judged >= 1).double(), k)


@wrong("k ranks whatever the length of the list: it may end before k. Take as many as there are places")
def as_many_ranks_as_k(gains, judged, k):
    hits = gains[:, :k] > 0
    ranks = torch.arange(1, k + 1, dtype=torch.float64)
    return (hits * hits.cumsum(1) / ranks).sum(1) / relevant(judged)


@wrong("each precision is weighed by the grade: a hit counts once, whatever its grade")
def weighed_by_grade(gains, judged, k):
    hits = gains[:, :k] > 0
    return (gains[:, :k] * hits.cumsum(1) / _ranks(hits)).sum(1) / relevant(judged)


@wrong("interpolated: the best precision from this place on. Take the precision at the hit itself")
def interpolated(gains, judged, k):
    hits = gains[:, :k] > 0
    best = (hits.cumsum(1) / _ranks(hits)).flip(1).cummax(1).values.flip(1)
    return (hits * best).sum(1) / relevant(judged)


@wrong("that is precision at k: average the precisions at the hits")
def precision_instead(gains, judged, k):
    return (gains[:, :k] > 0).sum(1).double() / k + 0 * relevant(judged)


@wrong("only the first hit counts: that is the reciprocal rank")
def first_hit_only(gains, judged, k):
    hits = gains[:, :k] > 0
    return (hits / _ranks(hits)).amax(1) + 0 * relevant(judged)


@right
def a_loop(gains, judged, k):
    return expected(gains, judged, k)


@right
def by_recall_steps(gains, judged, k):
    hits = (gains[:, :k] > 0).double()
    precision = hits.cumsum(1) / _ranks(hits)
    recall = hits.cumsum(1) / relevant(judged)[:, None]
    steps = torch.cat([recall[:, :1], recall.diff(dim=1)], 1)
    return (precision * steps).sum(1)
