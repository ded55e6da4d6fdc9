r"""From a ranking to the two arrays that every ranking metric reads.

    gains_ur = relevance of the item at rank r of user u;   judged_u = all relevance of user u, in any order

Axes    items (u k) with -1 where a list has ended; relevance (u n) -> gains (u k). judged may be relevance itself, or
        what is not 0 in it, which is far narrower: a user has few relevant items among many.
Rule    An item twice in one list is an error, since counted twice it would lift recall above 1. A relevant item that
        was not ranked still is in judged. Users come in the order of `truth`, then those that only have a list.
Cost    judged by a sort of each user's relevance. `fast/gains_and_judged.py` counts what is not 0 instead, and takes
        about a tenth of the time for many users.
Asked   "What exactly goes into your metric: which items, whose relevance, and what of users who are missing?"
Source  Järvelin, Kekäläinen 2002, 2.1: a list as its vector of gains.
"""

from collections.abc import Collection, Hashable, Mapping, Sequence

import numpy as np
import torch

from recattn_mini.metrics._checks import check_items
from recattn_mini.shapes import takes

Truth = Mapping[Hashable, Collection[Hashable] | Mapping[Hashable, float]]


@takes(items="int u k", relevance="gains u n")
def gains_of_items_numpy(items: np.ndarray, relevance: np.ndarray) -> np.ndarray:
    """What each place of the lists items (u k) is worth by relevance (u n) -> (u k), in relevance's dtype.

    >>> gains_of_items_numpy(np.array([[2, 0, -1]]), np.array([[3.0, 0.0, 1.0]]))  # -1: the list has ended
    array([[1., 3., 0.]])
    """
    check_items(items, relevance.shape[1])
    gains = np.take_along_axis(relevance, items.astype(np.int64), axis=1)
    gains[items < 0] = 0  # where -1 read the last item
    return gains


@takes(items="int u k", relevance="gains u n")
def gains_of_items(items: torch.Tensor, relevance: torch.Tensor) -> torch.Tensor:
    """What each place of the lists items (u k) is worth by relevance (u n) -> (u k), in relevance's dtype."""
    check_items(items.cpu().numpy(), relevance.shape[1])
    return relevance.gather(1, items.clamp_min(0)).masked_fill(items < 0, 0)


@takes(relevance="gains u n")
def judged_of_relevance_numpy(relevance: np.ndarray) -> np.ndarray:
    """What is not 0 in each row of relevance (u n), in the order of items, padded with 0 -> (u m).

    m is the number of relevant items of the user who has most, and at least 1. As truth for a metric, the result says
    the same as relevance.

    >>> judged_of_relevance_numpy(np.array([[0, 0, 3, 1], [0, 0, 0, 0], [0, 2, 0, 0]]))
    array([[3, 1],
           [0, 0],
           [2, 0]])

    Asked   "What is the truth, without a million zeros?"
    """
    relevant_first = np.argsort(relevance == 0, axis=1, kind="stable")
    most = (relevance != 0).sum(axis=1).max()
    return np.take_along_axis(relevance, relevant_first[:, : max(1, most)], axis=1)


@takes(relevance="gains u n")
def judged_of_relevance(relevance: torch.Tensor) -> torch.Tensor:
    """What is not 0 in each row of relevance (u n), in the order of items, padded with 0 -> (u m)."""
    relevant_first = (relevance == 0).sort(dim=1, stable=True).indices
    most = int((relevance != 0).sum(dim=1).max())
    return relevance.gather(1, relevant_first[:, : max(1, most)])


def gains_of_lists_numpy(lists: Mapping[Hashable, Sequence[Hashable]], truth: Truth) -> tuple[np.ndarray, np.ndarray]:
    """Ranked lists and ground truth, by user -> gains (u r) and judged (u m), float64.

    Ground truth is a collection of relevant items, or item -> gain. A user of `truth` without a list has an empty one.

    >>> gains, judged = gains_of_lists_numpy({"ann": ["x", "y"]}, {"ann": {"y", "z"}, "bob": {"x": 2.0}})
    >>> gains  # y is ann's second; bob got no list
    array([[0., 1.],
           [0., 0.]])
    >>> judged
    array([[1., 1.],
           [2., 0.]])
    """
    users = list(dict.fromkeys([*truth, *lists]))
    if not users:
        raise ValueError("lists and truth are empty, expected at least one user")
    rows, every = [], []
    for user in users:
        known, ranked = truth.get(user, ()), list(lists.get(user, ()))
        worth = dict(known) if isinstance(known, Mapping) else dict.fromkeys(known, 1.0)
        if any(not 0 <= gain < np.inf for gain in worth.values()):
            raise ValueError(f"truth[{user!r}] must be finite and not negative, got {worth}")
        if len(set(ranked)) < len(ranked):
            twice = next(item for n, item in enumerate(ranked) if item in ranked[:n])
            raise ValueError(f"lists[{user!r}] has {twice!r} twice, expected each item once")
        rows.append([worth.get(item, 0.0) for item in ranked])
        every.append(sorted(worth.values(), reverse=True))
    return _padded(rows), _padded(every)


def _padded(rows: list[list[float]]) -> np.ndarray:
    width = max(1, *map(len, rows))
    return np.array([row + [0.0] * (width - len(row)) for row in rows])
