"""Spec of scaled_dot_product_attention_backward: three gradients by hand, held to autograd."""

import math

import torch

from recattn_mini.attention.masks import masked_scores
from recattn_mini.attention.scaled_dot_product_attention import (
    attention_weights,
    scaled_dot_product_attention,
    scaled_dot_product_attention_backward_numpy,
)
from recattn_mini.attention.softmax import softmax
from recattn_mini.exercises.spec import float64, random_tensors, right, same, teaching, wrong

NAMES = ("grad_q", "grad_k", "grad_v")
LEVEL, MINUTES = "hard", 20
HINTS = (
    "Go backwards through three steps: the product with v, the softmax, the product of q and k. Keep the weights.",
    "Of out = W v: grad_v = Wᵀ g and grad_W = g vᵀ. Of the softmax: grad_score = W ⊙ (grad_W - Σ_s W ⊙ grad_W).",
    "The scores were divided by √d, so grad_score is too. Then grad_q = grad_score k and grad_k = grad_scoreᵀ q. "
    "A masked weight is 0, so its gradient needs no special case.",
)
FORBIDDEN = (
    "torch.autograd.grad",
    "torch.autograd.backward",
    "torch.Tensor.backward",
    "torch.nn.functional.scaled_dot_product_attention",
    "torch.func.grad",
    "torch.func.vjp",
)


def inputs() -> dict[str, tuple]:
    g, q, k, v = random_tensors((2, 3, 5, 13), (2, 3, 5, 7), (2, 3, 11, 7), (2, 3, 11, 13))
    some = torch.rand(5, 11, generator=torch.Generator().manual_seed(0)) < 0.6
    some[:, 4] = True
    nobody = torch.tensor([1, 0, 1, 1, 0]).bool()[:, None].expand(5, 11)
    views = [x.movedim(2, 0) for x in random_tensors((5, 13, 3), (5, 7, 3), (11, 7, 3), (11, 13, 3), seed=2)]
    one = random_tensors((1, 1, 1, 5), (1, 1, 1, 2), (1, 1, 3, 2), (1, 1, 3, 5), seed=3)
    return {
        "no mask": (g, q, k, v, None),
        "a mask": (g, q, k, v, some),
        "nobody to attend to": (g, q, k, v, nobody),
        "large": (g, 60 * q, 60 * k, v, None),
        "views": (*views, None),
        "one": (*one, None),
    }


def expected(g, q, k, v, mask=None):
    """Autograd through the PyTorch form."""
    q, k, v = (x.detach().requires_grad_() for x in (q, k, v))
    with torch.enable_grad():
        return torch.autograd.grad(scaled_dot_product_attention(q, k, v, mask), (q, k, v), g)


def _agrees(f, *cases):
    for case in cases:
        same(f(*inputs()[case]), expected(*inputs()[case]), NAMES)


@teaching
def check_worked_example(f):
    "by hand, d = 2: even weights and the values ½ and -½ give grad_q = ¼/√2 where k is ½ and -½"
    g, half = float64([[1, 0], [1, 0]]), float64([[0.5, 0], [-0.5, 0]])
    grad_q, grad_v = float64([[0.25, 0], [0.25, 0]]) / math.sqrt(2), float64([[1, 0], [1, 0]])
    same(f(g, 0 * half, half, half), (grad_q, 0 * half, grad_v), NAMES)


def check_values(f):
    "agrees with autograd on unequal sizes, on views, on one query"
    _agrees(f, "no mask", "views", "one")


def check_mask(f):
    "a masked key gets no gradient from that query"
    _agrees(f, "a mask")


def check_nobody_to_attend_to(f):
    "a query that may attend to nothing gives and gets no gradient, and no NaN"
    _agrees(f, "nobody to attend to")


def check_large_scores(f):
    "scores beyond 1,000: one-hot weights, and a gradient that vanishes instead of overflowing"
    _agrees(f, "large")


