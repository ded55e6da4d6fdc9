r"""ItemKNN: recommend what the same people met as the items of your history.

    cos(i, j) = |U_i ∩ U_j| / √(|U_i| |U_j|);   score_uj = Σ_{i in history of u, i ≠ j} cos(i, j)

Axes    histories, oldest first, of u users; items 1 to n -> (u n+1), float64. U_i: the users who met item i.
Rule    All neighbours count, so there is no k to tune. An item met twice is met; an item is no neighbour of its own;
        an item that nobody met has no neighbours. Order and time are not looked at. Column 0 is padding, -inf.
Cost    O(u n²) time as a dense product, O(n²) memory for the cosines: n of some thousands.
Asked   "Attention over a history is a learned ItemKNN. What does it learn in addition?"  Which history items count for
        this candidate, by more than how often they went together; here every item of the history weighs 1.
Source  Sarwar et al. 2001; Deshpande, Karypis 2004. https://doi.org/10.1145/963770.963776
"""

import numpy as np

from recattn_mini.models._histories import Histories, items_of
from recattn_mini.shapes import takes


@takes(n="count")
def item_cosine(histories: Histories, n: int) -> np.ndarray:
    """Histories of items 1 to n, one a user -> how alike each two items' users are (n+1 n+1), 0 to 1.

    >>> item_cosine([[1, 2], [1]], 2)[1, 2].round(4)  # one user met both; two met 1, one met 2: 1/√2
    np.float64(0.7071)

    Asked   "When are two items alike, and what is it for an item that nobody met?"
    """
    met = _met(histories, n)
    together, length = met.T @ met, np.sqrt(met.sum(axis=0))
    length[length == 0] = 1  # nobody met it: 0 / 0 would be NaN
    cosine = together / (length[:, None] * length)
    np.fill_diagonal(cosine, 0)
    return cosine


@takes(n="count")
def item_knn(histories: Histories, n: int) -> np.ndarray:
    """Histories of items 1 to n, one a user -> scores (u n+1).

    >>> item_knn([[1, 2], [1]], 3).round(4)  # who met 1 is offered 2; nobody met 3
    array([[  -inf, 0.7071, 0.7071, 0.    ],
           [  -inf, 0.    , 0.7071, 0.    ]])
    """
    scores = _met(histories, n) @ item_cosine(histories, n)
    scores[:, 0] = -np.inf
    return scores


def _met(histories: Histories, n: int) -> np.ndarray:
    """Who met what, 0 or 1 (u n+1)."""
    met = np.zeros((len(histories), n + 1))
    for user, items in enumerate(items_of(histories, n)):
        met[user, items] = 1
    return met
