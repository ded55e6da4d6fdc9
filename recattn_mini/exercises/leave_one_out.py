"""Spec of leave_one_out: each user's last event for test, the one before for validation, ties in file order."""

import numpy as np
import torch

from recattn_mini.data.leave_one_out import leave_one_out, leave_one_out_numpy
from recattn_mini.exercises.spec import Named, drawn_once, mistakes_of, right, same, teaching, wrong

PARTS = ("train", "validation", "test")
LEVEL, MINUTES = "medium", 10
DIFFERENTIABLE = False
HINTS = (
    "Bring the events into an order in which each user's are together, oldest first. What happens to equal timestamps?",
    "A stable sort by time, then a stable sort by user (np.lexsort does both; the last key counts first). Then count "
    "each event's place from the end of its user.",
    "place = (where the user's run ends) - arange(m): 1 is test, 2 is validation. Users with fewer than three events: "
    "all train. Return order[place > 2], order[place == 2], order[place == 1].",
)
FORBIDDEN = ()


@drawn_once
def inputs() -> dict[str, tuple]:
    # users with 10, 7, 5 and 4 events, no two timestamps alike
    users = torch.from_numpy(np.random.RandomState(0).permutation(np.repeat([3, 9, 4, 12], [10, 7, 5, 4])))
    times = torch.from_numpy(np.random.RandomState(1).permutation(26)) + 100
    tied = torch.from_numpy(np.random.RandomState(2).randint(0, 4, 26)) + 100
    few = torch.tensor([2, 1, 2, 5, 1, 2, 5, 2, 8, 2])
    second_by_second = torch.tensor([893286638, 893286637, 893286640, 893286639, 893286641])
    view = torch.stack([users, times], 1)
    # one of the users has 100 events in five seconds: NumPy sorts up to 16 numbers by insertion, which is stable
    with_busy = torch.from_numpy(np.random.RandomState(3).permutation(np.repeat([6, 2, 11, 5], [100, 4, 6, 5])))
    nanoseconds = torch.tensor([9, -2, 0, -3, 1, 4, 2, 8, -1, 5, 3, 6])
    return {
        "users mixed": (users, times),
        "ties": (users, tied),
        "many ties": (with_busy, torch.from_numpy(np.random.RandomState(4).randint(0, 5, 115)) + 100),
        "fewer than three": (few, torch.tensor([5, 9, 1, 7, 4, 8, 2, 3, 6, 1])),
        "exactly three": (torch.tensor([4, 7, 4, 7, 4, 7]), torch.tensor([30, 11, 10, 12, 20, 13])),
        "second by second": (torch.ones(5, dtype=torch.int64), second_by_second),
        "large ids": (torch.tensor([1_000_000, 943]).repeat(4), 893_286_630 + torch.tensor([8, 3, 7, 4, 10, 1, 9, 2])),
        "ids of any size": (torch.tensor([2**53 + 1, 0, 2**53]).repeat(5), 1000 * times[:15] + 893_287_379),
        # in nanoseconds, from before 1970 on: what is joined to a user's id, times a constant, runs into the next user
        "nanoseconds": (
            torch.tensor([3, 1, 2]).repeat(4),
            10**17 * nanoseconds,
        ),
        "one user's last, another's first": (torch.tensor([5, 4, 5, 4, 5, 5]), torch.tensor([0, 9, 8, 7, 4, 6])),
        "views": (view[1:, 0], view[1:, 1]),
        "only one event": (torch.tensor([6]), torch.tensor([880_000_000])),
    }


def expected(users, timestamps):
    """User by user in plain Python."""
    events: dict[int, list[int]] = {}
    for event, user in enumerate(users.tolist()):
        events.setdefault(user, []).append(event)
    parts: tuple[list[int], ...] = [], [], []
    for user in sorted(events):
        of_user = sorted(events[user], key=lambda event: (timestamps[event].item(), event))
        end = len(of_user) - 2 if len(of_user) >= 3 else len(of_user)
        for part, some in zip(parts, [of_user[:end], of_user[end : end + 1], of_user[end + 1 :]], strict=True):
            part += some
    return tuple(torch.tensor(part, dtype=torch.int64) for part in parts)


