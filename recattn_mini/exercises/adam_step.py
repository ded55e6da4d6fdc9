"""Spec of adam_step: two moments, both corrected for their start at zero, and ε outside the root."""

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import torch

from recattn_mini.exercises.spec import (
    but,
    drawn_once,
    float64,
    mistakes_of,
    random_tensors,
    right,
    same,
    teaching,
    wrong,
)
from recattn_mini.training.adam_step import adam_step, adam_step_numpy

NAMES = ("parameter", "m", "v")
DIFFERENTIABLE = False
LEVEL, MINUTES = "medium", 10
HINTS = (
    "m is a moving mean of the gradient, v of its square. Both start at 0: by what factor are they too small?",
    "m = β₁ m + (1-β₁) g and v = β₂ v + (1-β₂) g². Divide them by 1 - β₁ᵗ and 1 - β₂ᵗ for this step, with t from 1.",
    "parameter - rate · m̂ / (√v̂ + ε), with m̂ and v̂ corrected; return the new parameter, and m and v as they are, "
    "uncorrected. New arrays: nothing in place.",
)
FORBIDDEN = (
    "torch.optim.Adam",
    "torch.optim.AdamW",
    "torch.optim.Adamax",
    "torch.optim.NAdam",
    "torch.optim.RAdam",
    "torch.optim.SparseAdam",
    "torch.optim.adam.adam",
    "torch.optim.adamw.adamw",
    "keras.optimizers.Adam",
    "keras.optimizers.AdamW",
)


@drawn_once
def inputs() -> dict[str, tuple]:
    parameter, gradient, m, v = random_tensors((3, 5), (3, 5), (3, 5), (3, 5))
    v = v.square() + 0.5
    views = [x.T for x in random_tensors((7, 2), (7, 2), (7, 2), (7, 2), seed=2)]
    views[3] = views[3].square()
    one = float64([[0.5]])
    absent, m_absent, v_absent = gradient.clone(), m.clone(), v.clone()
    absent[1], absent[:, 2] = 0, 0
    m_absent[1], v_absent[1] = 0, 0
    tiny = 1e-4
    usual = (0.1, 0.9, 0.999, 1e-12)  # so small an ε shows beside 0 only
    return {
        "first step": (parameter, gradient, 0 * m, 0 * v, 1, *usual),
        "seventh step": (parameter, gradient, m, v, 7, *usual),
        "late step": (parameter, gradient, m, v, 5000, *usual),
        "views": (*views, 3, 0.01, 0.8, 0.99, 1e-12),
        "one number": (one, -one, 2 * one, 3 * one, 2, *usual),
        "small gradients": (parameter, tiny * gradient, tiny * m, tiny**2 * v, 3, 0.1, 0.9, 0.9, tiny),
        "not in the batch": (parameter, absent, m_absent, v_absent, 4, 0.1, 0.9, 0.9, 1e-12),
    }


def expected(parameter, gradient, m, v, step, learning_rate, beta_1, beta_2, eps):
    """Number by number, in Python floats."""
    moved, means, squares = [], [], []
    for p, g, a, b in zip(*(x.flatten().tolist() for x in (parameter, gradient, m, v)), strict=True):
        a, b = beta_1 * a + (1 - beta_1) * g, beta_2 * b + (1 - beta_2) * g * g
        moved.append(p - learning_rate * (a / (1 - beta_1**step)) / ((b / (1 - beta_2**step)) ** 0.5 + eps))
        means.append(a)
        squares.append(b)
    return tuple(float64(column).reshape(parameter.shape) for column in (moved, means, squares))


def _agrees(f, *cases):
    for case in cases:
        same(f(*inputs()[case]), expected(*inputs()[case]), NAMES)


@teaching
def check_worked_example(f):
    "a first step, gradients 3 and -0.01: m is a tenth of them, v a thousandth of their squares, the step the rate"
    parameter, m, v = (float64([0, 0]) for _ in NAMES)  # one array for all would be told as the first, if it is changed
    moved = float64([-0.5, 0.5]), float64([0.3, -0.001]), float64([0.009, 1e-7])
    same(f(parameter, float64([3, -0.01]), m, v, 1, 0.5, 0.9, 0.999, 0.0), moved, NAMES)


def check_values(f):
    "the first step and later ones, whatever the betas; of a view and of one number too"
    _agrees(f, "first step", "seventh step", "late step", "views", "one number")


def check_epsilon(f):
    "ε beside small gradients: outside the root, added after the correction, and not forgotten"
    _agrees(f, "small gradients")


def check_not_in_the_batch(f):
    "what never had a gradient stays, without NaN; what has none this time moves on by its momentum"
    _agrees(f, "not in the batch")


