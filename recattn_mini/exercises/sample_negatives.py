"""Spec of sample_negatives: random numbers become items that the user has not met, each as probable as the other."""

import numpy as np
import torch

from recattn_mini.data.sample_negatives import sample_negatives, sample_negatives_numpy
from recattn_mini.exercises.spec import Named, float64, right, same, teaching, wrong

LEVEL, MINUTES = "hard", 20
DIFFERENTIABLE = False
HINTS = (
    "How many items has the user not met? A number in [0, 1) times that count, rounded down, is a rank among them.",
    "User by user: unmet = np.setdiff1d(np.arange(1, n + 1), seen[user]) is sorted, without padding or repeats; the "
    "draws are unmet[rank]. That is right. It costs a list of the whole catalogue for each user: can you do without?",
    "Without: sort the met items, no padding, each once. Below met[i], i from 0, stand met[i] - 1 - i unmet ones. "
    "item = 1 + r + the number of i with met[i] - 1 - i <= r: compare (u 1 s) with (u k 1) and sum over s, padding and "
    "repeats at a value above every rank.",
)
FORBIDDEN = ()


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
        "views": (apart.T[1:, ::2], 13, draws.T[:3, 1::2]),
        "one left": (torch.tensor([[2, 1, 4]]), 4, float64([[0.01, 0.6, 0.99]])),
    }


def expected(seen, n, uniform):
    """By list of the unmet items; where that is long, by stepping over the met ones."""
    rows = []
    for row, numbers in zip(seen.tolist(), uniform.tolist(), strict=True):
        met = sorted(set(row) - {0})
        count = n - len(met)
        items = []
        for number in numbers:
            item = 1 + int(number * count)
            for other in met:
                item += other <= item
            items.append(item)
        rows.append(items)
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


def _met(seen):
    return [sorted(set(row) - {0}) for row in seen.tolist()]


def _by_rank(met, n, uniform, rank=lambda number, count: int(number * count)):
    """The unmet item of each rank, for lists of met items."""
    rows = []
    for items, numbers in zip(met, uniform.tolist(), strict=True):
        ranks = torch.tensor([rank(number, n - len(items)) for number in numbers])
        below = torch.tensor(items, dtype=torch.int64) - 1 - torch.arange(len(items))
        rows.append(1 + ranks + (below <= ranks[:, None]).sum(1))
    return torch.stack(rows)


@wrong("items that the user met are drawn too: what was liked would be trained as a negative")
def met_items_too(seen, n, uniform):
    return _by_rank([[]] * len(seen), n, uniform)


@wrong("only the last item is left out: everything in the history is met, not the target alone")
def all_but_the_target(seen, n, uniform):
    return _by_rank(_met(seen[:, -1:]), n, uniform)


@wrong("what anybody in the batch met is left out for all: each user has their own unmet items")
def met_by_anybody(seen, n, uniform):
    return _by_rank(_met(seen.reshape(1, -1)) * len(seen), n, uniform)


@wrong("the same numbers for every user: row u of uniform belongs to user u")
def same_for_all(seen, n, uniform):
    return _by_rank(_met(seen), n, uniform[:1].expand(len(seen), -1))


@wrong("the last item, n, is never drawn: ids run from 1 to n, randint and range stop before their end")
def never_item_n(seen, n, uniform):
    return _by_rank([sorted({*items, n}) for items in _met(seen)], n, uniform)


@wrong("item 0 is drawn, which is padding, and one item less at the other end: ids run from 1 to n")
def padding_is_drawn(seen, n, uniform):
    return _by_rank([[item + 1 for item in items if item < n] for items in _met(seen)], n, uniform) - 1


@wrong("range(n) holds 0, which is padding, and not n: ids run from 1 to n, range(1, n + 1)")
def range_of_n(seen, n, uniform):
    return _from([[item for item in range(n) if item not in row] for row in seen.tolist()], uniform)


@wrong("a rank among the unmet items came back, not the item of that rank: met ones before it push it up")
def the_rank(seen, n, uniform):
    return torch.stack([(row * (n - len(met))).long() + 1 for row, met in zip(uniform, _met(seen), strict=True)])


@wrong("a met item is replaced by the next unmet one: behind a run of met items that one is drawn too often")
def next_unmet(seen, n, uniform):
    def probe(item, met):
        while item in met:
            item = item % n + 1
        return item

    ids = met_items_too(seen, n, uniform).tolist()
    return torch.tensor([[probe(i, m) for i in row] for row, m in zip(ids, _met(seen), strict=True)])


@wrong("a whole number from 0 to n - 1, modulo the number of unmet items: the first ranks are drawn twice as often")
def modulo(seen, n, uniform):
    return _by_rank(_met(seen), n, uniform, lambda number, count: int(number * n) % count)


@wrong("rounded to the nearest rank: the first and the last have half the chance of the others. Round down")
def rounded(seen, n, uniform):
    return _by_rank(_met(seen), n, uniform, lambda number, count: round(number * (count - 1)))


@wrong("numbers are stretched over one rank too few: the last unmet item is never drawn. The count, not count - 1")
def last_rank_missing(seen, n, uniform):
    return _by_rank(_met(seen), n, uniform, lambda number, count: int(number * (count - 1)))


