"""Spec of additive_attention: tanh of a sum, as a function over given weights and as a module that learns them."""

import math
from collections.abc import Callable

import torch
import torch.nn.functional as F

from recattn_mini.attention.additive_attention import AdditiveAttention, additive_attention, additive_attention_numpy
from recattn_mini.attention.masks import masked_scores
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
    named,
    nobody,
    random_views,
)
from recattn_mini.exercises.spec.modules import call

NAMES = ("q", "k", "v", "w_q", "w_k", "w_score")
LEVEL, MINUTES = "medium", 10
HINTS = (
    "Every query meets every key: which two axes of size 1 make (... t a) and (... s a) broadcast to (... t s a)?",
    "hidden = tanh(q W_qᵀ [..., :, None, :] + k W_kᵀ [..., None, :, :]); the score is its dot product with w_score.",
    "hidden @ w_score is (... t s): mask it with -inf, softmax over the keys, times v. No √d.",
)
FORBIDDEN = ("keras.layers.AdditiveAttention", "torch.nn.functional.scaled_dot_product_attention")


def call_module(module, q, k, v, w_q, w_k, w_score, mask=None):
    weights = {"q_proj.weight": w_q, "k_proj.weight": w_k, "score.weight": w_score[None]}
    return call(module(q.shape[-1], k.shape[-1], len(w_score)), weights, q, k, v, mask)


@drawn_once
def inputs() -> dict[str, tuple]:
    q, k, v, w_q, w_k, w = random_tensors((2, 3, 5, 7), (2, 3, 11, 6), (2, 3, 11, 13), (4, 7), (4, 6), (4,))
    equal = random_tensors((4, 4, 4, 4), (4, 4, 4, 4), (4, 4, 4, 4), (4, 4), (4, 4), (4,), seed=5)
    weights = (w_q, w_k, w)
    return {
        "no mask": (q, k, v, *weights, None),
        **{name: (q, k, v, *weights, mask) for name, mask in masks(2, 3, t=5, s=11).items()},
        "nobody to attend to": (q, k, v, *weights, nobody(2, 3, t=5, s=11)),
        "large": (q, k, v, w_q, w_k, 20000 * w, None),
        "large sums": (1000 * q, 1000 * k, v, *weights, None),
        "masked scores are the largest": (q, k, v, w_q, w_k, 1e12 * w, lowest_masked(scored(q, k, *weights))),
        "views": (*random_views((3, 5, 7), (3, 11, 6), (3, 11, 13), seed=2), *weights, None),
        "one": (*random_tensors((1, 1, 7), (1, 3, 6), (1, 3, 5), seed=3), *weights, None),
        "one key": (*random_tensors((2, 5, 7), (2, 1, 6), (2, 1, 5), seed=3), *weights, None),
        "all sizes equal": (*equal, masks(4, 4, t=4, s=4)["a mask"]),
    }


def expected(q, k, v, w_q, w_k, w_score, mask=None):
    """One query after the other, with PyTorch's own softmax."""
    keys = F.linear(k, w_k)
    rows = [torch.tanh(keys + torch.einsum("...d,ad->...a", one, w_q).unsqueeze(-2)) for one in q.unbind(-2)]
    scores = torch.einsum("...tsa,a->...ts", torch.stack(rows, -3), w_score)
    return torch.softmax(masked_scores(scores, mask), -1).nan_to_num(0) @ v


def _agrees(f, *cases):
    for case in cases:
        same(f(*inputs()[case]), expected(*inputs()[case]))


@teaching
def check_worked_example(f):
    "hidden layers of 0.5 and 0, w_score = 2 log 3: odds of 3 to 1 between 8 and 4 give 7"
    one, q, v = float64([[1]]), float64([[0], [0]]), float64([[8, 0], [4, 4]])
    same(f(q, float64([[math.atanh(0.5)], [0]]), v, one, one, 2 * math.log(3) * one[0]), float64([[7, 1], [7, 1]]))


def check_values(f):
    "agrees with the formula on unequal sizes, on views, on one query, on one key"
    _agrees(f, "no mask", "views", "one", "one key")


def check_mask(f):
    "a masked key counts for nothing, and the other weights still sum to 1; a mask has two, three or four axes"
    _agrees(f, "a mask", "padding", "a mask of its own for each", "a mask of three axes")


def check_equal_sizes(f):
    "the same where all sizes are equal: nothing is told by its size"
    _agrees(f, "all sizes equal")


def check_nobody_to_attend_to(f):
    "a query that may attend to nothing gets zeros"
    _agrees(f, "nobody to attend to")


def check_large_scores(f):
    "scores beyond 1,000 do not overflow, nor does tanh of such sums"
    _agrees(f, "large", "large sums")


def check_masked_scores_are_the_largest(f):
    "a masked key counts for nothing however large its score, and however low the others"
    _agrees(f, "masked scores are the largest")


@torch_only
def check_gradient(f):
    "the gradients of the inputs and of all three weights agree"
    case = inputs()["no mask"]
    same(gradients(f, *case), gradients(additive_attention, *case), NAMES)
    finite(gradients(f, *inputs()["nobody to attend to"]), NAMES)


def added(q, k, w_q, w_k):
    return (q @ w_q.mT)[..., :, None, :] + (k @ w_k.mT)[..., None, :, :]


