r"""Learned positions: a vector for each step, added to what stands there.

    out_p = x_p + P_p                    counted from the start
    out_p = x_p + P_(t-1-p)              counted from the end: the last step has row 0

Axes    x (b t d), table (m d): one row for each position that can be told apart.
Rule    A history longer than the table is a ValueError: row m was never trained, so there is nothing to extrapolate.
        Padding on the left moves a history's items; counted from the end, the last event is row 0 however much
        padding stands before it, in training as in serving.
Cost    O(t·d) time, m·d parameters. Late rows are trained by long histories only.
Asked   "SASRec pads on the left. What does position 3 mean, and what if serving sends fewer steps than training?"
Source  Kang, McAuley 2018, sec. III-A (SASRec). https://arxiv.org/abs/1808.09781
"""

import numpy as np
import torch
from torch import nn

from recattn_mini.shapes import takes


def _fits(t: int, m: int) -> None:
    if t > m:
        raise ValueError(
            f"x has {t} steps and table only {m} rows: extrapolation is impossible, a learned position has "
            "nothing to say of a step that it was not trained on. Keep the latest steps, or learn a longer table"
        )


@takes(x="b t d", table="m d")
def learned_positions_numpy(x: np.ndarray, table: np.ndarray) -> np.ndarray:
    """x (b t d), table (m d) -> (b t d): row p is added to step p from the start. t > m is a ValueError.

    >>> learned_positions_numpy(np.zeros((1, 2, 1)), np.array([[0.0], [0.1], [0.2]]))
    array([[[0. ],
            [0.1]]])
    """
    _fits(t := x.shape[1], len(table))
    return x + table[:t]


@takes(x="b t d", table="m d")
def learned_positions_from_the_end_numpy(x: np.ndarray, table: np.ndarray) -> np.ndarray:
    """x (b t d), table (m d) -> (b t d): the last step gets row 0, the one before it row 1. t > m is a ValueError.

    >>> learned_positions_from_the_end_numpy(np.zeros((1, 2, 1)), np.array([[0.0], [0.1], [0.2]]))
    array([[[0.1],
            [0. ]]])

    Asked   "Histories are padded on the left: which end do you count from?"
    """
    _fits(t := x.shape[1], len(table))
    return x + table[:t][::-1]  # cut, then turned: table[::-1][:t] would give the last step row m - t


@takes(x="b t d", table="m d")
def learned_positions(x: torch.Tensor, table: torch.Tensor) -> torch.Tensor:
    """x (b t d), table (m d) -> (b t d): row p is added to step p from the start. t > m is a ValueError."""
    _fits(t := x.shape[1], len(table))
    return x + table[:t]


@takes(x="b t d", table="m d")
def learned_positions_from_the_end(x: torch.Tensor, table: torch.Tensor) -> torch.Tensor:
    """x (b t d), table (m d) -> (b t d): the last step gets row 0, the one before it row 1. t > m is a ValueError."""
    _fits(t := x.shape[1], len(table))
    return x + table[:t].flip(0)


class LearnedPositions(nn.Module):
    """Adds a learned row to each step, counted from the start; m rows of width d.

    Parameters: table (m d), small at first, as in BERT: N(0, 0.02²).
    """

    def __init__(self, m: int, d: int) -> None:
        super().__init__()
        self.table = nn.Parameter(0.02 * torch.randn(m, d))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """x (b t d) -> (b t d); more than m steps are a ValueError."""
        return learned_positions(x, self.table)


class LearnedPositionsFromTheEnd(LearnedPositions):
    """The same, counted from the end: for histories padded on the left, whose last step is always the latest event."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """x (b t d) -> (b t d), the last step with row 0; more than m steps are a ValueError."""
        return learned_positions_from_the_end(x, self.table)
