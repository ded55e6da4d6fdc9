r"""RMS normalisation: each vector is divided by its root mean square; no mean is subtracted, nothing is added.

    out = scale ⊙ x / √(mean x² + ε)

Axes    x (... d), scale (d); the mean is over the last axis.
Rule    ε = 1e-5 stands inside the root. Doubling x changes nothing; adding a constant changes the result,
        and does not in layer norm. Zeros stay zeros. On vectors of mean 0 RMS norm equals layer norm. Its authors argue
        that the invariance to scale, which RMS norm keeps, makes training stable.
Cost    O(d) a vector; one pass over x instead of two, d parameters instead of 2d.
Asked   "What does RMSNorm drop, and why do large models get away with it?"
Source  Zhang, Sennrich 2019, sec. 4. https://arxiv.org/abs/1910.07467
"""

import numpy as np
import torch

from recattn_mini.shapes import takes

EPS = 1e-5


@takes(x="... d", scale="d")
def rms_norm_numpy(x: np.ndarray, scale: np.ndarray) -> np.ndarray:
    """x (... d), scale (d) -> (... d): root mean square 1 over the last axis, times scale.

    >>> rms_norm_numpy(np.array([1000.0, 7000.0]), np.ones(2)).round(6)  # √((1 + 49)/2) is 5: 1/5 and 7/5
    array([0.2, 1.4])
    """
    return scale * x / np.sqrt((x**2).mean(axis=-1, keepdims=True) + EPS)


@takes(x="... d", scale="d")
def rms_norm(x: torch.Tensor, scale: torch.Tensor) -> torch.Tensor:
    """x (... d), scale (d) -> (... d): root mean square 1 over the last axis, times scale.

    The result has x's dtype; half precision is computed in float32, where its squares still fit.
    """
    wide = x.to(torch.promote_types(x.dtype, torch.float32))
    return (wide / (wide.square().mean(-1, keepdim=True) + EPS).sqrt() * scale).to(x.dtype)
