"""Spec of scaled_dot_product_attention: the scale, the softmax's axis, the mask, and rows with nothing in them."""

import math

import torch
import torch.nn.functional as F

from recattn_mini.attention.masks import masked_scores
from recattn_mini.attention.scaled_dot_product_attention import (
    attention_weights,
    scaled_dot_product_attention,
    scaled_dot_product_attention_numpy,
)
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


def inputs() -> dict[str, tuple]:
    q, k, v = random_tensors((2, 3, 5, 7), (2, 3, 11, 7), (2, 3, 11, 13))
    some = torch.rand(5, 11, generator=torch.Generator().manual_seed(0)) < 0.6
    some[:, 4] = True
    padding = torch.ones(2, 1, 1, 11, dtype=torch.bool)
    padding[0, ..., :8] = padding[1, ..., :9] = False
    nobody = torch.tensor([1, 0, 1, 1, 0]).bool()[:, None].repeat(2, 3, 1, 11)
    scores = 3600 * q @ k.mT / math.sqrt(7)
    below = scores <= scores.kthvalue(3, -1, keepdim=True).values  # some rows have nothing above -1,000
    view_q, view_k, view_v = random_tensors((5, 7, 3), (7, 11, 3), (13, 3, 11), seed=2)
    one_q, one_k, one_v = random_tensors((1, 1, 1, 2), (1, 1, 3, 2), (1, 1, 3, 5), seed=3)
    return {
        "no mask": (q, k, v, None),
        "a mask": (q, k, v, some),
        "padding": (q, k, v, padding),
        "nobody to attend to": (q, k, v, nobody),
        "large": (60 * q, 60 * k, v, None),
        "masked scores are the largest": (60 * q, 60 * k, v, below),
        "views": (view_q.movedim(2, 0), view_k.permute(2, 1, 0), view_v.permute(1, 2, 0), None),
        "one": (one_q, one_k, one_v, None),
    }


def expected(q, k, v, mask=None):
    """PyTorch's own, which gives zeros for a row that may attend to nothing."""
    return F.scaled_dot_product_attention(q, k, v, mask)


@teaching
def check_worked_example(f):
    "odds of 3 to 1 between the values 8 and 4 give 7; even odds give 6"
    q, k = float64([[2, 0, 0, 0], [0, 0, 0, 0]]), float64([[math.log(3), 0, 0, 0], [0, 5, 5, 5]])
    same(f(q, k, float64([[8, 0], [4, 4]])), float64([[7, 1], [6, 2]]))


def check_values(f):
    "agrees with PyTorch on unequal sizes, on views, on one query, without a mask"
    for case in ("no mask", "views", "one"):
        same(f(*inputs()[case]), expected(*inputs()[case]))


def check_mask(f):
    "a masked key counts for nothing, and the other weights still sum to 1"
    for case in ("a mask", "padding"):
        same(f(*inputs()[case]), expected(*inputs()[case]))


def check_nobody_to_attend_to(f):
    "a query that may attend to nothing gets zeros"
    case = inputs()["nobody to attend to"]
    same(f(*case), expected(*case))


def check_large_scores(f):
    "scores beyond 1,000 do not overflow"
    same(f(*inputs()["large"]), expected(*inputs()["large"]))


def check_masked_scores_are_the_largest(f):
    "a masked key counts for nothing however large its score, and however low the others"
    case = inputs()["masked scores are the largest"]
    same(f(*case), expected(*case))


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


def _attend(scores, v, mask):
    return softmax(masked_scores(scores, mask)) @ v


@wrong("the scale is missing: divide the scores by √d, or their variance is d")
def not_scaled(q, k, v, mask=None):
    return _attend(q @ k.mT, v, mask)


@wrong("divided by d: it is √d, the standard deviation of a sum of d products")
def scaled_by_d(q, k, v, mask=None):
    return _attend(q @ k.mT / q.shape[-1], v, mask)


@wrong("multiplied by √d: divide by it")
def multiplied_by_root_d(q, k, v, mask=None):
    return _attend(q @ k.mT * math.sqrt(q.shape[-1]), v, mask)


@wrong("scaled by the width of v: d is the width of q and k")
def scaled_by_width_of_v(q, k, v, mask=None):
    return _attend(q @ k.mT / math.sqrt(v.shape[-1]), v, mask)


