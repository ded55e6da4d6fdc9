r"""Binary cross-entropy of logits: what click models are trained on, without overflow at any logit.

    loss = mean of max(x, 0) - x y + log(1 + exp(-|x|));   gradient = (σ(x) - y) / number of logits

Axes    logits and labels of one shape; labels from 0 to 1 (a share of clicks is one too) -> a number.
Rule    Take logits, not probabilities: σ(-1000) is 0, and log 0 is -inf. With probabilities clipped to 1e-7 the loss is
        finite, but its gradient is 0 exactly where the model is most wrong.
        -y log σ(x) - (1-y) log σ(-x) equals log(1 + exp x) - x y; max(x, 0) is taken out of the logarithm.
Cost    O(1) a logit.
Asked   "Write it from logits. Why not from probabilities? What is its gradient, and at a logit of exactly 0?"
Source  Cox 1958; the form is that of TensorFlow's sigmoid_cross_entropy_with_logits, 2015.
"""

import numpy as np
import torch

from recattn_mini.shapes import takes


@takes(logits="...", labels="chances ...")
def binary_cross_entropy_numpy(logits: np.ndarray, labels: np.ndarray) -> float:
    """logits (...), labels (...) from 0 to 1 -> the mean of -y log σ(x) - (1-y) log(1 - σ(x)), in nats.

    Logits may be of any size: at -1000 with label 1 the loss is 1000, neither inf nor what a clipped probability gives.
    Labels may be of any dtype (bool, int, float), and shares of clicks between 0 and 1. The mean is over all axes, one
    Python float. The arguments stay as they are.

    >>> round(binary_cross_entropy_numpy(np.log([3.0, 3.0]), np.array([1, 0])), 4)  # σ is ¾: log 4/3 and log 4, halved
    0.837
    """
    x, y = logits, labels.astype(logits.dtype)
    return float((np.maximum(x, 0) - x * y + np.log1p(np.exp(-np.abs(x)))).mean())


@takes(logits="...", labels="chances ...")
def binary_cross_entropy_backward_numpy(logits: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """The gradient of the logits (...): what is predicted minus what was, over the number of logits.

    >>> binary_cross_entropy_backward_numpy(np.array([0.0, 0.0]), np.array([1, 0]))  # (½ - 1) / 2 and (½ - 0) / 2
    array([-0.25,  0.25])
    """
    probabilities = np.exp(-np.logaddexp(0, -logits))  # 1 / (1 + exp(-x)) would overflow on the way
    return (probabilities - labels.astype(logits.dtype)) / logits.size


@takes(logits="...", labels="chances ...")
def binary_cross_entropy(logits: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """logits (...), labels (...) from 0 to 1 -> the mean of -y log σ(x) - (1-y) log(1 - σ(x)), in nats.

    Logits may be of any size: at -1000 with label 1 the loss is 1000, neither inf nor what a clipped probability gives.
    Labels may be of any dtype (bool, int, float), and shares of clicks between 0 and 1. The mean is over all axes, a
    tensor without axes. Its gradient is (σ(x) - y) / n everywhere, at a logit of exactly 0 too. The arguments stay as
    they are.

    >>> binary_cross_entropy(torch.tensor([-1000.0, 1000.0]), torch.tensor([1.0, 1.0]))  # 1000 and 0
    tensor(500.)
    """
    x, y = logits, labels.to(logits.dtype)
    # at x = 0 maximum gives half of the gradient to x, which is right; clamp would give all of it, relu none
    return (torch.maximum(x, torch.zeros_like(x)) - x * y + torch.log1p(torch.exp(-x.abs()))).mean()
