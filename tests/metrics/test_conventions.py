"""Conventions are held to what the libraries returned: no figure here that a library gave is our own."""

import itertools
import json
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from recattn_mini.data import recorded
from recattn_mini.metrics import average_precision, hit_rate, ndcg, precision, recall, reciprocal_rank
from recattn_mini.metrics.conventions import CONVENTIONS, FAULTS, RULES, Convention, explain_difference, value
from recattn_mini.metrics.conventions.rules import USER
from recattn_mini.metrics.gains_and_judged import gains_of_lists_numpy
from recattn_mini.metrics.mean_over_users import mean_over_users_numpy

RETURNED = json.loads((Path(__file__).parent / "data" / "metric_disagreements.json").read_text(encoding="utf-8"))
METRICS = {
    "ndcg": "ndcg",
    "ap": "average_precision",
    "recall": "recall",
    "precision": "precision",
    "rr": "reciprocal_rank",
    "hr": "hit_rate",
}
CALLED = {
    "pytrec_eval-terrier": "trec_eval",
    "torchmetrics(list)": "torchmetrics",
    "torchmetrics(completed)": "torchmetrics (completed)",
}
OPTIONS = {
    "ranx ndcg_exp": "ranx (ndcg_burges)",
    "sklearn ndcg_exp": "sklearn (2^g - 1)",
    "sklearn ndcg_ignore_ties": "sklearn (ignore_ties)",
    "sklearn ap_lrap_nocut": "sklearn (label ranking)",
    "RecTools ndcg_achievable": "RecTools (divide_by_achievable)",
    "RecTools ap_div_k": "RecTools (divide_by_k)",
    "recommenders ndcg_raw": "recommenders (raw)",
    "recommenders ndcg_exp": "recommenders (exp)",
    "recommenders ap_full": "recommenders (map)",
    "recpack recall_cal": "recpack (calibrated)",
}
FRAMES = "RePlay (data frames)"
FIGURES = {
    f"{scenario} {library} {name}": figure
    for scenario, of in RETURNED["scenarios"].items()
    for library, figures in of["values"].items()
    for name, figure in figures.items()
}
UNEXPLAINED = {figure: fault for fault, figures in RETURNED["faults"].items() for figure in figures}


def convention_of(figure: str) -> str:
    _, library, name = figure.split(" ")
    return OPTIONS.get(f"{library} {name}", CALLED.get(library, library))


def by_convention(figure: str) -> float:
    """What the convention gives where a library returned this figure."""
    scenario, _, name = figure.split(" ")
    of = RETURNED["scenarios"][scenario]
    ranking = {user: [tuple(pair) for pair in ranked] for user, ranked in of["ranked"].items()}
    truth = {user: {int(item): gain for item, gain in known.items()} for user, known in of["relevance"].items()}
    return value(ranking, truth, of["k"], METRICS[name.split("_")[0]], CONVENTIONS[convention_of(figure)])


def agrees(figure: str) -> bool:
    returned = FIGURES[figure]
    return not isinstance(returned, str) and by_convention(figure) == pytest.approx(returned, abs=1e-6, nan_ok=True)


@pytest.mark.parametrize("figure", [figure for figure in FIGURES if figure not in UNEXPLAINED])
def test_a_convention_gives_what_its_library_returned(figure):
    assert by_convention(figure) == pytest.approx(FIGURES[figure], abs=1e-6, nan_ok=True)


def test_what_no_convention_explains_is_exactly_what_is_listed_by_name():
    assert {figure for figure in FIGURES if not agrees(figure)} == set(UNEXPLAINED)
    assert list(RETURNED["faults"]) == list(FAULTS)


def test_every_convention_offers_what_was_measured_and_nothing_else():
    measured: dict[str, set[str]] = {}
    for figure in FIGURES:
        measured.setdefault(convention_of(figure), set()).add(METRICS[figure.split(" ")[2].split("_")[0]])
    # ours is held to our own functions, data frames to the figure below
    others = {name: set(of.offers) for name, of in CONVENTIONS.items() if name not in ("recattn_mini", FRAMES)}
    assert measured == others


