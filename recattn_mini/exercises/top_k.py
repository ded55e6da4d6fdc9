"""Spec of top_k: the best first, ties by item order, on every machine."""

import numpy as np
import torch
import torch.nn.functional as F

from recattn_mini.exercises.spec import but, drawn_once, float64, random_tensors, right, same, teaching
from recattn_mini.metrics.top_k import top_k, top_k_numpy

LEVEL, MINUTES = "easy", 5
DIFFERENTIABLE = False
HINTS = (
    "Sort downwards and keep k columns. Which of two equal scores comes first, and what guarantees it?",
    "np.argsort(-scores, kind='stable'), torch.sort(descending=True, stable=True): equal ones stay in item order.",
    "Then two repairs: -1 wherever the score is -inf, and -1 columns at the right until there are k.",
)
FORBIDDEN: tuple[str, ...] = ()
INF = torch.inf


@drawn_once
def inputs() -> dict[str, tuple]:
    (scores,) = random_tensors((3, 40))
    coarse = random_tensors((5, 64), seed=1)[0].mul(2).round().abs() + 1
    levels = random_tensors((2, 300), seed=6)[0].gt(0).double() + 1  # unstable sorts leave short runs in order
    seen = random_tensors((4, 7), seed=2)[0].abs()
    seen[:, 2], seen[1, 1:], seen[2, :] = -INF, -INF, -INF
    (view,) = random_tensors((11, 2), seed=3)
    return {
        "scores": (scores, 5),
        "all": (random_tensors((2, 6), seed=4)[0], 6),
        "ties": (coarse, 7),
        "two levels": (levels, 200),
        "a constant model": (torch.full((2, 50), 0.5, dtype=torch.float64), 40),
        "a tie at the edge": (float64([[1, 3, 2, 2, 2, 0]]), 2),
        "nearly tied": (float64([[0.5, 0.5 + 1e-12, 0.25, 0.5 + 2e-12, 0.25 + 2e-7, 0.75, 0.75 + 1e-8]]), 7),
        "seen items": (seen, 6),
        "more than there are": (random_tensors((3, 4), seed=5)[0].abs(), 9),
        "negative": (-5 - scores.abs(), 3),
        "infinite": (float64([[0.5, INF, 1, INF, -INF]]), 3),
        "very low": (float64([[-1e12, -3e30, 2, -2e30]]), 4),
        "float32": (scores.float().masked_fill(scores < 0, -INF), 30),
        "all sizes equal": (random_tensors((4, 4), seed=7)[0], 4),
        "views": (view.mT, 3),
        "one": (float64([[2]]), 1),
    }


def expected(scores, k):
    """Python's own sort, which is stable."""
    rows = []
    for row in scores.tolist():
        order = sorted((i for i, x in enumerate(row) if x != -INF), key=lambda i: -row[i])[:k]
        rows.append(order + [-1] * (k - len(order)))
    return torch.tensor(rows)


def _agrees(f, *cases):
    for case in cases:
        same(f(*inputs()[case]), expected(*inputs()[case]))


@teaching
def check_worked_example(f):
    "the best first: of 0.2, 0.9, 0.5 the first two are items 1 and 2"
    same(f(float64([[0.2, 0.9, 0.5]]), 2), torch.tensor([[1, 2]]))


def check_values(f):
    "best first, k columns, as whole numbers; also on views, on negative scores, on equal sizes, on one item"
    _agrees(f, "scores", "all", "negative", "very low", "views", "all sizes equal", "one")


def check_ties(f):
    "of equal scores the lower column comes first, also where k cuts through them; scores 1e-12 apart are not equal"
    _agrees(f, "ties", "two levels", "a constant model", "a tie at the edge", "nearly tied")


def check_seen(f):
    "-inf is no candidate: -1 stands where the list has ended; +inf is one"
    _agrees(f, "seen items", "infinite", "float32")


def check_more_than_there_are(f):
    "k beyond the number of items: the list ends, and -1 fills it to k columns"
    _agrees(f, "more than there are")


def stable(scores, k=0):
    return scores.sort(dim=1, descending=True, stable=True).indices


def unseen(items, scores):
    return torch.where(scores == -INF, -1, items)


def filled(items, k, value=-1):
    return F.pad(items, (0, k - items.shape[1]), value=value)


def answer(scores, k, *, by=lambda scores: scores, order=stable, cut=lambda k: k, mask=unseen, fill=filled):
    items = order(by(scores), min(k, scores.shape[1]))[:, : cut(k)]
    return fill(mask(items, scores.gather(1, items)), k)


def _as_it_is(items, _):
    return items


ALONE = {"mask": _as_it_is, "fill": _as_it_is}


def _upwards(scores, k):
    return scores.sort(dim=1, stable=True).indices


def _numpy_argsort(scores, k):
    return torch.from_numpy(np.argsort(-scores.numpy(), axis=1))


def _front(items, k):
    """What is left of each row moves to its end."""
    return filled(items, k).gather(1, (filled(items, k) >= 0).byte().sort(dim=1, stable=True).indices)