@wrong("rounded up: 0 has rank 0 then, which is no item. Round down, and count ranks from 0")
def rounded_up(seen, n, uniform):
    return _by_rank(_met(seen), n, uniform, lambda number, count: int(np.ceil(number * count)) - 1)


@wrong("ceil(…) - 1 is -1 for 0, which indexes the last unmet item, and a border gets the one before. Round down")
def rounded_up_to_an_index(seen, n, uniform):
    unmet = [[item for item in range(1, n + 1) if item not in row] for row in seen.tolist()]
    rows = zip(unmet, uniform.tolist(), strict=True)
    return torch.tensor([[items[int(np.ceil(x * len(items))) - 1] for x in numbers] for items, numbers in rows])


@wrong("ceil(…) - 1, with 0 mended: at the border of two shares the second begins, and the first is drawn. Round down")
def rounded_up_and_mended(seen, n, uniform):
    return _by_rank(_met(seen), n, uniform, lambda number, count: max(0, int(np.ceil(number * count)) - 1))


@wrong("a met item is drawn anew until it is none, from a generator of your own: one number is one draw, from uniform")
def redrawn(seen, n, uniform):
    rng, ids = np.random.RandomState(0), met_items_too(seen, n, uniform)
    for row, met in zip(ids, _met(seen), strict=True):
        for place in range(len(row)):
            while int(row[place]) in met:
                row[place] = rng.randint(1, n + 1)
    return ids


@wrong(
    "uniform is not used: the caller draws the numbers, so that the same ones give the same items. Draw none yourself"
)
def numbers_of_its_own(seen, n, uniform):
    return _by_rank(_met(seen), n, torch.from_numpy(np.random.RandomState(0).rand(*uniform.shape)))


@wrong("counted from the largest unmet item: uniform as well, but ascending order is asked, so that it can be compared")
def descending(seen, n, uniform):
    return _by_rank(_met(seen), n, uniform, lambda number, count: count - 1 - int(number * count))


@wrong("pushed up once, past the met items up to the rank: that may land on another met item. Compare met - 1 - i")
def pushed_once(seen, n, uniform):
    ranks = the_rank(seen, n, uniform)
    return torch.stack([r + sum(r >= item for item in met) for r, met in zip(ranks, _met(seen), strict=True)])


@wrong("pushed past one met item too few: an item with exactly r unmet ones below it stands before rank r (<=, not <)")
def strictly_below(seen, n, uniform):
    ranks = the_rank(seen, n, uniform) - 1
    below = [torch.tensor(met, dtype=torch.int64) - 1 - torch.arange(len(met)) for met in _met(seen)]
    return torch.stack([1 + r + (b < r[:, None]).sum(1) for r, b in zip(ranks, below, strict=True)])


@wrong("cumulative counts reach r one item before rank r, which is counted from 0: search for r + 1, or side='right'")
def counts_searched_for_r(seen, n, uniform):
    counts = torch.stack([torch.tensor([item not in met for item in range(1, n + 1)]).cumsum(0) for met in _met(seen)])
    rank = (uniform * counts[:, -1:]).long()
    return 1 + torch.searchsorted(counts, rank.contiguous())


@wrong("side='left' in cumulative chances: 0 and the border of two shares get the item before. Search on the right")
def chances_searched_on_the_left(seen, n, uniform):
    counts = torch.stack([torch.tensor([item not in met for item in range(1, n + 1)]).cumsum(0) for met in _met(seen)])
    return 1 + torch.searchsorted(counts / counts[:, -1:].double(), uniform.contiguous())


@wrong("met items are stepped over in the order of the history: one above may come before one below. Sort them")
def stepped_over_unsorted(seen, n, uniform):
    return _stepping([[*dict.fromkeys(item for item in row if item)] for row in seen.tolist()], n, uniform)


def _stepping(met, n, uniform):
    """Past every item of the list that is not above, one by one."""
    rows = []
    for items, numbers in zip(met, uniform.tolist(), strict=True):
        row = [1 + int(number * (n - len(items))) for number in numbers]
        for other in items:
            row = [item + (other <= item) for item in row]
        rows.append(row)
    return torch.tensor(rows)


@wrong("the history is taken to be sorted: sort it, or mark it")
def unsorted(seen, n, uniform):
    return _by_rank([[*dict.fromkeys(item for item in row if item)] for row in seen.tolist()], n, uniform)


@wrong("padding takes items away: the number of unmet items is n less the items that were met, without zeros")
def padding_counted(seen, n, uniform):
    return _counted(seen, n, uniform, [n - len({*row}) for row in seen.tolist()])


@wrong("n less the width of the history: padding and repeats are no more items that were met")
def width_counted(seen, n, uniform):
    return _counted(seen, n, uniform, [n - seen.shape[1]] * len(seen))


@wrong("an item that was met twice is taken away twice: count each once")
def repeats_counted(seen, n, uniform):
    return _counted(seen, n, uniform, [n - sum(item > 0 for item in row) for row in seen.tolist()])


