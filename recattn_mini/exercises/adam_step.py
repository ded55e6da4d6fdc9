"""Spec of adam_step: two moments, both corrected for their start at zero, and ε outside the root."""

import torch

from recattn_mini.exercises.spec import float64, random_tensors, right, same, teaching, wrong
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


def inputs() -> dict[str, tuple]:
    parameter, gradient, m, v = random_tensors((3, 5), (3, 5), (3, 5), (3, 5))
    v = v.square() + 0.5
    views = [x.T for x in random_tensors((7, 2), (7, 2), (7, 2), (7, 2), seed=2)]
    views[3] = views[3].square()
    one = float64([[0.5]])
    absent = gradient.clone()
    absent[1], absent[:, 2] = 0, 0
    m_absent, v_absent = m.clone(), v.clone()
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
    """PyTorch's own, put into the state that comes in."""
    theirs = torch.nn.Parameter(parameter.clone())
    theirs.grad = gradient.clone()
    optimiser = torch.optim.Adam([theirs], learning_rate, (beta_1, beta_2), eps)
    m, v = m.clone(), v.clone()
    optimiser.state[theirs] = {"step": torch.tensor(step - 1.0), "exp_avg": m, "exp_avg_sq": v}
    optimiser.step()
    return theirs.detach(), m, v


def _agrees(f, *cases):
    for case in cases:
        same(f(*inputs()[case]), expected(*inputs()[case]), NAMES)


@teaching
def check_worked_example(f):
    "a first step, gradients 3 and -0.01: m is a tenth of them, v a thousandth of their squares, the step the rate"
    zero = float64([0, 0])
    moved, m, v = float64([-0.5, 0.5]), float64([0.3, -0.001]), float64([0.009, 1e-7])
    same(f(zero, float64([3, -0.01]), zero, zero, 1, 0.5, 0.9, 0.999, 0.0), (moved, m, v), NAMES)


def check_values(f):
    "the first step and later ones, whatever the betas; of a view and of one number too"
    _agrees(f, "first step", "seventh step", "late step", "views", "one number")


def check_epsilon(f):
    "ε beside small gradients: outside the root, added after the correction, and not forgotten"
    _agrees(f, "small gradients")


def check_not_in_the_batch(f):
    "what never had a gradient stays, without NaN; what has none this time moves on by its momentum"
    _agrees(f, "not in the batch")


def _moments(gradient, m, v, beta_1, beta_2):
    return beta_1 * m + (1 - beta_1) * gradient, beta_2 * v + (1 - beta_2) * gradient**2


def _moved(parameter, m, v, step, rate, beta_1, beta_2, eps):
    """By the corrected moments."""
    return parameter - rate * m / (1 - beta_1**step) / ((v / (1 - beta_2**step)).sqrt() + eps)


@wrong("no bias correction: m and v start at 0 and are too small at first. Divide by 1 - β₁ᵗ and 1 - β₂ᵗ")
def not_corrected(parameter, gradient, m, v, step, rate, beta_1, beta_2, eps):
    m, v = _moments(gradient, m, v, beta_1, beta_2)
    return parameter - rate * m / (v.sqrt() + eps), m, v


@wrong("v is not corrected: the first steps are 1/√(1-β₂) = 32 times too long. Divide it by 1 - β₂ᵗ")
def only_m_corrected(parameter, gradient, m, v, step, rate, beta_1, beta_2, eps):
    m, v = _moments(gradient, m, v, beta_1, beta_2)
    return parameter - rate * m / (1 - beta_1**step) / (v.sqrt() + eps), m, v


@wrong("m is not corrected: the first step is a tenth of what it should be. Divide it by 1 - β₁ᵗ")
def only_v_corrected(parameter, gradient, m, v, step, rate, beta_1, beta_2, eps):
    m, v = _moments(gradient, m, v, beta_1, beta_2)
    return parameter - rate * m / ((v / (1 - beta_2**step)).sqrt() + eps), m, v


@wrong("1 - β where 1 - βᵗ belongs: that is right in the first step only")
def corrected_as_in_the_first_step(parameter, gradient, m, v, step, rate, beta_1, beta_2, eps):
    m, v = _moments(gradient, m, v, beta_1, beta_2)
    return _moved(parameter, m, v, 1, rate, beta_1, beta_2, eps), m, v


