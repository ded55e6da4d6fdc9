r"""Leave one out: each user's last event is for test, the one before for validation, the rest for training.

    events of a user by time, oldest first:   train … train | validation | test

Axes    users, timestamps (m), one entry an event in any order -> three rows of indices into the m events.
Rule    Tied timestamps keep the order of the file, so the sort has to be stable. A user with fewer than three events
        has all of them in train. Each row is ordered by user, then time; together they are all events, each once.
Cost    O(m log m): one sort, no loop over users.
Asked   "How do you split, and what leaks?"  Across users: one user's training event may be later than another's test
        event, which a global cut in time rules out. Within a user, where the last events are tied, the order of the
        file decides which item is "next".
Source  Ning, Karypis 2011 hold one out at random; the last two by time: Kang, McAuley 2018, sec. IV-A.
"""

import numpy as np
import torch

from recattn_mini.shapes import takes


@takes(users="int m", timestamps="int m")
def leave_one_out_numpy(users: np.ndarray, timestamps: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Split events by user and time -> their indices in train, in validation and in test: three int64 rows.

    users (m) and timestamps (m) are whole numbers of any size, one entry an event, in any order. Each user's last event
    in time is test, the one before it validation, the rest train; a user with fewer than three events has all of them
    in train. Each part is ordered by user, then time; events of one user and time keep the order in which they came. A
    part may be empty. The inputs stay unchanged.

    >>> users, timestamps = np.array([7, 3, 7, 7, 3, 7]), np.array([9, 5, 2, 9, 1, 4])
    >>> leave_one_out_numpy(users, timestamps)  # 3 has too few, 4 and 1; 7's are 2, 5, then the tied 0 and 3
    (array([4, 1, 2, 5]), array([0]), array([3]))
    """
    order = np.lexsort((timestamps, users))  # by user, then time: the last key counts first; the sort is stable
    users = users[order]
    first, end = np.searchsorted(users, users), np.searchsorted(users, users, side="right")
    from_last = end - np.arange(len(users))  # the user's last event is 1
    held_out = (from_last <= 2) & (end - first >= 3)
    return order[~held_out], order[held_out & (from_last == 2)], order[held_out & (from_last == 1)]


@takes(users="int m", timestamps="int m")
def leave_one_out(users: torch.Tensor, timestamps: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Split events by user and time -> their indices in train, in validation and in test: three int64 rows.

    users (m) and timestamps (m) are whole numbers of any size, one entry an event, in any order. Each user's last event
    in time is test, the one before it validation, the rest train; a user with fewer than three events has all of them
    in train. Each part is ordered by user, then time; events of one user and time keep the order in which they came. A
    part may be empty. The inputs stay unchanged.

    >>> users, timestamps = torch.tensor([7, 3, 7, 7, 3, 7]), torch.tensor([9, 5, 2, 9, 1, 4])
    >>> leave_one_out(users, timestamps)  # 3 has too few, 4 and 1; 7's are 2, 5, then the tied 0 and 3
    (tensor([4, 1, 2, 5]), tensor([0]), tensor([3]))
    """
    by_time = timestamps.argsort(stable=True)
    order = by_time[users[by_time].argsort(stable=True)]
    users = users[order]
    first, end = torch.searchsorted(users, users), torch.searchsorted(users, users, right=True)
    from_last = end - torch.arange(len(users), device=users.device)
    held_out = (from_last <= 2) & (end - first >= 3)
    return order[~held_out], order[held_out & (from_last == 2)], order[held_out & (from_last == 1)]
