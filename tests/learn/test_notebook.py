"""Notebooks read as programs; stubs and solutions cut out of the library's text."""

import ast
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from recattn_mini.exercises import answer_names, answer_source
from recattn_mini.learn import notebook

LIBRARY = '''
"""A module as the library writes them."""

import math

import numpy as np
from recattn_mini.shapes import other, takes

SCALE = 2.0


def helper(x):
    return SCALE * x


def unrelated(x):
    return other(x)


@takes(x="... s")
def answer(x: np.ndarray) -> np.ndarray:
    """The question.

    >>> answer(1)
    2
    """
    top = x.max()
    return helper(x) - math.log(top)


class Module(Base):
    """What a module is asked."""

    def __init__(self, d):
        super().__init__()
        self.d = d

    def forward(self, x):
        """Multiply by d."""
        return x * self.d

    size = 3
'''


def program(*cells: str) -> list[notebook.Statement]:
    found = notebook.program({"cells": [{"cell_type": "code", "source": cell} for cell in cells]}, "test")
    assert not found[1]
    return found[0]


def needed(name: str, *cells: str) -> list[str]:
    return [ast.unparse(s.node) for s in notebook.needed(program(*cells), name)]


def test_a_stub_is_signature_and_docstring():
    stub = notebook.stub(LIBRARY, "answer")
    assert stub.startswith('def answer(x: np.ndarray) -> np.ndarray:\n    """The question.')
    assert stub.endswith('    """\n    raise NotImplementedError("your turn: answer")')
    assert "top" not in stub
    assert "takes" not in stub


def test_a_stub_of_a_module_keeps_what_init_sets_up():
    stub = notebook.stub(LIBRARY, "Module")
    tree = ast.parse(stub).body[0]
    assert isinstance(tree, ast.ClassDef)
    assert ast.get_docstring(tree) == "What a module is asked."
    assert "self.d = d" in stub
    assert "size = 3" in stub
    assert "x * self.d" not in stub
    assert '"""Multiply by d."""\n        raise NotImplementedError("your turn: Module")' in stub


def test_a_stub_without_a_docstring_would_show_the_answer():
    with pytest.raises(ValueError, match="helper must have a docstring"):
        notebook.stub(LIBRARY, "helper")


def test_a_solution_holds_what_it_needs_and_nothing_else():
    solved = notebook.solved(LIBRARY, "answer")
    assert solved.startswith("import math\nimport numpy as np\n\n\nSCALE = 2.0\n\n\ndef helper(x):")
    assert "def answer(x" in solved
    assert not {"unrelated", "takes", "Module", "other"} & set(solved.split())
    space: dict = {}
    exec(solved, space)
    assert space["answer"](space["np"].float64(1)) == 2


@pytest.mark.parametrize("answer", answer_names())
def test_every_answer_of_the_library_has_a_stub_and_a_solution_that_compile(answer):
    source = answer_source(answer)
    [stub] = program("from __future__ import annotations", notebook.stub(source, answer))[1:]
    assert notebook.is_stub(stub)
    solved = [s for s in program(notebook.solved(source, answer)) if answer in s.binds]
    assert not notebook.is_stub(solved[0])
    space: dict = {}
    exec(notebook.solved(source, answer), space)
    assert callable(space[answer])


def test_a_stub_is_known_by_its_words():
    assert notebook.is_stub(program("def f():\n    raise NotImplementedError('your turn: f')")[0])
    assert not notebook.is_stub(program("def f():\n    raise NotImplementedError('for odd n')")[0])
    assert not notebook.is_stub(program("def f():\n    return 'your turn'")[0])


def test_only_what_an_answer_uses_is_needed():
    found = needed(
        "f", "import numpy as np\nimport slow", "a = np.ones(3)", "b = slow.plot()", "def f(x):\n return x + a"
    )
    assert found == ["import numpy as np", "a = np.ones(3)", "def f(x):\n    return x + a"]


def test_what_stands_below_is_found_and_order_is_kept():
    assert needed("f", "def f(x): return helper(x)", "def helper(x): return x")[1].startswith("def helper")
    assert [s[:5] for s in needed("f", "def f(): 0", "def g(): 1", "def f(): 2")] == ["def f", "def f"]


@pytest.mark.parametrize(
    "local",
    [
        "def f(scores): return scores",
        "def f():\n scores = 1\n return scores",
        "def f(): return [scores for scores in range(3)]",
        "def f():\n def g(scores): return scores\n return g(1)",
        "def f(x): return x.scores",
        "class f:\n def forward(self, scores): return scores",
    ],
)
def test_a_local_name_is_not_the_lessons_variable(local):
    assert len(needed("f", "scores = train_for_hours()", local)) == 1


@pytest.mark.parametrize(
    "using",
    [
        "def f(): return scores",
        "def f(x=scores): return x",
        "@scores\ndef f(): return 1",
        "def f() -> scores: return 1",
        "def f():\n def g(): return scores\n return g()",
        "class f(scores):\n pass",
        "class f:\n def forward(self): return scores",
        "f = scores",
    ],
)
def test_a_global_name_is_needed_wherever_it_stands(using):
    assert len(needed("f", "scores = 1", using)) == 2


@pytest.mark.parametrize(
    "changing", ["table[0] = 1", "table.x = 1", "table += 1", "table[0].x, y = 1, 2", "for table in []: pass"]
)
def test_a_change_in_place_belongs_to_what_it_changes(changing):
    assert needed("f", "table = new()", changing, "def f(): return table")[1:2] == [ast.unparse(ast.parse(changing))]


