r"""Popularity: everybody is recommended what most people met. The figure that every other model has to beat.

    score_ui = how often item i was met by anybody

Axes    histories, oldest first, of u users; items 1 to n -> (u n+1), float64, the same row for every user.
Rule    Count only events that were known when the question was asked: a held-out event that is counted gives the
        answer away. Items that nobody met score 0 and are candidates; column 0 is padding, -inf.
Cost    O(events), and nothing to learn or to tune.
Asked   "Your model has HR@10 = 0.09 on MovieLens-100K. Is that good?"  Popularity has 0.086.
Source  "TopPop" in Cremonesi, Koren, Turrin 2010. https://doi.org/10.1145/1864708.1864721
"""

import numpy as np

from recattn_mini.models._histories import Histories, items_of
from recattn_mini.shapes import takes


@takes(n="count")
def popularity(histories: Histories, n: int) -> np.ndarray:
    """Histories of items 1 to n, one a user -> scores (u n+1).

    >>> popularity([[3, 1], [3]], 3)  # item 3 was met twice, item 2 never
    array([[-inf,   1.,   0.,   2.],
           [-inf,   1.,   0.,   2.]])
    """
    counts = np.bincount(np.concatenate(items_of(histories, n)), minlength=n + 1).astype(np.float64)
    counts[0] = -np.inf
    return np.tile(counts, (len(histories), 1))
