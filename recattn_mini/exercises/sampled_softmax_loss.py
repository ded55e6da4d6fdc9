"""Spec of sampled_softmax_loss: log Q off every logit, the target's too; hits out; the target among its rivals."""

import math

import torch
import torch.nn.functional as F

from recattn_mini.exercises.spec import (
    finite,
    float64,
    gradients,
    random_tensors,
    right,
    same,
    teaching,
    torch_only,
    wrong,
)
from recattn_mini.training.sampled_softmax_loss import sampled_softmax_loss, sampled_softmax_loss_numpy

NAMES = ("positive", "negatives")
LEVEL, MINUTES = "medium", 15
HINTS = (
    "Of some candidates one is the true item, the others were drawn. It is item j with odds P_j / Q_j: which logit is "
    "the logarithm of that?",
    "Take log Q off every score, the target's too; a negative that is the target itself gets -inf. What is left is a "
    "cross-entropy over the target and its negatives.",
    "logits = [positive - log_q_positive, negatives - log_q_negatives, -inf where hits]; the mean of "
    "logsumexp(logits) - logits[..., 0], each row shifted by its own maximum.",
)
FORBIDDEN = ("tensorflow.nn.sampled_softmax_loss", "tensorflow.nn.nce_loss")


def inputs() -> dict[str, tuple]:
    positive, negatives, log_q, log_qs = random_tensors((5,), (5, 7), (5,), (5, 7))
    some = torch.rand(5, 7, generator=torch.Generator().manual_seed(0)) < 0.3
    some[1], some[3] = True, False
    views = [x.movedim(-1, 0) for x in random_tensors((3,), (7, 3), (3,), (7, 3), seed=2)]
    positions = random_tensors((2, 3), (2, 3, 5), (2, 3), (2, 3, 5), seed=3)
    one = random_tensors((1,), (1, 3), (1,), (1, 3), seed=4)
    rows, ahead = float64([2000, -2000, 0, 1500, -900]), float64([900, 0, -800, 0, -1200])
    far = float64([2000, -2000, -1500, 1500, -900])  # without a maximum taken off, it is NaN in every row, in any form
    below = float64([-20000, -20000, -15000, 15000, -9000])
    return {
        "typical": (positive, negatives, log_q, log_qs, None),
        "hits": (positive, negatives, log_q, log_qs, some),
        "shared negatives": (positive, negatives, log_q, log_qs[0], None),
        "hits far below": (positive + below, negatives + below[:, None], log_q, log_qs, some),
        "large": (positive + rows, negatives + rows[:, None], log_q, log_qs, None),
        "far apart": (positive + far + ahead, negatives + far[:, None], log_q, log_qs, None),
        "views": (*views, None),
        "positions": (*positions, None),
        "one": (*one, None),
        "numbers": (positive, negatives, -1.5, -2.5, None),
    }


def expected(positive, negatives, log_q_positive, log_q_negatives, hits=None):
    """PyTorch's cross-entropy; candidate 0 is the target."""
    rivals = negatives - log_q_negatives
    rivals = rivals if hits is None else rivals.masked_fill(hits, -torch.inf)
    logits = torch.cat([(positive - log_q_positive).unsqueeze(-1), rivals], -1).flatten(0, -2)
    return F.cross_entropy(logits, torch.zeros(len(logits), dtype=torch.long))


def _agrees(f, *cases):
    for case in cases:
        same(f(*inputs()[case]), expected(*inputs()[case]))


@teaching
def check_worked_example(f):
    "equal scores: a negative that is drawn half as often as the target counts twice: log (1 + 2 + 1) = log 4"
    zero = torch.zeros(1, 2, dtype=torch.float64)
    same(f(zero[0, :1], zero, float64([0.5]).log(), float64([[0.25, 0.5]]).log(), zero != 0), float64(math.log(4)))


def check_values(f):
    "log Q off every logit, the target among its rivals, the mean over targets; of views and of one target too"
    _agrees(f, "typical", "views", "positions", "one")


def check_shared_negatives(f):
    "negatives that all targets share have one log Q each, (m); where Q is uniform it is one number"
    _agrees(f, "shared negatives", "numbers")


