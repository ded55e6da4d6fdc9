import itertools
import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from recattn_mini.training.sampled_softmax_loss import sampled_softmax_loss, sampled_softmax_loss_numpy

BOTH = pytest.mark.parametrize("f", [sampled_softmax_loss, sampled_softmax_loss_numpy])


def cross_entropy_of_candidates(positive, negatives, log_q_positive, log_q_negatives, hits=None):
    """torch's cross-entropy over the candidates that are left, target by target; candidate 0 is the target."""
    log_q_positive = torch.as_tensor(log_q_positive, dtype=torch.float64).broadcast_to(positive.shape)
    log_q_negatives = torch.as_tensor(log_q_negatives, dtype=torch.float64).broadcast_to(negatives.shape)
    hits = torch.zeros(negatives.shape).bool() if hits is None else hits.broadcast_to(negatives.shape)
    losses = []
    for at in itertools.product(*map(range, positive.shape)):
        left = (negatives[at] - log_q_negatives[at])[~hits[at]]
        logits = torch.cat([(positive[at] - log_q_positive[at]).reshape(1), left])
        losses.append(F.cross_entropy(logits, torch.tensor(0)))
    return torch.stack(losses).mean()


CASES = [
    "3 axes",
    "no hits",
    "shared log Q",
    "numbers",
    "all hits",
    "one of each",
    "beyond 1000",
    "10000",
    "a view",
]


@pytest.fixture(params=CASES)
def case(request, normal):
    positive, negatives, log_q_positive, log_q_negatives = normal(3, 5), normal(3, 5, 7), normal(3, 5), normal(3, 5, 7)
    hits = normal(3, 5, 7) > 0.7
    match request.param:
        case "no hits":
            hits = None
        case "shared log Q":
            log_q_negatives, hits = log_q_negatives[0, 0], hits[0, 0]
        case "numbers":
            log_q_positive, log_q_negatives = 0.0, math.log(7 / 11)
        case "all hits":
            hits[1, 2] = True
        case "one of each":
            positive, log_q_positive = positive[:1, 0], log_q_positive[:1, 0]
            negatives, log_q_negatives, hits = (x[:1, 0, :1] for x in (negatives, log_q_negatives, hits))
        case "beyond 1000":
            negatives = negatives + 2000 * negatives.sign()
        case "10000":
            positive, negatives = 1e4 * positive, 1e4 * negatives
        case "a view":
            positive, negatives, hits = positive.mT, negatives.transpose(0, 1), hits.transpose(0, 1)
            log_q_positive, log_q_negatives = log_q_positive.mT, log_q_negatives.transpose(0, 1)
    return positive, negatives, log_q_positive, log_q_negatives, hits


@BOTH
def test_equals_torch(f, case, call, close):
    close(call(f, *case), cross_entropy_of_candidates(*case))


def test_gradient_equals_autograd(case, gradients, close):
    close(gradients(sampled_softmax_loss, *case), gradients(cross_entropy_of_candidates, *case))


def test_finite_differences(normal):
    inputs = [normal(*shape).requires_grad_() for shape in [(3,), (3, 5), (3,), (5,)]]
    hits = torch.tensor([[False] * 5, [True] * 5, [True, False, False, True, False]])
    assert torch.autograd.gradcheck(sampled_softmax_loss, (*inputs, hits))


@BOTH
def test_negatives_that_are_all_hits_cost_nothing(f, normal, call):
    assert call(f, normal(3), normal(3, 5), normal(3), normal(5), torch.ones(5).bool()).item() == 0


@BOTH
def test_uniform_log_q_is_forgotten(f, normal, call, close):
    inputs, hits = (normal(3), normal(3, 5)), normal(3, 5) > 1
    close(call(f, *inputs, -7.5, -7.5, hits), call(f, *inputs, 0.0, 0.0, hits))


# What logQ is for, without sampling: over a catalogue this small, everything that can be drawn is enumerated.

