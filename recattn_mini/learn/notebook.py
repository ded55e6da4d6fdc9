"""Read answers out of notebooks and out of the library, as text: no Jupyter, no torch, nothing is run.

A notebook is read as a program: an answer needs the statements that define it and those that define what they use,
and only these. So `pytest lessons/01_….ipynb` does not wait for plots, and a helper may stand in any cell.
"""

import ast
import contextlib
import functools
import json
import linecache
import os
import re
import symtable
import sys
import warnings
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from recattn_mini.exercises import answer_names
from recattn_mini.learn import files

YOUR_TURN = "your turn"
MAGICS = {
    r"^([ \t]*)[%!?](?:.*\\\n)*.*": r"\1pass",  # %matplotlib inline, !ls, ?softmax; may be all that an `if` holds
    r"^([ \t]*)[\w.]+\?\??[ \t]*$": r"\1pass",  # softmax?
    # lines = !ls; no two parts can take the same space, or 32,000 of them would take 22 s
    r"^([ \t]*\w[\w, ]*=)[ \t]*[%!].*": r"\1 None",
}
HOPELESS = (SyntaxError, ValueError, RecursionError, MemoryError)  # what Python's parser makes of a text it refuses


@dataclass(frozen=True)
class Statement:
    """A top-level statement of a program: what it binds and what it uses."""

    node: ast.stmt
    file: str
    binds: frozenset[str]
    uses: frozenset[str]

    @property
    def is_future(self) -> bool:
        """Whether it changes how all others are compiled."""
        return isinstance(self.node, ast.ImportFrom) and self.node.module == "__future__"


@dataclass(frozen=True)
class BadCell:
    """A cell that does not parse, and the exercise answers that it means to define."""

    error: SyntaxError
    answers: tuple[str, ...]


def statements(source: str, file: str) -> list[Statement]:
    """The top-level statements of a program."""
    return [Statement(n, file, _binds(n), _uses(n, file)) for n in ast.parse(source, file).body]


def needed(program: Iterable[Statement], name: str) -> list[Statement]:
    """The statements that define `name` and what these use, in their order."""
    program = list(program)
    todo, chosen = {name}, set[int]()
    while todo:
        want = todo.pop()
        for n, statement in enumerate(program):
            if ({want, "*"} & statement.binds or statement.is_future) and n not in chosen:
                chosen.add(n)
                todo |= statement.uses
    return [program[n] for n in sorted(chosen)]


def _binds(node: ast.stmt) -> frozenset[str]:
    if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
        return frozenset([node.name])
    found = set()
    for n in ast.walk(node):
        if isinstance(n, (ast.Import, ast.ImportFrom)):
            found |= {a.asname or a.name.split(".")[0] for a in n.names}
        elif isinstance(getattr(n, "ctx", None), ast.Store):
            while isinstance(n, (ast.Attribute, ast.Subscript, ast.Starred)):
                n = n.value  # table[3] = 4 changes what `table` is
            if isinstance(n, ast.Name):
                found.add(n.id)
        elif isinstance(n, (ast.FunctionDef, ast.ClassDef)):
            found.add(n.name)
    return frozenset(found)


def _uses(node: ast.stmt, file: str) -> frozenset[str]:
    """Global names only: a local variable of an answer may share its name with a lesson's variable."""
    top = symtable.symtable(ast.unparse(node), file, "exec")
    found = {s.get_name() for s in top.get_symbols() if s.is_referenced()}
    todo = top.get_children()
    while todo:
        table = todo.pop()
        found |= {s.get_name() for s in table.get_symbols() if s.is_global()}
        todo += table.get_children()
    return frozenset(found)


def code_cells(notebook: dict[str, Any]) -> Iterator[tuple[int, dict[str, Any]]]:
    """The code cells and their place among all cells, counted from 1."""
    return ((n, c) for n, c in enumerate(notebook["cells"], 1) if c["cell_type"] == "code")


def text(cell: dict[str, Any]) -> str:
    """A cell's source; on disk it may be a list of lines. Where IPython's own syntax stands, the line numbers stay."""
    source = "".join(cell["source"])
    with contextlib.suppress(*HOPELESS):
        ast.parse(source)  # a line of an expression may begin with % and be no magic
        return source
    if re.match(r"\s*%%(?!time|capture|prun)", source):
        return "\n" * source.count("\n")  # another language, or a file's content
    for magic, instead in MAGICS.items():
        source = re.sub(magic, functools.partial(_expanded, instead), source, flags=re.MULTILINE)
    return source


def _expanded(instead: str, magic: re.Match[str]) -> str:
    """A magic that goes on over several lines leaves as many, or every line number behind it would be off."""
    return magic.expand(instead) + "\n" * magic[0].count("\n")


def read(path: Path) -> dict[str, Any]:
    """A notebook from disk; a file that is none is a ValueError, what is no file an OSError."""
    try:
        notebook = json.loads(files.read(path))
        problem = _not_a_notebook(notebook)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        problem = f"{type(error).__name__}: {error}"
    if problem:
        raise ValueError(f"{path} must be a Jupyter notebook, got {problem}")
    return notebook


