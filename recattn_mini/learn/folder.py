"""The learner's folder: where it is, and how lessons get into it without a word of the learner's getting lost.

Lessons are in three places. `lessons/source` is authored; `lessons/*.ipynb` beside it are generated from that, or
carried by a wheel; the learner's folder holds the copies that answers are written into: `recattn-lessons/`, which git
ignores, or any folder that `recattn start DIR` is given. What was done is told in sentences for the learner.
"""

import contextlib
import json
import os
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from recattn_mini.learn import carry, files, lessons, notebook, progress

NAME = "recattn-lessons"
PYTEST_INI = """\
[pytest]
# loaded when asked for (-p nbval): `pytest 01_….ipynb` should not wait for them
addopts = -p no:nbval -p no:anyio -p no:hypothesispytest
"""


def lessons_in(folder: Path) -> list[Path]:
    """The lessons in a folder; solutions are none."""
    return [] if folder.name == "solutions" else sorted(folder.glob("[0-9][0-9]_*.ipynb"))


def is_generated(folder: Path) -> bool:
    """Whether a folder is the lessons/ of a clone, which the build writes to."""
    return (folder / "source").is_dir() and (folder / "build.py").is_file()


def find() -> Path | None:
    """Where the learner works: here, where `recattn start` put the lessons, in recattn-lessons/, in lessons/."""
    remembered = [folder] if (folder := _remembered()) and not is_generated(folder) else []
    here = [Path.cwd(), *([root] if (root := lessons.clone()) else [])]
    candidates = [Path.cwd(), *remembered, *(base / name for name in (NAME, "lessons") for base in here)]
    return next((folder for folder in candidates if any(map(_is_ours, lessons_in(folder)))), None)


def choose() -> Path:
    """Where `recattn start` puts lessons: where the learner works; in the lessons/ of a clone only who stands there."""
    found = find()
    if found and (found == Path.cwd() or not is_generated(found)):
        return found.resolve()
    return (lessons.clone() or Path.cwd()).resolve() / NAME


def remember(folder: Path) -> None:
    """Write down where the learner works; an OSError where that cannot be done."""
    _memory().parent.mkdir(parents=True, exist_ok=True)
    files.write(_memory(), f"{folder}\n")


def refresh(folder: Path) -> list[str]:
    """Put this edition's lessons into a folder: what holds no answer is written anew, answers are carried over."""
    folder.mkdir(parents=True, exist_ok=True)
    if not os.path.lexists(ini := folder / "pytest.ini"):
        files.write(ini, PYTEST_INI)
    with _alone():
        return _refreshed(folder)


def take_over(folder: Path) -> list[str]:
    """Put answers that lie in a clone's lessons/ into the learner's folder; what lies there stays."""
    root, remembered = lessons.clone(), _remembered()
    places = dict.fromkeys(place for place in (root and root / "lessons", remembered) if place and is_generated(place))
    with _alone():
        return [line for place in places for line in _taken_over(place, folder)]


def _refreshed(folder: Path) -> list[str]:
    texts = {name: lessons.fresh(name) for name in lessons.lesson_names()}
    books = {name: json.loads(text) for name, text in texts.items()}  # what will lie there, by name
    read, told = _read(folder)
    came = {path: name for path, found in read.items() if (name := _name_now(path, found.book, books))}
    older = dict(came)
    for path, name in came.items():
        if path.stem == name and _edition(read[path].book) == _edition(books[name]):
            books[name] = read[path].book
            del older[path]
    carried = {path: _pour(read[path].book, books, name) for path, name in older.items()}
    if any(files.read(path) != found.content for path, found in read.items()):
        return [*told, "a lesson was saved this very moment, so none is touched; `recattn start` once more"]

    copied, anew, left = [], [], []
    for name, book in books.items():
        path = folder / f"{name}.ipynb"
        if path not in read:
            if not os.path.lexists(path):
                files.write(path, texts[name] if book == json.loads(texts[name]) else _text(book))
                copied.append(name)
        elif read[path].book == book:
            left.append(name)
        elif lessons.is_edited(path):
            told.append(f"{name} is of this edition now; what it was is kept as {files.keep(path)}")
            files.write(path, _text(book))
        else:
            files.write(path, _text(book))
            anew.append(name)
    for path, what in carried.items():
        told += _told(what, path.stem)
        if path.stem != came[path]:
            told.append(f"{path.stem} is called {came[path]} now; the old one is kept as {files.keep(path)}")
            path.unlink()
    summary = {"copied": copied, "left as they are": left, "of this edition now, nothing was written in them": anew}
    return [*(f"{what}: {', '.join(names)}" for what, names in summary.items() if names), *told]


def _taken_over(place: Path, folder: Path) -> list[str]:
    theirs, told = _read(place)
    worked_in = {path: found for path, found in theirs.items() if _is_worked_in(path, found.book)}
    read, _ = _read(folder)
    books = {path.stem: found.book for path, found in read.items()}
    for path, found in worked_in.items():
        name = _name_now(path, found.book, books)
        if name is None or not lessons.is_edited(path) or _is_kept(found.book, folder, path.stem):
            continue
        before = dict(books)
        carried = _pour(found.book, books, name)
        for changed in (n for n, book in books.items() if book != before[n]):
            mine = folder / f"{changed}.ipynb"
            if lessons.is_edited(mine):
                files.keep(mine)
            files.write(mine, _text(books[changed]))
        told += _told(carried, f"{path.stem} in {place}")
        if carried.is_anything or carried.left:
            told.append(f"a copy of what lies there is kept as {files.keep(path, beside=folder / path.name)}")
    if worked_in and (place.parent / ".git").exists():
        paths = [str(path.relative_to(place.parent)) for path in worked_in]
        where = [] if place.parent == Path.cwd() else ["-C", str(place.parent)]
        told.append(f"this makes {place} clean: {shlex.join(['git', *where, 'checkout', '--', *paths])}")
    return told


