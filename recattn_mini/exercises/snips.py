"""Spec of snips: the rewards of the old policy's log, weighted towards the new one, over the sum of the weights."""

import torch

from recattn_mini.exercises.spec import float64, right, same, teaching, wrong
from recattn_mini.metrics.ips import snips, snips_numpy

LEVEL, MINUTES = "easy", 5
HINTS = (
    "The log shows too much of what the old policy liked. How much should a row count for the new one?",
    "A row counts w = π_new / π_log. IPS divides the sum of r · w by n; if the weights do not average 1, it can say "
    "that 140 % of the impressions were clicked. What would you divide by, so that a reward of 1 everywhere gives 1?",
    "sum(rewards * weights) / sum(weights): the weighted mean.",
)
FORBIDDEN = ()


def inputs() -> dict[str, tuple]:
    weights = float64([0.5, 2.5, 1.5, 0.25, 4, 3, 0.75, 5, 1.25, 2, 0.4])
    clicks = float64([1, 0, 0, 1, 0, 1, 0, 1, 1, 0, 0])
    return {
        "typical": (clicks, weights),
        "a view": (torch.stack([clicks, 1 - clicks], 1)[2:9, 0], torch.stack([weights, weights], 1)[2:9, 1]),
        "one row": (float64([1]), float64([3])),
        "always a click": (float64([1] * 5), weights[2:7]),
        "never a click": (float64([0] * 4), weights[:4]),
        "one huge weight": (clicks[:6], float64([300, 0.5, 1.5, 2, 4, 3])),
        "weights of 0": (clicks[3:11], float64([2, 0, 1.5, 0, 0.25, 3, 0, 0.00002])),
        "all rare": (clicks, weights / 1000),
        "watch time": (float64([0.2, 0, 31, 7.5, 0, 2, 180]), weights[:7]),
    }


def expected(rewards, weights):
    """Row by row."""
    pairs = list(zip(rewards.tolist(), weights.tolist(), strict=True))
    return sum(r * w for r, w in pairs) / sum(w for _, w in pairs)


def _agrees(f, *cases):
    for case in cases:
        same(f(*inputs()[case]), expected(*inputs()[case]))


@teaching
def check_worked_example(f):
    "weights 2, 1 and 1, a click on the first row: 2/4, where IPS says 2/3"
    same(f(float64([1, 0, 0]), float64([2, 1, 1])), 0.5)


@teaching
def check_constant_reward(f):
    "a click on every row gives 1 and none gives 0, whatever the weights: the estimate stays among the rewards"
    _agrees(f, "always a click", "never a click", "one row")


@teaching
def check_values(f):
    "the rewards' mean, weighted, of a view too"
    _agrees(f, "typical", "a view")


def check_huge_weight(f):
    "a weight of 300 is not clipped: that would be another estimator"
    _agrees(f, "one huge weight")


def check_weights_of_zero(f):
    "a row that the new policy would never show counts nothing, and one that it hardly shows hardly anything"
    _agrees(f, "weights of 0")


def check_scale(f):
    "weights a thousand times smaller change nothing: only their ratios matter"
    _agrees(f, "all rare")


def check_watch_time(f):
    "a reward need not be a click: seconds watched do as well"
    _agrees(f, "watch time")


@wrong("divided by n: that is IPS. SNIPS divides by the sum of the weights")
def ips(rewards, weights):
    return (rewards * weights).mean()


@wrong("not divided by anything: this is the sum of r · w")
def not_divided(rewards, weights):
    return (rewards * weights).sum()


@wrong("weights are clipped at 10: clipping is another estimator, which trades variance for bias")
def clipped(rewards, weights):
    return (rewards * weights.clamp_max(10)).sum() / weights.clamp_max(10).sum()


@wrong("weights are clipped at 1: rows that the new policy prefers must count more than once")
def clipped_at_one(rewards, weights):
    return (rewards * weights.clamp_max(1)).sum() / weights.clamp_max(1).sum()


@wrong("weights are clipped in the numerator alone: use the same weights above and below")
def clipped_above(rewards, weights):
    return (rewards * weights.clamp_max(10)).sum() / weights.sum()


@wrong("weights are kept above 0.0001: a row that the new policy never shows must count nothing")
def kept_above_a_floor(rewards, weights):
    return (rewards * weights.clamp_min(1e-4)).sum() / weights.clamp_min(1e-4).sum()


@wrong("normalised twice: the weights sum to 1 already, do not divide by their sum again")
def normalised_twice(rewards, weights):
    return (rewards * weights / weights.sum()).sum() / weights.sum()


@wrong("normalised and then averaged: weights that sum to 1 want a sum, not a mean")
def normalised_and_averaged(rewards, weights):
    return (rewards * weights / weights.sum()).mean()


@wrong("the weights are not used: this is the old policy's mean reward")
def unweighted(rewards, weights):
    return rewards.mean()


@wrong("the weights are upside down: w is π_new / π_log, and rewards are multiplied by it")
def upside_down(rewards, weights):
    return (rewards / weights).sum() / (1 / weights).sum()


@wrong("sum of r over sum of w: the rewards above have to be weighted too")
def numerator_unweighted(rewards, weights):
    return rewards.sum() / weights.sum()


@wrong("divided by the weights of the clicked rows alone: every row belongs in the denominator")
def over_clicked_rows(rewards, weights):
    return (rewards * weights).sum() / (weights * (rewards > 0)).sum()


@wrong("divided by the number of clicks: divide by the sum of all weights")
def over_number_of_clicks(rewards, weights):
    return (rewards * weights).sum() / (rewards > 0).sum()


@wrong("rows of weight 0 are not counted, but the others are divided by their number: divide by the sum of weights")
def over_shown_rows(rewards, weights):
    return (rewards * weights).sum() / (weights > 0).sum()


@wrong("the denominator is kept at 1 at least: weights may sum to less, and only their ratios matter")
def denominator_at_least_one(rewards, weights):
    return (rewards * weights).sum() / weights.sum().clamp_min(1)


@wrong("a small constant in the denominator: the estimate of a constant reward is no longer that reward")
def epsilon_in_the_sum(rewards, weights):
    return (rewards * weights).sum() / (weights.sum() + 1e-6)


@wrong("rewards are turned into clicks: 180 seconds are worth more than 2")
def rewards_as_clicks(rewards, weights):
    return ((rewards > 0) * weights).sum() / weights.sum()


@wrong("softmax of the weights: they are ratios already, divide them by their sum")
def softmax_of_weights(rewards, weights):
    return (rewards * torch.softmax(weights, 0)).sum()


@wrong("weights are divided by the largest: divide by their sum")
def over_the_largest(rewards, weights):
    return (rewards * weights).sum() / weights.max()


@right
def ratio_of_means(rewards, weights):
    return (rewards * weights).mean() / weights.mean()


@right
def with_shares(rewards, weights):
    return torch.dot(rewards, weights / weights.sum())


@right
def row_by_row(rewards, weights):
    total = mass = 0.0
    for reward, weight in zip(rewards.tolist(), weights.tolist(), strict=True):
        total, mass = total + reward * weight, mass + weight
    return total / mass
