"""What takes too long for a lesson, or needs a library that nobody has to install: figures that were recorded.

    NAME.json    written by tests/experiments/run_NAME.py, and by nothing else

Rule   Prose relies on these figures and not on a training that runs beside it, so building the lessons again changes no
       number. "provenance" in each file says by which command the figures came, under what protocol, from which seeds,
       with which versions and when. One number a seed, in the order of the seeds, wherever there are several.
"""

import json
from pathlib import Path
from typing import Any


def read(name: str) -> dict[str, Any]:
    """The figures of a recorded run, and their provenance.

    >>> figures = read("keras")
    >>> figures["parameters of the model"], figures["provenance"]["command"]
    (17, 'PYTHONPATH=.:tests python tests/experiments/run_keras.py')
    """
    folder = Path(__file__).parent
    if name not in (known := sorted(path.stem for path in folder.glob("*.json"))):
        raise ValueError(f"name must be one of {', '.join(known)}; got {name!r}")
    return json.loads((folder / f"{name}.json").read_text(encoding="utf-8"))
