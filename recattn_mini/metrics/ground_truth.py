r"""What each of many users should have found, without a matrix of users and items.

Axes    starts (u + 1), keys and gains one entry for each relevant item: compressed sparse rows.
Rule    An item twice, or outside the catalogue, is a ValueError that names the user.
Cost    16 bytes a relevant item. A list of k is looked up by binary search: O(k log R) a user, not O(n).
Asked   "A million users, ten million items: where do you keep the truth?"
Source  Compressed sparse rows: Saad 2003, sec. 3.4.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from recattn_mini.metrics._checks import check_items
from recattn_mini.shapes import items_of_user

AT_ONCE = 2**20  # so many gains of `judged`, where one user with thousands of them widens the rows of all the others


@dataclass(frozen=True, eq=False)
class GroundTruth:
    """Which items each user should have found, and how good each is: the rows of all users one after the other."""

    starts: np.ndarray  # (u + 1): user u's are starts[u] to starts[u + 1]
    keys: np.ndarray  # user · n + item, ascending
    gains: np.ndarray
    n: int

    @classmethod
    def of(cls, users: Sequence[Collection[int] | Mapping[int, float]], n: int) -> "GroundTruth":
        """Each user's relevant items, or item -> gain; n items in the catalogue.

        >>> GroundTruth.of([[3], [], {1: 2.0, 0: 1.0}], 5).gains_of(np.array([2]), np.array([[4, 1, -1]]))
        array([[0., 2., 0.]])
        """
        if not len(users):
            raise ValueError("users is empty, expected at least one user")
        items = [items_of_user(f"users[{user}]", of_user, n) for user, of_user in enumerate(users)]
        for user, of_user in enumerate(items):
            if len(np.unique(of_user)) < len(of_user):
                raise ValueError(f"users[{user}] must be items each once, got {of_user.tolist()}")
        gains = [
            [x[i] for i in x] if isinstance(x, Mapping) else [1.0] * len(of_user)
            for x, of_user in zip(users, items, strict=True)
        ]
        keys = np.concatenate([user * n + of_user for user, of_user in enumerate(items)])
        flat, order = np.concatenate(gains).astype(np.float64), np.argsort(keys)
        if not ((flat >= 0) & (flat < np.inf)).all():
            raise ValueError(
                f"users must have gains that are finite and not negative, got {flat.min()} to {flat.max()}"
            )
        return cls(np.r_[0, np.cumsum([len(x) for x in items])], keys[order], flat[order], n)

    def gains_of(self, users: np.ndarray, items: np.ndarray) -> np.ndarray:
        """What the lists items (b k) of users (b) are worth, (b k); -1 is worth nothing."""
        check_items(items, self.n)  # unchecked, item n would be found as the next user's item 0
        keys = users[:, None] * self.n + items
        if not len(self.keys):
            return np.zeros(items.shape)
        place = np.searchsorted(self.keys, keys).clip(max=len(self.keys) - 1)
        found = (self.keys[place] == keys) & (items >= 0)
        return np.where(found, self.gains[place], 0.0)

    def parts(self) -> Iterator[np.ndarray]:
        """All users in parts, each of so few that its `judged` stays small."""
        every = np.arange(len(self.starts) - 1)
        step = max(1, AT_ONCE // max(1, int(np.diff(self.starts).max())))
        for first in range(0, len(every), step):
            yield every[first : first + step]

    def judged(self, users: np.ndarray) -> np.ndarray:
        """All gains of users (b), padded with 0, (b m)."""
        length = self.starts[users + 1] - self.starts[users]
        place = np.arange(max(1, int(length.max())))
        if not len(self.gains):
            return np.zeros((len(users), len(place)))
        index = (self.starts[users][:, None] + place).clip(max=len(self.gains) - 1)
        return np.where(place < length[:, None], self.gains[index], 0.0)
