"""Spec of scaled_dot_product_attention: the scale, the softmax's axis, the mask, and rows with nothing in them."""

import math

import torch
import torch.nn.functional as F

from recattn_mini.attention.masks import masked_scores
from recattn_mini.attention.scaled_dot_product_attention import (
    scaled_dot_product_attention,
    scaled_dot_product_attention_numpy,
)
from recattn_mini.exercises.spec import (
    but,
    drawn_once,
    finite,
    float64,
    gradients,
    random_tensors,
    right,
    same,
    teaching,
    torch_only,
)
from recattn_mini.exercises.spec.attention import (
    attend,
    lowest_masked,
    masks,
    mistakes_of_attending,
    mistakes_of_scaling,
    nobody,
    random_views,
    root_of_width,
)

NAMES = tuple("qkv")
LEVEL, MINUTES = "medium", 10
HINTS = (
    "Scores, softmax, weighted mean. Over which axis must the weights of one query sum to 1?",
    "scores = q kᵀ / √d, with d the width of q and k. Where the mask is False the score is -inf before the softmax; "
    "a row of nothing but -inf is NaN afterwards, and has to become zeros.",
    "softmax(where(mask, q @ k.swapaxes(-1, -2) / sqrt(d), -inf)) @ v with a softmax that gives zeros for a row of "
    "-inf; your own from the exercise before, or the library's.",
)
FORBIDDEN = (
    "torch.nn.functional.scaled_dot_product_attention",
    "torch._scaled_dot_product_attention_math",
    "torch.nn.functional.multi_head_attention_forward",
    "torch.nn.MultiheadAttention",
    "torch.nn.attention.flex_attention.flex_attention",
    "keras.layers.Attention",
    "keras.layers.MultiHeadAttention",
)


@drawn_once
def inputs() -> dict[str, tuple]:
    q, k, v = random_tensors((2, 3, 5, 7), (2, 3, 11, 7), (2, 3, 11, 13))
    square = random_tensors((4, 4, 4, 4), (4, 4, 4, 4), (4, 4, 4, 4), seed=5)
    far = q @ k.mT
    return {
        "no mask": (q, k, v, None),
        **{name: (q, k, v, mask) for name, mask in masks(2, 3, t=5, s=11).items()},
        "nobody to attend to": (q, k, v, nobody(2, 3, t=5, s=11)),
        "large": (60 * q, 60 * k, v, None),
        "masked scores are the largest": (1e6 * q, 1e6 * k, v, lowest_masked(far)),
        "views": (*random_views((3, 5, 7), (3, 11, 7), (3, 11, 13), seed=2), None),
        "one": (*random_tensors((1, 1, 1, 2), (1, 1, 3, 2), (1, 1, 3, 5), seed=3), None),
        "all sizes equal": (*square, masks(4, 4, t=4, s=4)["a mask"]),
        "all sizes equal, a mask of three axes": (*square, masks(4, 4, t=4, s=4)["a mask of three axes"]),
    }


def expected(q, k, v, mask=None):
    """PyTorch's own, which gives zeros for a row that may attend to nothing."""
    return F.scaled_dot_product_attention(q, k, v, mask)


def _agrees(f, *cases):
    for case in cases:
        same(f(*inputs()[case]), expected(*inputs()[case]))


@teaching
def check_worked_example(f):
    "odds of 3 to 1 between the values 8 and 4 give 7; even odds give 6"
    q, k = float64([[2, 0, 0, 0], [0, 0, 0, 0]]), float64([[math.log(3), 0, 0, 0], [0, 5, 5, 5]])
    same(f(q, k, float64([[8, 0], [4, 4]])), float64([[7, 1], [6, 2]]))


def check_values(f):
    "agrees with PyTorch on unequal sizes, on views, on one query, without a mask"
    _agrees(f, "no mask", "views", "one")


def check_mask(f):
    "a masked key counts for nothing, and the other weights still sum to 1; a mask has two, three or four axes"
    _agrees(f, "a mask", "padding", "a mask of its own for each", "a mask of three axes")


