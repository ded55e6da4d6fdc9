"""Spec of ndcg: the discounted gain of a list, by that of the best list that was possible."""

import math

import torch

from recattn_mini.exercises._lists import cases, per_user
from recattn_mini.exercises.spec import float64, right, same, teaching, wrong
from recattn_mini.metrics.ndcg import ndcg, ndcg_numpy

LEVEL, MINUTES = "medium", 10
DIFFERENTIABLE = False
HINTS = (
    "Two sums of the same kind: one over the list as it is, one over the best list that was possible.",
    "Each place r, from 1, is divided by log₂(r + 1). The best list has the k largest of judged, largest first.",
    "dcg = (gains[:, :k] / log2(r + 1)).sum(1); ideal: the same of judged sorted downwards; the ratio, NaN for 0 / 0.",
)
FORBIDDEN = ("sklearn.metrics.ndcg_score", "sklearn.metrics.dcg_score")
inputs = cases


def expected(gains, judged, k):
    """Summed in plain Python."""

    def dcg(values):
        return sum(x / math.log2(r + 1) for r, x in enumerate(values[:k], 1))

    return per_user(lambda g, j, k: dcg(g) / dcg(sorted(j, reverse=True)), gains, judged, k)


def _agrees(f, *names):
    for name in names:
        same(f(*inputs()[name]), expected(*inputs()[name]))


@teaching
def check_worked_example(f):
    "one relevant item, found at rank 3: 1 / log₂ 4"
    same(f(float64([[0, 0, 1]]), float64([[1]]), 3), float64([0.5]))


def check_values(f):
    "discounted by log₂(rank + 1), by the best min(R, k) of all judged items"
    _agrees(f, "lists", "one hit each", "views", "one")


def check_whole_list(f):
    "the same when k is the whole list or beyond it: the ideal list does not end where ours does"
    _agrees(f, "the whole list", "a list that ends before k", "no hit")


def check_grades(f):
    "gains are graded, taken as they are, and the ideal list has the best grades first"
    _agrees(f, "grades", "whole numbers")


def check_nothing_relevant(f):
    "a user with nothing to find has NaN, not 0: there is nothing to measure"
    _agrees(f, "nothing relevant")


def _dcg(values, k, discount=lambda r: torch.log2(r + 1)):
    top = values[:, :k].double()
    return (top / discount(torch.arange(1, top.shape[1] + 1, dtype=torch.float64))).sum(1)


def _sorted(judged):
    return judged.double().sort(1, descending=True).values


def _ratio(dcg, ideal):
    return dcg / torch.where(ideal == 0, torch.nan, ideal)


@wrong("ranks are counted from 0: log₂(r + 1) with r from 1, or log₂(r + 2) with r from 0")
def rank_from_zero(gains, judged, k):
    return _ratio(*(_dcg(x, k, lambda r: torch.log2(r)) for x in (gains, _sorted(judged))))


@wrong("discounted by log₂(rank + 2): the first place is divided by log₂ 2 = 1")
def one_too_many(gains, judged, k):
    return _ratio(*(_dcg(x, k, lambda r: torch.log2(r + 2)) for x in (gains, _sorted(judged))))


@wrong("discounted by the rank itself: NDCG's discount is a logarithm")
def by_rank(gains, judged, k):
    return _ratio(*(_dcg(x, k, lambda r: r) for x in (gains, _sorted(judged))))


@wrong("no discount: every place counts alike, so that is a recall of gains")
def no_discount(gains, judged, k):
    return _ratio(*(_dcg(x, k, lambda r: torch.ones_like(r)) for x in (gains, _sorted(judged))))


@wrong("the ideal list holds what the list found only: what was never ranked is forgiven. Sort judged")
def ideal_of_the_list(gains, judged, k):
    return _ratio(_dcg(gains, k), _dcg(_sorted(gains), k)).nan_to_num(0) + 0 * _ratio(judged.sum(1), judged.sum(1))


@wrong("the ideal list holds what the list found only, so that a list that found nothing is 0 / 0. Sort judged")
def ideal_of_the_list_and_nan(gains, judged, k):
    return _dcg(gains, k) / _dcg(_sorted(gains), k)


@wrong("the ideal list holds all relevant items: it has k places as well")
def ideal_beyond_k(gains, judged, k):
    return _ratio(_dcg(gains, k), _dcg(_sorted(judged), judged.shape[1]))


@wrong("the ideal list has k full places, as if there were k relevant items: it has the min(R, k) that exist")
def ideal_of_k_ones(gains, judged, k):
    return _dcg(gains, k) / _dcg(torch.ones(len(judged), k), k) + 0 * _ratio(judged.sum(1), judged.sum(1))


@wrong("the ideal list is judged as it comes: sort it, the best first")
def ideal_not_sorted(gains, judged, k):
    return _dcg(gains, k) / _dcg(judged, k) + 0 * _ratio(judged.sum(1), judged.sum(1))


