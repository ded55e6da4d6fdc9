"""Spec of additive_pooling: attention whose query is learned, as a function over given weights and as a module."""

import math
from contextlib import suppress

import torch

from recattn_mini.attention.additive_pooling import AdditivePooling, additive_pooling, additive_pooling_numpy
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
    """A learner's module, built by its own `__init__`, as a function of its weights."""
    built = module(x.shape[-1], len(w_score))
    weights = {"hidden.weight": w, "hidden.bias": b, "score.weight": w_score[None]}
    same_parameters(built, weights)
    with torch.no_grad(), suppress(Exception):  # what a module remembers of another call must not show in this one
        other = torch.arange(x.shape[-2]) == 0 if mask is None else ~mask
        torch.func.functional_call(built, weights, (-x, other), strict=True)
    return torch.func.functional_call(built, weights, (x, mask), strict=True)


def inputs() -> dict[str, tuple]:
    x, w, b, w_score, view, one = random_tensors((2, 3, 5, 7), (4, 7), (4,), (4,), (7, 5, 3), (1, 1, 7))
    some = torch.rand(2, 3, 5, generator=torch.Generator().manual_seed(0)) < 0.6
    some[:, :, 2], some[:, :, 4] = True, False
    nothing = torch.tensor([[True, False, True], [False, True, False]])[..., None].expand(2, 3, 5)
    return {
        "no mask": (x, w, b, w_score, None),
        "a mask": (x, w, b, w_score, some),
        "one mask for all": (x, w, b, w_score, some[0, 1]),
        "nothing to pool": (x, w, b, w_score, nothing),
        "large": (x, w, b, 20000 * w_score, None),
        "large, masked": (x, w, b, 20000 * w_score, some),
        "a view": (view.permute(2, 1, 0), w, b, w_score, None),
        "one": (one, w, b, w_score, None),
        "one item each": (x[0, :, :1], w, b, w_score, None),
    }


def expected(x, w, b, w_score, mask=None):
    """The formula with PyTorch's own softmax."""
    scores = torch.einsum("...sa,a->...s", torch.tanh(torch.einsum("...sd,ad->...sa", x, w) + b), w_score)
    weights = torch.softmax(_masked(scores, mask), -1).nan_to_num(0)
    return torch.einsum("...s,...sd->...d", weights, x)


@teaching
def check_worked_example(f):
    "hidden layers of 0.5 and 0, w_score = 2 log 3: odds of 3 to 1 between 8 and 4 give 7"
    x, w = float64([[8, 0], [4, 4]]), float64([[math.atanh(0.5) / 4, 0]])
    same(f(x, w, -4 * w[:, 0], float64([2 * math.log(3)])), float64([7, 1]))


def check_values(f):
    "agrees with the formula on unequal sizes, on a view, on one item, on histories of one item each"
    for case in ("no mask", "a view", "one", "one item each"):
        same(f(*inputs()[case]), expected(*inputs()[case]))


def check_mask(f):
    "a masked item counts for nothing, and the other weights still sum to 1; one mask (s) serves a whole batch"
    for case in ("a mask", "one mask for all"):
        same(f(*inputs()[case]), expected(*inputs()[case]))


def check_nothing_to_pool(f):
    "a history with nothing in it gives zeros"
    same(f(*inputs()["nothing to pool"]), expected(*inputs()["nothing to pool"]))


def check_large_scores(f):
    "scores beyond 1,000 do not overflow, and masked ones that are far above the others leave those their weight"
    for case in ("large", "large, masked"):
        same(f(*inputs()[case]), expected(*inputs()[case]))


@torch_only
def check_gradient(f):
    "the gradients of x and of all three weights agree, and none is NaN where there is nothing to pool"
    case = inputs()["no mask"]
    same(gradients(f, *case), gradients(additive_pooling, *case), NAMES)
    finite(gradients(f, *inputs()["nothing to pool"]), NAMES)


@teaching
def check_equal_items_pool_to_themselves(f):
    "a history of one item over and over gives that item: the weights sum to 1"
    x, *weights, _ = inputs()["no mask"]
    again = x[:, :, :1].expand(2, 3, 5, 7)
    same(f(again, *weights), again[:, :, 0])


def _hidden(x, w, b):
    return torch.tanh(x @ w.mT + b)


def _masked(scores, mask):
    return scores if mask is None else scores.masked_fill(~mask, -torch.inf)


def _pool(scores, x, mask):
    return _average(softmax(_masked(scores, mask)), x)


def _average(weights, x):
    return (weights[..., None, :] @ x)[..., 0, :]