def check_hits(f):
    "a negative that is the target itself counts for nothing, whatever the scores; where all are, the loss is 0"
    _agrees(f, "hits", "hits far below")


def check_large_scores(f):
    "scores beyond 1,000 neither overflow nor vanish, in whatever row they stand; a target may be far from its rivals"
    _agrees(f, "large", "far apart")


@torch_only
def check_gradient(f):
    "the gradient of the target and of its negatives is that of cross-entropy, and finite where all negatives are hits"
    got, want = (gradients(g, *inputs()["typical"])[:2] for g in (f, expected))
    same(got, want, tuple(f"the gradient of {name}" for name in NAMES))
    finite(gradients(f, *inputs()["hits"])[:2], NAMES)


def _exp(log_q):
    return torch.as_tensor(log_q, dtype=torch.float64).exp()


def _without(hits, rivals, fill=-torch.inf):
    return rivals if hits is None else rivals.masked_fill(hits, fill)


def _beside(target, rivals):
    return torch.cat([target.unsqueeze(-1), rivals], -1)


def _loss(target, rivals):
    """One for each row."""
    return torch.logsumexp(_beside(target, rivals), -1) - target


@wrong("no log Q, or one for all, which cancels: popular items, drawn more often, are pushed down. Each its own")
def not_corrected(positive, negatives, log_q_positive, log_q_negatives, hits=None):
    return _loss(positive, _without(hits, negatives)).mean()


@wrong("log Q is added: popular items are pushed down twice. It is taken off: s - log Q")
def log_q_added(positive, negatives, log_q_positive, log_q_negatives, hits=None):
    return _loss(positive + log_q_positive, _without(hits, negatives + log_q_negatives)).mean()


@wrong("only the negatives are corrected: log_q_positive is taken off the target's score as well")
def only_negatives_corrected(positive, negatives, log_q_positive, log_q_negatives, hits=None):
    return _loss(positive, _without(hits, negatives - log_q_negatives)).mean()


@wrong("only the target is corrected: log_q_negatives is taken off the negatives' scores as well")
def only_the_target_corrected(positive, negatives, log_q_positive, log_q_negatives, hits=None):
    return _loss(positive - log_q_positive, _without(hits, negatives)).mean()


@wrong("Q itself is taken off, not its logarithm")
def probability_for_its_logarithm(positive, negatives, log_q_positive, log_q_negatives, hits=None):
    return _loss(positive - _exp(log_q_positive), _without(hits, negatives - _exp(log_q_negatives))).mean()


@wrong("the scores are divided by Q: it is exp(s) that is divided, so log Q comes off s")
def scores_divided(positive, negatives, log_q_positive, log_q_negatives, hits=None):
    return _loss(positive / _exp(log_q_positive), _without(hits, negatives / _exp(log_q_negatives))).mean()


@wrong("log m is taken off as well: Q is the expected number of draws, all m of them counted already")
def counted_twice(positive, negatives, log_q_positive, log_q_negatives, hits=None):
    rivals = negatives - log_q_negatives - math.log(negatives.shape[-1])
    return _loss(positive - log_q_positive, _without(hits, rivals)).mean()


@wrong("corrected in the sum, but not where it is subtracted from: the same logit stands in both places")
def corrected_in_the_sum_only(positive, negatives, log_q_positive, log_q_negatives, hits=None):
    rivals = _without(hits, negatives - log_q_negatives)
    return (torch.logsumexp(_beside(positive - log_q_positive, rivals), -1) - positive).mean()


@wrong("log Q comes off the log-softmax, where it is a constant that no gradient knows: take it off the logits")
def corrected_after_the_softmax(positive, negatives, log_q_positive, log_q_negatives, hits=None):
    return (_loss(positive, _without(hits, negatives)) + log_q_positive).mean()


@wrong("log_q_negatives was laid beside log_q_positive, and may be (m) for all targets: take each off by itself")
def log_q_side_by_side(positive, negatives, log_q_positive, log_q_negatives, hits=None):
    logits = _beside(positive, negatives) - torch.cat([log_q_positive.unsqueeze(-1), log_q_negatives], -1)
    return _loss(logits[..., 0], _without(hits, logits[..., 1:])).mean()