def _backward(g, q, k, v, weights, grad_scores):
    scale = math.sqrt(q.shape[-1])
    return grad_scores @ k / scale, grad_scores.mT @ q / scale, weights.mT @ g


def _jacobian(weights, grad_weights):
    return weights * (grad_weights - (weights * grad_weights).sum(-1, keepdim=True))


@wrong("1/√d is missing in both: the scores were divided by √d, so their gradient is too")
def scale_forgotten(g, q, k, v, mask=None):
    grad_q, grad_k, grad_v = expected(g, q, k, v, mask)
    return grad_q * math.sqrt(q.shape[-1]), grad_k * math.sqrt(q.shape[-1]), grad_v


@wrong("1/√d is missing in grad_q")
def scale_forgotten_for_q(g, q, k, v, mask=None):
    grad_q, grad_k, grad_v = expected(g, q, k, v, mask)
    return grad_q * math.sqrt(q.shape[-1]), grad_k, grad_v


@wrong("1/√d is missing in grad_k")
def scale_forgotten_for_k(g, q, k, v, mask=None):
    grad_q, grad_k, grad_v = expected(g, q, k, v, mask)
    return grad_q, grad_k * math.sqrt(q.shape[-1]), grad_v


@wrong("1/√d twice: once is enough, in the gradient of the scores")
def scale_twice(g, q, k, v, mask=None):
    grad_q, grad_k, grad_v = expected(g, q, k, v, mask)
    return grad_q / math.sqrt(q.shape[-1]), grad_k / math.sqrt(q.shape[-1]), grad_v


@wrong("grad_v needs no scale: v comes after the softmax")
def scaled_grad_v(g, q, k, v, mask=None):
    grad_q, grad_k, grad_v = expected(g, q, k, v, mask)
    return grad_q, grad_k, grad_v / math.sqrt(q.shape[-1])


@wrong("the softmax's second term is missing: W ⊙ (grad_W - Σ_s W ⊙ grad_W); raising one weight lowers the others")
def second_term_missing(g, q, k, v, mask=None):
    weights = attention_weights(q, k, mask)
    return _backward(g, q, k, v, weights, weights * (g @ v.mT))


@wrong("p(1 - p) is the diagonal of the Jacobian only: the other weights move too")
def diagonal_only(g, q, k, v, mask=None):
    weights = attention_weights(q, k, mask)
    return _backward(g, q, k, v, weights, weights * (1 - weights) * (g @ v.mT))


@wrong("the mean that is subtracted runs over the queries: take it over the keys, each query has a softmax of its own")
def mean_over_queries(g, q, k, v, mask=None):
    weights, grad_weights = attention_weights(q, k, mask), g @ v.mT
    grad_scores = weights * (grad_weights - (weights * grad_weights).sum(-2, keepdim=True))
    return _backward(g, q, k, v, weights, grad_scores)


@wrong("the plain mean of grad_W is subtracted: weigh it by the weights, Σ_s W ⊙ grad_W")
def unweighted_mean(g, q, k, v, mask=None):
    weights, grad_weights = attention_weights(q, k, mask), g @ v.mT
    return _backward(g, q, k, v, weights, weights * (grad_weights - grad_weights.mean(-1, keepdim=True)))


@wrong("the plain sum of grad_W is subtracted: weigh it by the weights, Σ_s W ⊙ grad_W")
def unweighted_sum(g, q, k, v, mask=None):
    weights, grad_weights = attention_weights(q, k, mask), g @ v.mT
    return _backward(g, q, k, v, weights, weights * (grad_weights - grad_weights.sum(-1, keepdim=True)))


@wrong("transposed by reshape, which mixes up the numbers: swap the last two axes of W and of grad_score")
def reshaped_not_transposed(g, q, k, v, mask=None):
    weights = attention_weights(q, k, mask)
    grad_scores = _jacobian(weights, g @ v.mT) / math.sqrt(q.shape[-1])
    turned = (*weights.shape[:-2], weights.shape[-1], weights.shape[-2])
    return grad_scores @ k, grad_scores.reshape(turned) @ q, weights.reshape(turned) @ g


