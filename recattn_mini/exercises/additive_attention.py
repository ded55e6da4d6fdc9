"""Spec of additive_attention: tanh of a sum, as a function over given weights and as a module that learns them."""

import math

import torch

from recattn_mini.attention.additive_attention import AdditiveAttention, additive_attention, additive_attention_numpy
from recattn_mini.attention.masks import masked_scores
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

NAMES = ("q", "k", "v", "w_q", "w_k", "w_score")
LEVEL, MINUTES = "medium", 10
HINTS = (
    "Every query meets every key: which two axes of size 1 make (... t a) and (... s a) broadcast to (... t s a)?",
    "hidden = tanh(q W_qᵀ [..., :, None, :] + k W_kᵀ [..., None, :, :]); the score is its dot product with w_score.",
    "hidden @ w_score is (... t s): mask it with -inf, softmax over the keys, times v. No √d.",
)
FORBIDDEN = ("keras.layers.AdditiveAttention", "torch.nn.functional.scaled_dot_product_attention")


def call_module(module, q, k, v, w_q, w_k, w_score, mask=None):
    """A learner's module, built by its own `__init__`, as a function of its weights."""
    built = module(q.shape[-1], k.shape[-1], len(w_score))
    weights = {"q_proj.weight": w_q, "k_proj.weight": w_k, "score.weight": w_score[None]}
    same_parameters(built, weights)
    with torch.no_grad():  # what a module remembers of another call must not show in this one
        torch.func.functional_call(built, weights, (-q, -k, -v, mask), strict=True)
    return torch.func.functional_call(built, weights, (q, k, v, mask), strict=True)


def inputs() -> dict[str, tuple]:
    q, k, v, w_q, w_k, w = random_tensors((2, 3, 5, 7), (2, 3, 11, 6), (2, 3, 11, 13), (4, 7), (4, 6), (4,))
    some = torch.rand(5, 11, generator=torch.Generator().manual_seed(0)) < 0.6
    some[:, 4] = True
    nobody = torch.tensor([1, 0, 1, 1, 0]).bool()[:, None].expand(5, 11)
    view_q, view_k, view_v = random_tensors((5, 7, 3), (6, 11, 3), (13, 3, 11), seed=2)
    one_q, one_k, one_v = random_tensors((1, 1, 7), (1, 3, 6), (1, 3, 5), seed=3)
    weights = (w_q, w_k, w)
    return {
        "no mask": (q, k, v, *weights, None),
        "a mask": (q, k, v, *weights, some),
        "nobody to attend to": (q, k, v, *weights, nobody),
        "large": (q, k, v, w_q, w_k, 20000 * w, None),
        "views": (view_q.movedim(2, 0), view_k.permute(2, 1, 0), view_v.permute(1, 2, 0), *weights, None),
        "one": (one_q, one_k, one_v, *weights, None),
    }


def expected(q, k, v, w_q, w_k, w_score, mask=None):
    """The formula with PyTorch's own softmax."""
    hidden = torch.tanh((q @ w_q.T).unsqueeze(-2) + (k @ w_k.T).unsqueeze(-3))
    scores = torch.einsum("...tsa,a->...ts", hidden, w_score)
    return torch.softmax(masked_scores(scores, mask), -1).nan_to_num(0) @ v


@teaching
def check_worked_example(f):
    "hidden layers of 0.5 and 0, w_score = 2 log 3: odds of 3 to 1 between 8 and 4 give 7"
    one, q, v = float64([[1]]), float64([[0], [0]]), float64([[8, 0], [4, 4]])
    k = float64([[math.atanh(0.5)], [0]])
    same(f(q, k, v, one, one, 2 * math.log(3) * one[0]), float64([[7, 1], [7, 1]]))


def check_values(f):
    "agrees with the formula on unequal sizes, on views, on one query"
    for case in ("no mask", "views", "one"):
        same(f(*inputs()[case]), expected(*inputs()[case]))


def check_mask(f):
    "a masked key counts for nothing, and the other weights still sum to 1"
    same(f(*inputs()["a mask"]), expected(*inputs()["a mask"]))


def check_nobody_to_attend_to(f):
    "a query that may attend to nothing gets zeros"
    same(f(*inputs()["nobody to attend to"]), expected(*inputs()["nobody to attend to"]))