def mean(g, m, b1, b2):
    return b1 * m + (1 - b1) * g


def mean_square(g, m, v, b1, b2):
    return b2 * v + (1 - b2) * g**2


def corrected(m, v, t, b1, b2):
    return m / (1 - b1**t), v / (1 - b2**t)


def quotient(m, v, eps):
    return m / (v.sqrt() + eps)


def answer(
    *case,
    given=lambda *case: case,
    mean=mean,
    square=mean_square,
    corrected=corrected,
    quotient=quotient,
    results=lambda new, *case: new,
):
    """What is right; `square` is given the new m too."""
    parameter, g, m, v, t, rate, b1, b2, eps = given(*case)
    m = mean(g, m, b1, b2)
    v = square(g, m, v, b1, b2)
    return results((parameter - rate * quotient(*corrected(m, v, t, b1, b2), eps), m, v), *case)


def _given(**changes: Callable[[Any], Any]) -> Callable:
    """The arguments, some of them replaced by what is made of all."""
    names = ("parameter", "gradient", "m", "v", "step", "rate", "beta_1", "beta_2", "eps")

    def replaced(*case: Any) -> list:
        came = dict(zip(names, case, strict=True))
        return [changes[name](SimpleNamespace(**came)) if name in changes else x for name, x in came.items()]

    return replaced