def test_the_example_of_lesson_05_is_one_of_these():
    for library, figure in recorded.read("libraries")["NDCG@4"].items():
        measured = FIGURES[f"S4 {'torchmetrics(list)' if library == 'torchmetrics' else library} ndcg"]
        assert figure == pytest.approx(measured, abs=1e-12)


def test_data_frames_tie_otherwise_in_replay():
    ranking, truth = {1: [(item, 1.0) for item in range(3)]}, {1: {0: 1}}  # measured: 1.0 and 0.0
    assert [value(ranking, truth, 1, "ndcg", CONVENTIONS[name]) for name in ("RePlay", FRAMES)] == [1, 0]


def test_torchmetrics_retrieves_nothing_at_or_below_zero_in_four_metrics_of_six():
    truth = {1: {"b": 1, "d": 1}}
    logits = {1: [("a", 2.0), ("b", -0.1), ("c", 0.5), ("d", -1.5)]}
    chances = {1: [(item, 1 / (1 + math.exp(-score))) for item, score in logits[1]]}
    measured = {
        "average_precision": (0, 0.4167),
        "recall": (0, 1),
        "precision": (0, 0.5),
        "reciprocal_rank": (0, 0.3333),
        "hit_rate": (1, 1),
        "ndcg": (0.5706, 0.5706),
    }
    for metric, figures in measured.items():
        ours = [value(scores, truth, 4, metric, CONVENTIONS["torchmetrics"]) for scores in (logits, chances)]
        assert ours == pytest.approx(figures, abs=5e-5), metric


def system(*lists: str) -> dict:
    """Users 1, 2, ... and their lists of one-letter items, best first."""
    return {user: [(item, 1 - r / 10) for r, item in enumerate(items)] for user, items in enumerate(lists, 1) if items}


TWO = {1: {"a": 1}, 2: dict.fromkeys("bcdefg", 1)}
FIVE = {1: dict.fromkeys("abcde", 1)}
GRADED = {1: {"a": 3, "b": 1, "c": 1, "d": 1}}
THREE = {1: {"a": 1}, 2: dict.fromkeys("bcd", 1)}
ONE_EACH = {1: {"a": 1}, 2: {"b": 1}}
# two systems, two libraries, what each library returned for each system, whose figure differs, by which rule
FLIPS = {
    "F1 MAP@3": (
        (system("axy", "xyz"), system("xay", "bcx"), TWO, 3, "average_precision"),
        {"ranx": (0.5, 0.4167), "RecBole": (0.5, 0.5833)},
        ((), ("average_precision_over",)),
    ),
    "F2 MAP@5": (
        (system("awxyz"), system("abxcy"), FIVE, 5, "average_precision"),
        {"ranx": (0.2, 0.55), "torchmetrics": (1.0, 0.9167)},
        (("average_precision_over",), ("average_precision_over",)),
    ),
    "F3 NDCG@3, exponential": (
        (system("xay"), system("bcd"), GRADED, 3, "ndcg"),
        {"ranx (ndcg_burges)": (0.5432, 0.2621), "ranx": (0.4582, 0.5158)},
        (("gain",), ("gain",)),
    ),
    "F3 NDCG@3, binary": (
        (system("xay"), system("bcd"), GRADED, 3, "ndcg"),
        {"recommenders (exp)": (0.5432, 0.2621), "recommenders": (0.2961, 1.0)},
        (("gain",), ("gain",)),
    ),
    "F4 NDCG@3": (
        (system("axy", "xyz"), system("xyz", "bcx"), THREE, 3, "ndcg"),
        {"ranx": (0.5, 0.3827), "RecTools": (0.2346, 0.3827)},
        (("ideal",), ()),
    ),
    "F5 NDCG@3": (
        (system("axy", ""), system("axy", "xby"), ONE_EACH, 3, "ndcg"),
        {"trec_eval": (1.0, 0.8155), "ranx": (0.5, 0.8155)},
        (("no_list",), ()),
    ),
}


