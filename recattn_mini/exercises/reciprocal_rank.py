"""Spec of reciprocal_rank: one by the rank of the first hit."""

import torch

from recattn_mini.exercises._lists import cases, per_user
from recattn_mini.exercises.spec import float64, right, same, teaching, wrong
from recattn_mini.metrics.reciprocal_rank import reciprocal_rank, reciprocal_rank_numpy

LEVEL, MINUTES = "easy", 5
DIFFERENTIABLE = False
HINTS = (
    "At which place does the first relevant item stand, counted from 1? And if there is none within k?",
    "argmax of the hits gives the first True, counted from 0; of a row without any it gives 0 as well.",
    "hits = gains[:, :k] > 0; hits.any(1) / (hits.argmax(1) + 1), and NaN where nothing in judged is above 0.",
)
FORBIDDEN: tuple[str, ...] = ()
inputs = cases


def expected(gains, judged, k):
    """Looked through in plain Python."""
    return per_user(lambda g, j, k: next((1 / r for r, x in enumerate(g[:k], 1) if x > 0), 0.0), gains, judged, k)


def _agrees(f, *names):
    for name in names:
        same(f(*inputs()[name]), expected(*inputs()[name]))


@teaching
def check_worked_example(f):
    "the first hit is third, another one follows: a third"
    same(f(float64([[0, 0, 1, 1]]), float64([[1, 1]]), 4), float64([1 / 3]))


def check_values(f):
    "one by the rank of the first hit within the first k places; also for short lists, views, one user"
    _agrees(f, "lists", "one hit each", "the whole list", "a list that ends before k", "views", "one")


@teaching
def check_no_hit(f):
    "no hit is 0: the rank is infinite"
    _agrees(f, "no hit")


def check_grades(f):
    "a hit of grade 3 stands where it stands"
    _agrees(f, "grades", "whole numbers")


def check_nothing_relevant(f):
    "a user with nothing to find has NaN, not 0: there is nothing to measure"
    _agrees(f, "nothing relevant")


def _ranks(k):
    return torch.arange(1, k + 1, dtype=torch.float64)


def _defined(judged, values):
    return torch.where((judged > 0).any(1), values, torch.nan)


def _first(gains, k):
    hits = gains[:, :k] > 0
    return hits.any(1).double() / (hits.byte().argmax(1) + 1)


@wrong("no hit counts as rank 1: argmax of a row of False is 0. Ask whether there is any")
def argmax_of_no_hit(gains, judged, k):
    return _defined(judged, 1 / ((gains[:, :k] > 0).byte().argmax(1) + 1).double())


@wrong("ranks are counted from 0: the first place is rank 1")
def from_zero(gains, judged, k):
    hits = gains[:, :k] > 0
    return _defined(judged, hits.any(1).double() / hits.byte().argmax(1))


@wrong("ranks are counted from 2: add 1 to what argmax gives, not 2")
def from_two(gains, judged, k):
    hits = gains[:, :k] > 0
    return _defined(judged, hits.any(1).double() / (hits.byte().argmax(1) + 2))


@wrong("the last hit instead of the first")
def last_hit(gains, judged, k):
    return _defined(
        judged, ((gains[:, :k] > 0) * _ranks(gains[:, :k].shape[1])).amax(1).reciprocal().nan_to_num(0, 0, 0)
    )


@wrong("averaged over all relevant items (as FuxiCTR and MIND do): only the first counts")
def all_relevant(gains, judged, k):
    hits = gains[:, :k] > 0
    relevant = (judged > 0).sum(1).double()
    return (hits / _ranks(hits.shape[1])).sum(1) / torch.where(relevant == 0, torch.nan, relevant)


@wrong("summed over all hits: only the first counts")
def summed(gains, judged, k):
    hits = gains[:, :k] > 0
    return _defined(judged, (hits / _ranks(hits.shape[1])).sum(1))


@wrong("no cutoff: a first hit below place k is no hit")
def no_cutoff(gains, judged, k):
    return _defined(judged, _first(gains, gains.shape[1]))


@wrong("a first hit at place k itself is lost: the first k places are 1 to k")
def before_k(gains, judged, k):
    return _defined(judged, _first(gains, k - 1 if k < gains.shape[1] else k))


@wrong("no hit gets 1 / (k + 1), as if it stood just below: it is 0")
def just_below(gains, judged, k):
    return _defined(judged, torch.where((gains[:, :k] > 0).any(1), _first(gains, k), 1 / (k + 1)))


@wrong("no hit gets NaN: NaN is for users with nothing to find, a miss is 0")
def nan_where_no_hit(gains, judged, k):
    return torch.where((gains[:, :k] > 0).any(1), _first(gains, k), torch.nan)


@wrong("the best grade is looked for: any grade above 0 is a hit, the first one counts")
def best_grade(gains, judged, k):
    return _defined(judged, (gains[:, :k] > 0).any(1).double() / (gains[:, :k].double().argmax(1) + 1))


@wrong("weighed by the grade of the first hit: it is one by the rank")
def weighed_by_grade(gains, judged, k):
    grade = gains[:, :k].gather(1, (gains[:, :k] > 0).byte().argmax(1)[:, None])[:, 0]
    return _defined(judged, _first(gains, k) * grade)


@wrong("discounted by log₂(rank + 1): that is NDCG")
def logarithm(gains, judged, k):
    hits = gains[:, :k] > 0
    return _defined(judged, hits.any(1).double() / (hits.byte().argmax(1) + 2.0).double().log2())


@wrong("the rank itself: one by it")
def the_rank(gains, judged, k):
    return _defined(judged, _first(gains, k).reciprocal().nan_to_num(0, 0, 0))


@wrong("a user with nothing relevant gets 0, which pulls the mean down unseen. NaN says that there was nothing to find")
def zero_where_nothing(gains, judged, k):
    return _first(gains, k)


@wrong("one number for all users: a figure for each is asked, the mean is taken later")
def one_number(gains, judged, k):
    return reciprocal_rank(gains, judged, k).nanmean()


@wrong("axes of size 1 are squeezed away: one user has a figure as well")
def squeezed(gains, judged, k):
    return reciprocal_rank(gains, judged, k).squeeze()


@wrong("only gains from 1 count as relevant: anything above 0 does, 0.5 too")
def from_one_up(gains, judged, k):
    return reciprocal_rank((gains >= 1).double(), (judged >= 1).double(), k)


@wrong("k ranks whatever the length of the list: it may end before k. Take as many as there are places")
def as_many_ranks_as_k(gains, judged, k):
    return _defined(judged, ((gains[:, :k] > 0) / _ranks(k)).amax(1))


@wrong("averaged over all hits: only the first counts")
def averaged(gains, judged, k):
    hits = gains[:, :k] > 0
    return _defined(judged, (hits / _ranks(hits.shape[1])).sum(1) / hits.sum(1).clamp_min(1))


@wrong("the largest gain by its rank: any gain above 0 is one hit")
def gain_by_rank(gains, judged, k):
    top = gains[:, :k].double()
    return _defined(judged, (top / _ranks(top.shape[1])).amax(1))


@right
def a_loop(gains, judged, k):
    return expected(gains, judged, k)


@right
def by_maximum(gains, judged, k):
    hits = gains[:, :k] > 0
    return _defined(judged, (hits / _ranks(hits.shape[1])).amax(1))
