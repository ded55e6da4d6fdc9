"""Spec of leave_one_out: each user's last event for test, the one before for validation, ties in file order."""

import numpy as np
import torch

from recattn_mini.data.leave_one_out import leave_one_out, leave_one_out_numpy
from recattn_mini.exercises.spec import Named, right, same, teaching, wrong

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


def inputs() -> dict[str, tuple]:
    # users with 10, 7, 5 and 4 events, no two timestamps alike
    users = torch.from_numpy(np.random.RandomState(0).permutation(np.repeat([3, 9, 4, 12], [10, 7, 5, 4])))
    times = torch.from_numpy(np.random.RandomState(1).permutation(26)) + 100
    tied = torch.from_numpy(np.random.RandomState(2).randint(0, 4, 26)) + 100
    few = torch.tensor([2, 1, 2, 5, 1, 2, 5, 2, 8, 2])
    second_by_second = torch.tensor([893286638, 893286637, 893286640, 893286639, 893286641])
    view = torch.stack([users, times], 1)
    # one of the users has 300 events in five seconds: NumPy sorts up to 16 numbers by insertion, which is stable
    with_busy = torch.from_numpy(np.random.RandomState(3).permutation(np.repeat([6, 2, 11, 5], [300, 4, 6, 5])))
    return {
        "users mixed": (users, times),
        "ties": (users, tied),
        "many ties": (with_busy, torch.from_numpy(np.random.RandomState(4).randint(0, 5, 315)) + 100),
        "fewer than three": (few, torch.tensor([5, 9, 1, 7, 4, 8, 2, 3, 6, 1])),
        "exactly three": (torch.tensor([4, 7, 4, 7, 4, 7]), torch.tensor([30, 11, 10, 12, 20, 13])),
        "second by second": (torch.ones(5, dtype=torch.int64), second_by_second),
        "large ids": (torch.tensor([1_000_000, 943]).repeat(4), 893_286_630 + torch.tensor([8, 3, 7, 4, 10, 1, 9, 2])),
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
    "equal timestamps keep the order of the file, also where one user has hundreds of them"
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


def _order(users, timestamps):
    order = timestamps.argsort(stable=True)
    return order[users[order].argsort(stable=True)]


def _cut(order, users, least=3, held_out=(2, 1)):
    """Train, and the events at these places from the end, of users with at least so many events."""
    place, count = _places(order, users)
    held = count >= least
    return (order[(place > 2) | ~held], *(order[(place == p) & held] for p in held_out))


def _places(order, users):
    of_user = users[order] == users[order][:, None]
    after = torch.ones(len(order), len(order), dtype=torch.bool).triu()
    return (of_user & after).sum(1), of_user.sum(1)


@wrong("validation and test are exchanged: the last event is test, the one before it validation")
def last_two_exchanged(users, timestamps):
    return _cut(_order(users, timestamps), users, held_out=(1, 2))


@wrong("random events are held out: the model would train on what came after the question. Take the last two by time")
def random_events(users, timestamps):
    shuffled = torch.from_numpy(np.random.RandomState(len(users)).permutation(len(users)))
    return _cut(shuffled[users[shuffled].argsort(stable=True)], users)


@wrong("the last in the file, not in time: files are rarely in order. Sort each user's events by timestamp")
def last_in_the_file(users, timestamps):
    return _cut(users.argsort(stable=True), users)


@wrong("the first events are held out: the time runs upwards, the last event is the one with the largest timestamp")
def first_events(users, timestamps):
    return _cut(_order(users, -timestamps), users)


@wrong("ties are turned round: a descending or reversed sort, or <= while looking for the last. Ties keep file order")
def ties_turned_round(users, timestamps):
    events = torch.arange(len(users)).flip(0)
    return _cut(events[_order(users.flip(0), timestamps.flip(0))], users)


@wrong(
    "of events tied at the end the first was held out: the last in file order is. So it is with argmax, and with "
    "rank(ascending=False, method='first')"
)
def ties_ranked_from_the_top(users, timestamps):
    order = _order(users, timestamps)
    _, *held_out = _cut(_order(users, -timestamps).flip(0), users)
    return order[~torch.isin(order, torch.cat(held_out))], *(part.flip(0) for part in held_out)


@wrong("the sort is not stable: equal timestamps come in any order, on each machine another. np.lexsort, stable=True")
def unstable(users, timestamps):
    shuffled = torch.from_numpy(np.random.RandomState(3).permutation(len(users)))
    return _cut(shuffled[_order(users[shuffled], timestamps[shuffled])], users)


@wrong("np.argsort as it comes, first by time, then by user: it is not stable, and the second undoes the first")
def two_unstable_sorts(users, timestamps):
    order = timestamps.numpy().argsort()
    return _cut(torch.from_numpy(order[users.numpy()[order].argsort()]), users)


@wrong("each user's events are sorted, but not stably: np.argsort alone mixes up ties of more than 16. kind='stable'")
def unstable_within_a_user(users, timestamps):
    rows = [(users == user).nonzero()[:, 0] for user in users.unique()]
    return _cut(torch.cat([row[timestamps[row].numpy().argsort()] for row in rows]), users)


@wrong("the sort by user is stable, the sort by time before it is not: both have to be, kind='stable', or np.lexsort")
def only_the_second_sort_stable(users, timestamps):
    order = torch.from_numpy(timestamps.numpy().argsort())
    return _cut(order[users[order].argsort(stable=True)], users)


@wrong("the sort by time is stable, the sort by user after it is not: it undoes the first. kind='stable' for both")
def only_the_first_sort_stable(users, timestamps):
    order = timestamps.argsort(stable=True)
    return _cut(order[users.numpy()[order].argsort()], users)


@wrong("users in the order in which the file first names them, as a dictionary keeps them: by user id is asked")
def by_first_appearance(users, timestamps):
    first = (users == users[:, None]).int().argmax(1)
    return tuple(part[first[part].argsort(stable=True)] for part in leave_one_out(users, timestamps))


@wrong("users in the order of their first events in time, as a dictionary keeps them: by user id is asked")
def by_first_event(users, timestamps):
    by_time = timestamps.argsort(stable=True)
    first = (users[by_time] == users[:, None]).int().argmax(1)
    return tuple(part[first[part].argsort(stable=True)] for part in leave_one_out(users, timestamps))


@wrong("one cut in time for all: the last events of the file, not of each user. That is the global split")
def global_cut(users, timestamps):
    order, held_out = timestamps.argsort(stable=True), len(users.unique())
    end = max(0, len(order) - 2 * held_out)
    return order[:end], order[end : len(order) - held_out], order[len(order) - held_out :]


@wrong("places in the sorted list came back: indices into the file are asked. Look them up in the order, order[...]")
def places_in_the_sorted_list(users, timestamps):
    order = _order(users, timestamps)
    return _cut(torch.arange(len(users)), users[order])


@wrong("each part is in the order of the file: by user, then time is asked, so that train is ready as histories")
def in_file_order(users, timestamps):
    return tuple(part.sort().values for part in leave_one_out(users, timestamps))


@wrong("train is what was left over, in the order of the file: by user, then time is asked, as histories are read")
def train_in_file_order(users, timestamps):
    train, validation, test = leave_one_out(users, timestamps)
    return train.sort().values, validation, test


@wrong("each part is in the order of time over all users: by user, then time is asked")
def in_time_order(users, timestamps):
    by_time = timestamps.argsort(stable=True)
    return tuple(by_time[torch.isin(by_time, part)] for part in leave_one_out(users, timestamps))


@wrong("newest first within a user: train is to be read as histories, oldest first")
def newest_first(users, timestamps):
    train, validation, test = leave_one_out(users, timestamps)
    train = train.flip(0)
    return train[users[train].argsort(stable=True)], validation, test


@wrong("test is in train as well: the answer would be learnt by heart. All but the last two are train")
def test_in_train(users, timestamps):
    return (_order(users, timestamps), *leave_one_out(users, timestamps)[1:])


@wrong("validation is in train as well: early stopping would look at what was trained on")
def validation_in_train(users, timestamps):
    order = _order(users, timestamps)
    place, count = _places(order, users)
    return (order[(place > 1) | (count < 3)], *leave_one_out(users, timestamps)[1:])


@wrong("users with fewer than three events are lost: all that they have is train")
def short_histories_lost(users, timestamps):
    order = _order(users, timestamps)
    place, count = _places(order, users)
    return (order[(place > 2) & (count >= 3)], *leave_one_out(users, timestamps)[1:])


@wrong("everybody's last event is held out, of users with nothing to train on as well: at least three are needed")
def nobody_exempt(users, timestamps):
    return _cut(_order(users, timestamps), users, least=1)


@wrong("a user with two events has both held out, and nothing in train: three are needed, one for each part")
def two_are_enough(users, timestamps):
    return _cut(_order(users, timestamps), users, least=2)


@wrong("of two events the last is test, with none for validation: users with fewer than three have all in train")
def two_are_enough_for_test(users, timestamps):
    order = _order(users, timestamps)
    place, count = _places(order, users)
    test, validation = (place == 1) & (count >= 2), (place == 2) & (count >= 3)
    return order[~test & ~validation], order[validation], order[test]


@wrong("a user with exactly three events keeps all of them in train: three are enough, one a part (< 3, not <= 3)")
def more_than_three(users, timestamps):
    return _cut(_order(users, timestamps), users, least=4)


@wrong("all that is tied with a user's last timestamp is test: it is one event, the last in file order")
def all_of_the_last_second(users, timestamps):
    order = _order(users, timestamps)
    train, validation, test = (set(part.tolist()) for part in leave_one_out(users, timestamps))
    last = {users[event].item(): timestamps[event] for event in test}
    tied = {e for e in train | validation if last.get(users[e].item(), -1) == timestamps[e]}
    parts = train - tied, validation - tied, test | tied
    return tuple(torch.tensor([e for e in order.tolist() if e in part], dtype=torch.int64) for part in parts)


@wrong("all that is tied with a user's last time is test, with the time before it validation: it is one event each")
def all_of_the_last_two_times(users, timestamps):
    order = _order(users, timestamps)
    times = [timestamps[users == user].unique().tolist()[::-1] for user in users[order].tolist()]
    _, count = _places(order, users)
    place = torch.tensor([of.index(time) + 1 for of, time in zip(times, timestamps[order].tolist(), strict=True)])
    place[count < 3] = 3
    return tuple(order[part] for part in (place > 2, place == 2, place == 1))


@wrong("one key of both, user · max + time: a user's largest meets the next one's 0. Sort by two keys, or by max + 1")
def one_key(users, timestamps):
    return _cut((users * timestamps.max() + timestamps).argsort(stable=True), users)


@wrong("one key of both in float64: 53 bits do not hold an id of millions and the seconds since 1970. Sort by two keys")
def one_key_in_float64(users, timestamps):
    return _cut((users.double() * 1e10 + timestamps).argsort(stable=True), users)


@wrong("one key of both in int32: a user's id times the seconds since 1970 overflows. Sort by two keys")
def one_key_in_int32(users, timestamps):
    key = users.int() * (timestamps.max() + 1).int() + timestamps.int()
    return _cut(key.argsort(stable=True), users)


@wrong("timestamps in float32: it has 24 bits, the seconds since 1970 need 30. Neighbours become ties; keep integers")
def float32_times(users, timestamps):
    return _cut(_order(users, timestamps.float()), users)


@wrong("the file is taken to be sorted by user: each run of one user is split on its own. Sort by user first")
def runs_of_the_file(users, timestamps):
    runs = torch.cat([torch.zeros(1, dtype=torch.int64), users.diff().ne(0).cumsum(0)])
    return _cut(_order(runs, timestamps), runs)


@wrong("sorted by time alone, then cut where the user changes: users take turns there. Sort by user last")
def runs_in_time(users, timestamps):
    by_time = timestamps.argsort(stable=True)
    runs = torch.cat([torch.zeros(1, dtype=torch.int64), users[by_time].diff().ne(0).cumsum(0)])
    return tuple(by_time[part] for part in _cut(torch.arange(len(users)), runs))


@wrong("np.lexsort((users, timestamps)) sorts by time, then user: the last key counts first, so it has to be users")
def keys_swapped(users, timestamps):
    by_time = _order(timestamps, users)
    runs = torch.cat([torch.zeros(1, dtype=torch.int64), users[by_time].diff().ne(0).cumsum(0)])
    return tuple(by_time[part] for part in _cut(torch.arange(len(users)), runs))


@wrong("each user's number of events is cut off an order by time: the next so many are anybody's. Sort by user last")
def counted_off_in_time(users, timestamps):
    of_blocks = users.sort().values
    return tuple(_order(timestamps, users)[part] for part in _cut(torch.arange(len(users)), of_blocks))


@wrong("an empty list has no dtype, and np.array([]) is float64: indices are integers, np.array(part, dtype=np.int64)")
def empty_part_in_float64(users, timestamps):
    return tuple(part if len(part) else part.double() for part in leave_one_out(users, timestamps))


@wrong("an empty list has no dtype, and torch.tensor([]) is float32: indices are integers, dtype=torch.int64")
def empty_part_in_float32(users, timestamps):
    return tuple(part if len(part) else part.float() for part in leave_one_out(users, timestamps))


@wrong("the user ids of the events came back: their indices are asked, so that items and ratings can be looked up too")
def user_ids(users, timestamps):
    return tuple(users[part] for part in leave_one_out(users, timestamps))


@wrong("boolean masks over the events came back: indices are asked, in the order by user, then time")
def masks(users, timestamps):
    return tuple(torch.isin(torch.arange(len(users)), part) for part in leave_one_out(users, timestamps))


@wrong("both events are in test, and validation is empty: you would choose the epoch on the test set")
def no_validation(users, timestamps):
    train, validation, test = leave_one_out(users, timestamps)
    held_out = torch.cat([validation, test])
    return train, test[:0], held_out[_order(users[held_out], timestamps[held_out])]


@right
def user_by_user(users, timestamps):
    return expected(users, timestamps)


@right
def with_counts(users, timestamps):
    order = _order(users, timestamps)
    _, row, count = users[order].unique(return_inverse=True, return_counts=True)
    place = count.cumsum(0)[row] - torch.arange(len(order))
    long = count[row] > 2
    return order[~long | (place > 2)], order[long & (place == 2)], order[long & (place == 1)]


@right
def shifted_twice(users, timestamps):
    """Last: the next event is another user's; last but one: the next is the last, and so on."""
    order = _order(users, timestamps)
    of = torch.cat([users[order].new_full((2,), -1), users[order], users[order].new_full((2,), -1)])
    is_last, has_two_before = of[2:-2] != of[3:-1], of[2:-2] == of[:-4]
    test = is_last & has_two_before
    validation = torch.cat([test[1:], test[:1] & False])
    return order[~test & ~validation], order[validation], order[test]
