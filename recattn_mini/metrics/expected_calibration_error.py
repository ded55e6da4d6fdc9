r"""Expected calibration error: how far, bin by bin, the mean prediction is from the rate of what happened.

    ECE = Σ_b (n_b / n) · |mean p in b - mean y in b|

Axes    probabilities (n), labels (n), bins -> a number.
Rule    Equal widths [lo, hi), the last one closed; a score on an edge belongs to the upper bin. Empty bins count 0.
        More bins give a larger value on the same data, so report their number.
Asked   "ECE is 0. Is the model good?"  A constant base rate has 0 as well; calibration is not discrimination.
Source  Naeini et al. 2015; Guo et al. 2017, eq. 3 (whose bins are (lo, hi]).
"""

import numpy as np
import torch

from recattn_mini.shapes import takes


@takes(probabilities="chances n", labels="labels n", bins="count")
def expected_calibration_error_numpy(probabilities: np.ndarray, labels: np.ndarray, bins: int = 10) -> float:
    """probabilities (n), labels (n) -> the weighted mean gap over equally wide bins.

    >>> p, y = np.array([0.6, 0.2, 0.1, 0.4, 0.3, 0.1, 0.2, 0.1]), np.array([1, 0, 0, 1, 0, 0, 0, 0])
    >>> [round(expected_calibration_error_numpy(p, y, bins), 4) for bins in (2, 5)]
    [0.1, 0.25]
    """
    # edges are rounded as the predictions are: 0.7 in float32 is below 0.7 in float64, and belongs to the bin above it
    edges = (np.arange(1, bins) / bins).astype(np.result_type(probabilities, 1.0))
    place = np.searchsorted(edges, probabilities, side="right")
    gap = np.bincount(place, probabilities - labels.astype(np.float64), minlength=bins)
    return float(np.abs(gap).sum() / len(labels))


@takes(probabilities="chances n", labels="labels n", bins="count")
def expected_calibration_error(probabilities: torch.Tensor, labels: torch.Tensor, bins: int = 10) -> float:
    """probabilities (n), labels (n) -> the weighted mean gap over equally wide bins."""
    p = probabilities.double()
    edges = (torch.arange(1, bins, dtype=p.dtype, device=p.device) / bins).to(torch.result_type(probabilities, 1.0))
    place = torch.bucketize(probabilities, edges, right=True)
    gap = p.new_zeros(bins).index_add(0, place, p - labels.double())
    return (gap.abs().sum() / len(labels)).item()
