"""Spec of din_attention: a small network scores each pair, a sum without a softmax; as a function and as a module."""

import math

import torch
import torch.nn.functional as F

from recattn_mini.attention.din_attention import DINAttention, din_attention, din_attention_numpy
from recattn_mini.attention.masks import masked_scores
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
    wrong,
)
from recattn_mini.exercises.spec.attention import masks, named, nobody, random_views
from recattn_mini.exercises.spec.modules import call

NAMES = ("q", "k", "w_hidden", "b_hidden", "w_score")
LEVEL, MINUTES = "medium", 10
HINTS = (
    "Every candidate meets every event, and their network sees four things: q, k, q - k, q ⊙ k. Which shape has that?",
    "Broadcast q[..., :, None, :] and k[..., None, :, :] to (... t s d), put the four side by side: (... t s 4d). Then "
    "σ(pairs W_hiddenᵀ + b_hidden) is (... t s a), and w_score makes one number of each.",
    "scores = σ(…) @ w_score (... t s); 0 where the mask says no; scores @ k. No softmax, no √d, no σ on the score.",
)
FORBIDDEN = ()


def call_module(module, q, k, w_hidden, b_hidden, w_score, mask=None):
    weights = {"hidden.weight": w_hidden, "hidden.bias": b_hidden, "score.weight": w_score[None]}
    return call(module(q.shape[-1], len(w_score)), weights, q, k, mask)


@drawn_once
def inputs() -> dict[str, tuple]:
    q, k, w_hidden, b_hidden, w_score = random_tensors((2, 3, 5, 7), (2, 3, 11, 7), (4, 28), (4,), (4,))
    equal = random_tensors((4, 4, 4, 4), (4, 4, 4, 4), (4, 16), (4,), (4,), seed=5)
    equal[2] /= 6  # pairs that are far from saturating σ
    weights = (w_hidden / 6, b_hidden, w_score)
    return {
        "no mask": (q, k, *weights, None),
        **{name: (q, k, *weights, mask) for name, mask in masks(2, 3, t=5, s=11).items()},
        "nobody to attend to": (q, k, *weights, nobody(2, 3, t=5, s=11)),
        "large": (q, k, 2000 * w_hidden, b_hidden, w_score, None),
        "views": (*random_views((3, 5, 7), (3, 11, 7), seed=2), *weights, None),
        "one": (*random_tensors((1, 1, 7), (1, 3, 7), seed=3), *weights, None),
        "one event": (*random_tensors((2, 5, 7), (2, 1, 7), seed=3), *weights, None),
        "all sizes equal": (*equal, masks(4, 4, t=4, s=4)["a mask"]),
    }


def expected(q, k, w_hidden, b_hidden, w_score, mask=None):
    """The formula with PyTorch's own linear layer, one candidate at a time."""
    rows = []
    for query in q.unbind(-2):
        query = query.unsqueeze(-2).expand_as(k)
        pairs = torch.cat([query, k, query - k, query * k], -1)
        rows.append(F.linear(pairs, w_hidden, b_hidden).sigmoid() @ w_score)
    scores = torch.stack(rows, -2)
    return (scores if mask is None else torch.where(mask, scores, 0)) @ k


def _agrees(f, *cases):
    for case in cases:
        same(f(*inputs()[case]), expected(*inputs()[case]))


@teaching
def check_worked_example(f):
    "w_hidden sees the products only, w_score is 4: products of log 3 and 0 weigh 4 σ(log 3) = 3 and 4 σ(0) = 2"
    q, k = float64([[1, 0], [0, 1]]), float64([[math.log(3), 0], [0, 0]])
    products = float64([[0, 0, 0, 0, 0, 0, 1, 1]])
    same(f(q, k, products, float64([0]), float64([4])), math.log(3) * float64([[3, 0], [2, 0]]))


def check_values(f):
    "agrees with the formula on unequal sizes, on views, on one candidate, on one event"
    _agrees(f, "no mask", "views", "one", "one event")


