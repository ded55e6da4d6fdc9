"""Spec of auc: the share of pairs (positive, negative) in the right order, a tied pair half a win."""

import numpy as np
import torch

from recattn_mini.exercises._pairs import pairs_won
from recattn_mini.exercises.spec import float64, right, same, teaching, wrong
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


def inputs() -> dict[str, tuple]:
    rng = np.random.RandomState(0)
    chances = rng.permutation(100)[:13] / 100 + 0.001
    labels = torch.tensor([1, 0, 0, 1, 0, 1, 0, 0, 1, 1, 0, 0, 1])
    typical = torch.from_numpy(chances)
    logits = float64([400, -800, 2.5, 41, 40, -3, 700, 43, 0.5, -900, 5])
    close = 0.5 + 1e-12 * float64([3, 1, 4, 2, 0, 6, 5])
    inf = torch.inf
    return {
        "typical": (typical, labels),
        "a view": (torch.stack([typical[:11], -typical[:11]], 1)[:, 0], labels.flip(0)[:11].double()),
        "one positive": (typical[:9].flip(0), (torch.arange(9) == 5).long()),
        "ties": (float64([0.7, 0.3, 0.7, 0.3, 0.3, 0.7, 0.1, 0.7]), torch.tensor([1, 0, 0, 1, 1, 0, 0, 1])),
        "a constant": (float64([0.5] * 5), torch.tensor([1, 0, 0, 1, 0])),
        "logits": (logits, torch.tensor([1, 0, 0, 1, 0, 0, 0, 1, 1, 1, 0])),
        "close": (close, torch.tensor([1, 0, 0, 1, 0, 1, 0])),
        "masked": (float64([-inf, -inf, -inf, 0.525, 0.125, 0.75]), torch.tensor([0, 1, 0, 1, 0, 1])),
    }


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
def checkpairs_won(f):
    "the share of pairs (positive, negative) in the right order, whatever the share of positives; of a view too"
    _agrees(f, "typical", "a view", "one positive")


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


def _rank_sum(scores, labels):
    """The sum of the positives' ranks from 1, tied rows by their mean rank."""
    below = (scores[:, None] > scores).sum(1) + 0.5 * (scores[:, None] == scores).sum(1)
    return (below + 0.5)[labels == 1].sum().double(), (labels == 1).sum().double(), (labels == 0).sum().double()


@wrong("a tied pair counts nothing (>): it is worth half, or a constant model gets 0")
def ties_lose(scores, labels):
    return pairs_won(scores, labels, tie=0)


@wrong("a tied pair counts as won (>=): it is worth half, or a constant model gets 1")
def ties_win(scores, labels):
    return pairs_won(scores, labels, tie=1)


@wrong("ranks by argsort: tied rows get different ranks, by the order they stand in. Give them their mean rank")
def ranks_by_argsort(scores, labels):
    ranks = scores.argsort(stable=True).argsort(stable=True) + 1
    p, n = (labels == 1).sum(), (labels == 0).sum()
    return (ranks[labels == 1].sum() - p * (p + 1) / 2).double() / (p * n)


@wrong("rows are walked from the best down, tied ones as they stand: count a tied pair half, or walk tied rows at once")
def walked_down(scores, labels):
    clicked = labels[scores.argsort(descending=True, stable=True)] == 1
    return (clicked.cumsum(0) * ~clicked).sum().double() / (clicked.sum() * (~clicked).sum())


@wrong("the sign is turned round: a positive above a negative is a win")
def turned_round(scores, labels):
    return pairs_won(-scores, labels)


@wrong("the arguments have changed places: scores come first, then labels")
def labels_as_scores(scores, labels):
    return pairs_won(labels.double(), (scores > 0.5).long())


@wrong("this is accuracy at a threshold of 0.5: AUC has no threshold, it compares pairs")
def accuracy(scores, labels):
    return ((scores > 0.5).double() == labels.double()).double().mean()


