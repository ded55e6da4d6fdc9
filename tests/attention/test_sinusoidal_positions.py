import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from recattn_mini.attention.sinusoidal_positions import sinusoidal_positions, sinusoidal_positions_numpy

BOTH = pytest.mark.parametrize("f", [sinusoidal_positions, sinusoidal_positions_numpy])

POSITIONS = {
    "from 0": torch.arange(7),
    "decoding": torch.tensor([1999]),
    "a start for each user": torch.tensor([[0, 1, 2], [5, 6, 7], [11, 12, 13], [2, 2, 2], [0, 0, 0]]),
    "before the first": torch.arange(-3, 2),
    "far": torch.tensor([99_999, 100_000, 1_000_003]),
    "a view": torch.arange(6).reshape(2, 3).T,
    "three axes": torch.arange(30).reshape(2, 3, 5),
    "no steps' axis but one": torch.tensor([[3]]),
    "int32": torch.arange(5, dtype=torch.int32),
    "uint8": torch.tensor([0, 255], dtype=torch.uint8),
}


def of_one(p, d):
    """Sine and cosine in turns, in fifty decimal digits, one column after the other."""
    mp = pytest.importorskip("mpmath").mp.clone()
    mp.dps = 50
    turns = [(mp.mpf(p) / mp.mpf(10000) ** (mp.mpf(2 * i) / d)) for i in range(d // 2)]
    return [float(f(x)) for x in turns for f in (mp.sin, mp.cos)]


def of_all(positions, d):
    rows = [of_one(p, d) for p in positions.flatten().tolist()]
    return torch.tensor(rows, dtype=torch.float64).reshape(*positions.shape, d)


@BOTH
@pytest.mark.parametrize("d", [2, 8, 22])
@pytest.mark.parametrize("positions", POSITIONS.values(), ids=POSITIONS)
def test_equals_fifty_digits(f, positions, d, call, close):
    close(call(f, positions, d), of_all(positions, d))


@BOTH
def test_worked_by_hand(f, call, close, tensor):
    # d = 4: the first pair turns by 1 a step, the second by 1/√10000 = 1/100
    ninth = [math.sin(9), math.cos(9), math.sin(0.09), math.cos(0.09)]
    close(call(f, torch.tensor([0, 9]), 4), tensor([[0, 1, 0, 1], ninth]))


@BOTH
@pytest.mark.parametrize("k", [1, 3, -2, 1000])
def test_a_step_of_k_is_one_rotation_for_all_positions(f, k, call, close):
    """The matrix is made by hand: (sin a, cos a) -> (sin(a + w), cos(a + w)), a block for each pair."""
    d, positions = 6, torch.tensor([0, 5, 17, 400])
    blocks = []
    for i in range(d // 2):
        w = k / 10000 ** (2 * i / d)
        blocks.append(torch.tensor([[math.cos(w), math.sin(w)], [-math.sin(w), math.cos(w)]], dtype=torch.float64))
    rotation = torch.block_diag(*blocks)
    close(call(f, positions + k, d), call(f, positions, d) @ rotation.T)
    close(rotation @ rotation.T, torch.eye(d, dtype=torch.float64))


@BOTH
def test_dot_products_know_the_difference_only(f, call, close, tensor):
    encodings = call(f, torch.arange(41), 10)
    products = encodings @ encodings.T
    for k in range(41):
        of_k = sum(math.cos(k / 10000 ** (2 * i / 10)) for i in range(5))
        for offset in (k, -k):  # and not its sign
            close(products.diagonal(offset), tensor([of_k] * (41 - k)))


@BOTH
def test_no_two_positions_are_alike(f, call):
    encodings = call(f, torch.arange(2000), 8)
    assert torch.pdist(encodings).min() > 0.1


@BOTH
def test_attention_sees_an_order_with_them_and_none_without(f, call, close, normal):
    """Without positions, permuted steps give permuted outputs: the order is not among what attention is told."""
    x, order = normal("b t d")[..., :10], torch.tensor([3, 0, 4, 1, 2])
    positions = call(f, torch.arange(5), 10)

    def attention(x):
        return F.scaled_dot_product_attention(x, x, x)

    close(attention(x[:, order]), attention(x)[:, order])
    difference = attention(x[:, order] + positions) - attention(x + positions)[:, order]
    assert difference.abs().amax(-1).min() > 0.01


@BOTH
@pytest.mark.parametrize("d", [1, 7])
def test_an_odd_width_is_refused(f, d, call):
    with pytest.raises(ValueError, match=f"^d must be even, a sine and a cosine for each frequency, got {d}$"):
        call(f, torch.arange(3), d)


@BOTH
@pytest.mark.parametrize("bad", [torch.ones(3), torch.tensor([True])])
def test_positions_are_whole_numbers(f, bad, call):
    with pytest.raises(ValueError, match=r"^positions must be int, got"):
        call(f, bad, 4)


@BOTH
@pytest.mark.parametrize("d", [0, -2, 4.0])
def test_width_is_a_count(f, d, call):
    with pytest.raises(ValueError, match=r"^d must be a whole number from 1"):
        call(f, torch.arange(3), d)


def test_float64_whatever_the_default_is():
    for dtype in (torch.float32, torch.bfloat16):
        torch.set_default_dtype(dtype)
        try:
            out = sinusoidal_positions(torch.tensor([100_000]), 6)
        finally:
            torch.set_default_dtype(torch.float32)
        assert out.dtype == torch.float64
        assert (out - of_all(torch.tensor([100_000]), 6)).abs().max() < 1e-9
    assert sinusoidal_positions_numpy(np.arange(3, dtype=np.int8), 6).dtype == np.float64


def test_a_float32_angle_would_not_do():
    """What the docstring says of float32, measured: wrong from the third decimal on."""
    p, d = 99_999, 64
    angles = torch.tensor(float(p)) / 10000 ** (torch.arange(0, d, 2) / d)
    error = (angles.sin().double() - torch.tensor(of_one(p, d)[::2])).abs().max().item()
    assert 1e-3 < error < 1e-2
