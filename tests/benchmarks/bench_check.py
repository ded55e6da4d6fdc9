"""How long `check` takes in a warm process: python tests/benchmarks/bench_check.py [EXERCISE …]

For each exercise the right answer, the first miss, which may have to run the bank of known wrong answers, and the next
ones, in milliseconds of CPU time, so that what else the machine does counts little. A miss is a function that gives its
first argument back, which no bank knows, so that everything is compared. The aim is 300 ms for any verdict.
"""

import contextlib
import io
import sys
import time
from collections.abc import Callable
from statistics import median

from recattn_mini.exercises import exercise_names, spec_of
from recattn_mini.learn.judge.judge import judge, keys

AIM = 300.0


def milliseconds(answer: Callable) -> float:
    """CPU time of one verdict."""
    start = time.process_time()
    with contextlib.redirect_stdout(io.StringIO()):
        judge(answer)
    return 1000 * (time.process_time() - start)


def miss(name: str) -> Callable:
    """A learner's answer of that name that is wrong."""

    def learners(first, *others):
        return first * 1.0

    learners.__name__ = name
    return learners


def main() -> None:
    """Print the table, the slowest first misses at the top."""
    names = sys.argv[1:] or exercise_names()
    judge(miss("softmax_numpy"))  # what is imported or set up once
    rows = []
    for name in names:
        key = next(k for k in keys(spec_of(name)) if not isinstance(k, type))
        rows.append(
            (
                milliseconds(miss(key.__name__)),
                median(milliseconds(miss(key.__name__)) for _ in range(5)),
                median(milliseconds(key) for _ in range(5)),
                key.__name__,
            )
        )
    print(f"{'':42} {'right':>8} {'first miss':>11} {'next':>8}   milliseconds of CPU time")
    for first, later, right, name in sorted(rows, reverse=True):
        print(
            f"{name:42} {right:8.0f} {first:11.0f} {later:8.0f}{'   over the aim' * (max(first, later, right) > AIM)}"
        )


if __name__ == "__main__":
    main()
