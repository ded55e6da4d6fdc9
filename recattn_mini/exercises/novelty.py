"""Spec of novelty: the mean of -log₂ popularity over each user's list, over what is in it."""

import math

import torch

from recattn_mini.exercises.spec import but, drawn_once, float64, right, same, teaching, wrong
from recattn_mini.metrics.novelty import novelty, novelty_numpy

LEVEL, MINUTES = "easy", 10
DIFFERENTIABLE = False
HINTS = (
    "How surprised is someone to see an item that half of all users know? One that one in 1024 knows?",
    "-log₂ p for every item first, and then the mean over the list. -1 is no item: as an index it reads the last one.",
    "bits = -log2(popularity)[items], 0 where items is -1; the sum over the last axis, divided by the number of items "
    "that are there; NaN where there is none.",
)
FORBIDDEN: tuple[str, ...] = ()


@drawn_once
def inputs() -> dict[str, tuple]:
    popularity = float64([0.5, 0.02, 0.3, 0.75, 0.004, 0.11, 0.9, 0.06, 0.25, 0.001, 0.4])
    full = torch.tensor([[0, 6, 3], [4, 9, 1], [10, 5, 2], [3, 7, 8], [6, 0, 10]])
    ended = torch.tensor([[3, 1, -1, -1], [5, -1, -1, -1], [8, 2, 6, -1]])
    return {
        "full lists": (full, popularity),
        "a view": (full.T[:2, 1:], popularity.repeat_interleave(2)[::2]),
        "all sizes equal": (torch.tensor([[2, 0, 1], [0, 1, -1], [1, 2, 0]]), popularity[:3]),
        "one item": (torch.tensor([[5]]), popularity),
        "lists that end": (ended, popularity),
        "no list": (torch.tensor([[-1, -1], [4, 0]]), popularity),
        "very rare": (torch.tensor([[0, 2, 1, 3], [2, 0, 3, 1]]), float64([1e-120, 0.5, 1e-130, 1e-140, 0.2])),
        "known to all": (torch.tensor([[2, 0], [1, 2]]), float64([1, 0.5, 1])),
    }


def refused() -> dict[str, tuple]:
    """Inputs that the docstring calls a ValueError."""
    popularity = float64([0.5, 0.25, 0])
    return {
        "an item of popularity 0": (torch.tensor([[0, 2], [1, 0]]), popularity),
        "an item of popularity 0 in nobody's list": (torch.tensor([[0, 1], [1, 0]]), popularity),
    }


def expected(items, popularity):
    """Item by item, by whole and broken powers of two."""
    bits = [-float64(p).log2().item() for p in popularity.tolist()]
    lists = [[bits[item] for item in row if item >= 0] for row in items.tolist()]
    return float64([sum(row) / len(row) if row else torch.nan for row in lists])


def _agrees(f, *cases):
    for case in cases:
        same(f(*inputs()[case]), expected(*inputs()[case]))


@teaching
def check_worked_example(f):
    "known to a half, a quarter and an eighth of all users: 1, 2 and 3 bits; the first and the last together 2"
    same(f(torch.tensor([[0, 2], [1, 2]]), float64([0.5, 0.25, 0.125])), float64([2, 2.5]))


@teaching
def check_full_lists(f):
    "the mean of the items' bits, for each user; of a view, and of a list of one"
    _agrees(f, "full lists", "a view", "all sizes equal", "one item")


def check_lists_that_end(f):
    "-1 is no item: the mean is over those that are there"
    _agrees(f, "lists that end")


def check_no_list(f):
    "an empty list has no novelty: NaN, and not 0, which would be a list of what everybody knows"
    _agrees(f, "no list")


def check_very_rare(f):
    "popularities of 1e-140: their logarithms are ordinary numbers, their product is not"
    _agrees(f, "very rare")


def check_known_to_all(f):
    "an item that everybody knows carries 0 bits, and counts in the mean"
    _agrees(f, "known to all")


def listed(bits, items):
    """The sum of what is listed of `bits`, one an item."""
    return (bits[items.clamp_min(0)] * (items >= 0)).sum(1)


def length(items):
    return (items >= 0).sum(1).double()


def mean(total, length):
    return total / torch.where(length == 0, torch.nan, length)


def answer(items, popularity, *, bits=lambda p: -p.log2(), total=listed, over=length, divide=mean, unknown=None):
    if popularity.min() <= 0 and not unknown:
        raise ValueError("unknown to all")
    of_items = bits((unknown(popularity) if unknown else popularity).double())
    return divide(total(of_items, items), over(items))


