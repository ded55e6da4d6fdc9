r"""Off-policy estimates: what would a new policy have earned, from the log of the old one?

    IPS = 1/n Σ_i r_i · w_i      SNIPS = Σ_i r_i · w_i / Σ_i w_i      clipped = 1/n Σ_i r_i · min(w_i, clip)
    w_i = π_new(shown_i | x_i) / π_log(shown_i | x_i)

Axes    rewards (n) >= 0, weights (n) >= 0 -> one figure.
Rule    IPS is unbiased if the old policy shows at least now and then whatever the new one shows; one rare item of huge
        weight can decide it. SNIPS divides by the weights' sum, n on average: a little bias, never above the largest
        reward. Clipping lowers the variance and, rewards being >= 0, the estimate. What was never shown, none repairs.
Asked   "Why not evaluate a new ranker on the clicks of the old one?"  Clicks exist only where the old one showed.
        "IPS says 140 % CTR."  Weights that do not average 1: look at their mean, at the largest, and use SNIPS.
Source  Horvitz, Thompson 1952; clipped: Ionides 2008, Bottou et al. 2013; SNIPS: Swaminathan, Joachims 2015.
"""

import math
import numbers

import numpy as np
import torch

from recattn_mini.shapes import takes


@takes(rewards="gains n", weights="gains n")
def ips_numpy(rewards: np.ndarray, weights: np.ndarray) -> float:
    """rewards (n) of what was shown, weights (n) = π_new / π_log -> the new policy's mean reward.

    >>> ips_numpy(np.array([1, 0, 1, 0]), np.array([0.5, 2.0, 2.0, 0.5]))  # (0.5 + 2) / 4
    0.625
    """
    return clipped_ips_numpy(rewards, weights, math.inf)


@takes(rewards="gains n", weights="gains n")
def ips(rewards: torch.Tensor, weights: torch.Tensor) -> float:
    """rewards (n) of what was shown, weights (n) = π_new / π_log -> the new policy's mean reward."""
    return clipped_ips(rewards, weights, math.inf)


@takes(rewards="gains n", weights="gains n")
def snips_numpy(rewards: np.ndarray, weights: np.ndarray) -> float:
    """As `ips_numpy`, self-normalised: the mean of the rewards, weighted.

    >>> snips_numpy(np.array([1, 0, 1, 0]), np.array([0.5, 2.0, 2.0, 0.5]))  # 2.5 / 5
    0.5
    """
    _check_sum(float(weights.max()))
    w = weights.astype(np.float64)
    return float(rewards.astype(np.float64) @ w / w.sum())


@takes(rewards="gains n", weights="gains n")
def snips(rewards: torch.Tensor, weights: torch.Tensor) -> float:
    """As `ips`, self-normalised: the mean of the rewards, weighted."""
    _check_sum(weights.max().item())
    w = weights.double()
    return (rewards.double() @ w / w.sum()).item()


@takes(rewards="gains n", weights="gains n")
def clipped_ips_numpy(rewards: np.ndarray, weights: np.ndarray, clip: float) -> float:
    """As `ips_numpy`, no weight above `clip`.

    >>> clipped_ips_numpy(np.array([1, 0, 1, 0]), np.array([0.5, 2.0, 2.0, 0.5]), 1.5)  # (0.5 + 1.5) / 4
    0.5
    """
    _check_clip(clip)
    return float((rewards.astype(np.float64) * np.minimum(weights.astype(np.float64), clip)).mean())


@takes(rewards="gains n", weights="gains n")
def clipped_ips(rewards: torch.Tensor, weights: torch.Tensor, clip: float) -> float:
    """As `ips`, no weight above `clip`."""
    _check_clip(clip)
    return (rewards.double() * weights.double().clamp(max=clip)).mean().item()


def _check_sum(largest: float) -> None:
    if largest == 0:
        raise ValueError("weights must not all be 0, got no row that the new policy would show")


def _check_clip(clip: float) -> None:
    if not isinstance(clip, numbers.Real) or not clip > 0:
        raise ValueError(f"clip must be a number above 0, got {clip!r}")