@pytest.mark.parametrize(("case", "returned", "rules"), FLIPS.values(), ids=FLIPS.keys())
def test_the_winner_depends_on_the_library_and_the_rule_is_named(case, returned, rules):
    a, b, truth, k, metric = case
    for library, figures in returned.items():
        ours = [value(lists, truth, k, metric, CONVENTIONS[library]) for lists in (a, b)]
        assert ours == pytest.approx(figures, abs=5e-5), library
    one, other = returned.values()
    assert max(range(2), key=lambda n: one[n]) != max(range(2), key=lambda n: other[n])
    for lists, named in zip((a, b), rules, strict=True):
        found = explain_difference(lists, truth, *returned, k=k).differences[metric]
        assert (found.rules[0] if found.rules else ()) == named
        assert all(RULES[rule][0] in found.sentence for rule in named)
        assert found.sentence == "the same" or all(f"with {library}" in found.sentence for library in returned)


def test_if_either_of_two_rules_is_enough_both_are_named():
    found = explain_difference(system("abxcy"), FIVE, "ranx", "torchmetrics", k=5).differences["average_precision"]
    assert found.rules == (("average_precision_over",), ("universe",))  # 3 were found: over hits, or R of the list
    assert "; or, enough alone: " in found.sentence


def test_an_explanation_prints_as_a_table_and_warns_of_faults():
    text = str(explain_difference(system("abxcy"), FIVE, "ranx", "torchmetrics (completed)", k=5))
    head, *lines = text[: text.index("\n\n")].splitlines()
    assert head.split() == ["at", "5", "ranx", "torchmetrics", "(completed)", "because"]
    because = head.index("because")
    assert all(line[because - 2 : because].isspace() and line[because] != " " for line in lines)
    rows = [line for line in lines if line[0] != " "]
    assert [line.split()[0] for line in rows] == list(CONVENTIONS["ranx"].offers)
    assert rows[1].split()[1:3] == ["0.5500", "0.9167"]
    fault = "torchmetrics: two orders of ties"
    assert text.splitlines()[-2].startswith(fault)
    assert " ".join(text[text.index(fault) :].split()) == f"{fault}. {FAULTS[fault]}"
    assert "Against" not in str(explain_difference(system("a"), FIVE, "ranx", "trec_eval", k=5))


LONG = ["ranx", "torchmetrics (completed)", "RecTools (divide_by_achievable)", "FuxiCTR"]


@pytest.mark.parametrize(("a", "b"), [*itertools.permutations(LONG, 2)])
def test_an_explanation_is_no_wider_than_a_notebook_and_loses_no_word(a, b):
    found = explain_difference({1: [("a", 0.9), ("x", 0.9), ("b", 0.8)]}, GRADED, a, b, k=3)
    lines = str(found).splitlines()
    assert max(map(len, lines)) <= 110
    because, rows = lines[0].index("because"), itertools.takewhile(bool, lines[1:])  # then the faults, if there are
    told = " ".join(row[because:] for row in rows)
    assert told == " ".join(difference.sentence for difference in found.differences.values())
    assert len(told) > 110 - because, "nothing had to be wrapped"


def test_a_refusal_is_a_difference_too():
    found = explain_difference({1: [("a", 0.9), ("a", 0.8)]}, FIVE, "recattn_mini", "RecBole", k=2)
    assert found.differences["recall"].rules == (("duplicates",),)
    assert "an error" in str(found)


ITEMS, SCORES = st.sampled_from([1, 2, 3, 9, 10, 11]), st.sampled_from([-1.0, 0.5, 0.6, 0.7])
LISTS = st.dictionaries(st.integers(1, 3), st.lists(st.tuples(ITEMS, SCORES), max_size=8), min_size=1)
ONCE = LISTS.map(lambda lists: {u: list({i: (i, s) for i, s in ranked}.values()) for u, ranked in lists.items()})
TRUTHS = st.dictionaries(st.integers(1, 3), st.dictionaries(ITEMS, st.integers(0, 3), max_size=6), min_size=1)


@settings(deadline=None)
@given(LISTS, TRUTHS, st.integers(1, 5), st.sampled_from(sorted(CONVENTIONS)), st.sampled_from(sorted(CONVENTIONS)))
def test_the_rules_named_are_enough_and_none_is_spare(ranking, truth, k, a, b):
    def figure(metric, convention):
        try:
            return value(ranking, truth, k, metric, convention)
        except ValueError as error:
            return str(error)

    if not set(CONVENTIONS[a].offers) & set(CONVENTIONS[b].offers):
        return
    for metric, found in explain_difference(ranking, truth, a, b, k=k).differences.items():
        of_a, of_b = CONVENTIONS[a].of(metric), CONVENTIONS[b].of(metric)
        assert [found.a, found.b] == pytest.approx([figure(metric, of_a), figure(metric, of_b)], nan_ok=True)
        for rules in found.rules:
            turned = replace(of_a, **{rule: getattr(of_b, rule) for rule in rules})
            assert [figure(metric, turned)] == pytest.approx([found.b], nan_ok=True)
            for spare in rules:
                less = replace(turned, **{spare: getattr(of_a, spare)})
                assert [figure(metric, less)] != pytest.approx([found.b], nan_ok=True)
        assert bool(found.rules) == ([found.a] != pytest.approx([found.b], nan_ok=True))