@wrong("β · t where βᵗ belongs: 1 - β · t is below 0 from the second step on")
def product_for_power(parameter, gradient, m, v, step, rate, beta_1, beta_2, eps):
    m, v = _moments(gradient, m, v, beta_1, beta_2)
    root = (v / (1 - beta_2 * step)).sqrt()
    return parameter - rate * m / (1 - beta_1 * step) / (root + eps), m, v


@wrong("steps counted from 0: in the first one 1 - β⁰ is 0. Here the first step is 1")
def step_from_zero(parameter, gradient, m, v, step, rate, beta_1, beta_2, eps):
    m, v = _moments(gradient, m, v, beta_1, beta_2)
    nothing = torch.zeros_like(m)
    m_hat = m / (nothing + 1 - beta_1 ** (step - 1))
    return parameter - rate * m_hat / ((v / (nothing + 1 - beta_2 ** (step - 1))).sqrt() + eps), m, v


@wrong("the step is counted on once more: what comes in is this step's number already")
def step_counted_twice(parameter, gradient, m, v, step, rate, beta_1, beta_2, eps):
    m, v = _moments(gradient, m, v, beta_1, beta_2)
    return _moved(parameter, m, v, step + 1, rate, beta_1, beta_2, eps), m, v


@wrong("the correction of v stands outside the root: it is √(v / (1 - β₂ᵗ))")
def corrected_outside_the_root(parameter, gradient, m, v, step, rate, beta_1, beta_2, eps):
    m, v = _moments(gradient, m, v, beta_1, beta_2)
    root = v.sqrt() / (1 - beta_2**step)
    return parameter - rate * m / (1 - beta_1**step) / (root + eps), m, v


@wrong("the corrected moments come back: the next step would correct them once more. Keep m and v as they are")
def corrected_moments_returned(parameter, gradient, m, v, step, rate, beta_1, beta_2, eps):
    m, v = _moments(gradient, m, v, beta_1, beta_2)
    moved = _moved(parameter, m, v, step, rate, beta_1, beta_2, eps)
    return moved, m / (1 - beta_1**step), v / (1 - beta_2**step)


@wrong("ε inside the root: √ε is 1e-4, ten thousand times what was meant. It is √v̂ + ε")
def epsilon_inside_the_root(parameter, gradient, m, v, step, rate, beta_1, beta_2, eps):
    m, v = _moments(gradient, m, v, beta_1, beta_2)
    return parameter - rate * m / (1 - beta_1**step) / (v / (1 - beta_2**step) + eps).sqrt(), m, v


@wrong("ε before the correction, as in Keras: (√v + ε) / √(1 - β₂ᵗ) makes ε larger in the first steps. It is √v̂ + ε")
def epsilon_before_the_correction(parameter, gradient, m, v, step, rate, beta_1, beta_2, eps):
    m, v = _moments(gradient, m, v, beta_1, beta_2)
    root = (v.sqrt() + eps) / (1 - beta_2**step) ** 0.5
    return parameter - rate * m / (1 - beta_1**step) / root, m, v


@wrong("ε is forgotten: what never had a gradient gets 0 / 0")
def epsilon_forgotten(parameter, gradient, m, v, step, rate, beta_1, beta_2, eps):
    m, v = _moments(gradient, m, v, beta_1, beta_2)
    return _moved(parameter, m, v, step, rate, beta_1, beta_2, 0), m, v


@wrong("√v̂ is raised to ε where it is smaller: ε is added, max is not Adam")
def epsilon_as_a_floor(parameter, gradient, m, v, step, rate, beta_1, beta_2, eps):
    m, v = _moments(gradient, m, v, beta_1, beta_2)
    root = (v / (1 - beta_2**step)).sqrt().clamp(min=eps)
    return parameter - rate * m / (1 - beta_1**step) / root, m, v


@wrong("v of the gradient, not of its square: it turns negative, and its root NaN")
def gradient_not_squared(parameter, gradient, m, v, step, rate, beta_1, beta_2, eps):
    m, v = beta_1 * m + (1 - beta_1) * gradient, beta_2 * v + (1 - beta_2) * gradient
    return _moved(parameter, m, v, step, rate, beta_1, beta_2, eps), m, v


