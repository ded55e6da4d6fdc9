"""Spec of sinusoidal_positions: a sine and a cosine for each frequency, at any position, to the last digit."""

import math

import torch

from recattn_mini.attention.sinusoidal_positions import sinusoidal_positions, sinusoidal_positions_numpy
from recattn_mini.exercises.spec import float64, right, same, teaching, wrong

LEVEL, MINUTES = "easy", 8
HINTS = (
    "Columns come in pairs, sine and cosine of one angle. How many frequencies are there then, and which has pair i?",
    "exponents = arange(0, d, 2) / d in float64; angles = positions[..., None] / 10000 ** exponents, (* t d/2).",
    "Stack sine and cosine of the angles along a new last axis, and flatten that axis into the one before it.",
)
FORBIDDEN: tuple[str, ...] = ()


def inputs() -> dict[str, tuple]:
    return {
        "from the start": (torch.arange(7), 12),
        "a later start": (torch.tensor([37, 38, 39]), 10),
        "a start below 0": (torch.tensor([-2, 1]), 16),
        "a start for each user": (torch.tensor([[4, 5, 6, 7, 8], [0, 1, 2, 3, 4], [19, 20, 21, 22, 23]]), 8),
        "far": (torch.tensor([99_999, 100_000, 5_000]), 14),
        "a view": (torch.tensor([[0, 9], [3, 3], [1, 8]]).T, 6),
        "two columns": (torch.arange(3, 8), 2),
        "one new step": (torch.tensor([[5]]), 4),
    }


