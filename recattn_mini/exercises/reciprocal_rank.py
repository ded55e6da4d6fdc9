"""Spec of reciprocal_rank: one by the rank of the first hit."""

import torch

from recattn_mini.exercises.spec import but, float64, right, same, teaching, wrong
from recattn_mini.exercises.spec.ranking import (
    mistakes_of_ranking,
    per_user,
    ranks_of,
    relevant_of,
    users_of_every_kind,
    where_relevant,
)
from recattn_mini.metrics.reciprocal_rank import reciprocal_rank, reciprocal_rank_numpy

LEVEL, MINUTES = "easy", 5
DIFFERENTIABLE = False
HINTS = (
    "At which place does the first relevant item stand, counted from 1? And if there is none within k?",
    "1 / rank is largest at the first hit. Or: argmax of the hits is the first one's place, counted from 0, and 0 too "
    "if there is none.",
    "hits = gains[:, :k] > 0; the largest of each row of hits / ranks, with ranks 1, 2, …; NaN where nothing in judged "
    "is above 0.",
)
FORBIDDEN: tuple[str, ...] = ()
inputs = users_of_every_kind


def expected(gains, judged, k):
    """Looked through in plain Python."""
    return per_user(lambda g, j, k: next((1 / r for r, x in enumerate(g[:k], 1) if x > 0), 0.0), gains, judged, k)


def _agrees(f, *cases):
    for case in cases:
        same(f(*inputs()[case]), expected(*inputs()[case]))


@teaching
def check_worked_example(f):
    "the first hit is third, another one follows: a third"
    same(f(float64([[0, 0, 1, 1]]), float64([[1, 1]]), 4), float64([1 / 3]))


def check_values(f):
    "one by the rank of the first hit within the first k places; also on views, on equal sizes, on one user"
    _agrees(f, "lists", "the first place", "one hit each", "the whole list", "views", "all sizes equal", "one")


def check_short_list(f):
    "a list may end before k"
    _agrees(f, "a list that ends before k")


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


def first(hits):
    """The rank of each user's first hit, infinite where there is none."""
    return torch.where(hits, ranks_of(hits), torch.inf).amin(1)


def answer(gains, judged, k, *, rank=lambda top: first(top > 0), figure=lambda top, rank: 1 / rank):
    return where_relevant(judged, figure(gains[:, :k], rank(gains[:, :k])))


def _is_hit(top):
    return (top > 0).any(1)


RANKING = mistakes_of_ranking(reciprocal_rank)
argmax_of_no_hit = but(
    answer, "no hit counts as rank 1: argmax of no True is 0", rank=lambda top: (top > 0).byte().argmax(1).double() + 1
)
from_zero = but(
    answer, "ranks are counted from 0, and 1 / 0 is infinite: count from 1", figure=lambda top, rank: 1 / (rank - 1)
)
from_two = but(
    answer, "ranks are counted from 2: add 1 to a place from 0, not 2", figure=lambda top, rank: 1 / (rank + 1)
)
last_hit = but(
    answer,
    "the last hit instead of the first",
    rank=lambda top: torch.where(_is_hit(top), ((top > 0) * ranks_of(top)).amax(1), torch.inf),
)
summed = but(
    answer, "summed over all hits: only the first counts", figure=lambda top, rank: ((top > 0) / ranks_of(top)).sum(1)
)
averaged = but(
    answer,
    "averaged over all hits: only the first counts",
    figure=lambda top, rank: ((top > 0) / ranks_of(top)).sum(1) / (top > 0).sum(1).clamp_min(1),
)
just_below = but(
    answer,
    "no hit gets the rank after the list's end: it is 0",
    figure=lambda top, rank: torch.where(_is_hit(top), 1 / rank, 1 / (top.shape[1] + 1)),
)
infinite_where_no_hit = but(
    answer,
    "no hit gets infinity, as 1 / 0: it is 0",
    figure=lambda top, rank: torch.where(_is_hit(top), 1 / rank, torch.inf),
)
nan_where_no_hit = but(
    answer, "no hit gets NaN: a miss is 0", figure=lambda top, rank: torch.where(_is_hit(top), 1 / rank, torch.nan)
)
best_grade = but(
    answer,
    "the best grade is looked for: any grade above 0 is a hit, the first one counts",
    rank=lambda top: torch.where(_is_hit(top), top.argmax(1).double() + 1, torch.inf),
)
weighed_by_grade = but(
    answer,
    "weighed by the grade of the first hit: it is one by the rank",
    figure=lambda top, rank: top.gather(1, (top > 0).byte().argmax(1)[:, None])[:, 0] / rank,
)
gain_by_rank = but(
    answer, "the largest gain by its rank: any gain is one hit", figure=lambda top, rank: (top / ranks_of(top)).amax(1)
)
logarithm = but(answer, "discounted by log₂(rank + 1): that is NDCG", figure=lambda top, rank: 1 / (rank + 1).log2())
the_rank = but(answer, "the rank itself: one by it", figure=lambda top, rank: torch.where(_is_hit(top), rank, 0))
counted_from_the_end = but(
    answer,
    "the share of places that are left from the first hit on: it is one by its rank",
    figure=lambda top, rank: torch.where(_is_hit(top), 1 - (rank - 1) / top.shape[1], 0),
)


@wrong("averaged over all relevant items (as FuxiCTR and MIND do): only the first counts")
def all_relevant(gains, judged, k):
    return summed(gains, judged, k) / relevant_of(judged)


@wrong("NaN and zero by what the list holds: a user has NaN only where nothing in judged is above 0")
def nan_where_nothing_listed(gains, judged, k):
    return answer(gains, gains, k)


@right
def a_loop(gains, judged, k):
    return expected(gains, judged, k)


@right
def by_argmax(gains, judged, k):
    hits = (gains[:, :k] > 0).byte()
    return where_relevant(judged, hits.amax(1).double() / (hits.argmax(1) + 1))
