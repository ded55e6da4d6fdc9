r"""What would the click-through rate of *another* policy have been? Logged rewards, reweighed.

    w_i = π_new(a_i | x_i) / π_log(a_i | x_i);   IPS = mean(w r);   SNIPS = Σ w r / Σ w;   clipped: mean(min(w, c) r)

Axes    rewards (n), weights (n) -> a number.
Rule    IPS is unbiased if the log gave every action of the new policy a chance; its variance grows with w². SNIPS is
        slightly biased, varies less, and stays within the rewards. Clipping is biased downwards for rewards ≥ 0.
Asked   "Estimate the CTR of a new ranker from the old one's log. What if one weight is 500?"
Source  Horvitz, Thompson 1952; Swaminathan, Joachims 2015 (SNIPS); Bottou et al. 2013 (clipping).
"""

import numbers

import numpy as np
import torch

from recattn_mini.shapes import takes


@takes(rewards="gains n", weights="gains n")
def ips_numpy(rewards: np.ndarray, weights: np.ndarray) -> float:
    """The mean of w r: rewards (n), weights (n) -> the inverse propensity estimate.

    >>> ips_numpy(np.array([1, 0, 1, 0]), np.array([0.4, 1.2, 2.0, 0.4])).__round__(6)  # (0.4 + 2) / 4
    0.6
    """
    return float((rewards * weights.astype(np.float64)).mean())


@takes(rewards="gains n", weights="gains n")
def snips_numpy(rewards: np.ndarray, weights: np.ndarray) -> float:
    """The mean of the rewards weighted by weights, Σ w r / Σ w, as a Python float.

    rewards (n), at least 0, are what was logged; weights (n), at least 0, are π_new / π_log of the logged actions. The
    weights are taken as they are, not clipped. If all are 0, or there are no rows: ValueError. The inputs stay
    unchanged.

    >>> snips_numpy(np.array([1, 0, 1, 0]), np.array([0.5, 1.75, 2.0, 0.75]))  # 2.5 / 5; IPS says 2.5 / 4
    0.5

    Asked   "Why is it steadier than IPS?"
    Source  Swaminathan, Joachims 2015.
    """
    weights = weights.astype(np.float64)
    total = weights.sum()
    if total == 0:
        raise ValueError("weights must not all be 0, got a sum of 0: the new policy takes none of the logged actions")
    return float((rewards * weights).sum() / total)


@takes(rewards="gains n", weights="gains n")
def clipped_ips_numpy(rewards: np.ndarray, weights: np.ndarray, clip: float) -> float:
    """rewards (n), weights (n), none of which counts more than `clip` -> the clipped estimate.

    >>> clipped_ips_numpy(np.array([1, 0, 1, 0]), np.array([0.4, 1.2, 2.0, 0.4]), 1.6).__round__(6)  # (0.4 + 1.6) / 4
    0.5

    Asked   "One weight is 500. And now?"
    Source  Bottou et al. 2013.
    """
    _check_clip(clip)
    return ips_numpy(rewards, np.minimum(weights, clip))


@takes(rewards="gains n", weights="gains n")
def ips(rewards: torch.Tensor, weights: torch.Tensor) -> float:
    """The mean of w r: rewards (n), weights (n) -> the inverse propensity estimate."""
    return (rewards * weights.double()).mean().item()


@takes(rewards="gains n", weights="gains n")
def snips(rewards: torch.Tensor, weights: torch.Tensor) -> float:
    """The mean of the rewards weighted by weights, Σ w r / Σ w, as a Python float.

    rewards (n), at least 0, are what was logged; weights (n), at least 0, are π_new / π_log of the logged actions. The
    weights are taken as they are, not clipped. If all are 0, or there are no rows: ValueError. The inputs stay
    unchanged.

    >>> snips(torch.tensor([1.0, 0, 1, 0]), torch.tensor([0.5, 1.75, 2.0, 0.75]))  # 2.5 / 5; IPS says 2.5 / 4
    0.5
    """
    weights = weights.double()
    total = weights.sum()
    if total == 0:
        raise ValueError("weights must not all be 0, got a sum of 0: the new policy takes none of the logged actions")
    return ((rewards * weights).sum() / total).item()


@takes(rewards="gains n", weights="gains n")
def clipped_ips(rewards: torch.Tensor, weights: torch.Tensor, clip: float) -> float:
    """rewards (n), weights (n), none of which counts more than `clip` -> the clipped estimate."""
    _check_clip(clip)
    return ips(rewards, weights.clamp_max(clip))


def _check_clip(clip: float) -> None:
    if not isinstance(clip, numbers.Real) or not clip > 0:
        raise ValueError(f"clip must be above 0, got {clip!r}")
