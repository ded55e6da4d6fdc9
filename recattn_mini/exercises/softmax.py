"""Spec of softmax: stable, over the last axis, and zeros for a row of -inf."""

import torch

from recattn_mini.attention.softmax import softmax, softmax_numpy
from recattn_mini.exercises.spec import (
    TOLERANCE,
    Named,
    but,
    drawn_once,
    finite,
    float64,
    gradients,
    mistakes_of,
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


@drawn_once
def inputs() -> dict[str, tuple]:
    typical, view, one, square = random_tensors((2, 3, 5, 7), (3, 5, 7), (1, 11), (4, 4, 4))
    masked = typical.clone()
    masked[0, 1, 2] = -torch.inf
    masked[1, 0, :, 3] = -torch.inf
    return {
        "typical": (typical,),
        "rows of -inf": (masked,),
        "large": (1000 * typical.sign() + 1500 * typical,),  # all beyond ±1,000, wherever somebody clips
        "very negative": (typical - 2000,),
        "below -1e9": (1e10 * (typical - 9),),
        "a view": (view.permute(2, 1, 0).contiguous().permute(2, 1, 0),),
        "one row": (one,),
        "all sizes equal": (square,),
    }


@teaching
def check_worked_example(f):
    "log 1, log 2 and log 5 become 1/8, 2/8 and 5/8"
    same(f(float64([1, 2, 5]).log()), float64([0.125, 0.25, 0.625]))


def check_every_axis(f):
    "the last axis of any number of axes is normalised, of a view too"
    for case in ("typical", "a view", "one row", "all sizes equal"):
        got, want = f(*inputs()[case]), torch.softmax(inputs()[case][0], -1)
        if _is_right_but_for_its_sum(got, want):
            raise Named("each row sums to a little less than 1: a small constant is added to its sum. Leave it out")
        same(got, want)


def _is_right_but_for_its_sum(got, want):
    """The same weights, all of a row too small by the same little share."""
    if not isinstance(got, torch.Tensor) or got.dtype != want.dtype or got.shape != want.shape:
        return False
    total = got.sum(-1, keepdim=True)
    return bool(((total > 0.9) & (total < 1 - TOLERANCE)).all()) and torch.allclose(got / total, want, TOLERANCE)


def check_large_scores(f):
    "scores beyond 1,000, below -1,000 and below -1e9 neither overflow nor vanish"
    for case in ("large", "very negative", "below -1e9"):
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


def _top(x):
    return x.amax(-1, keepdim=True)


def _finite(top):
    return torch.where(top == -torch.inf, 0, top)


def _total(parts):
    return parts.sum(-1, keepdim=True)


def _or_one(total):
    return torch.where(total == 0, 1, total)


def answer(x, *, shift=lambda x: _finite(_top(x)), exp=torch.exp, total=_total, repair=_or_one):
    parts = exp(x - shift(x))
    return parts / repair(total(parts))


def _nothing(x):
    return torch.zeros((), dtype=x.dtype, device=x.device)


def _as_it_is(total):
    return total


MISTAKES = mistakes_of(
    answer,
    shift={
        "not_shifted": ("the maximum is not subtracted: exp(710) is inf, and inf / inf is NaN", _nothing),
        "global_maximum": ("one maximum for the whole array: rows far below it vanish. Take each row's", torch.max),
        "not_below_zero": ("a maximum below 0 becomes 0: rows far below vanish", lambda x: _top(x).clamp_min(0)),
        "mean": ("the mean is subtracted: subtract the maximum", lambda x: _finite(x.mean(-1, keepdim=True))),
    },
    exp={
        "base_two": ("the base is 2, as exp2 or 2 ** x gives it: it is e", torch.exp2),
        "squared": ("squares for exponentials: softmax is exp of the scores, divided by its sum", torch.square),
    },
    total={"not_normalised": ("the weights are not divided by their sum", torch.ones_like)},
    repair={"epsilon": ("a constant is added to the sum: replace the sum, and only where it is 0", lambda x: x + 1e-6)},
)
textbook = but(
    answer,
    "the textbook formula: exp(710) is inf, and a row of -inf divides 0 by 0. Shift each row, then mind a sum of 0",
    shift=_nothing,
    repair=_as_it_is,
)
global_maximum_alone = but(
    answer,
    "one maximum for the whole array: rows far below it vanish, and 0 / 0 is NaN. Take each row's own",
    shift=torch.max,
    repair=_as_it_is,
)
clipped = but(
    answer,
    "scores are clipped, so that all beyond the bound become ties: subtract the row's maximum instead",
    shift=_nothing,
    exp=lambda x: x.clamp(-80, 80).exp(),
)
clipped_at_700 = but(
    answer,
    "scores are clipped at 700, where float64's exp still fits: all beyond become ties, and float32's is inf. Subtract "
    "the row's maximum instead",
    shift=_nothing,
    exp=lambda x: x.clamp(-700, 700).exp(),
)
clipped_above = but(
    answer,
    "scores are clipped from above: all beyond become ties, and rows far below 0 vanish. Subtract the row's maximum",
    shift=_nothing,
    exp=lambda x: x.clamp_max(80).exp(),
)
clipped_but_for_nothing = but(
    answer,
    "scores are clipped, but for -inf: all beyond the bound become ties. Subtract the row's maximum instead",
    shift=_nothing,
    exp=lambda x: x.clamp(-80, 80).exp() * (x > -torch.inf),
)
over_everything = but(
    answer, "everything is divided by one sum: each row has to sum to 1 by itself", shift=torch.max, total=torch.sum
)
BEFORE = mistakes_of(
    lambda x, *, given: softmax(given(x)),
    given={
        "raised": (
            "scores are raised to -1e9: lower ones become ties, rows of -inf equal shares",
            lambda x: x.clamp_min(-1e9),
        ),
        "softmin": ("the negative scores: that is softmin", lambda x: torch.where(x == -torch.inf, x, -x)),
        "twice": ("softmax twice: the second one flattens the weights of the first", softmax),
    },
)


@wrong("the first axis is normalised: the last one is the keys' axis")
def over_the_first_axis(x):
    return softmax(x.transpose(0, -1)).transpose(0, -1)


@wrong("the queries' axis is normalised: the last one is the keys' axis")
def over_the_query_axis(x):
    return softmax(x.mT).mT if x.dim() > 1 else softmax(x)


@wrong("a row of -inf must give zeros, not NaN: -inf minus its maximum, -inf, is NaN")
def nan_for_nothing(x):
    return torch.softmax(x, -1)


@wrong("a row of -inf must give zeros, not equal shares: there is nothing to attend to")
def uniform_for_nothing(x):
    return torch.softmax(x.clamp_min(torch.finfo(x.dtype).min), -1)


@wrong("a row with any -inf in it gives zeros: only a row of nothing but -inf does")
def partly_masked_is_zero(x):
    return softmax(x) * (x > -torch.inf).all(-1, keepdim=True)


@wrong("this is the logarithm of the weights: the last exp is missing")
def log_softmax(x):
    return torch.log_softmax(x, -1)


@wrong("a sigmoid for each score: the weights of a row must sum to 1")
def sigmoid(x):
    return x.sigmoid()


@wrong("the NaN of a row of -inf is patched up afterwards: the values are right, but the gradient is still NaN")
def nan_patched_up(x):
    return torch.softmax(x, -1).nan_to_num(0)


@wrong("the softmax runs in float32 whatever came: float64 loses half its digits. Widen half precision only")
def in_float32(x):
    return softmax(x.float()).to(x.dtype)


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
