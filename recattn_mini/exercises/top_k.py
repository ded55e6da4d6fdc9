"""Spec of top_k: the best first, ties by item order, on every machine."""

import numpy as np
import torch

from recattn_mini.exercises.spec import float64, random_tensors, right, same, teaching, wrong
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


def inputs() -> dict[str, tuple]:
    (scores,) = random_tensors((3, 40))
    coarse = (2 * random_tensors((5, 64), seed=1)[0]).round().abs() + 1
    seen = random_tensors((4, 7), seed=2)[0].abs()
    seen[:, 2], seen[1, 1:], seen[2, :] = -INF, -INF, -INF
    (view,) = random_tensors((11, 2), seed=3)
    return {
        "scores": (scores, 5),
        "all": (random_tensors((2, 6), seed=4)[0], 6),
        "ties": (coarse, 7),
        "a constant model": (torch.full((2, 50), 0.5, dtype=torch.float64), 4),
        "a tie at the edge": (float64([[1, 3, 2, 2, 2, 0]]), 2),
        "nearly tied": (float64([[0.5, 0.5 + 1e-12, 0.25, 0.5 + 2e-12]]), 3),
        "seen items": (seen, 6),
        "more than there are": (random_tensors((3, 4), seed=5)[0].abs(), 9),
        "negative": (-5 - scores.abs(), 3),
        "infinite": (float64([[0.5, INF, 1, INF, -INF]]), 3),
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


def _agrees(f, *names):
    for name in names:
        same(f(*inputs()[name]), expected(*inputs()[name]))


@teaching
def check_worked_example(f):
    "the best first: of 0.2, 0.9, 0.5 the first two are items 1 and 2"
    same(f(float64([[0.2, 0.9, 0.5]]), 2), torch.tensor([[1, 2]]))


def check_values(f):
    "best first, k columns, as whole numbers; also on views, on negative scores, on one item"
    _agrees(f, "scores", "all", "negative", "views", "one")


def check_ties(f):
    "of equal scores the lower column comes first, also where k cuts through them; scores 1e-12 apart are not equal"
    _agrees(f, "ties", "a constant model", "a tie at the edge", "nearly tied")


def check_seen(f):
    "-inf is no candidate: -1 stands where the list has ended; +inf is one"
    _agrees(f, "seen items", "infinite")


def check_more_than_there_are(f):
    "k beyond the number of items: the list ends, and -1 fills it to k columns"
    _agrees(f, "more than there are")


def _pad(items, k):
    return torch.cat([items, items.new_full((len(items), max(0, k - items.shape[1])), -1)], 1)


def _masked(scores, items, k):
    """What is right once the order is: no seen item, k columns."""
    items = items[:, :k]
    return _pad(torch.where(scores.gather(1, items) == -INF, -1, items), k)


def _stable(scores):
    return torch.sort(scores, dim=1, descending=True, stable=True).indices


@wrong("ascending: the worst come first")
def ascending(scores, k):
    return _masked(scores, torch.sort(scores, dim=1, stable=True).indices, k)


@wrong("an ascending order turned round, argsort()[::-1]: ties are turned round as well. Sort the negative scores")
def turned_round(scores, k):
    return _masked(scores, torch.sort(scores, dim=1, stable=True).indices.flip(1), k)


@wrong("equal scores come in no particular order (argpartition, topk, argsort without stable): ask for a stable sort")
def ties_by_luck(scores, k):
    shuffled = torch.from_numpy(np.random.RandomState(scores.shape[1]).permutation(scores.shape[1]))
    return _masked(scores, shuffled[_stable(scores[:, shuffled])], k)


@wrong("the right k items in item order: argpartition does not sort. The best comes first")
def not_sorted(scores, k):
    items = _masked(scores, _stable(scores), k)
    return torch.where(items < 0, 10**6, items).sort(1).values.masked_fill(torch.sort(items < 0, 1).values, -1)


@wrong("items with a score of -inf are ranked, at the end: they are no candidates. Put -1")
def seen_are_ranked(scores, k):
    return _pad(_stable(scores)[:, :k], k)


@wrong("an infinite score of either sign is taken for a seen item: only -inf is")
def plus_infinity_too(scores, k):
    items = _stable(scores)[:, :k]
    return _pad(torch.where(scores.gather(1, items).isinf(), -1, items), k)


@wrong("scores of 0 and below are not ranked (as some libraries do): a logit is a score of either sign")
def negative_is_nothing(scores, k):
    return _masked(torch.where(scores > 0, scores, -INF), _stable(scores), k)


@wrong("fewer than k columns where there are fewer items: fill them with -1")
def narrow(scores, k):
    return _masked(scores, _stable(scores), min(k, scores.shape[1]))


@wrong("the columns beyond the catalogue hold 0, which is an item: fill them with -1")
def filled_with_zero(scores, k):
    items = _masked(scores, _stable(scores), min(k, scores.shape[1]))
    return torch.nn.functional.pad(items, (0, max(0, k - items.shape[1])))


@wrong("k - 1 items: a slice up to k holds k")
def one_short(scores, k):
    return (
        _pad(_masked(scores, _stable(scores), k - 1), min(k, 1) * k - 1)
        if k > 1
        else _masked(scores, _stable(scores), k)
    )


@wrong("the scores come back: their places are asked, the item ids")
def the_scores(scores, k):
    return torch.sort(scores, dim=1, descending=True).values[:, :k]


@wrong("rank of every item instead of the items in rank order: argsort of argsort")
def ranks(scores, k):
    return _masked(scores, _stable(scores).argsort(1), k)


@wrong("sorted along the users: each row is a user, its columns are sorted")
def along_users(scores, k):
    return _pad(torch.sort(scores, dim=0, descending=True, stable=True).indices[:, :k], k)


@wrong("torch.topk breaks ties by luck: of equal scores the lower column comes first. Sort stably")
def by_topk(scores, k):
    return _masked(scores, torch.topk(scores, min(k, scores.shape[1])).indices, k)


@wrong("argpartition breaks ties by luck: of equal scores any may be among the k. Sort stably")
def by_argpartition(scores, k):
    some = torch.from_numpy(np.argpartition(-scores.numpy(), min(k, scores.shape[1]) - 1, axis=1)[:, :k])
    return _masked(scores, some.gather(1, _stable(scores.gather(1, some))), k)


@wrong("scores in float32: what differs by less than its 7 digits becomes a tie. Sort them as they come")
def in_float32(scores, k):
    return _masked(scores, _stable(scores.float()), k)


@wrong("axes of size 1 are squeezed away: one user has a list as well")
def squeezed(scores, k):
    return top_k(scores, k).squeeze()


@wrong("the plain stable sort: it still ranks -inf, and a short list is not filled. Put -1 in both")
def no_repairs(scores, k):
    return _stable(scores)[:, :k]


@wrong("argsort()[::-1] alone: ties are turned round, -inf is ranked, a short list is not filled")
def turned_round_alone(scores, k):
    return torch.sort(scores, dim=1, stable=True).indices.flip(1)[:, :k]


@right
def python_sort(scores, k):
    return expected(scores, k)


@right
def by_counting(scores, k):
    """The rank of each item: what is better, and what is equal and stands before it."""
    better = (scores[:, None, :] > scores[:, :, None]).sum(-1)
    equal = scores[:, None, :] == scores[:, :, None]
    rank = better + (equal & torch.ones(equal.shape[1:]).tril(-1).bool()).sum(-1)
    return _masked(scores, rank.argsort(1), k)
