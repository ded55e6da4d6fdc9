"""Spec of cross_attention: who asks, who answers, and a mask over the context."""

import math
from contextlib import suppress

import torch
import torch.nn.functional as F

from recattn_mini.attention.cross_attention import CrossAttention, cross_attention, cross_attention_numpy
from recattn_mini.attention.masks import causal_mask, masked_scores
from recattn_mini.attention.multi_head_attention import join_heads, multi_head_attention, split_heads
from recattn_mini.attention.scaled_dot_product_attention import attention_weights, scaled_dot_product_attention
from recattn_mini.attention.softmax import softmax
from recattn_mini.exercises.spec import (
    finite,
    float64,
    gradients,
    random_tensors,
    right,
    same,
    same_parameters,
    teaching,
    torch_only,
    wrong,
)

NAMES = ("x", "context", "w_q", "w_k", "w_v", "w_o")
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
    """A learner's module, built by its own `__init__`, as a function of its weights.

    Its heads share the width a of x; a narrower x is filled up with zeros, which meet zeros in the weights.
    Zeros come back beyond d then, and are cut off.
    """
    a, d = len(w_q), x.shape[-1]
    built = module(a, context.shape[-1], h)
    x, w_q, w_out = (F.pad(z, (0, a - d)) for z in (x, w_q, w_o.mT))
    weights = {"q_proj.weight": w_q, "k_proj.weight": w_k, "v_proj.weight": w_v, "o_proj.weight": w_out.mT}
    same_parameters(built, weights)
    with torch.no_grad(), suppress(Exception):  # what a module remembers of another call must not show in this one
        other = torch.ones(x.shape[1], context.shape[1], dtype=torch.bool).tril() if mask is None else ~mask
        torch.func.functional_call(built, weights, (-x, -context, other), strict=True)
    out = torch.func.functional_call(built, weights, (x, context, mask), strict=True)
    return out[..., :d] if isinstance(out, torch.Tensor) and not out[..., d:].any() else out


def _weights(a: int, d: int, c: int, seed: int) -> list[torch.Tensor]:
    return [0.4 * w for w in random_tensors((a, d), (a, c), (a, c), (d, a), seed=seed)]


def inputs() -> dict[str, tuple]:
    x, context, alike = random_tensors((2, 5, 12), (2, 11, 10), (2, 11, 12))
    some = torch.rand(5, 11, generator=torch.Generator().manual_seed(0)) < 0.6
    some[:, 4] = True
    of_heads = torch.rand(2, 3, 5, 11, generator=torch.Generator().manual_seed(1)) < 0.6
    of_heads[..., 4] = True
    padding = torch.ones(2, 1, 1, 11, dtype=torch.bool)
    padding[0, ..., :10] = padding[1, ..., :3] = False
    nobody = torch.ones(2, 1, 1, 11, dtype=torch.bool)
    nobody[0] = False
    view_x, view_context = random_tensors((5, 12, 3), (10, 11, 3), seed=2)
    one_x, one_context, narrow, of_narrow = random_tensors((1, 1, 12), (1, 3, 10), (2, 5, 9), (2, 11, 10), seed=3)
    w_q, w_k, w_v, w_o = _weights(12, 12, 10, seed=5)
    weights, large, larger = (
        (w_q, w_k, w_v, w_o, 3),
        (30 * w_q, 30 * w_k, w_v, w_o, 3),
        (1e3 * w_q, 1e3 * w_k, w_v, w_o, 3),
    )
    square = *_weights(12, 12, 12, seed=6), 3
    return {
        "no mask": (x, context, *weights, None),
        "a mask": (x, context, *weights, some),
        "padding": (x, context, *weights, padding),
        "a mask for each head": (x, context, *weights, of_heads),
        "nobody to attend to": (x, context, *weights, nobody),
        "large": (x, context, *large, None),
        "large, with padding": (x, context, *larger, padding),
        "context as wide as x": (x, alike, *square, None),
        "context as long as x": (x, alike[:, :5], *square, None),
        "views": (view_x.movedim(2, 0), view_context.permute(2, 1, 0), *weights, None),
        "one": (one_x, one_context, *weights, None),
        "wider inside": (narrow, of_narrow, *_weights(12, 9, 10, seed=7), 2, None),
    }


