"""Spec of sinusoidal_positions: a sine and a cosine for each frequency, at any position, to the last digit."""

import math

import torch

from recattn_mini.attention.sinusoidal_positions import sinusoidal_positions, sinusoidal_positions_numpy
from recattn_mini.exercises.spec import (
    TOLERANCE,
    Named,
    but,
    drawn_once,
    float64,
    mistakes_of,
    right,
    same,
    teaching,
    wrong,
)

LEVEL, MINUTES = "easy", 8
HINTS = (
    "Columns come in pairs, sine and cosine of one angle. How many frequencies are there then, and which has pair i?",
    "exponents = arange(0, d, 2) / d in float64; angles = positions[..., None] / 10000 ** exponents, (* t d/2).",
    "Stack sine and cosine of the angles along a new last axis, and flatten that axis into the one before it.",
)
FORBIDDEN: tuple[str, ...] = ()


@drawn_once
def inputs() -> dict[str, tuple]:
    return {
        "from the start": (torch.arange(7), 12),
        "a later start": (torch.tensor([37, 38, 39]), 10),
        "a start below 0": (torch.tensor([-2, -1, 4]), 16),
        "a start for each user": (torch.tensor([[4, 5, 6, 7, 8], [0, 1, 2, 3, 4], [19, 20, 21, 22, 23]]), 8),
        "far": (torch.tensor([99_999, 100_000, 5_000]), 14),
        "a view": (torch.tensor([[0, 9], [3, 3], [1, 8]]).T, 6),
        "two columns": (torch.arange(3, 8), 2),
        "one new step": (torch.tensor([[5]]), 4),
        "all sizes equal": (torch.tensor([[0, 1, 2, 3], [4, 5, 6, 7], [9, 8, 7, 6], [1, 1, 2, 2]]), 4),
    }


def refused() -> dict[str, tuple]:
    """Inputs that the docstring calls a ValueError."""
    return {"an odd d": (torch.arange(3), 5)}


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
    for case in ("from the start", "all sizes equal"):
        got, want = f(*inputs()[case]), expected(*inputs()[case])
        if _has_half_the_digits(got, want):
            raise Named(
                "float64 with the digits of float32: frequencies, angles or positions are float32 on the way, which "
                "leaves two decimals near position 100,000. Compute all of it in float64"
            )
        same(got, want)


def _has_half_the_digits(got, want):
    if not isinstance(got, torch.Tensor) or got.dtype != want.dtype or got.shape != want.shape:
        return False
    return torch.allclose(got, want, 1e-5, 1e-5) and not torch.allclose(got, want, TOLERANCE, TOLERANCE)


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


def _pairs(angles):
    return torch.stack([angles.sin(), angles.cos()], -1).flatten(-2)


def _halves(angles):
    return torch.cat([angles.sin(), angles.cos()], -1)


def _exponents(positions, d, step=2):
    if d % 2:
        raise ValueError("d must be even")
    return torch.arange(0, d, step, dtype=torch.float64, device=positions.device) / d


def _as_they_are(x, *_):
    return x


def answer(
    positions,
    d,
    *,
    given=_as_they_are,
    exponents=_as_they_are,
    angles=lambda p, e: p / 10000**e,
    layout=_pairs,
    result=_as_they_are,
):
    e = exponents(_exponents(positions, d), d)
    return result(layout(angles(given(positions, d)[..., None], e)), positions, d)


def _ends_at_1(e, d):
    return e * d / max(d - 2, 1)