def check_equal_sizes(f):
    "the same where all sizes are equal: nothing is told by its size"
    _agrees(f, "all sizes equal", "all sizes equal, a mask of three axes")


def check_nobody_to_attend_to(f):
    "a query that may attend to nothing gets zeros"
    _agrees(f, "nobody to attend to")


def check_large_scores(f):
    "scores beyond 1,000 do not overflow"
    _agrees(f, "large")


def check_masked_scores_are_the_largest(f):
    "a masked key counts for nothing however large its score, and however low the others"
    _agrees(f, "masked scores are the largest")


@torch_only
def check_gradient(f):
    "the gradients of q, k and v agree, under a random upstream gradient"
    case = inputs()["no mask"]
    same(gradients(f, *case), gradients(scaled_dot_product_attention, *case), NAMES)
    finite(gradients(f, *inputs()["nobody to attend to"]), NAMES)


@teaching
def check_order_of_keys(f):
    "shuffling keys and values together changes nothing: attention reads a set"
    q, k, v, _ = inputs()["no mask"]
    order = [3, 0, 10, 7, 1, 9, 2, 8, 4, 6, 5]
    same(f(q, k[:, :, order], v[:, :, order]), f(q, k, v))


def answer(q, k, v, mask=None, *, scale=root_of_width, swap=lambda k: k.mT, attend=attend, of=lambda q, k, v: v):
    return attend(q @ swap(k) / scale(q, k, v), of(q, k, v), mask)


SCALES = mistakes_of_scaling(answer)
WEIGHTS = mistakes_of_attending(answer)
scaled_too_late = but(
    answer,
    "scaled after the softmax: the weights no longer sum to 1. Divide the scores",
    scale=lambda q, k, v: 1.0,
    of=lambda q, k, v: v / math.sqrt(q.shape[-1]),
)
reshaped_not_transposed = but(
    answer,
    "k is reshaped to (... d s), which mixes up its numbers: swap its last two axes",
    swap=lambda k: k.reshape(*k.shape[:-2], k.shape[-1], k.shape[-2]),
)
mean_of_the_keys = but(answer, "the mean is taken of the keys: weigh the values", of=lambda q, k, v: k)
mask_of_three_axes_moved = but(
    answer,
    "a mask of three axes gets one more, mask[:, None]: it broadcasts from the right, as (h t s), just as it is",
    attend=lambda scores, v, mask: attend(scores, v, mask[:, None] if mask is not None and mask.dim() == 3 else mask),
)


@right
def with_einsum(q, k, v, mask=None):
    scores = torch.einsum("...td,...sd->...ts", q, k) * q.shape[-1] ** -0.5
    weights = torch.nan_to_num(masked_scores(scores, mask).softmax(-1), 0)
    return torch.einsum("...ts,...se->...te", weights, v)


@right
def lowest_number_of_the_dtype(q, k, v, mask=None):
    scores = q @ k.mT / math.sqrt(q.shape[-1])
    if mask is None:
        return scores.softmax(-1) @ v
    return scores.masked_fill(~mask, torch.finfo(q.dtype).min).softmax(-1) * mask.any(-1, keepdim=True) @ v


@right
def query_by_query(q, k, v, mask=None):
    mask = torch.ones(q.shape[-2], k.shape[-2], dtype=torch.bool, device=q.device) if mask is None else mask
    mask = mask.expand(*q.shape[:-1], k.shape[-2])
    rows = []
    for t in range(q.shape[-2]):
        scores = (k * q[..., t : t + 1, :]).sum(-1) / math.sqrt(q.shape[-1])
        seen = mask[..., t, :]
        top = torch.where(seen, scores, torch.finfo(q.dtype).min).detach().amax(-1, keepdim=True)
        parts = torch.where(seen, scores - top, -torch.inf).exp()
        total = parts.sum(-1, keepdim=True)
        rows.append(((parts / torch.where(total > 0, total, 1))[..., None] * v).sum(-2))
    return torch.stack(rows, -2)
