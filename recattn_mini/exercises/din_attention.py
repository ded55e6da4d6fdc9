"""Spec of din_attention: a small network scores each pair, a sum without a softmax; as a function and as a module."""

import math
from contextlib import suppress

import torch

from recattn_mini.attention.din_attention import DINAttention, din_attention, din_attention_numpy
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
    """A learner's module, built by its own `__init__`, as a function of its weights."""
    built = module(q.shape[-1], len(w_score))
    weights = {"hidden.weight": w_hidden, "hidden.bias": b_hidden, "score.weight": w_score[None]}
    same_parameters(built, weights)
    with torch.no_grad(), suppress(Exception):  # what a module remembers of another call must not show in this one
        other = torch.ones(q.shape[-2], k.shape[-2], dtype=torch.bool).tril() if mask is None else ~mask
        torch.func.functional_call(built, weights, (-q, -k, other), strict=True)
    return torch.func.functional_call(built, weights, (q, k, mask), strict=True)


def inputs() -> dict[str, tuple]:
    q, k, w_hidden, b_hidden, w_score = random_tensors((2, 3, 5, 7), (2, 3, 11, 7), (4, 28), (4,), (4,))
    weights = (w_hidden / 6, b_hidden, w_score)  # pairs that are far from saturating σ
    some = torch.rand(5, 11, generator=torch.Generator().manual_seed(0)) < 0.6
    some[:, 4] = True
    nobody = torch.tensor([1, 0, 1, 1, 0]).bool()[:, None].expand(5, 11)
    padding = torch.ones(2, 1, 1, 11, dtype=torch.bool)
    padding[0, ..., :8] = padding[1, ..., :3] = False
    view_q, view_k = random_tensors((5, 7, 3), (7, 11, 3), seed=2)
    one_q, one_k = random_tensors((1, 1, 7), (1, 3, 7), seed=3)
    return {
        "no mask": (q, k, *weights, None),
        "a mask": (q, k, *weights, some),
        "padding": (q, k, *weights, padding),
        "nobody to attend to": (q, k, *weights, nobody),
        "large": (q, k, 2000 * w_hidden, b_hidden, w_score, None),
        "views": (view_q.movedim(2, 0), view_k.permute(2, 1, 0), *weights, None),
        "one": (one_q, one_k, *weights, None),
    }


def expected(q, k, w_hidden, b_hidden, w_score, mask=None):
    """The formula with PyTorch's own linear layer, one candidate at a time."""
    rows = []
    for query in q.unbind(-2):
        query = query.unsqueeze(-2).expand_as(k)
        pairs = torch.cat([query, k, query - k, query * k], -1)
        rows.append(torch.nn.functional.linear(pairs, w_hidden, b_hidden).sigmoid() @ w_score)
    scores = torch.stack(rows, -2)
    return (scores if mask is None else torch.where(mask, scores, 0)) @ k


@teaching
def check_worked_example(f):
    "w_hidden sees the products only, w_score is 4: products of log 3 and 0 weigh 4 σ(log 3) = 3 and 4 σ(0) = 2"
    q, k = float64([[1, 0], [0, 1]]), float64([[math.log(3), 0], [0, 0]])
    products = float64([[0, 0, 0, 0, 0, 0, 1, 1]])
    same(f(q, k, products, float64([0]), float64([4])), math.log(3) * float64([[3, 0], [2, 0]]))


def check_values(f):
    "agrees with the formula on unequal sizes, on views, on one candidate"
    for case in ("no mask", "views", "one"):
        same(f(*inputs()[case]), expected(*inputs()[case]))


def check_mask(f):
    "a masked event adds nothing, wherever the padding stands; a mask (… 1 s) serves all candidates"
    for case in ("a mask", "padding"):
        same(f(*inputs()[case]), expected(*inputs()[case]))


def check_nobody_to_attend_to(f):
    "a candidate that may attend to nothing gets zeros"
    same(f(*inputs()["nobody to attend to"]), expected(*inputs()["nobody to attend to"]))


def check_large(f):
    "a hidden layer beyond 1,000 neither overflows nor is cut"
    same(f(*inputs()["large"]), expected(*inputs()["large"]))


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


def _pairs(q, k):
    """q and k, each (... t s d)."""
    return torch.broadcast_tensors(q[..., :, None, :], k[..., None, :, :])


def _scores(blocks, w_hidden, b_hidden, w_score, activation=torch.sigmoid):
    return activation(torch.cat(blocks, -1) @ w_hidden.mT + b_hidden) @ w_score


