"""Spec of snips: the rewards of the old policy's log, weighted towards the new one, over the sum of the weights."""

import torch

from recattn_mini.exercises.spec import but, drawn_once, float64, right, same, teaching, wrong
from recattn_mini.metrics.ips import snips, snips_numpy

LEVEL, MINUTES = "easy", 5
HINTS = (
    "The log shows too much of what the old policy liked. How much should a row count for the new one?",
    "A row counts w = π_new / π_log. IPS divides the sum of r · w by n; if the weights do not average 1, it can say "
    "that 140 % of the impressions were clicked. What would you divide by, so that a reward of 1 everywhere gives 1?",
    "sum(rewards * weights) / sum(weights): the weighted mean.",
)
FORBIDDEN = ()


@drawn_once
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
        "all very rare": (clicks, weights / 1e9),
        "whole rewards": (clicks.long(), weights),
        "watch time": (float64([0.2, 0, 31, 7.5, 0, 2, 180]), weights[:7]),
    }


def refused() -> dict[str, tuple]:
    """Inputs that the docstring calls a ValueError."""
    return {"all weights 0": (float64([1, 0, 1]), float64([0, 0, 0]))}


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
    _agrees(f, "all rare", "all very rare")


def check_watch_time(f):
    "a reward need not be a click: seconds watched do as well"
    _agrees(f, "watch time")


def check_whole_rewards(f):
    "clicks may come as whole numbers: weights are not cut to such"
    _agrees(f, "whole rewards")


def answer(rewards, weights, *, of=lambda w: w, by=None, reward=lambda r: r, below=lambda r, w: w.sum(), refuses=True):
    """`of` is done to the weights everywhere, `by` to those that rewards are multiplied by."""
    if weights.sum() == 0 and refuses:
        raise ValueError("no weight")
    return (reward(rewards) * (by or of)(weights)).sum() / below(rewards, of(weights))


def _one(rewards, weights):
    return 1.0


ips = but(answer, "divided by n: that is IPS. SNIPS divides by the sum of the weights", below=lambda r, w: len(r))
not_divided = but(answer, "not divided by anything: this is the sum of r · w", below=_one)
clipped = but(answer, "weights are clipped at 10: that is another estimator, with a bias", of=lambda w: w.clamp_max(10))
clipped_ips = but(
    answer, "that is clipped IPS: clip nothing, divide by Σ w", of=lambda w: w.clamp_max(10), below=lambda r, w: len(r)
)
clipped_at_one = but(
    answer, "weights are clipped at 1: what the new policy prefers counts more", of=lambda w: w.clamp_max(1)
)
clipped_above = but(
    answer, "weights are clipped in the numerator: use the same above and below", by=lambda w: w.clamp_max(10)
)
kept_above_a_floor = but(
    answer, "weights are kept above 0.0001: a weight of 0 counts nothing", of=lambda w: w.clamp_min(1e-4)
)
normalised_twice = but(
    answer, "normalised twice: the weights sum to 1 already, do not divide by their sum again", by=lambda w: w / w.sum()
)
normalised_and_averaged = but(
    answer,
    "normalised, then averaged: weights of sum 1 want a sum",
    by=lambda w: w / w.sum(),
    below=lambda r, w: len(r),
)
unweighted = but(answer, "the weights are not used: this is the old policy's mean reward", of=torch.ones_like)
upside_down = but(
    answer, "the weights are upside down: w is π_new / π_log, and rewards are multiplied by it", of=lambda w: 1 / w
)
squared = but(answer, "the weights are squared: Σ w² belongs to the variance, here each counts once", of=torch.square)
numerator_unweighted = but(
    answer, "sum of r over sum of w: the rewards above have to be weighted too", by=torch.ones_like
)
over_clicked_rows = but(
    answer, "divided by the weights of the clicked rows: every row counts", below=lambda r, w: (w * (r > 0)).sum()
)
over_number_of_clicks = but(
    answer, "divided by the number of clicks: divide by the sum of all weights", below=lambda r, w: (r > 0).sum()
)
over_the_rewards = but(
    answer, "divided by the sum of the rewards: divide by that of the weights", below=lambda r, w: r.sum()
)
over_shown_rows = but(
    answer, "divided by the number of rows of weight above 0: divide by Σ w", below=lambda r, w: (w > 0).sum()
)
denominator_at_least_one = but(
    answer, "the denominator is kept at 1 at least: only ratios matter", below=lambda r, w: w.sum().clamp_min(1)
)
epsilon_in_the_sum = but(
    answer,
    "a small constant in the denominator: the estimate is a little too low",
    below=lambda r, w: w.sum() + 1e-8,
    refuses=False,
)
epsilon_in_a_sum_above_0 = but(
    answer,
    "a small constant in the denominator, which is above 0 without it: only ratios matter",
    below=lambda r, w: w.sum() + 1e-8,
)
rewards_as_clicks = but(
    answer, "rewards are turned into clicks: 180 seconds are worth more than 2", reward=lambda r: r > 0
)
rewards_up_to_one = but(
    answer, "rewards are cut at 1: 180 seconds are worth more than 2", reward=lambda r: r.clamp_max(1)
)
softmax_of_weights = but(
    answer, "softmax of the weights: they are ratios, divide by their sum", of=lambda w: torch.softmax(w, 0)
)
over_the_largest = but(answer, "weights are divided by the largest: divide by their sum", below=lambda r, w: w.max())


@wrong("rows without a reward are left out, of the denominator too: a row that was shown in vain counts")
def rewarded_rows_only(rewards, weights):
    answer(rewards, weights)
    return over_clicked_rows(rewards, weights).nan_to_num(0)


@wrong("the weights are cut to the rewards' dtype, whole numbers where clicks are such: make them float64")
def in_the_rewards_dtype(rewards, weights):
    answer(rewards, weights)
    cut = weights.to(rewards.dtype)
    return (cut * rewards).sum() / cut.sum().double()


@wrong("a small sum of weights is taken for 0: only ratios matter, refuse a sum of 0 alone")
def small_sum_refused(rewards, weights):
    if weights.sum() < 1e-6:
        raise ValueError("no weight")
    return answer(rewards, weights)


@wrong("a figure for each row: the estimate is their sum, one number")
def not_summed(rewards, weights):
    answer(rewards, weights)
    return rewards * weights / weights.sum()


@wrong("the arguments have changed places: rewards come first, then weights")
def changed_places(rewards, weights):
    return answer(weights, rewards)


@right
def ratio_of_means(rewards, weights):
    if not weights.any():
        raise ValueError("no weight")
    return (rewards * weights).mean() / weights.mean()


@right
def with_shares(rewards, weights):
    if weights.max() == 0:
        raise ValueError("no weight")
    return torch.dot(rewards.to(weights), weights / weights.sum())


@right
def row_by_row(rewards, weights):
    total = mass = 0.0
    for reward, weight in zip(rewards.tolist(), weights.tolist(), strict=True):
        total, mass = total + reward * weight, mass + weight
    if mass == 0:
        raise ValueError("no weight")
    return total / mass