@wrong("v of the squared m: it is the mean of the squared gradient")
def v_of_m(parameter, gradient, m, v, step, rate, beta_1, beta_2, eps):
    m = beta_1 * m + (1 - beta_1) * gradient
    v = beta_2 * v + (1 - beta_2) * m**2
    return _moved(parameter, m, v, step, rate, beta_1, beta_2, eps), m, v


@wrong("(g - m)² instead of g²: that is AdaBelief")
def adabelief(parameter, gradient, m, v, step, rate, beta_1, beta_2, eps):
    m = beta_1 * m + (1 - beta_1) * gradient
    v = beta_2 * v + (1 - beta_2) * (gradient - m) ** 2
    return _moved(parameter, m, v, step, rate, beta_1, beta_2, eps), m, v


@wrong("one v for the whole array: every number has its own")
def one_v_for_all(parameter, gradient, m, v, step, rate, beta_1, beta_2, eps):
    m, v = beta_1 * m + (1 - beta_1) * gradient, beta_2 * v + (1 - beta_2) * (gradient**2).mean()
    return _moved(parameter, m, v, step, rate, beta_1, beta_2, eps), m, v


@wrong("v of the squared length of the whole gradient: every number has its own")
def v_of_the_norm(parameter, gradient, m, v, step, rate, beta_1, beta_2, eps):
    m, v = beta_1 * m + (1 - beta_1) * gradient, beta_2 * v + (1 - beta_2) * (gradient**2).sum()
    return _moved(parameter, m, v, step, rate, beta_1, beta_2, eps), m, v


@wrong("the betas have changed places: β₁ is m's, β₂ is v's")
def betas_swapped(parameter, gradient, m, v, step, rate, beta_1, beta_2, eps):
    m, v = _moments(gradient, m, v, beta_2, beta_1)
    return _moved(parameter, m, v, step, rate, beta_2, beta_1, eps), m, v


@wrong("β weighs the gradient and 1 - β the past: it is the other way round, the past counts most")
def weights_swapped(parameter, gradient, m, v, step, rate, beta_1, beta_2, eps):
    m, v = _moments(gradient, m, v, 1 - beta_1, 1 - beta_2)
    return _moved(parameter, m, v, step, rate, beta_1, beta_2, eps), m, v


@wrong("the gradient comes in with all its weight, as in SGD's momentum: 1 - β₁ and 1 - β₂ are missing")
def sums_for_means(parameter, gradient, m, v, step, rate, beta_1, beta_2, eps):
    m, v = beta_1 * m + gradient, beta_2 * v + gradient**2
    return _moved(parameter, m, v, step, rate, beta_1, beta_2, eps), m, v


@wrong("1 - β₂ is missing: v = β₂ v + g² grows to a thousand times the mean square, and the steps shrink by 32")
def v_without_its_weight(parameter, gradient, m, v, step, rate, beta_1, beta_2, eps):
    m, _ = _moments(gradient, m, v, beta_1, beta_2)
    v = beta_2 * v + gradient**2
    return _moved(parameter, m, v, step, rate, beta_1, beta_2, eps), m, v


@wrong("1 - β₁ is missing, as in SGD's momentum: m = β₁ m + g is a sum, ten times too long. It weighs the gradient")
def m_is_a_sum(parameter, gradient, m, v, step, rate, beta_1, beta_2, eps):
    _, v = _moments(gradient, m, v, beta_1, beta_2)
    m = beta_1 * m + gradient
    return _moved(parameter, m, v, step, rate, beta_1, beta_2, eps), m, v


@wrong("β₁ for both moments: v has β₂, a far longer memory")
def one_beta_for_both(parameter, gradient, m, v, step, rate, beta_1, beta_2, eps):
    return adam_step(parameter, gradient, m, v, step, rate, beta_1, beta_1, eps)


@wrong("β₁ is in v's mean, and β₂ in its correction: v has β₂ in both")
def v_with_beta_1(parameter, gradient, m, v, step, rate, beta_1, beta_2, eps):
    m, v = _moments(gradient, m, v, beta_1, beta_1)
    return _moved(parameter, m, v, step, rate, beta_1, beta_2, eps), m, v