@wrong("the ideal list has the worst first: sort downwards")
def ideal_ascending(gains, judged, k):
    return _ratio(_dcg(gains, k), _dcg(_sorted(judged).flip(1), k))


@wrong("the ideal list is cut where ours ends: it has min(R, k) places")
def ideal_as_short_as_the_list(gains, judged, k):
    return _ratio(_dcg(gains, k), _dcg(_sorted(judged), min(k, gains.shape[1])))


@wrong("binary gains: a grade of 3 is worth 3")
def binary(gains, judged, k):
    return _ratio(_dcg(gains > 0, k), _dcg(_sorted((judged > 0).double()), k))


@wrong("gains 2^g - 1: that is ndcg_exponential. Take them as they are")
def exponential(gains, judged, k):
    return _ratio(_dcg(2 ** gains.double() - 1, k), _dcg(_sorted(2 ** judged.double() - 1), k))


@wrong("only the list's gains are 2^g - 1, the ideal's are not")
def exponential_on_one_side(gains, judged, k):
    return _ratio(_dcg(2 ** gains.double() - 1, k), _dcg(_sorted(judged), k))


@wrong("the list is sorted by gain before it is discounted: then every order is ideal")
def list_sorted(gains, judged, k):
    return _ratio(_dcg(_sorted(gains), k), _dcg(_sorted(judged), k))


@wrong("DCG that is not divided by the ideal")
def not_normalised(gains, judged, k):
    return _dcg(gains, k) + 0 * _ratio(judged.sum(1), judged.sum(1))


@wrong("no cutoff: places below k do not count, in neither list")
def no_cutoff(gains, judged, k):
    return _ratio(_dcg(gains, gains.shape[1]), _dcg(_sorted(judged), judged.shape[1]))


@wrong("ratio of the sums over users (micro): every user is a figure of their own")
def micro(gains, judged, k):
    return _ratio(_dcg(gains, k).sum(), _dcg(_sorted(judged), k).sum()) + 0 * _ratio(judged.sum(1), judged.sum(1))


@wrong("a user with nothing relevant gets 0, which pulls the mean down unseen. NaN says that there was nothing to find")
def zero_where_nothing(gains, judged, k):
    return _ratio(_dcg(gains, k), _dcg(_sorted(judged), k)).nan_to_num(0)


@wrong("a user with nothing relevant gets 1, as a perfect list. NaN says that there was nothing to find")
def one_where_nothing(gains, judged, k):
    return _ratio(_dcg(gains, k), _dcg(_sorted(judged), k)).nan_to_num(1)


@wrong("one number for all users: a figure for each is asked, the mean is taken later")
def one_number(gains, judged, k):
    return ndcg(gains, judged, k).nanmean()


@wrong("axes of size 1 are squeezed away: one user has a figure as well")
def squeezed(gains, judged, k):
    return ndcg(gains, judged, k).squeeze()


@wrong("gains are cut to whole numbers: 0.5 becomes 0. Make them float64")
def cut_to_whole_numbers(gains, judged, k):
    return ndcg(gains.long(), judged.long(), k)


@wrong("k discounts whatever the length of the list: it may end before k. Take as many as there are places")
def as_many_discounts_as_k(gains, judged, k):
    discounts = 1 / torch.arange(2, k + 2, dtype=torch.float64).log2()
    return _ratio(gains[:, :k].double() @ discounts, _sorted(judged)[:, :k] @ discounts)


@wrong("a small constant in the divisor: every figure is a little too low, and NaN has become 0")
def epsilon(gains, judged, k):
    return _dcg(gains, k) / (_dcg(_sorted(judged), k) + 1e-6)


@wrong("1 - NDCG (as torchrec reports by default): a perfect list has 1")
def one_minus(gains, judged, k):
    return 1 - ndcg(gains, judged, k)


@wrong("the first two places are both undiscounted, as in the paper of 2002: here the second is divided by log₂ 3")
def second_undiscounted(gains, judged, k):
    return _ratio(*(_dcg(x, k, lambda r: torch.log2(r).clamp_min(1)) for x in (gains, _sorted(judged))))


@wrong("the ideal list holds what the first k places found only: what was missed is forgiven. Sort judged")
def ideal_of_the_hits(gains, judged, k):
    return _ratio(_dcg(gains, k), _dcg(_sorted(gains[:, :k]), k)).nan_to_num(0) + 0 * ndcg(gains, judged, k)


@right
def a_loop(gains, judged, k):
    return expected(gains, judged, k)


@right
def natural_logarithms(gains, judged, k):
    """The base cancels."""
    return _ratio(*(_dcg(x, k, lambda r: torch.log(r + 1)) for x in (gains, _sorted(judged))))