CORRECTED = {
    "not_corrected": (
        "no bias correction: m and v start at 0 and are too small at first. Divide by 1 - β₁ᵗ and 1 - β₂ᵗ",
        lambda m, v, t, b1, b2: (m, v),
    ),
    "only_m_corrected": (
        "v is not corrected: the first steps are 1/√(1-β₂) = 32 times too long. Divide it by 1 - β₂ᵗ",
        lambda m, v, t, b1, b2: (m / (1 - b1**t), v),
    ),
    "only_v_corrected": (
        "m is not corrected: the first step is a tenth of what it should be. Divide it by 1 - β₁ᵗ",
        lambda m, v, t, b1, b2: (m, v / (1 - b2**t)),
    ),
    "corrected_as_in_the_first_step": (
        "1 - β where 1 - βᵗ belongs: that is right in the first step only",
        lambda m, v, t, b1, b2: corrected(m, v, 1, b1, b2),
    ),
    "corrected_in_the_first_step_only": (
        "only the first step is corrected: divide by 1 - β₁ᵗ and 1 - β₂ᵗ in every step",
        lambda m, v, t, b1, b2: corrected(m, v, t, b1, b2) if t == 1 else (m, v),
    ),
    "product_for_power": (
        "β · t where βᵗ belongs: with t it goes beyond 1, and the divisor below 0",
        lambda m, v, t, b1, b2: (m / (1 - b1 * t), v / (1 - b2 * t)),
    ),
    "step_from_zero": (
        "steps counted from 0: in the first one 1 - β⁰ is 0. Here the first step is 1",
        lambda m, v, t, b1, b2: corrected(m, v, t - 1, b1, b2),
    ),
    "step_counted_twice": (
        "1 is added to the step: what comes in is the number of this step already",
        lambda m, v, t, b1, b2: corrected(m, v, t + 1, b1, b2),
    ),
    "corrected_outside_the_root": (
        "the correction of v stands outside the root: it is √(v / (1 - β₂ᵗ))",
        lambda m, v, t, b1, b2: (m / (1 - b1**t), v / (1 - b2**t) ** 2),
    ),
    "corrected_with_one_beta": (
        "both moments are corrected with β₁: v was averaged with β₂, divide it by 1 - β₂ᵗ",
        lambda m, v, t, b1, b2: corrected(m, v, t, b1, b1),
    ),
    "corrected_with_betas_swapped": (
        "the betas have changed places in the correction: m was averaged with β₁, v with β₂",
        lambda m, v, t, b1, b2: corrected(m, v, t, b2, b1),
    ),
    "corrections_multiplied": (
        "the corrections are multiplied in: m and v were too small, and become smaller. Divide by 1 - βᵗ",
        lambda m, v, t, b1, b2: (m * (1 - b1**t), v * (1 - b2**t)),
    ),
}
QUOTIENT = {
    "epsilon_inside": ("ε inside the root, where it becomes √ε: it is √v̂ + ε", lambda m, v, e: m / (v + e).sqrt()),
    "epsilon_as_a_floor": ("ε is a lower limit of √v̂: it is added to all", lambda m, v, e: m / v.sqrt().clamp(min=e)),
    "epsilon_beside": ("m / √v + ε adds ε to the quotient: m / (√v + ε)", lambda m, v, e: m / v.sqrt() + e),
    "root_forgotten": ("divided by v̂ + ε: the root is forgotten, it is √v̂ + ε", lambda m, v, e: m / (v + e)),
    "v_not_used": ("v is not used: without / √v̂ this is SGD with momentum", lambda m, v, e: m),
    "sign_of_m": ("the step is the sign of m: it is m̂ / (√v̂ + ε)", lambda m, v, e: m.sign()),
    "uphill": ("the sign: the step goes down the gradient, so it is subtracted", lambda *x: -quotient(*x)),
}
MEAN = {
    "m_is_a_sum": ("1 - β₁ is missing, as in the momentum of SGD: it weighs g in m", lambda g, m, b1, b2: b1 * m + g)
}
SQUARE = {
    "v_without_its_weight": (
        "1 - β₂ is missing: v = β₂ v + g² grows to a thousand times the mean square, and the steps shrink by 32",
        lambda g, m, v, b1, b2: b2 * v + g**2,
    ),
    "v_with_beta_1": (
        "β₁ is in the mean of v, and β₂ in its correction: v has β₂ in both",
        lambda g, m, v, b1, b2: mean_square(g, m, v, b2, b1),
    ),
    "gradient_not_squared": (
        "v is a mean of the gradient, not of its square: it turns negative, and its root NaN",
        lambda g, m, v, b1, b2: b2 * v + (1 - b2) * g,
    ),
    "modulus_for_square": (
        "v is a mean of |g|: it is the mean of g², and the root is taken of that",
        lambda g, m, v, b1, b2: b2 * v + (1 - b2) * g.abs(),
    ),
    "v_of_m": ("v is a mean of m²: it is the mean of g²", lambda g, m, *others: mean_square(m, m, *others)),
    "adabelief": ("(g - m)² instead of g²: that is AdaBelief", lambda g, m, *x: mean_square(g - m, m, *x)),
    "adamax": (
        "v is the larger of β₂ v and |g|: that is AdaMax",
        lambda g, m, v, b1, b2: torch.maximum(b2 * v, g.abs()),
    ),
    "amsgrad": ("v never falls: that is AMSGrad", lambda g, m, v, *b: torch.maximum(v, mean_square(g, m, v, *b))),
    "one_v_for_all": (
        "one v for all numbers: each has its own",
        lambda g, m, v, b1, b2: b2 * v + (1 - b2) * (g**2).mean(),
    ),
    "v_of_the_norm": (
        "v is of the length of the whole gradient",
        lambda g, m, v, b1, b2: b2 * v + (1 - b2) * (g**2).sum(),
    ),
}
GIVEN = {
    "epsilon_before_the_correction": (
        "ε before the correction, as in Keras: (√v + ε) / √(1 - β₂ᵗ) enlarges ε in the first steps. It is √v̂ + ε",
        _given(eps=lambda a: a.eps / (1 - a.beta_2**a.step) ** 0.5),
    ),
    "epsilon_forgotten": ("ε is forgotten: what never had a gradient gets 0 / 0", _given(eps=lambda a: 0.0)),
    "epsilon_written_out": ("ε is not used: 1e-8 is only its default", _given(eps=lambda a: 1e-8)),
    "rate_written_out": ("the learning rate is not used: 1e-3 is only its default", _given(rate=lambda a: 1e-3)),
    "betas_written_out": (
        "0.9 and 0.999 are written into the formulas: the betas are arguments",
        _given(beta_1=lambda a: 0.9, beta_2=lambda a: 0.999),
    ),
    "betas_swapped": (
        "the betas have changed places: β₁ is that of m, β₂ that of v",
        _given(beta_1=lambda a: a.beta_2, beta_2=lambda a: a.beta_1),
    ),
    "one_beta": ("β₁ for both moments: v has β₂, a far longer memory", _given(beta_2=lambda a: a.beta_1)),
    "rate_over_root_of_step": (
        "the rate is divided by the root of the step: the paper's proof does that, its algorithm does not",
        _given(rate=lambda a: a.rate / a.step**0.5),
    ),
    "l2_in_the_gradient": (
        "0.01 · parameter is added to the gradient, which is L2: no decay is asked for",
        _given(gradient=lambda a: a.gradient + 0.01 * a.parameter),
    ),
    "decayed": (
        "the parameter is decayed by 0.01, as in AdamW: no decay is asked for",
        _given(parameter=lambda a: (1 - a.rate * 0.01) * a.parameter),
    ),
    "clipped": (
        "the gradient is clipped to a norm of 1: it comes in as it is",
        _given(gradient=lambda a: a.gradient / max(1, a.gradient.norm())),
    ),
    "only_the_change": ("only the change comes back, not the parameter", _given(parameter=lambda a: 0 * a.parameter)),
}
RESULTS = {
    "moments_not_kept": (
        "m and v come back as they came in: the next step knows nothing of this gradient",
        lambda new, parameter, g, m, v, *others: (new[0], m, v),
    ),
    "corrected_moments_returned": (
        "the corrected moments come back: the next step would correct them once more. Keep m and v as they are",
        lambda new, p, g, m, v, t, rate, b1, b2, eps: (new[0], *corrected(new[1], new[2], t, b1, b2)),
    ),
    "root_returned": ("the root of v comes back: keep v itself", lambda new, *case: (*new[:2], new[2].sqrt())),
    "lazy": (
        "what has no gradient this time is left alone, as in SparseAdam: in Adam its moments decay and it moves on",
        lambda new, p, g, *old: tuple(torch.where(g == 0, *x) for x in zip((p, *old[:2]), new, strict=True)),
    ),
    "frozen_where_the_gradient_is_0": (
        "a parameter whose gradient is 0 is not moved, while its moments decay: it moves on by m, as all do",
        lambda new, parameter, g, *others: (torch.where(g == 0, parameter, new[0]), *new[1:]),
    ),
    "moments_swapped": ("m and v have changed places: it is parameter, m, v", lambda new, *case: (new[0], *new[:0:-1])),
    "parameter_last": ("the parameter comes back last: it is parameter, m, v", lambda new, *case: (*new[1:], new[0])),
    "only_the_parameter": ("only the parameter comes back, without m and v", lambda new, *case: new[0]),
}
OF_PARTS = mistakes_of(
    answer, corrected=CORRECTED, quotient=QUOTIENT, mean=MEAN, square=SQUARE, given=GIVEN, results=RESULTS
)
sums_for_means = but(
    answer,
    "the gradient comes in with all its weight, as in SGD's momentum: 1 - β₁ and 1 - β₂ are missing",
    mean=lambda g, m, b1, b2: b1 * m + g,
    square=lambda g, m, v, b1, b2: b2 * v + g**2,
)
weights_swapped = but(
    answer,
    "β weighs the gradient and 1 - β the past: it is the other way round, the past counts most",
    mean=lambda g, m, b1, b2: mean(g, m, 1 - b1, b2),
    square=lambda g, m, v, b1, b2: mean_square(g, m, v, b1, 1 - b2),
)
weights_of_the_other = but(
    answer,
    "1 - β₂ weighs the gradient in m, and 1 - β₁ its square in v: in each the weights sum to 1",
    mean=lambda g, m, b1, b2: b1 * m + (1 - b2) * g,
    square=lambda g, m, v, b1, b2: b2 * v + (1 - b1) * g**2,
)
v_is_a_sum = but(
    answer,
    "v is a sum of squares, as in AdaGrad: it never forgets, and the steps shrink to nothing. It is a moving mean",
    square=lambda g, m, v, b1, b2: v + g**2,
    corrected=lambda m, v, t, b1, b2: (m / (1 - b1**t), v),
)