def check_large_scores(f):
    "scores beyond 1,000 do not overflow"
    same(f(*inputs()["large"]), expected(*inputs()["large"]))


@torch_only
def check_gradient(f):
    "the gradients of the inputs and of all three weights agree"
    case = inputs()["no mask"]
    same(gradients(f, *case), gradients(additive_attention, *case), NAMES)
    finite(gradients(f, *inputs()["nobody to attend to"]), NAMES)


@teaching
def check_the_query_matters(f):
    "another query, other weights: without the tanh the query would cancel"
    q, k, v, *weights, _ = inputs()["no mask"]
    out, other = f(q, k, v, *weights), f(q + 1, k, v, *weights)
    same(out, expected(q, k, v, *weights))
    same(other, expected(q + 1, k, v, *weights))
    same((out - other).abs().amax((0, 1, 3)) > 0.01, torch.ones(5, dtype=torch.bool))


def _hidden(q, k, w_q, w_k):
    return (q @ w_q.mT)[..., :, None, :] + (k @ w_k.mT)[..., None, :, :]


def _attend(scores, v, mask):
    return softmax(masked_scores(scores, mask)) @ v


@wrong("the tanh is missing: W_q q is then the same for every key, and the softmax forgets the query")
def no_tanh(q, k, v, w_q, w_k, w_score, mask=None):
    return _attend(_hidden(q, k, w_q, w_k) @ w_score, v, mask)


@wrong("tanh before the sum: tanh(W_q q) is the same for every key, and the softmax forgets the query")
def tanh_before_the_sum(q, k, v, w_q, w_k, w_score, mask=None):
    of_query, of_key = torch.tanh(q @ w_q.mT) @ w_score, torch.tanh(k @ w_k.mT) @ w_score
    return _attend(of_query[..., :, None] + of_key[..., None, :], v, mask)


@wrong("tanh of the score, after w_score: the hidden layer is what tanh bounds")
def tanh_of_the_score(q, k, v, w_q, w_k, w_score, mask=None):
    return _attend(torch.tanh(_hidden(q, k, w_q, w_k) @ w_score), v, mask)


@wrong("a ReLU where the tanh belongs")
def relu(q, k, v, w_q, w_k, w_score, mask=None):
    return _attend(_hidden(q, k, w_q, w_k).relu() @ w_score, v, mask)


@wrong("a sigmoid where the tanh belongs")
def sigmoid(q, k, v, w_q, w_k, w_score, mask=None):
    return _attend(_hidden(q, k, w_q, w_k).sigmoid() @ w_score, v, mask)


@wrong("the product of query and key, not their sum")
def product(q, k, v, w_q, w_k, w_score, mask=None):
    hidden = (q @ w_q.mT)[..., :, None, :] * (k @ w_k.mT)[..., None, :, :]
    return _attend(hidden.tanh() @ w_score, v, mask)


@wrong("w_score is not used: the hidden layer is summed with equal weights")
def w_score_missing(q, k, v, w_q, w_k, w_score, mask=None):
    return _attend(_hidden(q, k, w_q, w_k).tanh().sum(-1) + 0 * w_score.sum(), v, mask)


@wrong("divided by √d: additive scores are bounded by tanh and need no scale")
def scaled_by_root_d(q, k, v, w_q, w_k, w_score, mask=None):
    return _attend(_hidden(q, k, w_q, w_k).tanh() @ w_score / math.sqrt(q.shape[-1]), v, mask)


@wrong("divided by √a: additive scores are bounded by tanh and need no scale")
def scaled_by_root_a(q, k, v, w_q, w_k, w_score, mask=None):
    return _attend(_hidden(q, k, w_q, w_k).tanh() @ w_score / math.sqrt(len(w_score)), v, mask)


@wrong("the softmax runs over the queries: the weights of one query, over the keys, must sum to 1")
def softmax_over_queries(q, k, v, w_q, w_k, w_score, mask=None):
    scores = masked_scores(_hidden(q, k, w_q, w_k).tanh() @ w_score, mask)
    return softmax(scores.mT.contiguous()).mT @ v


@wrong("the mask is not used")
def mask_ignored(q, k, v, w_q, w_k, w_score, mask=None):
    return additive_attention(q, k, v, w_q, w_k, w_score)


