"""Spec of binary_cross_entropy: from logits, stable at any of them, with the right gradient at 0 as well."""

import math

import torch
import torch.nn.functional as F

from recattn_mini.exercises.spec import (
    Named,
    drawn_once,
    float64,
    gradients,
    mistakes_of,
    random_tensors,
    right,
    same,
    teaching,
    torch_only,
)
from recattn_mini.training.binary_cross_entropy import binary_cross_entropy, binary_cross_entropy_numpy

LEVEL, MINUTES = "easy", 10
HINTS = (
    "-y log σ(x) - (1-y) log(1 - σ(x)): σ(-1000) is 0 in floating point. Put σ(x) = 1 / (1 + exp(-x)) in and simplify.",
    "It is log(1 + exp(x)) - x y. exp(1000) is inf: take max(x, 0) out of the logarithm; what is left in it?",
    "mean of max(x, 0) - x y + log1p(exp(-|x|)), or of np.logaddexp(0, x) - x y, which takes the maximum out itself. "
    "In PyTorch torch.maximum(x, zeros): at a tie it passes on half the gradient, as it should at x = 0; relu passes "
    "on none there and clamp all.",
)
FORBIDDEN = (
    "torch.nn.functional.binary_cross_entropy_with_logits",
    "torch.nn.functional.binary_cross_entropy",
    "torch.nn.functional.multilabel_soft_margin_loss",
    "torch.nn.BCEWithLogitsLoss",
    "torch.nn.BCELoss",
    "torch.nn.MultiLabelSoftMarginLoss",
    "torch.binary_cross_entropy_with_logits",
    "keras.losses.BinaryCrossentropy",
    "keras.losses.binary_crossentropy",
    "keras.ops.binary_crossentropy",
    "sklearn.metrics.log_loss",
)


@drawn_once
def inputs() -> dict[str, tuple]:
    typical, noise, view, soft, chances, one = random_tensors((3, 7), (3, 7), (5, 3), (11,), (11,), (1,))
    return {
        "typical": (2 * typical, (noise > 0).double()),
        "a view": (3 * view.T, (view > 0.3).double().T),
        "one logit": (one, torch.ones_like(one)),
        "shares of clicks": (soft, chances.sigmoid()),
        "large": (float64([1000, -1000, 800, -750, 41, -3, 900]), float64([0, 1, 1, 0, 1, 0, 0])),
        "very negative": (float64([-1000, -800, -900, -760, -5]), float64([1, 0, 1, 1, 0])),
        "sure and right": (float64([-1000, 900, -5, 0.5]), float64([0, 1, 0, 0])),
        "logits of 0": (float64([0, 2, 0, -1, 0, 0.5, 0]), float64([1, 0, 0, 1, 1, 0, 1])),
    }


def expected(logits, labels):
    """PyTorch's own."""
    return F.binary_cross_entropy_with_logits(logits, labels)


def _agrees(f, *cases):
    for case in cases:
        same(f(*inputs()[case]), expected(*inputs()[case]))


@teaching
def check_worked_example(f):
    "a logit of log 3 is a probability of 3/4: log 4/3 if there was a click, log 4 if not, their mean 0.837"
    logits = float64([math.log(3), math.log(3)])
    same(f(logits, float64([1, 0])), float64((math.log(4 / 3) + math.log(4)) / 2))


def check_values(f):
    "the mean over all logits, whatever their axes, those that are 0 among them; of a view and of one logit too"
    _agrees(f, "typical", "a view", "one logit", "logits of 0")


def check_shares_of_clicks(f):
    "labels between 0 and 1 weigh both terms"
    _agrees(f, "shares of clicks")


def check_large_logits(f):
    "logits of ±1000: a certain mistake costs 1000, neither inf nor what a clipped probability gives"
    for ordinary, large in (("typical", "large"), ("one logit", "very negative")):
        got, want = f(*inputs()[large]), expected(*inputs()[large])
        if isinstance(got, torch.Tensor) and not got.dim() and got.isfinite() and got < 0.9 * want:
            same(f(*inputs()[ordinary]), expected(*inputs()[ordinary]))  # where it is the loss, and stops too early
            raise Named(
                f"got {got.item():.6g}, expected {want.item():.6g}: a clip, or a small number within a logarithm, "
                "ends it there, and the gradient beyond is 0. Work with the logits"
            )
        same(got, want)
    _agrees(f, "sure and right")


