"""One exercise, one file: what every right answer does, and the wrong answers people give.

A spec `x.py` imports the library's answers by name (`x`, `x_numpy`, `X`) and holds

    inputs()          named cases: every axis another size, an empty row, logits beyond 1,000, a view, a batch of one
    check_*(f)        its docstring is the sentence that a learner reads
    answer(…, *, …)   the answer with what can go wrong as keyword arguments, and `but(answer, "hint", part=…)` or
                      `mistakes_of(answer, part={…})`: known wrong answers, each with a part replaced
    @wrong("hint")    a known wrong answer; the hint is what a learner who wrote it is told
    refused()         inputs that the docstring calls a ValueError, by what is wrong with them
    @right            a right answer written differently, which must be accepted
    HINTS             three, from a nudge to a recipe
    LEVEL, MINUTES    how hard, how long in an interview
    FORBIDDEN         calls that would give the exercise away, by qualified name
    DIFFERENTIABLE    False where a gradient means nothing, so that no mistake is told apart by one
    FUNCTIONS_ONLY    the inputs that a module takes only filled up, so that no mistake in a module is told by them
    IN_DEPTH          the inputs on which mistakes are told apart in float32 and by gradients too; without it all

What several specs share, and what every exercise is asked, stands in `spec/`. Everything is written once, for tensors;
`judge` carries it over to NumPy forms and to modules. A spec is found by its file name: adding one registers nothing.
"""

import ast
import functools
import importlib
import importlib.util
import pkgutil
import re
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType


@dataclass(frozen=True)
class Facts:
    """What a spec says of its exercise, read from its text: nothing is imported, so that `recattn` needs no torch."""

    level: str
    minutes: int
    hints: tuple[str, str, str]
    answers: dict[str, str]  # name of an answer → module of the library that holds it


def exercise_names() -> list[str]:
    """Every exercise, found by the file name of its spec."""
    return sorted(m.name for m in pkgutil.iter_modules(__path__) if not (m.ispkg or m.name.startswith("_")))


def spec_of(exercise: str) -> ModuleType:
    """The spec of an exercise, imported."""
    return importlib.import_module(f"{__name__}.{exercise}")


def exercise_of(answer: str) -> str:
    """The exercise that an answer of this name belongs to: `x`, `x_numpy` and the class `X` are all of `x`.

    >>> exercise_of("softmax_numpy"), exercise_of("AdditiveAttention"), exercise_of("DINAttention")
    ('softmax', 'additive_attention', 'din_attention')
    """
    words = re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", answer)
    return words.lower().removesuffix("_numpy")


@functools.cache
def facts(exercise: str) -> Facts:
    """Level, minutes, hints and answers of an exercise."""
    tree = ast.parse((Path(__path__[0]) / f"{exercise}.py").read_text(encoding="utf-8"))
    answers = {
        alias.name: node.module
        for node in tree.body
        if isinstance(node, ast.ImportFrom) and node.module
        for alias in node.names
        if exercise_of(alias.name) == exercise
    }
    assigned = {ast.unparse(node.targets[0]): node.value for node in tree.body if isinstance(node, ast.Assign)}
    level, minutes = ast.literal_eval(assigned["(LEVEL, MINUTES)"])
    return Facts(level, minutes, ast.literal_eval(assigned["HINTS"]), answers)


@functools.cache
def answer_names() -> dict[str, str]:
    """Every answer that can be asked for, in every form, and the exercise it belongs to."""
    return {answer: exercise for exercise in exercise_names() for answer in facts(exercise).answers}


def answer_source(answer: str) -> str:
    """The text of the library's module that answers."""
    spec = importlib.util.find_spec(facts(exercise_of(answer)).answers[answer])
    assert spec is not None
    assert spec.origin is not None
    return Path(spec.origin).read_text(encoding="utf-8")
