r"""Intra-list diversity: how unlike each other the items of one list are.

    ILD_u = mean over pairs i ≠ j in R_u of 1 - cos(f_i, f_j)

Axes    items (u k), -1 where a list has ended; features (n f) -> (u).
Rule    NaN for fewer than two items. An item without features is unlike everything (cosine 0).
Cost    O(k f) a user, not O(k² f): the sum over all pairs is the squared length of the sum of the unit vectors.
Asked   "Diversity of what, by which distance?"  It depends on the features more than on the model.
Source  Smyth, McClave 2001; Ziegler et al. 2005 (intra-list similarity, the complement).
"""

import numpy as np
import torch

from recattn_mini.metrics._checks import check_items
from recattn_mini.shapes import takes


@takes(items="int u k", features="scores n f")
def intra_list_diversity_numpy(items: np.ndarray, features: np.ndarray) -> np.ndarray:
    """items (u k), features (n f) -> (u), the mean of 1 - cosine over pairs.

    >>> intra_list_diversity_numpy(np.array([[0, 1], [0, 2]]), np.array([[2.0, 0], [0, 1], [1, 0]]))  # across, along
    array([1., 0.])
    """
    check_items(items, len(features))
    length = np.linalg.norm(features.astype(np.float64), axis=1, keepdims=True)
    unit = features / np.where(length == 0, 1, length)
    listed = (items >= 0)[..., None]
    vectors = np.where(listed, unit[items], 0)
    count = listed.sum(axis=(1, 2))
    total = (vectors.sum(axis=1) ** 2).sum(axis=1) - (vectors**2).sum(
        axis=(1, 2)
    )  # less the pairs of an item with itself
    pairs = count * (count - 1)
    return 1 - total / np.where(pairs == 0, np.nan, pairs)


@takes(items="int u k", features="scores n f")
def intra_list_diversity(items: torch.Tensor, features: torch.Tensor) -> torch.Tensor:
    """items (u k), features (n f) -> (u), the mean of 1 - cosine over pairs."""
    check_items(items.cpu().numpy(), len(features))
    wide = features.double()
    length = wide.norm(dim=1, keepdim=True)
    unit = wide / length.masked_fill(length == 0, 1)
    listed = items >= 0
    vectors = unit[items.clamp_min(0)] * listed[..., None]
    count = listed.sum(dim=1).double()
    total = vectors.sum(dim=1).square().sum(dim=1) - vectors.square().sum(dim=(1, 2))
    pairs = count * (count - 1)
    return 1 - total / pairs.where(pairs != 0, torch.nan)
