"""Spec of sample_negatives: random numbers become items that the user has not met, each as probable as the other."""

import numpy as np
import torch

from recattn_mini.data.sample_negatives import sample_negatives, sample_negatives_numpy
from recattn_mini.exercises.spec import Named, but, drawn_once, float64, mistakes_of, right, same, teaching, wrong

LEVEL, MINUTES = "medium", 15
DIFFERENTIABLE = False
HINTS = (
    "How many items has the user not met? A number in [0, 1) times that count, rounded down, is a rank among them.",
    "User by user: the unmet items in ascending order, np.setdiff1d(np.arange(1, n + 1), seen[user]), hold neither "
    "padding nor repeats. Each draw is the item of a rank there. What if none is left?",
    "unmet[(uniform[user].astype(np.float64) * len(unmet)).astype(np.int64)], after a ValueError if unmet is empty. In "
    "PyTorch a table (u n) of ones, with zeros at the met items: its cumulative sums count the ranks; search them.",
)
FORBIDDEN = ()


@drawn_once
def inputs() -> dict[str, tuple]:
    rng = np.random.RandomState(0)
    # five users, four items each of which no two are neighbours, all numbers of a grid and some at random
    apart = torch.tensor([[5, 2, 9, 13], [12, 3, 7, 10], [4, 8, 6, 11], [9, 13, 3, 6], [2, 7, 11, 5]])
    draws = torch.from_numpy(rng.rand(5, 17) * 0.9 + 0.04)
    grid = ((torch.arange(13, dtype=torch.float64) + 0.37) / 13).repeat(3, 1)  # at no boundary
    return {
        "values": (apart, 14, draws),
        "runs": (torch.tensor([[6, 4, 5], [1, 3, 2], [11, 9, 10]]), 13, grid),
        "padding": (torch.tensor([[0, 0, 4, 9, 2], [7, 3, 0, 0, 0], [6, 0, 11, 0, 3]]), 13, grid),
        "repeats": (torch.tensor([[8, 3, 8, 5], [2, 2, 2, 2], [10, 7, 10, 7]]), 13, grid),
        "no history": (torch.tensor([[0, 0, 0], [0, 0, 0], [4, 8, 11]]), 12, grid),
        "the ends": (torch.tensor([[1, 14], [14, 7], [2, 1]]), 14, float64([[0, 0.5, 1 - 2**-53]]).repeat(3, 1)),
        "just below a border": (torch.tensor([[4, 8]]), 14, (torch.arange(1, 13).double() / 12 - 2**-40)[None]),
        "float32 numbers": (torch.tensor([[4, 2]]), 13, (torch.arange(1, 11) / 11)[None]),
        "views": (apart.T[1:, ::2], 13, draws.T[:3, 1::2]),
        "one left": (torch.tensor([[2, 1, 4]]), 4, float64([[0.01, 0.6, 0.99]])),
    }


def refused() -> dict[str, tuple]:
    """Inputs that the docstring calls a ValueError."""
    halves = float64([[0.2, 0.7], [0.2, 0.7]])
    return {"a user has met all of the items 1 to 3": (torch.tensor([[3, 0, 1], [2, 3, 1]]), 3, halves)}


def expected(seen, n, uniform):
    """From a list of the unmet items, in plain Python."""
    rows = []
    for row, numbers in zip(seen.tolist(), uniform.tolist(), strict=True):
        unmet = [item for item in range(1, n + 1) if item not in row]
        rows.append([unmet[int(x * len(unmet))] for x in numbers])
    return torch.tensor(rows)


def _agrees(f, *names):
    for name in names:
        same(f(*inputs()[name]), expected(*inputs()[name]))


@teaching
def check_worked_example(f):
    "of items 1 to 5 the user met 4 and 2: a third of [0, 1) each for 1, 3 and 5"
    got = f(torch.tensor([[4, 2]]), 5, float64([[0.1, 0.3, 0.4, 0.6, 0.7, 0.9]]))
    same(got, torch.tensor([[1, 1, 3, 3, 5, 5]]))


@teaching
def check_same_numbers(f):
    "the same random numbers give the same items, others give others"
    seen, n, uniform = inputs()["values"]
    first, second, third = f(seen, n, uniform), f(seen, n, uniform), f(seen, n, 1 - uniform)
    if not all(isinstance(items, torch.Tensor) for items in (first, second, third)):
        return
    if not torch.equal(first, second):
        raise Named("two calls with the same numbers gave other items: make them from uniform, draw nothing yourself")
    if torch.equal(first, third):
        raise Named("other numbers gave the same items: make them from uniform, draw nothing yourself")


