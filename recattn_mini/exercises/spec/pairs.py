"""What the specs of auc and gauc share: how pairs of a positive and a negative are counted, and miscounted.

A mistake takes scores and labels of both classes; gauc makes it user by user.
"""

import functools
from collections.abc import Callable, Iterable

import torch
from torch import Tensor

from recattn_mini.exercises.spec import but, wrong


def pairs_won(scores: Tensor, labels: Tensor, tie: float = 0.5) -> Tensor:
    """The share of pairs of a positive and a negative in the right order, a tie worth `tie`."""
    high, low = _split(scores, labels)
    return ((high > low).double() + tie * (high == low)).mean()


def mistakes_of_pairs(answer: Callable, without: Iterable[str] = ()) -> list[Callable]:
    """`answer` with each mistake as its `count`, but those that cannot be told there."""
    some = [bad for bad in PAIRS if bad.__name__ not in without]
    return [functools.update_wrapper(but(answer, bad.hint, count=bad), bad) for bad in some]


def _split(scores: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
    return scores[labels == 1][:, None], scores[labels == 0]


def _counts(labels: Tensor) -> tuple[Tensor, Tensor]:
    return (labels == 1).sum().double(), (labels == 0).sum().double()


def _rank_sum(scores: Tensor, labels: Tensor) -> Tensor:
    """The sum of the positives' ranks from 1, tied rows by their mean rank."""
    below = (scores[:, None] > scores).sum(1) + 0.5 * (scores[:, None] == scores).sum(1)
    return (below + 0.5)[labels == 1].sum().double()


@wrong("a tied pair counts nothing (>): it is worth half, or a constant model gets 0")
def ties_lose(scores, labels):
    return pairs_won(scores, labels, tie=0)


@wrong("a tied pair counts as won (>=): it is worth half, or a constant model gets 1")
def ties_win(scores, labels):
    return pairs_won(scores, labels, tie=1)


@wrong("tied pairs are left out, of the number of pairs too: a tied pair is a pair, and worth half")
def ties_left_out(scores, labels):
    high, low = _split(scores, labels)
    return (high > low).sum().double() / (high != low).sum()


@wrong("ranks by argsort: tied rows get different ranks, by the order they stand in. Give them their mean rank")
def ranks_by_argsort(scores, labels):
    return pairs_won(scores.argsort(stable=True).argsort(), labels)


@wrong("rows are walked from the best down, tied ones as they stand: count a tied pair half, or walk tied rows at once")
def walked_down(scores, labels):
    return pairs_won(-scores.argsort(descending=True, stable=True).argsort(), labels)


@wrong("the sign is turned round: a positive above a negative is a win")
def turned_round(scores, labels):
    return pairs_won(-scores, labels)


@wrong("an AUC below ½ is folded to 1 - AUC: an order that is worse than chance is below ½, and stays there")
def folded(scores, labels):
    won = pairs_won(scores, labels)
    return torch.maximum(won, 1 - won)


@wrong("wins minus losses: that is 2 · AUC - 1, Gini's coefficient. A constant model has ½ here, not 0")
def gini(scores, labels):
    return 2 * pairs_won(scores, labels) - 1


@wrong("divided by n²: of all pairs of rows only those of a positive and a negative count, P · N of them")
def of_all_ordered_pairs(scores, labels):
    p, n = _counts(labels)
    return pairs_won(scores, labels) * p * n / (p + n) ** 2


@wrong("divided by n (n - 1) / 2: pairs of one class cannot be in the wrong order. Divide by P · N")
def of_all_pairs(scores, labels):
    p, n = _counts(labels)
    return pairs_won(scores, labels) * p * n / ((p + n) * (p + n - 1) / 2)


@wrong("the number of pairs that are won: divide it by P · N")
def not_divided(scores, labels):
    p, n = _counts(labels)
    return pairs_won(scores, labels) * p * n


@wrong("ranks from 0 in the formula for ranks from 1: every positive is one place too low, and 1/N is lost")
def ranks_from_zero(scores, labels):
    p, n = _counts(labels)
    return (_rank_sum(scores, labels) - p - p * (p + 1) / 2) / (p * n)


@wrong("P (P + 1) / 2 is not subtracted: the positives' ranks count the other positives below them too")
def ranks_of_positives_kept(scores, labels):
    p, n = _counts(labels)
    return _rank_sum(scores, labels) / (p * n)


@wrong("this is accuracy at a threshold of 0.5: AUC has no threshold, it compares pairs")
def accuracy(scores, labels):
    return ((scores > 0.5) == (labels == 1)).double().mean()


@wrong("positives and negatives are called by a threshold of 0.5 first: AUC has no threshold, it compares the scores")
def at_one_threshold(scores, labels):
    return pairs_won((scores > 0.5).double(), labels)


@wrong("the mean scores of the two classes are compared: AUC compares pair by pair, and only their order counts")
def means_compared(scores, labels):
    high, low = _split(scores, labels)
    return (high.mean() > low.mean()).double()


@wrong("a sigmoid of the differences: a pair is won or not, by however much")
def sigmoid_of_differences(scores, labels):
    high, low = _split(scores, labels)
    return (high - low).double().sigmoid().mean()


@wrong("sigmoids are compared: large scores that differ become tied there. Compare the scores as they are")
def by_sigmoids(scores, labels):
    return pairs_won(scores.sigmoid(), labels)


@wrong("rows with an infinite score are left out: -inf is a score like any other, and tied with -inf alone")
def infinite_left_out(scores, labels):
    return pairs_won(scores[scores.isfinite()], labels[scores.isfinite()])


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
    high, low = _split(scores, labels)
    return (((high - low) > 0).double() + 0.5 * ((high - low) == 0)).mean()


@wrong("the sign of differences: -inf minus -inf is NaN, and it gets into the mean. Compare (>, ==)")
def by_signs(scores, labels):
    high, low = _split(scores, labels)
    d = (high - low).double()
    return torch.where(d.isnan(), d, torch.sign(d) / 2 + 0.5).mean()  # torch.sign(NaN) is 0, NumPy's is NaN


@wrong("labels of 0 and 1 used as an index pick rows 0 and 1 over and over: a mask is labels == 1")
def labels_as_index(scores, labels):
    high, low = scores[labels.long()][:, None], scores[1 - labels.long()]
    return ((high > low).double() + 0.5 * (high == low)).mean()


@wrong("scores[labels] picks rows 0 and 1 over and over, or fails where labels are floating: a mask is labels == 1")
def labels_as_index_as_they_are(scores, labels):
    high, low = scores[labels][:, None], scores[1 - labels]
    return ((high > low).double() + 0.5 * (high == low)).mean()


@wrong("this is average precision: AUC is the area under the ROC curve, not under precision and recall")
def average_precision(scores, labels):
    clicked = labels[scores.argsort(descending=True, stable=True)].double()
    precision = clicked.cumsum(0) / torch.arange(1, len(scores) + 1)
    return (precision * clicked).sum() / clicked.sum()


PAIRS = [f for f in list(vars().values()) if hasattr(f, "hint")]