def _agrees(f, *names):
    for name in names:
        same(f(*inputs()[name]), expected(*inputs()[name]), PARTS)


@teaching
def check_worked_example(f):
    "user 7's events at times 2, 5, 9, 12 are 4, 2, 0, 3: two for train, then validation, then test"
    got = f(torch.tensor([7, 3, 7, 7, 7]), torch.tensor([9, 1, 5, 12, 2]))
    same(got, (torch.tensor([1, 4, 2]), torch.tensor([0]), torch.tensor([3])), PARTS)


@teaching
def check_users_mixed(f):
    "of each user the last event is test and the one before validation; indices into the file, by user, then time"
    _agrees(f, "users mixed", "views")


def check_ties(f):
    "equal timestamps keep the order of the file, also where one user has dozens of them"
    for case in ("ties", "many ties"):
        users, timestamps = inputs()[case]
        got, want = f(users, timestamps), expected(users, timestamps)
        if _is_right_but_for_ties(got, want, users, timestamps):
            raise Named(
                "all is right but the order of equal timestamps: a sort that is not stable (np.argsort, torch.argsort "
                "are not, unless asked to be), a reversed one, or a search for the last that stops at the first"
            )
        same(got, want, PARTS)


def _is_right_but_for_ties(got, want, users, timestamps):
    """Users and times stand where they should, and some event in another's place."""
    if not isinstance(got, (tuple, list)) or [getattr(g, "shape", None) for g in got] != [w.shape for w in want]:
        return False
    got, want = torch.cat(list(got)), torch.cat(want)
    if got.dtype != want.dtype or torch.equal(got, want) or not torch.equal(got.sort().values, want.sort().values):
        return False
    return torch.equal(users[got], users[want]) and torch.equal(timestamps[got], timestamps[want])


def check_fewer_than_three(f):
    "a user with one or two events has all of them in train, apart from other users', and nobody is lost"
    _agrees(f, "fewer than three", "only one event", "one user's last, another's first")


def check_exactly_three(f):
    "three events are enough: one each"
    _agrees(f, "exactly three")


def check_second_by_second(f):
    "timestamps one second apart are not tied, whatever the id of the user"
    _agrees(f, "second by second", "large ids")


def check_times_of_any_size(f):
    "a timestamp may have any unit, and be below 0: it only orders the events of a user"
    _agrees(f, "nanoseconds")


def check_ids_of_any_size(f):
    "the id of a user may be 0, or beyond 2⁵³, where float64 ends to tell neighbours apart: it is a name"
    _agrees(f, "ids of any size")


def by_user(events, users):
    """Events in some order, brought together by user."""
    return events[users[events].argsort(stable=True)]


def by_user_then_time(users, times):
    return by_user(times.argsort(stable=True), users)


def places(order, users):
    """The place of each event, counted from the end of its user, and how many the user has."""
    of_user = users[order] == users[order][:, None]
    after = torch.ones(len(order), len(order), dtype=torch.bool).triu()
    return (of_user & after).sum(1), of_user.sum(1)


def cut(order, users, times=None, least=3, held_out=(2, 1)):
    """Train, and the events at these places from the end, of users with at least so many events."""
    place, count = places(order, users)
    held = count >= least
    return order[(place > 2) | ~held], *(order[(place == p) & held] for p in held_out)


def answer(users, timestamps, *, order=by_user_then_time, cut=cut, parts=lambda parts, users, times: parts):
    return parts(cut(order(users, timestamps), users, timestamps), users, timestamps)


def _permuted(x):
    return torch.from_numpy(np.random.RandomState(len(x)).permutation(len(x)))


def _unstable(x):
    """NumPy's default, which keeps the order of equal ones where there are few."""
    return torch.from_numpy(x.numpy().argsort())


def _within_users(users, times):
    rows = [(users == user).nonzero()[:, 0] for user in users.unique()]
    return torch.cat([row[_unstable(times[row])] for row in rows])