@wrong("an item that was met twice is stepped over twice, and taken away twice: take each once, by set or unique")
def repeats_stepped_over(seen, n, uniform):
    return _stepping([sorted(item for item in row if item) for row in seen.tolist()], n, uniform)


@wrong("repeats stand in the comparison: met - 1 - i falls there, and a met item may be drawn. Take each once")
def repeats_compared(seen, n, uniform):
    return _by_rank([sorted(item for item in row if item) for row in seen.tolist()], n, uniform)


def _counted(seen, n, uniform, counts):
    """Right, had the user so many unmet items."""
    ranks = [[int(x * c) for x in row] for row, c in zip(uniform.tolist(), counts, strict=True)]
    shares = [[(r + 0.5) / (n - len(met)) for r in row] for row, met in zip(ranks, _met(seen), strict=True)]
    return _by_rank(_met(seen), n, float64(shares))


@wrong("what comes after the first 0 is not looked at: padding may stand on the left")
def up_to_the_first_zero(seen, n, uniform):
    return _by_rank(_met(seen * (seen != 0).long().cumprod(1)), n, uniform)


@wrong("what comes before the last 0 is not looked at: padding may stand on the right")
def after_the_last_zero(seen, n, uniform):
    return _by_rank(_met(seen * (seen != 0).long().flip(1).cumprod(1).flip(1)), n, uniform)


@wrong("cut to as many ids from the right as are not 0: padding may stand there or in between. Mask it")
def cut_from_the_right(seen, n, uniform):
    return _by_rank([sorted({*row[row.count(0) :]} - {0}) for row in seen.tolist()], n, uniform)


@wrong("cut to as many ids from the left as are not 0: padding may stand there or in between. Mask it")
def cut_from_the_left(seen, n, uniform):
    return _by_rank([sorted({*row[: len(row) - row.count(0)]} - {0}) for row in seen.tolist()], n, uniform)


def _from(unmet, uniform):
    """Of lists of unmet items, each its equal share."""
    rows = zip(unmet, uniform.tolist(), strict=True)
    return torch.tensor([[items[int(number * len(items))] for number in numbers] for items, numbers in rows])


@wrong("item 0 is left among the unmet ones of a user whose history has no padding: ids run from 1 to n")
def zero_is_unmet(seen, n, uniform):
    return _from([[item for item in range(n + 1) if item not in row] for row in seen.tolist()], uniform)


@wrong("only items that somebody in the batch met are drawn: the rest of the catalogue would never be a negative")
def met_by_others(seen, n, uniform):
    pool = sorted(set(seen.flatten().tolist()) - {0}) or [*range(1, n + 1)]
    unmet = [[item for item in pool if item not in met] or pool for met in _met(seen)]
    return _from(unmet, uniform)


@wrong("an item that was drawn is not drawn again: draws are independent here, with replacement")
def without_replacement(seen, n, uniform):
    rows = []
    for met, numbers in zip(_met(seen), uniform.tolist(), strict=True):
        row, gone = [], list(met)
        for number in numbers:
            gone = list(met) if len(gone) == n else gone
            row.append(int(_by_rank([gone], n, float64([[number]]))))
            gone = sorted([*gone, row[-1]])
        rows.append(row)
    return torch.tensor(rows)


@wrong("the draws of a user are sorted: the j-th belongs to the j-th number, or the first is always the smallest id")
def sorted_draws(seen, n, uniform):
    return _by_rank(_met(seen), n, uniform).sort(1).values


@wrong("computed in float32: a number just below 1 becomes 1, and an item that does not exist. Multiply in float64")
def in_float32(seen, n, uniform):
    return _by_rank(_met(seen), n, uniform.float(), lambda number, count: int(np.float32(number) * np.float32(count)))


@wrong("a user without history gets padding, 0: every item is unmet there")
def nothing_without_history(seen, n, uniform):
    return _by_rank(_met(seen), n, uniform) * (seen > 0).any(1, keepdim=True)


@wrong("axes of size 1 are squeezed away: one user has a row as well")
def squeezed(seen, n, uniform):
    return _by_rank(_met(seen), n, uniform).squeeze()


@wrong("items as floating numbers: they are indices, int64")
def floating(seen, n, uniform):
    return _by_rank(_met(seen), n, uniform).double()


@right
def by_searching(seen, n, uniform):
    rows = []
    for met, numbers in zip(_met(seen), uniform, strict=True):
        rank = (numbers * (n - len(met))).long()
        below = torch.tensor(met, dtype=torch.int64) - 1 - torch.arange(len(met))
        rows.append(1 + rank + torch.searchsorted(below, rank, right=True))
    return torch.stack(rows)


@right
def stepping_over_the_met(seen, n, uniform):
    return expected(seen, n, uniform)


@right
def broadcast(seen, n, uniform):
    met = seen.sort(1).values
    fresh = torch.cat([met[:, :1] > 0, met[:, 1:] > met[:, :-1]], 1)
    count = n - fresh.sum(1, keepdim=True)
    rank = (uniform * count).long()
    below = torch.where(fresh, met - fresh.cumsum(1), n)
    return 1 + rank + (below[:, None, :] <= rank[:, :, None]).sum(-1)