@teaching
def check_values(f):
    "never an item that the user met, each other one for an equal share of [0, 1), in ascending order"
    seen, n, uniform = inputs()["values"]
    got, item = f(seen, n, uniform), 1 + (uniform * n).long()
    is_met = (item[:, :, None] == seen[:, None, :]).any(2)
    if isinstance(got, torch.Tensor) and got.shape == item.shape and torch.equal(got == item, ~is_met):
        raise Named(
            "these are the items ⌊uniform · n⌋ + 1 of the whole catalogue, others in place of those that were met: "
            "a second try. Here each number is one draw: a rank among the unmet items"
        )
    _agrees(f, "values", "views", "one left")


@teaching
def check_runs(f):
    "met items that are neighbours: the item behind them is as probable as any other"
    _agrees(f, "runs")


def check_padding(f):
    "0 is padding, on either side or in between: it takes no item away"
    _agrees(f, "padding")


def check_repeats(f):
    "an item that was met twice takes one item away"
    _agrees(f, "repeats")


def check_no_history(f):
    "a user who met nothing may get every item"
    _agrees(f, "no history")


def check_the_ends(f):
    "0 is the first unmet item, the largest number below 1 the last one; at the border of two shares the second begins"
    _agrees(f, "the ends", "just below a border")


def check_float32_numbers(f):
    "numbers in float32 are multiplied in float64: at a border of two shares a float32 product is rounded up"
    _agrees(f, "float32 numbers")


def met(seen, n=0):
    return [sorted(set(row) - {0}) for row in seen.tolist()]


def item_of_rank(r, met, n):
    """Below the i-th met item, i from 0, stand met_i - 1 - i unmet ones."""
    return 1 + r + sum(item - 1 - i <= r for i, item in enumerate(met))


def answer(
    seen,
    n,
    uniform,
    *,
    met=met,
    count=lambda met, row, n: n - len(met),
    rank=lambda x, c, n: int(x * c),
    pick=item_of_rank,
    draws=lambda x, seen: x,
):
    rows = []
    for row, items, numbers in zip(seen.tolist(), met(seen, n), uniform.tolist(), strict=True):
        if len(items) == n:
            raise ValueError("nothing is left to draw")
        rows.append([pick(rank(x, count(items, row, n), n), items, n) for x in numbers])
    return draws(torch.tensor(rows), seen)


def _as_they_come(seen, n):
    return [[*dict.fromkeys(item for item in row if item)] for row in seen.tolist()]


def _with_repeats(seen, n):
    return [sorted(item for item in row if item) for row in seen.tolist()]


def _stepped(r, met, n):
    """Past every item of the list that is not above, one by one."""
    item = 1 + r
    for other in met:
        item += other <= item
    return item


def from_lists(seen, n, uniform, *, unmet):
    """Drawn from lists of unmet items, each of them for an equal share."""
    rows = [(sorted(unmet({*row}, n)), numbers) for row, numbers in zip(seen.tolist(), uniform.tolist(), strict=True)]
    return torch.tensor([[items[int(x * len(items))] for x in numbers] for items, numbers in rows])


def _counts(seen, n):
    return torch.stack([torch.tensor([item not in row for item in range(1, n + 1)]).cumsum(0) for row in seen.tolist()])