def _of_fairseq(e, d):
    return e * d / 2 * (1 / (d // 2 - 1))


def _pair(e):
    return torch.arange(len(e), device=e.device)


def _from_0(p):
    return torch.ones_like(p).cumsum(-1) - 1


MISTAKES = mistakes_of(
    answer,
    exponents={
        "half_the_exponent": ("the exponent is i/d, or the base 100: it is 10000^(2i/d)", lambda e, d: e / 2),
        "twice_the_exponent": ("the exponent is 4i/d: arange(0, d, 2) is 2i already", lambda e, d: 2 * e),
        "multiplied": ("multiplied by 10000^(2i/d): divide, so that later pairs turn slower", lambda e, d: -e),
        "tensor2tensor_exponent": ("the exponent is 2i/(d - 2), as in tensor2tensor: it is 2i/d", _ends_at_1),
        "divided_by_d_minus_2": (
            "the exponent is 2i/(d - 2), and d = 2 divides 0 by 0: it is 2i/d",
            lambda e, d: e * d / (d - 2),
        ),
        "fairseq_step": ("fairseq's step, log 10000 / (d/2 - 1): it is log 10000 / (d/2)", _of_fairseq),
        "pairs_from_one": ("the pairs are counted from 1: the first one has exponent 0", lambda e, d: e + 2 / d),
        "one_frequency": ("one frequency for all pairs: pair i divides by 10000^(2i/d)", lambda e, d: 0 * e),
        "slowest_first": (
            "the frequencies are in reverse order: the first pair is the fastest",
            lambda e, d: e.flip(0),
        ),
        "float32_throughout": ("float32 throughout: compute, and return, float64", lambda e, d: e.float()),
    },
    angles={
        "base_1000": ("the base is 1000: the paper's is 10000", lambda p, e: p / 1000**e),
        "base_e": ("the base is e, exp(-2i/d): the logarithm of 10000 is missing", lambda p, e: p / e.exp()),
        "precedence": (
            "10000 ** 2i / d is (10000^2i) / d: put 2i / d in brackets",
            lambda p, e: p / (10000.0 ** (2 * _pair(e)) / (2 * len(e))),
        ),
        "linear": ("the frequencies fall linearly: they fall as powers, 10000^(-2i/d)", lambda p, e: p * (1 - e)),
        "degrees": ("the angles are taken for degrees: they are radians", lambda p, e: (p / 10000**e).deg2rad()),
        "full_turns": (
            "2π is put into each angle: p / 10000^(2i/d) is in radians",
            lambda p, e: math.tau * p / 10000**e,
        ),
        "whole_numbers": ("whole-number division: the angle is a fraction, / and not //", lambda p, e: p // 10000**e),
        "frequencies_in_float32": (
            "the frequencies are float32: arange(0, d, 2) / d is, unless you ask for float64 before you divide",
            lambda p, e: p / (10000 ** e.float()).double(),
        ),
        "div_term_in_float32": (
            "div_term is float32, as in PyTorch's tutorial: exp(arange(0, d, 2) · (-log 10000 / d)) wants float64 too",
            lambda p, e: p.double() * torch.exp(2 * _pair(e).float() * (-math.log(10000.0) / (2 * len(e)))),
        ),
        "angles_in_float32": (
            "the angles are float32: near 100,000 they are wrong from the third decimal on. Compute in float64",
            lambda p, e: (p / 10000 ** e.float()).double(),
        ),
    },
    layout={
        "halves": ("all sines first, then all cosines: here they take turns, sin, cos, sin, cos, …", _halves),
        "cosine_first": (
            "cosine first: position 0 is 0, 1, 0, 1, sine in the even columns",
            lambda x: torch.stack([x.cos(), x.sin()], -1).flatten(-2),
        ),
        "sines_only": ("only sines: the odd columns are cosines", lambda x: x.sin().repeat_interleave(2, -1)),
        "cosines_only": ("only cosines: the even columns are sines", lambda x: x.cos().repeat_interleave(2, -1)),
        "sine_negated": ("the sine is of -p: its sign is turned round", lambda x: _pairs(-x)),
    },
    given={
        "from_one": ("positions count from 1: take them as they are, position 0 is 0, 1, 0, 1", lambda p, d: p + 1),
        "from_zero": ("positions count from 0: with a KV cache the start is another, take it", lambda p, d: _from_0(p)),
        "one_table_from_zero": (
            "one table (t d) from 0 on: each user of a batch has rows of its own",
            lambda p, d: _from_0(p[(0,) * (p.dim() - 1)]),
        ),
        "from_the_first": ("positions count from the first one: take them as they are", lambda p, d: p - p[..., :1]),
        "from_the_end": ("positions count from the end of the row: take those given", lambda p, d: _from_0(p).flip(-1)),
        "back_from_the_largest": (
            "positions count back from the largest: take those given",
            lambda p, d: p.amax(-1, True) - p,
        ),
        "first_row_for_all": (
            "the first user's positions serve for all: each row has its own",
            lambda p, d: p[(0,) * (p.dim() - 1)].expand(p.shape),
        ),
        "clamped": (
            "beyond 5,000 positions share a table's last row: compute those given",
            lambda p, d: p.clamp(max=4999),
        ),
        "wrapped": (
            "beyond 5,000 positions start again: compute those given",
            lambda p, d: torch.where(p < 0, p, p % 5000),
        ),
        "clamped_at_0": ("positions below 0 become 0: take them as they are given", lambda p, d: p.clamp(min=0)),
        "table_to_the_largest": (
            "a negative position is read from the end of a table: compute the ones given",
            lambda p, d: torch.where(p < 0, p + p.max() + 1, p),
        ),
        "without_sign": ("positions lose their sign: below 0 the sine changes its own", lambda p, d: p.abs()),
        "squared": ("the positions are squared: take them as they are given", lambda p, d: p**2),
        "scaled_positions": ("positions are multiplied by √d: take them as they are", lambda p, d: p * math.sqrt(d)),
    },
    result={
        "zeros_at_0": ("position 0 gets zeros, as padding: it is 0, 1, 0, 1", lambda x, p, d: x * (p != 0)[..., None]),
        "scaled": ("encodings are multiplied by √d: the paper scales embeddings", lambda x, p, d: math.sqrt(d) * x),
        "of_length_one": ("encodings are divided by their length: it is √(d/2)", lambda x, p, d: x / math.sqrt(d / 2)),
        "float32_comes_back": ("float32 comes back, and loses digits: return float64", lambda x, p, d: x.float()),
    },
)
tensor2tensor = but(
    answer, "tensor2tensor's layout and exponent: sines first, and 2i/(d - 2)", exponents=_ends_at_1, layout=_halves
)
fairseq = but(
    answer, "fairseq's layout and step: sines first, and log 10000 / (d/2 - 1)", exponents=_of_fairseq, layout=_halves
)
cast_at_the_end = but(
    answer,
    "float32 throughout, and cast at the end: what is lost does not come back. Compute in float64",
    exponents=lambda e, d: e.float(),
    result=lambda x, p, d: x.double(),
)


@wrong("every column has an exponent of its own, j/d: sine and cosine of a pair share 2i/d, or no step is a rotation")
def column_exponents(positions, d):
    angles = positions[..., None] / 10000 ** _exponents(positions, d, 1)
    return torch.stack([angles[..., ::2].sin(), angles[..., 1::2].cos()], -1).flatten(-2)


@wrong("the column's number is taken for i: column j belongs to pair j // 2, so the exponent is 2 (j // 2) / d")
def column_for_pair(positions, d):
    angles = positions[..., None] / 10000 ** (2 * _exponents(positions, d, 1))
    return torch.stack([angles[..., ::2].sin(), angles[..., 1::2].cos()], -1).flatten(-2)


@wrong("cosine has the frequency of the next pair: sine and cosine of a pair are of one angle")
def cosine_of_the_next_pair(positions, d):
    sine, cosine = (positions[..., None] / 10000 ** (_exponents(positions, d) + more) for more in (0, 2 / d))
    return torch.stack([sine.sin(), cosine.cos()], -1).flatten(-2)


@wrong("sine at even positions, cosine at odd ones: it is the column that decides, not the position")
def parity_of_the_position(positions, d):
    angles = (positions[..., None] / 10000 ** _exponents(positions, d)).repeat_interleave(2, -1)
    return torch.where(positions[..., None] % 2 == 0, angles.sin(), angles.cos())


@wrong("positions[:, None] is for one row (t): positions[..., None] takes a batch (b t) as well")
def one_row_only(positions, d):
    angles = positions[:, None] / 10000 ** _exponents(positions, d)
    return _pairs(angles).reshape(len(positions), d)


@right
def by_exponentials(positions, d):
    frequencies = torch.exp(-math.log(10000.0) * _exponents(positions, d))
    out = torch.empty(*positions.shape, d, dtype=torch.float64, device=positions.device)
    out[..., 0::2] = (positions[..., None] * frequencies).sin()
    out[..., 1::2] = (positions[..., None] * frequencies).cos()
    return out


@right
def as_complex_numbers(positions, d):
    angles = positions[..., None] / 10000 ** _exponents(positions, d)
    return torch.view_as_real(torch.polar(torch.ones_like(angles), angles)).flip(-1).flatten(-2)
