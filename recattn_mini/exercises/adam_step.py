"""Spec of adam_step: two moments, both corrected for their start at zero, and ε outside the root."""

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import torch

from recattn_mini.exercises.spec import but, drawn_once, float64, random_tensors, right, same, teaching, wrong
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


def answer(*case, given=lambda *case: case, mean=mean, square=mean_square, corrected=corrected, quotient=quotient):
    """What is right; `square` is given the new m too."""
    parameter, g, m, v, t, rate, b1, b2, eps = given(*case)
    m = mean(g, m, b1, b2)
    v = square(g, m, v, b1, b2)
    return parameter - rate * quotient(*corrected(m, v, t, b1, b2), eps), m, v


def _given(**changes: Callable[[Any], Any]) -> Callable:
    """The arguments, some of them replaced by what is made of all."""
    names = ("parameter", "gradient", "m", "v", "step", "rate", "beta_1", "beta_2", "eps")

    def replaced(*case: Any) -> list:
        came = dict(zip(names, case, strict=True))
        return [changes[name](SimpleNamespace(**came)) if name in changes else x for name, x in came.items()]

    return replaced


not_corrected = but(
    answer,
    "no bias correction: m and v start at 0 and are too small at first. Divide by 1 - β₁ᵗ and 1 - β₂ᵗ",
    corrected=lambda m, v, t, b1, b2: (m, v),
)
only_m_corrected = but(
    answer,
    "v is not corrected: the first steps are 1/√(1-β₂) = 32 times too long. Divide it by 1 - β₂ᵗ",
    corrected=lambda m, v, t, b1, b2: (m / (1 - b1**t), v),
)
only_v_corrected = but(
    answer,
    "m is not corrected: the first step is a tenth of what it should be. Divide it by 1 - β₁ᵗ",
    corrected=lambda m, v, t, b1, b2: (m, v / (1 - b2**t)),
)
corrected_as_in_the_first_step = but(
    answer,
    "1 - β where 1 - βᵗ belongs: that is right in the first step only",
    corrected=lambda m, v, t, b1, b2: corrected(m, v, 1, b1, b2),
)
corrected_in_the_first_step_only = but(
    answer,
    "only the first step is corrected: divide by 1 - β₁ᵗ and 1 - β₂ᵗ in every step",
    corrected=lambda m, v, t, b1, b2: corrected(m, v, t, b1, b2) if t == 1 else (m, v),
)
product_for_power = but(
    answer,
    "β · t where βᵗ belongs: 1 - β · t is below 0 from the second step on",
    corrected=lambda m, v, t, b1, b2: (m / (1 - b1 * t), v / (1 - b2 * t)),
)
step_from_zero = but(
    answer,
    "steps counted from 0: in the first one 1 - β⁰ is 0. Here the first step is 1",
    corrected=lambda m, v, t, b1, b2: corrected(m, v, t - 1, b1, b2),
)
step_counted_twice = but(
    answer,
    "1 is added to the step: what comes in is the number of this step already",
    corrected=lambda m, v, t, b1, b2: corrected(m, v, t + 1, b1, b2),
)
corrected_outside_the_root = but(
    answer,
    "the correction of v stands outside the root: it is √(v / (1 - β₂ᵗ))",
    corrected=lambda m, v, t, b1, b2: (m / (1 - b1**t), v / (1 - b2**t) ** 2),
)
corrected_with_one_beta = but(
    answer,
    "both moments are corrected with β₁: v was averaged with β₂, divide it by 1 - β₂ᵗ",
    corrected=lambda m, v, t, b1, b2: corrected(m, v, t, b1, b1),
)
corrected_with_betas_swapped = but(
    answer,
    "the betas have changed places in the correction: m was averaged with β₁, v with β₂",
    corrected=lambda m, v, t, b1, b2: corrected(m, v, t, b2, b1),
)
corrections_multiplied = but(
    answer,
    "the corrections are multiplied in: m and v are too small at first, and become smaller. Divide by 1 - βᵗ",
    corrected=lambda m, v, t, b1, b2: (m * (1 - b1**t), v * (1 - b2**t)),
)
epsilon_inside_the_root = but(
    answer,
    "ε inside the root: where v̂ is 0 it becomes √ε, far more than ε. It is √v̂ + ε",
    quotient=lambda m, v, eps: m / (v + eps).sqrt(),
)
epsilon_as_a_floor = but(
    answer,
    "√v̂ is raised to ε where it is smaller, by a maximum: ε is added to every root",
    quotient=lambda m, v, eps: m / v.sqrt().clamp(min=eps),
)
epsilon_beside_the_quotient = but(
    answer,
    "m / √v + ε adds ε to the quotient, and 0 / 0 stays NaN: parentheses, m / (√v + ε)",
    quotient=lambda m, v, eps: m / v.sqrt() + eps,
)
epsilon_before_the_correction = but(
    answer,
    "ε before the correction, as in Keras: (√v + ε) / √(1 - β₂ᵗ) makes ε larger in the first steps. It is √v̂ + ε",
    given=_given(eps=lambda a: a.eps / (1 - a.beta_2**a.step) ** 0.5),
)
epsilon_forgotten = but(answer, "ε is forgotten: what never had a gradient gets 0 / 0", given=_given(eps=lambda a: 0.0))
epsilon_written_out = but(
    answer, "ε is not used: 1e-8 is its default, and it is an argument", given=_given(eps=lambda a: 1e-8)
)
root_forgotten = but(
    answer,
    "the root is forgotten: divide by √v̂, or the step shrinks as the gradient grows",
    quotient=lambda m, v, eps: m / (v + eps),
)
v_not_used = but(answer, "v is not used: without / √v̂ this is SGD with momentum", quotient=lambda m, v, eps: m)
sign_of_m = but(
    answer,
    "the step is the sign of m: divide m̂ by √v̂ + ε, which is as long in the first step only",
    quotient=lambda m, v, eps: m.sign(),
)
uphill = but(
    answer,
    "the sign: the step goes down the gradient, so it is subtracted",
    quotient=lambda m, v, eps: -quotient(m, v, eps),
)
m_is_a_sum = but(
    answer,
    "1 - β₁ is missing, as in SGD's momentum: m = β₁ m + g is a sum, ten times too long. It weighs the gradient",
    mean=lambda g, m, b1, b2: b1 * m + g,
)
v_without_its_weight = but(
    answer,
    "1 - β₂ is missing: v = β₂ v + g² grows to a thousand times the mean square, and the steps shrink by 32",
    square=lambda g, m, v, b1, b2: b2 * v + g**2,
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
v_with_beta_1 = but(
    answer,
    "β₁ is in the mean of v, and β₂ in its correction: v has β₂ in both",
    square=lambda g, m, v, b1, b2: mean_square(g, m, v, b2, b1),
)
gradient_not_squared = but(
    answer,
    "v is a mean of the gradient, not of its square: it turns negative, and its root NaN",
    square=lambda g, m, v, b1, b2: b2 * v + (1 - b2) * g,
)
modulus_for_square = but(
    answer,
    "v is a mean of |g|: it is the mean of g², and the root is taken of that",
    square=lambda g, m, v, b1, b2: b2 * v + (1 - b2) * g.abs(),
)
v_of_m = but(
    answer,
    "v is a mean of m²: it is the mean of the squared gradient",
    square=lambda g, m, v, b1, b2: mean_square(m, m, v, b1, b2),
)
adabelief = but(
    answer, "(g - m)² instead of g²: that is AdaBelief", square=lambda g, m, v, b1, b2: mean_square(g - m, m, v, b1, b2)
)
adamax = but(
    answer,
    "v is the larger of β₂ v and |g|: that is AdaMax. In Adam v is a mean of g²",
    square=lambda g, m, v, b1, b2: torch.maximum(b2 * v, g.abs()),
)
amsgrad = but(
    answer,
    "v never falls: that is AMSGrad",
    square=lambda g, m, v, b1, b2: torch.maximum(v, mean_square(g, m, v, b1, b2)),
)
one_v_for_all = but(
    answer,
    "one v, of the mean square of the whole array: every number has its own",
    square=lambda g, m, v, b1, b2: b2 * v + (1 - b2) * (g**2).mean(),
)
v_of_the_norm = but(
    answer,
    "v of the squared length of the whole gradient: every number has its own",
    square=lambda g, m, v, b1, b2: b2 * v + (1 - b2) * (g**2).sum(),
)
v_is_a_sum = but(
    answer,
    "v is a sum of squares, as in AdaGrad: it never forgets, and the steps shrink to nothing. It is a moving mean",
    square=lambda g, m, v, b1, b2: v + g**2,
    corrected=lambda m, v, t, b1, b2: (m / (1 - b1**t), v),
)
betas_swapped = but(
    answer,
    "the betas have changed places: β₁ is that of m, β₂ that of v",
    given=_given(beta_1=lambda a: a.beta_2, beta_2=lambda a: a.beta_1),
)
one_beta_for_both = but(
    answer, "β₁ for both moments: v has β₂, a far longer memory", given=_given(beta_2=lambda a: a.beta_1)
)
betas_written_out = but(
    answer,
    "0.9 and 0.999 are written into the formulas: the betas are arguments",
    given=_given(beta_1=lambda a: 0.9, beta_2=lambda a: 0.999),
)
rate_written_out = but(
    answer,
    "the learning rate is not used: 1e-3 is its default, and it is an argument",
    given=_given(rate=lambda a: 1e-3),
)
rate_over_root_of_step = but(
    answer,
    "the rate is divided by the root of the step: the paper's proof does that, its algorithm does not",
    given=_given(rate=lambda a: a.rate / a.step**0.5),
)
l2_in_the_gradient = but(
    answer,
    "0.01 · parameter is added to the gradient, which is L2: no decay is asked for",
    given=_given(gradient=lambda a: a.gradient + 0.01 * a.parameter),
)
decayed = but(
    answer,
    "the parameter is decayed by 0.01, as in AdamW: no decay is asked for",
    given=_given(parameter=lambda a: (1 - a.rate * 0.01) * a.parameter),
)
clipped = but(
    answer,
    "the gradient is clipped to a norm of 1: it comes in as it is",
    given=_given(gradient=lambda a: a.gradient / max(1, a.gradient.norm())),
)
only_the_change = but(
    answer,
    "only the change comes back, or it was not subtracted from the parameter",
    given=_given(parameter=lambda a: 0 * a.parameter),
)


@wrong("the gradient is the numerator: that is RMSprop. It is m̂, its moving mean")
def rmsprop(parameter, g, m, v, t, rate, b1, b2, eps):
    _, *moments = answer(parameter, g, m, v, t, rate, b1, b2, eps)
    return parameter - rate * quotient(g, corrected(*moments, t, b1, b2)[1], eps), *moments


@wrong("m̂ is mixed with this gradient once more: that is NAdam")
def nadam(parameter, g, m, v, t, rate, b1, b2, eps):
    _, m, v = answer(parameter, g, m, v, t, rate, b1, b2, eps)
    return parameter - rate * quotient(*corrected(mean(g, m, b1, b2), v, t, b1, b2), eps), m, v


@wrong("the step is made with the m and v that came in: take this gradient in first")
def old_moments(parameter, g, m, v, t, rate, b1, b2, eps):
    _, *moments = answer(parameter, g, m, v, t, rate, b1, b2, eps)
    return parameter - rate * quotient(*corrected(m, v, t, b1, b2), eps), *moments


@wrong("the step is divided by the root of the v that came in: take this gradient in first, in v as in m")
def old_v(parameter, g, m, v, t, rate, b1, b2, eps):
    _, *moments = answer(parameter, g, m, v, t, rate, b1, b2, eps)
    return parameter - rate * quotient(*corrected(moments[0], v, t, b1, b2), eps), *moments


@wrong("m and v come back as they came in: the next step knows nothing of this gradient")
def moments_not_kept(parameter, g, m, v, *others):
    return answer(parameter, g, m, v, *others)[0], m, v


@wrong("the corrected moments come back: the next step would correct them once more. Keep m and v as they are")
def corrected_moments_returned(*case):
    moved, m, v = answer(*case)
    return moved, *corrected(m, v, case[4], case[6], case[7])


@wrong("the root of v comes back: keep v itself, the mean of the squares")
def root_returned(*case):
    moved, m, v = answer(*case)
    return moved, m, v.sqrt()


@wrong("what has no gradient this time is left alone, as in SparseAdam: in Adam its moments decay and it moves on")
def lazy(parameter, g, m, v, *others):
    new = answer(parameter, g, m, v, *others)
    return tuple(torch.where(g == 0, old, x) for old, x in zip((parameter, m, v), new, strict=True))


@wrong("a parameter whose gradient is 0 is not moved, while its moments decay: it moves on by m, as all do")
def frozen_where_the_gradient_is_0(parameter, g, *others):
    moved, m, v = answer(parameter, g, *others)
    return torch.where(g == 0, parameter, moved), m, v


@wrong("m and v have changed places in what comes back: parameter, m, v")
def moments_swapped(*case):
    moved, m, v = answer(*case)
    return moved, v, m


@wrong("the parameter comes back last: it is parameter, m, v")
def parameter_last(*case):
    moved, m, v = answer(*case)
    return m, v, moved


@wrong("only the parameter comes back: m and v are needed for the next step")
def only_the_parameter(*case):
    return answer(*case)[0]


@right
def corrected_rate(parameter, gradient, m, v, step, rate, beta_1, beta_2, eps):
    m, v = torch.lerp(m, gradient, 1 - beta_1), torch.lerp(v, gradient.square(), 1 - beta_2)
    root = (1 - beta_2**step) ** 0.5
    return parameter - rate * root / (1 - beta_1**step) * m / (v.sqrt() + eps * root), m, v


@right
def number_by_number(parameter, *others):
    return tuple(x.to(parameter.dtype) for x in expected(parameter, *others))