@wrong("scaled by the number of keys: d is the width of q and k")
def scaled_by_number_of_keys(q, k, v, mask=None):
    return _attend(q @ k.mT / math.sqrt(k.shape[-2]), v, mask)


@wrong("scaled after the softmax: the weights no longer sum to 1. Divide the scores")
def scaled_too_late(q, k, v, mask=None):
    return _attend(q @ k.mT, v, mask) / math.sqrt(q.shape[-1])


@wrong("the softmax runs over the queries: the weights of one query, over the keys, must sum to 1")
def softmax_over_queries(q, k, v, mask=None):
    scores = masked_scores(q @ k.mT / math.sqrt(q.shape[-1]), mask)
    return softmax(scores.mT.contiguous()).mT @ v


@wrong("softmax twice: the second one flattens the weights of the first")
def softmax_twice(q, k, v, mask=None):
    return softmax(masked_scores(attention_weights(q, k, mask), mask)) @ v


@wrong("k is reshaped to (... d s), which mixes up its numbers: swap its last two axes")
def reshaped_not_transposed(q, k, v, mask=None):
    mixed_up = k.reshape(*k.shape[:-2], k.shape[-1], k.shape[-2])
    return _attend(q @ mixed_up / math.sqrt(q.shape[-1]), v, mask)


@wrong("no softmax: scores are no weights")
def no_softmax(q, k, v, mask=None):
    scores = q @ k.mT / math.sqrt(q.shape[-1])
    return (scores if mask is None else scores.masked_fill(~mask, 0)) @ v


@wrong("a sigmoid for each key instead of a softmax over all of them")
def sigmoid(q, k, v, mask=None):
    return masked_scores(q @ k.mT / math.sqrt(q.shape[-1]), mask).sigmoid() @ v


@wrong("the mask is upside down: True means may attend")
def inverted_mask(q, k, v, mask=None):
    return scaled_dot_product_attention(q, k, v, None if mask is None else ~mask)


@wrong("the mask is not used")
def mask_ignored(q, k, v, mask=None):
    return scaled_dot_product_attention(q, k, v)


@wrong("masked after the softmax: the weights left over no longer sum to 1. Mask the scores, with -inf")
def masked_after_the_softmax(q, k, v, mask=None):
    weights = attention_weights(q, k)
    return (weights if mask is None else weights * mask) @ v


@wrong("masked scores are set to 0, and exp(0) is 1: use -inf")
def masked_with_zero(q, k, v, mask=None):
    scores = q @ k.mT / math.sqrt(q.shape[-1])
    return softmax(scores if mask is None else scores * mask) @ v


@wrong("the boolean mask is added to the scores as 0 and 1: it has to become 0 and -inf")
def mask_added(q, k, v, mask=None):
    scores = q @ k.mT / math.sqrt(q.shape[-1])
    return softmax(scores if mask is None else scores + mask) @ v


@wrong("the scores are indexed with the mask: a mask broadcasts, (t s) or (b 1 1 s) to (b h t s). Use where")
def mask_as_index(q, k, v, mask=None):
    scores = q @ k.mT / math.sqrt(q.shape[-1])
    if mask is not None:
        scores[~mask] = -torch.inf
    return softmax(scores) @ v


@wrong("masked with a large negative number: a row that may attend to nothing becomes uniform. Use -inf, then zeros")
def minus_one_billion(q, k, v, mask=None):
    scores = q @ k.mT / math.sqrt(q.shape[-1])
    return softmax(scores if mask is None else scores.masked_fill(~mask, -1e9)) @ v


@wrong("a query that may attend to nothing gets NaN: softmax of a row of -inf. Give it zeros")
def nan_where_nobody(q, k, v, mask=None):
    return torch.softmax(masked_scores(q @ k.mT / math.sqrt(q.shape[-1]), mask), -1) @ v


@wrong("scores are clipped at 700, where exp still fits: all larger ones become ties. Subtract the row's maximum")
def clipped(q, k, v, mask=None):
    return _attend((q @ k.mT / math.sqrt(q.shape[-1])).clamp_max(700), v, mask)


