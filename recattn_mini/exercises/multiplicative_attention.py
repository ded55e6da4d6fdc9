"""Spec of multiplicative_attention: one matrix, the right way round."""

import math

import torch
import torch.nn.functional as F

from recattn_mini.attention.masks import masked_scores
from recattn_mini.attention.multiplicative_attention import multiplicative_attention, multiplicative_attention_numpy
from recattn_mini.attention.softmax import softmax
from recattn_mini.exercises.spec import (
    finite,
    float64,
    gradients,
    random_tensors,
    right,
    same,
    teaching,
    torch_only,
    wrong,
)

NAMES = tuple("qkvw")
LEVEL, MINUTES = "easy", 5
HINTS = (
    "q is (t d), k is (s c), W is (d c): in which order do they fit, and what is left?",
    "scores = q W kᵀ. There is no √d in this formula: W may learn any scale.",
    "mask q @ w @ k.swapaxes(-1, -2) with -inf, softmax over the keys (zeros for an empty row), times v.",
)
FORBIDDEN = (
    "torch.nn.functional.scaled_dot_product_attention",
    "torch.nn.functional.bilinear",
    "torch.nn.Bilinear",
    "keras.layers.Attention",
)


def inputs() -> dict[str, tuple]:
    q, k, v, w = random_tensors((2, 3, 5, 7), (2, 3, 11, 6), (2, 3, 11, 13), (7, 6))
    square_k, square_w = random_tensors((2, 3, 11, 7), (7, 7), seed=4)
    some = torch.rand(5, 11, generator=torch.Generator().manual_seed(0)) < 0.6
    some[:, 4] = True
    nobody = torch.tensor([1, 0, 1, 1, 0]).bool()[:, None].repeat(2, 3, 1, 11)
    scores = 900 * q @ w @ k.mT
    below = scores <= scores.kthvalue(3, -1, keepdim=True).values  # some rows have nothing above -1,000
    view_q, view_k, view_v = random_tensors((5, 7, 3), (6, 11, 3), (13, 3, 11), seed=2)
    one_q, one_k, one_v = random_tensors((1, 1, 7), (1, 3, 6), (1, 3, 5), seed=3)
    return {
        "no mask": (q, k, v, w, None),
        "square": (q, square_k, v, square_w, None),
        "a mask": (q, k, v, w, some),
        "nobody to attend to": (q, k, v, w, nobody),
        "large": (30 * q, 30 * k, v, w, None),
        "masked scores are the largest": (30 * q, 30 * k, v, w, below),
        "views": (view_q.movedim(2, 0), view_k.permute(2, 1, 0), view_v.permute(1, 2, 0), w, None),
        "one": (one_q, one_k, one_v, w, None),
    }


def expected(q, k, v, w, mask=None):
    """PyTorch's own attention without a scale, of q W."""
    return F.scaled_dot_product_attention(q @ w, k, v, mask, scale=1.0)


@teaching
def check_worked_example(f):
    "scores log 3 and 0: odds of 3 to 1 between 8 and 4 give 7; even odds give 6"
    q, k, w = float64([[1, 0], [0, 0]]), float64([[1], [0]]), float64([[math.log(3)], [9]])
    same(f(q, k, float64([[8, 0], [4, 4]]), w), float64([[7, 1], [6, 2]]))


def check_values(f):
    "agrees with PyTorch where q and k differ in width, on views, on one query"
    for case in ("no mask", "views", "one"):
        same(f(*inputs()[case]), expected(*inputs()[case]))


def check_square(f):
    "W is not symmetric: qᵀ W k, not kᵀ W q, also where both would fit"
    same(f(*inputs()["square"]), expected(*inputs()["square"]))


def check_mask(f):
    "a masked key counts for nothing, and the other weights still sum to 1"
    same(f(*inputs()["a mask"]), expected(*inputs()["a mask"]))


def check_nobody_to_attend_to(f):
    "a query that may attend to nothing gets zeros"
    same(f(*inputs()["nobody to attend to"]), expected(*inputs()["nobody to attend to"]))


def check_large_scores(f):
    "scores beyond 1,000 do not overflow"
    same(f(*inputs()["large"]), expected(*inputs()["large"]))


def check_masked_scores_are_the_largest(f):
    "a masked key counts for nothing however large its score, and however low the others"
    case = inputs()["masked scores are the largest"]
    same(f(*case), expected(*case))


@torch_only
def check_gradient(f):
    "the gradients of q, k, v and W agree"
    case = inputs()["no mask"]
    same(gradients(f, *case), gradients(multiplicative_attention, *case), NAMES)
    finite(gradients(f, *inputs()["nobody to attend to"]), NAMES)


def _attend(scores, v, mask):
    return softmax(masked_scores(scores, mask)) @ v


@wrong("W is transposed: qᵀ W k, with q on the left")
def transposed_where_square(q, k, v, w, mask=None):
    return multiplicative_attention(q, k, v, w.T if w.shape[0] == w.shape[1] else w, mask)


@wrong("W is transposed: (d c) has d on q's side")
def transposed(q, k, v, w, mask=None):
    return _attend(q @ w.T @ k.mT, v, mask)


@wrong("W is made symmetric: query and key are not interchangeable")
def symmetrised(q, k, v, w, mask=None):
    return multiplicative_attention(q, k, v, (w + w.T) / 2 if w.shape[0] == w.shape[1] else w, mask)