@torch_only
def check_gradient(f):
    "the gradient is (σ(x) - y) / n: at a logit of exactly 0, and at -1000, where the model is most wrong"
    for case in ("logits of 0", "very negative"):
        of_logits, _ = gradients(f, *inputs()[case])
        same(of_logits, gradients(expected, *inputs()[case])[0], what="the gradient of logits: ")


@teaching
def check_labels_of_any_dtype(f):
    "labels may be bool or whole numbers: 1 - labels fails for bool in PyTorch, give them the dtype of the logits"
    # not among inputs(): whether a bool raises an error would hide which mistake it is
    logits, clicks = inputs()["typical"]
    for dtype in (torch.int64, torch.bool):
        same(f(logits, clicks.to(dtype)), expected(logits, clicks))


def above_0(x):
    return torch.maximum(x, torch.zeros_like(x))


def tail(x):
    return torch.log1p(torch.exp(-x.abs()))


def losses(x, y, *, above=above_0, pull=lambda x, y: x * y, tail=tail):
    return above(x) - pull(x, y) + tail(x)


def answer(x, y, *, given=lambda x, y: (x, y), losses=losses, reduce=lambda losses, y: losses.mean(), **parts):
    x, y = given(x, y.to(x.dtype))
    return reduce(losses(x, y, **parts), y)


def _of_probabilities(p, y, log=torch.log):
    return -(y * log(p) + (1 - y) * log(1 - p))


def _focal(x, y):
    return losses(x, y) * (y - x.sigmoid()) ** 2


def _weighted(losses, y):
    return (losses * torch.where(y == 1, (1 - y).sum() / y.sum(), 1.0)).mean()