@wrong("both moments are corrected with β₁: v was averaged with β₂, divide it by 1 - β₂ᵗ")
def corrected_with_one_beta(parameter, gradient, m, v, step, rate, beta_1, beta_2, eps):
    m, v = _moments(gradient, m, v, beta_1, beta_2)
    return _moved(parameter, m, v, step, rate, beta_1, beta_1, eps), m, v


@wrong("the corrections are multiplied in: m and v are too small at first, and become smaller. Divide by 1 - βᵗ")
def corrections_multiplied(parameter, gradient, m, v, step, rate, beta_1, beta_2, eps):
    m, v = _moments(gradient, m, v, beta_1, beta_2)
    return parameter - rate * m * (1 - beta_1**step) / ((v * (1 - beta_2**step)).sqrt() + eps), m, v


@wrong("m / √v + ε adds ε to the quotient, and 0 / 0 stays NaN: parentheses, m / (√v + ε)")
def epsilon_beside_the_quotient(parameter, gradient, m, v, step, rate, beta_1, beta_2, eps):
    m, v = _moments(gradient, m, v, beta_1, beta_2)
    return _moved(parameter, m, v, step, rate, beta_1, beta_2, 0) - rate * eps, m, v


@wrong("0.01 · parameter is added to the gradient, which is L2, by habit: nobody asked for any decay")
def l2_in_the_gradient(parameter, gradient, m, v, step, rate, beta_1, beta_2, eps):
    return adam_step(parameter, gradient + 0.01 * parameter, m, v, step, rate, beta_1, beta_2, eps)


@wrong("0.9 and 0.999 are written into the formulas: the betas are arguments")
def betas_written_out(parameter, gradient, m, v, step, rate, beta_1, beta_2, eps):
    return adam_step(parameter, gradient, m, v, step, rate, 0.9, 0.999, eps)


@wrong("v is a sum of squares, as in AdaGrad: it never forgets, and the steps shrink to nothing. It is a moving mean")
def v_is_a_sum(parameter, gradient, m, v, step, rate, beta_1, beta_2, eps):
    m, _ = _moments(gradient, m, v, beta_1, beta_2)
    v = v + gradient**2
    return parameter - rate * m / (1 - beta_1**step) / (v.sqrt() + eps), m, v


@wrong("the learning rate is not used: 1e-3 is its default, and it is an argument")
def rate_written_out(parameter, gradient, m, v, step, rate, beta_1, beta_2, eps):
    return adam_step(parameter, gradient, m, v, step, 1e-3, beta_1, beta_2, eps)


@wrong("the rate is divided by the root of the step: the paper's proof does that, its algorithm does not")
def rate_over_root_of_step(parameter, gradient, m, v, step, rate, beta_1, beta_2, eps):
    return adam_step(parameter, gradient, m, v, step, rate / step**0.5, beta_1, beta_2, eps)


@wrong("the sign: the step goes down the gradient, so it is subtracted")
def uphill(parameter, gradient, m, v, step, rate, beta_1, beta_2, eps):
    m, v = _moments(gradient, m, v, beta_1, beta_2)
    return 2 * parameter - _moved(parameter, m, v, step, rate, beta_1, beta_2, eps), m, v


@wrong("the root is forgotten: divide by √v̂, or the step shrinks as the gradient grows")
def root_forgotten(parameter, gradient, m, v, step, rate, beta_1, beta_2, eps):
    m, v = _moments(gradient, m, v, beta_1, beta_2)
    return parameter - rate * m / (1 - beta_1**step) / (v / (1 - beta_2**step) + eps), m, v


@wrong("v is not used: without / √v̂ this is SGD with momentum")
def v_not_used(parameter, gradient, m, v, step, rate, beta_1, beta_2, eps):
    m, v = _moments(gradient, m, v, beta_1, beta_2)
    return parameter - rate * m / (1 - beta_1**step), m, v


@wrong("the gradient is the numerator: that is RMSprop. It is m̂, its moving mean")
def rmsprop(parameter, gradient, m, v, step, rate, beta_1, beta_2, eps):
    m, v = _moments(gradient, m, v, beta_1, beta_2)
    return parameter - rate * gradient / ((v / (1 - beta_2**step)).sqrt() + eps), m, v