@wrong("exp without the row's maximum subtracted overflows beyond 710")
def softmax_overflows(q, k, v, mask=None):
    parts = masked_scores(q @ k.mT / math.sqrt(q.shape[-1]), mask).exp()
    total = parts.sum(-1, keepdim=True)
    return parts / torch.where(total == 0, 1, total) @ v


@wrong("masked with -1,000: other scores may be lower still. Use -inf")
def minus_one_thousand(q, k, v, mask=None):
    scores = q @ k.mT / math.sqrt(q.shape[-1])
    weights = softmax(scores if mask is None else scores.masked_fill(~mask, -1000))
    return weights @ v if mask is None else weights * mask.any(-1, keepdim=True) @ v


@wrong("the maximum is taken before masking: a large masked score pushes all others to 0. Mask first")
def maximum_before_the_mask(q, k, v, mask=None):
    scores = q @ k.mT / math.sqrt(q.shape[-1])
    parts = (scores - scores.detach().amax(-1, keepdim=True)).exp()
    parts = parts if mask is None else parts * mask
    total = parts.sum(-1, keepdim=True)
    return parts / torch.where(total == 0, 1, total) @ v


@wrong("the softmax runs in float32 whatever came: float64 loses half its digits. Widen half precision only")
def float32_weights(q, k, v, mask=None):
    scores = masked_scores(q @ k.mT / math.sqrt(q.shape[-1]), mask)
    return softmax(scores.float()).to(v.dtype) @ v


@wrong("-inf is added to the scores, and the NaN weights are patched up: their gradient is still NaN. Fill, don't add")
def minus_infinity_added(q, k, v, mask=None):
    scores = q @ k.mT / math.sqrt(q.shape[-1])
    if mask is not None:
        scores = scores + torch.zeros(mask.shape, dtype=q.dtype).masked_fill(~mask, -torch.inf)
    return torch.softmax(scores, -1).nan_to_num(0) @ v


@wrong("the mean is taken of the keys: weigh the values")
def mean_of_the_keys(q, k, v, mask=None):
    return attention_weights(q, k, mask) @ k


@wrong("the weights are detached: q and k get no gradient")
def detached_weights(q, k, v, mask=None):
    return attention_weights(q, k, mask).detach() @ v + 0 * (q.sum() + k.sum())


@wrong("axes of size 1 are squeezed away: keep the shape, also of a single query")
def squeezed(q, k, v, mask=None):
    return scaled_dot_product_attention(q, k, v, mask).squeeze()


@wrong("the NaN of a query with nothing to attend to is patched up afterwards: its gradient is still NaN")
def nan_patched_up(q, k, v, mask=None):
    return nan_where_nobody(q, k, v, mask).nan_to_num(0)


@right
def with_einsum(q, k, v, mask=None):
    scores = torch.einsum("...td,...sd->...ts", q, k) * q.shape[-1] ** -0.5
    weights = masked_scores(scores, mask).softmax(-1).nan_to_num(0) if mask is None else _by_hand(scores, mask)
    return torch.einsum("...ts,...se->...te", weights, v)


def _by_hand(scores, mask):
    bias = torch.zeros_like(scores).masked_fill(~mask, -1e300)
    weights = (scores + bias).softmax(-1)
    return weights * mask.any(-1, keepdim=True)


@right
def patched_up_where_filled(q, k, v, mask=None):
    """Filling drops the gradient of what it fills, so that NaN weights set to 0 leave no trace."""
    return torch.softmax(masked_scores(q @ k.mT / math.sqrt(q.shape[-1]), mask), -1).nan_to_num(0) @ v


@right
def query_by_query(q, k, v, mask=None):
    mask = torch.ones(q.shape[-2], k.shape[-2], dtype=torch.bool) if mask is None else mask
    mask = mask.expand(*q.shape[:-1], k.shape[-2])
    rows = []
    for t in range(q.shape[-2]):
        scores = (k * q[..., t : t + 1, :]).sum(-1) / math.sqrt(q.shape[-1])
        seen = mask[..., t, :]
        top = torch.where(seen, scores, -1e300).detach().amax(-1, keepdim=True)
        parts = torch.where(seen, scores - top, -torch.inf).exp()
        total = parts.sum(-1, keepdim=True)
        rows.append(((parts / torch.where(total > 0, total, 1))[..., None] * v).sum(-2))
    return torch.stack(rows, -2)
