"""Spec of multi_head_attention: heads split and joined, the scale of a head, masks that all heads share."""

import math
from contextlib import suppress

import torch
import torch.nn.functional as F

from recattn_mini.attention.masks import masked_scores
from recattn_mini.attention.multi_head_attention import (
    MultiHeadAttention,
    join_heads,
    multi_head_attention,
    multi_head_attention_numpy,
    split_heads,
)
from recattn_mini.attention.scaled_dot_product_attention import attention_weights, scaled_dot_product_attention
from recattn_mini.attention.softmax import softmax
from recattn_mini.exercises.spec import (
    Named,
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

NAMES = ("q", "k", "v", "w_q", "w_k", "w_v", "w_o")
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
    """A learner's module, built by its own `__init__`, as a function of its weights.

    It has one width, a; what is narrower is filled up with zeros, which meet zeros in the weights.
    Zeros come back beyond d then, and are cut off.
    """
    a, d = len(w_q), q.shape[-1]
    built, fresh = module(a, h), module(a, h)
    q, k, v, w_q, w_k, w_v, w_out = (F.pad(x, (0, a - x.shape[-1])) for x in (q, k, v, w_q, w_k, w_v, w_o.mT))
    weights = {"q_proj.weight": w_q, "k_proj.weight": w_k, "v_proj.weight": w_v, "o_proj.weight": w_out.mT}
    same_parameters(built, weights)
    with torch.no_grad(), suppress(Exception):  # what a module remembers of another call must not show in this one
        other = torch.ones(q.shape[1], k.shape[1], dtype=torch.bool).tril() if mask is None else ~mask
        torch.func.functional_call(built, weights, (-q, -k, -v, other), strict=True)
    with torch.no_grad():
        alone = torch.func.functional_call(fresh, weights, (q, k, v, mask), strict=True)
    out = torch.func.functional_call(built, weights, (q, k, v, mask), strict=True)
    if isinstance(out, torch.Tensor) and isinstance(alone, torch.Tensor) and not _alike(out, alone):
        raise Named(
            "after another call the same one gives something else: keep no mask, keys or values on self, "
            "make no weights in forward, and drop nothing out"
        )
    return out[..., :d] if isinstance(out, torch.Tensor) and not out[..., d:].any() else out


def _alike(out: torch.Tensor, other: torch.Tensor) -> bool:
    return out.shape == other.shape and torch.allclose(out, other, equal_nan=True)


def _weights(a: int, d: int, c: int, e: int, seed: int) -> list[torch.Tensor]:
    return [0.4 * w for w in random_tensors((a, d), (a, c), (a, e), (d, a), seed=seed)]


def _of_widths(d: int, c: int, e: int) -> tuple:
    q, k, v = random_tensors((2, 5, d), (2, 11, c), (2, 11, e), seed=4)
    return q, k, v, *_weights(12, d, c, e, seed=6), 2, None


def inputs() -> dict[str, tuple]:
    q, k, v = random_tensors((2, 5, 12), (2, 11, 12), (2, 11, 12))
    some = torch.rand(5, 11, generator=torch.Generator().manual_seed(0)) < 0.6
    some[:, 4] = True
    of_heads = torch.rand(2, 3, 5, 11, generator=torch.Generator().manual_seed(1)) < 0.6
    of_heads[..., 4] = True
    padding = torch.ones(2, 1, 1, 11, dtype=torch.bool)
    padding[0, ..., :8] = padding[1, ..., :3] = False
    nobody = torch.tensor([1, 0, 1, 1, 0]).bool()[:, None].repeat(2, 1, 1, 11)
    view_q, view_k, view_v = random_tensors((5, 12, 3), (12, 11, 3), (12, 3, 11), seed=2)
    one_q, one_k, one_v = random_tensors((1, 1, 12), (1, 3, 12), (1, 3, 12), seed=3)
    w_q, w_k, w_v, w_o = _weights(12, 12, 12, 12, seed=5)
    weights, large, larger = (
        (w_q, w_k, w_v, w_o, 3),
        (30 * w_q, 30 * w_k, w_v, w_o, 3),
        (1e3 * w_q, 1e3 * w_k, w_v, w_o, 3),
    )
    return {
        "no mask": (q, k, v, *weights, None),
        "a mask": (q, k, v, *weights, some),
        "padding": (q, k, v, *weights, padding),
        "a mask for each head": (q, k, v, *weights, of_heads),
        "nobody to attend to": (q, k, v, *weights, nobody),
        "large": (q, k, v, *large, None),
        "large, with padding": (q, k, v, *larger, padding),
        "self-attention": (q, q, q, *weights, None),
        "views": (view_q.movedim(2, 0), view_k.permute(2, 1, 0), view_v.permute(1, 2, 0), *weights, None),
        "one": (one_q, one_k, one_v, *weights, None),
        "wider inside": _of_widths(9, 9, 9),
    }


def expected(q, k, v, w_q, w_k, w_v, w_o, h, mask=None):
    """One head after the other, by PyTorch's own attention: each has its rows of W_q, W_k, W_v, its columns of W_o."""
    out = 0
    masks = _of_each_head(q, k, h, mask)
    for rows, of_head in zip(torch.arange(len(w_q)).chunk(h), masks, strict=True):
        head = F.scaled_dot_product_attention(q @ w_q[rows].T, k @ w_k[rows].T, v @ w_v[rows].T, of_head)
        out = out + head @ w_o[:, rows].T
    return out


def _of_each_head(q, k, h, mask):
    """h masks (b t s)."""
    mask = torch.tensor(True) if mask is None else mask
    return mask.expand(len(q), h, q.shape[1], k.shape[1]).unbind(1)


@teaching
def check_worked_example(f):
    "two heads of width 1: one has odds of 3 to 1 between 8 and 4, the other even odds between 16 and 6: 7 and 11"
    one, q = float64([[1, 0], [0, 1]]), float64([[[1, 0]]])
    k, v = float64([[[math.log(3), 5], [0, 9]]]), float64([[[8, 16], [4, 6]]])
    same(f(q, k, v, one, one, one, one, 2), float64([[[7, 11]]]))


def check_values(f):
    "agrees head by head: on views, on one query, with queries as keys, with q, k and v of widths of their own"
    for case in ("no mask", "views", "one", "self-attention", "wider inside"):
        same(f(*inputs()[case]), expected(*inputs()[case]))
    same(f(*_of_widths(9, 10, 8)), expected(*_of_widths(9, 10, 8)))


def check_mask(f):
    "a mask (t s) or (b 1 1 s) hides keys from all heads, one (b h t s) from each its own; other weights still sum to 1"
    for case in ("a mask", "padding", "a mask for each head"):
        same(f(*inputs()[case]), expected(*inputs()[case]))


def check_nobody_to_attend_to(f):
    "a query that may attend to nothing gets zeros"
    same(f(*inputs()["nobody to attend to"]), expected(*inputs()["nobody to attend to"]))


def check_large_scores(f):
    "scores beyond 1,000 do not overflow, and masked ones that are far above the others leave those their weight"
    for case in ("large", "large, with padding"):
        same(f(*inputs()[case]), expected(*inputs()[case]))


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
    plain = F.scaled_dot_product_attention(q @ w_q.T, k @ w_k.T, v @ w_v.T) @ w_o.T
    same(f(q, k, v, w_q, w_k, w_v, w_o, 1), plain)


def _projected(q, k, v, w_q, w_k, w_v):
    return q @ w_q.mT, k @ w_k.mT, v @ w_v.mT


def _heads(q, k, v, w_q, w_k, w_v, h):
    return [split_heads(x, h) for x in _projected(q, k, v, w_q, w_k, w_v)]


def _attended(q, k, v, w_q, w_k, w_v, h, mask):
    q, k, v = _heads(q, k, v, w_q, w_k, w_v, h)
    return scaled_dot_product_attention(q, k, v, mask)


def _scores(q, k):
    return q @ k.mT / math.sqrt(q.shape[-1])


def _answer(scores, v, w_o, mask):
    return join_heads(softmax(masked_scores(scores, mask)) @ v) @ w_o.mT


def _viewed(x, h):
    return x.reshape(x.shape[0], h, x.shape[1], x.shape[2] // h)


@wrong("the heads are split by view(b, h, t, a/h): a head gets whole positions. View (b, t, h, a/h), then swap 1 and 2")
def split_without_swap(q, k, v, w_q, w_k, w_v, w_o, h, mask=None):
    q, k, v = (_viewed(x, h) for x in _projected(q, k, v, w_q, w_k, w_v))
    return join_heads(scaled_dot_product_attention(q, k, v, mask)) @ w_o.mT


@wrong("the heads are joined without swapping back: (b h t a/h) must become (b t h a/h) before it is flattened")
def joined_without_swap(q, k, v, w_q, w_k, w_v, w_o, h, mask=None):
    heads = _attended(q, k, v, w_q, w_k, w_v, h, mask)
    return heads.reshape(len(q), q.shape[1], len(w_q)) @ w_o.mT


@wrong("the heads are split and joined by view alone, which mixes up positions and heads: swap axes 1 and 2 both times")
def neither_swapped(q, k, v, w_q, w_k, w_v, w_o, h, mask=None):
    q, k, v = (_viewed(x, h) for x in _projected(q, k, v, w_q, w_k, w_v))
    return scaled_dot_product_attention(q, k, v, mask).reshape(len(q), q.shape[2], len(w_q)) @ w_o.mT


@wrong("the heads stay behind the positions, (b t h a/h): heads attend to heads. Swap axes 1 and 2 before attending")
def heads_attend_to_heads(q, k, v, w_q, w_k, w_v, w_o, h, mask=None):
    q, k, v = (x.unflatten(-1, (h, -1)) for x in _projected(q, k, v, w_q, w_k, w_v))
    return softmax(masked_scores(_scores(q, k), mask)).matmul(v).flatten(2) @ w_o.mT


@wrong("the heads are interleaved, columns i, i + h, …: view (b, t, h, a/h), not (b, t, a/h, h). A head is one slice")
def interleaved(q, k, v, w_q, w_k, w_v, w_o, h, mask=None):
    q, k, v = (x.unflatten(-1, (-1, h)).movedim(-1, 1) for x in _projected(q, k, v, w_q, w_k, w_v))
    return scaled_dot_product_attention(q, k, v, mask).movedim(1, -1).flatten(2) @ w_o.mT


@wrong(
    "split into columns i, i + h, …, yet joined as slices: view(b, t, h, a/h), not (b, t, a/h, h). A head is one slice"
)
def split_interleaved(q, k, v, w_q, w_k, w_v, w_o, h, mask=None):
    q, k, v = (x.unflatten(-1, (-1, h)).movedim(-1, 1) for x in _projected(q, k, v, w_q, w_k, w_v))
    return join_heads(scaled_dot_product_attention(q, k, v, mask)) @ w_o.mT


@wrong("h is taken for the width of a head: there are h heads of width a/h")
def h_is_the_width(q, k, v, w_q, w_k, w_v, w_o, h, mask=None):
    return multi_head_attention(q, k, v, w_q, w_k, w_v, w_o, len(w_q) // h, mask)


@wrong("h is not used: this is one head of the whole width")
def one_head(q, k, v, w_q, w_k, w_v, w_o, h, mask=None):
    return multi_head_attention(q, k, v, w_q, w_k, w_v, w_o, 1, mask)


@wrong("the width of a head is taken from q before the projection: it is a/h, with a the rows of w_q")
def width_of_q(q, k, v, w_q, w_k, w_v, w_o, h, mask=None):
    q, k, v = (x.unflatten(-1, (h, q.shape[-1] // h)).transpose(1, 2) for x in _projected(q, k, v, w_q, w_k, w_v))
    return join_heads(scaled_dot_product_attention(q, k, v, mask)) @ w_o.mT


@wrong("scaled by the root of the whole width: a head's products are sums of a/h terms, so divide by √(a/h)")
def scaled_by_the_whole_width(q, k, v, w_q, w_k, w_v, w_o, h, mask=None):
    q, k, v = _heads(q, k, v, w_q, w_k, w_v, h)
    return _answer(q @ k.mT / math.sqrt(len(w_q)), v, w_o, mask)


@wrong("the scale is missing: divide the scores by √(a/h)")
def not_scaled(q, k, v, w_q, w_k, w_v, w_o, h, mask=None):
    q, k, v = _heads(q, k, v, w_q, w_k, w_v, h)
    return _answer(q @ k.mT, v, w_o, mask)


@wrong("scaled by √(d/h), with the width that q came in with: the products are of projected q and k, so it is √(a/h)")
def scaled_by_the_width_of_q(q, k, v, w_q, w_k, w_v, w_o, h, mask=None):
    width, (q, k, v) = q.shape[-1] / h, _heads(q, k, v, w_q, w_k, w_v, h)
    return _answer(q @ k.mT / math.sqrt(width), v, w_o, mask)


@wrong(
    "scaled by √(d // h), with the width that q came in with: the products are of projected q and k, so it is √(a/h)"
)
def scaled_by_the_whole_width_of_q(q, k, v, w_q, w_k, w_v, w_o, h, mask=None):
    width, (q, k, v) = q.shape[-1] // h, _heads(q, k, v, w_q, w_k, w_v, h)
    return _answer(q @ k.mT / math.sqrt(width), v, w_o, mask)


@wrong("scaled by the root of the number of heads: it is the width of a head, a/h, that a product sums over")
def scaled_by_the_number_of_heads(q, k, v, w_q, w_k, w_v, w_o, h, mask=None):
    q, k, v = _heads(q, k, v, w_q, w_k, w_v, h)
    return _answer(q @ k.mT / math.sqrt(h), v, w_o, mask)


@wrong("scaled by the root of the number of keys: it is the width of a head, a/h, that a product sums over")
def scaled_by_the_number_of_keys(q, k, v, w_q, w_k, w_v, w_o, h, mask=None):
    q, k, v = _heads(q, k, v, w_q, w_k, w_v, h)
    return _answer(q @ k.mT / math.sqrt(k.shape[2]), v, w_o, mask)


@wrong("divided by a/h: it is √(a/h), and only once. Does the attention that you call do it already?")
def scaled_twice(q, k, v, w_q, w_k, w_v, w_o, h, mask=None):
    return multi_head_attention(q / math.sqrt(len(w_q) / h), k, v, w_q, w_k, w_v, w_o, h, mask)


@wrong("multiplied by w_q, w_k, w_v as they are: a weight is (out in), so it is x @ w.T")
def not_transposed(q, k, v, w_q, w_k, w_v, w_o, h, mask=None):
    return multi_head_attention(q, k, v, w_q.mT, w_k.mT, w_v.mT, w_o, h, mask)


@wrong("multiplied by w_o as it is: a weight is (out in), so it is heads @ w_o.T")
def w_o_not_transposed(q, k, v, w_q, w_k, w_v, w_o, h, mask=None):
    return join_heads(_attended(q, k, v, w_q, w_k, w_v, h, mask)) @ w_o


@wrong("no weight is transposed, and as all are square nobody complains: a weight is (out in), so it is x @ w.T")
def nothing_transposed(q, k, v, w_q, w_k, w_v, w_o, h, mask=None):
    # filled up with zeros to a square, as it is in the module
    q, k, v, w_q, w_k, w_v, w_out = (F.pad(x, (0, len(w_q) - x.shape[-1])) for x in (q, k, v, w_q, w_k, w_v, w_o.mT))
    return multi_head_attention(q, k, v, w_q.mT, w_k.mT, w_v.mT, w_out, h, mask)


@wrong("w_o is missing: without it no output mixes what different heads found")
def w_o_missing(q, k, v, w_q, w_k, w_v, w_o, h, mask=None):
    return join_heads(_attended(q, k, v, w_q, w_k, w_v, h, mask))


@wrong("the values are not those of v: w_v is applied to k")
def values_of_k(q, k, v, w_q, w_k, w_v, w_o, h, mask=None):
    return multi_head_attention(q, k, k, w_q, w_k, w_v, w_o, h, mask)


@wrong("the values are projected by w_k: they have a projection of their own, w_v")
def values_by_w_k(q, k, v, w_q, w_k, w_v, w_o, h, mask=None):
    return multi_head_attention(q, k, v, w_q, w_k, w_k, w_o, h, mask)


@wrong("the keys are projected by w_q: they have a projection of their own, w_k")
def keys_by_w_q(q, k, v, w_q, w_k, w_v, w_o, h, mask=None):
    return multi_head_attention(q, k, v, w_q, w_q, w_v, w_o, h, mask)


@wrong("keys and values are projected by w_q too: each has a projection of its own, w_k and w_v")
def one_projection(q, k, v, w_q, w_k, w_v, w_o, h, mask=None):
    return multi_head_attention(q, k, v, w_q, w_q, w_q, w_o, h, mask)


@wrong("w_k and w_v have changed places: w_k projects the keys, w_v the values")
def keys_and_values_swapped(q, k, v, w_q, w_k, w_v, w_o, h, mask=None):
    return multi_head_attention(q, k, v, w_q, w_v, w_k, w_o, h, mask)


@wrong("the weights are averaged over the heads: every head weighs its own values by its own weights")
def weights_averaged(q, k, v, w_q, w_k, w_v, w_o, h, mask=None):
    q, k, v = _heads(q, k, v, w_q, w_k, w_v, h)
    return join_heads(attention_weights(q, k, mask).mean(1, keepdim=True) @ v) @ w_o.mT


@wrong("the softmax runs over the heads: the weights of one query, over the keys, must sum to 1 in each head")
def softmax_over_heads(q, k, v, w_q, w_k, w_v, w_o, h, mask=None):
    q, k, v = _heads(q, k, v, w_q, w_k, w_v, h)
    return join_heads(softmax(masked_scores(_scores(q, k), mask).movedim(1, -1)).movedim(-1, 1) @ v) @ w_o.mT


@wrong("the softmax runs over the queries: the weights of one query, over the keys, must sum to 1")
def softmax_over_queries(q, k, v, w_q, w_k, w_v, w_o, h, mask=None):
    q, k, v = _heads(q, k, v, w_q, w_k, w_v, h)
    return join_heads(softmax(masked_scores(_scores(q, k), mask).mT).mT @ v) @ w_o.mT


@wrong("the mask is upside down: True means may attend; nn.MultiheadAttention means the opposite")
def inverted_mask(q, k, v, w_q, w_k, w_v, w_o, h, mask=None):
    return multi_head_attention(q, k, v, w_q, w_k, w_v, w_o, h, None if mask is None else ~mask)


@wrong("the mask is not used")
def mask_ignored(q, k, v, w_q, w_k, w_v, w_o, h, mask=None):
    return multi_head_attention(q, k, v, w_q, w_k, w_v, w_o, h)


@wrong("the mask reaches the first head only: it has to broadcast over all heads")
def first_head_masked(q, k, v, w_q, w_k, w_v, w_o, h, mask=None):
    q, k, v = _heads(q, k, v, w_q, w_k, w_v, h)
    only = None if mask is None else mask | (torch.arange(h) > 0)[:, None, None]
    return _answer(_scores(q, k), v, w_o, only)


@wrong("the first head's mask serves all heads: a mask (b h t s) has one for each")
def mask_of_the_first_head(q, k, v, w_q, w_k, w_v, w_o, h, mask=None):
    if mask is not None and mask.dim() == 4:
        mask = mask[:, :1]
    return multi_head_attention(q, k, v, w_q, w_k, w_v, w_o, h, mask)


@wrong("mask[:, None] makes room for the heads in a mask (b t s): this one broadcasts to (b h t s) as it is")
def mask_with_one_axis_more(q, k, v, w_q, w_k, w_v, w_o, h, mask=None):
    q, k, v = _heads(q, k, v, w_q, w_k, w_v, h)
    scores = _scores(q, k)
    weights = softmax(scores if mask is None else scores.masked_fill(~mask[:, None], -torch.inf))
    return (weights @ v).transpose(1, 2).reshape(len(q), -1, len(w_q)) @ w_o.mT


@wrong("the mask is added to the scores as it is: True is 1, so what may be seen gets a little more. Fill with -inf")
def mask_added(q, k, v, w_q, w_k, w_v, w_o, h, mask=None):
    q, k, v = _heads(q, k, v, w_q, w_k, w_v, h)
    return _answer(_scores(q, k) if mask is None else _scores(q, k) + mask, v, w_o, None)


@wrong("a causal mask of your own: who may attend to whom is for the mask alone to say")
def causal_too(q, k, v, w_q, w_k, w_v, w_o, h, mask=None):
    causal = torch.ones(q.shape[1], k.shape[1], dtype=torch.bool).tril()
    return multi_head_attention(q, k, v, w_q, w_k, w_v, w_o, h, causal if mask is None else causal & mask)


@wrong("a causal mask, as in nanoGPT, in place of the mask that is given")
def causal_instead(q, k, v, w_q, w_k, w_v, w_o, h, mask=None):
    return causal_too(q, k, v, w_q, w_k, w_v, w_o, h)


@wrong("heads folded into the batch, (b·h t s), need each user's mask h times in a row: repeat_interleave, not repeat")
def masks_of_other_users(q, k, v, w_q, w_k, w_v, w_o, h, mask=None):
    q, k, v = (x.flatten(0, 1) for x in _heads(q, k, v, w_q, w_k, w_v, h))
    if mask is not None:
        mask = mask.expand(len(q) // h, 1, q.shape[1], k.shape[1])[:, 0].repeat(h, 1, 1)
    return join_heads(scaled_dot_product_attention(q, k, v, mask).unflatten(0, (-1, h))) @ w_o.mT


@wrong("heads stacked in front of the batch, (h·b t s), need the masks of all users h times over: repeat, not expand")
def masks_in_the_order_of_users(q, k, v, w_q, w_k, w_v, w_o, h, mask=None):
    b, t, s = len(q), q.shape[1], k.shape[1]
    q, k, v = (x.transpose(0, 1).flatten(0, 1) for x in _heads(q, k, v, w_q, w_k, w_v, h))
    mask = None if mask is None else mask.expand(b, h, t, s).reshape(b * h, t, s)
    return join_heads(scaled_dot_product_attention(q, k, v, mask).unflatten(0, (h, b)).transpose(0, 1)) @ w_o.mT


@wrong("the mask is applied to the queries: it says which keys, on the last axis, may be seen")
def queries_masked(q, k, v, w_q, w_k, w_v, w_o, h, mask=None):
    return multi_head_attention(q, k, v, w_q, w_k, w_v, w_o, h, None if mask is None else mask.mT)


@wrong("masked after the softmax: the weights left over no longer sum to 1. Mask the scores, with -inf")
def masked_after_the_softmax(q, k, v, w_q, w_k, w_v, w_o, h, mask=None):
    q, k, v = _heads(q, k, v, w_q, w_k, w_v, h)
    weights = attention_weights(q, k)
    return join_heads((weights if mask is None else weights * mask) @ v) @ w_o.mT


@wrong("masked after the softmax, then divided by what is left: a masked score far above the others leaves only zeros")
def masked_and_divided(q, k, v, w_q, w_k, w_v, w_o, h, mask=None):
    q, k, v = _heads(q, k, v, w_q, w_k, w_v, h)
    weights = attention_weights(q, k) if mask is None else attention_weights(q, k) * mask
    total = weights.sum(-1, keepdim=True)
    return join_heads(weights / torch.where(total == 0, 1, total) @ v) @ w_o.mT


@wrong("masked with a large negative number: a row that may attend to nothing becomes uniform. Use -inf, then zeros")
def minus_one_billion(q, k, v, w_q, w_k, w_v, w_o, h, mask=None):
    q, k, v = _heads(q, k, v, w_q, w_k, w_v, h)
    scores = _scores(q, k)
    return _answer(scores if mask is None else scores.masked_fill(~mask, -1e9), v, w_o, None)


@wrong("masked with -1e4: visible scores may be lower still, and then masked keys get all the weight. Use -inf")
def minus_ten_thousand(q, k, v, w_q, w_k, w_v, w_o, h, mask=None):
    q, k, v = _heads(q, k, v, w_q, w_k, w_v, h)
    if mask is None:
        return _answer(_scores(q, k), v, w_o, None)
    weights = softmax(_scores(q, k).masked_fill(~mask, -1e4)) * mask.any(-1, keepdim=True)
    return join_heads(weights @ v) @ w_o.mT


@wrong("a query that may attend to nothing gets NaN: softmax of a row of -inf. Give it zeros")
def nan_where_nobody(q, k, v, w_q, w_k, w_v, w_o, h, mask=None):
    q, k, v = _heads(q, k, v, w_q, w_k, w_v, h)
    return join_heads(torch.softmax(masked_scores(_scores(q, k), mask), -1) @ v) @ w_o.mT


@wrong("exp without the row's maximum subtracted overflows beyond 710")
def softmax_overflows(q, k, v, w_q, w_k, w_v, w_o, h, mask=None):
    q, k, v = _heads(q, k, v, w_q, w_k, w_v, h)
    parts = masked_scores(_scores(q, k), mask).exp()
    total = parts.sum(-1, keepdim=True)
    return join_heads(parts / torch.where(total == 0, 1, total) @ v) @ w_o.mT


@wrong("one maximum for the whole tensor: rows far below it underflow to zeros. Subtract each row's own, amax(-1)")
def one_maximum_for_all(q, k, v, w_q, w_k, w_v, w_o, h, mask=None):
    q, k, v = _heads(q, k, v, w_q, w_k, w_v, h)
    scores = masked_scores(_scores(q, k), mask)
    parts = (scores - scores.max()).exp()
    return join_heads(parts / parts.sum(-1, keepdim=True).clamp(min=1e-30) @ v) @ w_o.mT


@wrong("q is added at the end: the residual belongs to the block around attention")
def residual_added(q, k, v, w_q, w_k, w_v, w_o, h, mask=None):
    return q + multi_head_attention(q, k, v, w_q, w_k, w_v, w_o, h, mask)


@wrong("axes of size 1 are squeezed away: keep the shape, also of a single query")
def squeezed(q, k, v, w_q, w_k, w_v, w_o, h, mask=None):
    return multi_head_attention(q, k, v, w_q, w_k, w_v, w_o, h, mask).squeeze()


@wrong("the NaN of a query with nothing to attend to is patched up afterwards: its gradient is still NaN")
def nan_patched_up(q, k, v, w_q, w_k, w_v, w_o, h, mask=None):
    return nan_where_nobody(q, k, v, w_q, w_k, w_v, w_o, h, mask).nan_to_num(0)


def _infinity_added(scores, mask):
    return scores if mask is None else scores + torch.where(mask, 0.0, -torch.inf).to(scores)


@wrong("-inf is added: where nobody may be seen the gradient of q is NaN, though weights are patched. Use masked_fill")
def infinity_added(q, k, v, w_q, w_k, w_v, w_o, h, mask=None):
    q, k, v = _heads(q, k, v, w_q, w_k, w_v, h)
    return join_heads(torch.softmax(_infinity_added(_scores(q, k), mask), -1).nan_to_num(0) @ v) @ w_o.mT


@wrong("-inf is added and the NaN of the heads patched up: the gradients stay NaN. masked_fill, and patch the weights")
def infinity_added_heads_patched(q, k, v, w_q, w_k, w_v, w_o, h, mask=None):
    q, k, v = _heads(q, k, v, w_q, w_k, w_v, h)
    return join_heads((torch.softmax(_infinity_added(_scores(q, k), mask), -1) @ v).nan_to_num(0)) @ w_o.mT


@right
def with_einsum(q, k, v, w_q, w_k, w_v, w_o, h, mask=None):
    of_q, of_k, of_v = (w.unflatten(0, (h, -1)) for w in (w_q, w_k, w_v))
    queries, keys = torch.einsum("btd,hwd->bhtw", q, of_q), torch.einsum("bsc,hwc->bhsw", k, of_k)
    values = torch.einsum("bse,hwe->bhsw", v, of_v)
    scores = torch.einsum("bhtw,bhsw->bhts", queries, keys) * (len(w_q) // h) ** -0.5
    weights = softmax(masked_scores(scores, mask))
    return torch.einsum("bhts,bhsw,dhw->btd", weights, values, w_o.unflatten(1, (h, -1)))


@right
def head_by_head(q, k, v, w_q, w_k, w_v, w_o, h, mask=None):
    width, heads = len(w_q) // h, []
    for i, of_head in enumerate(_of_each_head(q, k, h, mask)):
        q_i, k_i, v_i = (x @ w[i * width : (i + 1) * width].T for x, w in ((q, w_q), (k, w_k), (v, w_v)))
        heads.append(softmax(masked_scores(q_i @ k_i.mT / width**0.5, of_head)) @ v_i)
    return torch.cat(heads, -1) @ w_o.T


@right
def folded_into_the_batch(q, k, v, w_q, w_k, w_v, w_o, h, mask=None):
    b, t, s, width = len(q), q.shape[1], k.shape[1], len(w_q) // h
    queries = (q @ w_q.T).reshape(b, t, h, width).transpose(1, 2).reshape(b * h, t, width)
    keys = (k @ w_k.T).reshape(b, s, h, width).permute(0, 2, 3, 1).reshape(b * h, width, s)
    values = (v @ w_v.T).reshape(b, s, h, width).transpose(1, 2).reshape(b * h, s, width)
    scores = torch.bmm(queries / width**0.5, keys)
    if mask is not None:
        scores = scores.masked_fill(~mask.expand(b, h, t, s).reshape(b * h, t, s), -torch.inf)
    heads = torch.bmm(softmax(scores), values).reshape(b, h, t, width)
    return heads.transpose(1, 2).reshape(b, t, h * width) @ w_o.T