MET = {
    "met_items_too": ("items that the user met are drawn too", lambda s, n: [[]] * len(s)),
    "all_but_the_target": ("only the last item is left out, not all of the history", lambda s, n: met(s[:, -1:])),
    "met_by_anybody": ("what anybody of them met is left out for all", lambda s, n: met(s.reshape(1, -1)) * len(s)),
    "never_item_n": ("the last item, n, is never drawn", lambda s, n: [sorted({*items, n}) for items in met(s)]),
    "unsorted": ("the history is taken to be sorted: sort it, or mark it", _as_they_come),
    "repeats_compared": ("repeats stand in the comparison with met - 1 - i: take each item once", _with_repeats),
    "up_to_zero": ("what comes after the first 0 is left out", lambda s, n: met(s * (s != 0).long().cumprod(1))),
    "after_the_last_zero": (
        "what comes before the last 0 is not looked at",
        lambda s, n: met(s * (s != 0).long().flip(1).cumprod(1).flip(1)),
    ),
    "cut_from_the_right": (
        "cut to as many ids from the right as are not 0: padding may stand there or in between. Mask it",
        lambda s, n: [sorted({*row[row.count(0) :]} - {0}) for row in s.tolist()],
    ),
    "cut_from_the_left": (
        "cut to as many ids from the left as are not 0: padding may stand there or in between. Mask it",
        lambda s, n: [sorted({*row[: len(row) - row.count(0)]} - {0}) for row in s.tolist()],
    ),
}
COUNT = {
    "padding_counted": ("padding takes an item away: count without zeros", lambda met, row, n: n - len({*row})),
    "width_counted": ("n less the width of the history, padding and repeats with it", lambda met, row, n: n - len(row)),
    "repeats_counted": (
        "an item that was met twice is taken away twice",
        lambda met, row, n: n - sum(item > 0 for item in row),
    ),
}
RANK = {
    "modulo": ("⌊uniform · n⌋ modulo the count: the first ranks are drawn more often", lambda x, c, n: int(x * n) % c),
    "rounded": ("rounded to the nearest rank: both ends have half a share", lambda x, c, n: round(x * (c - 1))),
    "last_rank_missing": ("times count - 1: the last unmet item is never drawn", lambda x, c, n: int(x * (c - 1))),
    "rounded_up": ("rounded up: 0 has rank -1 then. Round down", lambda x, c, n: int(np.ceil(x * c)) - 1),
    "rounded_up_and_mended": (
        "ceil(…) - 1, with 0 mended: at the border of two shares the second begins, and the first is drawn. Round down",
        lambda x, c, n: max(0, int(np.ceil(x * c)) - 1),
    ),
    "rounded_up_to_an_index": (
        "ceil(…) - 1 is -1 for 0, which indexes the last unmet item, and a border gets the one before. Round down",
        lambda x, c, n: (int(np.ceil(x * c)) - 1) % c,
    ),
    "descending": ("counted from the largest unmet item, not from the smallest", lambda x, c, n: c - 1 - int(x * c)),
}
PICK = {
    "the_rank": ("a rank among the unmet items came back, not the item of that rank", lambda r, met, n: r + 1),
    "pushed_once": (
        "pushed up once, past the met items up to the rank: that may land on another met item. Compare met - 1 - i",
        lambda r, met, n: 1 + r + sum(item <= r + 1 for item in met),
    ),
    "strictly_below": (
        "pushed past one met item too few: an item with exactly r unmet ones below it stands before rank r (<=, not <)",
        lambda r, met, n: 1 + r + sum(item - 1 - i < r for i, item in enumerate(met)),
    ),
}
DRAWS = {
    "counted_from_0": ("items are counted from 0: their ids run from 1 to n", lambda x, seen: x - 1),
    "sorted_draws": ("the draws of a user are sorted, not in the order of uniform", lambda x, seen: x.sort(1).values),
    "nothing_without_history": (
        "a user without history gets 0, which is no item",
        lambda x, seen: x * (seen > 0).any(1, keepdim=True),
    ),
    "floating": ("items as floating numbers: they are indices, int64", lambda x, seen: x.double()),
    "in_int32": ("items in int32: int64 is asked", lambda x, seen: x.int()),
    "transposed": ("the draws came back as (k u): it is (u k)", lambda x, seen: x.mT),
}
UNMET = {
    "range_of_n": ("range(n) holds 0, which is padding, and not n: range(1, n + 1)", lambda met, n: {*range(n)} - met),
    "with_0": ("0 is drawn for a user without padding: ids run from 1 to n", lambda met, n: {*range(n + 1)} - met),
    "one_too_many": ("n + 1 is drawn, which does not exist", lambda met, n: {*range(1, n + 2)} - met),
    "seen_from_0": (
        "met items are taken for places counted from 0: what is left out is the item after each",
        lambda met, n: {place + 1 for place in range(n) if place not in met},
    ),
}
FROM_LISTS = mistakes_of(from_lists, unmet=UNMET)
OF_PARTS = mistakes_of(answer, met=MET, count=COUNT, rank=RANK, pick=PICK, draws=DRAWS)

repeats_stepped_over = but(
    answer,
    "an item that was met twice is stepped over twice, and taken away twice: take each once, by set or unique",
    met=_with_repeats,
    pick=_stepped,
)


@wrong("only items that somebody in the batch met are drawn: the rest of the catalogue would never be a negative")
def met_by_others(seen, n, uniform):
    pool = sorted(set(seen.flatten().tolist()) - {0}) or [*range(1, n + 1)]
    return from_lists(seen, n, uniform, unmet=lambda met, n: {*pool} - met or pool)


@wrong("the same numbers for every user: row u of uniform belongs to user u")
def same_for_all(seen, n, uniform):
    return answer(seen, n, uniform[:1].expand(len(seen), -1))


@wrong("one draw a user, k times over: each number of uniform is a draw")
def one_draw(seen, n, uniform):
    return answer(seen, n, uniform[:, :1].expand(uniform.shape))


@wrong("a met item is replaced by the next unmet one: behind a run of met items that one is drawn too often")
def next_unmet(seen, n, uniform):
    def probe(item, row):
        while item in row:
            item = item % n + 1
        return item

    answer(seen, n, uniform)  # refuses a user who has met everything
    ids = (1 + (uniform.double() * n).long()).tolist()
    return torch.tensor([[probe(item, row) for item in of] for of, row in zip(ids, seen.tolist(), strict=True)])