def expected(x, context, w_q, w_k, w_v, w_o, h, mask=None):
    """PyTorch's own attention between the projections, head by head."""
    q, k, v = (y.unflatten(-1, (h, -1)).movedim(2, 1) for y in (x @ w_q.T, context @ w_k.T, context @ w_v.T))
    return F.scaled_dot_product_attention(q, k, v, mask).movedim(1, 2).flatten(2) @ w_o.T


@teaching
def check_worked_example(f):
    "the query 2 against keys log 3 / 2 and 0: odds of 3 to 1 between 24 and 12 give 21"
    x, context = float64([[[2]]]), float64([[[8, math.log(3) / 2], [4, 0]]])
    same(f(x, context, float64([[1]]), float64([[0, 1]]), float64([[3, 0]]), float64([[1]]), 1), float64([[[21]]]))


def check_values(f):
    "agrees head by head: a context longer and of another width than x, or the same; views, one query"
    for case in ("no mask", "context as wide as x", "context as long as x", "views", "one", "wider inside"):
        same(f(*inputs()[case]), expected(*inputs()[case]))


def check_mask(f):
    "a mask (t s), (b 1 1 s), or (b h t s) for each head, hides rows of the context, and other weights still sum to 1"
    for case in ("a mask", "padding", "a mask for each head"):
        same(f(*inputs()[case]), expected(*inputs()[case]))


def check_nobody_to_attend_to(f):
    "a user whose context is all padding gets zeros"
    same(f(*inputs()["nobody to attend to"]), expected(*inputs()["nobody to attend to"]))


def check_large_scores(f):
    "scores beyond 1,000 do not overflow, and masked ones that are far above the others leave those their weight"
    for case in ("large", "large, with padding"):
        same(f(*inputs()[case]), expected(*inputs()[case]))


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


def _heads(x, context, w_q, w_k, w_v, h):
    return [split_heads(y, h) for y in (x @ w_q.mT, context @ w_k.mT, context @ w_v.mT)]


def _attended(x, context, w_q, w_k, w_v, h, mask):
    q, k, v = _heads(x, context, w_q, w_k, w_v, h)
    return scaled_dot_product_attention(q, k, v, mask)


def _scores(q, k):
    return q @ k.mT / math.sqrt(q.shape[-1])


def _answer(scores, v, w_o, mask):
    return join_heads(softmax(masked_scores(scores, mask)) @ v) @ w_o.mT


@wrong("x and the context are swapped: x asks, so it gives the queries and the length of the output")
def swapped(x, context, w_q, w_k, w_v, w_o, h, mask=None):
    return multi_head_attention(context, x, x, w_q, w_k, w_v, w_o, h, mask)


@wrong("the context is not read: keys and values come from x, which is self-attention")
def self_attention(x, context, w_q, w_k, w_v, w_o, h, mask=None):
    return multi_head_attention(x, x, x, w_q, w_k, w_v, w_o, h, mask)


@wrong("the queries come from the context: this is self-attention of the context")
def self_attention_of_the_context(x, context, w_q, w_k, w_v, w_o, h, mask=None):
    return multi_head_attention(context, context, context, w_q, w_k, w_v, w_o, h, mask)


@wrong("the values come from x: keys and values are of one thing, the context")
def values_of_x(x, context, w_q, w_k, w_v, w_o, h, mask=None):
    return multi_head_attention(x, context, x, w_q, w_k, w_v, w_o, h, mask)


@wrong("the keys come from x: keys and values are of one thing, the context")
def keys_of_x(x, context, w_q, w_k, w_v, w_o, h, mask=None):
    return multi_head_attention(x, x, context, w_q, w_k, w_v, w_o, h, mask)


@wrong("x stands among the keys and values too: only the context is read, or candidates would see each other")
def x_in_the_context(x, context, w_q, w_k, w_v, w_o, h, mask=None):
    if mask is not None:
        mask = F.pad(mask, (0, x.shape[1]), value=True)
    both = torch.cat([context, x], 1)
    return multi_head_attention(x, both, both, w_q, w_k, w_v, w_o, h, mask)


