r"""One step of Adam: the mean gradient over the root of the mean square, both corrected for their start at zero.

    m ← β₁ m + (1-β₁) g;   v ← β₂ v + (1-β₂) g²;   m̂ = m / (1-β₁ᵗ),  v̂ = v / (1-β₂ᵗ)
    parameter ← parameter - rate · m̂ / (√v̂ + ε);   AdamW: first parameter ← (1 - rate · decay) · parameter

Axes    parameter, gradient, m and v of one shape; m and v start as zeros, step t counts from 1.
Rule    m and v come back uncorrected. Without the correction the first step is (1-β₁)/√(1-β₂) = 3.2 times too long.
        ε stands outside the root. A step is about as long as the rate, whatever the gradient's unit. So L2 in the
        gradient is divided by √v̂ too, and hardly shrinks a parameter with large gradients. AdamW shrinks the parameter.
        float16 has no 1e-8, and 0/0 is NaN: keep m and v in float32.
Cost    Two numbers more a parameter: an item table of 1e7 x 64 in float32 takes 5 GB of moments.
Asked   "Write a step. Why the correction? Adam with L2, or AdamW? What happens to an item that is in no batch?"
        An item that was never seen stays; one that was seen before is moved on by m, but not by a sparse Adam.
Source  Kingma, Ba 2015, alg. 1. https://arxiv.org/abs/1412.6980;  Loshchilov, Hutter 2019. https://arxiv.org/abs/1711.05101
"""

import numpy as np
import torch

from recattn_mini.shapes import takes


@takes(parameter="...", gradient="...", m="...", v="...", step="count")
def adam_step_numpy(
    parameter: np.ndarray,
    gradient: np.ndarray,
    m: np.ndarray,
    v: np.ndarray,
    step: int,
    learning_rate: float = 1e-3,
    beta_1: float = 0.9,
    beta_2: float = 0.999,
    eps: float = 1e-8,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """parameter, gradient, m and v (...), step from 1 -> the new parameter, the new m, the new v, in this order.

    m and v are the means before the correction, in the arguments and in the result: only the update of the parameter
    takes m / (1 - β₁^step) and v / (1 - β₂^step). ε is added to the root; where it is 0, as in the example, a gradient
    that has always been 0 gives 0 / 0. New arrays come back, in the dtype of the arguments, which stay as they are; m
    and v may be one and the same array of zeros.

    An item that is in no batch has gradient 0 and is stepped all the same: with m = 0, never seen, it stays where it
    is; seen before, it moves on by m. (A sparse Adam steps only the rows in the batch.)

    >>> zero = np.zeros(2)
    >>> p, m, v = adam_step_numpy(zero, np.array([1e-3, -1e3]), zero, zero, step=1, learning_rate=0.5, eps=0.0)
    >>> p, m  # the first step is the rate times the gradient's sign
    (array([-0.5,  0.5]), array([ 1.e-04, -1.e+02]))
    """
    m = beta_1 * m + (1 - beta_1) * gradient
    v = beta_2 * v + (1 - beta_2) * gradient**2
    root = np.sqrt(v / (1 - beta_2**step))
    return parameter - learning_rate * (m / (1 - beta_1**step)) / (root + eps), m, v


@takes(parameter="...", gradient="...", m="...", v="...", step="count")
def adamw_step_numpy(
    parameter: np.ndarray,
    gradient: np.ndarray,
    m: np.ndarray,
    v: np.ndarray,
    step: int,
    learning_rate: float = 1e-3,
    beta_1: float = 0.9,
    beta_2: float = 0.999,
    eps: float = 1e-8,
    weight_decay: float = 0.01,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Adam's step after the parameter has shrunk by rate · decay; the decay is in neither gradient nor m nor v.

    >>> one, zero = np.ones(1), np.zeros(1)
    >>> adamw_step_numpy(one, zero, zero, zero, step=1, learning_rate=0.1, weight_decay=0.5)[0]  # 1 - 0.1 · 0.5
    array([0.95])

    Asked   "Adam with L2, or AdamW: what is the difference to a parameter with large gradients?"
    Source  Loshchilov, Hutter 2019. https://arxiv.org/abs/1711.05101
    """
    decayed = (1 - learning_rate * weight_decay) * parameter
    return adam_step_numpy(decayed, gradient, m, v, step, learning_rate, beta_1, beta_2, eps)


@takes(parameter="...", gradient="...", m="...", v="...", step="count")
def adam_step(
    parameter: torch.Tensor,
    gradient: torch.Tensor,
    m: torch.Tensor,
    v: torch.Tensor,
    step: int,
    learning_rate: float = 1e-3,
    beta_1: float = 0.9,
    beta_2: float = 0.999,
    eps: float = 1e-8,
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """parameter, gradient, m and v (...), step from 1 -> the new parameter, the new m, the new v, in this order.

    m and v are the means before the correction, in the arguments and in the result: only the update of the parameter
    takes m / (1 - β₁^step) and v / (1 - β₂^step). ε is added to the root; where it is 0, as in the example, a gradient
    that has always been 0 gives 0 / 0. New arrays come back, in the dtype of the arguments, which stay as they are; m
    and v may be one and the same array of zeros.

    An item that is in no batch has gradient 0 and is stepped all the same: with m = 0, never seen, it stays where it
    is; seen before, it moves on by m. (A sparse Adam steps only the rows in the batch.)

    >>> zero = torch.zeros(2)
    >>> p, m, v = adam_step(zero, torch.tensor([1e-3, -1e3]), zero, zero, step=1, learning_rate=0.5, eps=0.0)
    >>> p  # the first step is the rate times the gradient's sign
    tensor([-0.5000,  0.5000])
    """
    m = beta_1 * m + (1 - beta_1) * gradient
    v = beta_2 * v + (1 - beta_2) * gradient**2
    root = torch.sqrt(v / (1 - beta_2**step))
    return parameter - learning_rate * (m / (1 - beta_1**step)) / (root + eps), m, v


@takes(parameter="...", gradient="...", m="...", v="...", step="count")
def adamw_step(
    parameter: torch.Tensor,
    gradient: torch.Tensor,
    m: torch.Tensor,
    v: torch.Tensor,
    step: int,
    learning_rate: float = 1e-3,
    beta_1: float = 0.9,
    beta_2: float = 0.999,
    eps: float = 1e-8,
    weight_decay: float = 0.01,
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Adam's step after the parameter has shrunk by rate · decay; the decay is in neither gradient nor m nor v."""
    decayed = (1 - learning_rate * weight_decay) * parameter
    return adam_step(decayed, gradient, m, v, step, learning_rate, beta_1, beta_2, eps)
