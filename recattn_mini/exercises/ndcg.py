"""Spec of ndcg: the discounted gain of a list, by that of the best list that was possible."""

import math

import torch

from recattn_mini.exercises.spec import but, float64, right, same, teaching, wrong
from recattn_mini.exercises.spec.ranking import (
    mistakes_of_dividing,
    mistakes_of_ranking,
    per_user,
    ranks_of,
    share,
    users_of_every_kind,
    where_relevant,
)
from recattn_mini.metrics.ndcg import ndcg, ndcg_numpy

LEVEL, MINUTES = "medium", 10
DIFFERENTIABLE = False
HINTS = (
    "Two sums of the same kind: one over the list as it is, one over the best list that was possible.",
    "Each place r, from 1, is divided by log₂(r + 1). The best list has the k largest of judged, largest first.",
    "dcg = (gains[:, :k] / log2(r + 1)).sum(1); ideal: the same of judged sorted downwards; the ratio, NaN for 0 / 0.",
)
FORBIDDEN = ("sklearn.metrics.ndcg_score", "sklearn.metrics.dcg_score")
inputs = users_of_every_kind


def expected(gains, judged, k):
    """Summed in plain Python."""

    def dcg(values):
        return sum(x / math.log2(r + 1) for r, x in enumerate(values[:k], 1))

    return per_user(lambda g, j, k: dcg(g) / dcg(sorted(j, reverse=True)), gains, judged, k)


def _agrees(f, *cases):
    for case in cases:
        same(f(*inputs()[case]), expected(*inputs()[case]))


@teaching
def check_worked_example(f):
    "one relevant item, found at rank 3: 1 / log₂ 4"
    same(f(float64([[0, 0, 1]]), float64([[1]]), 3), float64([0.5]))


def check_values(f):
    "discounted by log₂(rank + 1), by the best min(R, k) of all judged items; also on views and equal sizes"
    _agrees(
        f, "lists", "the first place", "one hit each", "the whole list", "no hit", "views", "all sizes equal", "one"
    )


def check_short_list(f):
    "the same when the list ends before k: the ideal list does not end where ours does"
    _agrees(f, "a list that ends before k")


def check_grades(f):
    "gains are graded, taken as they are, and the ideal list has the best grades first"
    _agrees(f, "grades", "whole numbers")


def check_nothing_relevant(f):
    "a user with nothing to find has NaN, not 0: there is nothing to measure"
    _agrees(f, "nothing relevant")


def log_of_next(ranks):
    return (ranks + 1).log2()


def linear(gains):
    return gains.double()


def best(gains, judged, k):
    """The k largest of judged, largest first."""
    return judged.sort(1, descending=True).values[:, :k]


def answer(gains, judged, k, *, gain=linear, of_best=None, discount=log_of_next, ideal=best, divide=share):
    def dcg(top):
        return (top / discount(ranks_of(top))).sum(1)

    gained, possible = gain(gains[:, :k]), (of_best or gain)(ideal(gains, judged, k))
    return where_relevant(judged, divide(dcg(gained), dcg(possible)))


def _dcg(values, k):
    return (values[:, :k] / log_of_next(ranks_of(values[:, :k]))).sum(1)


