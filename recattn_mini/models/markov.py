r"""First-order Markov chain: recommend what most often came right after the user's last item.

    score_uj = #{j came right after i} + popularity_j / (1 + max popularity),   i the last item of u

Axes    histories, oldest first, of u users; items 1 to n -> (u n+1), float64.
Rule    One transition outweighs any popularity, which is always below 1. So popularity only orders the items that
        transitions leave tied; most are tied, at 0. A user without history gets popularity alone. Column 0 is padding,
        -inf.
Cost    O(events) to count, O(n²) memory for the dense table; most of it is 0.
Asked   "What does SASRec have to beat?"  This table: it sees one item of the history, and needs no training.
        "Why not second order?"  Its table has n² rows for the same number of events: nearly every row is empty.
Source  Rendle, Freudenthaler, Schmidt-Thieme 2010 (FPMC), before it is factorised. https://doi.org/10.1145/1772690.1772773
"""

import numpy as np

from recattn_mini.models._histories import Histories, items_of
from recattn_mini.shapes import takes


@takes(n="count")
def transition_counts(histories: Histories, n: int) -> np.ndarray:
    """Histories of items 1 to n, one a user -> how often item j came right after item i, (n+1 n+1), row i, column j.

    >>> transition_counts([[1, 2, 1, 2], [2, 2]], 2)  # nobody's history goes on where another's ends
    array([[0., 0., 0.],
           [0., 0., 2.],
           [0., 1., 1.]])
    """
    counts = np.zeros((n + 1, n + 1))
    for items in items_of(histories, n):
        np.add.at(counts, (items[:-1], items[1:]), 1)  # counts[i, j] += 1 would count a repeated pair once
    return counts


@takes(n="count")
def markov(histories: Histories, n: int) -> np.ndarray:
    """Histories of items 1 to n, one a user -> scores (u n+1).

    >>> markov([[1, 2], [1], []], 3)  # 2 came after 1 once; 1 was met twice, 2 once: 2/3 and 1/3 for popularity
    array([[      -inf, 0.66666667, 0.33333333, 0.        ],
           [      -inf, 0.66666667, 1.33333333, 0.        ],
           [      -inf, 0.66666667, 0.33333333, 0.        ]])
    """
    known = items_of(histories, n)
    last = [items[-1] if len(items) else 0 for items in known]
    popularity = np.bincount(np.concatenate(known), minlength=n + 1)
    scores = transition_counts(known, n)[last] + popularity / (1 + popularity.max())
    scores[:, 0] = -np.inf
    return scores
