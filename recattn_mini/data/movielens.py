"""MovieLens-100K: 100,000 ratings that 943 users gave 1,682 films, with time.

Ids    the file's own, users 1..943 and items 1..1682; row 0 of every table is padding.
Rule   Interactions keep file order, and in time order tied ones keep it too. For 415 of the 943 users the last
       timestamp is tied, so this rule decides which item is their last.
Cost   2 MB fetched once, from the wheel of RecBole 1.2.1, by pip; then read from the cache without a network.
Asked  "How do you split interactions into train and test, and what leaks if you get it wrong?"
Source Harper, Konstan 2015, "The MovieLens Datasets: History and Context", ACM TiiS 5(4):19.
       The data belongs to GroupLens: for research, not to be redistributed without permission (`LICENCE`). This package
       contains none of it.
"""

from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from recattn_mini.data.wheel_files import WheelFiles

Integers = NDArray[np.int64]

LICENCE = """\
MovieLens data belongs to GroupLens, University of Minnesota. It may be used for research if no endorsement by them is
stated or implied and publications acknowledge it; it may not be redistributed, nor used commercially, without their
permission; nobody guarantees that it is correct. Cite: F. Maxwell Harper and Joseph A. Konstan, "The MovieLens
Datasets: History and Context", ACM Transactions on Interactive Intelligent Systems (TiiS) 5(4):19, 2015."""

ML_100K = WheelFiles(
    title="MovieLens-100K",
    folder="ml-100k",
    command="recattn data",
    requirement="recbole==1.2.1",
    wheel="recbole-1.2.1-py3-none-any.whl",
    wheel_sha256="9c9948202011f37eb0a7c6768129313f00d6403ad221ec940d5e2d5d5f33a407",
    members="recbole/dataset_example/ml-100k/",
    sha256={
        "ml-100k.inter": "4edb74e2a81178c2ba9ff381495f754f996c4aea351b1272ca36b43da0935eff",
        "ml-100k.item": "51d7cdf777ce5c0f5b32c1d947a4a81fe07d75e78abbe761e0cd4d0756064532",
        "ml-100k.user": "4f670007d9cfbeb9807e757209af1555b9bcc186bde25e767f67cb67c6dd5972",
    },
)


@dataclass(frozen=True, eq=False)
class Interactions:
    """Who met what, how it was rated and when: four arrays of one length, in file order."""

    users: Integers
    items: Integers
    ratings: NDArray[np.float64]
    timestamps: Integers

    def histories(self, events: Integers | None = None) -> list[Integers]:
        """What did each user see, in time order? A list by user id of item ids; entry 0 is empty.

        `events` are indices of the interactions to use, a split's `train` for instance; without it, all.

        >>> log = Interactions(np.array([2, 1, 2]), np.array([30, 10, 20]), np.ones(3), np.array([9, 5, 7]))
        >>> [history.tolist() for history in log.histories()]  # user 2 met 20 at time 7, then 30 at time 9
        [[], [10], [20, 30]]
        """
        if events is None:
            events = np.arange(len(self.users))
        if events.ndim != 1 or not np.issubdtype(events.dtype, np.integer):
            raise ValueError(f"events: got {events.dtype} of shape {events.shape}, expected a row of integer indices")
        order = events[np.lexsort((events, self.timestamps[events], self.users[events]))]
        first = np.searchsorted(self.users[order], np.arange(1, self.users.max() + 1))
        return np.split(self.items[order], first)


@dataclass(frozen=True, eq=False, repr=False)
class MovieLens(Interactions):
    """The interactions, and tables by item id and by user id (`len(titles)` = 1683 rows, padding included).

    `load` hands everyone the same arrays, therefore read-only; `torch.tensor(x)` copies, as does `x[indices]`.
    """

    titles: NDArray[np.object_]  # of str, as genders and occupations are
    years: Integers  # 0 = not a number in the file: items 267 ("unkonwn") and 1412 ("V")
    genres: tuple[tuple[str, ...], ...]
    ages: Integers
    genders: NDArray[np.object_]
    occupations: NDArray[np.object_]