def _right_scores(q, k, *weights):
    q, k = _pairs(q, k)
    return _scores([q, k, q - k, q * k], *weights)


def _masked(scores, mask, fill=0.0):
    return scores if mask is None else scores.masked_fill(~mask, fill)


@wrong("a softmax over the scores: the paper has none, so that many matching events weigh more than one. Just sum")
def with_softmax(q, k, w_hidden, b_hidden, w_score, mask=None):
    return softmax(masked_scores(_right_scores(q, k, w_hidden, b_hidden, w_score), mask)) @ k


@wrong("that is the authors' released code: scores of -2³² + 1 for padding, √d, softmax. The paper just sums")
def released(q, k, w_hidden, b_hidden, w_score, mask=None):
    scores = _masked(_right_scores(q, k, w_hidden, b_hidden, w_score), mask, -(2.0**32) + 1)
    return softmax(scores / math.sqrt(q.shape[-1])) @ k


@wrong("divided by √d, and a softmax: din_attention_softmax, as the authors released it. The paper has neither")
def scaled_softmax(q, k, w_hidden, b_hidden, w_score, mask=None):
    scores = _right_scores(q, k, w_hidden, b_hidden, w_score) / math.sqrt(q.shape[-1])
    return softmax(masked_scores(scores, mask)) @ k


@wrong(
    "a softmax with masked scores of -1e9: a user without history gets the mean of the padding. Sum, and mask with 0"
)
def softmax_of_minus_one_billion(q, k, w_hidden, b_hidden, w_score, mask=None):
    return softmax(_masked(_right_scores(q, k, w_hidden, b_hidden, w_score), mask, -1e9)) @ k


@wrong("a softmax that gives NaN for a user without history. The paper has none: sum, and mask with 0")
def softmax_of_nothing(q, k, w_hidden, b_hidden, w_score, mask=None):
    return torch.softmax(masked_scores(_right_scores(q, k, w_hidden, b_hidden, w_score), mask), -1) @ k


@wrong("divided by √d: nothing here is a dot product of width d")
def scaled(q, k, w_hidden, b_hidden, w_score, mask=None):
    return din_attention(q, k, w_hidden, b_hidden, w_score / math.sqrt(q.shape[-1]), mask)


@wrong("a sigmoid on the score: only the hidden layer has one, the score may be negative or beyond 1")
def sigmoid_of_the_score(q, k, w_hidden, b_hidden, w_score, mask=None):
    return _masked(_right_scores(q, k, w_hidden, b_hidden, w_score).sigmoid(), mask) @ k


@wrong("scores below 0 are cut off: an event may speak against a candidate")
def no_negative_scores(q, k, w_hidden, b_hidden, w_score, mask=None):
    return _masked(_right_scores(q, k, w_hidden, b_hidden, w_score).relu(), mask) @ k


@wrong("weights divided by their sum: that is a mean again, and the sum of scores of either sign may be near 0")
def divided_by_the_sum(q, k, w_hidden, b_hidden, w_score, mask=None):
    scores = _masked(_right_scores(q, k, w_hidden, b_hidden, w_score), mask)
    return scores / scores.sum(-1, keepdim=True) @ k


@wrong("weights divided by their sum, with 1 for a sum of 0: that is a mean again. DIN's weights need not sum to 1")
def divided_by_the_sum_if_any(q, k, w_hidden, b_hidden, w_score, mask=None):
    scores = _masked(_right_scores(q, k, w_hidden, b_hidden, w_score), mask)
    total = scores.sum(-1, keepdim=True)
    return scores / torch.where(total == 0, 1, total) @ k


@wrong("divided by the number of events: a mean forgets how many there were. Sum")
def mean_over_events(q, k, w_hidden, b_hidden, w_score, mask=None):
    mask = torch.ones(q.shape[-2], k.shape[-2], dtype=torch.bool) if mask is None else mask
    out = din_attention(q, k, w_hidden, b_hidden, w_score, mask)
    return out / mask.sum(-1, keepdim=True).clamp(min=1)


@wrong("divided by the length of the padded history: a mean, and one that padding makes smaller. Sum")
def mean_over_positions(q, k, w_hidden, b_hidden, w_score, mask=None):
    return din_attention(q, k, w_hidden, b_hidden, w_score, mask) / k.shape[-2]