SCORES = torch.tensor([0.3, 1.2, -0.5, 0.8], dtype=torch.float64)
CHANCES = torch.tensor([0.5, 0.1, 0.15, 0.25], dtype=torch.float64)  # of being drawn: item 0 is popular


def all_draws(m):
    """Every multiset of m items drawn with CHANCES, and its probability."""
    for draw in itertools.combinations_with_replacement(range(4), m):
        counts = [draw.count(item) for item in range(4)]
        ways = math.factorial(m) // math.prod(map(math.factorial, counts))
        yield torch.tensor(draw), ways * math.prod(q**c for q, c in zip(CHANCES.tolist(), counts, strict=True))


def all_subsets():
    """Every set of items that may be drawn, each item by itself with its chance, and the probability of the set."""
    for drawn in itertools.product([False, True], repeat=4):
        yield torch.tensor(drawn), math.prod(q if d else 1 - q for q, d in zip(CHANCES.tolist(), drawn, strict=True))


def test_the_draws_are_all_there():
    assert math.fsum(p for _, p in all_draws(6)) == pytest.approx(1, abs=1e-12)
    assert math.fsum(p for _, p in all_subsets()) == pytest.approx(1, abs=1e-12)


@BOTH
@pytest.mark.parametrize("m", [1, 2, 5])
@pytest.mark.parametrize("target", range(4))
def test_the_sum_is_right_on_average_for_any_number_of_negatives(f, m, target, call):
    """exp(loss + s₊) is the sum over the candidates; its mean is the sum over the catalogue."""
    positive, mean = SCORES[target].reshape(1), 0.0
    for draw, p in all_draws(m):
        loss = call(f, positive, SCORES[draw][None], 0.0, (m * CHANCES[draw]).log(), draw == target)
        mean += p * (loss + positive).exp().item()
    assert mean == pytest.approx(SCORES.exp().sum().item(), rel=1e-12)


def distance_to_the_full_gradient(m, target, log_q, leave_hits=False):
    scores = SCORES.clone().requires_grad_()
    mean = sum(
        p
        * sampled_softmax_loss(
            scores[target].reshape(1), scores[draw][None], 0.0, log_q(m, draw), (draw == target) & (not leave_hits)
        )
        for draw, p in all_draws(m)
    )
    full = F.cross_entropy(scores[None], torch.tensor([target]))
    ours, theirs = (torch.autograd.grad(loss, scores)[0] for loss in (mean, full))
    return (ours - theirs).abs().max().item()


@pytest.mark.parametrize("target", [0, 1])
def test_with_more_negatives_the_gradient_becomes_the_full_softmax_s(target):
    few, many, more = (
        distance_to_the_full_gradient(m, target, lambda m, draw: (m * CHANCES[draw]).log()) for m in (4, 8, 16)
    )
    assert many < 0.6 * few  # it shrinks like 1/m
    assert more < 0.6 * many
    assert more < 0.06


@pytest.mark.parametrize("target", [0, 1])
def test_without_log_q_it_never_does(target):
    distances = [distance_to_the_full_gradient(m, target, lambda m, draw: 0.0) for m in (4, 8, 16)]
    uniform = [distance_to_the_full_gradient(m, target, lambda m, draw: math.log(m / 4)) for m in (4, 8, 16)]
    assert min(distances + uniform) > 0.1


def test_with_hits_left_in_the_target_is_counted_twice():
    clean, spoilt = (
        distance_to_the_full_gradient(16, 0, lambda m, draw: (m * CHANCES[draw]).log(), leave_hits=leave)
        for leave in (False, True)
    )
    assert spoilt > 1.5 * clean


LIKELY = torch.tensor([0.4, 0.3, 0.2, 0.1], dtype=torch.float64)  # what a user takes next


