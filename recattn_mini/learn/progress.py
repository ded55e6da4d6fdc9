"""Which exercises hold, kept in the user's data folder: written atomically, never silently lost.

A file that is damaged, or not ours, is set aside under another name, and a sentence says where.
"""

import contextlib
import json
import os
from collections.abc import Iterator
from dataclasses import asdict, dataclass, fields
from datetime import datetime
from pathlib import Path

import platformdirs
from filelock import FileLock

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
    folder = os.environ.get("RECATTN_DATA_DIR") or platformdirs.user_data_dir("recattn-mini")
    return Path(folder) / "progress.json"


def read() -> tuple[dict[str, Entry], str]:
    """What is known of each exercise, and a sentence if the file had to be set aside."""
    file = path()
    try:
        kept = json.loads(file.read_text(encoding="utf-8"))
        if kept["version"] != VERSION:
            raise ValueError(f"version {kept['version']!r}, expected {VERSION}")
        return {name: _entry(entry) for name, entry in kept["exercises"].items()}, ""
    except FileNotFoundError:
        return {}, ""
    except OSError as error:
        return {}, f"progress cannot be read: {error}"
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        return {}, _set_aside(file, error)


def record(verdict: Verdict) -> str:
    """Remember a verdict; the answer is a sentence for the learner where that went wrong, else empty."""
    if verdict.outcome == "not attempted":
        return ""
    now = datetime.now().astimezone().isoformat(timespec="seconds")
    try:
        with _alone():
            known, note = read()
            entry = known.setdefault(exercise_of(verdict.answer), Entry())
            entry.tries += 1
            entry.last, entry.outcome, entry.diagnosis = now, verdict.outcome, verdict.diagnosis
            if verdict.outcome == "holds":
                entry.held = entry.held or now
            content = {"version": VERSION, "exercises": {name: asdict(e) for name, e in sorted(known.items())}}
            files.write(path(), json.dumps(content, indent=1, ensure_ascii=False))
    except OSError as error:
        return f"progress cannot be kept: {error}"
    return note


def holds(exercise: str) -> bool:
    """Whether an answer to the exercise has ever held."""
    entry = read()[0].get(exercise)
    return entry is not None and entry.held is not None


@contextlib.contextmanager
def _alone() -> Iterator[None]:
    """A notebook and pytest may write at the same time."""
    path().parent.mkdir(parents=True, exist_ok=True)
    with FileLock(path().with_suffix(".lock"), timeout=5):
        yield


def _entry(kept: dict) -> Entry:
    entry = Entry(**kept)
    for field in fields(Entry):
        value, default = getattr(entry, field.name), field.default
        if not (isinstance(value, type(default)) or (default is None and isinstance(value, str))):
            raise ValueError(f"{field.name} is {value!r}")
    return entry


def _set_aside(file: Path, error: Exception) -> str:
    kept = file.with_name(f"progress.damaged-{datetime.now():%Y%m%dT%H%M%S%f}.json")
    try:
        file.rename(kept)
    except OSError as problem:
        return f"progress cannot be read ({error}) nor set aside ({problem})"
    return f"the progress file could not be understood ({type(error).__name__}: {error}); it is kept as {kept}"
