"""Spec of gauc: AUC within each user, averaged by impressions; who has one class only is left out."""

import itertools
import math

import numpy as np
import torch

from recattn_mini.exercises.spec import but, drawn_once, float64, mistakes_of, right, same, wrong
from recattn_mini.exercises.spec.pairs import mistakes_of_pairs, pairs_won
from recattn_mini.metrics.gauc import gauc, gauc_numpy

LEVEL, MINUTES = "medium", 10
HINTS = (
    "An order is seen by one user: compare a click only with what the same user did not click.",
    "One AUC a user, and then a mean: weighted by what? Whose AUC does not exist, and what is then their weight?",
    "For every id in unique(users): the rows where users == id; none without both classes. AUC of these rows, a tie "
    "half a win, times their number; in the end divide by the number of rows of the users who were counted.",
)
FORBIDDEN = ("sklearn.metrics.roc_auc_score", "torchmetrics.functional.auroc", "torchmetrics.retrieval.RetrievalAUROC")


@drawn_once
def inputs() -> dict[str, tuple]:
    rng = np.random.RandomState(0)
    scores = torch.from_numpy(rng.permutation(40) / 40)
    unequal = torch.arange(4).repeat_interleave(torch.tensor([3, 7, 4, 5]))
    clicks = torch.tensor([1, 0, 0, 1, 1, 0, 1, 1, 0, 1, 0, 0, 0, 1, 1, 0, 0, 1, 0])
    # below every user has as many rows and clicks as the next, so that weights do not matter
    three = torch.arange(3).repeat_interleave(4)
    two_of_four = torch.tensor([1, 0, 0, 1, 0, 1, 0, 1, 0, 0, 1, 1])
    mixed = torch.from_numpy(rng.permutation(12))
    blocks = torch.tensor([4, 5, 6, 7, 8, 9, 10, 11, 0, 1, 2, 3])
    shift = scores[20:32] + three  # a user's clicks are found only within the user
    one_class = torch.tensor([1, 0, 0, 1, 0, 0, 0, 0, 0, 1, 0, 1, 1, 1, 1, 1, 1, 0, 1, 0, 0, 0, 0, 0])
    tied = float64([0.5, 0.5, 0.25, 0.5, 0.1, 0.1, 0.1, 0.1, 0.3, 0.2, 0.3, 0.2])
    masked = float64([-torch.inf, -torch.inf, -800, 0.5, 700, 0.5 - 1e-12, 0.5, 0.502, -torch.inf, 3, 2, -torch.inf])
    return {
        "unequal": (scores[:19], clicks, unequal),
        "a view": (scores[:22:2], clicks[:11].double(), (torch.arange(22) // 8)[::2]),
        "one user": (scores[:5], clicks[:5], 0 * unequal[:5]),
        "two impressions": (scores[:12], torch.tensor([1, 0, 0, 1, 0, 1, 1, 0, 0, 1, 0, 1]), torch.arange(12) // 2),
        "float32": (scores[:19].float(), clicks, unequal),
        "mixed": (shift[mixed], two_of_four[mixed], three[mixed]),
        "in blocks": (shift[blocks], two_of_four[blocks], three[blocks]),
        "ids": (shift, two_of_four, torch.tensor([17, 40, 2021])[three]),
        "ids below 0": (shift, two_of_four, torch.tensor([-1, 3, -7])[three]),
        "one class": (scores[11:35], one_class, torch.arange(6).repeat_interleave(4)),
        "ties": (tied, two_of_four, three),
        "any scores": (masked, two_of_four, three),
    }


def refused() -> dict[str, tuple]:
    """Inputs that the docstring calls a ValueError."""
    users = torch.tensor([3, 3, 8, 8])
    return {"nobody with both classes": (float64([0.5, 0.25, 0.75, 1]), torch.tensor([1, 1, 0, 0]), users)}


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
    _agrees(f, "unequal", "a view", "one user", "float32")


def check_two_impressions(f):
    "two impressions are enough for a user: one pair, right or wrong"
    _agrees(f, "two impressions")


def check_order_of_rows(f):
    "a user's rows need not stand together, nor users in the order of their ids: a log is sorted by time"
    _agrees(f, "mixed", "in blocks")


def check_ids(f):
    "users are called 17, 40 and 2021, or -1: an id is a name, not a place"
    _agrees(f, "ids", "ids below 0")


def check_one_class(f):
    "a user who clicked everything or nothing has no AUC: left out, from the sum and from its weights"
    _agrees(f, "one class")


def check_ties(f):
    "a tied pair counts half, within a user as anywhere"
    _agrees(f, "ties")


def check_any_scores(f):
    "only the order of a user's scores matters: -800, 700, two of -inf, two that differ in their twelfth digit"
    _agrees(f, "any scores")


def rows_of(users, ids):
    return [users == user for user in ids]


def rows_of_each(users):
    return rows_of(users, users.unique())


def answer(
    scores,
    labels,
    users,
    *,
    groups=rows_of_each,
    weight=lambda p, n: p + n,
    one_class=None,
    count=pairs_won,
    nobody=None,
):
    """A group is a mask or a slice of rows; a user of one class counts as `one_class`, or not at all."""
    total, weights = 0.0, 0.0
    for rows in groups(users):
        s, y = scores[rows], labels[rows]
        p, n = int((y == 1).sum()), int((y == 0).sum())
        if (p and n) or one_class is not None:
            figure = float(count(s, y)) if p and n else one_class(p)
            total, weights = total + weight(p, n) * figure, weights + weight(p, n)
    if not weights and nobody is None:
        raise ValueError("nobody has both classes")
    return total / weights if weights else nobody


def _slices(lengths):
    ends = [0, *lengths.cumsum(0).tolist()]
    return [slice(a, b) for a, b in itertools.pairwise(ends)]


PAIRS = mistakes_of_pairs(answer)
nobody_is_half = but(
    answer, "nobody with both classes gives ½: raise the ValueError that the docstring promises", nobody=0.5
)
unweighted = but(answer, "every user counts alike: weigh AUC by the user's impressions", weight=lambda p, n: 1)
by_clicks = but(
    answer, "weighted by clicks: the weight is the number of impressions, clicked or not", weight=lambda p, n: p
)
by_negatives = but(
    answer, "weighted by what was not clicked: the weight is the number of all impressions", weight=lambda p, n: n
)
by_pairs = but(
    answer, "all users' pairs are pooled, which weighs by P · N: weigh AUCs by impressions", weight=lambda p, n: p * n
)
by_roots = but(
    answer, "weighted by the root of the impressions: weigh by their number", weight=lambda p, n: math.sqrt(p + n)
)
one_class_is_zero = but(
    answer, "a user of one class counts as 0, or stays in the denominator: leave it out", one_class=lambda p: 0.0
)
one_class_is_half = but(
    answer, "a user of one class counts as 0.5: there is no pair to compare, so leave it out", one_class=lambda p: 0.5
)
one_class_is_one = but(
    answer, "a user of one class counts as 1: nothing was ranked right there, leave it out", one_class=lambda p: 1.0
)
one_class_is_nan = but(
    answer, "a user of one class has NaN, and so has the mean: leave such users out", one_class=lambda p: math.nan
)
clicked_all_is_one = but(
    answer, "all clicked counts as 1, nothing clicked as 0: leave both users out", one_class=lambda p: float(p > 0)
)
unweighted_with_half = but(
    answer,
    "every user counts alike, one of one class as ½: weigh by impressions, and leave that one out",
    weight=lambda p, n: 1,
    one_class=lambda p: 0.5,
)
two_are_too_few = but(
    answer,
    "users of two impressions are left out: a click and no click are a pair",
    groups=lambda users: [rows for rows in rows_of_each(users) if rows.sum() > 2],
)
runs_are_users = but(
    answer,
    "each run of equal ids is taken for a user: rows of one user may stand apart. Sort by user, or mask",
    groups=lambda users: _slices(users.unique_consecutive(return_counts=True)[1]),
)
counts_of_unsorted = but(
    answer,
    "unique's counts are cut off the rows one after the other: that takes rows sorted by user, so sort them first",
    groups=lambda users: _slices(users.unique(return_counts=True)[1]),
)
ids_are_places = but(
    answer,
    "ids are taken to be 0, 1, … up to the number of users: loop over unique(users)",
    groups=lambda users: rows_of(users, range(len(users.unique()))),
)
up_to_the_largest_id = but(
    answer,
    "ids are taken to be 0, 1, … up to the largest: below 0 there are users too. Loop over unique(users)",
    groups=lambda users: rows_of(users, range(int(users.max()) + 1)),
)
user_zero_left_out = but(
    answer,
    "user 0 is left out as if it were padding: any whole number is somebody's id",
    groups=lambda users: rows_of(users, users[users != 0].unique()),
)


def refusing(scores, labels, users, *, one_class):
    """Users of one class count, but a log of nothing else is refused."""
    answer(scores, labels, users)
    return answer(scores, labels, users, one_class=one_class)


ONE_CLASS = {
    "kept_in_the_weights": ("who has one class stays in the weights, with 0: leave it out of both", lambda p: 0.0),
    "kept_as_half": ("who has one class counts as ½: there is no pair, leave it out of both sums", lambda p: 0.5),
    "kept_as_one": ("who has one class counts as 1: there is no pair, leave it out of both sums", lambda p: 1.0),
}
REFUSING = mistakes_of(refusing, one_class=ONE_CLASS)


@wrong("only users without a click are left out: those who clicked everything have no pair either, and count 0 here")
def clicked_all_is_zero(scores, labels, users):
    clicked = torch.stack([labels[users == user].max() for user in users]) == 1
    return answer(scores[clicked], labels[clicked], users[clicked], one_class=lambda p: 0.0)


@wrong("this is the AUC of all rows together: compare a click only with rows of the same user")
def over_everything(scores, labels, users):
    return pairs_won(scores, labels).item()


@wrong("scores minus the user's mean, then one AUC of all rows: rows of two users are still compared")
def centred_and_pooled(scores, labels, users):
    centred = scores.clone()
    for rows in rows_of_each(users):
        centred[rows] -= scores[rows].mean()
    return pairs_won(centred, labels).item()


@wrong("the weighted sum is divided by the number of users: divide by the sum of their weights")
def over_the_number_of_users(scores, labels, users):
    both = [rows for rows in rows_of_each(users) if 0 < labels[rows].sum() < rows.sum()]
    return answer(scores, labels, users) * sum(int(rows.sum()) for rows in both) / len(both)


@right
def by_pair_matrix(scores, labels, users):
    of_one = users[:, None] == users
    pair = (of_one & (labels[:, None] == 1) & (labels == 0)).double()
    won = (scores[:, None] > scores).double() + 0.5 * (scores[:, None] == scores)
    kept = [rows for rows in rows_of_each(users) if pair[rows].sum() > 0]
    if not kept:
        raise ValueError("labels must hold both classes for some user")
    figures = torch.stack([(won * pair)[rows].sum() / pair[rows].sum() for rows in kept])
    weights = torch.stack([rows.sum() for rows in kept]).double()
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
    if counted == 0:
        raise ValueError("labels must hold both classes for some user")
    return total / counted
