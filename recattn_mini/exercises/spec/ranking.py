"""What the specs of ranking metrics share: users of every kind, and the mistakes that any such metric can have.

A mistake is the metric of another list, of other items that count as relevant or of another cutoff, or something done
to its figures: `mistakes_of_ranking(recall)`. Where a metric is what was gained by what was possible, there are those
of dividing as well: `mistakes_of_dividing(hits, relevant)`.
"""

import functools
from collections.abc import Callable, Iterable

import numpy as np
import torch
from torch import Tensor

from recattn_mini.exercises.spec import drawn_once, wrong


def lists(users: int, places: int, judged: int, grades: int, seed: int) -> tuple[Tensor, Tensor]:
    """Random gains (users places) and all that was to be gained (users judged); some of it was never ranked."""
    rng = np.random.RandomState(seed)
    gains = rng.randint(1, grades + 1, (users, places)) * (rng.rand(users, places) < 0.4)
    missed = rng.randint(1, grades + 1, (users, judged - places)) * (rng.rand(users, judged - places) < 0.5)
    missed[:, 0] = 1  # nobody has nothing to find, but where a case says so
    truth = np.take_along_axis(every := np.hstack([gains, missed]), rng.rand(*every.shape).argsort(axis=1), axis=1)
    return torch.from_numpy(gains).double(), torch.from_numpy(truth).double()


@drawn_once
def users_of_every_kind() -> dict[str, tuple]:
    """Gains, judged, k."""
    gains, judged = lists(5, 7, 11, grades=1, seed=0)
    graded, of_graded = lists(5, 9, 11, grades=3, seed=1)
    graded[0] = torch.eye(9)[3]  # all that this user gains is the lowest grade
    nothing, of_nobody = lists(3, 5, 6, grades=1, seed=2)
    nothing[1], of_nobody[1] = 0, 0
    missed, all_missed = lists(3, 5, 8, grades=1, seed=3)
    missed[0], all_missed[0] = 0, torch.tensor([0, 0, 1, 1, 0, 0, 0, 0])
    view, of_view = lists(4, 6, 9, grades=1, seed=4)
    square, of_square = lists(4, 3, 4, grades=1, seed=6)
    return {
        "lists": (gains, judged, 3),
        "the first place": (gains, judged, 1),
        "the whole list": (gains, judged, 7),
        "a list that ends before k": (*lists(2, 3, 17, grades=1, seed=5), 17),
        "grades": (graded / 2, of_graded / 2, 9),  # 0.5 is above 0 too
        "nothing relevant": (nothing, of_nobody, 5),
        "no hit": (missed, all_missed, 5),
        "views": (view.mT.contiguous().mT, of_view.mT.contiguous().mT, 4),
        "one hit each": (torch.eye(6, 8).double(), torch.eye(6, 10).double(), 3),
        "whole numbers": (graded.long(), of_graded.long(), 9),
        "all sizes equal": (torch.nn.functional.pad(square, (0, 1)), of_square, 4),
        "one": (torch.tensor([[0.0, 1.0]]).double(), torch.tensor([[1.0, 0.0, 1.0]]).double(), 2),
    }


def per_user(of_one: Callable, gains: Tensor, judged: Tensor, k: int) -> Tensor:
    """`of_one(gains, judged, k)` on plain lists of numbers, user by user; NaN where nothing is relevant."""
    values = [
        of_one(g, j, k) if any(x > 0 for x in j) else np.nan
        for g, j in zip(gains.tolist(), judged.tolist(), strict=True)
    ]
    return torch.tensor(values, dtype=torch.float64)


def hits_in(gains: Tensor, k: int) -> Tensor:
    """How many of each user's first k places are worth something."""
    return (gains[:, :k] > 0).sum(1).double()


def relevant_of(judged: Tensor, k: int = 0) -> Tensor:
    """R, the number of each user's relevant items, whatever k is."""
    return (judged > 0).sum(1).double()


