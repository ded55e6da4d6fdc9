r"""R-precision: the precision at R, the number of the user's own relevant items.

    RPrecision = #{r <= R : gain_r > 0} / R,   R = #{relevant items of the user}

Axes    gains (u r), judged (u m) -> (u).
Rule    The cutoff is the user's own, so 1 can be reached by everyone; there precision and recall are equal. NaN where
        nothing is relevant. gains must not be cut off before the largest R: what is missing reads as a list that ended.
Asked   "Precision@10 punishes users with three relevant items. What does not?"  R-precision, or dividing by min(k, R).
Source  trec_eval `Rprec`; Buckley, Voorhees 2000.
"""

import numpy as np
import torch

from recattn_mini.shapes import takes


@takes(gains="gains u r", judged="gains u m")
def r_precision_numpy(gains: np.ndarray, judged: np.ndarray) -> np.ndarray:
    """gains (u r) in rank order and judged (u m), all that could be gained -> (u), NaN where that is nothing.

    >>> r_precision_numpy(np.array([[1, 0, 1], [1, 0, 1]]), np.array([[1, 1, 0], [1, 1, 1]]))  # one of 2; two of 3
    array([0.5       , 0.66666667])
    """
    relevant = (judged > 0).sum(axis=1)
    within = np.arange(gains.shape[1]) < relevant[:, None]
    return ((gains > 0) & within).sum(axis=1) / np.where(relevant == 0, np.nan, relevant)


@takes(gains="gains u r", judged="gains u m")
def r_precision(gains: torch.Tensor, judged: torch.Tensor) -> torch.Tensor:
    """gains (u r) in rank order and judged (u m), all that could be gained -> (u), NaN where that is nothing."""
    relevant = (judged > 0).sum(dim=1).double()
    within = torch.arange(gains.shape[1], device=gains.device) < relevant[:, None]
    return ((gains > 0) & within).sum(dim=1) / relevant.where(relevant != 0, torch.nan)
