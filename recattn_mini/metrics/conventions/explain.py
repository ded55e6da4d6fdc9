r"""Why two libraries give two figures for one list: which of their rules makes the difference.

    explanation(A, B, metric) = the smallest sets of rules that, turned from A's to B's, turn A's figure into B's

Rule    The sets are found by turning rules and computing again; nothing about a pair of libraries is written down.
        `CONVENTIONS` has the rules of each library, `FAULTS` what a library does against its own, `value` a figure by
        any of them, and `Convention(...)` describes rules of your own.
Asked   "Our NDCG is .79 and theirs .80, on the same lists. Who is right?"  Both, usually. Name the rule.
"""

import itertools
import math
import textwrap
from dataclasses import dataclass, replace

from recattn_mini.metrics.conventions.libraries import CONVENTIONS, FAULTS
from recattn_mini.metrics.conventions.rules import RULES, Convention
from recattn_mini.metrics.conventions.value import Ranking, Truth, value
from recattn_mini.shapes import takes

WIDTH = 110  # of a printed line: a notebook breaks longer lines itself, in the middle of words


@dataclass(frozen=True)
class MetricDifference:
    """One metric by two conventions; each of `rules` makes the whole difference, and no smaller set does."""

    a: float | str  # a convention may refuse the input: then the error
    b: float | str
    rules: tuple[tuple[str, ...], ...]
    sentence: str


@dataclass(frozen=True)
class Explanation:
    """What two libraries make of one input, metric by metric; printed, a table."""

    a: str
    b: str
    k: int
    differences: dict[str, MetricDifference]

    def __str__(self) -> str:
        widths = [max(10, len(library)) for library in (self.a, self.b)]
        lines = [_row(f"at {self.k}", self.a, self.b, "because", widths)]
        for metric, found in self.differences.items():
            lines.append(_row(metric, _shown(found.a), _shown(found.b), found.sentence, widths))
        libraries = [library.split(" (")[0] for library in (self.a, self.b)]
        faults = [f"{name}. {what}" for name, what in FAULTS.items() if name.split(":")[0] in libraries]
        if faults:
            lines += ["", "Against their own rules:", *(_wrapped("", fault, " " * 4) for fault in faults)]
        return "\n".join(lines)


@takes(k="count")
def explain_difference(ranking: Ranking, truth: Truth, a: str, b: str, *, k: int) -> Explanation:
    """What the libraries a and b make of {user: [(item, score), ...]} and {user: {item: gain}}, and by which rules.

    >>> ranking, truth = {"ann": [("x", 0.9), ("y", 0.8)]}, {"ann": dict.fromkeys("xpqr", 1)}
    >>> found = explain_difference(ranking, truth, "ranx", "RecBole", k=2).differences
    >>> found["average_precision"].a, found["average_precision"].b  # found first: 1 of R = 4, or 1 of k = 2
    (0.25, 0.5)
    >>> found["average_precision"].sentence
    'average precision is divided by R with ranx and by min(R, k) with RecBole'
    """
    for name in (a, b):
        if name not in CONVENTIONS:
            raise ValueError(f"the libraries known are {', '.join(CONVENTIONS)}; got {name!r}")
    both = [metric for metric in CONVENTIONS[a].offers if metric in CONVENTIONS[b].offers]
    if not both:
        raise ValueError(f"{a} offers {CONVENTIONS[a].offers} and {b} {CONVENTIONS[b].offers}: nothing to compare")
    return Explanation(a, b, k, {metric: _explained(ranking, truth, k, metric, a, b) for metric in both})


def _explained(ranking: Ranking, truth: Truth, k: int, metric: str, a: str, b: str) -> MetricDifference:
    of_a, of_b = CONVENTIONS[a].of(metric), CONVENTIONS[b].of(metric)
    first, second = (_tried(ranking, truth, k, metric, rules) for rules in (of_a, of_b))
    if _same(first, second):
        return MetricDifference(first, second, (), "the same")
    turned = {rule: getattr(of_b, rule) for rule in RULES if getattr(of_a, rule) != getattr(of_b, rule)}
    for size in range(1, len(turned) + 1):
        enough = tuple(
            rules
            for rules in itertools.combinations(turned, size)
            if _same(_tried(ranking, truth, k, metric, replace(of_a, **{r: turned[r] for r in rules})), second)
        )
        if enough:
            break
    ways = [", and ".join(_sentence(rule, of_a, of_b, a, b) for rule in rules) for rules in enough]
    return MetricDifference(first, second, enough, "; or, enough alone: ".join(ways))


def _sentence(rule: str, of_a: Convention, of_b: Convention, a: str, b: str) -> str:
    subject = RULES[rule][0]
    preposition = "by " if subject.endswith(" by") else ""
    return f"{subject} {getattr(of_a, rule)} with {a} and {preposition}{getattr(of_b, rule)} with {b}"


def _tried(ranking: Ranking, truth: Truth, k: int, metric: str, rules: Convention) -> float | str:
    try:
        return value(ranking, truth, k, metric, rules)
    except ValueError as error:
        return str(error)


def _same(x: float | str, y: float | str) -> bool:
    if isinstance(x, str) or isinstance(y, str):
        return x == y
    return math.isclose(x, y, rel_tol=0, abs_tol=1e-9) or (math.isnan(x) and math.isnan(y))


def _row(metric: str, a: str, b: str, text: str, widths: list[int]) -> str:
    before = f"{metric:17}  {a:>{widths[0]}}  {b:>{widths[1]}}  "
    return _wrapped(before, text, " " * len(before))


def _wrapped(before: str, text: str, indent: str) -> str:
    """Wrapped to the width of a notebook's page; the lines after the first begin with the indent."""
    return textwrap.fill(
        text, WIDTH, initial_indent=before, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False
    )


def _shown(x: float | str) -> str:
    return "an error" if isinstance(x, str) else f"{x:.4f}"