OURS = {
    "ndcg": ndcg.ndcg_numpy,
    "average_precision": average_precision.average_precision_numpy,
    "recall": recall.recall_numpy,
    "precision": precision.precision_numpy,
    "reciprocal_rank": reciprocal_rank.reciprocal_rank_numpy,
    "hit_rate": hit_rate.hit_rate_numpy,
}
CHANGED = {
    "average_precision": ("average_precision_over", "min(R, k)", average_precision.average_precision_capped_numpy),
    "ndcg": ("gain", "exponential", ndcg.ndcg_exponential_numpy),
}


@settings(deadline=None)
@given(ONCE, TRUTHS, st.integers(1, 7))
def test_ours_is_what_our_own_metrics_say(ranking, truth, k):
    by_score = {u: [i for i, _ in sorted(ranked, key=lambda pair: -pair[1])] for u, ranked in ranking.items()}
    gains, judged = gains_of_lists_numpy(by_score, truth)
    compared = [(metric, Convention(), function) for metric, function in OURS.items()]
    compared += [(metric, Convention(**{rule: to}), function) for metric, (rule, to, function) in CHANGED.items()]
    for metric, convention, function in compared:
        each, ours = function(gains, judged, k), value(ranking, truth, k, metric, convention)
        if np.isnan(each).all():
            assert math.isnan(ours)
        else:
            assert ours == pytest.approx(mean_over_users_numpy(each).value, abs=1e-12)


@settings(deadline=None)
@given(ONCE, TRUTHS, st.integers(1, 7))
def test_trec_eval_is_what_trec_eval_says(ranking, truth, k):
    pytrec_eval = pytest.importorskip("pytrec_eval")
    run = {str(u): {str(i): s for i, s in ranked} for u, ranked in ranking.items() if ranked}
    judged = {str(u): {str(i): gain for i, gain in known.items()} for u, known in truth.items() if known}
    names = {f"ndcg_cut.{k}", f"map_cut.{k}", f"recall.{k}", f"P.{k}", f"success.{k}", "recip_rank"}
    found = pytrec_eval.RelevanceEvaluator(judged, names).evaluate(run) if judged and run else {}
    keys = [f"ndcg_cut_{k}", f"map_cut_{k}", f"recall_{k}", f"P_{k}", "recip_rank", f"success_{k}"]
    truth = {u: known for u, known in truth.items() if known}  # without a judgement, trec_eval knows no user
    for metric, key in zip(OURS, keys, strict=True):
        ours = value(ranking, truth, k, metric, CONVENTIONS["trec_eval"])
        theirs = [float(of[key]) for of in found.values()]
        assert ours == pytest.approx(np.mean(theirs) if theirs else math.nan, abs=1e-9, nan_ok=True), metric


@settings(deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 1), st.sampled_from([0.1, 0.2, 0.3, 0.4, 0.5])), min_size=2, max_size=6),
    st.integers(1, 8),
)
def test_sklearn_is_what_scikit_learn_says(places, k):
    sklearn = pytest.importorskip("sklearn.metrics")
    labels, scores = [[*column] for column in zip(*places, strict=True)]
    ranking, truth = {1: list(enumerate(scores))}, {1: dict(enumerate(labels))}
    ours = {name: lambda m, n=name: value(ranking, truth, k, m, CONVENTIONS[n]) for name in CONVENTIONS}
    assert ours["sklearn"]("ndcg") == pytest.approx(sklearn.ndcg_score([labels], [scores], k=k))
    ranked = sklearn.label_ranking_average_precision_score([labels], [scores])
    assert ours["sklearn (label ranking)"]("average_precision") == pytest.approx(ranked)
    if any(labels):
        single = sklearn.average_precision_score(labels, scores)
        assert ours["sklearn"]("average_precision") == pytest.approx(single)
    if len(set(scores)) == len(scores):  # the order of ties is that of NumPy's argsort, which version 2 leaves open
        ignored = sklearn.ndcg_score([labels], [scores], k=k, ignore_ties=True)
        assert ours["sklearn (ignore_ties)"]("ndcg") == pytest.approx(ignored)


