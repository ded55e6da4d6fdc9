r"""Softmax loss: cross-entropy over the whole catalogue; every item but the target is a negative.

    loss = mean of log Σ_n exp(s_n) - s_target;   gradient = (softmax(s) - onehot(target)) / number of targets

Axes    scores (... n), target (...) of columns from 0 -> a number.
Rule    The sum is shifted by each row's maximum, or exp(710) is inf. A score of -inf takes an item out.
        Positions without a target (padding) must not come in at all: their mean would count them.
Cost    O(n) a target, and as much memory: 64 users x 50 positions x 1e6 items are 12.8 GB in float32. Hence sampling.
Asked   "Why does SASRec with a full softmax beat SASRec as published? What stops you at ten million items?"
Source  Bridle 1990; Klenitskiy, Vasilev 2023. https://arxiv.org/abs/2309.07602
"""

import numpy as np
import torch

from recattn_mini.attention.softmax import softmax_numpy
from recattn_mini.shapes import takes


@takes(scores="... n", target="int ...")
def softmax_loss_numpy(scores: np.ndarray, target: np.ndarray) -> float:
    """scores (... n), target (...), a column from 0 to n-1 -> the mean of -log softmax(scores)[target], in nats.

    >>> round(softmax_loss_numpy(np.log([[1.0, 2.0, 5.0]]), np.array([1])), 4)  # 2 parts of 8: log 4
    1.3863
    """
    _check(target, scores.shape[-1])
    top = scores.max(axis=-1, keepdims=True)
    log_total = np.log(np.exp(scores - top).sum(axis=-1, keepdims=True)) + top
    return float((log_total - np.take_along_axis(scores, target[..., None], axis=-1)).mean())


@takes(scores="... n", target="int ...")
def softmax_loss_backward_numpy(scores: np.ndarray, target: np.ndarray) -> np.ndarray:
    """The gradient of the scores (... n): each row sums to 0, for what the target gains the others lose.

    >>> softmax_loss_backward_numpy(np.log([[1.0, 2.0, 5.0]]), np.array([1]))  # 1/8, 2/8 - 1, 5/8
    array([[ 0.125, -0.75 ,  0.625]])
    """
    _check(target, scores.shape[-1])
    is_target = target[..., None] == np.arange(scores.shape[-1])
    return (softmax_numpy(scores) - is_target) / target.size


@takes(scores="... n", target="int ...")
def softmax_loss(scores: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    """scores (... n), target (...), a column from 0 to n-1 -> the mean of -log softmax(scores)[target], in nats.

    >>> softmax_loss(torch.tensor([[0.0, 0.0], [1000.0, 0.0]]), torch.tensor([1, 1]))  # (log 2 + 1000) / 2
    tensor(500.3466)
    """
    _check(target, scores.shape[-1])
    return -torch.log_softmax(scores, -1).gather(-1, target[..., None].long()).mean()


def _check(target: np.ndarray | torch.Tensor, n: int) -> None:
    """A target of -1 would be the last item in NumPy; a graph that is compiled is not held up."""
    if not torch.compiler.is_compiling() and not ((target >= 0) & (target < n)).all():
        raise ValueError(f"target must be columns from 0 to n-1 = {n - 1}, got {target.min()} to {target.max()}")