@wrong("the mask is not used: padding is summed too, unless its embedding happens to be 0")
def mask_ignored(q, k, w_hidden, b_hidden, w_score, mask=None):
    return din_attention(q, k, w_hidden, b_hidden, w_score)


@wrong("the mask is upside down: True means may attend")
def inverted_mask(q, k, w_hidden, b_hidden, w_score, mask=None):
    return din_attention(q, k, w_hidden, b_hidden, w_score, None if mask is None else ~mask)


@wrong("the mask is turned into a length: that is the same only while all padding stands on the right")
def mask_by_length(q, k, w_hidden, b_hidden, w_score, mask=None):
    if mask is not None:
        mask = torch.arange(k.shape[-2]) < mask.sum(-1, keepdim=True)
    return din_attention(q, k, w_hidden, b_hidden, w_score, mask)


@wrong(
    "a candidate that may attend to nothing is let attend to everything: a softmax would need that, a sum gives zeros"
)
def everything_where_nobody(q, k, w_hidden, b_hidden, w_score, mask=None):
    if mask is not None:
        mask = mask | ~mask.any(-1, keepdim=True)
    return din_attention(q, k, w_hidden, b_hidden, w_score, mask)


@wrong("a candidate that may attend to nothing gets itself back: no event means no interest, zeros")
def candidate_where_nobody(q, k, w_hidden, b_hidden, w_score, mask=None):
    out = din_attention(q, k, w_hidden, b_hidden, w_score, mask)
    if mask is None:
        return out
    return torch.where(mask.expand(*out.shape[:-1], k.shape[-2]).any(-1, keepdim=True), out, q)


@wrong("masked scores are -inf and no softmax follows: -inf times k is what is summed. Mask with 0")
def minus_infinity(q, k, w_hidden, b_hidden, w_score, mask=None):
    return masked_scores(_right_scores(q, k, w_hidden, b_hidden, w_score), mask) @ k


@wrong("masked scores are -1e9 and no softmax follows: padding outweighs everything. Mask with 0")
def minus_one_billion(q, k, w_hidden, b_hidden, w_score, mask=None):
    return _masked(_right_scores(q, k, w_hidden, b_hidden, w_score), mask, -1e9) @ k


@wrong("masked scores are -2³² + 1, as in the released code, and no softmax follows: mask with 0")
def released_padding(q, k, w_hidden, b_hidden, w_score, mask=None):
    return _masked(_right_scores(q, k, w_hidden, b_hidden, w_score), mask, -(2.0**32) + 1) @ k


@wrong("the mask must have a row for each candidate here: one (… 1 s) for all should broadcast")
def mask_does_not_broadcast(q, k, w_hidden, b_hidden, w_score, mask=None):
    if mask is not None:
        mask = torch.stack([mask[..., t, :] for t in range(q.shape[-2])], -2)
    return din_attention(q, k, w_hidden, b_hidden, w_score, mask)


@wrong("masked scores are -1e-7: small, but not nothing (and 0 to a softmax). Mask with 0")
def minus_a_little(q, k, w_hidden, b_hidden, w_score, mask=None):
    return _masked(_right_scores(q, k, w_hidden, b_hidden, w_score), mask, -1e-7) @ k


@wrong("k - q where q - k belongs: the third block's weights are of the other sign")
def difference_reversed(q, k, w_hidden, b_hidden, w_score, mask=None):
    long_q, long_k = _pairs(q, k)
    blocks = [long_q, long_k, long_k - long_q, long_q * long_k]
    return _masked(_scores(blocks, w_hidden, b_hidden, w_score), mask) @ k


@wrong("candidate and history change places in the network: the order is q, k, q - k, q ⊙ k")
def candidate_and_history_swapped(q, k, w_hidden, b_hidden, w_score, mask=None):
    long_q, long_k = _pairs(q, k)
    blocks = [long_k, long_q, long_k - long_q, long_q * long_k]
    return _masked(_scores(blocks, w_hidden, b_hidden, w_score), mask) @ k


@wrong("k stands before q: the order is q, k, q - k, q ⊙ k")
def k_before_q(q, k, w_hidden, b_hidden, w_score, mask=None):
    long_q, long_k = _pairs(q, k)
    blocks = [long_k, long_q, long_q - long_k, long_q * long_k]
    return _masked(_scores(blocks, w_hidden, b_hidden, w_score), mask) @ k


@wrong("the product stands before the difference: the order is q, k, q - k, q ⊙ k")
def product_before_difference(q, k, w_hidden, b_hidden, w_score, mask=None):
    long_q, long_k = _pairs(q, k)
    blocks = [long_q, long_k, long_q * long_k, long_q - long_k]
    return _masked(_scores(blocks, w_hidden, b_hidden, w_score), mask) @ k


