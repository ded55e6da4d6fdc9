r"""The rules by which a library judges a list, as data.

Rule    A rule that is not given is the one of this library: `Convention()` is recattn_mini. `but` holds rules that
        differ for one metric only.
Asked   "Which choices does a metric hide?"  The fields of `Convention`; `RULES` lists the choices that are in use.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

TIED = ("in list order", "by id as text, descending", "highest id first", "last listed first", "relevant first")
USER = {"is left out": None, "counts 0": 0.0, "counts 1": 1.0, "counts NaN": math.nan}
TWICE = ("is an error", "keeps its last score", "is a miss the second time", "counts each time")
RULES: dict[str, tuple[str, tuple[str, ...]]] = {  # rule: how a sentence about it begins, and how it may go on
    "gain": ("the gain is", ("linear", "binary", "exponential")),
    "ideal": ("the ideal list has", ("min(R, k) places", "k places")),
    "average_precision_over": ("average precision is divided by", ("R", "min(R, k)", "hits", "k", "k at every place")),
    "recall_over": ("recall is divided by", ("R", "min(R, k)")),
    "precision_over": ("precision is divided by", ("k", "the length of the list")),
    "reciprocal_rank_of": ("the reciprocal rank is that of", ("the first hit", "all relevant items, averaged")),
    "hit_rate_is": ("the hit rate is", ("1 for any hit", "the share of hits")),
    "cutoff": ("the list is read", ("to place k", "to its end")),
    "ties": ("tied items come", (*TIED, "averaged over their orders", "as one place", "as listed, scores unread")),
    "scores": ("scores are", ("float64", "float32")),
    "retrieved": ("retrieved are", ("all items", "items with a score above 0")),
    "duplicates": ("an item listed twice", (*TWICE, "counts each time, in R too")),
    "nothing_relevant": ("a user with nothing relevant", tuple(USER)),
    "no_list": ("a user without a list", ("counts 0", "is left out")),
    "not_in_truth": ("a user absent from the truth", ("is left out", "has nothing relevant")),
    "universe": ("relevant items are known", ("all", "if they are in the list", "and completed into the list, last")),
}


@dataclass(frozen=True, kw_only=True)
class Convention:
    """The rules by which a library judges; `RULES` lists what each may be."""

    gain: str = "linear"
    ideal: str = "min(R, k) places"
    average_precision_over: str = "R"
    recall_over: str = "R"
    precision_over: str = "k"
    reciprocal_rank_of: str = "the first hit"
    hit_rate_is: str = "1 for any hit"
    cutoff: str = "to place k"
    ties: str = "in list order"
    scores: str = "float64"
    retrieved: str = "all items"
    duplicates: str = "is an error"
    nothing_relevant: str = "is left out"
    no_list: str = "counts 0"
    not_in_truth: str = "is left out"
    universe: str = "all"
    offers: tuple[str, ...] = ("ndcg", "average_precision", "recall", "precision", "reciprocal_rank", "hit_rate")
    but: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)  # {metric: {rule: what it is for that metric}}

    def __post_init__(self) -> None:
        for rule, (_, choices) in RULES.items():
            if (came := getattr(self, rule)) not in choices:
                raise ValueError(f"{rule} must be one of {choices}, got {came!r}")

    def of(self, metric: str) -> "Convention":
        """The rules as they are for one metric."""
        if metric not in self.offers:
            raise ValueError(f"metric must be one of {self.offers}, got {metric!r}")
        return replace(self, but={}, **self.but.get(metric, {}))
