"""Spec of scaled_dot_product_attention_backward: three gradients by hand, held to autograd."""

import torch

from recattn_mini.attention.scaled_dot_product_attention import (
    attention_weights,
    scaled_dot_product_attention,
    scaled_dot_product_attention_backward_numpy,
)
from recattn_mini.exercises.spec import (
    attention,
    drawn_once,
    float64,
    mistakes_of,
    random_tensors,
    right,
    same,
    teaching,
    wrong,
)
from recattn_mini.exercises.spec.attention import lowest_masked, masks, nobody, random_views

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
    return {
        "no mask": (g, q, k, v, None),
        **{name: (g, q, k, v, mask) for name, mask in masks(2, 3, t=5, s=11).items()},
        "nobody to attend to": (g, q, k, v, nobody(2, 3, t=5, s=11)),
        "large": (g, 60 * q, 60 * k, v, None),
        "masked scores are the largest": (g, 1e5 * q, 1e5 * k, v, lowest_masked(q @ k.mT)),
        "views": (*random_views((3, 5, 13), (3, 5, 7), (3, 11, 7), (3, 11, 13), seed=2), None),
        "one": (*random_tensors((1, 1, 1, 5), (1, 1, 1, 2), (1, 1, 3, 2), (1, 1, 3, 5), seed=3), None),
        "all sizes equal": (*random_tensors(*[(4, 4, 4, 4)] * 4, seed=5), masks(4, 4, t=4, s=4)["a mask"]),
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
    grad_q, grad_v = float64([[0.25, 0], [0.25, 0]]) / 2**0.5, float64([[1, 0], [1, 0]])
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


def _weights(scores, mask, attend=attention.attend):
    """What attention, or a mistake in it, makes of the unit vectors as values: the weights."""
    return attend(scores, torch.eye(scores.shape[-1], dtype=scores.dtype), mask)


def _softmax(p, g):
    return p * (g - (p * g).sum(-1, True))


def _products(p, s, g, q, k):
    return s @ k, s.mT @ q, p.mT @ g


def _results(q, k, v, d, e):
    return q / d**0.5, k / d**0.5, v


def answer(g, q, k, v, mask=None, *, weights=_weights, softmax=_softmax, products=_products, results=_results):
    p = weights(q @ k.mT / q.shape[-1] ** 0.5, mask)
    return results(*products(p, softmax(p, g @ v.mT), g, q, k), q.shape[-1], v.shape[-1])


RULE = "W ⊙ (grad_W - Σ_s W ⊙ grad_W)"
GRADIENT_ONLY = {"nan_patched_up", "infinity_added", "infinity_added_result_patched", "detached_weights", "minus_1e300"}
OF_WEIGHTS = tuple(bad for bad in attention.ATTENDING if bad.__name__ not in GRADIENT_ONLY)
MISTAKES = mistakes_of(
    answer,
    weights={b.__name__: (b.hint, lambda scores, mask, b=b: _weights(scores, mask, b)) for b in OF_WEIGHTS},
    softmax={
        "first_term_only": (f"the softmax's second term is missing: {RULE}", lambda p, g: p * g),
        "second_term_added": (f"the second term is added: {RULE}", lambda p, g: p * (g + (p * g).sum(-1, True))),
        "second_term_outside": (f"W multiplies one term only: {RULE}", lambda p, g: p * g - (p * g).sum(-1, True)),
        "axis_lost": (f"the sum loses its axis, keepdims: {RULE}", lambda p, g: p * (g - (p * g).sum(-1))),
        "diagonal_only": ("p (1 - p) is the Jacobian's diagonal: other weights move too", lambda p, g: p * (1 - p) * g),
        "of_log_softmax": (f"that is log_softmax's gradient: it is {RULE}", lambda p, g: g - p * g.sum(-1, True)),
        "sum_over_queries": (f"the sum runs over queries: {RULE}", lambda p, g: p * (g - (p * g).sum(-2, True))),
        "unweighted_mean": (f"a plain mean is subtracted: {RULE}", lambda p, g: p * (g - g.mean(-1, True))),
        "unweighted_sum": (f"the plain sum of grad_W is subtracted: {RULE}", lambda p, g: p * (g - g.sum(-1, True))),
        "softmax_skipped": (f"grad_W is taken for the gradient of the scores: it is {RULE}", lambda p, g: g),
        "turned_round": (f"the sign of grad_q and grad_k is turned: {RULE}", lambda p, g: -_softmax(p, g)),
    },
    products={
        "reshaped": (
            "transposed by reshape, which mixes up the numbers: swap the last two axes of W and of grad_score",
            lambda p, s, g, q, k: (s @ k, s.reshape(s.mT.shape) @ q, p.reshape(p.mT.shape) @ g),
        ),
        "not_transposed": ("not transposed: it is grad_scoreᵀ q and Wᵀ g", lambda p, s, g, q, k: (s @ k, s @ q, p @ g)),
        "q_for_k": ("grad_q is grad_score k: not q, which is for k", lambda p, s, g, q, k: _products(p, s, g, k, q)),
        "v_of_scores": ("grad_v is made from grad_score: it is Wᵀ g", lambda p, s, *x: _products(s, s, *x)),
    },
    results={
        "not_scaled": ("1/√d is missing in both: the scores were divided by √d", lambda q, k, v, d, e: (q, k, v)),
        "q_not_scaled": ("1/√d is missing in grad_q", lambda q, k, v, d, e: (q, k / d**0.5, v)),
        "k_not_scaled": ("1/√d is missing in grad_k", lambda q, k, v, d, e: (q / d**0.5, k, v)),
        "scaled_twice": ("1/√d twice: scale the scores' gradient, once", lambda q, k, v, d, e: (q / d, k / d, v)),
        "multiplied": ("multiplied by √d: divide by it", lambda q, k, v, d, e: (q * d**0.5, k * d**0.5, v)),
        "v_scaled": ("grad_v is divided by √d too", lambda q, k, v, d, e: _results(q, k, v / d**0.5, d, e)),
        "by_width_of_v": ("scaled by √e: it is √d, the width of q and k", lambda *x: _results(*x[:3], *x[:2:-1])),
        "in_another_order": ("the order is grad_q, grad_k, grad_v, as the arguments", lambda *x: _results(*x)[::-1]),
        "q_and_k_swapped": ("grad_q and grad_k have changed places", lambda q, k, *x: _results(k, q, *x)),
        "k_and_v_swapped": ("grad_k and grad_v are swapped", lambda q, k, v, d, e: (q / d**0.5, v, k / d**0.5)),
        "negated": ("the sign: the update goes down, gradients point up", lambda *x: tuple(-y for y in _results(*x))),
    },
)


@wrong("the upstream gradient is taken for ones, as if the output were summed: it is the first argument")
def upstream_ignored(g, *others):
    return answer(torch.ones_like(g), *others)


@wrong("the mask is used on the way back only: the weights must know it first")
def masked_on_the_way_back(g, q, k, v, mask=None):
    return answer(g, q, k, v, softmax=lambda p, g: _softmax(p, g) * (True if mask is None else mask))


@wrong("the gradient of the scores is kept where the mask is False: True means may attend")
def masked_upside_down(g, q, k, v, mask=None):
    return answer(g, q, k, v, mask, softmax=lambda p, g: _softmax(p, g) * (True if mask is None else ~mask))


@wrong("the gradient leaks through the mask: weights without it in the softmax's part, with it for v")
def mask_forgotten_in_the_softmax(g, q, k, v, mask=None):
    return *answer(g, q, k, v)[:2], answer(g, q, k, v, mask)[2]


@right
def through_the_jacobian(g, q, k, v, mask=None):
    def jacobian(p):
        return p.diag_embed() - p[..., None] * p[..., None, :]

    return answer(g, q, k, v, mask, softmax=lambda p, g: torch.einsum("...sr,...r->...s", jacobian(p), g))


@right
def through_the_output(g, q, k, v, mask=None):
    weights = attention_weights(q, k, mask)
    mean = (g * (weights @ v)).sum(-1, keepdim=True)  # Σ_s W ⊙ (g vᵀ) = g · out
    grad_scores = weights * (torch.einsum("...te,...se->...ts", g, v) - mean) * q.shape[-1] ** -0.5
    return grad_scores @ k, torch.einsum("...ts,...td->...sd", grad_scores, q), weights.mT @ g
