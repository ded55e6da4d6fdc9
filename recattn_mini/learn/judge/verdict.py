"""The outcome of a check, told in colour and a small table in a notebook, in plain text anywhere else."""

import os
from dataclasses import dataclass, replace
from typing import Literal

from recattn_mini.learn.output import printable, say

Outcome = Literal["holds", "wrong", "not attempted", "raised", "too slow", "forbidden", "cannot be judged"]


@dataclass(frozen=True)
class Result:
    """One check: its name in the spec, its sentence, whether it held (None: it was not reached), what was seen."""

    name: str
    sentence: str
    held: bool | None = None
    seen: str = ""


@dataclass(frozen=True)
class Verdict:
    """All that is known of one answer. `message` stands above the checks, `diagnosis` and `note` below."""

    answer: str
    outcome: Outcome
    results: tuple[Result, ...] = ()
    message: str = ""
    diagnosis: str = ""
    note: str = ""

    def told(self, note: str) -> "Verdict":
        """The same with something more to say."""
        return replace(self, note="\n".join(filter(None, [self.note, note])))

    def failing(self, seen: str) -> tuple[Result, ...]:
        """The results with the first unreached check failed by `seen`."""
        at = next((n for n, r in enumerate(self.results) if r.held is None), None)
        return tuple(replace(r, held=False, seen=seen) if n == at else r for n, r in enumerate(self.results))

    def lines(self) -> list[tuple[str, str]]:
        """(style, text) a line: the whole story, shared by every rendering."""
        if self.outcome == "holds":
            head = ("bold green", f"✓ {self.answer} holds: all {len(self.results)} checks")
        else:
            style = "bold yellow" if self.outcome == "not attempted" else "bold red"
            head = (style, f"{'○' if self.outcome == 'not attempted' else '✗'} {self.answer}: {self.outcome}")
        told = [head, *(("", f"  {line}") for line in self.message.splitlines())]
        table = self.outcome in ("holds", "wrong") or sum(r.held is not None for r in self.results) > 1
        for r in self.results:
            mark, style = {True: ("✓", "green"), False: ("✗", "red"), None: ("·", "dim")}[r.held]
            told += [(style, f"  {mark} {r.sentence}")] * table
            told += [("", f"  {'    ' * table}{line}") for line in r.seen.splitlines()]
        told += [("bold", f"  {line}") for line in self.diagnosis.splitlines()]
        return told + [("dim", f"  {line}") for line in self.note.splitlines()]

    def __str__(self) -> str:
        return "\n".join(text for _, text in self.lines())

    def show(self) -> None:
        """Print it: a small table in colour in a notebook, plain text in a terminal and under nbval (NO_COLOR)."""
        from rich.console import Console
        from rich.padding import Padding
        from rich.table import Table
        from rich.text import Text

        console = Console()
        if "NO_COLOR" in os.environ or not console.is_jupyter:
            say(str(self))
            return

        head, *rest = [(style, printable(text, "utf-8")) for style, text in self.lines()]
        table = Table(box=None, show_header=False, padding=0, title=Text(head[1], style=head[0]), title_justify="left")
        for style, text in rest:
            indent = len(text) - len(text.lstrip())
            table.add_row(Padding(Text(text.lstrip(), style=style), (0, 0, 0, indent)))
        console.print(table)
