import math

import pytest
import torch
import torch.nn.functional as F

from recattn_mini.attention.softmax import softmax, softmax_backward_numpy, softmax_numpy

BOTH = pytest.mark.parametrize("f", [softmax, softmax_numpy])


@pytest.fixture(params=["vector", "4 axes", "one key", "partly masked", "logits beyond 1000", "non-contiguous"])
def x(request, normal):
    scores = normal("b h t s")
    match request.param:
        case "vector":
            return scores[0, 0, 0]
        case "one key":
            return scores[..., :1]
        case "partly masked":  # -inf, but not all of a row
            return scores.masked_fill(scores > scores.median(-1, keepdim=True).values, -math.inf)
        case "logits beyond 1000":
            return scores + 3000 * (-1.0) ** torch.arange(5)[:, None]
        case "non-contiguous":
            return scores.mT.contiguous().mT[:, ::2]
    return scores


def softmax_of_torch(x):
    return F.softmax(x, -1)


@BOTH
def test_equals_torch(f, x, call, close):
    close(call(f, x), softmax_of_torch(x))


def test_gradient_equals_autograd(x, gradients, close):
    close(gradients(softmax, x), gradients(softmax_of_torch, x))


def test_written_gradient_equals_autograd(x, gradients, call, close, upstream_of):
    backward = call(softmax_backward_numpy, upstream_of(x), softmax_of_torch(x))
    close(backward, *gradients(softmax_of_torch, x))


@BOTH
@pytest.mark.parametrize(
    ("scores", "weights"),
    [
        ([math.log(1), math.log(2), math.log(5)], [1 / 8, 2 / 8, 5 / 8]),
        ([710 + math.log(3), 710], [3 / 4, 1 / 4]),  # exp(710) is inf
        ([-1e4, -1e4, -math.inf], [1 / 2, 1 / 2, 0]),  # exp(-1e4) is 0
        ([0, 1000, -1000], [0, 1, 0]),
        ([-1e9, -1e9], [1 / 2, 1 / 2]),  # a large negative number is a score like any other; only -inf is a mask
        ([42], [1]),
    ],
)
def test_worked_by_hand(f, scores, weights, call, close, tensor):
    close(call(f, tensor(scores)), tensor(weights), 1e-12)


def test_gradient_worked_by_hand(call, close, tensor):
    weights = tensor([[1 / 2, 1 / 2], [1 / 4, 3 / 4], [0, 1], [0, 0]])
    upstream = tensor([[1, 0], [4, 8], [5, -7], [5, -7]])
    expected = [[1 / 4, -1 / 4], [-3 / 4, 3 / 4], [0, 0], [0, 0]]  # (4 - 7)/4 and (8 - 7)·3/4; one-hot, empty: dead
    close(call(softmax_backward_numpy, upstream, weights), tensor(expected), 1e-15)


@BOTH
def test_empty_row_gives_zeros(f, normal, call):
    x = normal("b h t s")
    x[0, 1, 2], x[1, :, 4] = -math.inf, -math.inf
    out = call(f, x)
    assert torch.isnan(F.softmax(x, -1)[0, 1, 2]).all()  # torch's own answer, which this rule replaces
    assert (out[0, 1, 2] == 0).all()
    assert (out[1, :, 4] == 0).all()
    assert torch.allclose(out.sum(-1), (x > -math.inf).any(-1).double())


def test_empty_row_has_a_gradient_of_zero(normal, gradients, close):
    x = normal("b h t s")
    expected = gradients(softmax_of_torch, x)[0]
    x[0, 1, 2] = expected[0, 1, 2] = -math.inf
    expected[0, 1, 2] = 0
    close(gradients(softmax, x), (expected,))


def test_half_precision_is_as_exact_as_torch(half, device, normal, gradients, error):
    x = (8 * normal("b h t s")).to(half)
    exact = [softmax_of_torch(x.double()), *gradients(softmax_of_torch, x.double())]
    ours = [softmax(x.to(device)), *gradients(softmax, x.to(device))]
    theirs = [softmax_of_torch(x.to(device)), *gradients(softmax_of_torch, x.to(device))]
    for a, b, z in zip(ours, theirs, exact, strict=True):
        assert error(a, z) <= 3 * error(b, z)


def test_half_precision_sums_in_float32(half, device):
    keys = 70_000  # a float16 ends at 65,504, and a bfloat16 that counts by ones stops at 256
    weights = softmax(torch.zeros(keys, dtype=half, device=device))
    assert torch.equal(weights.cpu(), torch.full((keys,), 1 / keys, dtype=half))


def test_empty_row_in_half_precision(half, device, gradients):
    x = torch.tensor([[-math.inf] * 3, [1.0, 2.0, -math.inf]], dtype=half, device=device)
    assert (softmax(x)[0] == 0).all()
    assert torch.isfinite(softmax(x)).all()
    assert torch.isfinite(gradients(softmax, x)[0]).all()
