r"""Evaluate a model: figures that come with the protocol they were obtained under, block by block of users.

Axes    scores (u n), or a function that scores a block: users (b) -> (b n); truth, what each user should have found.
Rule    No figure without a protocol. Seen items are masked on a copy of the block, so the caller's scores never change.
        Users without relevant items are left out of the means and counted.
Cost    One block of scores in memory, whatever the number of users; relevance is never a matrix (u n).
Asked   "NDCG@10 is 0.31. What else do you have to tell me?"
Source  Options that decide as much as the model: Cañamares, Castells, Moffat 2020.
"""

from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from recattn_mini.metrics._ranked import Scores, ranked
from recattn_mini.metrics.average_precision import average_precision_numpy
from recattn_mini.metrics.catalogue_coverage import catalogue_coverage_numpy
from recattn_mini.metrics.gains_and_judged import Truth, gains_of_lists_numpy
from recattn_mini.metrics.ground_truth import GroundTruth
from recattn_mini.metrics.hit_rate import hit_rate_numpy
from recattn_mini.metrics.mean_over_users import Mean, mean_over_users_numpy
from recattn_mini.metrics.ndcg import ndcg_numpy
from recattn_mini.metrics.precision import precision_numpy
from recattn_mini.metrics.protocol import Protocol
from recattn_mini.metrics.recall import recall_numpy
from recattn_mini.metrics.reciprocal_rank import reciprocal_rank_numpy
from recattn_mini.shapes import takes

Metric = Callable[[np.ndarray, np.ndarray, int], np.ndarray]
Part = tuple[np.ndarray, np.ndarray]
METRICS: tuple[Metric, ...] = (
    ndcg_numpy,
    average_precision_numpy,
    recall_numpy,
    precision_numpy,
    hit_rate_numpy,
    reciprocal_rank_numpy,
)


@dataclass(frozen=True, eq=False)
class Evaluation:
    """Means, each with its number of users, and the protocol; `per_user` has the values that paired tests compare."""

    protocol: Protocol
    k: int
    figures: dict[str, Mean]
    per_user: dict[str, np.ndarray]
    coverage: float | None

    def __str__(self) -> str:
        mean = next(iter(self.figures.values()))
        told = vars(self.protocol) | {
            "ties": "stable, by item order",
            "users": f"{mean.users:,}, and {mean.excluded:,} without relevant items left out",
        }
        rows = {f"{name}@{self.k}": f"{mean.value:.4f}" for name, mean in self.figures.items()}
        if self.coverage is not None:
            rows[f"catalogue_coverage@{self.k}"] = f"{self.coverage:.4f}"
        width = max(map(len, rows))
        return "\n".join(f"{name:{width}}  {text}" for name, text in [*told.items(), *rows.items()])


@takes(k="count", block="count")
def evaluate(
    scores: Scores,
    truth: GroundTruth,
    k: int,
    protocol: Protocol | None = None,
    seen: Sequence[np.ndarray] | None = None,
    metrics: Sequence[Metric] = METRICS,
    block: int = 512,
) -> Evaluation:
    """Rank all items of every user by scores, and measure the first k places.

    seen[u] are the items of user u that are no candidates; the protocol has to say 'filtered' if `seen` is given.

    >>> protocol = Protocol(split="none: an example", candidates="full", seen="not filtered")
    >>> print(evaluate(np.array([[0.1, 0.9, 0.5]]), GroundTruth.of([[2]], 3), 2, protocol, metrics=[recall_numpy]))
    split                 none: an example
    candidates            full
    seen                  not filtered
    ties                  stable, by item order
    users                 1, and 0 without relevant items left out
    recall@2              1.0000
    catalogue_coverage@2  0.6667
    """
    protocol = _checked(protocol)
    if (protocol.seen == "filtered") != (seen is not None):
        raise ValueError(f"protocol says seen items are {protocol.seen}, but seen is {type(seen).__name__}")
    lists = list(ranked(scores, (len(truth.starts) - 1, truth.n), k, seen, block))
    gains = np.concatenate([truth.gains_of(users, items) for users, items in lists])
    coverage = catalogue_coverage_numpy(np.concatenate([items for _, items in lists]), truth.n)
    parts = ((gains[users], truth.judged(users)) for users in truth.parts())
    return _figures(protocol, k, metrics, parts, coverage)


def evaluate_lists(
    lists: Mapping[Hashable, Sequence[Hashable]],
    truth: Truth,
    k: int,
    protocol: Protocol | None = None,
    metrics: Sequence[Metric] = METRICS,
) -> Evaluation:
    """Measure lists that are ranked already, by user; users come in the order of `truth`, then of `lists`."""
    return _figures(_checked(protocol), k, metrics, [gains_of_lists_numpy(lists, truth)], None)


def _figures(
    protocol: Protocol, k: int, metrics: Sequence[Metric], parts: Iterable[Part], coverage: float | None
) -> Evaluation:
    names = [getattr(metric, "__name__", repr(metric)).removesuffix("_numpy") for metric in metrics]
    if not names or len(set(names)) < len(names):
        raise ValueError(f"metrics must be at least one, each with a name of its own, got {names}")
    values = [[metric(gains, judged, k) for metric in metrics] for gains, judged in parts]
    per_user = dict(zip(names, map(np.concatenate, zip(*values, strict=True)), strict=True))
    figures = {name: mean_over_users_numpy(values) for name, values in per_user.items()}
    return Evaluation(protocol, k, figures, per_user, coverage)


def _checked(protocol: Protocol | None) -> Protocol:
    if not isinstance(protocol, Protocol):
        raise ValueError(f"protocol must be a Protocol: split, candidates, seen; got {protocol!r}")
    return protocol
