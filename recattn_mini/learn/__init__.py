"""What serves the learner, and what a learner calls: check(f), hint(f), solution(f).

check(softmax_numpy)        does it hold, and if not, which mistake is it?
hint(softmax_numpy, 2)      a nudge, then more, then a recipe
solution(softmax_numpy)     the key, once yours holds (or give_up=True)

Files:

judge/      how an answer is judged, and how the verdict is told
notebook    answers read out of a notebook as text
lessons     where the lessons come from, what one asks, whether somebody wrote in it
folder      the learner's folder: found, filled, brought to a new edition
carry       what a learner wrote in one notebook, put into another
server      JupyterLab on a lesson
progress    which exercises hold
files       writing so that nothing is lost
output      printing where stdout cannot show every sign
plugin      `pytest lessons/01_….ipynb`
cli         `recattn`
"""

import difflib
from collections.abc import Callable
from pathlib import Path

from recattn_mini.exercises import answer_names, answer_source, exercise_of, spec_of
from recattn_mini.learn import notebook
from recattn_mini.learn.output import say

_held: set[str] = set()  # in this session: progress may be impossible to keep


def check(answer: Callable) -> None:
    """Judge `answer` by the exercise it is named after, say what was found, and remember it."""
    if (problem := _not_an_answer(answer)) is not None:
        say(problem)
        return
    # not above: `recattn` starts without torch, and a wheel is built without filelock
    from recattn_mini.learn import progress
    from recattn_mini.learn.judge.judge import judge

    verdict = judge(answer)
    if verdict.outcome == "holds":
        _held.add(exercise_of(answer.__name__))
    if not _in_a_solution():
        verdict = verdict.told(progress.record(verdict))
    verdict.show()


def hint(answer: Callable, number: int = 1) -> None:
    """Print one of the three hints: 1 nudges, 2 says more, 3 is a recipe."""
    if (problem := _no_exercise(answer)) is not None:
        say(problem)
        return
    hints = spec_of(exercise_of(answer.__name__)).HINTS
    if number not in range(1, len(hints) + 1):
        raise ValueError(f"number must be 1 to {len(hints)}, got {number!r}")
    say(f"hint {number} of {len(hints)}: {hints[number - 1]}")


def solution(answer: Callable, give_up: bool = False) -> None:
    """Print the library's answer, once yours holds; `give_up=True` shows it at once."""
    if (problem := _no_exercise(answer)) is not None:
        say(problem)
        return
    from recattn_mini.learn import progress

    name = answer.__name__
    held, note = progress.holds(exercise_of(name))
    if note:
        say(note)
    if give_up or exercise_of(name) in _held or held:
        say(notebook.solved(answer_source(name), name))
    else:
        say(f"{name} does not hold yet: hint({name}) nudges, solution({name}, give_up=True) shows the key at once")


def _no_exercise(answer: object) -> str | None:
    try:  # a property of the learner's own may raise what it likes
        name = getattr(answer, "__name__", None)
    except Exception as error:
        return f"its __name__ raises {type(error).__name__}: define the answer by def"
    if not callable(answer) or not isinstance(name, str):
        return f"check takes the function or class itself, as in check(softmax_numpy); got a {type(answer).__name__}"
    if name == "<lambda>":
        return "a lambda has no name, so which exercise it answers is not known: define it by def, as the stub does"
    known = answer_names()
    if name in known:
        return None
    near = difflib.get_close_matches(name[:100], known, n=1)
    return f"no exercise is called {name[:100]}" + (f"; did you mean {near[0]}?" if near else f": {', '.join(known)}")


def _not_an_answer(answer: Callable) -> str | None:
    if (problem := _no_exercise(answer)) is not None:
        return problem
    if str(getattr(answer, "__module__", "")).split(".")[0] == "recattn_mini":
        return f"this {answer.__name__} is the library's own: define yours in the exercise cell and run that cell"
    return None


def _in_a_solution() -> bool:
    """A solution notebook run by its reader is not the reader's progress."""
    path = notebook.running()
    return path is not None and Path(path).parent.name == "solutions"
