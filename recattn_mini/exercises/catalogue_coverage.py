"""Spec of catalogue_coverage: the share of the catalogue that stands in somebody's list."""

import torch

from recattn_mini.exercises.spec import right, same, teaching, wrong
from recattn_mini.metrics.catalogue_coverage import catalogue_coverage, catalogue_coverage_numpy

LEVEL, MINUTES = "easy", 5
HINTS = (
    "An item is covered once, however many users get it. What of the catalogue is a share taken?",
    "-1 fills a list that has ended: it is no item. And the catalogue has n items, whether anybody gets them or not.",
    "len(unique(items[items >= 0])) / n.",
)
FORBIDDEN = ()


def inputs() -> dict[str, tuple]:
    # but where it is the point, item n - 1 is recommended and item 0 is not
    lists = torch.tensor([[3, 1, 10], [1, 3, 7], [10, 3, 1], [7, 8, 3], [3, 10, 8]])
    ended = torch.tensor([[2, 5, 6, -1], [5, 4, -1, -1], [6, 1, 5, 2], [-1, -1, -1, -1], [5, -1, -1, -1], [6, 2, 5, 1]])
    return {
        "full lists": (lists, 11),
        "a view": (lists[:, ::2], 11),
        "one user": (torch.tensor([[4, 2, 6, 1]]), 7),
        "lists that end": (ended, 7),
        "a long tail": (lists, 200),
        "item 0": (torch.tensor([[0, 2], [3, 4], [4, -1]]), 5),
        "everything": (torch.tensor([[1, 2], [0, 3], [2, 1]]), 4),
        "nobody": (torch.full((3, 2), -1), 5),
    }


def expected(items, n):
    """Item by item of the catalogue."""
    return sum(any(item in row for row in items.tolist()) for item in range(n)) / n


def _agrees(f, *cases):
    for case in cases:
        same(f(*inputs()[case]), expected(*inputs()[case]))


@teaching
def check_worked_example(f):
    "lists (3, 4), (3, 1) and (4, 1) of a catalogue of 5: three items are covered, 0.6"
    same(f(torch.tensor([[3, 4], [3, 1], [4, 1]]), 5), 0.6)


@teaching
def check_full_lists(f):
    "an item counts once, however many users get it; one user or many, a view too"
    _agrees(f, "full lists", "a view", "one user")


def check_lists_that_end(f):
    "-1 fills a list that has ended: it is no item, and what stands before it counts"
    _agrees(f, "lists that end")


def check_long_tail(f):
    "a catalogue of 200: items that nobody gets, the last ones too, are what coverage is about"
    _agrees(f, "a long tail")


def check_item_zero(f):
    "item 0 is an item"
    _agrees(f, "item 0", "everything")


def check_nobody(f):
    "no recommendation at all covers nothing: 0"
    _agrees(f, "nobody")


def _distinct(items):
    return len(items[items >= 0].unique())


@wrong("-1 is counted as an item: it only fills a list that has ended")
def padding_counted(items, n):
    return len(items.unique()) / n


@wrong("one is always subtracted for -1, which is not always there: take items >= 0 first")
def one_subtracted(items, n):
    return (len(items.unique()) - 1) / n


@wrong("lists with a -1 are dropped: what stands before it was recommended")
def short_lists_dropped(items, n):
    return _distinct(items[(items >= 0).all(1)]) / n


@wrong("-1 as an index marks the last item: drop it first")
def padding_marks_the_last(items, n):
    seen = torch.zeros(n, dtype=torch.bool)
    seen[items] = True
    return seen.double().mean()


@wrong("-1 is turned into item 0: drop it instead")
def padding_is_item_zero(items, n):
    return len(items.clamp_min(0).unique()) / n


@wrong("item 0 is left out: items >= 0, not > 0")
def item_zero_left_out(items, n):
    return len(items[items > 0].unique()) / n


@wrong("this is a number of items: divide it by the n of the catalogue")
def number_of_items(items, n):
    return float(_distinct(items))


@wrong("divided by the largest id + 1: items that nobody gets belong to the catalogue too, so divide by n")
def over_the_largest_id(items, n):
    return _distinct(items) / (int(items.max()) + 1 or 1)


@wrong("divided by the number of places: this says how different the lists are. Divide by n")
def over_places(items, n):
    return _distinct(items) / items.numel()


@wrong("every recommendation is counted: an item counts once, however many users get it")
def every_recommendation(items, n):
    return int((items >= 0).sum()) / n


@wrong("every place is counted, -1 as well: a set of tensors keeps equal ones apart. Use unique, or tolist() first")
def set_of_tensors(items, n):
    return len(set(items.flatten())) / n


@wrong("each user's own share, averaged: the lists have to be put together first")
def mean_over_users(items, n):
    return sum(_distinct(row) for row in items) / len(items) / n


@wrong("the share of users who get something: it is the share of items that is asked for")
def share_of_users(items, n):
    return (items >= 0).any(1).double().mean()


@wrong("the share of places that are filled: it is the share of items that is asked for")
def share_of_places(items, n):
    return (items >= 0).double().mean()


@wrong("whole-number division (//): the share is lost")
def whole_numbers(items, n):
    return float(_distinct(items) // n)


@wrong("this is the share that nobody gets: 1 minus it is covered")
def uncovered(items, n):
    return 1 - _distinct(items) / n


@wrong("in per cent: a share from 0 to 1 is asked for")
def in_per_cent(items, n):
    return 100 * _distinct(items) / n


@wrong("only the first place of each list is looked at")
def first_places(items, n):
    return _distinct(items[:, 0]) / n


@wrong("only items that more than one user gets are counted: once is enough")
def more_than_once(items, n):
    return int((items[items >= 0].unique(return_counts=True)[1] > 1).sum()) / n


@right
def by_marking(items, n):
    seen = torch.zeros(n + 1, dtype=torch.bool)
    seen[items] = True  # -1 marks the place more
    return seen[:n].double().mean()


@right
def with_sets(items, n):
    covered = set()
    for row in items.tolist():
        covered |= set(row)
    return len(covered - {-1}) / n


@right
def by_counting(items, n):
    return (torch.bincount(items.flatten() + 1, minlength=n + 1)[1:] > 0).sum() / torch.tensor(n, dtype=torch.float64)