@settings(deadline=None)
@given(
    st.lists(
        st.tuples(st.integers(0, 3), st.integers(-2, 9)), min_size=1, max_size=8, unique_by=lambda place: place[1]
    ),
    st.integers(1, 8),
    st.booleans(),
)
def test_torchmetrics_is_what_torchmetrics_says(places, k, tied):
    functional = pytest.importorskip("torchmetrics.functional.retrieval")
    worth, scores = [[*column] for column in zip(*places, strict=True)]
    scores = [score // 4 if tied else score for score in scores]
    ranking, truth = {1: list(enumerate(scores))}, {1: dict(enumerate(worth))}
    preds, gains = torch.tensor(scores, dtype=torch.float32), torch.tensor(worth)
    theirs = {
        "average_precision": functional.retrieval_average_precision,
        "recall": functional.retrieval_recall,
        "precision": functional.retrieval_precision,
        "reciprocal_rank": functional.retrieval_reciprocal_rank,
        "hit_rate": functional.retrieval_hit_rate,
    }
    for metric, function in () if tied else theirs.items():
        figure = float(function(preds, gains > 0, top_k=k))
        assert value(ranking, truth, k, metric, CONVENTIONS["torchmetrics"]) == pytest.approx(figure, abs=1e-6), metric
    figure = float(functional.retrieval_normalized_dcg(preds, gains, top_k=k))
    assert value(ranking, truth, k, "ndcg", CONVENTIONS["torchmetrics"]) == pytest.approx(figure, abs=1e-6)


def test_users_count_as_the_convention_says():
    ranking, truth = system("ax", "xy"), {1: {"a": 1}, 2: {"b": 0}}
    for rule, mean in {"is left out": 1.0, "counts 0": 0.5, "counts 1": 1.0, "counts NaN": math.nan}.items():
        figure = value(ranking, truth, 2, "recall", Convention(nothing_relevant=rule))
        assert figure == pytest.approx(mean, nan_ok=True)
    assert set(USER) == set(RULES["nothing_relevant"][1])
    assert math.isnan(value({}, {}, 2, "recall", Convention()))


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (({1: [("a", math.nan)]}, FIVE, 2, "recall", Convention()), r"ranking\[1\] must have scores without NaN"),
        (({1: [("a", 1.0)]}, {1: {"a": -1}}, 2, "recall", Convention()), r"truth\[1\] must be finite and not neg"),
        (({1: [("a", 1.0), ("a", 0.5)]}, FIVE, 2, "recall", Convention()), r"ranking\[1\] has an item twice"),
        ((system("a"), FIVE, 0, "recall", Convention()), "k must be a whole number from 1, got 0"),
        ((system("a"), FIVE, 2, "map", Convention()), "metric must be one of .*, got 'map'"),
        ((system("a"), FIVE, 2, "recall", CONVENTIONS["sklearn"]), "metric must be one of .*, got 'recall'"),
        (
            (system("a"), FIVE, 2, "hit_rate", Convention(ties="averaged over their orders")),
            "are for ndcg, recall and precision, got hit_rate",
        ),
    ],
)
def test_what_cannot_be_judged_is_said(arguments, words):
    with pytest.raises(ValueError, match=words):
        value(*arguments)


def test_a_misspelt_rule_or_library_is_an_error():
    with pytest.raises(ValueError, match=r"gain must be one of .*, got 'exp'"):
        Convention(gain="exp")
    with pytest.raises(ValueError, match=r"the libraries known are .*; got 'Ranx'"):
        explain_difference(system("a"), FIVE, "Ranx", "ranx", k=1)
    with pytest.raises(ValueError, match="nothing to compare"):
        explain_difference(system("a"), FIVE, "recpack (calibrated)", "implicit", k=1)