def _not_a_notebook(notebook: Any) -> str | None:
    """What of the parts that are used here is of another kind; a part that is missing raises."""
    if not isinstance(notebook.get("metadata", {}), dict):
        return f"metadata of type {type(notebook['metadata']).__name__}"
    for n, cell in enumerate(notebook["cells"], 1):
        lines = [cell["source"]] if isinstance(cell["source"], str) else cell["source"]
        if not all(isinstance(text, str) for text in [cell["cell_type"], cell.get("id", ""), *lines]):
            return f"cell {n} with a type, an id or a source that is no text"
    return None


def program(notebook: dict[str, Any], name: str) -> tuple[list[Statement], list[BadCell]]:
    """All statements of a notebook's code cells, and the cells that do not parse."""
    found, bad = list[Statement](), list[BadCell]()
    for n, cell in code_cells(notebook):
        file = f"{name}, cell {n}"
        source = text(cell)
        linecache.cache[file] = (len(source), None, source.splitlines(keepends=True), file)
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # "$\\sqrt{d}$" is a SyntaxWarning, and pytest may make it an error
                found += statements(source, file)
        except HOPELESS as error:
            answers = re.findall(r"^[ \t]*(?:async[ \t]+)?(?:def|class)[ \t]+(\w+)", source, flags=re.MULTILINE)
            bad.append(BadCell(_as_syntax_error(error, file), tuple(a for a in answers if a in answer_names())))
    return found, bad


def _as_syntax_error(error: Exception, file: str) -> SyntaxError:
    """Of a lone surrogate, a null or an expression nested thousands deep Python names neither a file nor a line."""
    if isinstance(error, SyntaxError) and error.filename:
        return error
    return SyntaxError(f"this cell cannot be read ({type(error).__name__}: {error})", (file, 1, None, None))


def answers_in(found: Iterable[Statement]) -> list[str]:
    """The exercise answers that a program defines, in its order."""
    imports = (ast.Import, ast.ImportFrom)
    defined = [name for s in found if not isinstance(s.node, imports) for name in sorted(s.binds)]
    return [name for name in dict.fromkeys(defined) if name in answer_names()]


def defined(found: Iterable[Statement], bad: Iterable[BadCell]) -> list[str]:
    """The answers that a program defines, and those that a cell means to define that does not parse."""
    return list(dict.fromkeys([*answers_in(found), *(answer for cell in bad for answer in cell.answers)]))


def is_stub(statement: Statement) -> bool:
    """Whether an answer still waits to be written."""
    return any(
        isinstance(n, ast.Raise) and YOUR_TURN in ast.unparse(n) and "NotImplementedError" in ast.unparse(n)
        for n in ast.walk(statement.node)
    )


def stub(source: str, answer: str) -> str:
    """The question without the answer: signature and docstring; a class keeps what its `__init__` sets up."""
    lines = source.splitlines()
    [node] = [n for n in ast.parse(source).body if getattr(n, "name", None) == answer]
    your_turn = f'raise NotImplementedError("{YOUR_TURN}: {answer}")'
    if not isinstance(node, ast.ClassDef):
        return _head(node, lines) + f"\n    {your_turn}"
    parts, start = [], node.lineno - 1
    for method in node.body:
        if isinstance(method, ast.FunctionDef) and method.name != "__init__":
            before = lines[start : method.lineno - 1]
            parts += [*before, *_head(method, lines).splitlines(), f"        {your_turn}"]
            start = method.end_lineno or 0
    return "\n".join([*parts, *lines[start : node.end_lineno]]).rstrip()


def solved(source: str, answer: str) -> str:
    """The answer, the functions of its own module that it calls, and the imports that these need."""
    lines, imports, definitions = source.splitlines(), [], []
    tree = ast.parse(source)
    for node in tree.body:
        if isinstance(node, (ast.FunctionDef, ast.ClassDef)):
            node.decorator_list = []  # @takes is the library's edge, no part of the answer
    every = [Statement(n, "", _binds(n), _uses(n, "")) for n in tree.body]
    chosen = needed(every, answer)
    used = {name for s in chosen for name in s.uses}
    for node in (s.node for s in chosen):
        if isinstance(node, (ast.Import, ast.ImportFrom)):
            node.names = [a for a in node.names if (a.asname or a.name.split(".")[0]) in used]
            imports.append(ast.unparse(node))
        else:
            definitions.append("\n".join(lines[node.lineno - 1 : node.end_lineno]))
    return "\n\n\n".join(["\n".join(imports), *definitions] if imports else definitions)


def _head(node: Any, lines: list[str]) -> str:
    if ast.get_docstring(node) is None:
        raise ValueError(f"{node.name} must have a docstring, which is the question; got none")
    return "\n".join(lines[node.lineno - 1 : node.body[0].end_lineno])


def running() -> str | None:
    """The notebook that this kernel runs, where Jupyter or VS Code tell."""
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython else None
    if shell is None:
        return None
    return shell.user_ns.get("__vsc_ipynb_file__") or os.environ.get("JPY_SESSION_NAME")
