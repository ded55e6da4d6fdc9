r"""Log-loss: the mean surprise at what happened, in nats. It asks for probabilities, not only for their order.

    log-loss = -1/n Σ_i [ y_i · ln p_i + (1 - y_i) · ln(1 - p_i) ]

Axes    probabilities (n), labels (n) -> one figure.
Rule    A certain prediction that fails costs inf: nothing is clipped. A certain one that holds costs 0.
Asked   "Two libraries give 9.1 and 25.1 for the same predictions. Why?"  One p is 0 or 1 and wrong, and each clips it
        somewhere else: the figure is then that of the clip. Clip in the model, if at all.
Source  Good 1952. It is the only loss of its kind that looks at the probability of what happened alone.
"""

import numpy as np
import torch

from recattn_mini.shapes import takes


@takes(probabilities="chances n", labels="labels n")
def log_loss_numpy(probabilities: np.ndarray, labels: np.ndarray) -> float:
    """probabilities (n), labels (n) -> the mean of -ln of the probability of what happened; inf if that was 0.

    >>> round(log_loss_numpy(np.array([0.5, 0.25]), np.array([1, 0])), 4)  # (ln 2 + ln 4/3) / 2
    0.4904
    """
    p = probabilities.astype(np.float64)
    with np.errstate(divide="ignore"):  # ln 0 is meant
        # chosen, not multiplied by the label: 0 · inf is NaN. log1p: 1 - p would lose a small p
        return -float(np.where(labels == 1, np.log(p), np.log1p(-p)).mean())


@takes(probabilities="chances n", labels="labels n")
def log_loss(probabilities: torch.Tensor, labels: torch.Tensor) -> float:
    """probabilities (n), labels (n) -> the mean of -ln of the probability of what happened; inf if that was 0."""
    p = probabilities.double()
    return -torch.where(labels == 1, p.log(), (-p).log1p()).mean().item()