@wrong("a causal mask: positions of x and of the context do not correspond, so nothing is in the future")
def causal(x, context, w_q, w_k, w_v, w_o, h, mask=None):
    allowed = causal_mask(x, context)
    return multi_head_attention(x, context, context, w_q, w_k, w_v, w_o, h, allowed if mask is None else allowed & mask)


@wrong("a causal mask, from the first row of x on: positions of x and of the context do not correspond")
def causal_from_the_first(x, context, w_q, w_k, w_v, w_o, h, mask=None):
    allowed = torch.ones(x.shape[1], context.shape[1], dtype=torch.bool).tril()
    return multi_head_attention(x, context, context, w_q, w_k, w_v, w_o, h, allowed if mask is None else allowed & mask)


@wrong("the queries are averaged: each row of x, each candidate, asks for itself")
def queries_averaged(x, context, w_q, w_k, w_v, w_o, h, mask=None):
    x = x.mean(1, keepdim=True).expand(x.shape)
    return multi_head_attention(x, context, context, w_q, w_k, w_v, w_o, h, mask)


@wrong("w_k and w_v have changed places")
def keys_and_values_swapped(x, context, w_q, w_k, w_v, w_o, h, mask=None):
    return multi_head_attention(x, context, context, w_q, w_v, w_k, w_o, h, mask)


@wrong("the values are projected by w_k: they have a projection of their own, w_v")
def values_by_w_k(x, context, w_q, w_k, w_v, w_o, h, mask=None):
    return multi_head_attention(x, context, context, w_q, w_k, w_k, w_o, h, mask)


@wrong("multiplied by w_q, w_k, w_v as they are: a weight is (out in), so it is x @ w.T")
def not_transposed(x, context, w_q, w_k, w_v, w_o, h, mask=None):
    return multi_head_attention(x, context, context, w_q.mT, w_k.mT, w_v.mT, w_o, h, mask)


@wrong("w_o is missing")
def w_o_missing(x, context, w_q, w_k, w_v, w_o, h, mask=None):
    return join_heads(_attended(x, context, w_q, w_k, w_v, h, mask))


@wrong("h is not used: this is one head of the whole width")
def one_head(x, context, w_q, w_k, w_v, w_o, h, mask=None):
    return multi_head_attention(x, context, context, w_q, w_k, w_v, w_o, 1, mask)


@wrong("the width of a head is taken from x before the projection: it is a/h, with a the rows of w_q")
def width_of_x(x, context, w_q, w_k, w_v, w_o, h, mask=None):
    width = x.shape[-1] // h
    q, k, v = (y.unflatten(-1, (h, width)).transpose(1, 2) for y in (x @ w_q.mT, context @ w_k.mT, context @ w_v.mT))
    return join_heads(scaled_dot_product_attention(q, k, v, mask)) @ w_o.mT


@wrong("the heads are split by view(b, h, t, a/h): a head gets whole positions. View (b, t, h, a/h), then swap 1 and 2")
def split_without_swap(x, context, w_q, w_k, w_v, w_o, h, mask=None):
    q, k, v = (y.reshape(len(y), h, y.shape[1], -1) for y in (x @ w_q.mT, context @ w_k.mT, context @ w_v.mT))
    return join_heads(scaled_dot_product_attention(q, k, v, mask)) @ w_o.mT


@wrong("keys and values are viewed as (b, h, s, a/h), the queries are not: split all three alike, view, then swap axes")
def context_split_without_swap(x, context, w_q, w_k, w_v, w_o, h, mask=None):
    k, v = (y.reshape(len(y), h, y.shape[1], -1) for y in (context @ w_k.mT, context @ w_v.mT))
    return join_heads(scaled_dot_product_attention(split_heads(x @ w_q.mT, h), k, v, mask)) @ w_o.mT


@wrong("the heads are joined without swapping back: (b h t a/h) must become (b t h a/h) before it is flattened")
def joined_without_swap(x, context, w_q, w_k, w_v, w_o, h, mask=None):
    heads = _attended(x, context, w_q, w_k, w_v, h, mask)
    return heads.reshape(len(x), x.shape[1], len(w_q)) @ w_o.mT


