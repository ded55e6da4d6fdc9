"""Spec of gauc: AUC within each user, averaged by impressions; who has one class only is left out."""

import itertools

import numpy as np
import torch

from recattn_mini.exercises._pairs import pairs_won
from recattn_mini.exercises.spec import float64, right, same, wrong
from recattn_mini.metrics.gauc import gauc, gauc_numpy

LEVEL, MINUTES = "medium", 15
HINTS = (
    "An order is seen by one user: compare a click only with what the same user did not click.",
    "One AUC a user, and then a mean: weighted by what? Whose AUC does not exist, and what is then their weight?",
    "For every id in unique(users): the rows where users == id; none without both classes. AUC of these rows, a tie "
    "half a win, times their number; in the end divide by the number of rows of the users who were counted.",
)
FORBIDDEN = ("sklearn.metrics.roc_auc_score", "torchmetrics.functional.auroc", "torchmetrics.retrieval.RetrievalAUROC")


def inputs() -> dict[str, tuple]:
    rng = np.random.RandomState(0)
    scores = torch.from_numpy(rng.permutation(40) / 40)
    lengths = torch.tensor([3, 7, 4, 5])
    unequal = torch.repeat_interleave(torch.arange(4), lengths)
    clicks = torch.tensor([1, 0, 0, 1, 1, 0, 1, 1, 0, 1, 0, 0, 0, 1, 1, 0, 0, 1, 0])
    # below every user has as many rows and clicks as the next, so that weights do not matter
    three = torch.arange(3).repeat_interleave(4)
    two_of_four = torch.tensor([1, 0, 0, 1, 0, 1, 0, 1, 0, 0, 1, 1])
    mixed = torch.from_numpy(rng.permutation(12))
    blocks = torch.tensor([4, 5, 6, 7, 8, 9, 10, 11, 0, 1, 2, 3])
    shift = scores[20:32] + three  # a user's clicks are found only within the user
    five = torch.arange(5).repeat_interleave(4)
    one_class = torch.tensor([1, 0, 0, 1, 0, 0, 0, 0, 0, 1, 0, 1, 1, 1, 1, 1, 1, 0, 1, 0])
    tied = float64([0.5, 0.5, 0.25, 0.5, 0.1, 0.1, 0.1, 0.1, 0.3, 0.2, 0.3, 0.2])
    two = torch.stack([scores[:11], scores[11:22]], 1)
    return {
        "unequal": (scores[:19], clicks, unequal),
        "a view": (two[:, 1], clicks[:11].double(), torch.stack([unequal[:11], unequal[:11]], 1)[:, 0]),
        "one user": (scores[:5], clicks[:5], 0 * unequal[:5]),
        "mixed": (shift[mixed], two_of_four[mixed], three[mixed]),
        "in blocks": (shift[blocks], two_of_four[blocks], three[blocks]),
        "ids": (shift, two_of_four, torch.tensor([17, 40, 2021])[three]),
        "one class": (scores[10:30], one_class, five),
        "ties": (tied, two_of_four, three),
    }


def expected(scores, labels, users):
    """User by user and pair by pair."""
    total, counted = 0.0, 0
    for user in sorted(set(users.tolist())):
        rows = [(s, y) for s, y, u in zip(scores.tolist(), labels.tolist(), users.tolist(), strict=True) if u == user]
        pairs = [(s, t) for s, y in rows for t, z in rows if y == 1 and z == 0]
        if pairs:
            won = sum(0.5 if s == t else float(s > t) for s, t in pairs)
            total, counted = total + len(rows) * won / len(pairs), counted + len(rows)
    return total / counted


def _agrees(f, *cases):
    for case in cases:
        same(f(*inputs()[case]), expected(*inputs()[case]))


