r"""A list judged by a convention: what any library would have returned.

    value = mean over the users who count of metric(places in the convention's order, what it takes for the truth, k)

Rule    For explaining figures, not for producing them: `value` loops over users, `evaluate` is fast.
Asked   "Reproduce the other team's NDCG."  First write down their rules, then compute; not the other way round.
Source  Each library's own returned values, which the tests of `conventions` hold this to.
"""

import math
from collections.abc import Callable, Hashable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from recattn_mini.metrics.conventions.rules import USER, Convention
from recattn_mini.shapes import takes

Ranking = Mapping[Hashable, Sequence[tuple[Hashable, float]]]
Truth = Mapping[Hashable, Mapping[Hashable, float]]
WORTH: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "linear": lambda gain: gain,
    "binary": lambda gain: (gain > 0).astype(np.float64),
    "exponential": lambda gain: 2.0**gain - 1,
}


class _Place(NamedTuple):
    item: Hashable
    score: float
    gain: float


@takes(k="count")
def value(ranking: Ranking, truth: Truth, k: int, metric: str, convention: Convention) -> float:
    """The metric of {user: [(item, score), ...]} against {user: {item: gain}} by a convention; NaN if no user counts.

    >>> ranking, truth = {"ann": [("x", 0.9), ("y", 0.8)]}, {"ann": dict.fromkeys("xpqr", 1)}
    >>> value(ranking, truth, 2, "average_precision", Convention())  # found first, 1 of R = 4
    0.25
    >>> value(ranking, truth, 2, "average_precision", Convention(average_precision_over="min(R, k)"))  # 1 of 2
    0.5
    """
    rule, users = convention.of(metric), dict.fromkeys([*truth, *ranking])
    every = [_of_user(ranking.get(user, ()), truth.get(user), k, metric, rule, user) for user in users]
    counted = [x for x in every if x is not None]
    return math.fsum(counted) / len(counted) if counted else math.nan


def _of_user(ranked: Any, known: Any, k: int, metric: str, rule: Convention, user: Hashable) -> float | None:
    if known is None and rule.not_in_truth == "is left out":
        return None
    if not ranked and rule.no_list == "is left out":
        return None
    places, judged = _placed(ranked, known or {}, rule, user)
    if not (judged > 0).any():
        return USER[rule.nothing_relevant]
    depth = k if rule.cutoff == "to place k" else max(len(places), len(judged))
    return float(_metric(metric, places, judged, depth, rule))


def _placed(
    ranked: Any, known: Mapping[Hashable, float], rule: Convention, user: Hashable
) -> tuple[list[_Place], np.ndarray]:
    """The places of a list in the convention's order, and the gains it believes could have been got."""
    if any(math.isnan(score) for _, score in ranked):
        raise ValueError(f"ranking[{user!r}] must have scores without NaN, got {ranked}")
    if any(not 0 <= gain < math.inf for gain in known.values()):
        raise ValueError(f"truth[{user!r}] must be finite and not negative, got {known}")
    exact = np.float32 if rule.scores == "float32" else np.float64
    places = [_Place(item, float(exact(score)), float(known.get(item, 0))) for item, score in ranked]
    listed = {place.item for place in places}
    if rule.duplicates == "is an error" and len(listed) < len(places):
        raise ValueError(f"ranking[{user!r}] has an item twice, expected each once")
    if rule.duplicates == "keeps its last score":
        places = list({place.item: place for place in places}.values())
    if rule.duplicates == "is a miss the second time":
        first = {place.item: n for n, place in reversed(list(enumerate(places)))}
        places = [place if first[place.item] == n else place._replace(gain=0.0) for n, place in enumerate(places)]
    missed = [_Place(item, -math.inf, float(gain)) for item, gain in known.items() if item not in listed]
    judged = places if rule.universe == "if they are in the list" else [*places, *missed]
    if rule.universe == "all" and rule.duplicates != "counts each time, in R too":
        judged = [_Place(item, 0.0, float(gain)) for item, gain in known.items()]
    if rule.universe == "and completed into the list, last":
        places += missed
    if rule.retrieved == "items with a score above 0":
        places = [place if place.score > 0 else place._replace(gain=0.0) for place in places]
    return _in_order(places, rule.ties), np.array([place.gain for place in judged])


def _in_order(places: list[_Place], ties: str) -> list[_Place]:
    before: dict[str, Callable[[list[_Place]], list[_Place]]] = {  # sorted first; the stable sort by score keeps it
        "by id as text, descending": lambda x: sorted(x, key=lambda place: str(place.item), reverse=True),
        "highest id first": lambda x: sorted(x, key=lambda place: place.item, reverse=True),  # type: ignore[arg-type,return-value]
        "last listed first": lambda x: x[::-1],
        "relevant first": lambda x: sorted(x, key=lambda place: -place.gain),
    }
    if ties == "as listed, scores unread":
        return places
    return sorted(before.get(ties, list)(places), key=lambda place: -place.score)


def _metric(name: str, places: list[_Place], judged: np.ndarray, k: int, rule: Convention) -> float:
    gains, scores = np.array([place.gain for place in places]), np.array([place.score for place in places])
    hits, relevant = (gains > 0).astype(np.float64), int((judged > 0).sum())
    ranks, group = np.arange(1, len(hits) + 1), np.unique(-scores, return_inverse=True)[1]
    averaged = rule.ties == "averaged over their orders"
    if averaged and name not in ("ndcg", "recall", "precision"):
        raise ValueError(f"ties averaged over their orders are for ndcg, recall and precision, got {name}")

    def spread(x: np.ndarray) -> np.ndarray:
        """Each place gets the mean of its group of tied places."""
        return (np.bincount(group, x) / np.bincount(group))[group] if averaged and len(x) else x

    if name == "ndcg":
        worth = WORTH[rule.gain]
        best = -np.sort(-worth(judged))[:k]
        if rule.ideal == "k places":
            best = np.full(k, best[0])
        return _dcg(spread(worth(gains))[:k]) / _dcg(best)
    found, length = spread(hits)[:k].sum(), min(k, len(hits))
    if name == "recall":
        return found / (relevant if rule.recall_over == "R" else min(relevant, k))
    share = found / k if rule.precision_over == "k" else found / length if length else math.nan
    if name == "precision":
        return share
    if name == "hit_rate":
        return float(found > 0) if rule.hit_rate_is == "1 for any hit" else share
    if name == "reciprocal_rank":
        each = (hits / ranks)[:k]
        return each.max(initial=0.0) if rule.reciprocal_rank_of == "the first hit" else each.sum() / relevant
    precision_at = hits.cumsum() / ranks
    if rule.ties == "as one place" and len(hits):
        precision_at = precision_at[np.bincount(group).cumsum() - 1][group]
    if rule.average_precision_over == "k at every place":
        return (np.pad(hits, (0, max(0, k - len(hits))))[:k].cumsum() / np.arange(1, k + 1)).mean()
    over = {"R": relevant, "min(R, k)": min(relevant, k), "hits": max(found, 1), "k": k}[rule.average_precision_over]
    return (hits * precision_at)[:k].sum() / over


def _dcg(worth: np.ndarray) -> float:
    return float(worth @ (1 / np.log2(np.arange(2, len(worth) + 2))))
