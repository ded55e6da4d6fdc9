"""Run in the process that judges a notebook's answers: `child` starts it and talks to it in lines of JSON.

An answer can end it, and nothing else: what is told of the answer goes out as data, and pytest goes on.
"""

import io
import json
import os
import sys
from collections.abc import Callable
from dataclasses import asdict
from typing import Any

from recattn_mini.exercises import exercise_of, spec_of
from recattn_mini.learn import notebook
from recattn_mini.learn.judge.judge import judge_program, unreached
from recattn_mini.learn.judge.verdict import Verdict

Tell = Callable[[dict[str, Any]], None]


def main() -> None:
    """Answer one request after another, until there are no more."""
    requests, replies, nothing = os.fdopen(os.dup(0)), os.dup(1), os.open(os.devnull, os.O_RDWR)
    process = os.getpid()
    for standard in (0, 1, 2):
        os.dup2(nothing, standard)

    def tell(message: dict[str, Any]) -> None:
        if os.getpid() != process:  # a copy that an answer made has nothing to say
            os._exit(0)
        # the line break before it ends what an answer that was stopped had begun to say
        data = f"\n{json.dumps(message)}\n".encode("ascii")
        while data:
            data = data[os.write(replies, data) :]

    sys.stdout, sys.stderr = _Told("stdout", tell), _Told("stderr", tell)
    tell({"ready": True})
    for line in requests:
        request = json.loads(line)
        reply = _unreached(request) if request["asks"] == "unreached" else _judged(request, tell)
        tell({**reply, "done": True})


def _unreached(request: dict[str, Any]) -> dict[str, Any]:
    answer = request["answer"]
    return {"results": [asdict(result) for result in unreached(spec_of(exercise_of(answer)), answer)]}


def _judged(request: dict[str, Any], tell: Tell) -> dict[str, Any]:
    """The verdict on an answer; it runs where its notebook stands, and can import what stands beside that."""
    answer, folder = request["answer"], request["folder"]
    os.chdir(folder)
    if folder not in sys.path:
        sys.path.insert(0, folder)
    program, _ = notebook.program({"cells": request["cells"]}, request["name"])

    def reach(so_far: Verdict) -> None:
        tell({"verdict": asdict(so_far)})

    try:
        verdict = judge_program(answer, notebook.needed(program, answer), request["seconds"], reach)
    except KeyboardInterrupt:  # nobody can interrupt this process but the answer
        verdict = Verdict(answer, "raised", unreached(spec_of(exercise_of(answer)), answer))
        verdict = Verdict(answer, "raised", verdict.failing("KeyboardInterrupt: it interrupts itself"))
    return {"verdict": asdict(verdict)}


class _Told(io.TextIOBase):
    """A standard stream whose text is told to the one who asked."""

    def __init__(self, stream: str, tell: Tell) -> None:
        self._stream, self._tell = stream, tell

    def write(self, text: str) -> int:
        """Pass it on."""
        self._tell({"prints": text, "stream": self._stream})
        return len(text)
