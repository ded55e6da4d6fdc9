import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from recattn_mini.training.bpr_loss import bpr_loss, bpr_loss_numpy

BOTH = pytest.mark.parametrize("f", [bpr_loss, bpr_loss_numpy])


def cross_entropy_of_differences(positive, negatives):
    """BPR is the cross-entropy of "the positive is the better one", which torch has."""
    difference = positive.unsqueeze(-1) - negatives
    return F.binary_cross_entropy_with_logits(difference, torch.ones_like(difference))


@pytest.fixture(params=["3 axes", "one negative", "one pair", "beyond 1000", "10000", "a view"])
def case(request, normal):
    positive, negatives = normal(3, 5), normal(3, 5, 7)
    match request.param:
        case "one negative":
            return positive, negatives[..., :1]
        case "one pair":
            return positive[0, 0], negatives[0, 0, :1]
        case "beyond 1000":
            return positive, negatives + 2000 * negatives.sign()
        case "10000":
            return 1e4 * positive, 1e4 * negatives
        case "a view":
            return positive.mT, negatives.transpose(0, 1)
    return positive, negatives


@BOTH
def test_equals_torch(f, case, call, close):
    close(call(f, *case), cross_entropy_of_differences(*case))


def test_gradient_equals_autograd(case, gradients, close):
    close(gradients(bpr_loss, *case), gradients(cross_entropy_of_differences, *case))


def test_finite_differences(normal):
    assert torch.autograd.gradcheck(bpr_loss, (normal(3).requires_grad_(), normal(3, 5).requires_grad_()))


@BOTH
def test_equals_a_loop_over_floats(f, normal, call):
    positive, negatives = normal(5), normal(5, 7)
    terms = [
        -math.log(1 / (1 + math.exp(-(s - other))))
        for s, others in zip(positive.tolist(), negatives.tolist(), strict=True)
        for other in others
    ]
    assert call(f, positive, negatives).item() == pytest.approx(math.fsum(terms) / 35, rel=1e-12)


@BOTH
@pytest.mark.parametrize(
    ("positive", "negatives", "loss"),
    [
        ([math.log(3)], [[0, math.log(3)]], (math.log(4 / 3) + math.log(2)) / 2),
        ([-1e4], [[1e4]], 2e4),  # σ(-20000) is 0, and exp(20000) is inf
        ([1e4], [[-1e4]], 0),
        ([7, 7], [[7], [7]], math.log(2)),
    ],
)
def test_worked_by_hand(f, positive, negatives, loss, call):
    inputs = torch.tensor(positive, dtype=torch.float64), torch.tensor(negatives, dtype=torch.float64)
    assert call(f, *inputs).item() == pytest.approx(loss, rel=1e-12)


@BOTH
def test_only_differences_count(f, normal, call, close):
    positive, negatives, of_each_user = normal(5), normal(5, 7), 100 * normal(5)
    close(call(f, positive + of_each_user, negatives + of_each_user[:, None]), call(f, positive, negatives))


def test_half_precision(half, normal):
    positive, negatives = normal(101).to(half), (4 * normal(101, 7)).to(half)
    out = bpr_loss(positive, negatives)
    assert out.dtype == half
    exact = cross_entropy_of_differences(positive.double(), negatives.double())
    assert out.item() == pytest.approx(exact.item(), rel=2 * torch.finfo(half).eps)


def test_compiles_into_one_graph(compiled, normal, gradients, close):
    inputs = normal(3), normal(3, 5)
    close(compiled(bpr_loss)(*inputs), cross_entropy_of_differences(*inputs))
    close(gradients(compiled(bpr_loss), *inputs), gradients(cross_entropy_of_differences, *inputs))


def test_bad_input_is_named():
    said = r"^negatives must be \(\.\.\. m\), \.\.\. = 3 as in positive, got \(3,\)"
    with pytest.raises(ValueError, match=said):  # one negative each, without its axis: the difference would be 3 x 3
        bpr_loss(torch.zeros(3), torch.zeros(3))
    with pytest.raises(ValueError, match=said):
        bpr_loss_numpy(np.zeros(3), np.zeros(3))
    with pytest.raises(ValueError, match=r"^negatives has an empty axis"):
        bpr_loss(torch.zeros(3), torch.zeros(3, 0))
