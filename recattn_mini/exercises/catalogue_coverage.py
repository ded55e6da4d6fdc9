"""Spec of catalogue_coverage: the share of the catalogue that stands in somebody's list."""

import torch

from recattn_mini.exercises.spec import but, drawn_once, right, same, teaching, wrong
from recattn_mini.metrics.catalogue_coverage import catalogue_coverage, catalogue_coverage_numpy

LEVEL, MINUTES = "easy", 5
HINTS = (
    "An item is covered once, however many users get it. What of the catalogue is a share taken?",
    "-1 fills a list that has ended: it is no item. And the catalogue has n items, whether anybody gets them or not.",
    "len(unique(items[items >= 0])) / n.",
)
FORBIDDEN: tuple[str, ...] = ()


@drawn_once
def inputs() -> dict[str, tuple]:
    # but where it is the point, item n - 1 is recommended and item 0 is not
    lists = torch.tensor([[3, 1, 10], [1, 3, 7], [10, 3, 1], [7, 8, 3], [3, 10, 8]])
    ended = torch.tensor([[2, 5, 6, -1], [5, 4, -1, -1], [6, 1, 5, 2], [-1, -1, -1, -1], [5, -1, -1, -1], [6, 2, 5, 1]])
    return {
        "full lists": (lists, 11),
        "a view": (lists[:, ::2], 11),
        "all sizes equal": (torch.tensor([[1, 2, 0], [2, 1, -1], [1, 0, -1]]), 3),
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
    _agrees(f, "full lists", "a view", "all sizes equal", "one user")


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


def listed(items):
    """Every recommendation that was made."""
    return items[items >= 0]


def answer(items, n, *, kept=listed, count=lambda kept: len(kept.unique()), by=lambda items, n: n):
    return count(kept(items)) / by(items, n)


def _marked(items, n):
    seen = torch.zeros(n, dtype=torch.float64)
    seen[items] = 1.0
    return seen


padding_counted = but(answer, "-1 is counted as an item: it only fills a list that has ended", kept=lambda items: items)
one_subtracted = but(
    answer,
    "one is always subtracted for -1, which is not always there: take items >= 0 first",
    kept=lambda items: items,
    count=lambda kept: len(kept.unique()) - 1,
)
short_lists_dropped = but(
    answer,
    "lists with a -1 are dropped: keep what stands before",
    kept=lambda items: items[(items >= 0).all(1)].flatten(),
)
padding_is_item_zero = but(answer, "-1 is turned into item 0: drop it instead", kept=lambda items: items.clamp_min(0))
item_zero_left_out = but(answer, "item 0 is left out: items >= 0, not > 0", kept=lambda items: items[items > 0])
first_places = but(answer, "only the first place of each list is looked at", kept=lambda items: listed(items[:, 0]))
first_user = but(
    answer, "only the first list is looked at: take all lists together", kept=lambda items: listed(items[0])
)
every_recommendation = but(
    answer, "every recommendation is counted: an item counts once, however many users get it", count=len
)
set_of_tensors = but(
    answer,
    "every place is counted, -1 as well: a set of tensors keeps equal ones apart. Use unique, or tolist() first",
    kept=lambda items: items.flatten(),
    count=len,
)
more_than_once = but(
    answer,
    "items that only one user gets are left out: once is enough",
    count=lambda kept: int((kept.unique(return_counts=True)[1] > 1).sum()),
)
exactly_once = but(
    answer,
    "only items that one user alone gets are counted: an item counts once, however many users get it",
    count=lambda kept: int((kept.unique(return_counts=True)[1] == 1).sum()),
)
number_of_items = but(answer, "this is a number of items: divide it by the n of the catalogue", by=lambda items, n: 1)
over_the_largest_id = but(
    answer, "divided by the largest id + 1: the catalogue has n items", by=lambda items, n: int(items.max()) + 1 or 1
)
over_n_less_one = but(
    answer, "divided by n - 1: ids end there, but with 0 there are n of them", by=lambda items, n: n - 1
)
over_n_and_none = but(answer, "divided by n + 1: -1 is no item of the catalogue", by=lambda items, n: n + 1)
over_places = but(
    answer, "divided by the number of places in the lists: divide by n", by=lambda items, n: items.numel()
)


over_shown = but(
    answer,
    "divided by the number of recommendations that were made: the catalogue has n items",
    by=lambda items, n: max(1, len(listed(items))),
)
nan_for_nobody = but(
    answer,
    "no recommendation at all gives NaN: it covers nothing, 0",
    by=lambda items, n: n if len(listed(items)) else 0,
    count=lambda kept: torch.tensor(len(kept.unique())).double(),
)


@wrong("-1 as an index marks the last item: drop it first")
def padding_marks_the_last(items, n):
    return _marked(items, n).mean()


@wrong("each user's own share, averaged: the lists have to be put together first")
def mean_over_users(items, n):
    return sum(answer(row, n) for row in items) / len(items)


@wrong("the share of users who get something: it is the share of items that is asked for")
def share_of_users(items, n):
    return (items >= 0).any(1).double().mean()


@wrong("the share of places that are filled: it is the share of items that is asked for")
def share_of_places(items, n):
    return (items >= 0).double().mean()


@wrong("whole-number division (//): the share is lost")
def whole_numbers(items, n):
    return float(len(listed(items).unique()) // n)


@wrong("this is the share that nobody gets: 1 minus it is covered")
def uncovered(items, n):
    return 1 - answer(items, n)


@wrong("in per cent: a share from 0 to 1 is asked for")
def in_per_cent(items, n):
    return 100 * answer(items, n)


@right
def by_marking(items, n):
    return _marked(items, n + 1)[:n].mean()  # -1 marks the place more


@right
def with_sets(items, n):
    covered = set()
    for row in items.tolist():
        covered |= set(row)
    return len(covered - {-1}) / n


@right
def by_counting(items, n):
    return (torch.bincount(items.flatten() + 1, minlength=n + 1)[1:] > 0).double().mean()
