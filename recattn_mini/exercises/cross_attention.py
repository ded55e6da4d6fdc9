"""Spec of cross_attention: who asks, who answers, and a mask over the context."""

import math

import torch
import torch.nn.functional as F

from recattn_mini.attention.cross_attention import CrossAttention, cross_attention, cross_attention_numpy
from recattn_mini.attention.masks import masked_scores
from recattn_mini.attention.multi_head_attention import head_width, join_heads, split_heads
from recattn_mini.attention.scaled_dot_product_attention import scaled_dot_product_attention as attention
from recattn_mini.attention.softmax import softmax
from recattn_mini.exercises.spec import (
    but,
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
    wrong,
)
from recattn_mini.exercises.spec.attention import masks, nobody, random_views
from recattn_mini.exercises.spec.heads import first_head_alone, mistakes_of_heads, multi_head, projected
from recattn_mini.exercises.spec.modules import call_heads, cut_off, filled_up

NAMES = ("x", "context", "w_q", "w_k", "w_v", "w_o")
FUNCTIONS_ONLY = ("wider inside",)
IN_DEPTH = ("no mask", "nobody to attend to")
LEVEL, MINUTES = "easy", 5
HINTS = (
    "The output has one row for each row of x. Which side, then, are the queries, and what is the context read for?",
    "Queries are x W_qᵀ; keys and values are both of the context, context W_kᵀ and context W_vᵀ. The rest is "
    "multi-head attention, with a mask (b 1 1 s) over the context and no causal mask.",
    "multi_head_attention(x, context, context, w_q, w_k, w_v, w_o, h, mask): your own, or the library's.",
)
FORBIDDEN = (
    "torch.nn.functional.multi_head_attention_forward",
    "torch.nn.MultiheadAttention",
    "keras.layers.MultiHeadAttention",
)


def call_module(module, x, context, w_q, w_k, w_v, w_o, h, mask=None):
    """Its heads share the width of x, a: a narrower x is filled up with zeros."""
    a, d = len(w_q), x.shape[-1]
    x, w_q, w_o = (filled_up(z, a) for z in (x, w_q, w_o.mT))
    return cut_off(call_heads(module(a, context.shape[-1], h), (w_q, w_k, w_v, w_o.mT), x, context, mask), d)


def _weights(a: int, d: int, c: int, seed: int) -> list[torch.Tensor]:
    return [0.4 * w for w in random_tensors((a, d), (a, c), (a, c), (d, a), seed=seed)]


@drawn_once
def inputs() -> dict[str, tuple]:
    x, context = random_views((2, 5, 12), (2, 11, 9), seed=0)
    square = random_tensors((4, 4, 4), (4, 4, 4), seed=7)
    w_q, w_k, w_v, w_o = _weights(12, 12, 9, seed=5)
    weights, large = (w_q, w_k, w_v, w_o, 3), (1e6 * w_q, 1e6 * w_k, w_v, w_o, 3)
    of = masks(2, 3, t=5, s=11)
    return {
        "no mask": (x, context, *weights, None),
        **{name: (x, context, *weights, mask) for name, mask in of.items()},
        "nobody to attend to": (x, context, *weights, nobody(2, 1, t=5, s=11)),
        "nobody for some heads": (x, context, *weights, first_head_alone(3, t=5, s=11)),
        "large": (x, context, *large, of["padding"]),
        "one": (*random_tensors((1, 1, 12), (1, 3, 9), seed=3), *weights, None),
        "wider inside": (*random_tensors((2, 5, 8), (2, 11, 10), seed=4), *_weights(12, 8, 10, seed=7), 2, None),
        "all sizes equal": (*square, *_weights(4, 4, 4, seed=8), 4, masks(4, 4, t=4, s=4)["a mask"]),
    }


def refused() -> dict[str, tuple]:
    """Inputs that the docstring calls a ValueError."""
    *case, _, mask = inputs()["no mask"]
    return {"h = 5 does not divide a = 12": (*case, 5, mask)}


def expected(x, context, w_q, w_k, w_v, w_o, h, mask=None):
    """PyTorch's own attention between the projections, head by head."""
    q, k, v = (y.unflatten(-1, (h, -1)).movedim(2, 1) for y in (x @ w_q.T, context @ w_k.T, context @ w_v.T))
    return F.scaled_dot_product_attention(q, k, v, mask).movedim(1, 2).flatten(2) @ w_o.T


def _agrees(f, *cases):
    for case in cases:
        same(f(*inputs()[case]), expected(*inputs()[case]))


@teaching
def check_worked_example(f):
    "the query 2 against keys log 3 / 2 and 0: odds of 3 to 1 between 24 and 12 give 21"
    x, context = float64([[[2]]]), float64([[[8, math.log(3) / 2], [4, 0]]])
    same(f(x, context, float64([[1]]), float64([[0, 1]]), float64([[3, 0]]), float64([[1]]), 1), float64([[[21]]]))


