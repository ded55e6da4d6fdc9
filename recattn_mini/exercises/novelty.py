"""Spec of novelty: the mean of -log₂ popularity over each user's list, over what is in it."""

import torch

from recattn_mini.exercises.spec import float64, right, same, teaching, wrong
from recattn_mini.metrics.novelty import novelty, novelty_numpy

LEVEL, MINUTES = "easy", 10
HINTS = (
    "How surprised is someone to see an item that half of all users know? One that one in 1024 knows?",
    "-log₂ p for every item first, and then the mean over the list. -1 is no item: as an index it reads the last one.",
    "bits = -log2(popularity)[items], 0 where items is -1; the sum over the last axis, divided by the number of items "
    "that are there; NaN where there is none.",
)
FORBIDDEN = ()


def inputs() -> dict[str, tuple]:
    popularity = float64([0.5, 0.02, 0.3, 0.75, 0.004, 0.11, 0.9, 0.06, 0.25, 0.001, 0.4])
    full = torch.tensor([[0, 6, 3], [4, 9, 1], [10, 5, 2], [3, 7, 8], [6, 0, 10]])
    ended = torch.tensor([[3, 1, -1, -1], [5, -1, -1, -1], [8, 2, 6, -1]])
    return {
        "full lists": (full, popularity),
        "a view": (full.T[:2, 1:], popularity.repeat_interleave(2)[::2]),
        "one item": (torch.tensor([[5]]), popularity),
        "lists that end": (ended, popularity),
        "no list": (torch.tensor([[-1, -1], [4, 0]]), popularity),
        "very rare": (torch.tensor([[0, 2, 1, 3], [2, 0, 3, 1]]), float64([1e-120, 0.5, 1e-130, 1e-140, 0.2])),
        "known to all": (torch.tensor([[2, 0], [1, 2]]), float64([1, 0.5, 1])),
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
    _agrees(f, "full lists", "a view", "one item")


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


def _bits(popularity):
    return -popularity.log2()


def _listed(values, items, empty=torch.nan):
    """The mean over what is listed of values, one an item."""
    listed = items >= 0
    length = listed.sum(1).double()
    return (values[items.clamp_min(0)] * listed).sum(1) / torch.where(length == 0, empty, length)


@wrong("the natural logarithm: bits are logarithms to the base 2")
def in_nats(items, popularity):
    return _listed(-popularity.log(), items)


@wrong("the logarithm to the base 10: bits are logarithms to the base 2")
def to_the_base_ten(items, popularity):
    return _listed(-popularity.log10(), items)


@wrong("the minus is missing: what few know is what surprises")
def minus_forgotten(items, popularity):
    return _listed(-_bits(popularity), items)


@wrong("the mean popularity: novelty is the mean of -log₂ of it")
def mean_popularity(items, popularity):
    return _listed(popularity, items)


@wrong("the mean of 1 - popularity: rare and very rare are the same there. Take -log₂")
def one_minus_popularity(items, popularity):
    return _listed(1 - popularity, items)


@wrong("the logarithm of the mean: take the mean of the logarithms, or one popular item hides the rare ones")
def log_of_the_mean(items, popularity):
    return _bits(_listed(popularity, items))


@wrong("weighted by popularity: that is an entropy. In a list every item counts alike")
def entropy(items, popularity):
    return _listed(popularity * _bits(popularity), items)


@wrong("popularity is divided by its sum: it is the share of users who know the item, leave it as it is")
def share_of_interactions(items, popularity):
    return _listed(_bits(popularity / popularity.sum()), items)


@wrong("divided by log₂ n: bits are asked for, not a share of the most there could be")
def normalised(items, popularity):
    return _listed(_bits(popularity), items) / float64(len(popularity)).log2()


@wrong("a sum: long lists get more. Take the mean")
def summed(items, popularity):
    listed = items >= 0
    bits = (_bits(popularity)[items.clamp_min(0)] * listed).sum(1)
    return torch.where(listed.any(1), bits, torch.nan)


@wrong("a sum, and 0 for an empty list: take the mean over what is there, NaN if that is nothing")
def summed_and_zero(items, popularity):
    return (_bits(popularity)[items.clamp_min(0)] * (items >= 0)).sum(1)


@wrong("-1 as an index reads the popularity of the last item: leave it out of the sum and of the number")
def padding_is_the_last(items, popularity):
    return _bits(popularity)[items].mean(1)


@wrong("-1 reads the last item's bits into the sum: the number of items is right, the sum is not")
def padding_in_the_sum(items, popularity):
    length = (items >= 0).sum(1).double()
    return _bits(popularity)[items].sum(1) / torch.where(length == 0, torch.nan, length)


@wrong("divided by k: a list that has ended early has fewer items. Divide by their number")
def over_k(items, popularity):
    bits = (_bits(popularity)[items.clamp_min(0)] * (items >= 0)).sum(1) / items.shape[1]
    return torch.where((items >= 0).any(1), bits, torch.nan)


@wrong("divided by k, and 0 for an empty list: divide by the number of items that are there, NaN if there is none")
def over_k_and_zero(items, popularity):
    return (_bits(popularity)[items.clamp_min(0)] * (items >= 0)).mean(1)


@wrong("one -1 makes the whole list NaN: leave it out of the mean")
def nan_where_padded(items, popularity):
    return torch.where(items >= 0, _bits(popularity)[items], torch.nan).mean(1)


@wrong("an empty list gives 0: there is nothing to measure, NaN")
def zero_for_nothing(items, popularity):
    return _listed(_bits(popularity), items, empty=1.0)


@wrong("the mean runs over users, one figure a place: take it over the items of a list, the last axis")
def over_users(items, popularity):
    return _bits(popularity)[items].mean(0)


@wrong("the list's axis is kept, with size 1: one figure a user is asked for, (u)")
def axis_kept(items, popularity):
    return _listed(_bits(popularity), items)[:, None]


@wrong("one figure for all: a figure for each user is asked for, the mean over users comes later")
def pooled(items, popularity):
    return _bits(popularity)[items[items >= 0]].mean()


@wrong("one figure for all, said of each user: take the mean over the user's own list")
def pooled_for_each(items, popularity):
    return _bits(popularity)[items[items >= 0]].mean().expand(len(items)).clone()


@wrong("the logarithm of a product: of rare items it is 0, and its logarithm infinite. Sum the logarithms")
def log_of_a_product(items, popularity):
    listed = items >= 0
    product = torch.where(listed, popularity[items], 1).prod(1)
    length = listed.sum(1).double()
    return _bits(product) / torch.where(length == 0, torch.nan, length)


@wrong("popularity is kept above 1e-9: it is above 0 already, and rarer still is more novel still")
def kept_above_a_floor(items, popularity):
    return _listed(_bits(popularity.clamp_min(1e-9)), items)


@wrong("a small constant in the logarithm: popularity is above 0, it needs none")
def epsilon_in_the_logarithm(items, popularity):
    return _listed(_bits(popularity + 1e-6), items)


@wrong("items of 0 bits are left out of the mean: known to all is still in the list")
def zero_bits_left_out(items, popularity):
    bits = torch.where(items >= 0, _bits(popularity)[items], 0)
    return bits.sum(1) / (bits != 0).sum(1)


@right
def by_nanmean(items, popularity):
    return torch.where(items >= 0, _bits(popularity)[items], torch.nan).nanmean(1)


@right
def user_by_user(items, popularity):
    return torch.stack([(1 / popularity[row[row >= 0]]).log2().mean() for row in items])