@wrong("scaled by the root of the whole width: a head's products are sums of a/h terms, so divide by √(a/h)")
def scaled_by_the_whole_width(x, context, w_q, w_k, w_v, w_o, h, mask=None):
    q, k, v = _heads(x, context, w_q, w_k, w_v, h)
    return _answer(q @ k.mT / math.sqrt(len(w_q)), v, w_o, mask)


@wrong("scaled by the root of the context's width: a head's products are sums of a/h terms, so divide by √(a/h)")
def scaled_by_the_contexts_width(x, context, w_q, w_k, w_v, w_o, h, mask=None):
    q, k, v = _heads(x, context, w_q, w_k, w_v, h)
    return _answer(q @ k.mT / math.sqrt(context.shape[-1]), v, w_o, mask)


@wrong("scaled by √(c/h), the context's width: the products are of projected x and context, so it is √(a/h)")
def scaled_by_a_heads_share_of_the_context(x, context, w_q, w_k, w_v, w_o, h, mask=None):
    q, k, v = _heads(x, context, w_q, w_k, w_v, h)
    return _answer(q @ k.mT / math.sqrt(context.shape[-1] / h), v, w_o, mask)


@wrong("scaled by √(d/h), the width that x came in with: the products are of projected x and context, so it is √(a/h)")
def scaled_by_a_heads_share_of_x(x, context, w_q, w_k, w_v, w_o, h, mask=None):
    q, k, v = _heads(x, context, w_q, w_k, w_v, h)
    return _answer(q @ k.mT / math.sqrt(x.shape[-1] / h), v, w_o, mask)