def check_mask(f):
    "a masked event adds nothing, wherever the padding stands; a mask (… 1 s) serves all candidates"
    _agrees(f, "a mask", "padding", "a mask of its own for each", "a mask of three axes")


def check_equal_sizes(f):
    "the same where all sizes are equal: nothing is told by its size"
    _agrees(f, "all sizes equal")


def check_nobody_to_attend_to(f):
    "a candidate that may attend to nothing gets zeros"
    _agrees(f, "nobody to attend to")


def check_large(f):
    "a hidden layer beyond 1,000 neither overflows nor is cut"
    _agrees(f, "large")


@torch_only
def check_gradient(f):
    "the gradients of q, k and all three weights agree"
    same(gradients(f, *inputs()["no mask"]), gradients(din_attention, *inputs()["no mask"]), NAMES)


@torch_only
def check_gradient_of_large(f):
    "and are finite where σ saturates"
    finite(gradients(f, *inputs()["large"]), NAMES)


@teaching
def check_intensity(f):
    "the same history twice is twice the interest: a softmax would divide that away"
    q, k, *weights, _ = inputs()["no mask"]
    same(f(q, torch.cat([k, k], -2), *weights), 2 * expected(q, k, *weights))


def met(q, k):
    return torch.broadcast_tensors(q[..., :, None, :], k[..., None, :, :])  # (... t s d) each


def four(q, k):
    return q, k, q - k, q * k


def layer(pairs, w, b, bend=torch.sigmoid):
    return bend(pairs @ w.mT + b)


def filled(scores, mask, fill=0.0):
    return scores if mask is None else scores.masked_fill(~mask, fill)


def summed(weights, q, k):
    return weights @ k


def answer(
    q,
    k,
    w,
    b,
    w_score,
    mask=None,
    *,
    meet=met,
    blocks=four,
    hidden=layer,
    score=torch.matmul,
    weigh=filled,
    pool=summed,
):
    scores = score(hidden(torch.cat(blocks(*meet(q, k)), -1), w, b), w_score)
    return pool(weigh(scores, mask), q, k)


def bent(bend):
    return {"hidden": lambda *of: layer(*of, bend)}


def scored(change):
    return {"score": lambda hidden, w: change(hidden @ w)}


def seen(change):
    return {"weigh": lambda scores, mask: filled(scores, mask if mask is None else change(mask, scores))}


def _number(scores, mask):
    return (torch.ones_like(scores) if mask is None else mask.expand(scores.shape)).sum(-1, keepdim=True).clamp_min(1)


def _divided_by_sum(weights, q, k):
    total = weights.sum(-1, keepdim=True)
    return weights / torch.where(total == 0, 1, total) @ k


def _as_index(scores, mask):
    scores = scores.clone()
    if mask is not None:
        scores[~mask] = 0
    return scores


