import itertools
import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from recattn_mini.training.gbce_loss import gbce_loss, gbce_loss_numpy

BOTH = pytest.mark.parametrize("f", [gbce_loss, gbce_loss_numpy])
N = 101


def formula_of_the_paper(positive, negatives, n, t):
    """Term by term over Python's floats: a probability raised to a power, logarithms of probabilities."""
    m = len(negatives[0])
    alpha = m / (n - 1)
    beta = alpha * (t * (1 - 1 / alpha) + 1 / alpha)

    def sigma(s):
        return 1 / (1 + math.exp(-s))

    rows = [
        -(math.log(sigma(s) ** beta) + math.fsum(math.log(1 - sigma(other)) for other in others)) / (m + 1)
        for s, others in zip(positive, negatives, strict=True)
    ]
    return math.fsum(rows) / len(rows)


def weighted_cross_entropy(positive, negatives, n, t):
    """torch's own, over positive and negatives side by side; `weight` makes the positive's term β times as heavy."""
    m = negatives.shape[-1]
    logits = torch.cat([positive[..., None], negatives], -1)
    labels, weight = torch.zeros_like(logits), torch.ones_like(logits)
    labels[..., 0], weight[..., 0] = 1, 1 - t + t * m / (n - 1)
    return F.binary_cross_entropy_with_logits(logits, labels, weight=weight)


@pytest.fixture(params=["3 axes", "one negative", "all items", "one row", "beyond 1000", "10000", "a view"])
def scores(request, normal):
    positive, negatives = 3 * normal(3, 5), 3 * normal(3, 5, 7)
    match request.param:
        case "one negative":
            return positive, negatives[..., :1]
        case "all items":
            return positive, normal(3, 5, N - 1)
        case "one row":
            return positive[0, :1], negatives[0, :1]
        case "beyond 1000":
            return positive + 1000 * positive.sign(), negatives + 1000 * negatives.sign()
        case "10000":
            return 1e4 * positive, 1e4 * negatives
        case "a view":
            return positive.mT, negatives.transpose(0, 1)
    return positive, negatives


@BOTH
@pytest.mark.parametrize("t", [0.0, 0.75, 1.0])
def test_equals_torch(f, scores, t, call, close):
    close(call(f, *scores, N, t), weighted_cross_entropy(*scores, N, t))


def test_gradient_equals_autograd(scores, gradients, close):
    close(gradients(gbce_loss, *scores, N, 0.75), gradients(weighted_cross_entropy, *scores, N, 0.75))


@BOTH
@pytest.mark.parametrize("t", [0.0, 0.3, 0.75, 1.0])
@pytest.mark.parametrize("m", [1, 7, 256])
def test_equals_the_formula_of_the_paper(f, m, t, normal, call):
    positive, negatives = normal(5), normal(5, m)
    expected = formula_of_the_paper(positive.tolist(), negatives.tolist(), 3417, t)
    assert call(f, positive, negatives, 3417, t).item() == pytest.approx(expected, rel=1e-11)


@BOTH
def test_without_calibration_it_is_bce(f, normal, call, close):
    positive, negatives = normal(5), normal(5, 7)
    logits = torch.cat([positive[:, None], negatives], -1)
    close(
        call(f, positive, negatives, N, 0.0),
        F.binary_cross_entropy_with_logits(logits, (torch.arange(8) == 0).expand(5, 8).double()),
    )


@BOTH
@pytest.mark.parametrize(
    ("positive", "negatives", "n", "t", "loss"),
    [
        ([0], [[0, 0]], 5, 1.0, 2.5 / 3 * math.log(2)),  # α = 2/4 = β
        ([-1e4], [[-1e4]], 101, 1.0, 50),  # β = 1/100, and σ(-10000) is 0
        ([1e4], [[1e4]], 101, 1.0, 5000),
    ],
)
def test_worked_by_hand(f, positive, negatives, n, t, loss, call):
    inputs = torch.tensor(positive, dtype=torch.float64), torch.tensor(negatives, dtype=torch.float64)
    assert call(f, *inputs, n, t).item() == pytest.approx(loss, rel=1e-12)


LIKELY = torch.tensor([0.4, 0.3, 0.15, 0.1, 0.05], dtype=torch.float64)  # what a user takes next, of five items


@pytest.mark.parametrize("m", [1, 2, 4])
@pytest.mark.parametrize(
    ("t", "learnt"),
    [(1.0, lambda p, alpha: p), (0.0, lambda p, alpha: p / (p + alpha * (1 - p)))],
    ids=["calibrated", "overconfident"],
)
def test_what_it_learns(m, t, learnt, close):
    """Where the gradient vanishes, over all that can be taken and all sets of m others that can be drawn."""
    scores = learnt(LIKELY, m / 4).logit().requires_grad_()
    mean = torch.zeros((), dtype=torch.float64)
    for target, p in enumerate(LIKELY.tolist()):
        sets = list(itertools.combinations([item for item in range(5) if item != target], m))
        negatives = torch.tensor(sets)
        mean = mean + p * gbce_loss(scores[target].expand(len(sets)), scores[negatives], 5, t)
    gradient = torch.autograd.grad(mean, scores)[0]
    close(gradient, torch.zeros(5, dtype=torch.float64), 1e-15)


def test_half_precision(half, normal):
    positive, negatives = normal(101).to(half), (4 * normal(101, 7)).to(half)
    out = gbce_loss(positive, negatives, N, 0.75)
    assert out.dtype == half
    exact = weighted_cross_entropy(positive.double(), negatives.double(), N, 0.75)
    assert out.item() == pytest.approx(exact.item(), rel=2 * torch.finfo(half).eps)


def test_compiles_into_one_graph(compiled, normal, gradients, close):
    inputs = normal(3), normal(3, 5), N, 0.75
    close(compiled(gbce_loss)(*inputs), weighted_cross_entropy(*inputs))
    close(gradients(compiled(gbce_loss), *inputs), gradients(weighted_cross_entropy, *inputs))


@pytest.mark.parametrize(
    ("n", "t", "said"),
    [
        (7, 1.0, "^n must be more than the m = 7 negatives that are drawn from it, got 7"),
        (0, 1.0, "^n must be a whole number from 1, got 0"),
        (N, 1.5, r"^t must be from 0 \(plain BCE\) to 1 \(calibrated\), got 1\.5"),
        (N, math.nan, "^t must be from 0"),
    ],
)
def test_bad_numbers_are_named(n, t, said):
    with pytest.raises(ValueError, match=said):
        gbce_loss(torch.zeros(3), torch.zeros(3, 7), n, t)
    with pytest.raises(ValueError, match=said):
        gbce_loss_numpy(np.zeros(3), np.zeros((3, 7)), n, t)


def test_bad_scores_are_named():
    with pytest.raises(ValueError, match=r"^negatives must be \(\.\.\. m\), \.\.\. = 3 as in positive, got \(7,\)"):
        gbce_loss(torch.zeros(3), torch.zeros(7), N, 1.0)
