r"""Candidate mask: many candidates are scored in one pass, each as if it alone followed the history.

                 history  candidates
    history      causal       –          a history position sees itself and what came before
    candidates     all       self        a candidate sees the whole history and itself, no rival

Axes    history (b s), candidates (b n), item ids; mask (b 1 s+n s+n) over [history, candidates], in this order.
Rule    Id 0 is padding, on whichever side and among candidates too: nobody sees it, and it sees nothing.
        Positions have to agree with the mask: every candidate stands at the same place, the one after the history.
Cost    One pass of s + n steps instead of n passes of s + 1. As the history sees no candidate, its keys and values
        are the same in all passes: they can be cached, and the candidates come in batches.
Asked   "Score 500 candidates with a target-aware transformer, without 500 passes. What must not see what?"
Source  Zhai et al. 2024 (HSTU), sec. 3.4, M-FALCON. https://arxiv.org/abs/2402.17152
"""

import numpy as np
import torch

from recattn_mini.shapes import takes


@takes(history="int b s", candidates="int b n")
def candidate_mask_numpy(history: np.ndarray, candidates: np.ndarray) -> np.ndarray:
    """Item ids history (b s) and candidates (b n) -> (b 1 s+n s+n), boolean; True = may attend.

    The history is causal, a candidate sees all of it and itself, nobody sees another candidate, not even one of the
    same id. Id 0 is padding, on either side of the history and among candidates: it sees nothing and is seen by nobody,
    so its row and its column are False. Rows are queries. The ids stay as they are.

    >>> candidate_mask_numpy(np.array([[0, 50, 181]]), np.array([[7, 9]]))[0, 0].astype(int)
    array([[0, 0, 0, 0, 0],
           [0, 1, 0, 0, 0],
           [0, 1, 1, 0, 0],
           [0, 1, 1, 1, 0],
           [0, 1, 1, 0, 1]])
    """
    real = np.concatenate([history, candidates], axis=-1) != 0  # (b s+n)
    key = np.arange(real.shape[-1])
    query = key[:, None]
    visible = (key <= query) & ((key < history.shape[-1]) | (key == query))  # causal, but no candidate sees another
    return (visible & real[:, None, :] & real[:, :, None])[:, None]


@takes(history="int b s", candidates="int b n")
def candidate_mask(history: torch.Tensor, candidates: torch.Tensor) -> torch.Tensor:
    """Item ids history (b s) and candidates (b n) -> (b 1 s+n s+n), boolean, on history's device; True = may attend.

    The history is causal, a candidate sees all of it and itself, nobody sees another candidate, not even one of the
    same id. Id 0 is padding, on either side of the history and among candidates: it sees nothing and is seen by nobody,
    so its row and its column are False. Rows are queries. The ids stay as they are.

    >>> candidate_mask(torch.tensor([[0, 50, 181]]), torch.tensor([[7, 0, 9]]))[0, 0].int()  # rows are queries
    tensor([[0, 0, 0, 0, 0, 0],
            [0, 1, 0, 0, 0, 0],
            [0, 1, 1, 0, 0, 0],
            [0, 1, 1, 1, 0, 0],
            [0, 0, 0, 0, 0, 0],
            [0, 1, 1, 0, 0, 1]], dtype=torch.int32)
    """
    real = torch.cat([history, candidates], dim=-1) != 0  # (b s+n)
    key = torch.arange(real.shape[-1], device=real.device)
    query = key[:, None]
    visible = (key <= query) & ((key < history.shape[-1]) | (key == query))  # causal, but no candidate sees another
    return (visible & real[:, None, :] & real[:, :, None])[:, None]