@wrong("the mask is upside down: True means may attend")
def inverted_mask(q, k, v, w_q, w_k, w_score, mask=None):
    return additive_attention(q, k, v, w_q, w_k, w_score, None if mask is None else ~mask)


@wrong("masked after the softmax: the weights left over no longer sum to 1. Mask the scores, with -inf")
def masked_after_the_softmax(q, k, v, w_q, w_k, w_score, mask=None):
    weights = softmax(_hidden(q, k, w_q, w_k).tanh() @ w_score)
    return (weights if mask is None else weights * mask) @ v


@wrong("masked with a large negative number: a row that may attend to nothing becomes uniform. Use -inf, then zeros")
def minus_one_billion(q, k, v, w_q, w_k, w_score, mask=None):
    scores = _hidden(q, k, w_q, w_k).tanh() @ w_score
    return softmax(scores if mask is None else scores.masked_fill(~mask, -1e9)) @ v


@wrong("a query that may attend to nothing gets NaN: softmax of a row of -inf. Give it zeros")
def nan_where_nobody(q, k, v, w_q, w_k, w_score, mask=None):
    return torch.softmax(masked_scores(_hidden(q, k, w_q, w_k).tanh() @ w_score, mask), -1) @ v


@wrong("exp without the row's maximum subtracted overflows beyond 710: w_score may be large")
def softmax_overflows(q, k, v, w_q, w_k, w_score, mask=None):
    parts = masked_scores(_hidden(q, k, w_q, w_k).tanh() @ w_score, mask).exp()
    total = parts.sum(-1, keepdim=True)
    return parts / torch.where(total == 0, 1, total) @ v


@wrong("the scores are squeezed: with one query or one key their axis goes too. Squeeze the last axis only")
def scores_squeezed(q, k, v, w_q, w_k, w_score, mask=None):
    scores = (_hidden(q, k, w_q, w_k).tanh() @ w_score[:, None]).squeeze()
    scores = scores if mask is None else scores.masked_fill(~mask, -torch.inf)
    return torch.softmax(scores, -1).nan_to_num(0) @ v


@wrong("-inf is added to the scores, and the NaN weights are patched up: their gradient is still NaN. Fill, don't add")
def minus_infinity_added(q, k, v, w_q, w_k, w_score, mask=None):
    scores = _hidden(q, k, w_q, w_k).tanh() @ w_score
    if mask is not None:
        scores = scores + torch.zeros(mask.shape, dtype=q.dtype).masked_fill(~mask, -torch.inf)
    return torch.softmax(scores, -1).nan_to_num(0) @ v


@wrong("w_score is detached: it gets no gradient")
def detached_score(q, k, v, w_q, w_k, w_score, mask=None):
    return additive_attention(q, k, v, w_q, w_k, w_score.detach(), mask)


@wrong("axes of size 1 are squeezed away: keep the shape, also of a single query")
def squeezed(q, k, v, w_q, w_k, w_score, mask=None):
    return additive_attention(q, k, v, w_q, w_k, w_score, mask).squeeze()


@wrong("the NaN of a query with nothing to attend to is patched up afterwards: its gradient is still NaN")
def nan_patched_up(q, k, v, w_q, w_k, w_score, mask=None):
    return nan_where_nobody(q, k, v, w_q, w_k, w_score, mask).nan_to_num(0)


@right
def side_by_side(q, k, v, w_q, w_k, w_score, mask=None):
    t, s = q.shape[-2], k.shape[-2]
    queries = q.unsqueeze(-2).expand(*q.shape[:-1], s, -1)
    keys = k.unsqueeze(-3).expand(*k.shape[:-2], t, s, -1)
    hidden = torch.cat([queries, keys], -1) @ torch.cat([w_q, w_k], -1).T
    return _attend(hidden.tanh() @ w_score, v, mask)


@right
def query_by_query(q, k, v, w_q, w_k, w_score, mask=None):
    keys = k @ w_k.T
    scores = torch.stack([torch.tanh(keys + (a @ w_q.T)[..., None, :]) @ w_score for a in q.unbind(-2)], -2)
    return _attend(scores, v, mask)


@right
def tanh_by_exponentials(q, k, v, w_q, w_k, w_score, mask=None):
    return _attend((2 / (1 + torch.exp(-2 * _hidden(q, k, w_q, w_k))) - 1) @ w_score, v, mask)