def test_a_star_import_may_be_where_a_name_comes_from():
    assert needed("f", "from math import *", "def f(x): return sqrt(x)")[0] == "from math import *"


@pytest.mark.parametrize(
    ("magic", "lines"),
    [
        ("%matplotlib inline", 1),
        ("!ls -l | grep x", 1),
        ("?softmax", 1),
        ("np.exp??", 1),
        ("files = !ls", 1),
        ("if True:\n    %time f()", 2),
        ("\n\n%time f()", 3),
        ("%%time\nf()", 2),
        ("%%bash\nfor f in *; do echo $f; done", 2),
    ],
)
def test_magics_are_passed_over_and_lines_keep_their_numbers(magic, lines):
    [definition] = [
        s for s in program(f"{magic}\ndef g(): pass" if "%%b" not in magic else magic) if "g" in s.binds
    ] or [None]
    assert definition is None or definition.node.lineno == lines + 1
    assert (definition is None) == ("%%b" in magic)


def test_a_line_that_begins_with_a_percent_sign_may_be_an_expression():
    assert needed("f", "f = (7\n     % 4)") == ["f = 7 % 4"]


def test_a_cell_that_does_not_parse_is_named_with_the_answers_it_means():
    cells = ["x = 1", "def softmax_numpy(x):\n    return (", "def nobody(:"]
    found, bad = notebook.program({"cells": [{"cell_type": "code", "source": c} for c in cells]}, "a.ipynb")
    assert len(found) == 1
    assert [cell.answers for cell in bad] == [("softmax_numpy",), ()]
    assert bad[0].error.filename == "a.ipynb, cell 2"


@pytest.mark.parametrize(
    "content", ["", "[]", "{}", "null", '{"cells": [{}]}', '{"cells": [{"cell_type": 1}]}', "\xff"]
)
def test_a_file_that_is_no_notebook_is_named(tmp_path: Path, content: str):
    path = tmp_path / "x.ipynb"
    path.write_text(content, encoding="latin-1")
    with pytest.raises(ValueError, match=r"x\.ipynb must be a Jupyter notebook"):
        notebook.read(path)


def test_sources_may_be_lists_of_lines(tmp_path: Path):
    path = tmp_path / "x.ipynb"
    path.write_text(json.dumps({"cells": [{"cell_type": "code", "source": ["a = 1\n", "b = 2"]}]}))
    assert len(notebook.program(notebook.read(path), "x")[0]) == 2


def test_a_magic_over_several_lines_leaves_line_numbers_alone():
    cell = {"source": "!pip install \\\n  one \\\n  two\nlate = 1\n"}
    [*_, last] = notebook.statements(notebook.text(cell), "cell 1")
    assert last.binds == {"late"}
    assert last.node.lineno == 4


DEEP = "x = " + "1 + " * 5_000 + "1"


@pytest.mark.parametrize(
    "hopeless",
    ["x = '\ud800'", "x = '\0'", DEEP, f"{'(' * 5_000}1{')' * 5_000}", f"x = {'-' * 5_000}1", f"f{'[0]' * 5_000}"],
    ids=["surrogate", "nul", "sum", "parentheses", "signs", "subscripts"],
)
def test_a_cell_that_python_cannot_read_is_named_and_the_others_are_read(hopeless: str):
    cells = ["a = 1", f"{hopeless}\ndef softmax_numpy(x): return x", "b = 2"]
    found, [bad] = notebook.program({"cells": [{"cell_type": "code", "source": c} for c in cells]}, "a.ipynb")
    assert [name for s in found for name in s.binds] == ["a", "b"]
    assert bad.error.filename == "a.ipynb, cell 2"
    assert bad.answers == ("softmax_numpy",)


@pytest.mark.parametrize(
    "source",
    [
        "a" + " " * 100_000 + "b",
        " " * 100_000 + "b c",
        "a, " * 50_000 + "!",
        "?" + " " * 100_000,
        "a." * 50_000 + " ! b",
        "%a\\\n" * 30_000 + "b c",
        "def\n" + "\n" * 100_000 + "def (",
    ],
    ids=["spaces", "indented", "commas", "help", "dots", "continued", "empty lines"],
)
def test_reading_magics_takes_no_square_of_the_length(source: str):
    """Of 32,000 spaces it took 22 s: in a process of its own, which is stopped long before that."""
    code = (
        "import sys; from recattn_mini.learn import notebook; cell = {'cell_type': 'code', 'source': sys.stdin.read()}"
    )
    code += "; notebook.program({'cells': [cell]}, 'x')"
    subprocess.run([sys.executable, "-c", code], input=source, text=True, check=True, timeout=30)


def test_an_assigned_magic_keeps_its_names():
    assert needed("b", "  \na, b = !ls") == [ast.unparse(ast.parse("a, b = None"))]


def test_a_notebook_that_is_no_file_is_not_waited_for(tmp_path: Path):
    os.mkfifo(tmp_path / "x.ipynb")
    code = "import pathlib, sys; from recattn_mini.learn import notebook; notebook.read(pathlib.Path(sys.argv[1]))"
    command = [sys.executable, "-c", code, str(tmp_path / "x.ipynb")]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=30)
    assert "OSError: [Errno 22] a folder, a pipe or a device, not a file" in ran.stderr