def _undone(order, users):
    return order[_unstable(users[order])]


def _test_at_two(order, users, times):
    place, count = places(order, users)
    test, validation = (place == 1) & (count >= 2), (place == 2) & (count >= 3)
    return order[~test & ~validation], order[validation], order[test]


def _only_train_of(kept):
    """Train is another: the events that are kept by their place and their user's count."""
    return lambda order, users, times: (order[kept(*places(order, users))], *cut(order, users)[1:])


def _in_time(p, users, times):
    by_time = times.argsort(stable=True)
    return tuple(by_time[torch.isin(by_time, x)] for x in p)


def _of_the_last_time(order, users, times):
    _, _, test = cut(order, users)
    tied = ((users[order][:, None] == users[test]) & (times[order][:, None] == times[test])).any(1)
    train, validation, _ = (torch.isin(order, part) & ~tied for part in cut(order, users))
    return order[train], order[validation], order[tied]


def _without_what_is_later(order, users, times):
    train, validation, test = cut(order, users)
    return train[times[train] < times[test].min()] if len(test) else train, validation, test


def _in_runs(order, users):
    """Cut where the user changes."""
    runs = torch.cat([torch.zeros(1, dtype=torch.int64), users[order].diff().ne(0).cumsum(0)])
    return tuple(order[part] for part in cut(torch.arange(len(order)), runs))


def _by_first(order, users):
    """The order of users in which they come first there."""
    return (users[order] == users[:, None]).int().argmax(1)


def _joined(constant):
    return lambda u, t: (u * constant + t).argsort(stable=True)


