import math

import pytest
import torch
import torch.nn.functional as F

from recattn_mini.attention.sigmoid_attention import sigmoid_attention, sigmoid_attention_numpy

BOTH = pytest.mark.parametrize("f", [sigmoid_attention, sigmoid_attention_numpy])


def oracle(q, k, v, bias, mask=None):
    """One key at a time against a key of zeros with a value of zeros: the softmax of (x, 0) is (σ(x), 1 - σ(x))."""
    t, s = q.shape[-2], k.shape[-2]
    bias = torch.as_tensor(bias, dtype=q.dtype).expand(*k.shape[:-2], t, s)
    if mask is not None:
        bias = torch.where(mask, bias, -math.inf)
    out = 0
    for j in range(s):
        pair_k, pair_v = (torch.stack([x[..., j, :], torch.zeros_like(x[..., j, :])], -2) for x in (k, v))
        pair_bias = torch.stack([bias[..., j], torch.zeros_like(bias[..., j])], -1)
        out = out + F.scaled_dot_product_attention(q, pair_k, pair_v, pair_bias)
    return out


@pytest.fixture(params=["no bias", "minus log s", "each pair", "each key"])
def bias(request, case, normal):
    t, s = case.q.shape[-2], case.k.shape[-2]
    match request.param:
        case "no bias":
            return 0.0
        case "minus log s":
            return -math.log(7)
        case "each pair":
            return 3 * normal("t s")[:t, :s]
    return 3 * normal("s")[:s]


@BOTH
def test_equals_one_softmax_a_key(f, case, bias, call, close):
    close(call(f, case.q, case.k, case.v, bias, case.mask), oracle(case.q, case.k, case.v, bias, case.mask))


@BOTH
def test_worked_by_hand(f, call, close, tensor):
    q, k = tensor([[2, 0, 0, 0]]), tensor([[math.log(3), 9, 9, 9], [0, 9, 9, 9], [5000, 9, 9, 9]])
    v, mask = tensor([[8], [16], [100]]), torch.tensor([True, True, False])
    close(call(f, q, k, v, 0.0), tensor([[114]]))  # scores log 3, 0 and 5,000: ¾·8 + ½·16 + 100
    close(call(f, q, k, v, 0.0, mask), tensor([[14]]))
    close(call(f, q, k, v, -math.log(3), mask), tensor([[8]]))  # ½·8 + ¼·16
    close(call(f, -q, k, v, 0.0), tensor([[10]]))  # ¼·8 + ½·16 + 0


@BOTH
def test_ten_matches_weigh_ten_times_as_much_as_one(f, normal, call, close):
    q, k, v = normal("b t d"), normal("b s d")[:, :1], normal("b s e")[:, :1]
    ten = call(f, q, k.repeat(1, 10, 1), v.repeat(1, 10, 1), -1.0)
    close(ten, 10 * torch.sigmoid(q @ k.mT / math.sqrt(11) - 1) * v)


@BOTH
def test_empty_row_gives_zeros_whatever_the_bias(f, normal, empty_rows, call):
    q, k, v = normal("b h t d"), normal("b h s d"), normal("b h s e")
    out = call(f, q, k, v, 1000.0, empty_rows)
    assert (out[~empty_rows.any(-1).expand(2, 3, 5)] == 0).all()


def test_half_precision_of_saturated_scores_is_finite(half, device, normal, gradients):
    q, k, v = (normal(axes).to(device, half) for axes in ("b h t d", "b h s d", "b h s e"))
    out = sigmoid_attention(300 * q, 300 * k, v, 0.0)  # float16 overflows to ±inf here, and σ(±inf) is 1 or 0
    assert torch.isfinite(out).all()
    assert all(torch.isfinite(g).all() for g in gradients(lambda *x: sigmoid_attention(*x, 0.0), 300 * q, 300 * k, v))