MISTAKES = {
    "with_softmax": (
        "a softmax over the scores: the paper has none, so that many matching events weigh more than one. Just sum",
        {"weigh": lambda scores, mask: softmax(masked_scores(scores, mask))},
    ),
    "released": (
        "that is the authors' released code: scores of -2³² + 1 for padding, √d, softmax. The paper just sums",
        {"weigh": lambda s, m: filled(s, m, 1 - 2.0**32), "pool": lambda s, q, k: softmax(s / q.shape[-1] ** 0.5) @ k},
    ),
    "scaled_softmax": (
        "divided by √d, and a softmax: din_attention_softmax, as the authors released it. The paper has neither",
        {"weigh": masked_scores, "pool": lambda scores, q, k: softmax(scores / math.sqrt(q.shape[-1])) @ k},
    ),
    "softmax_of_minus_one_billion": (
        "a softmax, padding at -1e9: without history that is the padding's mean. The paper has none: sum, mask with 0",
        {"weigh": lambda scores, mask: softmax(filled(scores, mask, -1e9))},
    ),
    "softmax_of_nothing": (
        "a softmax that gives NaN for a user without history. The paper has none: sum, and mask with 0",
        {"weigh": lambda scores, mask: torch.softmax(masked_scores(scores, mask), -1)},
    ),
    "masked_after_a_softmax": (
        "a softmax, masked behind it: the paper has none. Sum, and mask with 0",
        {"weigh": lambda scores, mask: filled(softmax(scores), mask)},
    ),
    "softmax_of_zeros": (
        "a softmax of scores that the mask made 0, and exp(0) is 1: the paper has none. Sum, and mask with 0",
        {"pool": lambda weights, q, k: softmax(weights) @ k},
    ),
    "scaled": (
        "divided by √d: nothing here is a dot product of width d",
        {"pool": lambda x, q, k: x @ k / q.shape[-1] ** 0.5},
    ),
    "sigmoid_of_the_score": (
        "a sigmoid on the score: only the hidden layer has one, the score may be negative or beyond 1",
        scored(torch.sigmoid),
    ),
    "sigmoid_around_the_score": (
        "σ stands around the whole score: it belongs around the hidden layer, and the score has none",
        {**bent(lambda x: x), **scored(torch.sigmoid)},
    ),
    "tanh_of_the_score": ("a tanh on the score: it may be beyond ±1", scored(torch.tanh)),
    "no_negative_scores": ("scores below 0 are cut off: an event may speak against a candidate", scored(torch.relu)),
    "divided_by_the_sum": (
        "weights divided by their sum: that is a mean again, and the sum of scores of either sign may be near 0",
        {"pool": lambda weights, q, k: weights / weights.sum(-1, keepdim=True) @ k},
    ),
    "divided_by_the_sum_if_any": (
        "weights divided by their sum, with 1 for a sum of 0: that is a mean again. DIN's weights need not sum to 1",
        {"pool": _divided_by_sum},
    ),
    "mean_over_events": (
        "divided by the number of events: a mean forgets how many there were. Sum",
        {"weigh": lambda scores, mask: filled(scores, mask) / _number(scores, mask)},
    ),
    "mean_over_positions": (
        "divided by the length of the padded history: a mean, and one that padding makes smaller. Sum",
        {"pool": lambda weights, q, k: weights @ k / k.shape[-2]},
    ),
    "mask_ignored": (
        "the mask is not used: padding is summed too, unless its embedding happens to be 0",
        {"weigh": lambda scores, mask: scores},
    ),
    "inverted_mask": ("the mask is upside down: True means may attend", seen(lambda mask, scores: ~mask)),
    "mask_of_candidates": ("the mask is turned, (s t): its last axis says which events", seen(lambda mask, _: mask.mT)),
    "mask_by_length": (
        "the mask is turned into a length: that is the same only while all padding stands on the right",
        seen(lambda mask, scores: torch.arange(scores.shape[-1]) < mask.sum(-1, keepdim=True)),
    ),
    "mask_told_by_size": (
        "a mask (t s) is read as padding (b s) where t = b: what it means is told by its axes, not by their sizes",
        seen(lambda mask, x: mask[:, None, None] if mask.dim() == 2 < x.dim() and len(mask) == len(x) else mask),
    ),
    "mask_squeezed": (
        "the mask is squeezed, or has to have a row for each candidate: (… 1 s) serves all of them",
        seen(lambda mask, scores: mask.squeeze()),
    ),
    "mask_as_index": ("the scores are indexed with the mask, which need not have their shape", {"weigh": _as_index}),
    "partly_masked_is_zero": (
        "a candidate with any masked event gets zeros: the other events count",
        seen(lambda mask, scores: mask & mask.all(-1, keepdim=True)),
    ),
    "everything_where_nobody": (
        "a candidate without any event is let attend to all: a softmax would need that, a sum gives zeros",
        seen(lambda mask, scores: mask | ~mask.any(-1, keepdim=True)),
    ),
    "minus_infinity": (
        "masked scores are -inf and no softmax follows: -inf times k is what is summed. Mask with 0",
        {"weigh": masked_scores},
    ),
    "minus_one_billion": (
        "masked scores are -1e9 and no softmax follows: padding outweighs everything. Mask with 0",
        {"weigh": lambda scores, mask: filled(scores, mask, -1e9)},
    ),
    "released_padding": (
        "masked scores are -2³² + 1, as released, and no softmax follows: mask with 0",
        {"weigh": lambda scores, mask: filled(scores, mask, 1 - 2.0**32)},
    ),
    "minus_a_little": (
        "masked scores are -1e-7: small, but not nothing (and 0 to a softmax). Mask with 0",
        {"weigh": lambda scores, mask: filled(scores, mask, -1e-7)},
    ),
    "difference_reversed": ("k - q where q - k belongs", {"blocks": lambda q, k: (q, k, k - q, q * k)}),
    "candidate_and_history_swapped": (
        "candidate and history change places in the network: the order is q, k, q - k, q ⊙ k",
        {"blocks": lambda q, k: four(k, q)},
    ),
    "k_before_q": ("k before q: the order is q, k, q - k, q ⊙ k", {"blocks": lambda q, k: (k, q, q - k, q * k)}),
    "product_before_difference": (
        "the product stands before the difference: the order is q, k, q - k, q ⊙ k",
        {"blocks": lambda q, k: (q, k, q * k, q - k)},
    ),
    "no_product": (
        "the product q ⊙ k is left out: no other block sees whether q and k match",
        {"blocks": lambda q, k: (q, k, q - k, 0 * q)},
    ),
    "no_difference": ("the difference q - k is left out", {"blocks": lambda q, k: (q, k, 0 * q, q * k)}),
    "no_candidate": ("the block q is left out", {"blocks": lambda q, k: (0 * q, k, q - k, q * k)}),
    "no_event": ("the block k is left out", {"blocks": lambda q, k: (q, 0 * k, q - k, q * k)}),
    "dot_product": (
        "the dot product q·k where q ⊙ k belongs: the network sees each dimension's product, not their sum",
        {"blocks": lambda q, k: (q, k, q - k, (q * k).sum(-1, keepdim=True).expand_as(q))},
    ),
    "absolute_difference": ("|q - k|: q - k has a sign", {"blocks": lambda q, k: (q, k, (q - k).abs(), q * k)}),
    "squared_difference": ("(q - k)² where q - k belongs", {"blocks": lambda q, k: (q, k, (q - k) ** 2, q * k)}),
    "sum_for_difference": ("q + k where q - k belongs", {"blocks": lambda q, k: (q, k, q + k, q * k)}),
    "interleaved": (
        "the four are stacked on a last axis, numbers side by side: W reads all of q, then k, q - k, q ⊙ k",
        {"blocks": lambda q, k: torch.stack(four(q, k), -1).flatten(-2).chunk(4, -1)},
    ),
    "tiled_wrongly": (
        "candidates are tiled along the wrong axis: with several, pairs meet that do not belong together",
        {"meet": lambda q, k: (q.tile(k.shape[-2], 1).reshape(*q.shape[:-1], *k.shape[-2:]), met(q, k)[1])},
    ),
    "for_one_candidate": (
        "q is expanded to the shape of k, which fits one candidate only: make room, (... t 1 d) and (... 1 s d)",
        {"meet": lambda q, k: (q.expand_as(k)[..., None, :, :], k[..., None, :, :])},
    ),
    "candidates_and_events_swapped": (
        "the scores are (s t), of an event and each candidate: a candidate's scores stand in a row, (t s)",
        scored(lambda scores: scores.mT),
    ),
    "candidate_summed": (
        "the candidate is what is summed: values are the history's, the candidate only weighs them",
        {"pool": lambda weights, q, k: weights.sum(-1, keepdim=True) * q},
    ),
    "products_summed": ("q ⊙ k is summed: sum k", {"pool": lambda weights, q, k: weights @ k * q}),
    "residual_added": (
        "q is added at the end: DIN pools the history alone, and the candidate enters the model beside it",
        {"pool": lambda weights, q, k: weights @ k + q},
    ),
    "weights_detached": (
        "the weights are detached: the network that makes them learns nothing",
        {"pool": lambda weights, q, k: weights.detach() @ k},
    ),
    "values_detached": (
        "the history is detached in the sum: its embeddings learn from the network only, not from what is pooled",
        {"pool": lambda weights, q, k: weights @ k.detach()},
    ),
    "candidate_detached": ("q is detached: it gets no gradient", {"meet": lambda q, k: met(q.detach(), k)}),
    "linear_hidden": ("no activation: a network without σ is one matrix, bilinear in q and k", bent(lambda x: x)),
    "relu_hidden": ("a ReLU where the sigmoid belongs", bent(torch.relu)),
    "prelu_hidden": ("a PReLU, as in the paper: a sigmoid belongs here", bent(lambda x: x.max(0.25 * x))),
    "silu_hidden": ("x σ(x), a SiLU: σ(x) alone belongs here", bent(F.silu)),
    "tanh_hidden": ("a tanh where the sigmoid belongs", bent(torch.tanh)),
    "softmax_hidden": ("a softmax over the hidden layer, where the sigmoid belongs", bent(softmax)),
    "sigmoid_overflows": (
        "exp(x) / (1 + exp(x)) is inf / inf beyond 710: use torch.sigmoid, in NumPy (1 + tanh(x/2)) / 2",
        bent(lambda x: x.exp() / (1 + x.exp())),
    ),
    "gradient_overflows": (
        "1 / (1 + exp(-x)) is right below -710, but its gradient 0 · inf is NaN: use torch.sigmoid",
        bent(lambda x: 1 / (1 + (-x).exp())),
    ),
    "clipped": (
        "the hidden layer is clipped at ±10: σ(10) is not 1 yet, and the gradient is lost. sigmoid needs no clipping",
        bent(lambda x: x.clamp(-10, 10).sigmoid()),
    ),
    "no_bias": ("b_hidden is not used", {"hidden": lambda pairs, w, b: layer(pairs, w, 0 * b)}),
    "bias_outside_the_sigmoid": (
        "b_hidden is added after σ: it belongs inside, σ(W pair + b)",
        {"hidden": lambda pairs, w, b: layer(pairs, w, 0 * b) + b},
    ),
    "w_reshaped": (
        "W (a 4d) is reshaped to (4d a), which mixes up its numbers: use its transpose",
        {"hidden": lambda pairs, w, b: layer(pairs, w.reshape(w.shape[1], len(w)).mT, b)},
    ),
    "no_w_score": ("w_score is not used: the hidden layer is summed", {"score": lambda hidden, w: hidden.sum(-1)}),
    "mean_of_hidden": ("w_score is not used: the hidden layer's mean", {"score": lambda hidden, w: hidden.mean(-1)}),
    "scores_squeezed": (
        "squeeze() takes more than the score's axis of size 1, as with one candidate or a batch of one: squeeze(-1)",
        scored(torch.squeeze),
    ),
}
SCORES = named(MISTAKES, [but(answer, hint, **parts) for hint, parts in MISTAKES.values()])


@wrong("masked before the hidden layer: σ(b) of a masked pair is still a weight. Mask the scores, with 0")
def masked_before_the_hidden_layer(q, k, w_hidden, b_hidden, w_score, mask=None):
    pairs = torch.cat(four(*met(q, k)), -1)
    return layer(pairs if mask is None else pairs * mask[..., None], w_hidden, b_hidden) @ w_score @ k


@right
def multiplied_by_the_mask(q, k, w_hidden, b_hidden, w_score, mask=None):
    scores = answer(q, k, w_hidden, b_hidden, w_score, pool=lambda weights, q, k: weights)
    return (scores if mask is None else scores * mask) @ k


@right
def one_layer_for_each_block(q, k, w_hidden, b_hidden, w_score, mask=None):
    w_q, w_k, w_minus, w_times = w_hidden.chunk(4, -1)
    hidden = torch.einsum("...td,...sd,ad->...tsa", q, k, w_times) + b_hidden
    hidden = hidden + (q @ (w_q + w_minus).mT)[..., :, None, :] + (k @ (w_k - w_minus).mT)[..., None, :, :]
    return torch.einsum("...ts,...sd->...td", filled(hidden.sigmoid() @ w_score, mask), k)