JOINED = "one key of both, user · 10^{} + time: large or negative times run into another user. Sort by two keys"
ORDER = {
    "random_events": ("random events are held out, not the last two", lambda u, t: by_user(_permuted(u), u)),
    "last_in_the_file": (
        "the last in the file, not in time: files are rarely in order. Sort each user's events by timestamp",
        lambda u, t: u.argsort(stable=True),
    ),
    "first_events": ("the first events are held out, not the last", lambda u, t: by_user_then_time(u, -t)),
    "ties_turned_round": (
        "ties are turned round: a descending or reversed sort, or <= while looking for the last. Ties keep file order",
        lambda u, t: by_user(len(t) - 1 - t.flip(0).argsort(stable=True), u),
    ),
    "two_unstable_sorts": (
        "np.argsort as it comes, first by time, then by user: it is not stable, and the second undoes the first",
        lambda u, t: _undone(_unstable(t), u),
    ),
    "unstable_within_a_user": ("each user's events by np.argsort, which mixes up ties: kind='stable'", _within_users),
    "only_the_second_sort_stable": (
        "the sort by user is stable, the sort by time before it is not: both have to be, kind='stable', or np.lexsort",
        lambda u, t: by_user(_unstable(t), u),
    ),
    "only_the_first_sort_stable": (
        "the sort by time is stable, the sort by user after it is not: it undoes the first. kind='stable' for both",
        lambda u, t: _undone(t.argsort(stable=True), u),
    ),
    "one_key": (
        "one key of both, user · max + time: the last of a user meets the next one's 0. Sort by two keys",
        lambda u, t: (u * t.max() + t).argsort(stable=True),
    ),
    "one_key_in_float64": (
        "one key of both in float64: its 53 bits do not hold an id and the seconds since 1970. Sort by two keys",
        lambda u, t: (u.double() * 1e10 + t).argsort(stable=True),
    ),
    "one_key_in_int32": (
        "one key of both in int32: a user's id times the seconds since 1970 overflows. Sort by two keys",
        lambda u, t: (u.int() * (t.max() + 1).int() + t.int()).argsort(stable=True),
    ),
    "one_key_in_int64": (
        "one key of both, user · (max + 1) + time: a large id times the seconds since 1970 overflows. Sort by two keys",
        lambda u, t: (u * (t.max() + 1) + t).argsort(stable=True),
    ),
    **{f"one_key_of_1e{n}": (JOINED.format(n), _joined(10**n)) for n in (9, 10, 12)},
    "float32_times": (
        "timestamps in float32: it has 24 bits, the seconds since 1970 need 30. Neighbours become ties; keep integers",
        lambda u, t: by_user_then_time(u, t.float()),
    ),
}
CUT = {
    "last_two_exchanged": ("test and validation are exchanged", lambda o, u, t: cut(o, u, held_out=(1, 2))),
    "nobody_exempt": (
        "everybody's last event is held out, of users with nothing to train on as well: at least three are needed",
        lambda o, u, t: cut(o, u, least=1),
    ),
    "two_are_enough": (
        "a user with two events has both held out, and nothing in train: three are needed, one for each part",
        lambda o, u, t: cut(o, u, least=2),
    ),
    "two_are_enough_for_test": (
        "of two events the last is test, with none for validation: users with fewer than three have all in train",
        _test_at_two,
    ),
    "more_than_three": (
        "a user with exactly three events keeps all of them in train: three are enough, one a part (< 3, not <= 3)",
        lambda o, u, t: cut(o, u, least=4),
    ),
    "five_are_needed": ("users with three or four events keep all in train", lambda o, u, t: cut(o, u, least=5)),
    "short_histories_lost": (
        "users with fewer than three events are lost: all they have is train",
        _only_train_of(lambda place, count: (place > 2) & (count >= 3)),
    ),
    "validation_in_train": (
        "validation is in train as well: early stopping would look at what was trained on",
        _only_train_of(lambda place, count: (place > 1) | (count < 3)),
    ),
    "test_in_train": ("test and validation are in train as well", _only_train_of(lambda place, count: place > 0)),
    "later_ones_dropped": (
        "what is later than somebody's test event is dropped from train: that is a stricter split, here all is kept",
        _without_what_is_later,
    ),
    "places_in_the_sorted_list": (
        "places in the sorted list came back: indices into the file are asked. Look them up in the order, order[...]",
        lambda o, u, t: cut(torch.arange(len(u)), u[o]),
    ),
    "all_of_the_last_time": ("all that is tied with a user's last event is test: it is one event", _of_the_last_time),
}
WHAT_COMES_BACK = {
    "by_first_appearance": (
        "users in the order in which the file first names them, as a dictionary keeps them: by user id is asked",
        lambda p, u, t: tuple(by_user(x, _by_first(torch.arange(len(u)), u)) for x in p),
    ),
    "by_first_event": (
        "users in the order of their first events in time, as a dictionary keeps them: by user id is asked",
        lambda p, u, t: tuple(by_user(x, _by_first(t.argsort(stable=True), u)) for x in p),
    ),
    "in_file_order": ("each part is in the order of the file", lambda p, u, t: tuple(x.sort().values for x in p)),
    "train_in_file_order": (
        "train is what was left over, in the order of the file: by user, then time is asked, as histories are read",
        lambda p, u, t: (p[0].sort().values, *p[1:]),
    ),
    "in_time_order": ("each part is in the order of time over all users: by user, then time is asked", _in_time),
    "newest_first": ("newest first within a user: oldest first", lambda p, u, t: (by_user(p[0].flip(0), u), *p[1:])),
    "empty_part_in_float64": (
        "an empty list has no dtype, np.array([]) is float64: indices are integers, np.array(part, dtype=np.int64)",
        lambda p, u, t: tuple(x if len(x) else x.double() for x in p),
    ),
    "empty_part_in_float32": (
        "an empty list has no dtype, and torch.tensor([]) is float32: indices are integers, dtype=torch.int64",
        lambda p, u, t: tuple(x if len(x) else x.float() for x in p),
    ),
    "in_int32": ("indices in int32: int64 is asked", lambda p, u, t: tuple(x.int() for x in p)),
    "counted_from_1": ("events are counted from 1: an index counts from 0", lambda p, u, t: tuple(x + 1 for x in p)),
    "user_ids": ("user ids of the events came back: indices are asked", lambda p, u, t: tuple(u[x] for x in p)),
    "masks": (
        "boolean masks came back: indices are asked, by user, then time",
        lambda p, u, t: tuple(torch.isin(torch.arange(len(u)), x) for x in p),
    ),
    "no_validation": (
        "both events are in test, and validation is empty: you would choose the epoch on the test set",
        lambda p, u, t: (p[0], p[1][:0], by_user(torch.stack(p[1:], 1).flatten(), u)),
    ),
    "test_first": ("test comes back first: it is train, validation, test", lambda p, u, t: p[::-1]),
}
OF_PARTS = mistakes_of(answer, order=ORDER, cut=CUT, parts=WHAT_COMES_BACK)