def _step(case, m, v):
    """The new parameter, moved by these moments."""
    parameter, _, _, _, t, rate, b1, b2, eps = case
    m, v = corrected(m, v, t, b1, b2)
    return parameter - rate * quotient(m, v, eps)


@wrong("the gradient is the numerator: that is RMSprop. It is m̂, its moving mean")
def rmsprop(*case):
    _, m, v = answer(*case)
    return _step(case, case[1] * (1 - case[6] ** case[4]), v), m, v  # whose correction is none


@wrong("m̂ is mixed with this gradient once more: that is NAdam")
def nadam(*case):
    _, m, v = answer(*case)
    return _step(case, mean(case[1], m, case[6], case[7]), v), m, v


@wrong("the step is made with the m and v that came in: take this gradient in first")
def old_moments(*case):
    _, m, v = answer(*case)
    return _step(case, case[2], case[3]), m, v


@wrong("the step is divided by the root of the v that came in: take this gradient in first, in v as in m")
def old_v(*case):
    _, m, v = answer(*case)
    return _step(case, m, case[3]), m, v


@right
def corrected_rate(parameter, gradient, m, v, step, rate, beta_1, beta_2, eps):
    m, v = torch.lerp(m, gradient, 1 - beta_1), torch.lerp(v, gradient.square(), 1 - beta_2)
    root = (1 - beta_2**step) ** 0.5
    return parameter - rate * root / (1 - beta_1**step) * m / (v.sqrt() + eps * root), m, v


@right
def number_by_number(parameter, *others):
    return tuple(x.to(parameter.dtype) for x in expected(parameter, *others))