@wrong("log Q is given an axis, or a shape: where it is one number it has none. Take each off its scores by itself")
def log_q_with_axes(positive, negatives, log_q_positive, log_q_negatives, hits=None):
    log_q = torch.cat([log_q_positive.unsqueeze(-1), log_q_negatives.expand(negatives.shape)], -1)
    logits = _beside(positive, negatives) - log_q
    return _loss(logits[..., 0], _without(hits, logits[..., 1:])).mean()


@wrong(
    "axis 1 is the last one of (b m), not of (b s m): a loss at every position has more axes. Count from the end, -1"
)
def counted_from_the_front(positive, negatives, log_q_positive, log_q_negatives, hits=None):
    target, rivals = positive - log_q_positive, _without(hits, negatives - log_q_negatives)
    return (torch.logsumexp(torch.cat([target[:, None], rivals], 1), 1) - target).mean()


@wrong("the hits are not used: the target is pushed down as its own negative. Their logits are -inf")
def hits_left_in(positive, negatives, log_q_positive, log_q_negatives, hits=None):
    return _loss(positive - log_q_positive, negatives - log_q_negatives).mean()


@wrong("the hits are upside down: True is a negative that is the target, and leaves")
def hits_upside_down(positive, negatives, log_q_positive, log_q_negatives, hits=None):
    rivals = _without(None if hits is None else ~hits, negatives - log_q_negatives)
    return _loss(positive - log_q_positive, rivals).mean()


@wrong("the logits of hits are 0: exp(0) is 1, a rival like any other. Make them -inf")
def hits_become_0(positive, negatives, log_q_positive, log_q_negatives, hits=None):
    return _loss(positive - log_q_positive, _without(hits, negatives - log_q_negatives, 0.0)).mean()


@wrong("the logits of hits are -10,000, which is not below every score: make them -inf")
def hits_become_minus_10_000(positive, negatives, log_q_positive, log_q_negatives, hits=None):
    return _loss(positive - log_q_positive, _without(hits, negatives - log_q_negatives, -1e4)).mean()


@wrong("the hits get the target's own logit: it counts once more for each. Make them -inf")
def hits_become_the_target(positive, negatives, log_q_positive, log_q_negatives, hits=None):
    target, rivals = positive - log_q_positive, negatives - log_q_negatives
    return _loss(target, rivals if hits is None else torch.where(hits, target.unsqueeze(-1), rivals)).mean()


@wrong("the scores of hits are 0 before log Q comes off: they are rivals of score 0. Make their logits -inf")
def scores_of_hits_become_0(positive, negatives, log_q_positive, log_q_negatives, hits=None):
    return _loss(positive - log_q_positive, _without(hits, negatives, 0.0) - log_q_negatives).mean()


@wrong("a target with a hit is left out altogether: only the hit is")
def targets_with_hits_left_out(positive, negatives, log_q_positive, log_q_negatives, hits=None):
    losses = _loss(positive - log_q_positive, negatives - log_q_negatives)
    return (losses if hits is None else losses[~hits.any(-1)]).mean()


@wrong("the NaN of a target whose negatives are all hits is patched up: its gradient is still NaN. Sum the target in")
def nan_patched_up(positive, negatives, log_q_positive, log_q_negatives, hits=None):
    target, rivals = positive - log_q_positive, _without(hits, negatives - log_q_negatives)
    top = rivals.amax(-1, keepdim=True)
    alone = (rivals - top).exp().sum(-1).log() + top.squeeze(-1)  # -inf - (-inf), where all are hits
    return F.softplus(alone - target).nan_to_num(0).mean()


@wrong("the target is missing among its rivals: the sum runs over it too, or the loss falls below 0 without end")
def target_not_in_the_sum(positive, negatives, log_q_positive, log_q_negatives, hits=None):
    target = positive - log_q_positive
    rivals = _without(hits, negatives - log_q_negatives)
    return (torch.logsumexp(rivals, -1) - target).mean()