def share(gained: Tensor, possible: Tensor) -> Tensor:
    """What was gained by what was possible; NaN where nothing was."""
    return gained / torch.where(possible == 0, torch.nan, possible)


def where_relevant(judged: Tensor, figures: Tensor) -> Tensor:
    """The figures, NaN where nothing is relevant."""
    return torch.where((judged > 0).any(1), figures.double(), torch.nan)


def ranks_of(places: Tensor) -> Tensor:
    """1, 2, … as far as the list goes."""
    return torch.arange(1, places.shape[1] + 1, dtype=torch.float64)


def mistakes_of_ranking(metric: Callable, without: Iterable[str] = ()) -> list[Callable]:
    """Every mistake that any ranking metric can have, but those that cannot be told in this one."""
    return [_applied(bad, metric) for bad in RANKING if bad.__name__ not in without]


def mistakes_of_dividing(gained: Callable, possible: Callable, without: Iterable[str] = ()) -> list[Callable]:
    """Every mistake of dividing `gained(gains, k)` by `possible(judged, k)`, but those that cannot be told there."""
    return [_applied(bad, gained, possible) for bad in DIVIDING if bad.__name__ not in without]


def _applied(bad: Callable, *parts: Callable) -> Callable:
    return functools.update_wrapper(functools.partial(bad, *parts), bad)


@wrong("no cutoff: what stands below place k does not count")
def no_cutoff(metric, gains, judged, k):
    return metric(gains, judged, gains.shape[1] + judged.shape[1])


@wrong("k - 1 places: a slice up to k holds k")
def one_place_short(metric, gains, judged, k):
    above = torch.arange(gains.shape[1]) < k - 1
    return metric(gains * above, judged, k)


@wrong("k + 1 places: a slice up to k holds k")
def one_place_more(metric, gains, judged, k):
    return metric(gains, judged, k + 1)


@wrong("only the first place is looked at, not the first k")
def first_place(metric, gains, judged, k):
    return metric(gains, judged, 1)


@wrong("k places are taken for granted: a list may end before k")
def k_places_for_granted(metric, gains, judged, k):
    if k > gains.shape[1]:
        raise IndexError("the list has ended")
    return metric(gains, judged, k)


@wrong("the list is read from its end: its best place comes first")
def from_the_end(metric, gains, judged, k):
    return metric(gains.flip(1), judged, k)


@wrong("the list is sorted by gain first, and every order is as good as the best: take the list as it is")
def sorted_first(metric, gains, judged, k):
    return metric(gains.sort(1, descending=True).values, judged, k)


@wrong("gains and judged have changed places: gains is the list, judged is all that could be gained")
def changed_places(metric, gains, judged, k):
    return metric(judged, gains, k)


@wrong("judged is cut at place k: it is no ranked list, so all of it counts")
def judged_cut(metric, gains, judged, k):
    return metric(gains, judged[:, :k], k)


@wrong("only the first of judged is asked whether there is something to find: it stands in any order, so ask all")
def first_judged(metric, gains, judged, k):
    return torch.where(judged[:, 0] > 0, metric(gains, judged, k), torch.nan)


@wrong("the wrong axis: each row is a user, so go along axis 1")
def along_users(metric, gains, judged, k):
    return metric(gains.mT, judged.mT, k)


@wrong("only grade 1 counts as relevant (== 1): anything above 0 does")
def grade_one_only(metric, gains, judged, k):
    return metric(gains == 1, judged == 1, k)


@wrong("a hit is a gain of exactly 1 (== 1), while all of judged counts: anything above 0 is a hit")
def hits_of_grade_one(metric, gains, judged, k):
    return metric(gains == 1, judged, k)


@wrong("only gains from 1 count as relevant: anything above 0 does, 0.5 too")
def from_one_up(metric, gains, judged, k):
    return metric(gains >= 1, judged >= 1, k)


@wrong("only gains above 1 count as relevant: anything above 0 does")
def above_one(metric, gains, judged, k):
    return metric(gains > 1, judged > 1, k)