def scored(q, k, w_q, w_k, w_score, *, meet=added, bend=torch.tanh, weigh=torch.matmul, scale=lambda d, a: 1.0):
    return weigh(bend(meet(q, k, w_q, w_k)), w_score) / scale(q.shape[-1], len(w_score))


def answer(q, k, v, w_q, w_k, w_score, mask=None, *, of=lambda k, v: v, attend=attend, **parts):
    return attend(scored(q, k, w_q, w_k, w_score, **parts), of(k, v), mask)


MISTAKES: dict[str, tuple[str, dict[str, Callable]]] = {
    "no_tanh": ("no tanh: W_q q is then the same for all keys, and the softmax forgets it", {"bend": lambda x: x}),
    "tanh_before_the_sum": (
        "tanh before the sum, or no query in it: tanh(W_q q) is the same for every key, and the softmax forgets it",
        {"meet": lambda q, k, *w: added(0 * q, k, *w)},
    ),
    "tanh_of_the_score": (
        "tanh of the score, after w_score: the hidden layer is what tanh bounds",
        {"bend": lambda x: x, "weigh": lambda hidden, w: (hidden @ w).tanh()},
    ),
    "relu": ("a ReLU where the tanh belongs", {"bend": torch.relu}),
    "leaky_relu": ("a LeakyReLU where the tanh belongs, as in graph attention", {"bend": lambda x: x.max(0.2 * x)}),
    "sigmoid_hidden": ("a sigmoid in the hidden layer, where the tanh belongs", {"bend": torch.sigmoid}),
    "tanh_overflows": (
        "(exp(x) - exp(-x)) / (exp(x) + exp(-x)) is inf / inf beyond 710: use tanh",
        {"bend": lambda x: (x.exp() - (-x).exp()) / (x.exp() + (-x).exp())},
    ),
    "product": (
        "the product of query and key, not their sum",
        {"meet": lambda q, k, w_q, w_k: (q @ w_q.mT)[..., :, None, :] * (k @ w_k.mT)[..., None, :, :]},
    ),
    "difference": ("query minus key: it is their sum", {"meet": lambda q, k, *w: added(q, -k, *w)}),
    "for_one_query": (
        "(... t a) and (... s a) are added as they are, which fits one query only: make room, (... t 1 a), (... 1 s a)",
        {"meet": lambda q, k, w_q, w_k: (q @ w_q.mT + k @ w_k.mT)[..., None, :, :]},
    ),
    "queries_and_keys_swapped": (
        "the scores are (s t), of a key and each query: a query's scores stand in a row, (t s)",
        {"meet": lambda q, k, *w: added(q, k, *w).transpose(-2, -3)},
    ),
    "not_transposed": (
        "multiplied by w_q and w_k as they are: a weight is (out in), so it is x @ w.T",
        {"meet": lambda q, k, w_q, w_k: added(q, k, w_q.mT, w_k.mT)},
    ),
    "keys_by_w_q": ("w_q projects the keys: they have w_k", {"meet": lambda q, k, w_q, w_k: added(q, k, w_q, w_q)}),
    "weights_swapped": ("w_q and w_k changed places", {"meet": lambda q, k, w_q, w_k: added(q, k, w_k, w_q)}),
    "w_score_missing": ("w_score is not used: the hidden layer is summed", {"weigh": lambda hidden, w: hidden.sum(-1)}),
    "mean_of_hidden": ("w_score is not used: the hidden layer's mean", {"weigh": lambda hidden, w: hidden.mean(-1)}),
    "by_root_d": ("divided by √d: tanh bounds these scores, no scale is set", {"scale": lambda d, a: d**0.5}),
    "by_root_a": ("divided by √a: tanh bounds these scores, no scale is set", {"scale": lambda d, a: a**0.5}),
    "detached_score": ("w_score is detached: it gets no gradient", {"weigh": lambda hidden, w: hidden @ w.detach()}),
    "detached_query": ("q is detached: it gets no gradient", {"meet": lambda q, k, *w: added(q.detach(), k, *w)}),
    "scores_squeezed": (
        "the scores are squeezed: with one query or one key their axis goes too. Squeeze the last axis only",
        {"weigh": lambda hidden, w: (hidden @ w[:, None]).squeeze()},
    ),
    "mean_of_the_keys": ("the mean is taken of the keys: weigh the values", {"of": lambda k, v: k}),
}
SCORES = named(MISTAKES, [but(answer, hint, **parts) for hint, parts in MISTAKES.values()])
WEIGHTS = mistakes_of_attending(answer)


@right
def side_by_side(q, k, v, w_q, w_k, w_score, mask=None):
    queries = q.unsqueeze(-2).expand(*q.shape[:-1], k.shape[-2], -1)
    keys = k.unsqueeze(-3).expand(*queries.shape[:-1], -1)
    hidden = torch.cat([queries, keys], -1) @ torch.cat([w_q, w_k], -1).T
    return attend(hidden.tanh() @ w_score, v, mask)


@right
def tanh_by_exponentials(q, k, v, w_q, w_k, w_score, mask=None):
    return attend((2 / (1 + torch.exp(-2 * added(q, k, w_q, w_k))) - 1) @ w_score, v, mask)
