r"""The rules of eighteen libraries, and where some of them break their own.

Rule    Only the rules that differ from ours are written. Brackets after a library's name say how it is called, where
        its options change the figure. Tests hold each entry to figures that the library returned. What a library does
        *against* its own rules is no convention and stands in `FAULTS`.
        `last listed first` is argsort()[::-1], as NumPy 1.26 sorted short lists; NumPy 2 promises no order of ties.
        ranx's order is stable up to 15 items: numba's quicksort makes no promise beyond.
Asked   "Which library do your figures come from, and which version?"
Source  Measured: ranx 0.3.21, ir-measures 0.4.3, pytrec_eval-terrier 0.5.11, torchmetrics 1.9.0, scikit-learn 1.9.1,
        RecTools 0.19.0, recommenders 1.2.1, RecBole 1.2.1, replay-rec 0.22.0, cornac 3.0.1, recpack 0.3.6, implicit
        0.7.3, rs-metrics 0.6.0, rexmex 0.1.3, ir_evaluation 1.1.0, fuxictr 2.3.10, torcheval 0.0.7; elliot.
"""

from dataclasses import replace
from typing import Any

from recattn_mini.metrics.conventions.rules import Convention

NDCG, AP, RR, HR = "ndcg", "average_precision", "reciprocal_rank", "hit_rate"
RECALL, PRECISION = "recall", "precision"
LAST: dict[str, Any] = {"duplicates": "keeps its last score"}
EACH: dict[str, Any] = {"duplicates": "counts each time"}
ZERO: dict[str, Any] = {"nothing_relevant": "counts 0"}
CAPPED: dict[str, Any] = {"average_precision_over": "min(R, k)"}
BINARY: dict[str, Any] = {"gain": "binary"}
PAIRED: dict[str, Any] = {"no_list": "is left out"}  # only users who are on both sides
ROWS: dict[str, Any] = {**EACH, **ZERO, **PAIRED, "not_in_truth": "has nothing relevant"}  # whatever row comes in
WHOLE: dict[str, Any] = {"cutoff": "to its end"}
POSITIVE: dict[str, Any] = {"retrieved": "items with a score above 0"}

ranx = Convention(**LAST, **ZERO)
ir_measures = replace(ranx, ties="by id as text, descending")
torchmetrics = Convention(
    **ROWS,
    universe="if they are in the list",
    scores="float32",
    average_precision_over="hits",
    but={
        NDCG: {"ties": "averaged over their orders"},
        AP: POSITIVE,
        RECALL: POSITIVE,
        PRECISION: POSITIVE,
        RR: POSITIVE,
    },
)
sklearn = Convention(
    **ROWS,
    universe="and completed into the list, last",
    ties="averaged over their orders",
    offers=(NDCG, AP),
    but={AP: {"ties": "as one place", **WHOLE}},
)
rectools = Convention(
    **BINARY, ideal="k places", ties="as listed, scores unread", duplicates="counts each time, in R too"
)
recommenders = Convention(**BINARY, **CAPPED, **EACH, **PAIRED, offers=(NDCG, AP, RECALL, PRECISION))
replay = Convention(**BINARY, **CAPPED, **EACH, **ZERO)
recpack = Convention(**BINARY, **LAST, ties="highest id first", offers=(NDCG, RECALL, PRECISION, RR))