def expected(positions, d):
    """Column by column in plain Python."""

    def encoding(p):
        angles = [p / 10000 ** (2 * i / d) for i in range(d // 2)]
        return [f(angle) for angle in angles for f in (math.sin, math.cos)]

    return float64([encoding(p) for p in positions.flatten().tolist()]).reshape(*positions.shape, d)


def _agrees(f, *names):
    for name in names:
        same(f(*inputs()[name]), expected(*inputs()[name]))


@teaching
def check_worked_example(f):
    "position 0 is 0, 1, 0, 1; with d = 4 the second pair turns by 1/100 a step: after 100 steps its sine is sin 1"
    hundredth = [math.sin(100), math.cos(100), math.sin(1), math.cos(1)]
    same(f(torch.tensor([0, 100]), 4), float64([[0, 1, 0, 1], hundredth]))


@teaching
def check_values(f):
    "sine in even columns, cosine in odd ones, and pair i at the frequency 1 / 10000^(2i/d); in float64"
    _agrees(f, "from the start")


def check_given_positions(f):
    "the positions are the ones given: a later start, one below 0, a start for each user of a batch, a view"
    _agrees(f, "a later start", "a start below 0", "a start for each user", "a view")


def check_far_positions(f):
    "at position 100,000 all digits are right: a float32 angle is wrong from the third decimal on"
    _agrees(f, "far")


def check_smallest(f):
    "d = 2 is one frequency, and one new step of one user keeps its axes"
    _agrees(f, "two columns", "one new step")


@teaching
def check_differences(f):
    "the dot product of two encodings depends on how far apart they are, not on where they stand"
    products = [(f(p, 6) * f(p + 5, 6)).sum(-1) for p in (torch.arange(4), torch.arange(70, 74))]
    of_5 = sum(math.cos(5 / 10000 ** (2 * i / 6)) for i in range(3))
    for product in products:
        same(product, float64([of_5] * 4))


def _exponents(d, step=2):
    return torch.arange(0, d, step, dtype=torch.float64) / d


def _interleaved(angles):
    return torch.stack([angles.sin(), angles.cos()], -1).flatten(-2)


def _of(positions, frequencies):
    return _interleaved(positions[..., None] * frequencies)


@wrong("all sines first, then all cosines: here they take turns. Stack them on a new last axis, and flatten it")
def halves(positions, d):
    angles = positions[..., None] / 10000 ** _exponents(d)
    return torch.cat([angles.sin(), angles.cos()], -1)


@wrong("the exponent is i/d: pair i has 2i/d, or the slowest pair turns by 1/100 a step instead of 1/10000")
def half_the_exponent(positions, d):
    return _of(positions, 10000 ** (-_exponents(d) / 2))


@wrong("the exponent is doubled: arange(0, d, 2) is 2i already. Divide it by d, and do not double it again")
def twice_the_exponent(positions, d):
    return _of(positions, 10000 ** (-2 * _exponents(d)))


@wrong("the position is multiplied by 10000^(2i/d): divide, so that later pairs turn slower")
def multiplied(positions, d):
    return _of(positions, 10000 ** _exponents(d))


@wrong("every column has an exponent of its own, j/d: sine and cosine of a pair share 2i/d, or no step is a rotation")
def column_exponents(positions, d):
    angles = positions[..., None] / 10000 ** _exponents(d, 1)
    return torch.stack([angles[..., ::2].sin(), angles[..., 1::2].cos()], -1).flatten(-2)


@wrong("the column's number is taken for i: column j belongs to pair j // 2, so the exponent is 2 (j // 2) / d")
def column_for_pair(positions, d):
    angles = positions[..., None] / 10000 ** (2 * _exponents(d, 1))
    return torch.where(torch.arange(d) % 2 == 0, angles.sin(), angles.cos())


@wrong("tensor2tensor's exponent, 2i/(d - 2), from 0 to 1 with both ends: the paper divides by d and stops short of 1")
def tensor2tensor_exponent(positions, d):
    return _of(positions, 10000 ** -torch.linspace(0, 1, d // 2, dtype=torch.float64))


@wrong("the exponent is 2i/(d - 2), as in tensor2tensor: the paper divides by d, and here d = 2 divides 0 by 0")
def divided_by_d_minus_2(positions, d):
    return _of(positions, 10000 ** -(torch.arange(0, d, 2, dtype=torch.float64) / (d - 2)))


@wrong("tensor2tensor's layout and exponent: sines first, and 2i/(d - 2). The paper takes turns, and divides by d")
def tensor2tensor(positions, d):
    angles = positions[..., None] * 10000 ** -torch.linspace(0, 1, d // 2, dtype=torch.float64)
    return torch.cat([angles.sin(), angles.cos()], -1)


@wrong("fairseq's layout and step: sines first, and log 10000 / (d/2 - 1), which d = 2 makes a division by zero")
def fairseq(positions, d):
    step = math.log(10000) / (d // 2 - 1)
    angles = positions[..., None] * torch.exp(-step * torch.arange(d // 2, dtype=torch.float64))
    return torch.cat([angles.sin(), angles.cos()], -1)


@wrong("fairseq's step, log 10000 / (d/2 - 1), which d = 2 makes a division by zero: the paper's is log 10000 / (d/2)")
def fairseq_step(positions, d):
    step = math.log(10000) / (d // 2 - 1)
    return _of(positions, torch.exp(-step * torch.arange(d // 2, dtype=torch.float64)))


@wrong("cosine has the frequency of the next pair: sine and cosine of a pair are of one angle")
def cosine_of_the_next_pair(positions, d):
    sine, cosine = (positions[..., None] / 10000 ** (_exponents(d) + more) for more in (0, 2 / d))
    return torch.stack([sine.sin(), cosine.cos()], -1).flatten(-2)


@wrong("the pairs are counted from 1: the first one has exponent 0 and turns by 1 a step")
def pairs_from_one(positions, d):
    return _of(positions, 10000 ** -(_exponents(d) + 2 / d))


@wrong("the base is 1000: the paper's is 10000")
def base_1000(positions, d):
    return _of(positions, 1000 ** -_exponents(d))


@wrong("the base is e: exp(-2i/d) without the logarithm of 10000")
def base_e(positions, d):
    return _of(positions, torch.exp(-_exponents(d)))


@wrong("10000 ** 2i / d is (10000^2i) / d: put the exponent in brackets")
def precedence(positions, d):
    return _interleaved(positions[..., None] / (10000.0 ** torch.arange(0, d, 2, dtype=torch.float64) / d))


@wrong("one frequency for all pairs: every pair says the same. Pair i divides by 10000^(2i/d)")
def one_frequency(positions, d):
    return _of(positions, torch.ones(d // 2, dtype=torch.float64))


@wrong("the frequencies stand in reverse order: the first pair is the fastest")
def slowest_first(positions, d):
    return _of(positions, 10000 ** -_exponents(d).flip(0))


@wrong("cosine first: position 0 is 0, 1, 0, 1, sine in the even columns")
def cosine_first(positions, d):
    angles = positions[..., None] / 10000 ** _exponents(d)
    return torch.stack([angles.cos(), angles.sin()], -1).flatten(-2)


@wrong("sine at even positions, cosine at odd ones: it is the column that decides, not the position")
def parity_of_the_position(positions, d):
    angles = (positions[..., None] / 10000 ** _exponents(d)).repeat_interleave(2, -1)
    return torch.where(positions[..., None] % 2 == 0, angles.sin(), angles.cos())


@wrong("only sines: without the cosine, a step is no linear map, and a slow pair cannot tell its two sides apart")
def sines_only(positions, d):
    return (positions[..., None] / 10000 ** _exponents(d)).sin().repeat_interleave(2, -1)


@wrong("positions count from 1: take them as they are given, position 0 is 0, 1, 0, 1")
def from_one(positions, d):
    return sinusoidal_positions(positions + 1, d)


@wrong("positions count from 0 whatever is given: with a KV cache, or after a longer history, the start is another")
def from_zero(positions, d):
    return sinusoidal_positions(torch.arange(positions.shape[-1]).expand(positions.shape), d)


@wrong("positions count from the first one given: take them as they are, or a later start looks like the first")
def from_the_first(positions, d):
    return sinusoidal_positions(positions - positions[..., :1], d)


@wrong("one table (t d) from 0 on, whatever positions are given: each user of a batch has rows of its own")
def one_table_from_zero(positions, d):
    return sinusoidal_positions(torch.arange(positions.shape[-1]), d)


@wrong("position 0 is taken for padding and gets zeros: padding is a matter of ids. Position 0 is 0, 1, 0, 1")
def zeros_at_0(positions, d):
    return sinusoidal_positions(positions, d) * (positions != 0)[..., None]


@wrong("positions[:, None] is for one row (t): positions[..., None] takes a batch (b t) as well")
def one_row_only(positions, d):
    angles, table = positions[:, None] / 10000 ** _exponents(d), torch.zeros(len(positions), d, dtype=torch.float64)
    table[:, 0::2], table[:, 1::2] = angles.sin(), angles.cos()
    return table


@wrong("positions count from the end of each row: take them as they are given")
def from_the_end(positions, d):
    return sinusoidal_positions(positions.shape[-1] - 1 - torch.arange(positions.shape[-1]).expand(positions.shape), d)


@wrong("positions count backwards from the largest of each row: take them as they are given")
def back_from_the_largest(positions, d):
    return sinusoidal_positions(positions.amax(-1, keepdim=True) - positions, d)


@wrong("the first user's positions serve for all: each row of a batch has its own")
def first_row_for_all(positions, d):
    return sinusoidal_positions(positions[(0,) * (positions.dim() - 1)].expand(positions.shape), d)


@wrong("a table of 5,000 rows, and later positions share its last: no table is needed, compute the ones given")
def clamped(positions, d):
    return sinusoidal_positions(positions.clamp(max=4999), d)


@wrong("a table from 0 to the largest position: a negative one is read from its end. Compute the positions given")
def table_to_the_largest(positions, d):
    return sinusoidal_positions(torch.arange(int(positions.max()) + 1), d)[positions]


@wrong("positions lose their sign: below 0 the sine changes its own. Take them as they are given")
def without_sign(positions, d):
    return sinusoidal_positions(positions.abs(), d)


@wrong("the angles are taken for degrees: they are radians")
def degrees(positions, d):
    return _of(positions, 10000 ** -_exponents(d) * math.pi / 180)


@wrong("a full turn is put into each angle: p / 10000^(2i/d) is in radians as it stands, without 2π")
def full_turns(positions, d):
    return _of(positions, 10000 ** -_exponents(d) * 2 * math.pi)


@wrong("whole-number division: the angle is a fraction, / and not //")
def whole_numbers(positions, d):
    return _interleaved(positions[..., None] // 10000 ** _exponents(d))


@wrong("the positions are multiplied by √d: that is what the paper does to the embeddings")
def scaled_positions(positions, d):
    return _of(positions * math.sqrt(d), 10000 ** -_exponents(d))


@wrong("the encodings are multiplied by √d: that is what the paper does to the embeddings they are added to")
def scaled(positions, d):
    return math.sqrt(d) * sinusoidal_positions(positions, d)


@wrong("the frequencies are float32: arange(0, d, 2) / d is, unless you ask for float64 before you divide")
def frequencies_in_float32(positions, d):
    return _interleaved(positions.double()[..., None] / (10000 ** (torch.arange(0, d, 2) / d)).double())


@wrong("div_term is float32, as in PyTorch's tutorial: exp(arange(0, d, 2) · (-log 10000 / d)) wants dtype float64 too")
def div_term_in_float32(positions, d):
    return _of(positions.double(), torch.exp(torch.arange(0, d, 2).float() * (-math.log(10000.0) / d)))


@wrong("the angles are float32: near 100,000 they are wrong from the third decimal on. Compute in float64")
def angles_in_float32(positions, d):
    return _interleaved((positions.float()[..., None] / 10000 ** (torch.arange(0, d, 2) / d)).double())


@wrong("float32 throughout, and cast at the end: what is lost does not come back. Compute in float64")
def cast_at_the_end(positions, d):
    return _interleaved(positions.float()[..., None] / 10000 ** (torch.arange(0, d, 2) / d)).double()


@wrong("float32 comes back: whole numbers have no dtype to keep, and this one loses digits. Return float64")
def float32_comes_back(positions, d):
    return sinusoidal_positions(positions, d).float()


@wrong("float32 throughout: whole numbers by whole numbers give it unless you ask. Compute, and return, float64")
def float32_throughout(positions, d):
    return _interleaved(positions[..., None] / 10000 ** (torch.arange(0, d, 2) / d))


@wrong("axes of size 1 are squeezed away: one step of one user keeps its axes")
def squeezed(positions, d):
    return sinusoidal_positions(positions, d).squeeze()


@right
def by_exponentials(positions, d):
    out = torch.empty(*positions.shape, d, dtype=torch.float64)
    angles = positions[..., None] * torch.exp(-math.log(10000.0) * _exponents(d))
    out[..., 0::2], out[..., 1::2] = angles.sin(), angles.cos()
    return out


@right
def column_by_column(positions, d):
    p = positions.double()
    columns = [f(p / 10000 ** (2 * i / d)) for i in range(d // 2) for f in (torch.sin, torch.cos)]
    return torch.stack(columns, -1)


@right
def column_divided_by_two(positions, d):
    column = torch.arange(d)
    angles = positions[..., None] / 10000 ** (2 * (column // 2) / torch.tensor(d, dtype=torch.float64))
    return torch.where(column % 2 == 0, angles.sin(), angles.cos())


@right
def as_complex_numbers(positions, d):
    angles = positions[..., None] / 10000 ** _exponents(d)
    return torch.view_as_real(torch.polar(torch.ones_like(angles), angles)).flip(-1).flatten(-2)
