"""Find calls that would give an exercise away, under whatever name, in the answer and in its own helpers.

Names in the syntax tree are resolved to objects, so an alias is caught. Deliberate evasion (getattr, eval) is not
the point: a learner who wants to cheat can read the solution.
"""

import ast
import contextlib
import functools
import importlib
import inspect
import sys
import textwrap
from collections.abc import Callable, Iterable, Iterator, Mapping
from types import FunctionType
from typing import Any


def forbidden_call(answer: Callable | type, forbidden: Iterable[str], answers: Iterable[Any] = ()) -> str | None:
    """The qualified name of the first forbidden thing that the answer or a helper of its own uses, or None."""
    forbidden, answers = tuple(forbidden), tuple(answers)
    packages = {name.split(".")[0] for name in (*forbidden, *(one.__module__ for one in answers))}
    seen: set[int] = set()
    todo = list(_functions(answer))
    objects, methods = _objects(forbidden, answers)
    for base in answer.__mro__[1:] if inspect.isclass(answer) and "forward" not in vars(answer) else ():
        if id(base) in objects:
            return objects[id(base)]
    while todo:
        function = todo.pop()
        if id(function) in seen:
            continue
        seen.add(id(function))
        used = list(_used(function, packages))
        objects, methods = _objects(forbidden, answers)  # the function may import one that was not loaded before
        for found, attribute in used:
            while isinstance(found, functools.partial):
                found = found.func
            for candidate in (found, type(found)):
                if id(candidate) in objects:
                    return objects[id(candidate)]
            if attribute in methods:
                return methods[attribute]
            if isinstance(found, (FunctionType, type)) and found.__module__ == answer.__module__:
                todo += _functions(found)
            elif type(found).__module__ == answer.__module__:  # an object of a class of the learner's own
                todo += _functions(type(found))
    return None


def innermost(function: Any) -> Any:
    """What a decorated function wraps; itself where that leads in a circle."""
    with contextlib.suppress(Exception):
        return inspect.unwrap(function)
    return function


def _objects(forbidden: tuple[str, ...], answers: tuple) -> tuple[dict[int, str], dict[str, str]]:
    """What is forbidden and loaded, by id; methods of a forbidden class's, by their name."""
    objects = {id(found): name for name in forbidden if (found := _find(name)) is not None}
    objects |= {id(one): f"{one.__module__}.{one.__qualname__}" for one in answers}
    methods = {name.rsplit(".", 1)[1]: name for name in forbidden if inspect.isclass(_find(name.rsplit(".", 1)[0]))}
    return objects, methods


def _find(qualified: str) -> Any:
    """The object of that name, if its package is loaded at all."""
    parts = qualified.split(".")
    found: Any = sys.modules.get(parts[0])
    for part in parts[1:]:
        found = getattr(found, part, None)
    return found


def _functions(answer: Any) -> Iterator[FunctionType]:
    own = [c for c in answer.__mro__ if c.__module__ == answer.__module__] if inspect.isclass(answer) else []
    for one in [f for c in own for f in vars(c).values()] or [answer]:
        if isinstance(one := innermost(one) if callable(one) else one, FunctionType):
            yield one


def _used(function: FunctionType, packages: set[str]) -> Iterator[tuple[Any, str]]:
    """Every object that the function names, and the name of every attribute it takes of something local."""
    try:
        tree = ast.parse(textwrap.dedent(inspect.getsource(function)))
    except (OSError, TypeError, SyntaxError):  # no source to read: defined by exec, or a lambda within a line
        return
    scope = {**function.__globals__, **dict.fromkeys(function.__code__.co_varnames), **_closure(function)}
    scope |= _local_imports(tree, packages)
    for node in ast.walk(tree):
        if isinstance(node, ast.Name) and node.id in scope:
            yield scope[node.id], ""
        elif isinstance(node, ast.Attribute):
            found = _resolve(node, scope)
            yield found, node.attr if _resolve(node.value, scope) is None else ""  # of something local


def _closure(function: FunctionType) -> dict[str, Any]:
    cells = dict(zip(function.__code__.co_freevars, function.__closure__ or (), strict=True))
    found = {}
    for name, cell in cells.items():
        with contextlib.suppress(ValueError):  # not assigned yet
            found[name] = cell.cell_contents
    return found


def _local_imports(tree: ast.AST, packages: set[str]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                if alias.name.split(".")[0] not in packages:
                    continue  # importing runs code
                with contextlib.suppress(Exception):
                    module, root = importlib.import_module(alias.name), alias.name.split(".")[0]
                    found[alias.asname or root] = module if alias.asname else sys.modules[root]
        elif (
            isinstance(node, ast.ImportFrom)
            and node.module
            and not node.level
            and node.module.split(".")[0] in packages
        ):
            with contextlib.suppress(Exception):
                module = importlib.import_module(node.module)
                found |= {a.asname or a.name: getattr(module, a.name, None) for a in node.names}
    return found


def _resolve(node: ast.expr, scope: Mapping[str, Any]) -> Any:
    if isinstance(node, ast.Name):
        return scope.get(node.id)
    if isinstance(node, ast.Attribute):
        with contextlib.suppress(Exception):  # a __getattr__ of the learner's may raise what it likes
            return getattr(_resolve(node.value, scope), node.attr, None)
    return None