def expected_gradient(scores, log_q):
    """Over what the user takes and over what is drawn beside it."""
    scores = scores.clone().requires_grad_()
    mean = torch.zeros((), dtype=torch.float64)
    for target, likely in enumerate(LIKELY.tolist()):
        for drawn, p in all_subsets():
            left_out = ~drawn | (torch.arange(4) == target)
            mean = mean + likely * p * sampled_softmax_loss(
                scores[target].reshape(1), scores[None], log_q[target].reshape(1), log_q, left_out
            )
    return torch.autograd.grad(mean, scores)[0]


def test_with_log_q_the_true_probabilities_are_learnt_from_any_number_of_negatives():
    """One negative on average: the gradient is 0 at s = log P, to the last digit."""
    assert expected_gradient(LIKELY.log() + 7, CHANCES.log()).abs().max() < 1e-15


def test_without_log_q_popular_items_are_pushed_down():
    none = torch.zeros(4, dtype=torch.float64)
    gradient = expected_gradient(LIKELY.log(), none)
    assert gradient.argmax() == CHANCES.argmax()  # a step goes down the gradient
    assert gradient[0] > 0.05
    assert gradient[1] < -0.05  # drawn most rarely
    # it ends where every score is too low by the logarithm of its popularity
    assert expected_gradient(LIKELY.log() - CHANCES.log(), none).abs().max() < 1e-15


def test_negatives_from_the_batch(normal, call, close):
    """The scores (b b), as they are: the diagonal is a hit, and so are other users with the same target."""
    scores, items = normal(5, 5), torch.tensor([50, 181, 50, 7, 100])
    log_q = torch.tensor([2, 1, 2, 1, 1]).double().log()
    logits = scores - log_q
    logits[0, 2] = logits[2, 0] = -math.inf
    ours = call(sampled_softmax_loss, scores.diagonal(), scores, log_q, log_q, items[:, None] == items)
    close(ours, F.cross_entropy(logits, torch.arange(5)))


def test_half_precision(half, normal):
    positive, negatives, log_q = normal(101).to(half), (4 * normal(101, 7)).to(half), normal(7).to(half)
    out = sampled_softmax_loss(positive, negatives, 0.0, log_q, negatives > 6)
    assert out.dtype == half
    exact = cross_entropy_of_candidates(positive.double(), negatives.double(), 0.0, log_q.double(), negatives > 6)
    assert out.item() == pytest.approx(exact.item(), rel=4 * torch.finfo(half).eps)  # s - log Q is rounded once more


def test_compiles_into_one_graph(compiled, normal, gradients, close):
    inputs = normal(3), normal(3, 5), normal(3), normal(5), normal(3, 5) > 0
    close(compiled(sampled_softmax_loss)(*inputs), cross_entropy_of_candidates(*inputs))
    close(gradients(compiled(sampled_softmax_loss), *inputs), gradients(cross_entropy_of_candidates, *inputs))


def test_bad_input_is_named():
    positive, negatives, log_q = torch.zeros(3), torch.zeros(3, 5), torch.zeros(5)
    with pytest.raises(ValueError, match=r"^negatives must be \(\.\.\. m\), \.\.\. = 3 as in positive, got \(5,\)"):
        sampled_softmax_loss(positive, log_q, 0.0, log_q)
    with pytest.raises(ValueError, match=r"^log_q_negatives must broadcast to \(\.\.\. m\), .* got \(3,\)"):
        sampled_softmax_loss(positive, negatives, 0.0, positive)
    with pytest.raises(ValueError, match=r"^log_q_positive must broadcast to \(\.\.\.\), .* got \(3, 1\)"):
        sampled_softmax_loss(positive, negatives, positive[:, None], log_q)
    with pytest.raises(ValueError, match=r"^hits must be bool"):
        sampled_softmax_loss(positive, negatives, 0.0, log_q, negatives)
    with pytest.raises(ValueError, match=r"^negatives must be a numpy\.ndarray"):
        sampled_softmax_loss_numpy(np.zeros(3), negatives, 0.0, 0.0)