@wrong(
    "scaled by √(d // h), the width that x came in with: the products are of projected x and context, so it is √(a/h)"
)
def scaled_by_whole_numbers_of_x(x, context, w_q, w_k, w_v, w_o, h, mask=None):
    q, k, v = _heads(x, context, w_q, w_k, w_v, h)
    return _answer(q @ k.mT / math.sqrt(x.shape[-1] // h), v, w_o, mask)


@wrong("the scale is missing: divide the scores by √(a/h)")
def not_scaled(x, context, w_q, w_k, w_v, w_o, h, mask=None):
    q, k, v = _heads(x, context, w_q, w_k, w_v, h)
    return _answer(q @ k.mT, v, w_o, mask)


@wrong("the softmax runs over the queries: each row of x has weights of its own, which sum to 1 over the context")
def softmax_over_queries(x, context, w_q, w_k, w_v, w_o, h, mask=None):
    q, k, v = _heads(x, context, w_q, w_k, w_v, h)
    return join_heads(softmax(masked_scores(_scores(q, k), mask).mT).mT @ v) @ w_o.mT


@wrong("the weights are averaged over the heads: every head weighs its own values by its own weights")
def weights_averaged(x, context, w_q, w_k, w_v, w_o, h, mask=None):
    q, k, v = _heads(x, context, w_q, w_k, w_v, h)
    return join_heads(attention_weights(q, k, mask).mean(1, keepdim=True) @ v) @ w_o.mT


@wrong("the softmax runs over the heads: in each head the weights of a row of x must sum to 1 over the context")
def softmax_over_heads(x, context, w_q, w_k, w_v, w_o, h, mask=None):
    q, k, v = _heads(x, context, w_q, w_k, w_v, h)
    return join_heads(softmax(masked_scores(_scores(q, k), mask).movedim(1, -1)).movedim(-1, 1) @ v) @ w_o.mT


@wrong("the mask is upside down: True means may attend")
def inverted_mask(x, context, w_q, w_k, w_v, w_o, h, mask=None):
    return multi_head_attention(x, context, context, w_q, w_k, w_v, w_o, h, None if mask is None else ~mask)


@wrong("the mask is not used")
def mask_ignored(x, context, w_q, w_k, w_v, w_o, h, mask=None):
    return multi_head_attention(x, context, context, w_q, w_k, w_v, w_o, h)


@wrong("the first head's mask serves all heads: a mask (b h t s) has one for each")
def mask_of_the_first_head(x, context, w_q, w_k, w_v, w_o, h, mask=None):
    if mask is not None and mask.dim() == 4:
        mask = mask[:, :1]
    return multi_head_attention(x, context, context, w_q, w_k, w_v, w_o, h, mask)


@wrong("axes are put into a mask that broadcasts to (b h t s) already: mask[:, None, None] is for a mask (b s)")
def mask_with_axes_more(x, context, w_q, w_k, w_v, w_o, h, mask=None):
    q, k, v = _heads(x, context, w_q, w_k, w_v, h)
    scores = _scores(q, k)
    weights = softmax(scores if mask is None else scores.masked_fill(~mask[:, None, None], -torch.inf))
    return (weights @ v).transpose(1, 2).flatten(2) @ w_o.mT


@wrong("the mask is added to the scores as it is: True is 1, so what may be seen gets a little more. Fill with -inf")
def mask_added(x, context, w_q, w_k, w_v, w_o, h, mask=None):
    q, k, v = _heads(x, context, w_q, w_k, w_v, h)
    return _answer(_scores(q, k) if mask is None else _scores(q, k) + mask, v, w_o, None)


@wrong("masked after the softmax: the weights left over no longer sum to 1. Mask the scores, with -inf")
def masked_after_the_softmax(x, context, w_q, w_k, w_v, w_o, h, mask=None):
    q, k, v = _heads(x, context, w_q, w_k, w_v, h)
    weights = attention_weights(q, k)
    return join_heads((weights if mask is None else weights * mask) @ v) @ w_o.mT


@wrong("masked after the softmax, then divided by what is left: a masked score far above the others leaves only zeros")
def masked_and_divided(x, context, w_q, w_k, w_v, w_o, h, mask=None):
    q, k, v = _heads(x, context, w_q, w_k, w_v, h)
    weights = attention_weights(q, k) if mask is None else attention_weights(q, k) * mask
    total = weights.sum(-1, keepdim=True)
    return join_heads(weights / torch.where(total == 0, 1, total) @ v) @ w_o.mT


@wrong("the masked rows of the context are set to 0: a key of zeros has the score 0, and exp(0) is 1. Mask the scores")
def context_zeroed(x, context, w_q, w_k, w_v, w_o, h, mask=None):
    q, k, v = _heads(x, context, w_q, w_k, w_v, h)
    if mask is None:
        return _answer(_scores(q, k), v, w_o, None)
    return join_heads((softmax(_scores(q, k) * mask) * mask) @ v) @ w_o.mT


@wrong("masked with a large negative number: a row that may attend to nothing becomes uniform. Use -inf, then zeros")
def minus_one_billion(x, context, w_q, w_k, w_v, w_o, h, mask=None):
    q, k, v = _heads(x, context, w_q, w_k, w_v, h)
    scores = _scores(q, k)
    return _answer(scores if mask is None else scores.masked_fill(~mask, -1e9), v, w_o, None)


@wrong("masked with -1e4: visible scores may be lower still, and then masked rows get all the weight. Use -inf")
def minus_ten_thousand(x, context, w_q, w_k, w_v, w_o, h, mask=None):
    q, k, v = _heads(x, context, w_q, w_k, w_v, h)
    if mask is None:
        return _answer(_scores(q, k), v, w_o, None)
    weights = softmax(_scores(q, k).masked_fill(~mask, -1e4)) * mask.any(-1, keepdim=True)
    return join_heads(weights @ v) @ w_o.mT


@wrong("1e-6 is added to the divisor: the weights sum to less than 1. Guard the sum only where it is 0")
def epsilon_in_the_divisor(x, context, w_q, w_k, w_v, w_o, h, mask=None):
    q, k, v = _heads(x, context, w_q, w_k, w_v, h)
    scores = masked_scores(_scores(q, k), mask)
    parts = (scores - scores.amax(-1, keepdim=True).clamp(min=-1e30)).exp()
    return join_heads(parts / (parts.sum(-1, keepdim=True) + 1e-6) @ v) @ w_o.mT


@wrong("a query that may attend to nothing gets NaN: softmax of a row of -inf. Give it zeros")
def nan_where_nobody(x, context, w_q, w_k, w_v, w_o, h, mask=None):
    q, k, v = _heads(x, context, w_q, w_k, w_v, h)
    return join_heads(torch.softmax(masked_scores(_scores(q, k), mask), -1) @ v) @ w_o.mT


@wrong("exp without the row's maximum subtracted overflows beyond 710")
def softmax_overflows(x, context, w_q, w_k, w_v, w_o, h, mask=None):
    q, k, v = _heads(x, context, w_q, w_k, w_v, h)
    parts = masked_scores(_scores(q, k), mask).exp()
    total = parts.sum(-1, keepdim=True)
    return join_heads(parts / torch.where(total == 0, 1, total) @ v) @ w_o.mT


@wrong("x is added at the end: the residual belongs to the block around attention")
def residual_added(x, context, w_q, w_k, w_v, w_o, h, mask=None):
    return x + multi_head_attention(x, context, context, w_q, w_k, w_v, w_o, h, mask)


@wrong("axes of size 1 are squeezed away: keep the shape, also of a single query")
def squeezed(x, context, w_q, w_k, w_v, w_o, h, mask=None):
    return multi_head_attention(x, context, context, w_q, w_k, w_v, w_o, h, mask).squeeze()


@wrong("the context is detached: it gets no gradient, and nor do the embeddings of the history")
def detached_context(x, context, w_q, w_k, w_v, w_o, h, mask=None):
    return multi_head_attention(x, context.detach(), context.detach(), w_q, w_k, w_v, w_o, h, mask)


@wrong("the NaN of a query with nothing to attend to is patched up afterwards: its gradient is still NaN")
def nan_patched_up(x, context, w_q, w_k, w_v, w_o, h, mask=None):
    return nan_where_nobody(x, context, w_q, w_k, w_v, w_o, h, mask).nan_to_num(0)


@wrong("-inf is added: where nobody may be seen the gradient of x is NaN, though weights are patched. Use masked_fill")
def infinity_added(x, context, w_q, w_k, w_v, w_o, h, mask=None):
    q, k, v = _heads(x, context, w_q, w_k, w_v, h)
    scores = _scores(q, k) if mask is None else _scores(q, k) + torch.where(mask, 0.0, -torch.inf).to(x)
    return join_heads(torch.softmax(scores, -1).nan_to_num(0) @ v) @ w_o.mT


@wrong("-inf is added and the NaN of the heads patched up: the gradients stay NaN. masked_fill, and patch the weights")
def infinity_added_heads_patched(x, context, w_q, w_k, w_v, w_o, h, mask=None):
    q, k, v = _heads(x, context, w_q, w_k, w_v, h)
    scores = _scores(q, k) if mask is None else _scores(q, k) + torch.where(mask, 0.0, -torch.inf).to(x)
    return join_heads((torch.softmax(scores, -1) @ v).nan_to_num(0)) @ w_o.mT


@right
def keys_and_values_projected_together(x, context, w_q, w_k, w_v, w_o, h, mask=None):
    k, v = (split_heads(y, h) for y in (context @ torch.cat([w_k, w_v]).T).chunk(2, -1))
    return join_heads(scaled_dot_product_attention(split_heads(x @ w_q.T, h), k, v, mask)) @ w_o.T


@right
def row_by_row(x, context, w_q, w_k, w_v, w_o, h, mask=None):
    q, k, v = _heads(x, context, w_q, w_k, w_v, h)
    mask = torch.tensor(True) if mask is None else mask
    mask = mask.expand(len(x), h, x.shape[1], context.shape[1])
    rows = [_answer(_scores(q[:, :, [t]], k), v, w_o, mask[:, :, [t]]) for t in range(x.shape[1])]
    return torch.cat(rows, 1)


@right
def keys_folded_into_the_query(x, context, w_q, w_k, w_v, w_o, h, mask=None):
    """(W_q x)·(W_k c) = (W_kᵀ W_q x)·c, one bilinear form for each head: no key is ever projected."""
    heads = []
    masks = (torch.tensor(True) if mask is None else mask).expand(len(x), h, x.shape[1], context.shape[1]).unbind(1)
    for rows, of_head in zip(torch.arange(len(w_q)).chunk(h), masks, strict=True):
        scores = x @ (w_q[rows].T @ w_k[rows]) @ context.mT / math.sqrt(len(rows))
        heads.append(softmax(masked_scores(scores, of_head)) @ (context @ w_v[rows].T))
    return torch.cat(heads, -1) @ w_o.T