def check_weights(f):
    "users of 4 and 6 rows with AUC 1 and 5/9: (4 · 1 + 6 · 5/9) / 10 = 0.7333, by impressions"
    scores = float64([0.9, 0.3, 0.2, 0.1, 0.9, 0.8, 0.7, 0.6, 0.5, 0.4])
    users = torch.tensor([0, 0, 0, 0, 1, 1, 1, 1, 1, 1])
    same(f(scores, torch.tensor([1, 0, 0, 0, 1, 0, 0, 1, 1, 0]), users), (4 + 6 * 5 / 9) / 10)
    _agrees(f, "unequal", "a view", "one user")


def check_order_of_rows(f):
    "a user's rows need not stand together, nor users in the order of their ids: a log is sorted by time"
    _agrees(f, "mixed", "in blocks")


def check_ids(f):
    "users are called 17, 40 and 2021: an id is a name, not a place"
    _agrees(f, "ids")


def check_one_class(f):
    "a user who clicked everything or nothing has no AUC: left out, from the sum and from its weights"
    _agrees(f, "one class")


def check_ties(f):
    "a tied pair counts half, within a user as anywhere"
    _agrees(f, "ties")


def _mean(scores, labels, groups, weight=lambda p, n: p + n, one_class=None, auc=pairs_won):
    """The mean over groups (masks or slices) of rows; a user of one class counts as `one_class`, or not at all."""
    total, weights = 0.0, 0.0
    for rows in groups:
        s, y = scores[rows], labels[rows]
        p, n = int((y == 1).sum()), int((y == 0).sum())
        if p and n:
            total, weights = total + weight(p, n) * float(auc(s, y)), weights + weight(p, n)
        elif one_class is not None:
            total, weights = total + weight(p, n) * one_class, weights + weight(p, n)
    return total / weights if weights else float("nan")


def _each(users):
    return [users == user for user in users.unique()]


@wrong("every user counts alike: weigh AUC by the user's impressions")
def unweighted(scores, labels, users):
    return _mean(scores, labels, _each(users), lambda p, n: 1)


@wrong("every user counts alike, and users of one class as half: weigh by impressions, and leave those out")
def unweighted_with_half(scores, labels, users):
    return _mean(scores, labels, _each(users), lambda p, n: 1, one_class=0.5)


@wrong("weighted by clicks: the weight is the number of impressions, clicked or not")
def by_clicks(scores, labels, users):
    return _mean(scores, labels, _each(users), lambda p, n: p)


@wrong("weighted by what was not clicked: the weight is the number of all impressions")
def by_negatives(scores, labels, users):
    return _mean(scores, labels, _each(users), lambda p, n: n)


@wrong("all pairs within users are pooled: that weighs a user by P · N. Take the mean of AUCs, by impressions")
def by_pairs(scores, labels, users):
    return _mean(scores, labels, _each(users), lambda p, n: p * n)


@wrong("a user of one class counts as 0, or its rows stay in the denominator: leave it out, weight and all")
def one_class_is_zero(scores, labels, users):
    return _mean(scores, labels, _each(users), one_class=0)


@wrong("a user of one class counts as 0.5: there is no pair to compare, so leave it out")
def one_class_is_half(scores, labels, users):
    return _mean(scores, labels, _each(users), one_class=0.5)


@wrong("a user of one class counts as 1: nothing was ranked right there, leave it out")
def one_class_is_one(scores, labels, users):
    return _mean(scores, labels, _each(users), one_class=1)


@wrong("a user of one class is 0 / 0, and its NaN spoils the mean: leave such users out")
def one_class_is_nan(scores, labels, users):
    return _mean(scores, labels, _each(users), one_class=float("nan"))


@wrong("only users without a click are left out: those who clicked everything have no pair either, and count 0 here")
def clicked_all_is_zero(scores, labels, users):
    return _mean(scores, labels, [rows for rows in _each(users) if (labels[rows] == 1).any()], one_class=0)


@wrong("this is the AUC of all rows together: compare a click only with rows of the same user")
def over_everything(scores, labels, users):
    return pairs_won(scores, labels).item()


