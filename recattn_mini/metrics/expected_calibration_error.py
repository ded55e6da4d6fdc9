r"""Expected calibration error: of the rows predicted at about 10 %, do about 10 % click?

    ECE = Σ_b n_b / n · |mean p in b - mean y in b| = 1/n Σ_b |Σ_{i in b} (p_i - y_i)|,   b = bins of equal width

Axes    probabilities (n), labels (n) -> one figure.
Rule    Bins are [b / bins, (b + 1) / bins), the last one closed: a prediction on an edge belongs to the upper bin.
        0 does not mean good: predicting the CTR for everybody is calibrated. More bins show more, and more noise.
Asked   "Why must a CTR model in an auction be calibrated, and one for a feed less so?"  A bid is CTR · value; a feed
        only sorts, and a monotone map of the scores changes no order.
Source  Naeini et al. 2015; Guo et al. 2017 (there of the winning class, another figure).
"""

import numpy as np
import torch

from recattn_mini.shapes import takes


@takes(probabilities="chances n", labels="labels n", bins="count")
def expected_calibration_error_numpy(probabilities: np.ndarray, labels: np.ndarray, bins: int = 10) -> float:
    """probabilities (n), labels (n) -> the mean gap between prediction and click rate, bin by bin.

    >>> p, y = np.array([0.1, 0.2, 0.5, 0.9]), np.array([0, 1, 1, 1])
    >>> expected_calibration_error_numpy(p, y, 2)  # (|0.3 - 1| + |1.4 - 2|) / 4: 0.5 is in the upper bin
    0.325
    """
    # divided, not multiplied or spaced by a step: 0.29 · 100 is below 29, 3 · 0.1 above 0.3.
    # Rounded as the predictions are, so that one on an edge is on it in float32 too.
    edges = (np.arange(1, bins) / bins).astype(np.result_type(probabilities, 1.0))
    b = np.searchsorted(edges, probabilities, side="right")
    gap = np.bincount(b, weights=probabilities.astype(np.float64) - labels)
    return float(np.abs(gap).sum()) / len(labels)


@takes(probabilities="chances n", labels="labels n", bins="count")
def expected_calibration_error(probabilities: torch.Tensor, labels: torch.Tensor, bins: int = 10) -> float:
    """probabilities (n), labels (n) -> the mean gap between prediction and click rate, bin by bin."""
    edges = torch.arange(1, bins, dtype=torch.float64, device=probabilities.device) / bins
    b = torch.bucketize(probabilities, edges.to(torch.result_type(probabilities, 1.0)), right=True)
    gap = torch.bincount(b, weights=probabilities.double() - labels.double())
    return gap.abs().sum().item() / len(labels)
