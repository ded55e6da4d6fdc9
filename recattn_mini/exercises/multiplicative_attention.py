"""Spec of multiplicative_attention: one matrix, the right way round."""

import math

import torch
import torch.nn.functional as F

from recattn_mini.attention.masks import masked_scores
from recattn_mini.attention.multiplicative_attention import multiplicative_attention, multiplicative_attention_numpy
from recattn_mini.attention.softmax import softmax
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

NAMES = tuple("qkvw")
LEVEL, MINUTES = "easy", 5
HINTS = (
    "q is (t d), k is (s c), W is (d c): in which order do they fit, and what is left?",
    "scores = q W kᵀ. There is no √d in this formula: W may learn any scale.",
    "mask q @ w @ k.swapaxes(-1, -2) with -inf, softmax over the keys (zeros for an empty row), times v.",
)
FORBIDDEN = (
    "torch.nn.functional.scaled_dot_product_attention",
    "torch.nn.functional.bilinear",
    "torch.nn.Bilinear",
    "keras.layers.Attention",
)


@drawn_once
def inputs() -> dict[str, tuple]:
    q, k, v, w = random_tensors((2, 3, 5, 7), (2, 3, 11, 6), (2, 3, 11, 13), (7, 6))
    square_k, square_w = random_tensors((2, 3, 11, 7), (7, 7), seed=4)
    equal = random_tensors((4, 4, 4, 4), (4, 4, 4, 4), (4, 4, 4, 4), (4, 4), seed=5)
    return {
        "no mask": (q, k, v, w, None),
        "square": (q, square_k, v, square_w, None),
        **{name: (q, k, v, w, mask) for name, mask in masks(2, 3, t=5, s=11).items()},
        "nobody to attend to": (q, k, v, w, nobody(2, 3, t=5, s=11)),
        "large": (30 * q, 30 * k, v, w, None),
        "masked scores are the largest": (1e6 * q, 1e6 * k, v, w, lowest_masked(q @ w @ k.mT)),
        "views": (*random_views((3, 5, 7), (3, 11, 6), (3, 11, 13), seed=2), w, None),
        "one": (*random_tensors((1, 1, 7), (1, 3, 6), (1, 3, 5), seed=3), w, None),
        "all sizes equal": (*equal, masks(4, 4, t=4, s=4)["a mask"]),
    }


def expected(q, k, v, w, mask=None):
    """PyTorch's own attention without a scale, of q W."""
    return F.scaled_dot_product_attention(q @ w, k, v, mask, scale=1.0)


def _agrees(f, *cases):
    for case in cases:
        same(f(*inputs()[case]), expected(*inputs()[case]))


@teaching
def check_worked_example(f):
    "scores log 3 and 0: odds of 3 to 1 between 8 and 4 give 7; even odds give 6"
    q, k, w = float64([[1, 0], [0, 0]]), float64([[1], [0]]), float64([[math.log(3)], [9]])
    same(f(q, k, float64([[8, 0], [4, 4]]), w), float64([[7, 1], [6, 2]]))


def check_values(f):
    "agrees with PyTorch where q and k differ in width, on views, on one query"
    _agrees(f, "no mask", "views", "one")


@teaching
def check_square(f):
    "W is not symmetric: qᵀ W k, not kᵀ W q, also where both would fit"
    _agrees(f, "square")


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
    "scores beyond 1,000 do not overflow"
    _agrees(f, "large")


def check_masked_scores_are_the_largest(f):
    "a masked key counts for nothing however large its score, and however low the others"
    _agrees(f, "masked scores are the largest")


@torch_only
def check_gradient(f):
    "the gradients of q, k, v and W agree"
    case = inputs()["no mask"]
    same(gradients(f, *case), gradients(multiplicative_attention, *case), NAMES)
    finite(gradients(f, *inputs()["nobody to attend to"]), NAMES)


def scored(q, k, w):
    return q @ w @ k.mT


def answer(q, k, v, w, mask=None, *, score=scored, of=lambda k, v: v, attend=attend):
    return attend(score(q, k, w), of(k, v), mask)


def _where_square(change):
    """Where q and k have the same width, another W: where they have not, nobody could get it wrong."""
    return lambda q, k, w: scored(q, k, change(w) if w.shape[0] == w.shape[1] else w)


def _then(change):
    return lambda q, k, w: change(scored(q, k, w), q, k)


MISTAKES = {
    "transposed": ("W is transposed: (d c) has d on q's side", lambda q, k, w: scored(q, k, w.T)),
    "transposed_where_square": ("W is transposed: qᵀ W k, with q on the left", _where_square(lambda w: w.T)),
    "symmetrised": ("W is made symmetric: q and k may not change places", _where_square(lambda w: (w + w.T) / 2)),
    "not_used": (
        "W is not used where q and k have the same width: that is dot attention",
        _where_square(lambda w: torch.eye(len(w), dtype=w.dtype, device=w.device)),
    ),
    "diagonal_only": (
        "only the diagonal of W is used: each number of q meets every number of k",
        _where_square(lambda w: w.diagonal().diag()),
    ),
    "detached": ("W is detached: it gets no gradient", lambda q, k, w: scored(q, k, w.detach())),
    "queries_detached": ("q is detached: it gets no gradient", lambda q, k, w: scored(q.detach(), k, w)),
    "by_root_d": ("divided by √d: W learns the scale, none is set", _then(lambda x, q, k: x / q.shape[-1] ** 0.5)),
    "by_root_c": ("divided by √c: W learns the scale, none is set", _then(lambda x, q, k: x / k.shape[-1] ** 0.5)),
    "by_both_widths": (
        "divided by √(d·c): W learns the scale, none is set",
        _then(lambda x, q, k: x / math.sqrt(q.shape[-1] * k.shape[-1])),
    ),
    "with_tanh": ("a tanh around the score: additive attention has one, this has not", _then(lambda x, q, k: x.tanh())),
    "tanh_inside": (
        "a tanh around q W: additive attention has one, here nothing stands between W and k",
        lambda q, k, w: (q @ w).tanh() @ k.mT,
    ),
    "with_relu": ("scores below 0 are cut off: the softmax takes any number", _then(lambda x, q, k: x.relu())),
    "cosine": (
        "the cosine of q W and k: their lengths belong to the score",
        lambda q, k, w: F.normalize(q @ w, dim=-1) @ F.normalize(k, dim=-1).mT,
    ),
    "queries_and_keys_swapped": (
        "the scores are (s t), of a key and each query: a query's scores stand in a row, (t s)",
        _then(lambda x, q, k: x.mT),
    ),
    "reshaped_not_transposed": (
        "k is reshaped to (... c s), which mixes up its numbers: swap its last two axes",
        lambda q, k, w: q @ w @ k.reshape(*k.shape[:-2], k.shape[-1], k.shape[-2]),
    ),
}
SCORES = named(MISTAKES, [but(answer, hint, score=score) for hint, score in MISTAKES.values()])
WEIGHTS = mistakes_of_attending(answer)
mean_of_the_keys = but(answer, "the mean is taken of the keys: weigh the values", of=lambda k, v: k)


@right
def on_the_keys_side(q, k, v, w, mask=None):
    return attend(q @ (k @ w.T).mT, v, mask)


@right
def with_einsum(q, k, v, w, mask=None):
    scores = torch.einsum("...td,dc,...sc->...ts", q, w, k)
    return torch.einsum("...ts,...se->...te", softmax(masked_scores(scores, mask)), v)