@wrong("the tanh is missing: W and w_score are then one linear score, and b shifts all scores alike, which cancels")
def no_tanh(x, w, b, w_score, mask=None):
    return _pool((x @ w.mT + b) @ w_score, x, mask)


@wrong("b is missing, or outside the tanh, where it shifts all scores alike and the softmax forgets it: tanh(W x + b)")
def bias_outside_the_tanh(x, w, b, w_score, mask=None):
    return _pool((torch.tanh(x @ w.mT) + b) @ w_score, x, mask)


@wrong("b is subtracted: tanh(W x + b)")
def bias_subtracted(x, w, b, w_score, mask=None):
    return _pool(_hidden(x, w, -b) @ w_score, x, mask)


@wrong("tanh before W: the order is tanh(W x + b), then w_score")
def tanh_before_w(x, w, b, w_score, mask=None):
    return _pool((torch.tanh(x) @ w.mT + b) @ w_score, x, mask)


@wrong("tanh of the score, after w_score: the hidden layer is what tanh bounds")
def tanh_of_the_score(x, w, b, w_score, mask=None):
    return _pool(torch.tanh((x @ w.mT + b) @ w_score), x, mask)


@wrong("a ReLU where the tanh belongs")
def relu(x, w, b, w_score, mask=None):
    return _pool((x @ w.mT + b).relu() @ w_score, x, mask)


@wrong("a sigmoid where the tanh belongs")
def sigmoid(x, w, b, w_score, mask=None):
    return _pool((x @ w.mT + b).sigmoid() @ w_score, x, mask)


@wrong("w_score is not used: the hidden layer is summed with equal weights")
def w_score_missing(x, w, b, w_score, mask=None):
    return _pool(_hidden(x, w, b).sum(-1), x, mask)


@wrong("W (a d) is reshaped to (d a): that is no transpose, the numbers end up elsewhere. Use W's transpose")
def w_reshaped(x, w, b, w_score, mask=None):
    return _pool(torch.tanh(x @ w.reshape(w.shape[1], w.shape[0]) + b) @ w_score, x, mask)


@wrong("divided by √d: these scores are bounded by tanh and need no scale")
def scaled_by_root_d(x, w, b, w_score, mask=None):
    return _pool(_hidden(x, w, b) @ w_score / math.sqrt(x.shape[-1]), x, mask)


@wrong("divided by √a: these scores are bounded by tanh and need no scale")
def scaled_by_root_a(x, w, b, w_score, mask=None):
    return _pool(_hidden(x, w, b) @ w_score / math.sqrt(len(w_score)), x, mask)


@wrong("the softmax runs over an axis of size 1: every weight is 1, and x is summed. Normalise over s")
def softmax_over_nothing(x, w, b, w_score, mask=None):
    weights = softmax((_hidden(x, w, b) @ w_score)[..., None])
    return ((weights if mask is None else weights * mask[..., None]) * x).sum(-2)


@wrong("the softmax runs over the hidden layer: its axis is s, after w_score has made one score an item")
def softmax_over_the_hidden_layer(x, w, b, w_score, mask=None):
    weights = softmax(_hidden(x, w, b)) @ w_score
    return _average(weights if mask is None else weights * mask, x)


@wrong("the softmax runs over the first axis, users or batch: the weights of one history must sum to 1")
def softmax_over_the_batch(x, w, b, w_score, mask=None):
    scores = _masked(_hidden(x, w, b) @ w_score, mask).movedim(0, -1)
    return _average(softmax(scores).movedim(-1, 0), x)


@wrong("axis 1 is taken for the items, which is right for (b s d) only: whatever comes before, they are axis -2 of x")
def axis_1(x, w, b, w_score, mask=None):
    weights = torch.softmax(_masked(_hidden(x, w, b) @ w_score, mask), 1).nan_to_num(0)
    return (weights[..., None] * x).sum(1)


@wrong("a sigmoid in the softmax's place: the weights do not sum to 1")
def sigmoid_weights(x, w, b, w_score, mask=None):
    return _average(_masked(_hidden(x, w, b) @ w_score, mask).sigmoid(), x)


@wrong("no softmax: the raw scores are the weights, as in NARM and STAMP. Here they sum to 1")
def no_softmax(x, w, b, w_score, mask=None):
    scores = _hidden(x, w, b) @ w_score
    return _average(scores if mask is None else scores * mask, x)


@wrong("the hidden layer is pooled: the weights average x itself")
def hidden_pooled(x, w, b, w_score, mask=None):
    hidden = _hidden(x, w, b)
    return _pool(hidden @ w_score, hidden, mask)


