"""Spec of recall: hits by all that is relevant."""

import torch

from recattn_mini.exercises._lists import cases, per_user, relevant
from recattn_mini.exercises.spec import float64, right, same, teaching, wrong
from recattn_mini.metrics.recall import recall, recall_numpy

LEVEL, MINUTES = "easy", 3
DIFFERENTIABLE = False
HINTS = (
    "Two counts a user: what was found in the first k places, and what there was to find.",
    "An item is relevant if its gain is above 0; a grade of 3 is one item. R counts judged, not the list.",
    "(gains[:, :k] > 0).sum(1) / (judged > 0).sum(1), and NaN where the divisor is 0: there was nothing to find.",
)
FORBIDDEN: tuple[str, ...] = ()
inputs = cases


def expected(gains, judged, k):
    """Counted in plain Python."""
    return per_user(lambda g, j, k: sum(x > 0 for x in g[:k]) / sum(x > 0 for x in j), gains, judged, k)


def _agrees(f, *names):
    for name in names:
        same(f(*inputs()[name]), expected(*inputs()[name]))


@teaching
def check_worked_example(f):
    "two of four relevant items within three places: a half"
    same(f(float64([[1, 0, 1]]), float64([[1, 1, 1, 1]]), 3), float64([0.5]))


def check_values(f):
    "counts within the first k places, by all relevant items; also on views and on one user"
    _agrees(f, "lists", "one hit each", "the whole list", "no hit", "views", "one")


@teaching
def check_short_list(f):
    "a list that ends before k has missed the rest"
    _agrees(f, "a list that ends before k")


def check_grades(f):
    "an item of grade 3 is one relevant item"
    _agrees(f, "grades", "whole numbers")


def check_nothing_relevant(f):
    "a user with nothing to find has NaN, not 0: there is nothing to measure"
    _agrees(f, "nothing relevant")


def _hits(gains, k):
    return (gains[:, :k] > 0).sum(1).double()


@wrong("that is the hit rate: whether anything was found. Recall is how much of it")
def hit_rate_instead(gains, judged, k):
    return (_hits(gains, k) > 0).double() + 0 * relevant(judged)


@wrong("divided by k: that is precision")
def precision_instead(gains, judged, k):
    return _hits(gains, k) / k + 0 * relevant(judged)


@wrong("divided by min(k, R): a capped recall, which is another metric. Divide by R")
def capped(gains, judged, k):
    return _hits(gains, k) / relevant(judged).clamp_max(k)


@wrong("divided by the relevant items in the list: what was never ranked is missing from R. Count judged")
def relevant_in_the_list(gains, judged, k):
    return (_hits(gains, k) / (gains > 0).sum(1)).nan_to_num(0) + 0 * relevant(judged)


@wrong("no cutoff: all places count, not the first k")
def no_cutoff(gains, judged, k):
    return _hits(gains, gains.shape[1]) / relevant(judged)


@wrong("k - 1 places: a slice up to k holds k")
def one_place_short(gains, judged, k):
    return _hits(gains, k - 1) / relevant(judged)


@wrong("k + 1 places")
def one_place_more(gains, judged, k):
    return _hits(gains, k + 1) / relevant(judged)


@wrong("pooled over users (micro): every user is a figure of their own")
def micro(gains, judged, k):
    count = (judged > 0).sum(1)
    return torch.where(count == 0, torch.nan, _hits(gains, k).sum() / count.sum())


@wrong("grades are added up: count items, with > 0")
def grades_added(gains, judged, k):
    total = judged.sum(1).double()
    return gains[:, :k].sum(1) / torch.where(total == 0, torch.nan, total)


@wrong("only grade 1 counts as relevant: anything above 0 does")
def grade_one_only(gains, judged, k):
    return (gains[:, :k] == 1).sum(1) / relevant(judged)


@wrong("a user with nothing relevant gets 0, which pulls the mean down unseen. NaN says that there was nothing to find")
def zero_where_nothing(gains, judged, k):
    return (_hits(gains, k) / relevant(judged)).nan_to_num(0)


@wrong("a user with nothing relevant gets 1. NaN says that there was nothing to find")
def one_where_nothing(gains, judged, k):
    return (_hits(gains, k) / relevant(judged)).nan_to_num(1)


@wrong("a list shorter than k is scaled up as if the missing places were as good as the others")
def scaled_up(gains, judged, k):
    return _hits(gains, k) / relevant(judged) * max(1, k / gains.shape[1])


@wrong("one number for all users: a figure for each is asked, the mean is taken later")
def one_number(gains, judged, k):
    return recall(gains, judged, k).nanmean()


@wrong("axes of size 1 are squeezed away: one user has a figure as well")
def squeezed(gains, judged, k):
    return recall(gains, judged, k).squeeze()


@wrong("only gains from 1 count as relevant: anything above 0 does, 0.5 too")
def from_one_up(gains, judged, k):
    return recall((gains >= 1).double(), (judged >= 1).double(), k)


@wrong("divided by the width of judged: its zeros are padding or items that are not relevant. Count those above 0")
def by_width(gains, judged, k):
    return _hits(gains, k) / judged.shape[1] + 0 * relevant(judged)


@wrong("place k is looked up in the running count: a list may end before k")
def running_count(gains, judged, k):
    return (gains > 0).cumsum(1)[:, k - 1] / relevant(judged)


@right
def a_loop(gains, judged, k):
    return expected(gains, judged, k)


@right
def by_division_of_zeros(gains, judged, k):
    return (gains > 0)[:, :k].double().sum(-1) / judged.bool().double().sum(-1)