CONVENTIONS: dict[str, Convention] = {
    "recattn_mini": Convention(),
    "ranx": ranx,
    "ranx (ndcg_burges)": replace(ranx, gain="exponential", offers=(NDCG,)),
    "trec_eval": replace(ir_measures, **PAIRED, but={RR: WHOLE}),
    "ir_measures": ir_measures,
    "torchmetrics": torchmetrics,
    "torchmetrics (completed)": replace(torchmetrics, universe="and completed into the list, last"),
    "sklearn": sklearn,
    "sklearn (2^g - 1)": replace(sklearn, gain="exponential", offers=(NDCG,)),
    "sklearn (ignore_ties)": replace(sklearn, ties="last listed first", offers=(NDCG,)),
    "sklearn (label ranking)": replace(sklearn, nothing_relevant="counts 1", offers=(AP,)),
    "RecTools": rectools,
    "RecTools (divide_by_achievable)": replace(rectools, ideal="min(R, k) places", offers=(NDCG,)),
    "RecTools (divide_by_k)": replace(rectools, average_precision_over="k", offers=(AP,)),
    "RecBole": Convention(**BINARY, **CAPPED, **ROWS),
    "recommenders": recommenders,
    "recommenders (raw)": replace(recommenders, gain="linear", offers=(NDCG,)),
    "recommenders (exp)": replace(recommenders, gain="exponential", offers=(NDCG,)),
    "recommenders (map)": replace(recommenders, average_precision_over="R", offers=(AP,)),
    "RePlay": replay,
    "RePlay (data frames)": replace(replay, ties="highest id first"),
    "cornac": Convention(
        **BINARY,
        **EACH,
        **PAIRED,
        average_precision_over="hits",
        but={AP: {"ties": "as one place", **WHOLE}, RR: WHOLE},
    ),
    "recpack": recpack,
    "recpack (calibrated)": replace(recpack, recall_over="min(R, k)", offers=(RECALL,)),
    "implicit": Convention(**BINARY, **CAPPED, offers=(NDCG, AP)),
    "rs_metrics": Convention(**BINARY, **EACH, **ZERO, precision_over="the length of the list"),
    "rexmex": Convention(
        **{**ROWS, "duplicates": "is a miss the second time"},
        **CAPPED,
        precision_over="the length of the list",
        hit_rate_is="the share of hits",
        reciprocal_rank_of="all relevant items, averaged",
        offers=(AP, RR, HR),
        but={RR: WHOLE},
    ),
    "ir_evaluation": Convention(
        **BINARY, **ROWS, average_precision_over="hits", offers=(NDCG, AP, RECALL, PRECISION, RR)
    ),
    "elliot": Convention(**EACH, **PAIRED, average_precision_over="k at every place", offers=(AP,)),
    "FuxiCTR": Convention(
        **ROWS,
        gain="exponential",
        ties="last listed first",
        universe="if they are in the list",
        reciprocal_rank_of="all relevant items, averaged",
        offers=(NDCG, RR),
        but={RR: WHOLE},
    ),
    "torcheval": Convention(**ROWS, ties="relevant first", scores="float32", offers=(PRECISION, RR, HR)),
}

FAULTS: dict[str, str] = {
    "torchmetrics: two orders of ties": "Recall and hit rate sort; average precision, precision and reciprocal rank "
    "take torch.topk, which orders ties otherwise. On one list recall is 1 and precision 0.",
    "torcheval: two orders of ties": "Reciprocal rank and hit rate count what is strictly better, so that ties favour "
    "the relevant item; precision takes torch.topk.",
    "torcheval: one relevant item": "Reciprocal rank and hit rate take one a user: no figure for more, or for none.",
    "ir_measures: two orders of ties": "RR@k, from another provider, keeps the order of the list; the rest go by id.",
    "recommenders: two counts of users": "A user without a list counts 0 in NDCG and is left out of the rest.",
    "recommenders: duplicates in NDCG": "An item listed twice earns more than twice: 1.77 where 1.31 would be twice.",
    "RePlay: duplicates": "Recall and precision count an item listed twice once; NDCG and average precision, twice.",
    "rs_metrics: duplicates": "Recall counts an item listed twice once; the rest, twice.",
    "rs_metrics: NaN beside 0": "A user with nothing relevant makes NDCG and recall NaN, and counts 0 in the rest.",
    "RecBole: NaN beside 0": "A user with nothing relevant makes recall NaN, and counts 0 in the rest.",
    "ir_evaluation: duplicates": "Recall, precision and average precision take sets; NDCG counts an item twice.",
    "ir_evaluation: crashes": "Average precision without a hit, recall and NDCG with nothing relevant divide by zero; "
    "a list shorter than k is an IndexError.",
    "rexmex: crashes": "Reciprocal rank raises if a relevant item is not in the list, or if there is none; average "
    "precision if there is none. The mean was taken of the users that did not raise.",
}
