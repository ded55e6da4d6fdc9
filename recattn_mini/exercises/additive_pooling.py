"""Spec of additive_pooling: attention whose query is learned, as a function over given weights and as a module."""

import math
from collections.abc import Callable

import torch

from recattn_mini.attention.additive_pooling import AdditivePooling, additive_pooling, additive_pooling_numpy
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
from recattn_mini.exercises.spec.attention import (
    masks,
    mistakes_of_attending,
    named,
    nobody,
    random_views,
)
from recattn_mini.exercises.spec.modules import call

NAMES = ("x", "w_hidden", "b_hidden", "w_score")
LEVEL, MINUTES = "medium", 10
HINTS = (
    "The query is w_score itself, one for all: a score needs x alone. How many scores does a history of s items get?",
    "scores = tanh(x Wᵀ + b) · w_score is (... s): fill it with -inf where the mask is False, softmax over s.",
    "The weights (... s) average x, not the hidden layer: (weights[..., None, :] @ x)[..., 0, :], or a sum over s. "
    "A row of -inf must give zeros and no NaN gradient: in a softmax of your own, 0 for its maximum, 1 for its sum.",
)
FORBIDDEN = ("keras.layers.AdditiveAttention", "torch.nn.functional.scaled_dot_product_attention")


def call_module(module, x, w, b, w_score, mask=None):
    weights = {"hidden.weight": w, "hidden.bias": b, "score.weight": w_score[None]}
    return call(module(x.shape[-1], len(w_score)), weights, x, mask)


@drawn_once
def inputs() -> dict[str, tuple]:
    x, w, b, w_score, one = random_tensors((2, 3, 5, 7), (4, 7), (4,), (4,), (1, 1, 7))
    equal = random_tensors((4, 4, 4, 4), (4, 4), (4,), (4,), seed=5)
    weights, some = (w, b, w_score), masks(2, t=3, s=5)
    scores = hidden_of(x, w, b) @ w_score
    return {
        "no mask": (x, *weights, None),
        "a mask": (x, *weights, some["a mask of its own for each"]),
        "one mask for all": (x, *weights, some["a mask"][1]),
        "a mask of two axes": (x, *weights, some["a mask"]),
        "padding": (x, *weights, some["padding"]),
        "nothing to pool": (x, *weights, nobody(2, t=3, s=5)),
        "large": (x, w, b, 20000 * w_score, None),
        "large sums": (1000 * x, *weights, None),
        "masked scores are the largest": (x, w, b, 20000 * w_score, scores < scores.median(-1, True).values),
        "and the others below any number": (x, w, b, 1e12 * w_score, scores < scores.median(-1, True).values),
        "a view": (*random_views((3, 5, 7), seed=2), *weights, None),
        "one": (one, *weights, None),
        "one item each": (x[0, :, :1], *weights, None),
        "all sizes equal": (*equal, masks(4, t=4, s=4)["a mask"]),
        "all sizes equal, one mask for all": (*equal, masks(4, t=4, s=4)["a mask"][0]),
    }


def expected(x, w, b, w_score, mask=None):
    """The formula with PyTorch's own softmax."""
    scores = torch.einsum("...sa,a->...s", torch.tanh(torch.einsum("...sd,ad->...sa", x, w) + b), w_score)
    return torch.einsum("...s,...sd->...d", torch.softmax(masked_scores(scores, mask), -1).nan_to_num(0), x)


def _agrees(f, *cases):
    for case in cases:
        same(f(*inputs()[case]), expected(*inputs()[case]))


@teaching
def check_worked_example(f):
    "hidden layers of 0.5 and 0, w_score = 2 log 3: odds of 3 to 1 between 8 and 4 give 7"
    x, w = float64([[8, 0], [4, 4]]), float64([[math.atanh(0.5) / 4, 0]])
    same(f(x, w, -4 * w[:, 0], float64([2 * math.log(3)])), float64([7, 1]))


def check_values(f):
    "agrees with the formula on unequal sizes, on a view, on one item, on histories of one item each"
    _agrees(f, "no mask", "a view", "one", "one item each")


def check_mask(f):
    "a masked item counts for nothing, and the other weights still sum to 1; one mask (s) serves a whole batch"
    _agrees(f, "a mask", "one mask for all", "a mask of two axes", "padding")


def check_equal_sizes(f):
    "the same where all sizes are equal: nothing is told by its size"
    _agrees(f, "all sizes equal", "all sizes equal, one mask for all")


def check_nothing_to_pool(f):
    "a history with nothing in it gives zeros"
    _agrees(f, "nothing to pool")


def check_large_scores(f):
    "scores beyond 1,000 do not overflow, nor does tanh of such sums"
    _agrees(f, "large", "large sums")


def check_masked_scores_are_the_largest(f):
    "a masked item counts for nothing however large its score, and however low the others"
    _agrees(f, "masked scores are the largest", "and the others below any number")


