r"""NAML: a CNN reads the words, additive attention pools words into views, views into news, news into a user.

    c_j = ReLU(W_conv [x_{j-1} ; x_j ; x_{j+1}] + b_conv);   text = additive_pooling(c)

Axes    words x (... s d), mask broadcasts to (... s), True = a word; W_conv (e d w) as in nn.Conv1d, b_conv (e);
        w words in a window (3 in the paper); additive pooling's W (a e), b and w_score (a).
Rule    Beyond the borders stand zeros, so s words give s vectors. Padding is masked twice: before the CNN, or its
        embedding leaks into the words beside it; after the CNN, or ReLU(b_conv) is pooled as if it were a word.
        The attention stands on the CNN's features: a word is weighed together with its neighbours.
        The candidate appears nowhere: news and users are encoded beforehand, the score is their dot product.
Cost    O(s·e·(w·d + a)) time a text: linear in s, all words at once.
Asked   "Add attention to a CNN: where? Three levels of pooling: what does each learn to ignore?"
Source  Wu et al. 2019 (NAML), sec. 2. https://arxiv.org/abs/1907.05576
"""

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from recattn_mini.attention.additive_pooling import AdditivePooling, additive_pooling, additive_pooling_numpy
from recattn_mini.shapes import takes


@takes(words="... s d", w_conv="e d w", b_conv="e", w_hidden="a e", b_hidden="a", w_score="a", mask="bool (... s)")
def naml_words_numpy(
    words: np.ndarray,
    w_conv: np.ndarray,
    b_conv: np.ndarray,
    w_hidden: np.ndarray,
    b_hidden: np.ndarray,
    w_score: np.ndarray,
    mask: np.ndarray | None = None,
) -> np.ndarray:
    """words (... s d), w_conv (e d w), b_conv (e), w_hidden (a e), b_hidden and w_score (a), mask (... s) -> (... e).

    >>> words, zero = np.array([[1.0], [2.0], [6.0]]), np.zeros(1)
    >>> naml_words_numpy(words, np.ones((1, 1, 3)), zero, zero[:, None], zero, zero)  # mean of 0+1+2, 1+2+6, 2+6+0
    array([6.66666667])
    """
    if mask is not None:
        words = np.where(mask[..., None], words, 0)  # a padding word must not be read by its neighbours
    size = w_conv.shape[-1]
    before = np.zeros_like(words, shape=(*words.shape[:-2], (size - 1) // 2, words.shape[-1]))
    after = np.zeros_like(words, shape=(*words.shape[:-2], size // 2, words.shape[-1]))
    padded = np.concatenate([before, words, after], axis=-2)
    windows = np.lib.stride_tricks.sliding_window_view(padded, size, axis=-2)  # (... s d w)
    features = np.maximum(windows.reshape(*words.shape[:-1], -1) @ w_conv.reshape(len(w_conv), -1).T + b_conv, 0)
    return additive_pooling_numpy(features, w_hidden, b_hidden, w_score, mask)


@takes(words="... s d", w_conv="e d w", b_conv="e", w_hidden="a e", b_hidden="a", w_score="a", mask="bool (... s)")
def naml_words(
    words: torch.Tensor,
    w_conv: torch.Tensor,
    b_conv: torch.Tensor,
    w_hidden: torch.Tensor,
    b_hidden: torch.Tensor,
    w_score: torch.Tensor,
    mask: torch.Tensor | None = None,
) -> torch.Tensor:
    """words (... s d), w_conv (e d w), b_conv (e), w_hidden (a e), b_hidden, w_score (a), mask (... s) -> (... e)."""
    if mask is not None:
        words = words.masked_fill(~mask[..., None], 0)  # a padding word must not be read by its neighbours
    size = w_conv.shape[-1]
    windows = F.pad(words, (0, 0, (size - 1) // 2, size // 2)).unfold(-2, size, 1)  # (... s d w)
    features = (windows.flatten(-2) @ w_conv.flatten(1).mT + b_conv).relu()
    return additive_pooling(features, w_hidden, b_hidden, w_score, mask)


class NAMLWords(nn.Module):
    """A text as one vector: conv, ReLU, pooling; widths d of a word, e of the text, a of the hidden layer.

    Parameters: conv.weight (e d 3), conv.bias (e), and those of pooling, an AdditivePooling(e, a).
    """

    def __init__(self, d: int, e: int, a: int) -> None:
        super().__init__()
        self.conv = nn.Conv1d(d, e, kernel_size=3)
        self.pooling = AdditivePooling(e, a)

    def forward(self, words: torch.Tensor, mask: torch.Tensor | None = None) -> torch.Tensor:
        """words (... s d), mask (... s), True = a word -> (... e)."""
        assert self.conv.bias is not None
        pooling = self.pooling.hidden.weight, self.pooling.hidden.bias, self.pooling.score.weight[0]
        return naml_words(words, self.conv.weight, self.conv.bias, *pooling, mask)


class NAMLEncoder(nn.Module):
    """News from its title, its body and its category, and a user from news; c is the width of a category's embedding.

    Parts: title, body (NAMLWords), category (Linear c -> e), views and history (AdditivePooling(e, a)).
    """

    def __init__(self, d: int, c: int, e: int, a: int) -> None:
        super().__init__()
        self.title, self.body = NAMLWords(d, e, a), NAMLWords(d, e, a)
        self.category = nn.Linear(c, e)
        self.views, self.history = AdditivePooling(e, a), AdditivePooling(e, a)

    def news(
        self,
        title: torch.Tensor,
        body: torch.Tensor,
        category: torch.Tensor,
        title_mask: torch.Tensor | None = None,
        body_mask: torch.Tensor | None = None,
    ) -> torch.Tensor:
        """title (... s d), body (... t d), category (... c), masks (... s), (... t), True = a word -> (... e)."""
        views = self.title(title, title_mask), self.body(body, body_mask), self.category(category).relu()
        return self.views(torch.stack(views, dim=-2))

    @takes(news="... s e", mask="bool (... s)")
    def forward(self, news: torch.Tensor, mask: torch.Tensor | None = None) -> torch.Tensor:
        """A user's clicked news (... s e), mask (... s), True = clicked -> (... e), to be dotted with a candidate's."""
        return self.history(news, mask)
