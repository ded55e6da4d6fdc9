"""Spec of sampled_softmax_loss: log Q off every logit, the target's too; hits out; the target among its rivals."""

import math

import torch
import torch.nn.functional as F

from recattn_mini.exercises.spec import (
    drawn_once,
    finite,
    float64,
    gradients,
    mistakes_of,
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


@drawn_once
def inputs() -> dict[str, tuple]:
    positive, negatives, log_q, log_qs = random_tensors((5,), (5, 7), (5,), (5, 7))
    some = torch.rand(5, 7, generator=torch.Generator().manual_seed(0)) < 0.3
    some[1], some[3] = True, False
    views = [x.movedim(-1, 0) for x in random_tensors((3,), (7, 3), (3,), (7, 3), seed=2)]
    positions = random_tensors((2, 3), (2, 3, 5), (2, 3), (2, 3, 5), seed=3)
    one = random_tensors((1,), (1, 3), (1,), (1, 3), seed=4)
    rows, ahead = float64([2000, -2000, 0, 1500, -900]), float64([900, 0, -800, 0, -1200])
    far = float64([2000, -2000, -1500, 1500, -900])  # without a maximum taken off, it is NaN in every row, in any form
    below = float64([-20000, -3e9, -15000, 15000, -9000])  # the negatives of the second are all hits: it costs 0
    square = random_tensors((4,), (4, 4), (4,), (4,), seed=5)
    return {
        "typical": (positive, negatives, log_q, log_qs, None),
        "hits": (positive, negatives, log_q, log_qs, some),
        "hits for all": (positive, negatives, log_q, log_qs[0], some[0]),
        "as many targets as negatives": (*square, some[:4, 1:5]),
        "shared negatives": (positive, negatives, log_q, log_qs[0], None),
        "hits far away": (positive + below, negatives + below[:, None] + 4e9 * some, log_q, log_qs, some),
        "hits above": (positive, negatives + 1000 * some, log_q, log_qs, some),
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


def check_equal_sizes(f):
    "the same where there are as many targets as negatives: (m) belongs to the negatives, and hits alone are left out"
    _agrees(f, "as many targets as negatives")


def check_hits(f):
    "a negative that is the target itself counts for nothing, whatever the scores; where all are, the loss is 0"
    _agrees(f, "hits", "hits for all", "hits far away", "hits above")


def check_large_scores(f):
    "scores beyond 1,000 neither overflow nor vanish, in whatever row they stand; a target may be far from its rivals"
    _agrees(f, "large", "far apart")


@torch_only
def check_gradient(f):
    "the gradient of the target and of its negatives is that of cross-entropy, and finite where all negatives are hits"
    got, want = (gradients(g, *inputs()["typical"])[:2] for g in (f, expected))
    same(got, want, tuple(f"the gradient of {name}" for name in NAMES))
    finite(gradients(f, *inputs()["hits"])[:2], NAMES)


def corrected(positive, negatives, q, qs):
    return positive - q, negatives - qs


def without(rivals, hits, fill=-torch.inf):
    return rivals if hits is None else rivals.masked_fill(hits, fill)


def beside(target, rivals):
    return torch.cat([target.unsqueeze(-1), rivals], -1)


def shares(target, rivals):
    return torch.softmax(beside(target, rivals), -1)


def losses(target, rivals):
    """One for each target."""
    return torch.logsumexp(beside(target, rivals), -1) - target


def answer(
    positive,
    negatives,
    q,
    qs,
    hits=None,
    *,
    corrected=corrected,
    without=without,
    fill=-torch.inf,
    losses=losses,
    reduce=lambda x, hits: x.mean(),
):
    """What is right; q and qs are log Q of the target and of the negatives."""
    target, rivals = corrected(positive, negatives, q, qs)
    return reduce(losses(target, without(rivals, hits, fill)), hits)


def _exp(log_q):
    return torch.as_tensor(log_q, dtype=torch.float64).exp()


def _told_by_size(s, n, q, qs):
    for_targets = getattr(qs, "shape", None) == s.shape
    return corrected(s, n, q, qs.unsqueeze(-1) if for_targets else qs)


def _side_by_side(s, n, q, qs):
    logits = beside(s, n) - torch.cat([q.unsqueeze(-1), qs], -1)
    return logits[..., 0], logits[..., 1:]


def _diagonal_too(rivals, hits, fill):
    square = rivals.dim() == 2 and rivals.shape[0] == rivals.shape[1]
    return without(without(rivals, hits), torch.eye(len(rivals), dtype=torch.bool) if square else None)


def _one_list(rivals, hits, fill):
    if hits is None:
        return rivals
    left = rivals[~hits.expand(rivals.shape)]
    return left.expand(*rivals.shape[:-1], len(left))


def _shifted_by(top):
    def shifted(target, rivals):
        top_of_row = top(target, rivals)
        return (beside(target, rivals) - top_of_row).exp().sum(-1).log() + top_of_row.squeeze(-1) - target

    return shifted


def _rivals_alone(target, rivals):
    top = rivals.amax(-1, keepdim=True)
    alone = (rivals - top).exp().sum(-1).log() + top.squeeze(-1)  # -inf - (-inf), where all are hits
    return F.softplus(alone - target)


def _softmax_twice(target, rivals):
    weights = shares(target, rivals)
    return losses(weights[..., 0], weights[..., 1:])


CORRECTED = {
    "not_corrected": (
        "no log Q, or one for all, which cancels: popular items, drawn more often, are pushed down. Each its own",
        lambda s, n, q, qs: (s, n),
    ),
    "log_q_added": ("log Q is added, popular items lose twice: s - log Q", lambda s, n, q, qs: (s + q, n + qs)),
    "target_as_it_is": ("log_q_positive is not taken off the score of the target", lambda s, n, q, qs: (s, n - qs)),
    "negatives_as_they_are": ("log_q_negatives is not taken off the negatives", lambda s, n, q, qs: (s - q, n)),
    "q_for_log_q": ("Q itself is taken off, not its logarithm", lambda s, n, q, qs: (s - _exp(q), n - _exp(qs))),
    "scores_divided": ("the scores are divided by Q: it is s - log Q", lambda s, n, q, qs: (s / _exp(q), n / _exp(qs))),
    "counted_twice": (
        "log m is taken off as well, by a mean of the negatives for their sum: Q counts all m draws already",
        lambda s, n, q, qs: (s - q, n - qs - math.log(n.shape[-1])),
    ),
    "log_q_side_by_side": ("log_q_negatives was laid beside log_q_positive, and may be (m) for all", _side_by_side),
    "log_q_with_axes": (
        "log Q is given an axis, or a shape: where it is a number it has none",
        lambda s, n, q, qs: _side_by_side(s, n, q, qs.expand(n.shape)),
    ),
    "told_by_size": ("log_q_negatives, (m), is taken for one of each target where there are as many", _told_by_size),
    "detached_target": ("the target is detached, and not pushed up", lambda s, n, q, qs: (s.detach() - q, n - qs)),
    "detached_negatives": (
        "the negatives are detached, and not pushed down",
        lambda s, n, q, qs: (s - q, n.detach() - qs),
    ),
}
WITHOUT = {
    "hits_left_in": ("the hits are not used: the target is pushed down as its own negative", lambda n, hits, fill: n),
    "hits_upside_down": (
        "the hits are upside down: True is a negative that is the target, and leaves",
        lambda n, hits, fill: without(n, None if hits is None else ~hits),
    ),
    "hits_lowered": (
        "-1e9 is added to hits: a score may be above that",
        lambda n, hits, _: n if hits is None else n - 1e9 * hits,
    ),
    "hits_indexed": ("negatives[~hits] is one list for all targets: make the logits of hits -inf", _one_list),
    "diagonal_left_out": (
        "the diagonal is left out of square scores: hits alone say what the target is",
        _diagonal_too,
    ),
}
FILL = {
    "hits_become_minus_100": ("the logits of hits are -100: a score may be below that, -inf is not", -100.0),
    "hits_become_minus_1000": ("the logits of hits are -1,000: a score may be below that, -inf is not", -1e3),
    "hits_become_0": ("the logits of hits are 0: exp(0) is 1, a rival like any other", 0.0),
    "hits_become_minus_10_000": ("the logits of hits are -10,000: a score may be below that, -inf is not", -1e4),
    "hits_become_minus_100_000": ("the logits of hits are -100,000: a score may be below that, -inf is not", -1e5),
    "hits_become_minus_1e9": ("the logits of hits are -1e9: a score may be below that, -inf is not", -1e9),
}
LOSSES = {
    "shifted_by_the_target": (
        "log of a softmax, or of 1 + Σ exp(s - s₊): with a rival 750 ahead it is infinite. Shift by the maximum",
        lambda s, n: (n - s.unsqueeze(-1)).exp().sum(-1).log1p(),
    ),
    "no_target": ("the target is missing in the sum, log Σ exp(s)", lambda s, n: torch.logsumexp(n, -1) - s),
    "nan_patched_up": (
        "the NaN of a target whose negatives are all hits is patched up: its gradient is still NaN. Sum the target in",
        lambda s, n: _rivals_alone(s, n).nan_to_num(0),
    ),
    "rivals_alone": (
        "the rivals are summed up alone, shifted by the largest: where all are hits, -inf - (-inf) is NaN. "
        "Put the target among them",
        _rivals_alone,
    ),
    "mean_inside": ("the mean of exp(s), not the sum", lambda s, n: losses(s, n) - math.log(n.shape[-1] + 1)),
    "hardest_negative": ("only the largest negative is in the sum", lambda s, n: losses(s, n.amax(-1, keepdim=True))),
    "not_shifted": (
        "exp without the maximum of the row taken off: scores beyond 710 overflow, those below -745 vanish",
        lambda s, n: beside(s, n).exp().sum(-1).log() - s,
    ),
    "one_maximum": (
        "one maximum for all rows, and those far below vanish: the row's own",
        _shifted_by(lambda s, n: beside(s, n).max().detach().reshape(1)),
    ),
    "shifted_by_the_largest_negative": (
        "shifted by the largest negative: a target far above overflows, where all are hits it is NaN. The row's own",
        _shifted_by(lambda s, n: n.amax(-1, keepdim=True)),
    ),
    "not_put_back": ("the maximum is not put back", lambda s, n: losses(s, n) - beside(s, n).amax(-1).detach()),
    "epsilon_in_the_logarithm": (
        "1e-7 within the logarithm: a target far behind costs 16 at most, and learns nothing. Use log-sum-exp",
        lambda s, n: -(shares(s, n)[..., 0] + 1e-7).log(),
    ),
    "label_of_a_negative": (
        "the label points at a negative, not at the target",
        lambda s, n: -shares(s, n)[..., 1].log(),
    ),
    "last_label": (
        "the label points at the last negative, not at the target",
        lambda s, n: -shares(s, n)[..., -1].log(),
    ),
    "softmax_twice": ("the softmax twice: cross-entropy takes logits, and was given probabilities", _softmax_twice),
    "bce": ("a sigmoid for each: that is BCE", lambda s, n: -F.logsigmoid(s) - F.logsigmoid(-n).sum(-1)),
    "pairs": ("pairs of the target and each negative: that is BPR", lambda s, n: -F.logsigmoid(s.unsqueeze(-1) - n)),
    "over_the_targets": (
        "the softmax runs over the targets, not over candidates",
        lambda s, n: -torch.log_softmax(beside(s, n), 0)[..., 0],
    ),
    "counted_from_the_front": (
        "axis 1 is the last one of (b m), not of (b s m), a loss at every position. Count from the end, -1",
        lambda s, n: torch.logsumexp(torch.cat([s[:, None], n], 1), 1) - s,
    ),
}
REDUCE = {
    "summed": ("the sum over targets, not their mean", lambda x, hits: x.sum()),
    "divided_by_rows": ("divided by the number of rows, not of targets", lambda x, hits: x.sum() / len(x)),
    "not_averaged": ("one loss for each target: take their mean", lambda x, hits: x),
    "mean_of_the_last_axis": (
        "only the last axis is averaged: a loss is one number",
        lambda x, hits: x.mean(-1) if x.dim() > 1 else x.mean(),
    ),
    "log_of_the_mean": (
        "the logarithm of the mean: it is the mean of logarithms",
        lambda x, _: -(-x).exp().mean().log(),
    ),
    "negated": ("the sign: this is the log-likelihood, the loss is its negative", lambda x, hits: -x.mean()),
    "in_bits": ("logarithms to base 2: nats are asked for", lambda x, hits: x.mean() / math.log(2)),
    "all_hits_left_out": (
        "a target whose negatives are all hits is left out of the mean: it costs 0, and counts",
        lambda x, hits: x.mean() if hits is None else x[~hits.all(-1).expand(x.shape)].mean(),
    ),
}
OF_PARTS = mistakes_of(answer, corrected=CORRECTED, without=WITHOUT, fill=FILL, losses=LOSSES, reduce=REDUCE)


@wrong("corrected in the sum, but not where it is subtracted from: the same logit stands in both places")
def corrected_in_the_sum_only(positive, negatives, q, qs, hits=None):
    return answer(positive, negatives, q, qs, hits) - torch.as_tensor(q).mean()


@wrong("log Q comes off the log-softmax, where it is a constant that no gradient knows: take it off the logits")
def corrected_after_the_softmax(positive, negatives, q, qs, hits=None):
    return answer(positive, negatives, 0, 0, hits) + torch.as_tensor(q).mean()


@wrong("the hits get the target's own logit: it counts once more for each. Make them -inf")
def hits_become_the_target(positive, negatives, q, qs, hits=None):
    target, rivals = corrected(positive, negatives, q, qs)
    return losses(target, rivals if hits is None else torch.where(hits, target.unsqueeze(-1), rivals)).mean()


@wrong("the scores of hits are 0 before log Q comes off: they are rivals of score 0. Make their logits -inf")
def scores_of_hits_become_0(positive, negatives, q, qs, hits=None):
    return answer(positive, without(negatives, hits, 0.0), q, qs)


@wrong("exp without the maximum of the row taken off, hits times 0: inf · 0 is NaN. Make hits -inf, then log-sum-exp")
def hits_times_0(positive, negatives, q, qs, hits=None):
    target, rivals = corrected(positive, negatives, q, qs)
    return ((target.exp() + (rivals.exp() * (1 if hits is None else ~hits)).sum(-1)).log() - target).mean()


@wrong("a target with a hit is left out altogether: only the hit is")
def targets_with_hits_left_out(positive, negatives, q, qs, hits=None):
    of_targets = losses(*corrected(positive, negatives, q, qs))
    return (of_targets if hits is None else of_targets[~hits.any(-1).expand(of_targets.shape)]).mean()


@right
def by_cross_entropy(positive, negatives, q, qs, hits=None):
    logits = beside(positive - q, without(negatives - qs, hits, torch.finfo(negatives.dtype).min))
    logits = logits.reshape(-1, logits.shape[-1])
    return F.cross_entropy(logits, torch.zeros(len(logits), dtype=torch.long))


@right
def against_the_target(positive, negatives, q, qs, hits=None):
    ahead = (negatives - qs) - (positive - q).unsqueeze(-1)  # the target's own is 0
    return torch.logsumexp(beside(torch.zeros_like(positive), without(ahead, hits)), -1).mean()


@right
def target_by_target(positive, negatives, q, qs, hits=None):
    hits = torch.zeros(()) if hits is None else hits
    m, found = negatives.shape[-1], []
    q = torch.as_tensor(q).expand(positive.shape).reshape(-1)
    rows = (torch.as_tensor(x).expand(negatives.shape).reshape(-1, m) for x in (negatives, qs, hits))
    for s, log_q, others, log_qs, is_hit in zip(positive.reshape(-1), q, *rows, strict=True):
        left = [s - log_q] + [other - p for other, p, hit in zip(others, log_qs, is_hit, strict=True) if not hit]
        top = max(x.item() for x in left)
        found.append(sum((x - top).exp() for x in left).log() + top - left[0])
    return sum(found) / len(found)