@wrong("everything counts as relevant (>= 0): a gain of 0 does not")
def everything_relevant(metric, gains, judged, k):
    return metric(gains >= 0, judged >= 0, k)


@wrong("a user with nothing relevant gets 0, which lowers the mean: there was nothing to find, which is NaN")
def zero_where_nothing(metric, gains, judged, k):
    return metric(gains, judged, k).nan_to_num(0)


@wrong("a user with nothing relevant gets 1, as for a perfect list: there was nothing to find, which is NaN")
def one_where_nothing(metric, gains, judged, k):
    return metric(gains, judged, k).nan_to_num(1)


@wrong("users with nothing relevant are left out, and the others move up: keep their place, with NaN")
def users_left_out(metric, gains, judged, k):
    figures = metric(gains, judged, k)
    return figures[~figures.isnan()]


@wrong("one number for all users: a figure for each is asked, the mean is taken later")
def one_number(metric, gains, judged, k):
    return metric(gains, judged, k).nanmean()


@wrong("every user gets the mean over users: each has a figure of their own")
def mean_for_each(metric, gains, judged, k):
    figures = metric(gains, judged, k)
    return figures.nanmean() + 0 * figures


@wrong("1 minus the metric: a perfect list has 1")
def one_minus(metric, gains, judged, k):
    return 1 - metric(gains, judged, k)


RANKING = [f for f in list(vars().values()) if hasattr(f, "hint")]


@wrong("pooled over users (micro), said of each user: every user has a figure of their own")
def micro(gained, possible, gains, judged, k):
    of_all = possible(judged, k)
    return torch.where(of_all == 0, torch.nan, gained(gains, k).sum() / of_all.sum())


@wrong("pooled over users (micro), one number for all: every user has a figure of their own")
def micro_for_all(gained, possible, gains, judged, k):
    return gained(gains, k).sum() / possible(judged, k).sum()


@wrong("a small constant in the divisor: every figure is a little too low, and NaN has become 0")
def epsilon(gained, possible, gains, judged, k):
    return gained(gains, k) / (possible(judged, k) + 1e-8)


@wrong("not divided: this is what was gained, divide it by what was possible")
def not_divided(gained, possible, gains, judged, k):
    return where_relevant(judged, gained(gains, k))


@wrong("judged is cut at place k, and where nothing is left that is x / 0: it is no ranked list, so all of it counts")
def judged_cut_and_infinite(gained, possible, gains, judged, k):
    return gained(gains, k) / possible(judged[:, :k], k)


@wrong("divided by what the list holds, where what was never ranked is missing: take the divisor from judged")
def by_what_is_listed(gained, possible, gains, judged, k):
    return where_relevant(judged, share(gained(gains, k), possible(gains, k)).nan_to_num(0))


@wrong("divided by what the list holds, and a list without a hit has 0 / 0: take the divisor from judged")
def by_what_is_listed_and_nan(gained, possible, gains, judged, k):
    return share(gained(gains, k), possible(gains, k))


@wrong("divided by what the first k places hold, so that what they miss is forgiven: take the divisor from judged")
def by_what_was_found(gained, possible, gains, judged, k):
    return where_relevant(judged, share(gained(gains, k), possible(gains[:, :k], k)).nan_to_num(0))


@wrong(
    "divided by what the first k places hold, and 0 if that is nothing: take the divisor from judged, NaN where it is 0"
)
def by_what_was_found_and_zero(gained, possible, gains, judged, k):
    return share(gained(gains, k), possible(gains[:, :k], k)).nan_to_num(0)


@wrong("divided by what the first k places hold, and without a hit there that is 0 / 0: take the divisor from judged")
def by_what_was_found_and_nan(gained, possible, gains, judged, k):
    return share(gained(gains, k), possible(gains[:, :k], k))


DIVIDING = [f for f in list(vars().values()) if hasattr(f, "hint") and f not in RANKING]
