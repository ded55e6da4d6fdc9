r"""gBCE: binary cross-entropy on one positive and m of n items, without the overconfidence that sampling brings.

    loss = mean of -(log σ(s₊)^β + Σ_m log(1 - σ(s₋))) / (m + 1);   β = α (t (1 - 1/α) + 1/α),   α = m / (n - 1)

Axes    positive (...), negatives (... m), n items in the catalogue, t from 0 to 1 -> a number.
Rule    Of the negatives only a share α is drawn, the positive always: BCE learns σ(s) = P / (P + α (1 - P)), close
        to 1 for every likely item, so the top of the list is nearly tied. t = 0 is BCE; with t = 1, so β = α, σ(s)
        learns P itself.
        β is 1 - t (1 - α), without a division by α; log σ^β is β log σ: no probability is raised to a power.
Asked   "Why are the scores of SASRec with one negative near 1? How must the negatives be drawn?" Uniformly.
Source  Petrov, Macdonald 2023 (gSASRec). https://arxiv.org/abs/2308.07192
"""

import numpy as np
import torch
import torch.nn.functional as F

from recattn_mini.shapes import takes


@takes(positive="...", negatives="... m", n="count")
def gbce_loss_numpy(positive: np.ndarray, negatives: np.ndarray, n: int, t: float) -> float:
    """positive (...), negatives (... m) of n items, calibration t -> nats a score.

    >>> zero = np.zeros((1, 2))
    >>> round(gbce_loss_numpy(zero[:, 0], zero, n=5, t=1.0), 4)  # α = 2/4 = β: (½ + 2) / 3 of log 2
    0.5776
    """
    m = negatives.shape[-1]
    beta = _beta(m, n, t)
    surprise = beta * np.logaddexp(0, -positive) + np.logaddexp(0, negatives).sum(axis=-1)
    return float(surprise.mean() / (m + 1))


@takes(positive="...", negatives="... m", n="count")
def gbce_loss(positive: torch.Tensor, negatives: torch.Tensor, n: int, t: float) -> torch.Tensor:
    """positive (...), negatives (... m) of n items, calibration t -> nats a score.

    >>> gbce_loss(torch.tensor([-1000.0]), torch.tensor([[-1000.0]]), n=101, t=1.0)  # β = 1/100: 10 and 0, halved
    tensor(5.)
    """
    m = negatives.shape[-1]
    beta = _beta(m, n, t)
    surprise = -beta * F.logsigmoid(positive) - F.logsigmoid(-negatives).sum(-1)
    return surprise.mean() / (m + 1)


def _beta(m: int, n: int, t: float) -> float:
    if m > n - 1:
        raise ValueError(f"n must be more than the m = {m} negatives that are drawn from it, got {n}")
    if not 0 <= t <= 1:
        raise ValueError(f"t must be from 0 (plain BCE) to 1 (calibrated), got {t}")
    return 1 - t * (1 - m / (n - 1))
