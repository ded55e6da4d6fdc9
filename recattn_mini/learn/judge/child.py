"""Judge a notebook's answers in a process of their own, so that one that ends it costs its own verdict only.

One process for a notebook: to start one takes as long as to import PyTorch. It is started again after it died, or was
killed because the answer did not let itself be stopped. No torch in this file, and so none in pytest itself.
"""

import contextlib
import json
import os
import queue
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import IO, Any

from recattn_mini.learn.judge.time_limit import BY_THE_CLOCK, SECONDS
from recattn_mini.learn.judge.verdict import Result, Verdict

GRACE = 5.0  # more by the clock than an answer has, which is stopped in the process itself
TICK = 0.1
START = (
    "import json, sys; sys.path[:] = json.loads(sys.argv[1]); from recattn_mini.learn.judge.worker import main; main()"
)


class Died(Exception):
    """The process ended before it had answered; the text says how."""


class Hangs(Exception):
    """Nothing came for longer than an answer may take."""


class Child:
    """The process, started when it is first asked."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[str] | None = None
        self._notebook: Path | None = None

    def unreached(self, answer: str) -> tuple[Result, ...]:
        """The checks that are asked of an answer of this name."""
        try:
            [message] = self._asked({"asks": "unreached", "answer": answer})
        except (Died, Hangs) as error:
            raise RuntimeError(f"the process that judges answers does not start: {error or 'it hangs'}") from None
        return tuple(Result(**result) for result in message["results"])

    def judge(
        self, path: Path, cells: list[dict[str, Any]], unrun: Verdict, show: Callable[[str, str], None]
    ) -> Verdict:
        """The verdict on an answer of a notebook; `unrun` is the one before anything was run.

        What the answer prints is shown as it comes, by `show(text, "stdout" or "stderr")`.
        """
        if self._notebook not in (None, path):
            self.close()
        self._notebook = path
        so_far = unrun
        notebook = {"folder": str(path.parent.absolute()), "name": path.name, "cells": cells}
        try:
            for message in self._asked({"asks": "verdict", **notebook, "answer": unrun.answer, "seconds": SECONDS}):
                if "prints" in message:
                    show(message["prints"], message["stream"])
                else:
                    found = message["verdict"]
                    so_far = Verdict(**{**found, "results": tuple(Result(**result) for result in found["results"])})
        except Died as error:
            return replace(so_far, outcome="raised", results=so_far.failing(str(error)))
        except Hangs:
            seen = f"killed after {BY_THE_CLOCK * SECONDS + GRACE:g} s by the clock: it did not let itself be stopped"
            return replace(so_far, outcome="too slow", results=so_far.failing(seen))
        return so_far

    def close(self) -> None:
        """End the process, and what it started."""
        process, self._process, self._notebook = self._process, None, None
        if process is None:
            return
        with contextlib.suppress(ProcessLookupError, PermissionError):
            if hasattr(os, "killpg"):
                os.killpg(process.pid, signal.SIGKILL)
            else:
                process.kill()
        process.wait()
        assert process.stdin is not None
        with contextlib.suppress(OSError):
            process.stdin.close()
        self._reader.join(timeout=1)  # a copy of the process that left its group may keep the pipe open

    def _asked(self, request: dict[str, Any]) -> Iterator[dict[str, Any]]:
        """What comes back, up to the message that ends it; the process is ended where none does."""
        patience = BY_THE_CLOCK * SECONDS + GRACE
        try:
            process = self._started()
            assert process.stdin is not None
            with contextlib.suppress(BrokenPipeError):
                process.stdin.write(json.dumps(request) + "\n")
                process.stdin.flush()
            left = patience
            while True:
                if (message := self._next(process)) is None:
                    left -= TICK
                    if left < 0:
                        raise Hangs
                    continue
                if "prints" not in message:  # one that prints for ever is no sign of life
                    left = patience
                done = message.pop("done", False)
                yield message
                if done:
                    return
        except BaseException:
            self.close()
            raise

    def _next(self, process: "subprocess.Popen[str]") -> dict[str, Any] | None:
        """The next message; None where none came for a moment."""
        with contextlib.suppress(queue.Empty):
            return self._messages.get(timeout=TICK)
        if process.poll() is not None and self._messages.empty():
            raise Died(_how(process.returncode))
        return None

    def _started(self) -> "subprocess.Popen[str]":
        if self._process is not None and self._process.poll() is None:
            return self._process
        self.close()
        path = [os.path.abspath(folder) for folder in sys.path]
        # -I: nothing that stands where pytest was called hides a library; Ctrl-C is pytest's alone
        apart: dict[str, Any] = {"start_new_session": True}
        if sys.platform == "win32":
            apart = {"creationflags": subprocess.CREATE_NEW_PROCESS_GROUP}
        self._process = subprocess.Popen(
            [sys.executable, "-I", "-c", START, json.dumps(path)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            encoding="utf-8",
            errors="replace",
            **apart,
        )
        self._messages: queue.SimpleQueue[dict[str, Any]] = queue.SimpleQueue()
        assert self._process.stdout is not None
        self._reader = threading.Thread(target=_read, args=(self._process.stdout, self._messages), daemon=True)
        self._reader.start()
        while self._next(self._process) is None:  # a busy machine may import PyTorch for a minute
            pass
        return self._process


def _read(replies: IO[str], messages: "queue.SimpleQueue[dict[str, Any]]") -> None:
    with replies:
        for line in replies:
            with contextlib.suppress(ValueError):  # one that was broken off
                if isinstance(message := json.loads(line), dict):
                    messages.put(message)


def _how(status: int) -> str:
    """How the process ended, and what that usually is."""
    if status < 0:
        name = signal.Signals(-status).name if -status in set(signal.Signals) else f"signal {-status}"
        usual = "is memory short?" if name == "SIGKILL" else "by code outside Python (ctypes), or by its own signal"
        return f"the interpreter crashed ({name}): {usual}"
    if status > 255:  # Windows has no signals
        return f"the interpreter crashed ({status:#x}): by code outside Python (ctypes)?"
    return f"it ended Python itself (exit status {status}), as os._exit does: return a value instead"