@wrong("the rivals' mean, not their sum: log (m + 1) is missing")
def mean_over_the_candidates(positive, negatives, log_q_positive, log_q_negatives, hits=None):
    rivals = _without(hits, negatives - log_q_negatives)
    return _loss(positive - log_q_positive, rivals).mean() - math.log(negatives.shape[-1] + 1)


@wrong("the negatives' mean stands beside the target: their sum does")
def mean_over_the_negatives(positive, negatives, log_q_positive, log_q_negatives, hits=None):
    rivals = _without(hits, negatives - log_q_negatives)
    total = (positive - log_q_positive).exp() + rivals.exp().mean(-1)
    return (total.log() - (positive - log_q_positive)).mean()


@wrong("exp without the row's maximum taken off: scores beyond 710 overflow, those below -745 vanish")
def not_shifted(positive, negatives, log_q_positive, log_q_negatives, hits=None):
    target, rivals = positive - log_q_positive, _without(hits, negatives - log_q_negatives)
    return (_beside(target, rivals).exp().sum(-1).log() - target).mean()


@wrong("one maximum for all rows: those far below it vanish. Take each row's own")
def shifted_by_the_global_maximum(positive, negatives, log_q_positive, log_q_negatives, hits=None):
    target, rivals = positive - log_q_positive, _without(hits, negatives - log_q_negatives)
    top = _beside(target, rivals).max().detach()
    return ((_beside(target, rivals) - top).exp().sum(-1).log() + top - target).mean()


@wrong("shifted by the largest negative: a target far above overflows, and where all are hits it is NaN. The row's own")
def shifted_by_the_largest_negative(positive, negatives, log_q_positive, log_q_negatives, hits=None):
    target, rivals = positive - log_q_positive, _without(hits, negatives - log_q_negatives)
    top = rivals.amax(-1, keepdim=True)
    return ((_beside(target, rivals) - top).exp().sum(-1).log() + top.squeeze(-1) - target).mean()


@wrong(
    "log of a softmax, or of 1 + Σ exp(s - s₊): with a rival 750 ahead the probability is 0, the sum inf. Keep to "
    "logits: the maximum + log Σ exp(s - the maximum) - s₊"
)
def shifted_by_the_target(positive, negatives, log_q_positive, log_q_negatives, hits=None):
    target, rivals = positive - log_q_positive, _without(hits, negatives - log_q_negatives)
    return (rivals - target.unsqueeze(-1)).exp().sum(-1).log1p().mean()


@wrong("the maximum is taken off and not put back")
def maximum_not_put_back(positive, negatives, log_q_positive, log_q_negatives, hits=None):
    target, rivals = positive - log_q_positive, _without(hits, negatives - log_q_negatives)
    top = _beside(target, rivals).amax(-1).detach()
    return (torch.logsumexp(_beside(target, rivals), -1) - top - target).mean()


@wrong("1e-7 within the logarithm: a target that is far behind costs 16 at most, and learns nothing. Use log-sum-exp")
def epsilon_in_the_logarithm(positive, negatives, log_q_positive, log_q_negatives, hits=None):
    rivals = _without(hits, negatives - log_q_negatives)
    weights = torch.softmax(_beside(positive - log_q_positive, rivals), -1)
    return -(weights[..., 0] + 1e-7).log().mean()


@wrong("the label points at a negative: it is the place where the target was put among its rivals")
def label_of_a_negative(positive, negatives, log_q_positive, log_q_negatives, hits=None):
    rivals = _without(hits, negatives - log_q_negatives)
    return -torch.log_softmax(_beside(positive - log_q_positive, rivals), -1)[..., 1].mean()


@wrong("the softmax twice: cross-entropy takes logits, and was given probabilities")
def softmax_twice(positive, negatives, log_q_positive, log_q_negatives, hits=None):
    rivals = _without(hits, negatives - log_q_negatives)
    weights = torch.softmax(_beside(positive - log_q_positive, rivals), -1)
    return _loss(weights[..., 0], weights[..., 1:]).mean()


@wrong("a sigmoid for each candidate: that is BCE. In a softmax they compete")
def binary_cross_entropies(positive, negatives, log_q_positive, log_q_negatives, hits=None):
    rivals = _without(hits, negatives - log_q_negatives)
    return -(F.logsigmoid(positive - log_q_positive) + F.logsigmoid(-rivals).sum(-1)).mean()


