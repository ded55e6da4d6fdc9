"""What AUC counts, for the wrong answers of `auc` and `gauc`."""

import torch


def pairs_won(scores: torch.Tensor, labels: torch.Tensor, tie: float = 0.5) -> torch.Tensor:
    """The share of pairs of a positive and a negative in the right order, a tie worth `tie`."""
    high, low = scores[labels == 1][:, None], scores[labels == 0]
    return ((high > low).double() + tie * (high == low)).mean()
