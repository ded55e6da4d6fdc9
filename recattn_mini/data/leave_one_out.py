r"""Leave one out: each user's last event is for test, the one before for validation, the rest for training.

    events of a user by time, oldest first:   train … train | validation | test

Axes    users, timestamps (m), one entry an event in any order -> three rows of indices into the m events.
Rule    Tied timestamps keep the order of the file, so the sort has to be stable. A user with fewer than three events
        has all of them in train. Each row is ordered by user, then time; together they are all events, each once.
Cost    O(m log m): one sort, no loop over users.
Asked   "How do you split, and what leaks?"  Across users: one's training event may be later than another's test event;
        a global cut in time does not leak so. Within a user, a tie at the end leaves to the file which item is "next".
Source  Ning, Karypis 2011 hold one out at random; the last two by time: Kang, McAuley 2018, sec. IV-A.
"""

import numpy as np
import torch

from recattn_mini.shapes import takes

HELD_OUT = 2  # of each user: for test, and for validation


@takes(users="int m", timestamps="int m")
def leave_one_out_numpy(users: np.ndarray, timestamps: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """users (m), timestamps (m) -> indices of the events in train, in validation and in test.

    Each user's last event in time is test, the one before it validation, the rest train; a user with fewer than three
    events has all of them in train. Each part is ordered by user, then time, ties as in the file; indices are int64.

    >>> users, timestamps = np.array([7, 3, 7, 7, 3, 7]), np.array([9, 5, 2, 9, 1, 4])
    >>> leave_one_out_numpy(users, timestamps)  # 3 has too few, 4 and 1; 7's are 2, 5, then the tied 0 and 3
    (array([4, 1, 2, 5]), array([0]), array([3]))
    """
    order = np.lexsort((timestamps, users))  # by user, then time; stable
    users = users[order]
    first, end = np.searchsorted(users, users), np.searchsorted(users, users, side="right")
    place = end - np.arange(len(users))  # counted from the user's last event, which is 1
    place[end - first <= HELD_OUT] = HELD_OUT + 1
    return order[place > 2], order[place == 2], order[place == 1]


@takes(users="int m", timestamps="int m")
def leave_one_out(users: torch.Tensor, timestamps: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """users (m), timestamps (m) -> indices of the events in train, in validation and in test.

    Each user's last event in time is test, the one before it validation, the rest train; a user with fewer than three
    events has all of them in train. Each part is ordered by user, then time, ties as in the file; indices are int64.

    >>> users, timestamps = torch.tensor([7, 3, 7, 7, 3, 7]), torch.tensor([9, 5, 2, 9, 1, 4])
    >>> leave_one_out(users, timestamps)  # 3 has too few, 4 and 1; 7's are 2, 5, then the tied 0 and 3
    (tensor([4, 1, 2, 5]), tensor([0]), tensor([3]))
    """
    order = timestamps.argsort(stable=True)
    order = order[users[order].argsort(stable=True)]
    users = users[order]
    first, end = torch.searchsorted(users, users), torch.searchsorted(users, users, right=True)
    place = end - torch.arange(len(users), device=users.device)
    place[end - first <= HELD_OUT] = HELD_OUT + 1
    return order[place > 2], order[place == 2], order[place == 1]
