"""Spec of binary_cross_entropy: from logits, stable at any of them, with the right gradient at 0 as well."""

import math

import torch
import torch.nn.functional as F

from recattn_mini.exercises.spec import (
    Named,
    float64,
    gradients,
    random_tensors,
    right,
    same,
    teaching,
    torch_only,
    wrong,
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


def _terms(x, y):
    return torch.maximum(x, torch.zeros_like(x)) - x * y + torch.log1p(torch.exp(-x.abs()))


def _of_probabilities(p, y):
    return -(y * p.log() + (1 - y) * (1 - p).log()).mean()


@wrong("the logarithm of a sigmoid: σ(-1000) is 0, its log -inf, and 0 · inf is NaN. Work with the logits")
def log_of_sigmoid(x, y):
    return _of_probabilities(x.sigmoid(), y)


@wrong("xlogy mends 0 · log 0 only: σ(-1000) is still 0, and a certain mistake costs inf. Work with the logits")
def by_xlogy(x, y):
    p = x.sigmoid()
    return -(torch.xlogy(y, p) + torch.xlogy(1 - y, 1 - p)).mean()


@wrong("probabilities clipped to 1e-7: no loss is above 16, and the gradient is 0 where the model is most wrong")
def clipped_at_1e_7(x, y):
    return _of_probabilities(x.sigmoid().clamp(1e-7, 1 - 1e-7), y)


@wrong("1e-7 added within the logarithms: no loss is above 16, and all others are a little off. Work with the logits")
def epsilon_in_the_logarithm(x, y):
    p = x.sigmoid()
    return -(y * (p + 1e-7).log() + (1 - y) * (1 - p + 1e-7).log()).mean()


@wrong("1e-8 added within the logarithms: no loss is above 18, and all others are a little off. Work with the logits")
def smaller_epsilon_in_the_logarithm(x, y):
    p = x.sigmoid()
    return -(y * (p + 1e-8).log() + (1 - y) * (1 - p + 1e-8).log()).mean()


@wrong("logarithms cut at -100, as in BCELoss: the gradient beyond is 0. Work with the logits")
def logarithms_cut_at_100(x, y):
    p = x.sigmoid()
    return -(y * p.log().clamp(min=-100) + (1 - y) * (1 - p).log().clamp(min=-100)).mean()


@wrong("logits cut to ±30: the loss stops growing, and beyond there is no gradient. The stable form needs no cut")
def logits_cut(x, y):
    return _terms(x.clamp(-30, 30), y).mean()


@wrong(
    "log(1 + exp(-x)) + (1-y) x is right for x > 0 alone: exp(1000) is inf. Below 0 take it as log(1 + exp(x)) - x y"
)
def stable_above_0_only(x, y):
    return ((1 - y) * x + torch.log1p(torch.exp(-x))).mean()


@wrong("exp of a large logit is inf: in log(1 + exp(x)) take max(x, 0) out of the logarithm")
def overflows(x, y):
    return (torch.log1p(x.exp()) - x * y).mean()


@wrong("the modulus is missing: exp(-x) is inf at -1000. It is log1p(exp(-|x|)) that is left of the logarithm")
def modulus_missing(x, y):
    return (torch.maximum(x, torch.zeros_like(x)) - x * y + torch.log1p(torch.exp(-x))).mean()


@wrong("the minus is missing: exp(|x|) is inf at 1000. It is log1p(exp(-|x|)) that is left of the logarithm")
def minus_missing(x, y):
    return (torch.maximum(x, torch.zeros_like(x)) - x * y + torch.log1p(torch.exp(x.abs()))).mean()


@wrong("exp(-|x|) without its logarithm: it is log1p of that, log 2 and not 1 at x = 0")
def logarithm_missing(x, y):
    return (torch.maximum(x, torch.zeros_like(x)) - x * y + torch.exp(-x.abs())).mean()


@wrong("|x| for max(x, 0): what comes out of log(1 + exp(x)) is 0 where x is below 0")
def modulus_for_maximum(x, y):
    return (x.abs() - x * y + torch.log1p(torch.exp(-x.abs()))).mean()


@wrong("y is taken off, not x y: -y log σ(x) is y log(1 + exp(-x)) = y log(1 + exp(x)) - x y")
def label_without_its_logit(x, y):
    return (F.softplus(x) - y).mean()


@wrong("x y is added: a click is to pull its logit up, so x y is taken off")
def click_with_the_wrong_sign(x, y):
    return (_terms(x, y) + 2 * x * y).mean()


@wrong("log1p(exp(-|x|)) is missing: without it this is the loss of a perceptron, and nothing is learnt from x y > 0")
def perceptron(x, y):
    return (torch.maximum(x, torch.zeros_like(x)) - x * y).mean()


@wrong("the sum, not the mean: the gradient then grows with the batch")
def summed(x, y):
    return _terms(x, y).sum()


@wrong("divided by the number of rows: the mean is over all logits")
def divided_by_rows(x, y):
    return _terms(x, y).sum() / len(x)


@wrong("only the last axis is averaged: a loss is one number")
def mean_of_the_last_axis(x, y):
    return _terms(x, y).mean(-1)


@wrong("one loss for each logit: take their mean")
def not_averaged(x, y):
    return _terms(x, y)


@wrong("divided by the number of clicks: the mean is over all logits")
def mean_over_clicks(x, y):
    return _terms(x, y).sum() / y.sum()


@wrong("the mean of the clicks and the mean of the rest are added: few clicks weigh as much as all the rest. One mean")
def mean_of_each_class(x, y):
    losses = _terms(x, y)
    return losses[y == 1].mean() + losses[y == 0].mean()


@wrong("logits of exactly 0 are left out as if they were padding: a model that is not sure costs log 2")
def zeros_left_out(x, y):
    return _terms(x, y)[x != 0].mean()


@wrong("the sign: this is the log-likelihood, the loss is its negative")
def negated(x, y):
    return -_terms(x, y).mean()


@wrong("logarithms to base 2: nats are asked for")
def in_bits(x, y):
    return _terms(x, y).mean() / math.log(2)


@wrong("only what was clicked counts: without (1-y) log(1 - σ(x)) every logit may grow without end")
def only_positives(x, y):
    return -(y * F.logsigmoid(x)).mean()


@wrong("only what was not clicked counts: y log σ(x) is missing")
def only_negatives(x, y):
    return -((1 - y) * F.logsigmoid(-x)).mean()


@wrong("the sigmoid twice: what comes in are logits, what the stable form takes are logits")
def sigmoid_twice(x, y):
    return _terms(x.sigmoid(), y).mean()


@wrong("the sigmoid is missing: logits were taken for probabilities")
def logits_as_probabilities(x, y):
    return _of_probabilities(x.clamp(1e-7, 1 - 1e-7), y)


@wrong("log(1 + exp(-y x)) is for labels of -1 and 1: these are 0 and 1")
def labels_of_minus_1_and_1(x, y):
    return -F.logsigmoid(y * x).mean()


@wrong("the labels are turned round: 1 is a click, and its term is -log σ(x)")
def labels_turned_round(x, y):
    return _terms(x, 1 - y).mean()


@wrong("y == 1 or not: a share of clicks between 0 and 1 weighs both terms")
def labels_compared_with_1(x, y):
    return -torch.where(y == 1, F.logsigmoid(x), F.logsigmoid(-x)).mean()


@wrong("labels rounded to 0 and 1: a share of clicks weighs both terms")
def labels_rounded(x, y):
    return _terms(x, (y > 0.5).to(x.dtype)).mean()


@wrong("log(1 - σ(x)) is log σ(-x), not log σ(1 - x)")
def one_minus_the_logit(x, y):
    return -(y * F.logsigmoid(x) + (1 - y) * F.logsigmoid(1 - x)).mean()


@wrong("1 - log σ(x) for log(1 - σ(x)): the 1 stands within the logarithm, which is log σ(-x)")
def one_minus_the_logarithm(x, y):
    return -(y * F.logsigmoid(x) + (1 - y) * (1 - F.logsigmoid(x))).mean()


@wrong("this is the squared error (Brier score): its gradient dies where the model is certain and wrong")
def brier(x, y):
    return (x.sigmoid() - y).square().mean()


@wrong("this is a softmax over the logits: each of them is a question of its own, with a sigmoid")
def softmax_over_logits(x, y):
    return -(y * torch.log_softmax(x, -1)).mean()


@wrong("relu passes on no gradient at exactly 0, where untrained models start: torch.maximum passes on half, as σ(0)")
def relu(x, y):
    return (x.relu() - x * y + torch.log1p(torch.exp(-x.abs()))).mean()


@wrong("clamp passes on all of the gradient at exactly 0, where untrained models start: torch.maximum passes on half")
def clamp(x, y):
    return (x.clamp(min=0) - x * y + torch.log1p(torch.exp(-x.abs()))).mean()


@wrong(
    "where() of two forms: the one not taken overflows, and inf · 0 makes the gradient NaN. Use -|x| in the exponent"
)
def where_of_two_forms(x, y):
    return torch.where(x >= 0, x + torch.log1p(torch.exp(-x)), torch.log1p(torch.exp(x))).mean() - (x * y).mean()


@wrong("the logits are detached: nothing is learnt")
def detached(x, y):
    return _terms(x.detach(), y).mean() + 0 * x.sum()


@right
def by_logsigmoid(x, y):
    return -(y * F.logsigmoid(x) + (1 - y) * F.logsigmoid(-x)).mean()


@right
def by_logaddexp(x, y):
    return (torch.logaddexp(x, torch.zeros_like(x)) - x * y).mean()


@right
def as_a_softmax_of_two(x, y):
    both = torch.log_softmax(torch.stack([torch.zeros_like(x), x], -1), -1)
    return -(torch.stack([1 - y, y], -1) * both).sum() / x.numel()


@right
def logit_by_logit(x, y):
    total = 0
    for one, label in zip(x.reshape(-1), y.reshape(-1), strict=True):
        softplus = one + torch.log1p(torch.exp(-one)) if one > 0 else torch.log1p(torch.exp(one))
        total = total + softplus - label * one
    return total / x.numel()