@torch_only
def check_gradient(f):
    "the gradients of x and of all three weights agree, and none is NaN where there is nothing to pool"
    case = inputs()["no mask"]
    same(gradients(f, *case), gradients(additive_pooling, *case), NAMES)
    finite(gradients(f, *inputs()["nothing to pool"]), NAMES)


def hidden_of(x, w, b, bend=torch.tanh):
    return bend(x @ w.mT + b)


def weights_of(scores, mask):
    return softmax(masked_scores(scores, mask))


def mean_of(weights, x):
    return (weights[..., None, :] @ x)[..., 0, :]


def answer(x, w, b, w_score, mask=None, *, hidden=hidden_of, score=torch.matmul, weigh=weights_of, mean=mean_of):
    return mean(weigh(score(hidden(x, w, b), w_score), mask), x)


def _seen(change):
    return lambda scores, mask: weights_of(scores, mask if mask is None else change(mask, scores))


def attended(x, w, b, w_score, mask=None, *, attend):
    """Pooling is what one query gets: its scores are one row."""
    scores, mask = (y if y is None else y[..., None, :] for y in (hidden_of(x, w, b) @ w_score, mask))
    return attend(scores, x, mask)[..., 0, :]


def bent(bend):
    return {"hidden": lambda x, w, b: hidden_of(x, w, b, bend)}


def as_it_is(x):
    return x


def _over_users(scores, mask):
    return softmax(masked_scores(scores, mask).movedim(0, -1)).movedim(-1, 0)


def _nrms(epsilon):
    def weights(scores, mask):
        parts = scores.exp() if mask is None else scores.exp() * mask
        return parts / (parts.sum(-1, keepdim=True) + epsilon)

    return weights


def _as_index(scores, mask):
    scores = scores.clone()
    if mask is not None:
        scores[~mask] = -torch.inf
    return softmax(scores)


def _minus_ten_thousand(scores, mask):
    if mask is None:
        return softmax(scores)
    return softmax(scores.masked_fill(~mask, -1e4)) * mask.any(-1, keepdim=True)


MISTAKES: dict[str, tuple[str, dict[str, Callable]]] = {
    "no_tanh": (
        "the tanh is missing: W and w_score are then one linear score, and b shifts all scores alike, which cancels",
        bent(as_it_is),
    ),
    "bias_outside_the_tanh": (
        "b is missing, or outside the tanh, where it shifts all scores alike and the softmax forgets it: tanh(W x + b)",
        {"hidden": lambda x, w, b: hidden_of(x, w, 0 * b)},
    ),
    "bias_subtracted": ("b is subtracted: tanh(W x + b)", {"hidden": lambda x, w, b: hidden_of(x, w, -b)}),
    "tanh_before_w": ("tanh before W: tanh(W x + b)", {"hidden": lambda x, w, b: hidden_of(x.tanh(), w, b, as_it_is)}),
    "tanh_of_the_score": (
        "tanh of the score, after w_score: the hidden layer is what tanh bounds",
        {**bent(as_it_is), "score": lambda hidden, w: (hidden @ w).tanh()},
    ),
    "tanh_overflows": (
        "(exp(x) - exp(-x)) / (exp(x) + exp(-x)) is inf / inf beyond 710: use tanh",
        bent(lambda x: (x.exp() - (-x).exp()) / (x.exp() + (-x).exp())),
    ),
    "relu": ("a ReLU where the tanh belongs", bent(torch.relu)),
    "sigmoid_hidden": ("a sigmoid where the tanh belongs", bent(torch.sigmoid)),
    "w_reshaped": (
        "W (a d) is reshaped to (d a), which mixes up its numbers: use its transpose",
        {"hidden": lambda x, w, b: hidden_of(x, w.reshape(w.shape[1], len(w)).mT, b)},
    ),
    "w_not_transposed": ("x @ W: W is (out in), so x @ W.T", {"hidden": lambda x, w, b: hidden_of(x, w.mT, b)}),
    "w_score_missing": ("w_score is not used: the hidden layer is summed", {"score": lambda hidden, w: hidden.sum(-1)}),
    "mean_of_hidden": ("w_score is not used: the hidden layer's mean", {"score": lambda hidden, w: hidden.mean(-1)}),
    "by_root_a": ("divided by √a: no scale is set here", {"score": lambda hidden, w: hidden @ w / len(w) ** 0.5}),
    "softmax_over_the_batch": (
        "the softmax runs over the first axis, users or batch: the weights of one history must sum to 1",
        {"weigh": _over_users},
    ),
    "weights_returned": ("the weights came back: average x with them", {"mean": lambda weights, x: weights}),
    "not_summed": ("the weighted items came back: sum them", {"mean": lambda weights, x: weights[..., None] * x}),
    "mean_of_the_weighted": (
        "the mean of the weighted items divides by s once more: the weights sum to 1 already, so sum",
        {"mean": lambda weights, x: mean_of(weights, x) / x.shape[-2]},
    ),
    "axis_1": (
        "the items are summed over axis 1, which is right for (b s d) only: they are axis -2 of x",
        {"mean": lambda weights, x: (weights[..., None] * x).sum(1)},
    ),
    "items_bent": ("tanh of x is pooled: average x itself", {"mean": lambda weights, x: mean_of(weights, x.tanh())}),
    "detached_items": (
        "x is detached in the mean: its gradient is a part only",
        {"mean": lambda weights, x: mean_of(weights, x.detach())},
    ),
    "minus_ten_thousand": (
        "masked with -1e4: other scores may be lower still, and then padding gets all the weight. Use -inf",
        {"weigh": _minus_ten_thousand},
    ),
    "attention_layer_of_nrms": (
        "NRMS's AttLayer2: exp without the maximum overflows beyond 710, K.epsilon() in the divisor takes weight away",
        {"weigh": _nrms(1e-7)},
    ),
    "attention_layer_of_nrms_in_torch": (
        "as in PyTorch ports of NRMS: exp without the maximum overflows beyond 710, + 1e-8 takes weight away",
        {"weigh": _nrms(1e-8)},
    ),
    "mask_as_index": (
        "the scores are indexed with the mask: a mask broadcasts, it need not have their shape. Use where",
        {"weigh": _as_index},
    ),
    "mask_squeezed": (
        "the mask is squeezed: an axis of size 1 is there to broadcast",
        {"weigh": _seen(lambda mask, scores: mask.squeeze())},
    ),
    "mask_told_by_size": (
        "a mask is read as (b s) where its first size is b: what it means is told by its axes, not by their sizes",
        {"weigh": _seen(lambda mask, scores: mask[:, None] if mask.dim() == 2 and len(mask) == len(scores) else mask)},
    ),
    "mask_does_not_broadcast": (
        "the mask must have all of x's leading axes here: one mask (s) for all should broadcast",
        {"weigh": _seen(lambda mask, scores: mask.reshape(scores.shape))},
    ),
    "scores_squeezed": (
        "squeeze() takes more than the score's axis of size 1: with one item each, s goes too. squeeze(-1)",
        {"score": lambda hidden, w: torch.atleast_1d((hidden @ w).squeeze())},
    ),
}
SCORES = named(MISTAKES, [but(answer, hint, **parts) for hint, parts in MISTAKES.values()])
# a row of scores has no other queries, and its mask no axis t; the rest cannot be told from another one here
NONE_HERE = """queries_masked causal_too softmax_over_everything told_by_size mask_squeezed mask_as_index
plain_sum infinity_added_result_patched"""
WEIGHTS = mistakes_of_attending(
    attended,
    NONE_HERE.split(),
    {
        "partly_masked_is_zero": "a history with any masked item gives zeros: only an empty one does (any, not all)",
        "nan_where_nobody": "an empty history gives NaN: softmax of a row of -inf. Give it zeros",
        "nan_patched_up": "the NaN of an empty history is patched up in the result: its gradient is still NaN",
        "softmax_over_queries": "x is summed, as by a softmax over an axis of size 1: normalise over s",
        "plain_mean": "the plain mean: no score is used",
        "no_softmax": "no softmax: the raw scores are the weights, as in NARM and STAMP. Here they sum to 1",
    },
)