@wrong("divided by n²: of all pairs of rows only those of a positive and a negative count, P · N of them")
def of_all_orderedpairs_won(scores, labels):
    p, n = (labels == 1).sum(), (labels == 0).sum()
    return pairs_won(scores, labels) * p * n / (p + n) ** 2


@wrong("divided by n (n - 1) / 2: pairs of one class cannot be in the wrong order. Divide by P · N")
def of_allpairs_won(scores, labels):
    p, n = (labels == 1).sum(), (labels == 0).sum()
    return pairs_won(scores, labels) * p * n / ((p + n) * (p + n - 1) / 2)


@wrong("ranks from 0 in the formula for ranks from 1: every positive is one place too low, and 1/N is lost")
def ranks_from_zero(scores, labels):
    total, p, n = _rank_sum(scores, labels)
    return (total - p - p * (p + 1) / 2) / (p * n)


@wrong("P (P + 1) / 2 is not subtracted: the positives' ranks count the other positives below them too")
def ranks_of_positives_kept(scores, labels):
    total, p, n = _rank_sum(scores, labels)
    return total / (p * n)


@wrong("scores are cut to 0 … 1 first: logits beyond become tied. Compare them as they are")
def clipped(scores, labels):
    return pairs_won(scores.clamp(0, 1), labels)


@wrong("thresholds at 0.005, 0.010, … instead of at the scores: what falls between two of them is tied")
def binned(scores, labels):
    return pairs_won((scores.clamp(0, 1) * 200).floor(), labels)


@wrong("a float32 on the way: scores that differ in their twelfth digit become tied")
def through_float32(scores, labels):
    return pairs_won(scores.float(), labels)


@wrong("differences of scores: -inf minus -inf is NaN, neither above 0 nor 0. Compare (>, ==) instead of subtracting")
def by_differences(scores, labels):
    d = scores[labels == 1][:, None] - scores[labels == 0]
    return ((d > 0).double() + 0.5 * (d == 0)).mean()


@wrong("the sign of differences: -inf minus -inf is NaN, and it gets into the mean. Compare (>, ==)")
def by_signs(scores, labels):
    d = scores[labels == 1][:, None] - scores[labels == 0]
    return torch.where(d.isnan(), d, torch.sign(d) / 2 + 0.5).mean()  # torch.sign(NaN) is 0, NumPy's is NaN


@wrong("labels of 0 and 1 used as an index pick rows 0 and 1 over and over: a mask is labels == 1")
def labels_as_index(scores, labels):
    high, low = scores[labels.long()][:, None], scores[1 - labels.long()]
    return ((high > low).double() + 0.5 * (high == low)).mean()


@wrong("this is average precision: AUC is the area under the ROC curve, not under precision and recall")
def average_precision(scores, labels):
    clicked = labels[scores.argsort(descending=True, stable=True)].double()
    precision = clicked.cumsum(0) / torch.arange(1, len(scores) + 1)
    return (precision * clicked).sum() / clicked.sum()


@right
def by_mean_ranks(scores, labels):
    total, p, n = _rank_sum(scores, labels)
    return (total - p * (p + 1) / 2) / (p * n)


@right
def by_sorted_negatives(scores, labels):
    high, low = scores[labels == 1].contiguous(), scores[labels == 0].sort().values
    below, not_above = torch.searchsorted(low, high), torch.searchsorted(low, high, right=True)
    return (below + not_above).double().sum() / (2 * len(high) * len(low))


@right
def under_the_curve(scores, labels):
    thresholds = [np.inf, *sorted(set(scores.tolist()), reverse=True)]
    hits = float64([(scores[labels == 1] >= t).double().mean() if t < np.inf else 0 for t in thresholds])
    alarms = float64([(scores[labels == 0] >= t).double().mean() if t < np.inf else 0 for t in thresholds])
    return float(torch.trapezoid(hits, alarms))