RELEVANCE = ["grade_one_only", "hits_of_grade_one", "from_one_up", "above_one", "everything_relevant"]
RANKING = mistakes_of_ranking(ndcg, without=[*RELEVANCE, "judged_cut"])
DIVIDING = mistakes_of_dividing(_dcg, lambda judged, k: _dcg(best(None, judged, k), k))
rank_from_zero = but(
    answer,
    "ranks are counted from 0, and log₂ 1 is 0: log₂(r + 1) with r from 1, log₂(r + 2) from 0",
    discount=torch.log2,
)
one_too_many = but(
    answer, "discounted by log₂(rank + 2): the first place is divided by 1", discount=lambda ranks: (ranks + 2).log2()
)
one_plus_logarithm = but(
    answer, "discounted by 1 + log₂(rank): it is log₂(rank + 1)", discount=lambda ranks: 1 + ranks.log2()
)
second_undiscounted = but(
    answer,
    "the second place is undiscounted (as in 2002): divide by log₂ 3",
    discount=lambda ranks: ranks.log2().clamp_min(1),
)
by_rank = but(answer, "discounted by the rank itself: NDCG's discount is a logarithm", discount=lambda ranks: ranks)
by_root = but(answer, "discounted by the rank's root: NDCG's discount is a logarithm", discount=torch.sqrt)
no_discount = but(
    answer, "no discount: every place counts alike, so that is a recall of gains", discount=torch.ones_like
)
multiplied = but(answer, "multiplied by the logarithm: divide by it", discount=lambda ranks: 1 / log_of_next(ranks))
ideal_beyond_k = but(
    answer,
    "the ideal list has no cutoff: it has k places, like ours",
    ideal=lambda gains, judged, k: best(gains, judged, judged.shape[1]),
)
ideal_of_k_ones = but(
    answer,
    "the ideal list is k ones: only min(R, k) items are relevant",
    ideal=lambda gains, judged, k: torch.ones(len(judged), k),
)
ideal_of_relevant_ones = but(
    answer,
    "the ideal list is min(R, k) ones: right for gains of 0 and 1, but grades count as they are. Sort judged",
    ideal=lambda gains, judged, k: best(gains, (judged > 0).double(), k),
)
ideal_of_the_best_grade = but(
    answer,
    "the ideal list has the best grade in each of its min(R, k) places: it has the k largest of judged",
    ideal=lambda gains, judged, k: best(gains, (judged > 0) * judged.amax(1, keepdim=True), k),
)
ideal_not_sorted = but(
    answer, "the ideal list is judged as it comes: sort it, best first", ideal=lambda gains, judged, k: judged[:, :k]
)
ideal_not_sorted_and_infinite = but(
    answer,
    "the ideal list is judged as it comes, and x / 0 where its first k hold nothing: sort it, best first",
    ideal=lambda gains, judged, k: judged[:, :k],
    divide=torch.div,
)
ideal_ascending = but(
    answer, "the ideal list has the worst first: sort down", ideal=lambda gains, judged, k: judged.sort(1).values[:, :k]
)
ideal_cut_then_sorted = but(
    answer,
    "judged is cut at k, then sorted: sort, then cut",
    ideal=lambda gains, judged, k: best(gains, judged[:, :k], k),
)
ideal_as_short_as_the_list = but(
    answer,
    "the ideal list is cut where ours ends: it may be longer",
    ideal=lambda gains, judged, k: best(gains, judged, min(k, gains.shape[1])),
)
binary = but(answer, "binary gains: a grade of 3 is worth 3", gain=lambda gains: (gains > 0).double())
exponential = but(
    answer, "gains 2^g - 1: that is ndcg_exponential. Take them as they are", gain=lambda gains: 2 ** linear(gains) - 1
)
exponential_on_one_side = but(
    answer,
    "only the list's gains are 2^g - 1: take all as they are",
    gain=lambda gains: 2 ** linear(gains) - 1,
    of_best=linear,
)
cut_to_whole_numbers = but(
    answer, "gains are cut to whole numbers: 0.5 becomes 0. Make them float64", gain=lambda gains: gains.long()
)


@wrong("k - 1 places, in the ideal list too: range(1, k) ends before k")
def both_one_place_short(gains, judged, k):
    return share(_dcg(gains, k - 1), _dcg(best(gains, judged, k - 1), k))


@right
def a_loop(gains, judged, k):
    return expected(gains, judged, k)


@right
def natural_logarithms(gains, judged, k):
    """The base cancels."""
    return answer(gains, judged, k, discount=lambda ranks: (ranks + 1).log())