in_nats = but(answer, "the natural logarithm: bits are logarithms to the base 2", bits=lambda p: -p.log())
to_the_base_ten = but(
    answer, "the logarithm to the base 10: bits are logarithms to the base 2", bits=lambda p: -p.log10()
)
minus_forgotten = but(answer, "the minus is missing: what few know is what surprises", bits=torch.log2)
mean_popularity = but(answer, "the mean popularity: novelty is the mean of -log₂ of it", bits=lambda p: p)
one_minus_popularity = but(
    answer, "the mean of 1 - popularity: rare and very rare are the same there. Take -log₂", bits=lambda p: 1 - p
)
reciprocal = but(answer, "the mean of 1 / popularity: one rare item is all of it. Take -log₂", bits=lambda p: 1 / p)
entropy = but(
    answer, "weighted by popularity, an entropy: in a list every item counts alike", bits=lambda p: -p * p.log2()
)
share_of_interactions = but(
    answer, "popularity is divided by its sum: it is a share of users already", bits=lambda p: -(p / p.sum()).log2()
)
share_of_the_best_known = but(
    answer, "popularity is divided by the largest: it is a share already", bits=lambda p: -(p / p.max()).log2()
)
normalised = but(
    answer, "divided by log₂ n: the bits themselves are asked", bits=lambda p: -p.log2() / math.log2(len(p))
)
kept_above_a_floor = but(
    answer, "popularity is kept above 1e-9: rarer is more novel still", bits=lambda p: -p.clamp_min(1e-9).log2()
)
kept_from_zero = but(
    answer,
    "popularity 0 becomes 1e-12: it is a ValueError",
    bits=lambda p: -p.clamp_min(1e-12).log2(),
    unknown=lambda p: p,
)
epsilon_in_the_logarithm = but(
    answer, "a small constant in the logarithm: popularity is above 0, it needs none", bits=lambda p: -(p + 1e-6).log2()
)
summed = but(
    answer,
    "a sum: take the mean, of any length",
    divide=lambda total, length: torch.where(length == 0, torch.nan, total),
)
summed_and_zero = but(
    answer, "a sum, 0 for an empty list: take the mean, NaN if there is no item", divide=lambda total, length: total
)
zero_for_nothing = but(
    answer, "an empty list gives 0: give it NaN", divide=lambda total, length: total / length.clamp_min(1)
)
log_of_the_mean = but(
    answer,
    "the logarithm of the mean: take the mean of the logarithms, or one popular item hides the rare ones",
    bits=lambda p: p,
    divide=lambda total, length: -mean(total, length).log2(),
)
padding_is_the_last = but(
    answer,
    "-1 as an index reads the popularity of the last item: leave it out of the sum and of the number",
    total=lambda bits, items: bits[items].mean(1),
    divide=lambda total, length: total,
)
padding_is_the_last_but_of_nothing = but(
    answer,
    "-1 as an index reads the last item, though an empty list has its NaN: leave -1 out of the sum and of the number",
    total=lambda bits, items: bits[items].mean(1),
    divide=lambda total, length: torch.where(length == 0, torch.nan, total),
)
padding_in_the_sum = but(
    answer, "-1 reads the last item's bits into the sum: leave it out", total=lambda bits, items: bits[items].sum(1)
)
item_zero_left_out = but(
    answer,
    "item 0 is left out as if it were padding (items > 0): only -1 is none",
    total=lambda bits, items: listed(bits, torch.where(items > 0, items, -1)),
    over=lambda items: (items > 0).sum(1).double(),
)
nan_where_padded = but(
    answer,
    "a -1 makes its list NaN: leave it out of the mean",
    total=lambda bits, items: torch.where(items >= 0, bits[items], torch.nan).sum(1),
)
over_k = but(
    answer,
    "divided by k: a list that has ended early has fewer items. Divide by their number",
    divide=lambda total, length: total * torch.where(length == 0, torch.nan, 1),
    total=lambda bits, items: listed(bits, items) / items.shape[1],
)
over_k_and_zero = but(
    answer,
    "divided by k, and 0 for an empty list: divide by the number of items that are there, NaN if there is none",
    total=lambda bits, items: listed(bits, items) / items.shape[1],
    divide=lambda total, length: total,
)
zero_bits_left_out = but(
    answer,
    "items of 0 bits are left out of the mean: known to all is still in the list",
    total=lambda bits, items: listed(bits, items) / listed((bits != 0).double(), items),
    divide=lambda total, length: total,
)
log_of_a_product = but(
    answer,
    "the logarithm of a product: of rare items it is 0, and its logarithm infinite. Sum the logarithms",
    bits=lambda p: p,
    total=lambda p, items: -torch.where(items >= 0, p[items], 1).prod(1).log2(),
)
over_users = but(
    answer,
    "the mean runs over users, one figure a place: take it over the items of a list, the last axis",
    total=lambda bits, items: bits[items].mean(0),
    divide=lambda total, length: total,
)
axis_kept = but(
    answer, "the list's axis is kept: the result is (u)", divide=lambda total, length: mean(total, length)[:, None]
)
lists_left_out = but(
    answer,
    "empty lists are dropped: keep their place, with NaN",
    divide=lambda total, length: (total / length)[length > 0],
)
pooled = but(
    answer,
    "one figure for all items: one for each user is asked",
    divide=lambda total, length: total.sum() / length.sum(),
)
pooled_for_each = but(
    answer,
    "one figure for all, said of each user: take the mean over the user's own list",
    divide=lambda total, length: (total.sum() / length.sum()).expand(len(total)).clone(),
)
mean_for_all = but(
    answer,
    "the mean over users: a figure for each is asked",
    divide=lambda total, length: mean(total, length).nanmean(),
)


@wrong("only the popularity of what is listed is looked at: one of 0 is a ValueError, listed or not")
def unlisted_unchecked(items, popularity):
    if (popularity[items[items >= 0]] == 0).any():
        raise ValueError("unknown to all")
    return answer(items, popularity, unknown=lambda p: p)


@right
def by_nanmean(items, popularity):
    if (popularity == 0).any():
        raise ValueError("unknown to all")
    return torch.where(items >= 0, -popularity.double().log2()[items], torch.nan).nanmean(1)


@right
def user_by_user(items, popularity):
    if min(popularity.tolist()) <= 0:
        raise ValueError("unknown to all")
    return torch.stack([(1 / popularity[row[row >= 0]].double()).log2().mean() for row in items])