@wrong("the weights came back: average x with them")
def weights_returned(x, w, b, w_score, mask=None):
    return softmax(_masked(_hidden(x, w, b) @ w_score, mask))


@wrong("the weighted items came back: sum them over s")
def not_summed(x, w, b, w_score, mask=None):
    return softmax(_masked(_hidden(x, w, b) @ w_score, mask))[..., None] * x


@wrong("the mean of the weighted items divides by s once more: the weights sum to 1 already, so sum")
def mean_of_the_weighted(x, w, b, w_score, mask=None):
    return additive_pooling(x, w, b, w_score, mask) / x.shape[-2]


@wrong("the plain mean: no score is used")
def mean_pooling(x, w, b, w_score, mask=None):
    return _pool(torch.zeros_like(x[..., 0]), x, mask)


@wrong("the largest value of each feature: max pooling, no score is used")
def max_pooling(x, w, b, w_score, mask=None):
    kept = x if mask is None else x.masked_fill(~mask[..., None], -torch.inf)
    top = kept.amax(-2)
    return top.masked_fill(top == -torch.inf, 0)


@wrong("only the best item is taken: a softmax weighs all of them, and lets the weights learn")
def hard_attention(x, w, b, w_score, mask=None):
    scores = _masked(_hidden(x, w, b) @ w_score, mask)
    chosen = torch.nn.functional.one_hot(scores.argmax(-1), x.shape[-2]).to(x.dtype)
    return _average(chosen if mask is None else chosen * mask, x)


@wrong("the mask is not used")
def mask_ignored(x, w, b, w_score, mask=None):
    return additive_pooling(x, w, b, w_score)


@wrong("the mask is upside down: True means may be pooled")
def inverted_mask(x, w, b, w_score, mask=None):
    return additive_pooling(x, w, b, w_score, None if mask is None else ~mask)


@wrong("masked behind the softmax or its maximum, then divided by what is left: far below a masked score that is 0")
def masked_and_divided(x, w, b, w_score, mask=None):
    weights = softmax(_hidden(x, w, b) @ w_score)
    weights = weights if mask is None else weights * mask
    total = weights.sum(-1, keepdim=True)
    return _average(weights / torch.where(total == 0, 1, total), x)


@wrong("masked after the softmax: the weights left over no longer sum to 1. Mask the scores, with -inf")
def masked_after_the_softmax(x, w, b, w_score, mask=None):
    weights = softmax(_hidden(x, w, b) @ w_score)
    return _average(weights if mask is None else weights * mask, x)


@wrong("masked scores are set to 0: exp(0) is 1, and padding keeps its weight. Use -inf")
def masked_with_zero(x, w, b, w_score, mask=None):
    scores = _hidden(x, w, b) @ w_score
    return _pool(scores if mask is None else scores * mask, x, None)


@wrong("padding's x is set to 0, but its score is not masked: tanh(b) still has a weight. Mask the scores, with -inf")
def items_masked_only(x, w, b, w_score, mask=None):
    return additive_pooling(x if mask is None else x * mask[..., None], w, b, w_score)


@wrong("masked with a large negative number: an empty history becomes the mean of its padding. Use -inf, then zeros")
def minus_one_billion(x, w, b, w_score, mask=None):
    scores = _hidden(x, w, b) @ w_score
    return _average(softmax(scores if mask is None else scores.masked_fill(~mask, -1e9)), x)


@wrong("masked with -1e4: other scores may be lower still, and then padding gets all the weight. Use -inf")
def minus_ten_thousand(x, w, b, w_score, mask=None):
    scores = _hidden(x, w, b) @ w_score
    if mask is None:
        return _pool(scores, x, None)
    return _average(softmax(scores.masked_fill(~mask, -1e4)) * mask.any(-1, keepdim=True), x)


@wrong("an empty history gives NaN: softmax of a row of -inf. Give it zeros")
def nan_where_nothing(x, w, b, w_score, mask=None):
    return _average(torch.softmax(_masked(_hidden(x, w, b) @ w_score, mask), -1), x)


@wrong("the NaN of an empty history is patched up afterwards: its gradient is still NaN")
def nan_patched_up(x, w, b, w_score, mask=None):
    return nan_where_nothing(x, w, b, w_score, mask).nan_to_num(0)


