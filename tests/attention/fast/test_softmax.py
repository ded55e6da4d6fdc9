"""The fast softmax against the plain one and against torch's."""

import math

import pytest
import torch
import torch.nn.functional as F

from recattn_mini.attention.fast.softmax import _softmax_parts, softmax
from recattn_mini.attention.softmax import softmax as plain


@pytest.fixture(params=["vector", "4 axes", "one key", "partly masked", "empty rows", "beyond 1000", "non-contiguous"])
def x(request, normal):
    scores = normal("b h t s")
    match request.param:
        case "vector":
            return scores[0, 0, 0]
        case "one key":
            return scores[..., :1]
        case "partly masked":
            return scores.masked_fill(scores > scores.median(-1, keepdim=True).values, -math.inf)
        case "empty rows":
            scores[0, 1, 2] = scores[1, :, 4] = -math.inf
        case "beyond 1000":
            return scores + 3000 * (-1.0) ** torch.arange(5)[:, None]
        case "non-contiguous":
            return scores.mT.contiguous().mT[:, ::2]
    return scores


def test_equals_the_plain_form(x, call, close):
    close(call(softmax, x), plain(x))


def test_gradient_equals_the_plain_form(x, gradients, close):
    close(gradients(softmax, x), gradients(plain, x))


def test_equals_torch_where_a_row_has_something(x, call, close):
    some = (x > -math.inf).any(-1)
    close(call(softmax, x)[some], F.softmax(x, -1)[some])
    assert (softmax(x)[~some] == 0).all()


def test_finite_differences(normal):
    allowed = torch.tensor([[True] * 7, [False] * 7, [True, False] * 3 + [True]])

    def masked(x):
        return softmax(x.masked_fill(~allowed, -math.inf))

    assert torch.autograd.gradcheck(masked, normal("h s").requires_grad_())


def test_half_precision_is_as_exact_as_torch(half, normal, gradients, error):
    def theirs(x):
        return F.softmax(x, -1)

    x = (8 * normal("b h t s")).to(half)
    exact = [theirs(x.double()), *gradients(theirs, x.double())]
    for a, b, z in zip([softmax(x), *gradients(softmax, x)], [theirs(x), *gradients(theirs, x)], exact, strict=True):
        assert error(a, z) <= 3 * error(b, z)


def test_half_precision_sums_in_float32(half):
    keys = 70_000  # float16 ends at 65,504
    assert torch.equal(softmax(torch.zeros(keys, dtype=half)), torch.full((keys,), 1 / keys, dtype=half))


def test_parts_over_their_total_are_the_weights(x, close):
    parts, total = _softmax_parts(x)
    assert parts.max() == 1
    close(parts / total, plain(x))
