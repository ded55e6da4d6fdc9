r"""Log-loss: how surprised the model is by what happened, in nats; the loss that click models are trained on.

    log-loss = -(1/n) Σ_i [y_i log p_i + (1 - y_i) log(1 - p_i)]

Axes    probabilities (n), labels (n) -> a number.
Rule    Not clipped: a certain mistake costs inf. Libraries clip at 1e-15, at the dtype's epsilon, or the log at -100,
        and one such row decides between 4 and 25 on four rows.
Asked   "Log-loss or AUC?"  AUC asks for the order, log-loss for the probability as well: an auction needs both.
Source  Good 1952.
"""

import numpy as np
import torch

from recattn_mini.shapes import takes


@takes(probabilities="chances n", labels="labels n")
def log_loss_numpy(probabilities: np.ndarray, labels: np.ndarray) -> float:
    """probabilities (n), labels (n) -> nats an example.

    >>> log_loss_numpy(np.array([0.5, 0.5]), np.array([1, 0])).__round__(4)  # log 2
    0.6931
    """
    p = probabilities.astype(np.float64)
    with np.errstate(divide="ignore"):
        # log1p, because 1 - p would round a p of 1e-20 away; 0 - x, because -0.0 prints its sign
        return 0 - float(np.where(labels == 1, np.log(p), np.log1p(-p)).mean())


@takes(probabilities="chances n", labels="labels n")
def log_loss(probabilities: torch.Tensor, labels: torch.Tensor) -> float:
    """probabilities (n), labels (n) -> nats an example."""
    p = probabilities.double()
    return 0 - torch.where(labels == 1, p.log(), (-p).log1p()).mean().item()
