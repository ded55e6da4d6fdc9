"""Spec of auc: the share of pairs (positive, negative) in the right order, a tied pair half a win."""

import numpy as np
import torch

from recattn_mini.exercises.spec import but, drawn_once, float64, right, same, teaching, wrong
from recattn_mini.exercises.spec.pairs import mistakes_of_pairs, pairs_won
from recattn_mini.metrics.auc import auc, auc_numpy

LEVEL, MINUTES = "medium", 10
HINTS = (
    "Put every positive beside every negative: how often does the positive score higher? What is a tie worth?",
    "In n log n: sort the negatives. Below a positive lie the negatives it beats; those equal to it count half.",
    "searchsorted of the positives in the sorted negatives, from the left and from the right: the mean of both is "
    "wins + ties / 2. Sum, and divide by positives x negatives. Or rank all rows, tied rows by their mean rank: "
    "(sum of the positives' ranks - P (P + 1) / 2) / (P N).",
)
FORBIDDEN = (
    "sklearn.metrics.roc_auc_score",
    "sklearn.metrics.roc_curve",
    "scipy.stats.mannwhitneyu",
    "torchmetrics.AUROC",
    "torchmetrics.classification.BinaryAUROC",
    "torchmetrics.functional.auroc",
    "torchmetrics.functional.classification.binary_auroc",
)


@drawn_once
def inputs() -> dict[str, tuple]:
    rng = np.random.RandomState(0)
    typical = torch.from_numpy(rng.permutation(100)[:13] / 100 + 0.001)
    labels = torch.tensor([1, 0, 0, 1, 0, 1, 0, 0, 1, 1, 0, 0, 1])
    logits = float64([400, -800, 2.5, 41, 40, -3, 700, 43, 0.5, -900, 5])
    inf = torch.inf
    return {
        "typical": (typical, labels),
        "a view": (torch.stack([typical[:11], -typical[:11]], 1)[:, 0], labels.flip(0)[:11].double()),
        "one positive": (typical[:9].flip(0), (torch.arange(9) == 5).long()),
        "float32": (typical.float(), 1 - labels),
        "worse than chance": (typical[:8], (typical[:8] < 0.4).long()),
        "ties": (torch.from_numpy(rng.randint(1, 4, 40) / 4), torch.from_numpy(rng.randint(0, 2, 40))),
        "a constant": (float64([0.5] * 5), torch.tensor([1, 0, 0, 1, 0])),
        "logits": (logits, torch.tensor([1, 0, 0, 1, 0, 0, 0, 1, 1, 1, 0])),
        "close": (0.5 + 1e-12 * float64([3, 1, 4, 2, 0, 6, 5]), torch.tensor([1, 0, 0, 1, 0, 1, 0])),
        "masked": (float64([-inf, -inf, -inf, 0.525, 0.125, 0.75]), torch.tensor([0, 1, 0, 1, 0, 1])),
    }


def refused() -> dict[str, tuple]:
    """Inputs that the docstring calls a ValueError."""
    scores = float64([0.25, 0.5, 0.75])
    return {"positives only": (scores, torch.tensor([1, 1, 1])), "negatives only": (scores, torch.tensor([0, 0, 0]))}


def expected(scores, labels):
    """Pair by pair."""
    won, pairs = 0.0, 0
    for high in scores[labels == 1].tolist():
        for low in scores[labels == 0].tolist():
            won += 0.5 if high == low else float(high > low)
            pairs += 1
    return won / pairs


def _agrees(f, *cases):
    for case in cases:
        same(f(*inputs()[case]), expected(*inputs()[case]))


@teaching
def check_worked_example(f):
    "clicks at 0.9 and 0.7, none at 0.8 and 0.1: of four pairs one is the wrong way round, 0.75"
    same(f(float64([0.9, 0.8, 0.7, 0.1]), torch.tensor([1, 0, 1, 0])), 0.75)


@teaching
def check_pairs_won(f):
    "the share of pairs (positive, negative) in the right order, whatever the share of positives; of a view too"
    _agrees(f, "typical", "a view", "one positive", "float32")


def check_worse_than_chance(f):
    "an order that is worse than chance has less than ½, and one that is all wrong 0"
    _agrees(f, "worse than chance")


def check_ties(f):
    "a tied pair counts half: a constant model gets 0.5, in whatever order its rows stand"
    same(f(float64([0.9, 0.9, 0.4, 0.4, 0.1]), torch.tensor([1, 0, 1, 0, 0])), 4 / 6)
    _agrees(f, "ties", "a constant")


def check_logits(f):
    "only the order of scores matters: logits from -900 to 700 will do, and no threshold has a say"
    _agrees(f, "logits")


def check_close_scores(f):
    "scores that differ in their twelfth digit are not tied"
    _agrees(f, "close")


def check_masked_scores(f):
    "two scores of -inf are tied like any others, though their difference is no number"
    _agrees(f, "masked")


def answer(scores, labels, *, count=pairs_won, one_class=None):
    if len(labels.unique()) == 2:
        return count(scores, labels)
    if one_class is None:
        raise ValueError("one class only")
    return one_class


PAIRS = mistakes_of_pairs(answer)
ranks_by_luck = but(
    answer,
    "ranks by np.argsort, which orders tied rows by luck: give them their mean rank",
    count=lambda scores, labels: pairs_won(torch.from_numpy(scores.numpy().argsort().argsort()), labels),
)
one_class_is_half = but(
    answer, "one class only gives ½: there is no pair to compare, raise the ValueError", one_class=0.5
)


@wrong("the arguments have changed places: scores come first, then labels")
def labels_as_scores(scores, labels):
    return pairs_won(labels.double(), (scores > 0.5).long())


@right
def by_mean_ranks(scores, labels):
    if labels.min() == labels.max():
        raise ValueError("both classes are needed")
    p, n = (labels == 1).sum().double(), (labels == 0).sum()
    below = (scores[:, None] > scores).sum(1) + 0.5 * (scores[:, None] == scores).sum(1)
    return ((below + 0.5)[labels == 1].sum() - p * (p + 1) / 2) / (p * n)


@right
def by_sorted_negatives(scores, labels):
    high, low = scores[labels == 1].contiguous(), scores[labels == 0].sort().values
    if not len(high) or not len(low):
        raise ValueError("both classes are needed")
    below, not_above = torch.searchsorted(low, high), torch.searchsorted(low, high, right=True)
    return (below + not_above).double().sum() / (2 * len(high) * len(low))


@right
def under_the_curve(scores, labels):
    if len(set(labels.tolist())) < 2:
        raise ValueError("both classes are needed")
    thresholds = [np.inf, *sorted(set(scores.tolist()), reverse=True)]
    hits, alarms = (
        float64([(scores[labels == y] >= t).double().mean() if t < np.inf else 0 for t in thresholds]) for y in (1, 0)
    )
    return float(torch.trapezoid(hits, alarms))
