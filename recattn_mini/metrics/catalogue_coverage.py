r"""Catalogue coverage: which share of all items is recommended to anybody.

    coverage@k = |∪_u R_u| / n,   R_u the k items of user u

Axes    items (u k), -1 where a list has ended; n items in the catalogue -> a number.
Rule    The catalogue is what could have been recommended, not what occurs in training. It grows with users and k.
Asked   "Coverage measures novelty, right?"  No: ten obscure items for everybody are novel and cover nothing.
Source  Ge, Delgado-Battenfeld, Jannach 2010. RecTools gives a count by default, recommenders divides by training items.
"""

import numpy as np
import torch

from recattn_mini.metrics._checks import check_items
from recattn_mini.shapes import takes


@takes(items="int u k", n="count")
def catalogue_coverage_numpy(items: np.ndarray, n: int) -> float:
    """The share of a catalogue of n items that stands in somebody's list, as a Python float.

    items (u k) holds each user's list: items from 0 to n - 1, each once in a list, and -1 where a list has ended. An
    item counts once, however many users get it. If there is no item at all, the share is 0. items stays unchanged.

    >>> catalogue_coverage_numpy(np.array([[3, 4], [3, -1]]), 5)  # 3 and 4, of five
    0.4
    """
    check_items(items, n)
    return len(np.unique(items[items >= 0])) / n


@takes(items="int u k", n="count")
def catalogue_coverage(items: torch.Tensor, n: int) -> float:
    """The share of a catalogue of n items that stands in somebody's list, as a Python float.

    items (u k) holds each user's list: items from 0 to n - 1, each once in a list, and -1 where a list has ended. An
    item counts once, however many users get it. If there is no item at all, the share is 0. items stays unchanged.

    >>> catalogue_coverage(torch.tensor([[3, 4], [3, -1]]), 5)  # 3 and 4, of five
    0.4
    """
    check_items(items.cpu().numpy(), n)
    return len(items[items >= 0].unique()) / n