@wrong("scores minus the user's mean, then one AUC of all rows: rows of two users are still compared")
def centred_and_pooled(scores, labels, users):
    centred = scores.clone()
    for rows in _each(users):
        centred[rows] -= scores[rows].mean()
    return pairs_won(centred, labels).item()


@wrong("each run of equal ids is taken for a user: rows of one user may stand apart. Sort by user, or mask")
def runs_are_users(scores, labels, users):
    ends = [0, *(np.flatnonzero(np.diff(users.numpy())) + 1).tolist(), len(users)]
    return _mean(scores, labels, [slice(a, b) for a, b in itertools.pairwise(ends)])


@wrong("unique's counts are cut off the rows one after the other: that takes rows sorted by user, so sort them first")
def counts_of_unsorted(scores, labels, users):
    ends = [0, *users.unique(return_counts=True)[1].cumsum(0).tolist()]
    return _mean(scores, labels, [slice(a, b) for a, b in itertools.pairwise(ends)])


@wrong("ids are taken to be 0, 1, … up to the number of users: loop over unique(users)")
def ids_are_places(scores, labels, users):
    return _mean(scores, labels, [users == user for user in range(len(users.unique()))])


@wrong("a tied pair counts nothing (>): it is worth half")
def ties_lose(scores, labels, users):
    return _mean(scores, labels, _each(users), auc=lambda s, y: pairs_won(s, y, tie=0))


@wrong("a tied pair counts as won (>=): it is worth half")
def ties_win(scores, labels, users):
    return _mean(scores, labels, _each(users), auc=lambda s, y: pairs_won(s, y, tie=1))


@wrong("ranks by argsort: tied rows get different ranks, by the order they stand in. Give them their mean rank")
def ranks_by_argsort(scores, labels, users):
    def by_luck(s, y):
        return pairs_won(s.argsort(stable=True).argsort(stable=True), y)

    return _mean(scores, labels, _each(users), auc=by_luck)


@wrong("rows are walked from the best down, tied ones as they stand: count a tied pair half, or walk tied rows at once")
def walked_down(scores, labels, users):
    def by_luck(s, y):
        return pairs_won(-s.argsort(descending=True, stable=True).argsort(), y)

    return _mean(scores, labels, _each(users), auc=by_luck)


@wrong("the sign is turned round: a click above what was not clicked is a win")
def turned_round(scores, labels, users):
    return _mean(-scores, labels, _each(users))


@wrong("the weighted sum is divided by the number of users: divide by the sum of their weights")
def over_the_number_of_users(scores, labels, users):
    both = [rows for rows in _each(users) if 0 < labels[rows].sum() < rows.sum()]
    return sum(rows.sum().item() * pairs_won(scores[rows], labels[rows]).item() for rows in both) / len(both)


@right
def by_pair_matrix(scores, labels, users):
    pair = (users[:, None] == users) & (labels[:, None] == 1) & (labels == 0)
    won = (scores[:, None] > scores).double() + 0.5 * (scores[:, None] == scores)
    rows, pairs = (users[:, None] == users).sum(1), pair.double()
    of_user = [users == user for user in users.unique()]
    kept = [u for u in of_user if pairs[u].sum() > 0]
    figures = torch.stack([(won * pairs)[u].sum() / pairs[u].sum() for u in kept])
    weights = torch.stack([rows[u][0] for u in kept]).double()
    return (figures * weights).sum() / weights.sum()


@right
def sorted_and_split(scores, labels, users):
    order = users.argsort(stable=True)
    lengths = users.unique(return_counts=True)[1].tolist()
    total, counted = torch.zeros((), dtype=torch.float64), 0
    for s, y in zip(scores[order].split(lengths), labels[order].split(lengths), strict=True):
        p, n = int((y == 1).sum()), int((y == 0).sum())
        if p == 0 or n == 0:
            continue
        ranks = torch.stack([((s < one).sum() + 0.5 * (s == one).sum() + 0.5).double() for one in s])
        total += (p + n) * (ranks[y == 1].sum() - p * (p + 1) / 2) / (p * n)
        counted += p + n
    return total / counted