ascending = but(answer, "ascending: the worst come first", order=_upwards)
turned_round = but(
    answer,
    "an ascending order turned round, argsort()[::-1]: ties are turned round as well. Sort the negative scores, stably",
    order=lambda scores, k: _upwards(scores, k).flip(1),
)
turned_round_alone = but(
    answer,
    "argsort()[::-1] alone: ties are turned round, -inf is ranked, a short list is not filled",
    order=lambda scores, k: _upwards(scores, k).flip(1),
    **ALONE,
)
unstable = but(
    answer,
    "an unstable sort (np.argsort, argpartition) breaks ties by luck: ask for a stable one",
    order=_numpy_argsort,
)
unstable_alone = but(
    answer,
    "np.argsort or argpartition alone: ties are broken by luck, -inf is ranked, a short list is not filled",
    order=_numpy_argsort,
    **ALONE,
)
by_topk = but(
    answer, "torch.topk breaks ties by luck: ask for a stable sort", order=lambda scores, k: scores.topk(k).indices
)
by_topk_alone = but(
    answer,
    "torch.topk alone: ties are broken by luck, -inf is ranked, a short list is not filled",
    order=lambda scores, k: scores.topk(k).indices,
    **ALONE,
)
in_item_order = but(
    answer,
    "the k items in item order: the best comes first",
    order=lambda scores, k: stable(scores)[:, :k].sort(1).values,
)
in_float32 = but(
    answer, "scores in float32, whose 7 digits make ties: sort them as they come", by=lambda scores: scores.float()
)
rounded = but(
    answer, "scores are rounded, which makes ties: sort them as they come", by=lambda scores: scores.round(decimals=6)
)
nudged = but(
    answer,
    "ties are broken by a small number added to each score, which turns close scores round: sort stably",
    by=lambda scores: scores - 1e-9 * torch.arange(scores.shape[1]),
)
by_size = but(answer, "sorted by size without the sign: a score below 0 is a low one", by=torch.abs)
along_users = but(
    answer,
    "sorted along the users: each row is a user, its columns are sorted",
    order=lambda scores, k: scores.sort(dim=0, descending=True, stable=True).indices,
    mask=_as_it_is,
)
ranks = but(
    answer,
    "the rank of every item: the items in rank order are asked",
    order=lambda scores, k: stable(scores).argsort(1),
)
the_scores = but(
    answer,
    "the scores come back: their columns are asked, the items",
    mask=lambda items, scores: scores,
    fill=_as_it_is,
)
one_short = but(answer, "k - 1 items: a slice up to k holds k", cut=lambda k: k - 1)
no_repairs = but(answer, "the sort alone: it still ranks -inf, and fills no short list. Put -1 in both", **ALONE)
seen_are_ranked = but(
    answer, "items with a score of -inf are ranked, at the end: they are no candidates. Put -1", mask=_as_it_is
)
seen_are_zero = but(
    answer, "a score of -inf gives item 0: put -1", mask=lambda items, scores: torch.where(scores == -INF, 0, items)
)
plus_infinity_too = but(
    answer,
    "+inf is masked too: only -inf is no candidate",
    mask=lambda items, scores: torch.where(scores.isinf(), -1, items),
)
negative_is_nothing = but(
    answer,
    "scores of 0 and below are not ranked: a logit has either sign",
    mask=lambda items, scores: torch.where(scores > 0, items, -1),
)
very_low_is_nothing = but(
    answer,
    "scores below -1e9 are masked too: only -inf is no candidate",
    mask=lambda items, scores: torch.where(scores < -1e9, -1, items),
)
cut_for_all = but(
    answer,
    "all lists are cut at the smallest number of candidates: each user's ends where their own do",
    mask=lambda items, scores: torch.where(torch.arange(items.shape[1]) < (scores > -INF).sum(1).min(), items, -1),
)
narrow = but(answer, "fewer than k columns where there are fewer items: fill them with -1", fill=_as_it_is)
filled_with_zero = but(
    answer, "columns beyond the catalogue hold 0, an item: fill them with -1", fill=lambda items, k: filled(items, k, 0)
)
filled_at_the_front = but(
    answer, "-1 stands at the front: a list begins with the best, and -1 fills it at its end", fill=_front
)
from_one = but(
    answer,
    "items are counted from 1: count from 0",
    fill=lambda items, k: filled(torch.where(items < 0, -1, items + 1), k),
)
from_one_and_zero = but(
    answer,
    "items are counted from 1, and 0 is none: count from 0, -1 is none",
    fill=lambda items, k: filled(items, k) + 1,
)


@right
def python_sort(scores, k):
    return expected(scores, k)


@right
def by_counting(scores, k):
    """The rank of each item: what is better, and what is equal and stands before it."""
    better = (scores[:, None, :] > scores[:, :, None]).sum(-1)
    equal = scores[:, None, :] == scores[:, :, None]
    rank = better + (equal & torch.ones(equal.shape[1:]).tril(-1).bool()).sum(-1)
    return answer(scores, k, order=lambda scores, k: rank.argsort(1))