@dataclass(frozen=True)
class Found:
    """A notebook on disk: its bytes, to see whether it changed meanwhile, and what they say."""

    content: bytes
    book: dict[str, Any]


def _read(folder: Path) -> tuple[dict[Path, Found], list[str]]:
    """The lessons of a folder, and a sentence for each that cannot be read."""
    found, told = dict[Path, Found](), list[str]()
    for path in lessons_in(folder):
        try:
            found[path] = Found(files.read(path), notebook.read(path))
        except (OSError, ValueError, RecursionError):
            told.append(
                f"{path} is no readable notebook and is left as it is; "
                f"`recattn reset --lesson {path.stem}` keeps it and writes a fresh one"
            )
    return found, told


def _name_now(path: Path, found: dict[str, Any], books: dict[str, dict[str, Any]]) -> str | None:
    """The lesson that a notebook is; where it was renamed, the one that asks the most of what it asks."""
    if path.stem in books:
        return path.stem
    if lessons.build_metadata(found).get("lesson") != path.stem:
        return None  # a copy that the learner made
    asks = set(carry.asked_in(found).values())
    shared = {name: len(asks & set(carry.asked_in(book).values())) for name, book in books.items()}
    best = max(shared, key=lambda name: shared[name], default=None)
    return best if best and shared[best] else None


def _pour(old: dict[str, Any], books: dict[str, dict[str, Any]], name: str) -> carry.Carried:
    """Put what a learner wrote into the lesson `name`, and into others what these ask for by now."""
    carried = carry.over(old, books[name])
    kept = {key: value for key, value in old["metadata"].items() if key in ("kernelspec", "language_info")}
    carried.notebook["metadata"] |= kept
    books[name] = carried.notebook
    for cell in list(carried.left):
        alone = {"cells": [cell], "metadata": {}}
        for other in books.keys() - {name}:
            if (moved := carry.over(alone, books[other])).answers:
                books[other] = moved.notebook
                carried.answers += moved.answers
                carried.left = [c for c in carried.left if c is not cell]
    return carried


def _told(carried: carry.Carried, where: str) -> list[str]:
    told = []
    if carried.is_anything:
        cells = f"{carried.others} {'cell' if carried.others == 1 else 'cells'} of yours" if carried.others else ""
        told.append(f"carried over from {where}: {', '.join(filter(None, [*carried.answers, cells]))}")
    if carried.reworded:
        told.append(f"the question has changed of {', '.join(carried.reworded)}: check what you wrote against it")
    for cell in carried.left:
        line = next(iter("".join(cell["source"]).strip().splitlines()), "")
        told.append(f"without a place in {where}, and only in what is kept: the cell {line[:60]!r}")
    return told


def _edition(book: dict[str, Any]) -> Any:
    """The fingerprint of a lesson as it was built, whatever was written in it since."""
    return lessons.build_metadata(book).get("sha256")


def _text(book: dict[str, Any]) -> str:
    """A notebook as the build stores one."""
    return json.dumps(book, ensure_ascii=False, indent=1, sort_keys=True) + "\n"


def _is_worked_in(path: Path, found: dict[str, Any]) -> bool:
    """Whether git sees a change in a generated lesson: an edit, or an output."""
    return lessons.is_edited(path) or any(c.get("outputs") or c.get("execution_count") for c in found["cells"])


def _is_kept(found: dict[str, Any], folder: Path, name: str) -> bool:
    """Whether all this was taken over before: it would come back into cells that the learner has changed since."""
    for path in (folder / "kept").glob(f"{name}.*.ipynb"):
        with contextlib.suppress(ValueError, OSError):
            if lessons.fingerprint(notebook.read(path)) == lessons.fingerprint(found):
                return True
    return False


def _is_ours(path: Path) -> bool:
    """Whether a notebook is a lesson of ours, not one of a course with numbers as well."""
    if path.stem in lessons.lesson_names():
        return True
    try:
        return path.is_file() and bool(lessons.build_metadata(notebook.read(path)))
    except (OSError, ValueError):
        return False


def _memory() -> Path:
    return progress.path().with_name("lessons.txt")


def _remembered() -> Path | None:
    try:
        folder = Path(files.read(_memory()).decode("utf-8").strip())
        return folder if folder.is_dir() else None
    except (OSError, ValueError):
        return None


@contextlib.contextmanager
def _alone() -> Iterator[None]:
    """Two `recattn start` may run at once; where no lock can be made, files that changed meanwhile are still left."""
    from filelock import FileLock  # `recattn hint` does not wait for it

    lock = FileLock(_memory().with_suffix(".lock"), timeout=20)
    with contextlib.suppress(OSError):
        _memory().parent.mkdir(parents=True, exist_ok=True)
        lock.acquire()
    try:
        yield
    finally:
        lock.release()
