"""Spec of multi_head_attention: heads split and joined, the scale of a head, masks that all heads share."""

import math

import torch
import torch.nn.functional as F

from recattn_mini.attention.masks import masked_scores
from recattn_mini.attention.multi_head_attention import (
    MultiHeadAttention,
    head_width,
    multi_head_attention,
    multi_head_attention_numpy,
)
from recattn_mini.attention.softmax import softmax
from recattn_mini.exercises.spec import (
    drawn_once,
    finite,
    float64,
    gradients,
    mistakes_of,
    random_tensors,
    right,
    same,
    teaching,
    torch_only,
)
from recattn_mini.exercises.spec.attention import masks, nobody, random_views
from recattn_mini.exercises.spec.heads import first_head_alone, mistakes_of_heads, multi_head, projected
from recattn_mini.exercises.spec.modules import call_heads, cut_off, filled_up

NAMES = ("q", "k", "v", "w_q", "w_k", "w_v", "w_o")
FUNCTIONS_ONLY = ("wider inside",)
IN_DEPTH = ("no mask", "nobody to attend to")
LEVEL, MINUTES = "medium", 15
HINTS = (
    "Project, split, attend, join, project. Which numbers of a position belong to one head, and which axis must stand "
    "next to the width when the heads attend?",
    "Project q, k and v first. (b t a) → view (b t h a/h) → swap axes 1 and 2 → (b h t a/h). Attention treats b and h "
    "alike, with the scale √(a/h). The way back is the same, in reverse order.",
    "heads = attention(split(q @ w_qᵀ), split(k @ w_kᵀ), split(v @ w_vᵀ), mask), where split(x) is "
    "x.reshape(b, -1, h, a // h).swapaxes(1, 2); the answer is heads.swapaxes(1, 2).reshape(b, t, a) @ w_oᵀ.",
)
FORBIDDEN = (
    "torch.nn.functional.multi_head_attention_forward",
    "torch.nn.MultiheadAttention",
    "keras.layers.MultiHeadAttention",
    "recattn_mini.attention.cross_attention.cross_attention",
    "recattn_mini.attention.cross_attention.cross_attention_numpy",
)


def call_module(module, q, k, v, w_q, w_k, w_v, w_o, h, mask=None):
    """It has one width, a: what is narrower is filled up with zeros."""
    a, d = len(w_q), q.shape[-1]
    q, k, v, w_q, w_k, w_v, w_o = (filled_up(x, a) for x in (q, k, v, w_q, w_k, w_v, w_o.mT))
    return cut_off(call_heads(module(a, h), (w_q, w_k, w_v, w_o.mT), q, k, v, mask), d)


def _weights(a: int, d: int, c: int, e: int, seed: int) -> list[torch.Tensor]:
    return [0.4 * w for w in random_tensors((a, d), (a, c), (a, e), (d, a), seed=seed)]


def _of_widths(d: int, c: int, e: int) -> tuple:
    return *random_tensors((2, 5, d), (2, 11, c), (2, 11, e), seed=4), *_weights(12, d, c, e, seed=6), 2, None


@drawn_once
def inputs() -> dict[str, tuple]:
    q, k, v = random_views((2, 5, 12), (2, 11, 12), (2, 11, 12), seed=0)
    square = random_tensors((4, 4, 4), (4, 4, 4), (4, 4, 4), seed=7)
    w_q, w_k, w_v, w_o = _weights(12, 12, 12, 12, seed=5)
    weights, large = (w_q, w_k, w_v, w_o, 3), (1e6 * w_q, 1e6 * w_k, w_v, w_o, 3)
    of = masks(2, 3, t=5, s=11)
    return {
        "no mask": (q, k, v, *weights, None),
        **{name: (q, k, v, *weights, mask) for name, mask in of.items()},
        "nobody to attend to": (q, k, v, *weights, nobody(2, 1, t=5, s=11)),
        "nobody for some heads": (q, k, v, *weights, first_head_alone(3, t=5, s=11)),
        "large": (q, k, v, *large, of["padding"]),
        "one": (*random_tensors((1, 1, 12), (1, 3, 12), (1, 3, 12), seed=3), *weights, None),
        "wider inside": _of_widths(8, 8, 8),
        "all sizes equal": (*square, *_weights(4, 4, 4, 4, seed=8), 4, masks(4, 4, t=4, s=4)["a mask"]),
    }


def refused() -> dict[str, tuple]:
    """Inputs that the docstring calls a ValueError."""
    return {"h = 5 does not divide a = 12": (*inputs()["no mask"][:7], 5, None)}


def expected(q, k, v, w_q, w_k, w_v, w_o, h, mask=None):
    """One head after the other, by PyTorch's own attention: each has its rows of W_q, W_k, W_v, its columns of W_o."""
    return sum(
        F.scaled_dot_product_attention(q @ w_q[i].T, k @ w_k[i].T, v @ w_v[i].T, allowed) @ w_o[:, i].T
        for i, allowed in zip(torch.arange(len(w_q)).chunk(h), _of_each_head(q, k, h, mask), strict=True)
    )