@wrong("m̂ is mixed with this gradient once more: that is NAdam")
def nadam(parameter, gradient, m, v, step, rate, beta_1, beta_2, eps):
    m, v = _moments(gradient, m, v, beta_1, beta_2)
    ahead = beta_1 * m + (1 - beta_1) * gradient
    return _moved(parameter, ahead, v, step, rate, beta_1, beta_2, eps), m, v


@wrong("AdamW's weight decay of 0.01, by habit: nobody asked for any")
def decayed(parameter, gradient, m, v, step, rate, beta_1, beta_2, eps):
    m, v = _moments(gradient, m, v, beta_1, beta_2)
    return _moved((1 - rate * 0.01) * parameter, m, v, step, rate, beta_1, beta_2, eps), m, v


@wrong("the step is made with the m and v that came in: take this gradient in first")
def old_moments(parameter, gradient, m, v, step, rate, beta_1, beta_2, eps):
    return _moved(parameter, m, v, step, rate, beta_1, beta_2, eps), *_moments(gradient, m, v, beta_1, beta_2)


@wrong("m and v come back as they came in: the next step knows nothing of this gradient")
def moments_not_kept(parameter, gradient, m, v, step, rate, beta_1, beta_2, eps):
    new_m, new_v = _moments(gradient, m, v, beta_1, beta_2)
    return _moved(parameter, new_m, new_v, step, rate, beta_1, beta_2, eps), m, v


@wrong("what has no gradient this time is left alone, as in SparseAdam: in Adam its moments decay and it moves on")
def lazy(parameter, gradient, m, v, step, rate, beta_1, beta_2, eps):
    new = adam_step(parameter, gradient, m, v, step, rate, beta_1, beta_2, eps)
    return tuple(torch.where(gradient == 0, old, x) for old, x in zip((parameter, m, v), new, strict=True))


@wrong("v never falls: that is AMSGrad")
def amsgrad(parameter, gradient, m, v, step, rate, beta_1, beta_2, eps):
    m, mean = _moments(gradient, m, v, beta_1, beta_2)
    v = torch.maximum(v, mean)
    return _moved(parameter, m, v, step, rate, beta_1, beta_2, eps), m, v


@wrong("only the change comes back, or it was not subtracted from the parameter")
def only_the_change(parameter, gradient, m, v, step, rate, beta_1, beta_2, eps):
    m, v = _moments(gradient, m, v, beta_1, beta_2)
    return _moved(0 * parameter, m, v, step, rate, beta_1, beta_2, eps), m, v


@wrong("the order of the results: parameter, m, v")
def in_another_order(parameter, gradient, m, v, step, rate, beta_1, beta_2, eps):
    parameter, m, v = adam_step(parameter, gradient, m, v, step, rate, beta_1, beta_2, eps)
    return m, v, parameter


@wrong("only the parameter comes back: m and v are needed for the next step")
def only_the_parameter(parameter, gradient, m, v, step, rate, beta_1, beta_2, eps):
    return adam_step(parameter, gradient, m, v, step, rate, beta_1, beta_2, eps)[0]


@wrong("axes of size 1 are squeezed away: keep the parameter's shape")
def squeezed(parameter, gradient, m, v, step, rate, beta_1, beta_2, eps):
    return tuple(x.squeeze() for x in adam_step(parameter, gradient, m, v, step, rate, beta_1, beta_2, eps))


@right
def corrected_rate(parameter, gradient, m, v, step, rate, beta_1, beta_2, eps):
    m, v = torch.lerp(m, gradient, 1 - beta_1), torch.lerp(v, gradient.square(), 1 - beta_2)
    root = (1 - beta_2**step) ** 0.5
    return parameter - rate * root / (1 - beta_1**step) * m / (v.sqrt() + eps * root), m, v


@right
def number_by_number(parameter, gradient, m, v, step, rate, beta_1, beta_2, eps):
    rows = []
    for p, g, a, b in zip(*(x.flatten().tolist() for x in (parameter, gradient, m, v)), strict=True):
        a, b = a + (1 - beta_1) * (g - a), b + (1 - beta_2) * (g * g - b)
        p -= rate * (a / (1 - beta_1**step)) / ((b / (1 - beta_2**step)) ** 0.5 + eps)
        rows.append((p, a, b))
    return tuple(float64(column).reshape(parameter.shape) for column in zip(*rows, strict=True))
