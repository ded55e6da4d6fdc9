r"""Label-aware attention (MIND): in training, the item to be predicted chooses among the user's interests.

    out = Σ_k softmax_k( (v_k·e)^p ) v_k;   when serving: score = max_k v_k·e

Axes    interests v (... k d), item e (... d), items (... n d), mask broadcasts to (... k), True = an interest in use.
Rule    p = 0 is the mean, p = 1 plain attention without 1/√d, a large p the best interest alone, as serving has it.
        That holds for scores above 1. Between -1 and 1, as cosines are, (v·e)^p → 0 and a large p is the *mean*;
        an even p makes the most opposed interest the favourite; a p that is not whole has no power of a negative
        score: NaN in most libraries, so p is whole here; 6^50 overflows float32, and its softmax is NaN.
        softmax(p · v_k·e) sharpens scores of every sign and size.
        It has read the label: it belongs in the loss, where all negatives meet the vector the positive has chosen.
Cost    O(k·d) time; serving takes k look-ups in an index, then the largest score of each item.
Asked   "What does p do? Why may training look at the label, and what does serving do without it?"
Source  Li et al. 2019, sec. 3. https://arxiv.org/abs/1904.08030; ComiRec (2020) trains with the argmax.
"""

import numbers

import numpy as np
import torch

from recattn_mini.attention.masks import masked_scores, masked_scores_numpy
from recattn_mini.attention.softmax import softmax, softmax_numpy
from recattn_mini.shapes import takes


@takes(interests="... k d", item="... d", mask="bool (... k)")
def label_aware_attention_numpy(
    interests: np.ndarray, item: np.ndarray, p: int, mask: np.ndarray | None = None
) -> np.ndarray:
    """interests (... k d), item (... d), p whole and not negative, mask (... k), True = in use -> (... d).

    >>> interests, item = np.array([[4.0, 1.0], [2.0, 1.0]]), np.array([1.0, 0.0])  # scores 4 and 2
    >>> [float(label_aware_attention_numpy(interests, item, p)[0].round(3)) for p in (0, 1, 2)]  # odds 1, e², e¹²
    [3.0, 3.762, 4.0]
    """
    _check_power(p)
    scores = (interests @ item[..., None])[..., 0] ** int(p)  # (... k)
    weights = softmax_numpy(masked_scores_numpy(scores, mask))
    return (weights[..., None, :] @ interests)[..., 0, :]


@takes(interests="... k d", item="... d", mask="bool (... k)")
def label_aware_attention(
    interests: torch.Tensor, item: torch.Tensor, p: int, mask: torch.Tensor | None = None
) -> torch.Tensor:
    """interests (... k d), item (... d), p whole and not negative, mask (... k), True = in use -> (... d).

    >>> interests, item = torch.tensor([[-3.0, 8.0], [1.0, 4.0]]), torch.tensor([1.0, 0.0])  # scores -3 and 1
    >>> [round(label_aware_attention(interests, item, p)[1].item(), 2) for p in (1, 2)]  # p = 2: -3 becomes 9
    [4.07, 8.0]
    """
    _check_power(p)
    scores = (interests @ item[..., None])[..., 0] ** int(p)  # (... k)
    weights = softmax(masked_scores(scores, mask))
    return (weights[..., None, :] @ interests)[..., 0, :]


@takes(interests="... k d", items="... n d", mask="bool (... k)")
def multi_interest_scores_numpy(interests: np.ndarray, items: np.ndarray, mask: np.ndarray | None = None) -> np.ndarray:
    """max_k v_k·e_n: interests (... k d), items (... n d), mask (... k), True = in use -> (... n).

    >>> interests = np.array([[1.0, 0.0], [0.0, 1.0]])  # each item goes to the interest that likes it best
    >>> multi_interest_scores_numpy(interests, np.array([[8.0, 1.0], [2.0, 4.0], [-3.0, -5.0]]))
    array([ 8.,  4., -3.])

    Asked   "Training looks at the label: what does serving do without it?"
    """
    scores = masked_scores_numpy(items @ np.swapaxes(interests, -1, -2), None if mask is None else mask[..., None, :])
    best = scores.max(axis=-1)
    return np.where(best == -np.inf, 0, best)


@takes(interests="... k d", items="... n d", mask="bool (... k)")
def multi_interest_scores(
    interests: torch.Tensor, items: torch.Tensor, mask: torch.Tensor | None = None
) -> torch.Tensor:
    """max_k v_k·e_n: interests (... k d), items (... n d), mask (... k), True = in use -> (... n).

    An interest that is not in use must be masked: left in as zeros it scores 0, and beats every negative score.
    A user with no interest in use scores 0.
    """
    scores = masked_scores(items @ interests.mT, None if mask is None else mask[..., None, :])
    best = scores.amax(-1)
    return best.masked_fill(best == -torch.inf, 0)


def _check_power(p: int) -> None:
    if not isinstance(p, numbers.Integral) or isinstance(p, bool) or p < 0:
        raise ValueError(f"p must be a whole number from 0, got {p!r}")
