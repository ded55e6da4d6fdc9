"""Which exercises hold, kept in the user's data folder: written atomically, never silently lost.

A file that is damaged, or not ours, is kept aside as a whole, and a sentence says where; the entries in it that can be
understood stay. A file that cannot be read is not written either.
"""

import contextlib
import json
import os
import textwrap
from collections.abc import Iterator
from dataclasses import asdict, dataclass, fields
from datetime import datetime
from pathlib import Path
from typing import Any

from recattn_mini.exercises import exercise_of
from recattn_mini.learn import files
from recattn_mini.learn.judge.verdict import Verdict

VERSION = 1


@dataclass
class Entry:
    """What is known of one exercise: when it first held, how often it was tried, how it last went."""

    held: str | None = None
    tries: int = 0
    last: str = ""
    outcome: str = "not attempted"
    diagnosis: str = ""


def path() -> Path:
    """The progress file: in the user's data folder, or in $RECATTN_DATA_DIR."""
    folder = os.environ.get("RECATTN_DATA_DIR")
    if not folder:
        import platformdirs  # `recattn hint` does not wait for it

        folder = platformdirs.user_data_dir("recattn-mini")
    return Path(os.path.expanduser(folder)).absolute() / "progress.json"


def read() -> tuple[dict[str, Entry], str]:
    """What is known of each exercise, and a sentence if the file cannot be read or was kept aside."""
    known = dict[str, Entry]()
    try:
        known, problem = _understood()
        if problem:
            with _alone():
                return _mended()
    except OSError as error:
        return known, f"progress cannot be read: {error}"
    return known, ""


def record(verdict: Verdict) -> str:
    """Remember a verdict; the answer is a sentence for the learner where that went wrong, else empty."""
    if verdict.outcome == "not attempted":
        return ""
    now = datetime.now().astimezone().isoformat(timespec="seconds")
    try:
        with _alone():
            known, note = _mended()
            entry = known.setdefault(exercise_of(verdict.answer), Entry())
            entry.tries += 1
            entry.last, entry.outcome, entry.diagnosis = now, verdict.outcome, verdict.diagnosis
            if verdict.outcome == "holds":
                entry.held = entry.held or now
            _write(known)
    except OSError as error:
        return f"progress cannot be kept: {error}"
    return note


def holds(exercise: str) -> tuple[bool, str]:
    """Whether an answer to the exercise has ever held, and the sentence of `read`."""
    known, note = read()
    return exercise in known and known[exercise].held is not None, note


@contextlib.contextmanager
def _alone() -> Iterator[None]:
    """A notebook and pytest may write at the same time."""
    from filelock import FileLock  # `recattn hint` does not wait for it

    path().parent.mkdir(parents=True, exist_ok=True)
    try:
        with FileLock(path().with_suffix(".lock"), timeout=5):
            yield
    except NotImplementedError as error:  # file systems that lock nothing
        raise OSError(str(error)) from None


def _write(known: dict[str, Entry]) -> None:
    files.write(
        path(), files.as_json({"version": VERSION, "exercises": {name: asdict(e) for name, e in sorted(known.items())}})
    )


def _understood() -> tuple[dict[str, Entry], str]:
    """The entries that can be understood, and what is wrong with the file."""
    try:
        kept = json.loads(files.read(path()))
        if kept["version"] != VERSION:
            raise ValueError(f"version {kept['version']!r}, expected {VERSION}")
        entries = {name: _entry(entry) for name, entry in kept["exercises"].items()}
    except FileNotFoundError:
        return {}, ""
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        return {}, f"{type(error).__name__}: {error}"
    unknown = [*(kept.keys() - {"version", "exercises"}), *(name for name, entry in entries.items() if entry is None)]
    problem = f"no sense in {textwrap.shorten(', '.join(map(repr, sorted(unknown))), 200)}" if unknown else ""
    return {name: entry for name, entry in entries.items() if entry is not None}, problem


def _entry(kept: Any) -> Entry | None:
    """An entry, if it has the fields of one and no other, each of its type."""
    if not isinstance(kept, dict) or kept.keys() - {field.name for field in fields(Entry)}:
        return None
    entry = Entry(**kept)
    types: dict[str, Any] = {"held": (str, type(None)), "tries": int}
    if any(not isinstance(value, types.get(name, str)) for name, value in asdict(entry).items()):
        return None
    return entry


def _mended() -> tuple[dict[str, Entry], str]:
    """What is known; a file that is not fully understood is kept aside first, and what is understood stays.

    Only for who is alone: another process may just have done the same.
    """
    known, problem = _understood()
    if not problem:
        return known, ""
    try:
        kept = files.keep(path())
        _write(known)
    except OSError as error:
        raise OSError(f"it is damaged ({problem}) and cannot be kept aside: {error}") from None
    note = f"the progress file could not be understood ({problem}); it is kept as {kept}"
    if known:
        note += f"; the entries that can be understood stay: {len(known)}"
    return known, note