@dataclass(frozen=True, eq=False)
class Split:
    """Indices into the interactions: disjoint, together complete."""

    train: Integers
    validation: Integers
    test: Integers


def leave_one_out_split(data: Interactions) -> Split:
    """Which event of each user is held out? The last for test, the one before for validation; by user, then time.

    A user with fewer than three events has all of them in train (nobody in ML-100K has fewer than 20). The rule
    leaks across users: a training event of one may be later than the test event of another.

    >>> log = Interactions(np.array([1, 1, 1, 2]), np.array([10, 20, 30, 10]), np.ones(4), np.array([5, 9, 9, 7]))
    >>> leave_one_out_split(log)  # user 1: 20 and 30 are tied, 20 comes first in the file; user 2 has one event
    Split(train=array([0, 3]), validation=array([1]), test=array([2]))
    """
    from recattn_mini.data.leave_one_out import leave_one_out_numpy  # here, so that reading data imports no torch

    return Split(*leave_one_out_numpy(data.users, data.timestamps))


def global_time_split(data: Interactions, validation: float = 0.1, test: float = 0.1) -> Split:
    """Which events come after everything that was trained on? One cut in time for all users; parts in time order.

    The cuts are quantiles of all timestamps. An event at a cut belongs to the later part, with all that are tied with
    it, so that every time in train is below every time in validation, and that below every time in test.
    Nothing leaks from the future, but many test users are new: of the 166 in ML-100K's test part, 97 have no event in
    train.

    >>> log = Interactions(np.ones(5, int), np.arange(1, 6), np.ones(5), np.array([10, 20, 30, 30, 40]))
    >>> global_time_split(log, validation=0.4, test=0.2)  # the cuts are 30 and 40; both events at 30 go together
    Split(train=array([0, 1]), validation=array([2, 3]), test=array([4]))

    Asked   "The same, without a look into the future?"
    """
    for name, share in {"validation": validation, "test": test, "validation + test": validation + test}.items():
        if not 0 < share < 1:
            raise ValueError(f"{name}: got {share}, expected a share of the events above 0 and below 1")
    cuts = np.quantile(data.timestamps, [1 - validation - test, 1 - test], method="higher")
    order = np.argsort(data.timestamps, kind="stable")
    return Split(*np.split(order, np.searchsorted(data.timestamps[order], cuts)))


@cache
def load() -> MovieLens:
    """ML-100K, fetched if need be; the second call returns the same object."""
    folder = fetch()
    interactions = np.loadtxt(folder / "ml-100k.inter", dtype=np.int64, delimiter="\t", skiprows=1)
    users, items, ratings, timestamps = np.ascontiguousarray(interactions.T)
    _, titles, years, classes = zip(*_rows(folder / "ml-100k.item"), strict=True)
    _, ages, genders, occupations, _ = zip(*_rows(folder / "ml-100k.user"), strict=True)
    data = MovieLens(
        users=users,
        items=items,
        ratings=ratings.astype(np.float64),
        timestamps=timestamps,
        titles=np.array(["", *titles], dtype=object),
        years=np.array([0, *(int(year) if year.isdigit() else 0 for year in years)], dtype=np.int64),
        genres=((), *(tuple(genres.split(" ")) for genres in classes)),
        ages=np.array([0, *map(int, ages)], dtype=np.int64),
        genders=np.array(["", *genders], dtype=object),
        occupations=np.array(["", *occupations], dtype=object),
    )
    for column in vars(data).values():
        if isinstance(column, np.ndarray):
            column.setflags(write=False)
    return data


def _rows(path: Path) -> list[list[str]]:
    """The rows below the header; the file lists ids 1, 2, 3, …, so row number = id."""
    return [line.split("\t") for line in path.read_text(encoding="utf-8").splitlines()[1:]]


def fetch() -> Path:
    """The folder of the cache that holds the three files, fetched if need be; see `WheelFiles.fetch`."""
    return ML_100K.fetch()
