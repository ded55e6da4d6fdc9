"""Spec of scaled_dot_product_attention_backward: three gradients by hand, held to autograd."""

import math

import torch

from recattn_mini.attention.scaled_dot_product_attention import (
    attention_weights,
    scaled_dot_product_attention,
    scaled_dot_product_attention_backward_numpy,
)
from recattn_mini.exercises.spec import but, drawn_once, float64, random_tensors, right, same, teaching, wrong
from recattn_mini.exercises.spec.attention import ATTENDING, attend, lowest_masked, masks, named, nobody, random_views

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


@drawn_once
def inputs() -> dict[str, tuple]:
    g, q, k, v = random_tensors((2, 3, 5, 13), (2, 3, 5, 7), (2, 3, 11, 7), (2, 3, 11, 13))
    square = random_tensors((4, 4, 4, 4), (4, 4, 4, 4), (4, 4, 4, 4), (4, 4, 4, 4), seed=5)
    return {
        "no mask": (g, q, k, v, None),
        **{name: (g, q, k, v, mask) for name, mask in masks(2, 3, t=5, s=11).items()},
        "nobody to attend to": (g, q, k, v, nobody(2, 3, t=5, s=11)),
        "large": (g, 60 * q, 60 * k, v, None),
        "masked scores are the largest": (g, 1e6 * q, 1e6 * k, v, lowest_masked(q @ k.mT)),
        "views": (*random_views((3, 5, 13), (3, 5, 7), (3, 11, 7), (3, 11, 13), seed=2), None),
        "one": (*random_tensors((1, 1, 1, 5), (1, 1, 1, 2), (1, 1, 3, 2), (1, 1, 3, 5), seed=3), None),
        "all sizes equal": (*square, masks(4, 4, t=4, s=4)["a mask"]),
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
    "a masked key gets no gradient from that query; a mask has two, three or four axes"
    _agrees(f, "a mask", "padding", "a mask of its own for each", "a mask of three axes")


def check_equal_sizes(f):
    "the same where all sizes are equal: nothing is told by its size"
    _agrees(f, "all sizes equal")


def check_nobody_to_attend_to(f):
    "a query that may attend to nothing gives and gets no gradient, and no NaN"
    _agrees(f, "nobody to attend to")


def check_large_scores(f):
    "scores beyond 1,000: one-hot weights, and a gradient that vanishes instead of overflowing"
    _agrees(f, "large", "masked scores are the largest")


def _jacobian(weights, grad_weights):
    return weights * (grad_weights - (weights * grad_weights).sum(-1, keepdim=True))


def _weights(scores, mask):
    return attend(scores, torch.eye(scores.shape[-1], dtype=scores.dtype), mask)


def _root(q, v):
    return math.sqrt(q.shape[-1])


def answer(
    g, q, k, v, mask=None, *,
    weights=_weights, jacobian=_jacobian, of_q=_root, of_k=_root, of_v=lambda q, v: 1.0, turned=lambda x: x.mT, results=tuple,
):  # fmt: skip
    p = weights(q @ k.mT / math.sqrt(q.shape[-1]), mask)
    grad_scores = jacobian(p, g @ v.mT)
    return results([grad_scores @ k / of_q(q, v), turned(grad_scores) @ q / of_k(q, v), turned(p) @ g / of_v(q, v)])


def _one(q, v):
    return 1.0


def _reshaped(x):
    return x.reshape(*x.shape[:-2], x.shape[-1], x.shape[-2])


MISTAKES = {
    "scale_forgotten": (
        "1/√d is missing in both: the scores were divided by √d, so their gradient is too",
        {"of_q": _one, "of_k": _one},
    ),
    "scale_forgotten_for_q": ("1/√d is missing in grad_q", {"of_q": _one}),
    "scale_forgotten_for_k": ("1/√d is missing in grad_k", {"of_k": _one}),
    "scale_twice": (
        "1/√d twice: once is enough, in the gradient of the scores",
        {"of_q": lambda q, v: q.shape[-1], "of_k": lambda q, v: q.shape[-1]},
    ),
    "scaled_grad_v": ("grad_v needs no scale: v comes after the softmax", {"of_v": _root}),
    "root_of_the_width_of_v": (
        "scaled by √e, with the width of v: it is √d, with the width of q and k",
        {"of_q": lambda q, v: math.sqrt(v.shape[-1]), "of_k": lambda q, v: math.sqrt(v.shape[-1])},
    ),
    "second_term_missing": (
        "the softmax's second term is missing: W ⊙ (grad_W - Σ_s W ⊙ grad_W); raising one weight lowers the others",
        {"jacobian": lambda p, grad: p * grad},
    ),
    "second_term_added": (
        "the softmax's second term is added: it is subtracted, W ⊙ (grad_W - Σ_s W ⊙ grad_W)",
        {"jacobian": lambda p, grad: p * (grad + (p * grad).sum(-1, keepdim=True))},
    ),
    "second_term_outside": (
        "W multiplies the first term only: it multiplies both, W ⊙ (grad_W - Σ_s W ⊙ grad_W)",
        {"jacobian": lambda p, grad: p * grad - (p * grad).sum(-1, keepdim=True)},
    ),
    "diagonal_only": (
        "p(1 - p) is the diagonal of the Jacobian only: the other weights move too",
        {"jacobian": lambda p, grad: p * (1 - p) * grad},
    ),
    "mean_over_queries": (
        "the mean that is subtracted runs over the queries: take it over the keys",
        {"jacobian": lambda p, grad: p * (grad - (p * grad).sum(-2, keepdim=True))},
    ),
    "unweighted_mean": (
        "the plain mean of grad_W is subtracted: weigh it by the weights, Σ_s W ⊙ grad_W",
        {"jacobian": lambda p, grad: p * (grad - grad.mean(-1, keepdim=True))},
    ),
    "unweighted_sum": (
        "the plain sum of grad_W is subtracted: weigh it by the weights, Σ_s W ⊙ grad_W",
        {"jacobian": lambda p, grad: p * (grad - grad.sum(-1, keepdim=True))},
    ),
    "softmax_skipped": (
        "the softmax is skipped: grad_W is used as the gradient of the scores",
        {"jacobian": lambda p, grad: grad},
    ),
    "reshaped_not_transposed": (
        "transposed by reshape, which mixes up the numbers: swap the last two axes of W and of grad_score",
        {"turned": _reshaped},
    ),
    "in_another_order": (
        "the order of the results: grad_q, grad_k, grad_v, as the arguments stand",
        {"results": lambda found: tuple(found[::-1])},
    ),
    "q_and_k_swapped": (
        "grad_q and grad_k have changed places: grad_q = grad_score k, grad_k = grad_scoreᵀ q",
        {"results": lambda found: (found[1], found[0], found[2])},
    ),
    "negated": (
        "the sign: gradients point uphill, it is the update that goes down",
        {"results": lambda found: tuple(-x for x in found)},
    ),
    "sign_of_q_and_k": (
        "the sign of grad_q and grad_k is turned round: is the difference in the softmax's part the other way?",
        {"jacobian": lambda p, grad: -_jacobian(p, grad)},
    ),
}


def _weights_of(bad):
    """The weights that a mistake of attending gives: what it makes of the unit vectors as values."""
    return lambda scores, mask: bad(scores, torch.eye(scores.shape[-1], dtype=scores.dtype), mask)


PARTS = named(MISTAKES, [but(answer, hint, **parts) for hint, parts in MISTAKES.values()])
GRADIENT_ONLY = {
    "nan_patched_up",
    "infinity_added",
    "detached_weights",
    "minus_1e300",
    "log_softmax",
    "plain_sum",
    "hard",
}
OF_WEIGHTS = [bad for bad in ATTENDING if bad.__name__ not in GRADIENT_ONLY]
WEIGHTS = named(
    [bad.__name__ for bad in OF_WEIGHTS], [but(answer, bad.hint, weights=_weights_of(bad)) for bad in OF_WEIGHTS]
)


@wrong("the mask is used on the way back only: the weights must know it first")
def masked_on_the_way_back(g, q, k, v, mask=None):
    def masked(p, grad):
        return _jacobian(p, grad) if mask is None else _jacobian(p, grad) * mask

    return answer(g, q, k, v, weights=lambda scores, _: _weights(scores, None), jacobian=masked)


@wrong("the gradient leaks through the mask: weights without it in the softmax's part, with it for v")
def mask_forgotten_in_the_softmax(g, q, k, v, mask=None):
    return *answer(g, q, k, v)[:2], answer(g, q, k, v, mask)[2]


@right
def through_the_jacobian(g, q, k, v, mask=None):
    weights = attention_weights(q, k, mask)
    jacobian = torch.diag_embed(weights) - weights[..., :, None] * weights[..., None, :]
    grad_scores = torch.einsum("...tsr,...tr->...ts", jacobian, g @ v.mT)
    return answer(g, q, k, v, mask, jacobian=lambda p, grad: grad_scores)


@right
def through_the_output(g, q, k, v, mask=None):
    weights = attention_weights(q, k, mask)
    mean = (g * (weights @ v)).sum(-1, keepdim=True)  # Σ_s W ⊙ (g vᵀ) = g · out
    return answer(g, q, k, v, mask, jacobian=lambda p, grad: p * (grad - mean))