@wrong(
    "-inf is added to the scores: an empty history makes every gradient NaN, whatever is patched up. Use masked_fill"
)
def infinity_added(x, w, b, w_score, mask=None):
    scores = _hidden(x, w, b) @ w_score
    scores = scores if mask is None else scores + torch.where(mask, 0.0, -torch.inf).to(x)
    return _average(torch.softmax(scores, -1).nan_to_num(0), x)


def _with_epsilon(x, w, b, w_score, mask, epsilon):
    scores = _masked(_hidden(x, w, b) @ w_score, mask)
    top = scores.amax(-1, keepdim=True)
    parts = (scores - top.masked_fill(top == -torch.inf, 0)).exp()
    return _average(parts / (parts.sum(-1, keepdim=True) + epsilon), x)


@wrong("a small number is added to the divisor: the weights sum to less than 1. Guard the sum only where it is 0")
def epsilon_in_the_divisor(x, w, b, w_score, mask=None):
    return _with_epsilon(x, w, b, w_score, mask, 1e-7)


@wrong("1e-6 is added to the divisor: the weights sum to less than 1. Guard the sum only where it is 0")
def larger_epsilon_in_the_divisor(x, w, b, w_score, mask=None):
    return _with_epsilon(x, w, b, w_score, mask, 1e-6)


@wrong("1e-3 is added to the divisor: the weights sum to less than 1. Guard the sum only where it is 0")
def largest_epsilon_in_the_divisor(x, w, b, w_score, mask=None):
    return _with_epsilon(x, w, b, w_score, mask, 1e-3)


def _without_maximum(x, w, b, w_score, mask, epsilon):
    parts = torch.exp(_hidden(x, w, b) @ w_score)
    parts = parts if mask is None else parts * mask
    return _average(parts / (parts.sum(-1, keepdim=True) + epsilon), x)


@wrong(
    "NRMS's AttLayer2: exp without the maximum overflows beyond 710, and K.epsilon() in the divisor takes weight away"
)
def attention_layer_of_nrms(x, w, b, w_score, mask=None):
    return _without_maximum(x, w, b, w_score, mask, 1e-7)


@wrong("as in PyTorch ports of NRMS: exp without the maximum overflows beyond 710, and + 1e-8 takes weight away")
def attention_layer_of_nrms_in_torch(x, w, b, w_score, mask=None):
    return _without_maximum(x, w, b, w_score, mask, 1e-8)


@wrong("exp without the row's maximum subtracted overflows beyond 710: w_score may be large")
def softmax_overflows(x, w, b, w_score, mask=None):
    parts = _masked(_hidden(x, w, b) @ w_score, mask).exp()
    total = parts.sum(-1, keepdim=True)
    return _average(parts / torch.where(total == 0, 1, total), x)


@wrong("the mask must have all of x's leading axes here: one mask (s) for all should broadcast")
def mask_does_not_broadcast(x, w, b, w_score, mask=None):
    return additive_pooling(x, w, b, w_score, None if mask is None else mask.reshape(x.shape[:-1]))


@wrong("squeeze() takes more than the score's axis of size 1: with one item each, s goes too. squeeze(-1)")
def scores_squeezed(x, w, b, w_score, mask=None):
    scores = _masked((_hidden(x, w, b) @ w_score).squeeze(), mask)
    return _average(softmax(scores if scores.dim() else scores[None]), x)


@wrong("axes of size 1 are squeezed away: keep the shape, also of a single history")
def squeezed(x, w, b, w_score, mask=None):
    return additive_pooling(x, w, b, w_score, mask).squeeze()


@wrong("the weights are detached: W, b and w_score get no gradient, and the pooling never learns")
def detached_weights(x, w, b, w_score, mask=None):
    return _pool((_hidden(x, w, b) @ w_score).detach(), x, mask)


@right
def weighted_sum(x, w, b, w_score, mask=None):
    scores = torch.einsum("...sa,a->...s", torch.tanh(torch.nn.functional.linear(x, w, b)), w_score)
    return (softmax(_masked(scores, mask))[..., None] * x).sum(-2)


@right
def item_by_item(x, w, b, w_score, mask=None):
    scores = torch.stack([torch.tanh(item @ w.T + b) @ w_score for item in x.unbind(-2)], -1)
    weights = softmax(_masked(scores, mask)).unbind(-1)
    return sum(weight[..., None] * item for weight, item in zip(weights, x.unbind(-2), strict=True))


@right
def bias_as_one_more_column(x, w, b, w_score, mask=None):
    longer = torch.cat([x, torch.ones_like(x[..., :1])], -1)
    return _pool(torch.tanh(longer @ torch.cat([w, b[:, None]], 1).T) @ w_score, x, mask)
