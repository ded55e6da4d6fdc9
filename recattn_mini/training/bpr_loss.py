r"""BPR: what was taken should score higher than what was not; only the difference counts.

    loss = mean of -log σ(s₊ - s₋) over all pairs

Axes    positive (...), negatives (... m) -> a number; with one negative m is 1.
Rule    A smooth AUC: log(1 + exp(s₋ - s₊)) instead of [s₋ > s₊]. A number added to all of a user's scores changes
        nothing, so they are no probabilities. Take no logarithm of a sigmoid: σ(-1000) is 0.
        A pair that is won by far has no gradient: uniform negatives soon teach nothing, hence harder ones.
Cost    O(m) a positive.
Asked   "BPR or BCE: what does each estimate? Why does BPR learn slowly from uniform negatives?"
Source  Rendle et al. 2009, sec. 4. https://arxiv.org/abs/1205.2618
        Rendle, Freudenthaler 2014: the vanishing gradient. https://doi.org/10.1145/2556195.2556248
"""

import numpy as np
import torch
import torch.nn.functional as F

from recattn_mini.shapes import takes


@takes(positive="...", negatives="... m")
def bpr_loss_numpy(positive: np.ndarray, negatives: np.ndarray) -> float:
    """positive (...), negatives (... m) -> the mean of -log σ(s₊ - s₋) over all pairs, in nats.

    >>> scores = np.log([3.0]), np.log([[1.0, 3.0]])
    >>> round(bpr_loss_numpy(*scores), 4)  # odds of 3 to 1 and of 1 to 1: (log 4/3 + log 2) / 2
    0.4904
    """
    return float(np.logaddexp(0, negatives - positive[..., None]).mean())


@takes(positive="...", negatives="... m")
def bpr_loss(positive: torch.Tensor, negatives: torch.Tensor) -> torch.Tensor:
    """positive (...), negatives (... m) -> the mean of -log σ(s₊ - s₋) over all pairs, in nats.

    >>> bpr_loss(torch.tensor([1000.0]), torch.tensor([[1000.0], [1000.0]]).mT)  # ties: log 2
    tensor(0.6931)
    """
    return -F.logsigmoid(positive[..., None] - negatives).mean()
