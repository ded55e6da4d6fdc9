r"""From a ranking to the two arrays that every ranking metric reads.

    gains_ur = relevance of the item at rank r of user u;   judged_u = all relevance of user u, in any order

Axes    items (u k) with -1 where a list has ended; relevance (u n) -> gains (u k). judged is relevance itself,
        or, for speed, relevance without its zeros: a user has few relevant items among many.
Rule    An item twice in one list is an error: counted twice, recall exceeds 1. A relevant item that was not ranked
        still is in judged. Users come in the order of `truth`, then those that only have a list.
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
    first = np.arange(0, relevance.size, relevance.shape[1])[:, None]  # place of each user
    gains = relevance.ravel()[items.astype(np.int64, copy=False) + first]
    gains[items < 0] = 0  # and not the last item of the user before
    return gains


@takes(items="int u k", relevance="gains u n")
def gains_of_items(items: torch.Tensor, relevance: torch.Tensor) -> torch.Tensor:
    """What each place of the lists items (u k) is worth by relevance (u n) -> (u k), in relevance's dtype."""
    check_items(items.cpu().numpy(), relevance.shape[1])
    return relevance.gather(1, items.clamp_min(0)).masked_fill(items < 0, 0)


@takes(relevance="gains u n")
def judged_of_relevance_numpy(relevance: np.ndarray) -> np.ndarray:
    """What is not 0 in relevance (u n), in its order, padded with 0 -> (u m), m the most of any user.

    >>> judged_of_relevance_numpy(np.array([[0, 0, 3, 1], [0, 0, 0, 0], [0, 2, 0, 0]]))  # as truth the same
    array([[3, 1],
           [0, 0],
           [2, 0]])

    Asked   "What is the truth, without a million zeros?"
    """
    if relevance.dtype == bool:  # all that is to be known of a user is how many
        count = np.einsum("un->u", relevance.view(np.int8), dtype=np.int32)  # twice as fast as .sum(axis=1)
        return np.arange(max(1, count.max())) < count[:, None]
    users, n = relevance.shape
    places = np.flatnonzero(relevance)
    count = np.bincount(places // n, minlength=users)
    filled = np.arange(max(1, count.max())) < count[:, None]
    judged = np.zeros(filled.shape, relevance.dtype)
    judged[filled] = relevance.ravel()[places]
    return judged


@takes(relevance="gains u n")
def judged_of_relevance(relevance: torch.Tensor) -> torch.Tensor:
    """What is not 0 in relevance (u n), in its order, padded with 0 -> (u m), m the most of any user."""
    some = relevance != 0
    count = some.sum(dim=1, keepdim=True)
    filled = torch.arange(max(1, int(count.max())), device=relevance.device) < count
    return relevance.new_zeros(filled.shape).masked_scatter(filled, relevance[some])


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