@wrong("the mask is used on the way back only: the weights must know it first")
def masked_on_the_way_back(g, q, k, v, mask=None):
    weights = attention_weights(q, k)
    grad_scores = _jacobian(weights, g @ v.mT)
    return _backward(g, q, k, v, weights, grad_scores if mask is None else grad_scores * mask)


@wrong("the softmax is skipped: grad_W is used as the gradient of the scores")
def softmax_skipped(g, q, k, v, mask=None):
    return _backward(g, q, k, v, attention_weights(q, k, mask), g @ v.mT)


@wrong("the mask is forgotten in the weights: masked keys still get a gradient")
def mask_forgotten(g, q, k, v, mask=None):
    return expected(g, q, k, v)


@wrong("the gradient leaks through the mask: weights without it in the softmax's part, with it for v")
def mask_forgotten_in_the_softmax(g, q, k, v, mask=None):
    return *expected(g, q, k, v)[:2], expected(g, q, k, v, mask)[2]


@wrong("a query that may attend to nothing gives NaN: its weights must be zeros")
def nan_where_nobody(g, q, k, v, mask=None):
    weights = torch.softmax(masked_scores(q @ k.mT / math.sqrt(q.shape[-1]), mask), -1)
    return _backward(g, q, k, v, weights, _jacobian(weights, g @ v.mT))


@wrong("masked with a large negative number: a query that may attend to nothing has uniform weights. Use -inf")
def uniform_where_nobody(g, q, k, v, mask=None):
    scores = q @ k.mT / math.sqrt(q.shape[-1])
    weights = softmax(scores if mask is None else scores.masked_fill(~mask, -1e9))
    return _backward(g, q, k, v, weights, _jacobian(weights, g @ v.mT))


@wrong("exp without the row's maximum subtracted overflows beyond 710")
def overflows(g, q, k, v, mask=None):
    parts = masked_scores(q @ k.mT / math.sqrt(q.shape[-1]), mask).exp()
    total = parts.sum(-1, keepdim=True)
    weights = parts / torch.where(total == 0, 1, total)
    return _backward(g, q, k, v, weights, _jacobian(weights, g @ v.mT))


@wrong("masked after the softmax: the weights left over no longer sum to 1. Mask the scores, with -inf")
def masked_after_the_softmax(g, q, k, v, mask=None):
    weights = attention_weights(q, k) * (1 if mask is None else mask)
    return _backward(g, q, k, v, weights, _jacobian(weights, g @ v.mT))


@wrong("axes of size 1 are squeezed away: a gradient has the shape of what it is the gradient of")
def squeezed(g, q, k, v, mask=None):
    return tuple(x.squeeze() for x in expected(g, q, k, v, mask))


@wrong("the order of the results: grad_q, grad_k, grad_v, as the arguments stand")
def in_another_order(g, q, k, v, mask=None):
    grad_q, grad_k, grad_v = expected(g, q, k, v, mask)
    return grad_v, grad_k, grad_q


@wrong("the sign: gradients point uphill, it is the update that goes down")
def negated(g, q, k, v, mask=None):
    return tuple(-x for x in expected(g, q, k, v, mask))


@right
def through_the_jacobian(g, q, k, v, mask=None):
    weights = attention_weights(q, k, mask)
    jacobian = torch.diag_embed(weights) - weights[..., :, None] * weights[..., None, :]
    grad_scores = torch.einsum("...tsr,...tr->...ts", jacobian, g @ v.mT)
    return _backward(g, q, k, v, weights, grad_scores)


@right
def through_the_output(g, q, k, v, mask=None):
    weights = attention_weights(q, k, mask)
    mean = (g * (weights @ v)).sum(-1, keepdim=True)  # Σ_s W ⊙ (g vᵀ) = g · out
    return _backward(g, q, k, v, weights, weights * (g @ v.mT - mean))