@wrong("the product q ⊙ k is left out: no other block sees whether q and k match")
def no_product(q, k, w_hidden, b_hidden, w_score, mask=None):
    long_q, long_k = _pairs(q, k)
    blocks = [long_q, long_k, long_q - long_k, 0 * long_q]
    return _masked(_scores(blocks, w_hidden, b_hidden, w_score), mask) @ k


@wrong("the difference q - k is left out")
def no_difference(q, k, w_hidden, b_hidden, w_score, mask=None):
    long_q, long_k = _pairs(q, k)
    blocks = [long_q, long_k, 0 * long_q, long_q * long_k]
    return _masked(_scores(blocks, w_hidden, b_hidden, w_score), mask) @ k


@wrong("the dot product q·k where q ⊙ k belongs: the network sees each dimension's product, not their sum")
def dot_product(q, k, w_hidden, b_hidden, w_score, mask=None):
    long_q, long_k = _pairs(q, k)
    dots = (long_q * long_k).sum(-1, keepdim=True).expand_as(long_q)
    return _masked(_scores([long_q, long_k, long_q - long_k, dots], w_hidden, b_hidden, w_score), mask) @ k


@wrong("the difference loses its sign by abs: w_hidden is to see which way q and k differ")
def absolute_difference(q, k, w_hidden, b_hidden, w_score, mask=None):
    long_q, long_k = _pairs(q, k)
    blocks = [long_q, long_k, (long_q - long_k).abs(), long_q * long_k]
    return _masked(_scores(blocks, w_hidden, b_hidden, w_score), mask) @ k


@wrong("candidates are tiled along the wrong axis: with more than one of them, pairs meet that do not belong together")
def tiled_wrongly(q, k, w_hidden, b_hidden, w_score, mask=None):
    t, s = q.shape[-2], k.shape[-2]
    _, long_k = _pairs(q, k)
    tiled = torch.cat([q] * s, -2).reshape(*q.shape[:-2], t, s, -1)
    scores = _scores([tiled, long_k, tiled - long_k, tiled * long_k], w_hidden, b_hidden, w_score)
    return _masked(scores, mask) @ k


@wrong("the candidate is what is summed: values are the history's, the candidate only weighs them")
def candidate_summed(q, k, w_hidden, b_hidden, w_score, mask=None):
    return _masked(_right_scores(q, k, w_hidden, b_hidden, w_score), mask).sum(-1, keepdim=True) * q


@wrong("q is added at the end: DIN pools the history alone, and the candidate enters the model beside it")
def residual_added(q, k, w_hidden, b_hidden, w_score, mask=None):
    return q + din_attention(q, k, w_hidden, b_hidden, w_score, mask)


@wrong("no activation: a network without σ is one matrix, bilinear in q and k")
def linear_hidden(q, k, w_hidden, b_hidden, w_score, mask=None):
    long_q, long_k = _pairs(q, k)
    blocks = [long_q, long_k, long_q - long_k, long_q * long_k]
    return _masked(_scores(blocks, w_hidden, b_hidden, w_score, lambda x: x), mask) @ k


@wrong("a ReLU where the sigmoid belongs")
def relu_hidden(q, k, w_hidden, b_hidden, w_score, mask=None):
    long_q, long_k = _pairs(q, k)
    blocks = [long_q, long_k, long_q - long_k, long_q * long_k]
    return _masked(_scores(blocks, w_hidden, b_hidden, w_score, torch.relu), mask) @ k


@wrong("a tanh where the sigmoid belongs")
def tanh_hidden(q, k, w_hidden, b_hidden, w_score, mask=None):
    long_q, long_k = _pairs(q, k)
    blocks = [long_q, long_k, long_q - long_k, long_q * long_k]
    return _masked(_scores(blocks, w_hidden, b_hidden, w_score, torch.tanh), mask) @ k


@wrong("b_hidden is not used")
def no_bias(q, k, w_hidden, b_hidden, w_score, mask=None):
    return din_attention(q, k, w_hidden, torch.zeros_like(b_hidden), w_score, mask)


