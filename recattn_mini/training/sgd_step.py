r"""One step of stochastic gradient descent, with momentum and weight decay.

    g ← gradient + decay · parameter;   velocity ← momentum · velocity + g;   parameter ← parameter - rate · velocity

Axes    parameter, gradient and velocity of one shape; the velocity starts as zeros.
Rule    As torch.optim.SGD: the gradient is not weighted by 1 - momentum, so a momentum of 0.9 makes the steps ten times
        as long in the end. The decay is the gradient of ½ decay ‖parameter‖² (L2); in SGD that is weight decay.
        Nothing is changed in place: new arrays come back.
Cost    One number more a parameter, for the velocity.
Asked   "What does momentum do in a narrow valley? Is L2 the same as weight decay?" In SGD yes, in Adam no.
Source  Polyak 1964; Sutskever et al. 2013. https://proceedings.mlr.press/v28/sutskever13.html
"""

import numpy as np
import torch

from recattn_mini.shapes import takes


@takes(parameter="...", gradient="...", velocity="...")
def sgd_step_numpy(
    parameter: np.ndarray,
    gradient: np.ndarray,
    velocity: np.ndarray,
    learning_rate: float,
    momentum: float = 0.9,
    weight_decay: float = 0.0,
) -> tuple[np.ndarray, np.ndarray]:
    """parameter (...), gradient (...), velocity (...) -> the new parameter and the new velocity.

    >>> one = np.array([1.0])
    >>> sgd_step_numpy(one, 2 * one, 4 * one, learning_rate=0.1, momentum=0.5)  # 0.5 · 4 + 2 = 4; 1 - 0.1 · 4
    (array([0.6]), array([4.]))
    """
    velocity = momentum * velocity + gradient + weight_decay * parameter
    return parameter - learning_rate * velocity, velocity


@takes(parameter="...", gradient="...", velocity="...")
def sgd_step(
    parameter: torch.Tensor,
    gradient: torch.Tensor,
    velocity: torch.Tensor,
    learning_rate: float,
    momentum: float = 0.9,
    weight_decay: float = 0.0,
) -> tuple[torch.Tensor, torch.Tensor]:
    """parameter (...), gradient (...), velocity (...) -> the new parameter and the new velocity."""
    velocity = momentum * velocity + gradient + weight_decay * parameter
    return parameter - learning_rate * velocity, velocity
