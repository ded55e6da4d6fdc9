"""Spec of hit_rate: is anything relevant in the list?"""

import torch

from recattn_mini.exercises._lists import cases, per_user
from recattn_mini.exercises.spec import float64, right, same, teaching, wrong
from recattn_mini.metrics.hit_rate import hit_rate, hit_rate_numpy

LEVEL, MINUTES = "easy", 3
DIFFERENTIABLE = False
HINTS = (
    "One question a user: is there any relevant item in the first k places? Yes is 1, no is 0.",
    "`any` over (gains[:, :k] > 0). A user for whom nothing is relevant is neither a hit nor a miss.",
    "np.where((judged > 0).any(1), (gains[:, :k] > 0).any(1), np.nan): float64, one value a user.",
)
FORBIDDEN: tuple[str, ...] = ()
inputs = cases


def expected(gains, judged, k):
    """Looked through in plain Python."""
    return per_user(lambda g, j, k: float(any(x > 0 for x in g[:k])), gains, judged, k)


def _agrees(f, *names):
    for name in names:
        same(f(*inputs()[name]), expected(*inputs()[name]))


@teaching
def check_worked_example(f):
    "a hit at rank 2 counts; a list without one does not"
    same(f(float64([[0, 1], [0, 0]]), float64([[1, 0], [1, 0]]), 2), float64([1, 0]))


def check_values(f):
    "1 if anything relevant is in the first k places, else 0; also for short lists, views, one user"
    _agrees(f, "lists", "one hit each", "the whole list", "a list that ends before k", "no hit", "views", "one")


def check_grades(f):
    "an item of any grade above 0 is a hit, and a hit is 1"
    _agrees(f, "grades", "whole numbers")


def check_nothing_relevant(f):
    "a user with nothing to find has NaN, not 0: there is nothing to measure"
    _agrees(f, "nothing relevant")


def _any(gains, judged, k):
    return torch.where((judged > 0).any(1), (gains[:, :k] > 0).any(1).double(), torch.nan)


@wrong("that is recall: the share of the relevant items. Hit rate asks whether there is any")
def recall_instead(gains, judged, k):
    return (gains[:, :k] > 0).sum(1) / (judged > 0).sum(1).double()


@wrong("that is precision: hits by k. Hit rate asks whether there is any")
def precision_instead(gains, judged, k):
    return (gains[:, :k] > 0).sum(1).double() / k + 0 * _any(gains, judged, k)


@wrong("the number of hits: a user counts at most once")
def number_of_hits(gains, judged, k):
    return (gains[:, :k] > 0).sum(1).double() + 0 * _any(gains, judged, k)


@wrong("no cutoff: a hit below place k does not count")
def no_cutoff(gains, judged, k):
    return _any(gains, judged, gains.shape[1])


@wrong("only place k is looked at, not the first k")
def only_place_k(gains, judged, k):
    return _any(gains[:, k - 1 : k], judged, 1)


@wrong("k - 1 places: a slice up to k holds k")
def one_place_short(gains, judged, k):
    return _any(gains, judged, k - 1)


@wrong("k + 1 places")
def one_place_more(gains, judged, k):
    return _any(gains, judged, k + 1)


@wrong("only the first place is looked at")
def first_place(gains, judged, k):
    return _any(gains, judged, 1)


@wrong("all places must be hits: any one is enough")
def all_hits(gains, judged, k):
    return torch.where((judged > 0).any(1), (gains[:, :k] > 0).all(1).double(), torch.nan)


@wrong("all relevant items must be found: any one is enough")
def all_found(gains, judged, k):
    found = (gains[:, :k] > 0).sum(1) == (judged > 0).sum(1)
    return torch.where((judged > 0).any(1), found.double(), torch.nan)


@wrong("the best grade in the list instead of whether there is one")
def best_grade(gains, judged, k):
    return gains[:, :k].amax(1).double() + 0 * _any(gains, judged, k)


@wrong("only grade 1 counts as relevant: anything above 0 does")
def grade_one_only(gains, judged, k):
    return _any((gains == 1).double(), judged, k)


@wrong("the share of users with a hit, for every user: one value a user is asked, the mean is taken later")
def mean_already(gains, judged, k):
    each = _any(gains, judged, k)
    return each.nanmean() + 0 * each


@wrong("a user with nothing relevant gets 0, which pulls the mean down unseen. NaN says that there was nothing to find")
def zero_where_nothing(gains, judged, k):
    return _any(gains, judged, k).nan_to_num(0)


@wrong("one number for all users: a figure for each is asked, the mean is taken later")
def one_number(gains, judged, k):
    return hit_rate(gains, judged, k).nanmean()


@wrong("axes of size 1 are squeezed away: one user has a figure as well")
def squeezed(gains, judged, k):
    return hit_rate(gains, judged, k).squeeze()


@wrong("only gains from 1 count as relevant: anything above 0 does, 0.5 too")
def from_one_up(gains, judged, k):
    return hit_rate((gains >= 1).double(), (judged >= 1).double(), k)


@wrong("place k is looked up in the running count: a list may end before k")
def running_count(gains, judged, k):
    return torch.where((judged > 0).any(1), ((gains > 0).cumsum(1)[:, k - 1] > 0).double(), torch.nan)


@wrong("no hit gets NaN: NaN is for users with nothing to find, a miss is 0")
def nan_where_no_hit(gains, judged, k):
    return torch.where((gains > 0).any(1), _any(gains, judged, k), torch.nan)


@right
def a_loop(gains, judged, k):
    return expected(gains, judged, k)


@right
def by_clipping(gains, judged, k):
    hits, relevant = (gains[:, :k] > 0).sum(1).double(), (judged > 0).sum(1)
    return torch.where(relevant > 0, hits.clamp(0, 1), torch.nan)