@wrong("pairs of the target and each negative: that is BPR. In a softmax all negatives stand in one sum")
def pairs(positive, negatives, log_q_positive, log_q_negatives, hits=None):
    rivals = _without(hits, negatives - log_q_negatives)
    return -F.logsigmoid((positive - log_q_positive).unsqueeze(-1) - rivals).mean()


@wrong("the softmax runs over the targets: it is the candidates of each that compete")
def over_the_targets(positive, negatives, log_q_positive, log_q_negatives, hits=None):
    rivals = _without(hits, negatives - log_q_negatives)
    return -torch.log_softmax(_beside(positive - log_q_positive, rivals), 0)[..., 0].mean()


@wrong("the sum over targets, not their mean")
def summed(positive, negatives, log_q_positive, log_q_negatives, hits=None):
    return _loss(positive - log_q_positive, _without(hits, negatives - log_q_negatives)).sum()


@wrong("divided by the number of rows: the mean is over all targets, at every position")
def divided_by_rows(positive, negatives, log_q_positive, log_q_negatives, hits=None):
    return _loss(positive - log_q_positive, _without(hits, negatives - log_q_negatives)).sum() / len(positive)


@wrong("one loss for each target: take their mean")
def not_averaged(positive, negatives, log_q_positive, log_q_negatives, hits=None):
    return _loss(positive - log_q_positive, _without(hits, negatives - log_q_negatives))


@wrong("the logarithm of the mean probability: the mean is over the logarithms")
def log_of_the_mean(positive, negatives, log_q_positive, log_q_negatives, hits=None):
    return -(-_loss(positive - log_q_positive, _without(hits, negatives - log_q_negatives))).exp().mean().log()


@wrong("the sign: this is the log-likelihood, the loss is its negative")
def negated(positive, negatives, log_q_positive, log_q_negatives, hits=None):
    return -_loss(positive - log_q_positive, _without(hits, negatives - log_q_negatives)).mean()


@wrong("logarithms to base 2: nats are asked for")
def in_bits(positive, negatives, log_q_positive, log_q_negatives, hits=None):
    return _loss(positive - log_q_positive, _without(hits, negatives - log_q_negatives)).mean() / math.log(2)


@wrong("the negatives are detached: they are never pushed down")
def negatives_detached(positive, negatives, log_q_positive, log_q_negatives, hits=None):
    return _loss(positive - log_q_positive, _without(hits, (negatives - log_q_negatives).detach())).mean()


@right
def by_cross_entropy(positive, negatives, log_q_positive, log_q_negatives, hits=None):
    logits = _beside(positive - log_q_positive, _without(hits, negatives - log_q_negatives, -1e9))
    logits = logits.reshape(-1, logits.shape[-1])
    return F.cross_entropy(logits, torch.zeros(len(logits), dtype=torch.long))


@right
def against_the_target(positive, negatives, log_q_positive, log_q_negatives, hits=None):
    ahead = (negatives - log_q_negatives) - (positive - log_q_positive).unsqueeze(-1)  # the target's own is 0
    return torch.logsumexp(_beside(torch.zeros_like(positive), _without(hits, ahead)), -1).mean()


@right
def target_by_target(positive, negatives, log_q_positive, log_q_negatives, hits=None):
    hits = torch.zeros(()) if hits is None else hits
    m, losses = negatives.shape[-1], []
    log_q = torch.as_tensor(log_q_positive).expand(positive.shape).reshape(-1)
    rows = (torch.as_tensor(x).expand(negatives.shape).reshape(-1, m) for x in (negatives, log_q_negatives, hits))
    for s, q, others, qs, is_hit in zip(positive.reshape(-1), log_q, *rows, strict=True):
        left = [s - q] + [other - p for other, p, hit in zip(others, qs, is_hit, strict=True) if not hit]
        top = max(x.item() for x in left)
        losses.append(sum((x - top).exp() for x in left).log() + top - left[0])
    return sum(losses) / len(losses)
