r"""Sinusoidal positions: each pair of columns is a point on a circle that turns with the position.

    PE(p)_2i = sin(p / 10000^(2i/d));   PE(p)_2i+1 = cos(p / 10000^(2i/d))

Axes    positions (* t), whole numbers; encodings (* t d), d even; i from 0 to d/2 - 1.
Rule    float64 in both forms: a whole number has no dtype to keep, and in float32 an angle near 100,000 is wrong from
        the third decimal on. It is rounded once, where it is added: x + sinusoidal_positions(positions, d).to(x).
        Sine and cosine alternate; tensor2tensor and fairseq put all sines first and divide 2i by d - 2.
        PE(p + k) is PE(p) with each pair turned by an angle that k alone fixes, a linear map; and PE(p)·PE(p + k)
        = Σ_i cos(k / 10000^(2i/d)) knows the distance, but not the direction.
Cost    O(t·d), nothing to learn. Any position has an encoding, which does not mean that the model can use it.
Asked   "Why a sine and a cosine? What does the dot product of two encodings know?"
Source  Vaswani et al. 2017, sec. 3.5. https://arxiv.org/abs/1706.03762
"""

import numpy as np
import torch

from recattn_mini.shapes import takes


def _even(d: int) -> None:
    if d % 2:
        raise ValueError(f"d must be even, a sine and a cosine for each frequency, got {d}")


@takes(positions="int * t", d="count")
def sinusoidal_positions_numpy(positions: np.ndarray, d: int) -> np.ndarray:
    """Whole positions (* t), from any start, below 0 too, and an even d -> encodings (* t d), float64.

    Column 2i is sin(p / 10000^(2i/d)), column 2i + 1 the cosine of the same angle, for i from 0 to d/2 - 1. An odd d is
    a ValueError. At position 100,000 all digits are right, so the angles are float64. The positions stay as they are.

    >>> sinusoidal_positions_numpy(np.array([0, 100]), 4).round(3)  # frequencies 1 and 1/100: angles 100 and 1
    array([[ 0.   ,  1.   ,  0.   ,  1.   ],
           [-0.506,  0.862,  0.841,  0.54 ]])
    """
    _even(d)
    angles = positions[..., None] / 10000 ** (np.arange(0, d, 2) / d)  # (* t d/2)
    return np.stack([np.sin(angles), np.cos(angles)], axis=-1).reshape(*positions.shape, d)  # sin, cos, sin, cos, …


@takes(positions="int * t", d="count")
def sinusoidal_positions(positions: torch.Tensor, d: int) -> torch.Tensor:
    """Whole positions (* t), from any start, below 0 too, and an even d -> encodings (* t d), float64.

    Column 2i is sin(p / 10000^(2i/d)), column 2i + 1 the cosine of the same angle, for i from 0 to d/2 - 1. An odd d is
    a ValueError. At position 100,000 all digits are right, so the angles are float64. The positions stay as they are,
    and the encodings are on their device. MPS has no float64: there make them on the CPU, and let `.to(x)` move them.

    >>> sinusoidal_positions(torch.tensor([0, 100]), 4)  # frequencies 1 and 1/100: angles 100 and 1
    tensor([[ 0.0000,  1.0000,  0.0000,  1.0000],
            [-0.5064,  0.8623,  0.8415,  0.5403]], dtype=torch.float64)
    """
    _even(d)
    # without the dtype the frequencies would be float32, whatever the positions are
    exponents = torch.arange(0, d, 2, dtype=torch.float64, device=positions.device) / d
    angles = positions[..., None] / 10000**exponents  # (* t d/2)
    return torch.stack([angles.sin(), angles.cos()], dim=-1).flatten(-2)  # sin, cos, sin, cos, …