@wrong(
    "of events tied at the end the first was held out: the last in file order is. So it is with argmax, and with "
    "rank(ascending=False, method='first')"
)
def ties_ranked_from_the_top(users, timestamps):
    order = by_user_then_time(users, timestamps)
    _, *held_out = cut(by_user_then_time(users, -timestamps).flip(0), users)
    return order[~torch.isin(order, torch.cat(held_out))], *(part.flip(0) for part in held_out)


@wrong("one cut in time for all: the last events of the file, not of each user. That is the global split")
def global_cut(users, timestamps):
    order, held_out = timestamps.argsort(stable=True), len(users.unique())
    end = max(0, len(order) - 2 * held_out)
    return order[:end], order[end : len(order) - held_out], order[len(order) - held_out :]


@wrong("the file is taken to be sorted by user: each run of one user is split on its own. Sort by user first")
def runs_of_the_file(users, timestamps):
    runs = torch.cat([torch.zeros(1, dtype=torch.int64), users.diff().ne(0).cumsum(0)])
    return answer(runs, timestamps)


@wrong("sorted by time alone, then cut where the user changes: users take turns there. Sort by user last")
def runs_in_time(users, timestamps):
    return _in_runs(timestamps.argsort(stable=True), users)


@wrong("one key of both, user · 10⁹ + time, cut where the user changes: large or negative times run into other users")
def one_key_cut_in_runs(users, timestamps):
    return _in_runs((users * 10**9 + timestamps).argsort(stable=True), users)


@wrong("np.lexsort((users, timestamps)) sorts by time, then user: the last key counts first, so it has to be users")
def keys_swapped(users, timestamps):
    return _in_runs(by_user_then_time(timestamps, users), users)


@wrong("each user's number of events is cut off an order by time: the next so many are anybody's. Sort by user last")
def counted_off_in_time(users, timestamps):
    order = by_user_then_time(timestamps, users)
    return tuple(order[part] for part in cut(torch.arange(len(users)), users.sort().values))


@wrong("user ids in float64, which ends to tell whole numbers apart at 2⁵³: keep integers")
def users_in_float64(users, timestamps):
    return answer(users.double(), timestamps)


@wrong("user 0 is left out, as if 0 were padding: it is an id like any other")
def user_0_left_out(users, timestamps):
    return tuple(part[users[part] > 0] for part in answer(users, timestamps))


@right
def user_by_user(users, timestamps):
    return expected(users, timestamps)


@right
def with_counts(users, timestamps):
    order = by_user_then_time(users, timestamps)
    _, row, count = users[order].unique(return_inverse=True, return_counts=True)
    place = count.cumsum(0)[row] - torch.arange(len(order))
    long = count[row] > 2
    return order[~long | (place > 2)], order[long & (place == 2)], order[long & (place == 1)]


@right
def shifted_twice(users, timestamps):
    """Last: the next event is another user's; last but one: the next is the last, and so on."""
    order = by_user_then_time(users, timestamps)
    of = torch.cat([users[order].new_full((2,), -1), users[order], users[order].new_full((2,), -1)])
    is_last, has_two_before = of[2:-2] != of[3:-1], of[2:-2] == of[:-4]
    test = is_last & has_two_before
    validation = torch.cat([test[1:], test[:1] & False])
    return order[~test & ~validation], order[validation], order[test]
