"""What an answer prints is shown, but not for ever: so many lines, so many characters."""

import contextlib
import io
import sys
from collections.abc import Iterator
from typing import TextIO

LINES, CHARACTERS = 200, 20_000
LONGEST = 1_000  # characters of an exception's text, or of what a check says


class Shown(io.TextIOBase):
    """Pass on the first lines and characters, and of what comes then nothing."""

    def __init__(self, out: TextIO) -> None:
        self._out, self._lines, self._characters = out, LINES, CHARACTERS

    def write(self, text: str) -> int:
        """Pass it on, while lines and characters are left."""
        if self._lines > 0 and self._characters > 0:
            shown = "".join(text[: self._characters].splitlines(keepends=True)[: self._lines])
            self._lines -= shown.count("\n")
            self._characters -= len(shown)
            self._out.write(shown)
            if self._lines <= 0 or self._characters <= 0:
                self._out.write("\n" * (not shown.endswith("\n")) + "… no more of your prints is shown\n")
        return len(text)


class _Nothing(io.TextIOBase):
    def write(self, text: str) -> int:
        """Drop it."""
        return len(text)


@contextlib.contextmanager
def shown() -> Iterator[None]:
    """Standard output and standard error, each within its limits."""
    with contextlib.redirect_stdout(Shown(sys.stdout)), contextlib.redirect_stderr(Shown(sys.stderr)):
        yield


@contextlib.contextmanager
def not_shown() -> Iterator[None]:
    """No output at all."""
    with contextlib.redirect_stdout(_Nothing()), contextlib.redirect_stderr(_Nothing()):
        yield


def cut(text: str, longest: int = LONGEST) -> str:
    """The text, or its beginning."""
    return text if len(text) <= longest else f"{text[:longest]} … ({len(text):,} characters)"