ABOVE = {
    "modulus_for_maximum": ("|x| for max(x, 0): below 0 nothing is taken out of log(1 + exp(x))", lambda x: x.abs()),
    "relu": (
        "relu passes on no gradient at exactly 0: torch.maximum passes on half of it, as σ(0)",
        lambda x: x.relu(),
    ),
    "clamp": (
        "clamp passes on all of the gradient at exactly 0: torch.maximum half, as σ(0)",
        lambda x: x.clamp(min=0),
    ),
}
PULL = {
    "label_without_its_logit": ("y is taken off, not x y: it is log(1 + exp(x)) - x y", lambda x, y: y),
    "click_pushes_down": ("x y is added: a click is to pull its logit up, so x y is taken off", lambda x, y: -x * y),
}
TAIL = {
    "modulus_missing": ("the modulus is missing, exp(-x) is inf at -1000: exp(-|x|)", lambda x: torch.exp(-x).log1p()),
    "minus_missing": ("the minus is missing, exp(|x|) is inf at 1000: exp(-|x|)", lambda x: torch.exp(x.abs()).log1p()),
    "logarithm_missing": ("exp(-|x|) without its logarithm: it is log(1 + exp(-|x|))", lambda x: torch.exp(-x.abs())),
    "one_missing": ("log(exp(-|x|)) is -|x|: the 1 is missing, it is log(1 + exp(-|x|))", lambda x: -x.abs()),
    "perceptron": ("log(1 + exp(-|x|)) is missing: a logit on the right side costs nothing then", lambda x: 0),
}
LOSSES = {
    "log_of_sigmoid": (
        "the logarithm of a sigmoid: σ(-1000) is 0, its log -inf, and 0 · inf is NaN. Work with the logits",
        lambda x, y: _of_probabilities(x.sigmoid(), y),
    ),
    "by_xlogy": (
        "xlogy mends 0 · log 0 only: σ(-1000) is still 0, and a certain mistake costs inf. Work with the logits",
        lambda x, y: -(torch.xlogy(y, x.sigmoid()) + torch.xlogy(1 - y, 1 - x.sigmoid())),
    ),
    "clipped_at_1e_7": (
        "probabilities clipped to 1e-7: no loss is above 16, and the gradient beyond is 0. Work with the logits",
        lambda x, y: _of_probabilities(x.sigmoid().clamp(1e-7, 1 - 1e-7), y),
    ),
    "clipped_at_1e_15": (
        "probabilities clipped to 1e-15: no loss is above 35, and the gradient beyond is 0. Work with the logits",
        lambda x, y: _of_probabilities(x.sigmoid().clamp(1e-15, 1 - 1e-15), y),
    ),
    "logarithms_cut_at_100": (
        "logarithms cut at -100, as in BCELoss: the gradient beyond is 0. Work with the logits",
        lambda x, y: _of_probabilities(x.sigmoid(), y, lambda p: p.log().clamp(min=-100)),
    ),
    "stable_above_0_only": (
        "log(1 + exp(-x)) + (1-y) x is right for x > 0 alone: exp(1000) is inf. Below 0: log(1 + exp(x)) - x y",
        lambda x, y: (1 - y) * x + torch.log1p(torch.exp(-x)),
    ),
    "overflows": (
        "exp of a large logit is inf: in log(1 + exp(x)) take max(x, 0) out of the logarithm",
        lambda x, y: torch.log1p(x.exp()) - x * y,
    ),
    "epsilon": (
        "1e-7 added within the logarithms: no loss is above 16, all others are a little off. Work with the logits",
        lambda x, y: _of_probabilities(x.sigmoid(), y, lambda p: (p + 1e-7).log()),
    ),
    "smaller_epsilon": (
        "1e-8 added within the logarithms: no loss is above 18, all others are a little off. Work with the logits",
        lambda x, y: _of_probabilities(x.sigmoid(), y, lambda p: (p + 1e-8).log()),
    ),
    "negated": ("the sign: this is the log-likelihood, the loss is its negative", lambda x, y: -losses(x, y)),
    "in_bits": ("logarithms to base 2: nats are asked for", lambda x, y: losses(x, y) / math.log(2)),
    "only_clicks": ("(1-y) log(1 - σ(x)), of what was not clicked, is missing", lambda x, y: -y * F.logsigmoid(x)),
    "only_the_rest": ("y log σ(x), of what was clicked, is missing", lambda x, y: (y - 1) * F.logsigmoid(-x)),
    "logits_as_probabilities": (
        "the sigmoid is missing: logits were taken for probabilities",
        lambda x, y: _of_probabilities(x.clamp(1e-7, 1 - 1e-7), y),
    ),
    "labels_of_minus_1_and_1": (
        "-log σ(y x) is for labels of -1 and 1: these are 0 and 1",
        lambda x, y: -F.logsigmoid(y * x),
    ),
    "one_minus_the_logit": (
        "log(1 - σ(x)) is log σ(-x), not log σ(1 - x)",
        lambda x, y: -y * F.logsigmoid(x) - (1 - y) * F.logsigmoid(1 - x),
    ),
    "one_minus_the_logarithm": (
        "1 - log σ(x) for log(1 - σ(x)): the 1 stands within the logarithm, which is log σ(-x)",
        lambda x, y: -(y * F.logsigmoid(x) + (1 - y) * (1 - F.logsigmoid(x))),
    ),
    "brier": ("this is the squared error of the probability (Brier score)", lambda x, y: (x.sigmoid() - y).square()),
    "absolute_error": ("this is the absolute error of the probability", lambda x, y: (x.sigmoid() - y).abs()),
    "for_hard_labels": (
        "log(1 + exp((1 - 2y) x)) is right for labels of 0 and 1 only: a share of clicks weighs both terms",
        lambda x, y: torch.logaddexp((1 - 2 * y) * x, torch.zeros_like(x)),
    ),
    "hinge": ("this is the hinge loss, of a support vector machine", lambda x, y: (1 + x - 2 * x * y).clamp(min=0)),
    "focal": ("each loss is weighted by (y - σ(x))²: that is the focal loss, here all count alike", _focal),
    "softmax_over_logits": (
        "this is a softmax over the logits: each of them is a question of its own, with a sigmoid",
        lambda x, y: -(y * torch.log_softmax(x, -1)),
    ),
    "where_of_two_forms": (
        "where() of two forms: the one not taken overflows, and inf · 0 makes the gradient NaN. Take exp of -|x|",
        lambda x, y: torch.where(x >= 0, x + torch.log1p(torch.exp(-x)), torch.log1p(torch.exp(x))) - x * y,
    ),
}
REDUCE = {
    "summed": ("the sum, not the mean: the gradient then grows with the batch", lambda x, y: x.sum()),
    "halved": ("half of it: y log σ(x) and (1-y) log(1 - σ(x)) are added, not averaged", lambda x, y: x.mean() / 2),
    "clicks_weighted": ("clicks weigh as much as the rest together: all logits count alike", _weighted),
    "divided_by_rows": ("divided by the number of rows, not of logits", lambda x, y: x.sum() / len(y)),
    "mean_of_the_first_axis": ("only axis 0 is averaged: a loss is one number", lambda x, y: x.mean(0)),
    "mean_of_the_last_axis": ("only the last axis is averaged: a loss is one number", lambda x, y: x.mean(-1)),
    "not_averaged": ("one loss for each logit: take their mean", lambda x, y: x),
    "mean_over_clicks": ("divided by the number of clicks, not of logits", lambda x, y: x.sum() / y.sum()),
    "mean_of_each_class": (
        "the mean of the clicks and the mean of the rest are added: it is one mean, over all logits",
        lambda x, y: x[y == 1].mean() + x[y == 0].mean(),
    ),
    "median": ("the median: it is the mean", lambda x, y: x.median()),
}
GIVEN = {
    "zeros_left_out": (
        "logits of exactly 0 are left out, like padding: each costs log 2",
        lambda x, y: (x[x != 0], y[x != 0]),
    ),
    "sigmoid_twice": (
        "the sigmoid twice: the stable form takes logits, as they come in",
        lambda x, y: (x.sigmoid(), y),
    ),
    "labels_rounded": ("labels are rounded: a share of clicks weighs both terms", lambda x, y: (x, y.round())),
    "labels_cut": ("labels are cut to integers: a share of clicks weighs both terms", lambda x, y: (x, y.floor())),
    "labels_raised": ("any label above 0 is taken for a click: a share weighs both terms", lambda x, y: (x, y.ceil())),
    "detached": ("the logits are detached: nothing is learnt", lambda x, y: (x.detach() + 0 * x, y)),
    "logits_cut": (
        "logits cut to ±30: the loss stops growing, and beyond there is no gradient. The stable form needs no cut",
        lambda x, y: (x.clamp(-30, 30), y),
    ),
    "labels_turned_round": ("the labels are turned round: 1 is a click, with -log σ(x)", lambda x, y: (x, 1 - y)),
    "labels_smoothed": ("labels smoothed to 0.05 and 0.95: they count as they are", lambda x, y: (x, 0.9 * y + 0.05)),
}
OF_PARTS = mistakes_of(answer, above=ABOVE, pull=PULL, tail=TAIL, losses=LOSSES, reduce=REDUCE, given=GIVEN)


@right
def by_logsigmoid(x, y):
    y = y.to(x.dtype)
    return -(y * F.logsigmoid(x) + (1 - y) * F.logsigmoid(-x)).mean()


@right
def by_logaddexp(x, y):
    return (torch.logaddexp(x, torch.zeros_like(x)) - x * y).mean()


@right
def as_a_softmax_of_two(x, y):
    y = y.to(x.dtype)
    both = torch.log_softmax(torch.stack([torch.zeros_like(x), x], -1), -1)
    return -(torch.stack([1 - y, y], -1) * both).sum() / x.numel()


@right
def logit_by_logit(x, y):
    total = 0
    for one, label in zip(x.reshape(-1), y.reshape(-1), strict=True):
        softplus = one + torch.log1p(torch.exp(-one)) if one > 0 else torch.log1p(torch.exp(one))
        total = total + softplus - label * one
    return total / x.numel()