@wrong("a met item is drawn anew until it is none, from a generator of your own: one number is one draw, from uniform")
def redrawn(seen, n, uniform):
    answer(seen, n, uniform)  # refuses a user who has met everything
    rng, ids = np.random.RandomState(0), 1 + (uniform.double() * n).long()
    for row, items in zip(ids, met(seen), strict=True):
        for place in range(len(row)):
            while int(row[place]) in items:
                row[place] = rng.randint(1, n + 1)
    return ids


@wrong(
    "uniform is not used: the caller draws the numbers, so that the same ones give the same items. Draw none yourself"
)
def numbers_of_its_own(seen, n, uniform):
    return answer(seen, n, torch.from_numpy(np.random.RandomState(0).rand(*uniform.shape)))


@wrong("an item that was drawn is not drawn again: draws are independent here, with replacement")
def without_replacement(seen, n, uniform):
    rows = []
    for items, numbers in zip(met(seen), uniform.tolist(), strict=True):
        row: list[int] = []
        for x in numbers:
            gone = sorted({*items, *row})
            gone = items if len(gone) == n else gone
            row.append(item_of_rank(int(x * (n - len(gone))), gone, n))
        rows.append(row)
    return torch.tensor(rows)


@wrong("an item that was drawn leaves the list, until it is empty: draws are independent here, with replacement")
def popped(seen, n, uniform):
    def drawn(unmet, numbers):
        left: list[int] = []
        for x in numbers:
            left = left or [*unmet]
            yield left.pop(int(x * len(left)))

    answer(seen, n, uniform)  # refuses a user who has met everything
    unmet = [[item for item in range(1, n + 1) if item not in row] for row in seen.tolist()]
    return torch.tensor([[*drawn(*one)] for one in zip(unmet, uniform.tolist(), strict=True)])


@wrong("a user who has met everything gets item 0, which is none: raise the ValueError that the docstring promises")
def item_0_where_nothing_is_left(seen, n, uniform):
    nothing_left = torch.tensor([len(items) == n for items in met(seen)])[:, None]
    return answer(seen * ~nothing_left, n, uniform) * ~nothing_left


@wrong("cumulative counts reach r one item before rank r, which is counted from 0: search for r + 1, or side='right'")
def counts_searched_for_r(seen, n, uniform):
    counts = _counts(seen, n)
    return 1 + torch.searchsorted(counts, (uniform.double() * counts[:, -1:]).long().contiguous())


@wrong("side='left' in cumulative chances: 0 and the border of two shares get the item before. Search on the right")
def chances_searched_on_the_left(seen, n, uniform):
    counts = _counts(seen, n)
    return 1 + torch.searchsorted(counts / counts[:, -1:].double(), uniform.double().contiguous())


@wrong("computed in float32: a number just below 1 becomes 1, and an item that does not exist. Multiply in float64")
def in_float32(seen, n, uniform):
    return answer(seen, n, uniform.float(), rank=_float32_rank)


@wrong("computed in float32, and cut at the last rank: just below a border it is rounded up. Multiply in float64")
def in_float32_and_cut(seen, n, uniform):
    return answer(seen, n, uniform.float(), rank=lambda x, count, n: min(_float32_rank(x, count, n), count - 1))


@wrong(
    "computed in the dtype of uniform: in float32 the product may be rounded up to the next rank. Multiply in float64"
)
def in_the_dtype_that_came(seen, n, uniform):
    return in_float32(seen, n, uniform) if uniform.dtype == torch.float32 else answer(seen, n, uniform)


def _float32_rank(x, count, n):
    return int(np.float32(x) * np.float32(count))


@right
def by_searching(seen, n, uniform):
    rows = []
    for items, numbers in zip(met(seen), uniform.double(), strict=True):
        if len(items) == n:
            raise ValueError("seen must leave an item to draw")
        below = torch.tensor(items, dtype=torch.int64) - 1 - torch.arange(len(items))
        rank = (numbers * (n - len(items))).long()
        rows.append(1 + rank + torch.searchsorted(below, rank, right=True))
    return torch.stack(rows)


@right
def from_a_list(seen, n, uniform):
    if any(len(items) == n for items in met(seen)):
        raise ValueError("seen must leave an item to draw")
    return expected(seen, n, uniform)


@right
def broadcast(seen, n, uniform):
    ids = seen.sort(1).values
    fresh = torch.cat([ids[:, :1] > 0, ids[:, 1:] > ids[:, :-1]], 1)
    count = n - fresh.sum(1, keepdim=True)
    if (count == 0).any():
        raise ValueError("seen must leave an item to draw")
    rank = (uniform.double() * count).long()
    below = torch.where(fresh, ids - fresh.cumsum(1), n)
    return 1 + rank + (below[:, None, :] <= rank[:, :, None]).sum(-1)