def _of_each_head(q, k, h, mask):
    """h masks (b t s)."""
    return (torch.tensor(True) if mask is None else mask).expand(len(q), h, q.shape[1], k.shape[1]).unbind(1)


def _agrees(f, *cases):
    for case in cases:
        same(f(*inputs()[case]), expected(*inputs()[case]))


@teaching
def check_worked_example(f):
    "two heads of width 1: one has odds of 3 to 1 between 8 and 4, the other even odds between 16 and 6: 7 and 11"
    one, q = float64([[1, 0], [0, 1]]), float64([[[1, 0]]])
    k, v = float64([[[math.log(3), 5], [0, 9]]]), float64([[[8, 16], [4, 6]]])
    same(f(q, k, v, one, one, one, one, 2), float64([[[7, 11]]]))


def check_values(f):
    "agrees head by head: on views, on one query, with q, k and v of widths of their own"
    _agrees(f, "no mask", "one", "wider inside")
    same(f(*_of_widths(8, 10, 9)), expected(*_of_widths(8, 10, 9)))


def check_mask(f):
    "a mask broadcasts to (b h t s): it hides keys from all heads, or from each its own; other weights still sum to 1"
    _agrees(f, "a mask", "padding", "a mask of its own for each", "a mask of three axes")


def check_equal_sizes(f):
    "the same where all sizes are equal: nothing is told by its size"
    _agrees(f, "all sizes equal")


def check_nobody_to_attend_to(f):
    "a query that may attend to nothing gets zeros, and so does a single head of it"
    _agrees(f, "nobody to attend to", "nobody for some heads")


def check_large_scores(f):
    "scores beyond 1,000 do not overflow, and masked ones that are far above the others leave those their weight"
    _agrees(f, "large")


@torch_only
def check_gradient(f):
    "the gradients of the inputs and of all four weights agree"
    case = inputs()["no mask"]
    same(gradients(f, *case), gradients(multi_head_attention, *case), NAMES)
    finite(gradients(f, *inputs()["nobody to attend to"]), NAMES)


@teaching
def check_one_head(f):
    "one head is plain attention between the projections"
    q, k, v, w_q, w_k, w_v, w_o, _, _ = inputs()["no mask"]
    same(f(q, k, v, w_q, w_k, w_v, w_o, 1), F.scaled_dot_product_attention(q @ w_q.T, k @ w_k.T, v @ w_v.T) @ w_o.T)


MISTAKES = mistakes_of_heads(multi_head)
OF_OTHERS = mistakes_of(
    multi_head,
    project={
        "values_of_k": ("w_v is applied to k: it is for v", lambda q, k, v, *weights: projected(q, k, k, *weights)),
        "keys_of_v": ("w_k is applied to v: it is for k", lambda q, k, v, *weights: projected(q, v, v, *weights)),
    },
)


@right
def with_einsum(q, k, v, w_q, w_k, w_v, w_o, h, mask=None):
    width = head_width(len(w_q), h)
    of_q, of_k, of_v = (w.unflatten(0, (h, width)) for w in (w_q, w_k, w_v))
    queries, keys = torch.einsum("btd,hwd->bhtw", q, of_q), torch.einsum("bsc,hwc->bhsw", k, of_k)
    values = torch.einsum("bse,hwe->bhsw", v, of_v)
    scores = torch.einsum("bhtw,bhsw->bhts", queries, keys) * width**-0.5
    return torch.einsum(
        "bhts,bhsw,dhw->btd", softmax(masked_scores(scores, mask)), values, w_o.unflatten(1, (h, width))
    )


@right
def head_by_head(q, k, v, w_q, w_k, w_v, w_o, h, mask=None):
    width, heads = head_width(len(w_q), h), []
    for i, of_head in enumerate(_of_each_head(q, k, h, mask)):
        q_i, k_i, v_i = (x @ w[i * width : (i + 1) * width].T for x, w in ((q, w_q), (k, w_k), (v, w_v)))
        heads.append(softmax(masked_scores(q_i @ k_i.mT / width**0.5, of_head)) @ v_i)
    return torch.cat(heads, -1) @ w_o.T


@right
def folded_into_the_batch(q, k, v, w_q, w_k, w_v, w_o, h, mask=None):
    b, t, s, width = len(q), q.shape[1], k.shape[1], head_width(len(w_q), h)
    queries = (q @ w_q.T).reshape(b, t, h, width).transpose(1, 2).reshape(b * h, t, width)
    keys = (k @ w_k.T).reshape(b, s, h, width).permute(0, 2, 3, 1).reshape(b * h, width, s)
    values = (v @ w_v.T).reshape(b, s, h, width).transpose(1, 2).reshape(b * h, s, width)
    scores = torch.bmm(queries / width**0.5, keys)
    if mask is not None:
        scores = scores.masked_fill(~mask.expand(b, h, t, s).reshape(b * h, t, s), -torch.inf)
    heads = torch.bmm(softmax(scores), values).reshape(b, h, t, width)
    return heads.transpose(1, 2).reshape(b, t, h * width) @ w_o.T