@wrong("divided by √d: no scale is set here")
def by_root_d(x, w, b, w_score, mask=None):
    return answer(x, w, b, w_score / math.sqrt(x.shape[-1]), mask)


@wrong("the hidden layer is pooled: the weights average x itself")
def hidden_pooled(x, w, b, w_score, mask=None):
    return answer(x, w, b, w_score, mask, mean=lambda weights, x: mean_of(weights, hidden_of(x, w, b)))


@wrong("the softmax runs over the hidden layer: its axis is s, after w_score has made one score an item")
def softmax_over_the_hidden_layer(x, w, b, w_score, mask=None):
    weights = softmax(hidden_of(x, w, b)) @ w_score
    return mean_of(weights if mask is None else weights * mask, x)


@wrong("the largest value of each feature: max pooling, no score is used")
def max_pooling(x, w, b, w_score, mask=None):
    top = (x if mask is None else x.masked_fill(~mask[..., None], -torch.inf)).amax(-2)
    return top.masked_fill(top == -torch.inf, 0)


@wrong("padding's x is set to 0, but its score is not masked: tanh(b) still has a weight. Mask the scores, with -inf")
def items_masked_only(x, w, b, w_score, mask=None):
    return answer(x if mask is None else x * mask[..., None], w, b, w_score)


@right
def item_by_item(x, w, b, w_score, mask=None):
    scores = torch.stack([torch.tanh(item @ w.T + b) @ w_score for item in x.unbind(-2)], -1)
    weights = weights_of(scores, mask).unbind(-1)
    return sum(weight[..., None] * item for weight, item in zip(weights, x.unbind(-2), strict=True))


@right
def bias_as_one_more_column(x, w, b, w_score, mask=None):
    longer = torch.cat([x, torch.ones_like(x[..., :1])], -1)
    return mean_of(weights_of(torch.tanh(longer @ torch.cat([w, b[:, None]], 1).T) @ w_score, mask), x)
