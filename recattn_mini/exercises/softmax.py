"""Spec of softmax: stable, over the last axis, and zeros for a row of -inf."""

import torch

from recattn_mini.attention.softmax import softmax, softmax_numpy
from recattn_mini.exercises.spec import (
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

LEVEL, MINUTES = "easy", 5
HINTS = (
    "exp overflows at 710. Which number may you subtract from a whole row without changing its softmax?",
    "A row of -inf has -inf as its maximum, and -inf - (-inf) is NaN; then its sum is 0. Both need a word.",
    "top = the row's maximum, 0 where that is -inf; parts = exp(x - top); total = their sum, 1 where that is 0; "
    "parts / total. Keep the last axis (keepdims / keepdim), so that every row is divided by its own sum.",
)
FORBIDDEN = (
    "torch.softmax",
    "torch.nn.functional.softmax",
    "torch.nn.functional.log_softmax",
    "torch.nn.functional.softmin",
    "torch.log_softmax",
    "torch.special.softmax",
    "torch.special.log_softmax",
    "torch.nn.Softmax",
    "torch.nn.LogSoftmax",
    "torch.Tensor.softmax",
    "torch.Tensor.log_softmax",
    "scipy.special.softmax",
    "scipy.special.log_softmax",
)


def inputs() -> dict[str, tuple]:
    typical, view, one = random_tensors((2, 3, 5, 7), (7, 5, 3), (1, 11))
    masked = typical.clone()
    masked[0, 1, 2] = -torch.inf
    masked[1, 0, :, 3] = -torch.inf
    return {
        "typical": (typical,),
        "rows of -inf": (masked,),
        "large": (1500 * typical,),
        "very negative": (typical - 2000,),
        "a view": (view.transpose(0, 2),),
        "one row": (one,),
    }


@teaching
def check_worked_example(f):
    "log 1, log 2 and log 5 become 1/8, 2/8 and 5/8"
    same(f(float64([1, 2, 5]).log()), float64([0.125, 0.25, 0.625]))


def check_every_axis(f):
    "the last axis of any number of axes is normalised, of a view too"
    for case in ("typical", "a view", "one row"):
        same(f(*inputs()[case]), torch.softmax(inputs()[case][0], -1))


def check_large_scores(f):
    "scores beyond 1,000 and below -1,000 neither overflow nor vanish"
    for case in ("large", "very negative"):
        same(f(*inputs()[case]), torch.softmax(inputs()[case][0], -1))


def check_nothing_to_attend_to(f):
    "a row of -inf gives zeros, and its neighbours are untouched"
    x = inputs()["rows of -inf"][0]
    same(f(x), torch.softmax(x, -1).nan_to_num(0))


@torch_only
def check_gradient(f):
    "the gradient is softmax's, and finite for a row of -inf"
    same(gradients(f, *inputs()["typical"]), gradients(softmax, *inputs()["typical"]), names=("x",))
    finite(gradients(f, *inputs()["rows of -inf"]), names=("x",))


@wrong("the textbook formula: exp(710) is inf, and a row of -inf divides 0 by 0. Shift each row, then mind a sum of 0")
def textbook(x):
    return x.exp() / x.exp().sum(-1, keepdim=True)


@wrong("the maximum is not subtracted: exp(710) is inf, and inf / inf is NaN")
def not_shifted(x):
    parts = x.exp()
    total = parts.sum(-1, keepdim=True)
    return parts / torch.where(total == 0, 1, total)


@wrong("one maximum for the whole array: rows far below it vanish. Take each row's own")
def shifted_by_the_global_maximum(x):
    parts = (x - x.max()).exp()
    total = parts.sum(-1, keepdim=True)
    return parts / torch.where(total == 0, 1, total)


@wrong(
    "one maximum for the whole array: rows far below it vanish, and 0 / 0 is NaN. Take each row's own; mind a sum of 0"
)
def shifted_by_the_global_maximum_alone(x):
    parts = (x - x.max()).exp()
    return parts / parts.sum(-1, keepdim=True)


@wrong("the maximum is not taken below 0: rows far below it vanish. It is the row's maximum that has to become 0")
def maximum_not_below_zero(x):
    parts = (x - x.amax(-1, keepdim=True).clamp_min(0)).exp()
    total = parts.sum(-1, keepdim=True)
    return parts / torch.where(total == 0, 1, total)


@wrong("the wrong axis is normalised: the last one is the keys' axis")
def over_the_first_axis(x):
    return softmax(x.transpose(0, -1)).transpose(0, -1)


@wrong("the queries' axis is normalised: the last one is the keys' axis")
def over_the_query_axis(x):
    return softmax(x.mT).mT if x.dim() > 1 else softmax(x)


@wrong("everything is divided by one sum: each row has to sum to 1 by itself")
def over_everything(x):
    return softmax(x.flatten()).reshape(x.shape)


@wrong("a row of -inf must give zeros, not NaN: -inf minus its maximum, -inf, is NaN")
def nan_for_nothing(x):
    return torch.softmax(x, -1)


@wrong("a row of -inf must give zeros, not equal shares: there is nothing to attend to")
def uniform_for_nothing(x):
    return torch.softmax(x.clamp_min(-1e9), -1)


@wrong("this is the logarithm of the weights: the last exp is missing")
def log_softmax(x):
    return torch.log_softmax(x, -1)


@wrong("the weights are not divided by their sum")
def not_normalised(x):
    top = x.amax(-1, keepdim=True)
    return (x - torch.where(top == -torch.inf, 0, top)).exp()


@wrong("a small constant in the denominator: the weights no longer sum to 1. Replace the sum only where it is 0")
def epsilon_in_the_sum(x):
    top = x.amax(-1, keepdim=True)
    parts = (x - torch.where(top == -torch.inf, 0, top)).exp()
    return parts / (parts.sum(-1, keepdim=True) + 1e-6)


@wrong("the NaN of a row of -inf is patched up afterwards: the values are right, but the gradient is still NaN")
def nan_patched_up(x):
    return torch.softmax(x, -1).nan_to_num(0)


@wrong("axes of size 1 are squeezed away: keep the shape")
def squeezed(x):
    return softmax(x).squeeze()


@wrong("the result is detached: its gradient is lost")
def detached(x):
    return softmax(x.detach()) + 0 * x.nan_to_num(0, 0, 0)


@right
def through_the_logarithm(x):
    nothing = x.amax(-1, keepdim=True) == -torch.inf
    return (x - torch.logsumexp(x.masked_fill(nothing, 0), -1, keepdim=True)).exp()


@right
def row_by_row(x):
    rows = []
    for row in x.reshape(-1, x.shape[-1]):
        parts = (row - row.max()).exp() if row.max() > -torch.inf else torch.zeros_like(row)
        rows.append(parts / parts.sum() if parts.sum() > 0 else parts)
    return torch.stack(rows).reshape(x.shape)