def check_values(f):
    "agrees head by head: on a context of another length and width than x, on views, on one query"
    _agrees(f, "no mask", "one", "wider inside")


def check_mask(f):
    "a mask broadcasts to (b h t s): it hides rows of the context from all heads, or from each its own"
    _agrees(f, "a mask", "padding", "a mask of its own for each", "a mask of three axes")


def check_equal_sizes(f):
    "the same where all sizes are equal: nothing is told by its size"
    _agrees(f, "all sizes equal")


def check_nobody_to_attend_to(f):
    "a query that may attend to nothing gets zeros, and so does a single head of it"
    _agrees(f, "nobody to attend to", "nobody for some heads")


def check_large_scores(f):
    "large scores do not overflow, and masked ones that are far above the others leave those their weight"
    _agrees(f, "large")


@torch_only
def check_gradient(f):
    "the gradients of x, of the context and of all four weights agree"
    case = inputs()["no mask"]
    same(gradients(f, *case), gradients(cross_attention, *case), NAMES)
    finite(gradients(f, *inputs()["nobody to attend to"]), NAMES)


@teaching
def check_candidates_are_independent(f):
    "with candidates as x, each is scored on its own: the others change nothing"
    x, context, *rest = inputs()["no mask"]
    same(f(x[:, 2:3], context, *rest), expected(x, context, *rest)[:, 2:3])


def answer(x, context, *others, read=lambda x, context: (x, context, context), **parts):
    return multi_head(*read(x, context), *others, **parts)


READ = mistakes_of(
    answer,
    read={
        "swapped": ("x and the context are swapped: x asks, and the output has its length", lambda x, c: (c, x, x)),
        "self_attention": ("the context is not read: keys and values come from x", lambda x, c: (x, x, x)),
        "of_the_context": ("the queries come from the context: this is its self-attention", lambda x, c: (c, c, c)),
        "values_of_x": ("the values come from x: keys and values are both of the context", lambda x, c: (x, c, x)),
        "keys_of_x": ("the keys come from x: keys and values are both of the context", lambda x, c: (x, x, c)),
        "averaged": (
            "the rows of x are averaged: each asks for itself",
            lambda x, c: (x.mean(1, True).expand(x.shape), c, c),
        ),
        "last_row_asks": ("the last row of x asks for all", lambda x, c: (x[:, -1:].expand(x.shape), c, c)),
        "one_row": ("only the last row of x asks: every row gets an output", lambda x, c: (x[:, -1:], c, c)),
        "first_user": ("all users read the context of the first", lambda x, c: (x, *[c[:1].expand(c.shape)] * 2)),
        "detached": ("the context is detached: it gets no gradient", lambda x, c: (x, c.detach(), c.detach())),
        "detached_keys": ("the context as keys is detached", lambda x, c: (x, c.detach(), c)),
        "detached_values": ("the context as values is detached", lambda x, c: (x, c, c.detach())),
    },
)
MISTAKES = mistakes_of_heads(answer)
by_the_width_of_the_context = but(
    answer,
    "scaled by √(c/h), with the context's width: the products are of projected x and context, so it is √(a/h)",
    project=lambda q, k, v, *w: projected(q, k * math.sqrt(len(w[1]) / k.shape[-1]), v, *w),
)


@wrong("the width of a head is taken from x before the projection: it is a/h, with a the rows of w_q")
def width_of_x(x, *others):
    return answer(x, *others, split=lambda y, h: y.unflatten(-1, (h, x.shape[-1] // h)).transpose(1, 2))


@wrong("x stands among the keys and values too: only the context is read, or candidates would see each other")
def x_in_the_context(x, context, w_q, w_k, w_v, w_o, h, mask=None):
    both = torch.cat([context, x], 1)
    mask = mask if mask is None else F.pad(mask, (0, x.shape[1]), value=True)
    return multi_head(x, both, both, w_q, w_k, w_v, w_o, h, mask)


@right
def keys_and_values_projected_together(x, context, w_q, w_k, w_v, w_o, h, mask=None):
    k, v = (split_heads(y, h) for y in (context @ torch.cat([w_k, w_v]).T).chunk(2, -1))
    return join_heads(attention(split_heads(x @ w_q.T, h), k, v, mask)) @ w_o.T


@right
def keys_folded_into_the_query(x, context, w_q, w_k, w_v, w_o, h, mask=None):
    """(W_q x)·(W_k c) = (W_kᵀ W_q x)·c, one bilinear form for each head: no key is ever projected."""
    heads, width = [], head_width(len(w_q), h)
    masks = (torch.tensor(True) if mask is None else mask).expand(len(x), h, x.shape[1], context.shape[1]).unbind(1)
    for rows, of_head in zip(torch.arange(len(w_q)).split(width), masks, strict=True):
        scores = x @ (w_q[rows].T @ w_k[rows]) @ context.mT / math.sqrt(width)
        heads.append(softmax(masked_scores(scores, of_head)) @ (context @ w_v[rows].T))
    return torch.cat(heads, -1) @ w_o.T