@wrong("b_hidden is added after σ: it belongs inside, σ(W pair + b)")
def bias_outside_the_sigmoid(q, k, w_hidden, b_hidden, w_score, mask=None):
    long_q, long_k = _pairs(q, k)
    blocks = [long_q, long_k, long_q - long_k, long_q * long_k]
    scores = (torch.sigmoid(torch.cat(blocks, -1) @ w_hidden.mT) + b_hidden) @ w_score
    return _masked(scores, mask) @ k


@wrong("w_score is not used: the hidden layer is summed with equal weights")
def no_w_score(q, k, w_hidden, b_hidden, w_score, mask=None):
    return din_attention(q, k, w_hidden, b_hidden, torch.ones_like(w_score), mask)


@wrong("exp(x) / (1 + exp(x)) is inf / inf beyond 710: use torch.sigmoid, in NumPy (1 + tanh(x/2)) / 2")
def sigmoid_overflows(q, k, w_hidden, b_hidden, w_score, mask=None):
    long_q, long_k = _pairs(q, k)
    blocks = [long_q, long_k, long_q - long_k, long_q * long_k]
    scores = _scores(blocks, w_hidden, b_hidden, w_score, lambda x: x.exp() / (1 + x.exp()))
    return _masked(scores, mask) @ k


@wrong("1 / (1 + exp(-x)) is right below -710, but its gradient 0 · inf is NaN: use torch.sigmoid")
def gradient_overflows(q, k, w_hidden, b_hidden, w_score, mask=None):
    long_q, long_k = _pairs(q, k)
    blocks = [long_q, long_k, long_q - long_k, long_q * long_k]
    return _masked(_scores(blocks, w_hidden, b_hidden, w_score, lambda x: 1 / (1 + (-x).exp())), mask) @ k


@wrong(
    "the hidden layer is clipped at ±10: σ(10) is not 1 yet, and the gradient beyond is lost. sigmoid needs no clipping"
)
def clipped(q, k, w_hidden, b_hidden, w_score, mask=None):
    long_q, long_k = _pairs(q, k)
    blocks = [long_q, long_k, long_q - long_k, long_q * long_k]
    scores = _scores(blocks, w_hidden, b_hidden, w_score, lambda x: x.clamp(-10, 10).sigmoid())
    return _masked(scores, mask) @ k


@wrong("the weights are detached: the network that makes them learns nothing")
def weights_detached(q, k, w_hidden, b_hidden, w_score, mask=None):
    return _masked(_right_scores(q, k, w_hidden, b_hidden, w_score).detach(), mask) @ k


@wrong("the history is detached in the sum: its embeddings learn from the network only, not from what is pooled")
def values_detached(q, k, w_hidden, b_hidden, w_score, mask=None):
    return _masked(_right_scores(q, k, w_hidden, b_hidden, w_score), mask) @ k.detach()


@wrong("squeeze() takes more than the score's axis of size 1, as with one candidate or a batch of one: squeeze(-1)")
def scores_squeezed(q, k, w_hidden, b_hidden, w_score, mask=None):
    return _masked(_right_scores(q, k, w_hidden, b_hidden, w_score).squeeze(), mask) @ k


@wrong("axes of size 1 are squeezed away: keep the shape, also of a single candidate")
def squeezed(q, k, w_hidden, b_hidden, w_score, mask=None):
    return din_attention(q, k, w_hidden, b_hidden, w_score, mask).squeeze()


@right
def four_blocks_side_by_side(q, k, w_hidden, b_hidden, w_score, mask=None):
    scores = _right_scores(q, k, w_hidden, b_hidden, w_score)
    return (scores if mask is None else scores * mask) @ k


@right
def candidate_by_candidate(q, k, w_hidden, b_hidden, w_score, mask=None):
    rows = []
    for query in q.unbind(-2):
        query = query[..., None, :] + 0 * k
        rows.append(_scores([query, k, query - k, query * k], w_hidden, b_hidden, w_score))
    weighted = torch.stack(rows, -1)[..., None] * k[..., None, :]  # (... s t d)
    return (weighted if mask is None else weighted * mask.mT[..., None]).sum(-3)


@right
def one_layer_for_each_block(q, k, w_hidden, b_hidden, w_score, mask=None):
    w_q, w_k, w_minus, w_times = w_hidden.chunk(4, -1)
    hidden = torch.einsum("...td,...sd,ad->...tsa", q, k, w_times) + b_hidden
    hidden = hidden + (q @ (w_q + w_minus).mT)[..., :, None, :] + (k @ (w_k - w_minus).mT)[..., None, :, :]
    return torch.einsum("...ts,...sd->...td", _masked(hidden.sigmoid() @ w_score, mask), k)