@wrong("W is not used where q and k have the same width: that is dot attention")
def not_used(q, k, v, w, mask=None):
    return _attend(q @ k.mT + 0 * w.sum() if q.shape[-1] == k.shape[-1] else q @ w @ k.mT, v, mask)


@wrong("divided by √d: this score has no scale, W learns it")
def scaled_by_root_d(q, k, v, w, mask=None):
    return _attend(q @ w @ k.mT / math.sqrt(q.shape[-1]), v, mask)


@wrong("divided by √c, the width of k: this score has no scale, W learns it")
def scaled_by_root_c(q, k, v, w, mask=None):
    return _attend(q @ w @ k.mT / math.sqrt(k.shape[-1]), v, mask)


@wrong("a tanh around the score: that belongs to additive attention")
def with_tanh(q, k, v, w, mask=None):
    return _attend(torch.tanh(q @ w @ k.mT), v, mask)


@wrong("the softmax runs over the queries: the weights of one query, over the keys, must sum to 1")
def softmax_over_queries(q, k, v, w, mask=None):
    return softmax(masked_scores(q @ w @ k.mT, mask).mT.contiguous()).mT @ v


@wrong("k is reshaped to (... d s), which mixes up its numbers: swap its last two axes")
def reshaped_not_transposed(q, k, v, w, mask=None):
    mixed_up = k.reshape(*k.shape[:-2], k.shape[-1], k.shape[-2])
    return _attend(q @ w @ mixed_up, v, mask)


@wrong("no softmax: scores are no weights")
def no_softmax(q, k, v, w, mask=None):
    scores = q @ w @ k.mT
    return (scores if mask is None else scores.masked_fill(~mask, 0)) @ v


@wrong("the mask is not used")
def mask_ignored(q, k, v, w, mask=None):
    return multiplicative_attention(q, k, v, w)


@wrong("the mask is upside down: True means may attend")
def inverted_mask(q, k, v, w, mask=None):
    return multiplicative_attention(q, k, v, w, None if mask is None else ~mask)


@wrong("masked after the softmax: the weights left over no longer sum to 1. Mask the scores, with -inf")
def masked_after_the_softmax(q, k, v, w, mask=None):
    weights = softmax(q @ w @ k.mT)
    return (weights if mask is None else weights * mask) @ v


@wrong("the scores are indexed with the mask: a mask broadcasts, (t s) or (b 1 1 s) to (b h t s). Use where")
def mask_as_index(q, k, v, w, mask=None):
    scores = q @ w @ k.mT
    if mask is not None:
        scores[~mask] = -torch.inf
    return softmax(scores) @ v


@wrong("masked with a large negative number: a row that may attend to nothing becomes uniform. Use -inf, then zeros")
def minus_one_billion(q, k, v, w, mask=None):
    scores = q @ w @ k.mT
    return softmax(scores if mask is None else scores.masked_fill(~mask, -1e9)) @ v


@wrong("a query that may attend to nothing gets NaN: softmax of a row of -inf. Give it zeros")
def nan_where_nobody(q, k, v, w, mask=None):
    return torch.softmax(masked_scores(q @ w @ k.mT, mask), -1) @ v


@wrong("scores are clipped at 700, where exp still fits: all larger ones become ties. Subtract the row's maximum")
def clipped(q, k, v, w, mask=None):
    return _attend((q @ w @ k.mT).clamp_max(700), v, mask)


@wrong("exp without the row's maximum subtracted overflows beyond 710")
def softmax_overflows(q, k, v, w, mask=None):
    parts = masked_scores(q @ w @ k.mT, mask).exp()
    total = parts.sum(-1, keepdim=True)
    return parts / torch.where(total == 0, 1, total) @ v


@wrong("masked scores are set to 0, and exp(0) is 1: use -inf")
def masked_with_zero(q, k, v, w, mask=None):
    scores = q @ w @ k.mT
    return softmax(scores if mask is None else scores * mask) @ v


@wrong("the maximum is taken before masking: a large masked score pushes all others to 0. Mask first")
def maximum_before_the_mask(q, k, v, w, mask=None):
    scores = q @ w @ k.mT
    parts = (scores - scores.detach().amax(-1, keepdim=True)).exp()
    parts = parts if mask is None else parts * mask
    total = parts.sum(-1, keepdim=True)
    return parts / torch.where(total == 0, 1, total) @ v


@wrong("W is detached: it gets no gradient")
def detached(q, k, v, w, mask=None):
    return multiplicative_attention(q, k, v, w.detach(), mask)


@wrong("axes of size 1 are squeezed away: keep the shape, also of a single query")
def squeezed(q, k, v, w, mask=None):
    return multiplicative_attention(q, k, v, w, mask).squeeze()


@wrong("the NaN of a query with nothing to attend to is patched up afterwards: its gradient is still NaN")
def nan_patched_up(q, k, v, w, mask=None):
    return nan_where_nobody(q, k, v, w, mask).nan_to_num(0)


@right
def on_the_keys_side(q, k, v, w, mask=None):
    return _attend(q @ (k @ w.T).mT, v, mask)


@right
def with_einsum(q, k, v, w, mask=None):
    scores = torch.einsum("...td,dc,...sc->...ts", q, w, k)
    return torch.einsum("...ts,...se->...te", softmax(masked_scores(scores, mask)), v)
