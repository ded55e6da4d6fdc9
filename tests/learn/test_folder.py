"""The learner's folder: what is copied, refreshed, carried over and taken over; and that nothing is ever lost."""

import ast
import itertools
import json
import re
import shutil
import subprocess
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nbformat
import pytest
from click.testing import CliRunner

from recattn_mini.exercises import answer_source
from recattn_mini.learn import carry, cli, folder, lessons, notebook, server

BUILD = lessons.builder()
SOURCE = """\
# %% [markdown]
# # Tiny

# %%
import numpy as np

# %% [markdown]
# ## A softmax

# %% tags=["exercise"]
from recattn_mini.attention.softmax import softmax_numpy

# %%
check(softmax_numpy)

# %%
print("below")

# %% tags=["exercise"]
from recattn_mini.attention.masks import causal_mask

# %%
check(causal_mask)
"""
SECOND = """\
# %% [markdown]
# # Second

# %% tags=["exercise"]
from recattn_mini.attention.masks import padding_mask
"""
ANSWER = "def softmax_numpy(x):\n    return _shift(x)"
HELPER = "def _shift(x):\n    return x - x.max()"
Edit = Callable[[dict[str, Any]], None]


def rendered(folder: Path, source: str, name: str = "01_tiny") -> dict[str, Any]:
    path = folder / f"{name}.py"
    path.write_text(source, encoding="utf-8")
    return json.loads(BUILD.lesson(path))


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """As if installed from a wheel that holds two lessons; the current directory is empty."""
    package = tmp_path / "site-packages" / "recattn_mini"
    (package / "_lessons").mkdir(parents=True)
    monkeypatch.setattr(lessons, "PACKAGE", package)
    publish(package, SOURCE)
    publish(package, SECOND, "02_second")
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    monkeypatch.setattr(server, "run", lambda lesson, options: 7)
    return package


@pytest.fixture
def mine(package: Path) -> Path:
    """The learner's folder, with the lessons in it."""
    start("mine")
    return Path("mine").resolve()


def publish(package: Path, source: str, name: str = "01_tiny") -> None:
    """An edition in which a lesson reads so."""
    path = package / "_lessons" / f"{name}.ipynb"
    path.write_text(folder._text(rendered(path.parent, source, name)), encoding="utf-8")


def start(*words: str, code: int = 7) -> str:
    ran = CliRunner().invoke(cli.main, ["start", *words])
    assert ran.exit_code == code, (ran.output, ran.exception)
    return ran.output


def read(path: Path) -> dict[str, Any]:
    found = json.loads(path.read_text(encoding="utf-8"))
    nbformat.validate(found)
    return found


def edit(path: Path, change: Edit) -> None:
    found = read(path)
    change(found)
    path.write_text(json.dumps(found), encoding="utf-8")


def cell(source: str, kind: str = "code", told: str = "") -> dict[str, Any]:
    """A cell of the learner's, as Jupyter makes one."""
    new = {"cell_type": kind, "id": told or f"{next(COUNT):08x}", "metadata": {}, "source": source}
    return new | ({"outputs": [], "execution_count": None} if kind == "code" else {})


COUNT = itertools.count(1)


def at(found: dict[str, Any], told: str) -> int:
    return next(n for n, c in enumerate(found["cells"]) if c["id"] == told)


def sources(found: dict[str, Any]) -> list[str]:
    return ["".join(c["source"]) for c in found["cells"]]


def answered(found: dict[str, Any]) -> None:
    """An answer with an output, and the helper that it needs in front of it."""
    n = at(found, "softmax_numpy")
    printed = {"output_type": "stream", "name": "stdout", "text": ["seen\n"]}
    found["cells"][n] |= {"source": ANSWER, "outputs": [printed], "execution_count": 3}
    found["cells"].insert(n, cell(HELPER))
    found["cells"].insert(1, cell("a note of mine", "markdown"))


def kept(where: Path) -> list[bytes]:
    return [path.read_bytes() for path in sorted((where / "kept").glob("*"))]


def test_a_lesson_that_holds_nothing_is_written_anew(mine: Path, package: Path):
    edit(mine / "01_tiny.ipynb", lambda found: found["cells"][1].update(execution_count=4))  # it was run, no more
    publish(package, SOURCE.replace("# Tiny", "# Tinier"))
    told = start("mine")
    assert "of this edition now, nothing was written in them: 01_tiny" in told
    assert "left as they are: 02_second" in told
    assert (mine / "01_tiny.ipynb").read_text(encoding="utf-8") == lessons.fresh("01_tiny")
    assert not kept(mine)
    assert "left as they are: 01_tiny, 02_second" in start("mine")


def test_answers_and_what_they_need_are_carried_into_a_new_edition(mine: Path, package: Path):
    path = mine / "01_tiny.ipynb"
    edit(path, answered)
    before = path.read_bytes()
    new = SOURCE.replace("# Tiny", "# Tinier").replace('print("below")', 'print("further below")')
    publish(package, new.replace("# ## A softmax", "# ## A softmax, explained"))
    told = start("mine")
    assert "carried over from 01_tiny: softmax_numpy, 2 cells of yours" in told
    assert kept(mine) == [before]
    assert f"kept as {mine / 'kept' / '01_tiny.'}" in told

    found = read(path)
    assert sources(found) == [
        "# Tinier",
        "a note of mine",
        "import numpy as np",
        "## A softmax, explained",
        HELPER,
        ANSWER,
        "check(softmax_numpy)",
        'print("further below")',
        notebook.stub(answer_source("causal_mask"), "causal_mask"),
        "check(causal_mask)",
    ]
    n = at(found, "softmax_numpy")
    assert found["cells"][n]["outputs"][0]["text"] == ["seen\n"]
    assert found["cells"][n]["metadata"] == {"tags": ["exercise"]}
    assert found["metadata"]["recattn"] == json.loads(lessons.fresh("01_tiny"))["metadata"]["recattn"]
    after = path.read_bytes()
    assert "left as they are: 01_tiny" in start("mine")
    assert (path.read_bytes(), len(kept(mine))) == (after, 1)


def first_edition(found: dict[str, Any]) -> None:
    """The same lesson as the first edition wrote it: cells are numbered, and no digest is written down."""
    told = found["metadata"]["recattn"]
    numbers = {c["id"]: f"01_tiny-{n:02d}" for n, c in enumerate(found["cells"])}
    for c in found["cells"]:
        c["id"] = numbers[c["id"]]
    told["exercises"] = {numbers[c]: answer for c, answer in told["exercises"].items()}
    told["sha256"] = "of the first edition"
    del told["built"], told["generated"]


@pytest.mark.parametrize("docstring", ["as it is now", "another"])
def test_a_first_edition_is_carried_over(mine: Path, docstring: str):
    """Its other exercise, untouched, comes fresh, though the question may read otherwise now."""
    path = mine / "01_tiny.ipynb"

    def wrote(found: dict[str, Any]) -> None:
        n, m = at(found, "01_tiny-03"), at(found, "01_tiny-06")
        if docstring == "another":
            head = 'def causal_mask(q, k):\n    """An older question."""\n'
            found["cells"][m]["source"] = head + '    raise NotImplementedError("your turn: causal_mask")'
        found["cells"][1]["source"] = "import numpy as np\nimport math"  # the lesson's own, changed, not needed
        found["cells"][n]["source"] = ANSWER
        found["cells"].insert(n, cell(HELPER))

    edit(path, first_edition)
    edit(path, wrote)
    before = path.read_bytes()
    told = start("mine")
    assert "carried over from 01_tiny: softmax_numpy, 1 cell of yours" in told
    fresh = sources(json.loads(lessons.fresh("01_tiny")))
    assert sources(read(path)) == [*fresh[:3], HELPER, ANSWER, *fresh[4:]]
    assert kept(mine) == [before]


@pytest.mark.parametrize(
    "wrote",
    [
        "# my plan: a triangle\n{stub}",
        "{stub}\n    # a triangle?",
        "import math\n\n{stub}",
        "def causal_mask(q, k):\n    return ((",
        "def causal_mask(q, k):\n    '''Mine.'''\n    t = 1\n    raise NotImplementedError('your turn: causal_mask')",
    ],
)
def test_half_an_answer_in_a_first_edition_is_an_answer(mine: Path, wrote: str):
    path, stub = mine / "01_tiny.ipynb", notebook.stub(answer_source("causal_mask"), "causal_mask")
    edit(path, first_edition)
    edit(path, lambda found: found["cells"][6].update(source=wrote.format(stub=stub)))
    start("mine")
    assert wrote.format(stub=stub) in sources(read(path))


def test_what_the_learner_changed_of_the_lessons_own_cells(mine: Path, package: Path):
    """It stays where the cell is still there; else it comes along where an answer needs it, or is kept."""
    path = mine / "01_tiny.ipynb"

    def wrote(found: dict[str, Any]) -> None:
        found["cells"][1]["source"] = "import numpy as np\nfrom math import exp"
        found["cells"][2]["source"] = "## A softmax: I know this"
        found["cells"][3]["source"] = "def softmax_numpy(x):\n    return exp(x)"
        found["cells"][5]["source"] = "print('tried this')"

    edit(path, wrote)
    new = SOURCE.replace("import numpy as np", "import numpy as np\nimport torch").replace('"below"', '"far below"')
    publish(package, new)
    told = start("mine")
    found = sources(read(path))
    assert found[1] == "import numpy as np\nimport torch"
    assert found.count("import numpy as np\nfrom math import exp") == found.count("## A softmax: I know this") == 1
    assert "print('tried this')" not in found
    assert "without a place in 01_tiny, and only in what is kept: the cell \"print('tried this')\"" in told
    assert "tried this" in kept(mine)[0].decode()


EXERCISE = """# %% tags=["exercise"]
from recattn_mini.attention.softmax import softmax_numpy

"""


@pytest.mark.parametrize("counts", ["the exercise", "the other", "the other, pasted"])
def test_the_definition_that_counts_goes_on_to_count(mine: Path, package: Path, counts: str):
    """The last one does; in this edition the exercise has moved to the other side of the learner's own cell."""
    path = mine / "01_tiny.ipynb"

    def wrote(found: dict[str, Any]) -> None:
        n = at(found, "softmax_numpy")
        found["cells"][n]["source"] = "def softmax_numpy(x):\n    return 'the exercise'"
        place = n if counts == "the exercise" else len(found["cells"])
        found["cells"].insert(place, cell("def softmax_numpy(x):\n    return 'the other'"))
        if counts == "the other, pasted":
            del found["cells"][n]

    edit(path, wrote)
    rest = SOURCE.replace(EXERCISE, "")
    publish(package, EXERCISE + rest if counts == "the exercise" else f"{rest}\n{EXERCISE}")
    start("mine")
    program, _ = notebook.program(read(path), "lesson")
    last = [s for s in program if "softmax_numpy" in s.binds][-1].node
    assert ast.unparse(last).endswith(f"return '{counts.removesuffix(', pasted')}'")


def test_an_answer_that_nobody_asks_for_any_more_is_kept_and_said(mine: Path, package: Path):
    path = mine / "01_tiny.ipynb"
    edit(path, answered)
    publish(package, SOURCE.split("# %% [markdown]\n# ## A softmax")[0])
    told = start("mine")
    assert "without a place in 01_tiny, and only in what is kept: the cell 'def softmax_numpy(x):'" in told
    assert ANSWER.replace("\n", "\\n") in kept(mine)[0].decode()
    assert HELPER in sources(read(path))


def test_an_exercise_that_moved_to_another_lesson_takes_its_answer_along(mine: Path, package: Path):
    edit(mine / "01_tiny.ipynb", answered)
    head, exercise = SOURCE.split("# %% [markdown]\n# ## A softmax")
    exercise, tail = exercise.split("# %%\nprint")
    publish(package, f"{head}# %%\nprint{tail}")
    publish(package, f"{SECOND}\n# %% [markdown]\n# ## A softmax{exercise}", "02_second")
    told = start("mine")
    assert "softmax_numpy" in told
    assert ANSWER in sources(read(mine / "02_second.ipynb"))
    assert "without a place" not in told


def test_a_lesson_that_was_renamed(mine: Path, package: Path):
    edit(mine / "01_tiny.ipynb", answered)
    before = (mine / "01_tiny.ipynb").read_bytes()
    shutil.copy(mine / "01_tiny.ipynb", mine / "01_tiny-Copy1.ipynb")  # the learner's own copy is left alone
    (package / "_lessons" / "01_tiny.ipynb").unlink()
    publish(package, SOURCE, "01_small")
    told = start("mine")
    assert "01_tiny is called 01_small now" in told
    assert not (mine / "01_tiny.ipynb").exists()
    assert (mine / "01_tiny-Copy1.ipynb").read_bytes() == before
    assert before in kept(mine)
    assert {ANSWER, HELPER, "a note of mine"} <= set(sources(read(mine / "01_small.ipynb")))


def test_a_question_that_reads_otherwise_now_is_said(mine: Path, package: Path):
    path, stub = mine / "01_tiny.ipynb", notebook.stub(answer_source("softmax_numpy"), "softmax_numpy")
    wrote = stub.replace('"""', '"""As the question was worded then: ', 1).replace("raise Not", "return x  # raise Not")
    assert wrote != stub
    edit(path, lambda found: found["cells"][at(found, "softmax_numpy")].update(source=wrote))
    publish(package, SOURCE.replace("# Tiny", "# Tinier"))
    assert "the question has changed of softmax_numpy" in start("mine")


@pytest.mark.parametrize("lost", ["metadata", "ids", "both"])
def test_what_other_tools_drop(mine: Path, package: Path, lost: str):
    """Colab and others make ids anew or drop metadata they do not know: answers are found by what a cell defines."""
    path = mine / "01_tiny.ipynb"
    edit(path, answered)

    def drop(found: dict[str, Any]) -> None:
        if lost != "ids":
            found["metadata"] = {}
        if lost != "metadata":
            for n, c in enumerate(found["cells"]):
                c["id"] = f"{n:08x}"

    edit(path, drop)
    before = path.read_bytes()
    publish(package, SOURCE.replace("# Tiny", "# Tinier"))
    start("mine")
    assert ANSWER in sources(read(path))
    assert kept(mine) == [before]


@pytest.mark.parametrize("damage", ["text", "folder", "broken link"])
def test_a_notebook_that_cannot_be_read_is_left_and_said(mine: Path, package: Path, damage: str):
    path = mine / "01_tiny.ipynb"
    edit(mine / "02_second.ipynb", lambda found: found["cells"].append(cell("mine")))
    path.unlink()
    if damage == "text":
        path.write_text("{")
    elif damage == "folder":
        path.mkdir()
    else:
        path.symlink_to("nowhere")
    publish(package, SECOND.replace("Second", "The second"), "02_second")
    told = start("mine")
    assert f"{path} is no readable notebook and is left as it is" in told
    assert "`recattn reset --lesson 01_tiny`" in told
    assert "mine" in sources(read(mine / "02_second.ipynb"))
    assert path.is_symlink() if damage == "broken link" else path.is_dir() or path.read_text() == "{"


def test_a_lesson_that_is_saved_meanwhile_is_not_written_over(mine: Path, package: Path, monkeypatch):
    path = mine / "01_tiny.ipynb"
    edit(path, answered)
    publish(package, SOURCE.replace("# Tiny", "# Tinier"))
    over = carry.over

    def saved(old: dict[str, Any], new: dict[str, Any]) -> carry.Carried:
        edit(path, lambda found: found["cells"].append(cell("saved meanwhile")))
        return over(old, new)

    monkeypatch.setattr(carry, "over", saved)
    told = start("mine")
    assert "saved this very moment" in told
    assert "saved meanwhile" in sources(read(path))
    monkeypatch.setattr(carry, "over", over)
    start("mine")
    assert {"saved meanwhile", ANSWER, "# Tinier"} <= set(sources(read(path)))


def test_two_at_once(mine: Path, package: Path, monkeypatch: pytest.MonkeyPatch):
    over = carry.over
    monkeypatch.setattr(carry, "over", lambda old, new: time.sleep(0.3) or over(old, new))
    path = mine / "01_tiny.ipynb"
    edit(path, answered)
    before = path.read_bytes()
    publish(package, SOURCE.replace("# Tiny", "# Tinier"))
    told: list[str] = []
    threads = [threading.Thread(target=lambda: told.extend(folder.refresh(mine))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert kept(mine) == [before]
    assert not [line for line in told if "this very moment" in line]
    assert sources(read(path)).count(HELPER) == sources(read(path)).count(ANSWER) == 1


# In a clone


@pytest.fixture
def clone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A clone under git, one stands in its root; a first edition's lesson is committed in it, then this one's."""
    root = tmp_path / "clone"
    (root / "lessons" / "source").mkdir(parents=True)
    (root / "recattn_mini").mkdir()
    monkeypatch.setattr(lessons, "PACKAGE", root / "recattn_mini")
    shutil.copy(Path(lessons.__file__).parents[2] / "lessons" / "build.py", root / "lessons")
    (root / ".gitignore").write_text("kept/\n__pycache__/\n")
    (root / "lessons" / "source" / "01_tiny.py").write_text(SOURCE, encoding="utf-8")
    found = rendered(tmp_path, SOURCE.replace("# Tiny", "# Tiny, as it was"))
    first_edition(found)
    (root / "lessons" / "01_tiny.ipynb").write_text(folder._text(found), encoding="utf-8")
    git(root, "init", "--quiet")
    commit(root, "first")
    (root / ".gitignore").write_text("kept/\n__pycache__/\nrecattn-lessons/\n")
    (root / "lessons" / "01_tiny.ipynb").write_text(lessons.fresh("01_tiny"), encoding="utf-8")
    commit(root, "second")
    monkeypatch.chdir(root)
    monkeypatch.setattr(server, "run", lambda lesson, options: 7)
    return root


def git(root: Path, *words: str) -> str:
    own = ["-c", "user.name=me", "-c", "user.email=me@example.org", "-c", "commit.gpgsign=false"]
    ran = subprocess.run(["git", *own, *words], cwd=root, capture_output=True, text=True, encoding="utf-8")
    assert ran.returncode == 0, ran.stderr
    return ran.stdout


def commit(root: Path, message: str) -> None:
    git(root, "add", "--all")
    git(root, "commit", "--quiet", "--message", message)


def test_in_a_clone_too_the_learner_has_a_folder(clone: Path):
    assert "copied: 01_tiny" in start()
    path = clone / "recattn-lessons" / "01_tiny.ipynb"
    assert path.read_text(encoding="utf-8") == lessons.fresh("01_tiny")
    edit(path, answered)
    assert git(clone, "status", "--porcelain") == ""
    assert folder.find() == clone / "recattn-lessons"


def test_answers_in_lessons_are_taken_over_once(clone: Path):
    theirs, path = clone / "lessons" / "01_tiny.ipynb", clone / "recattn-lessons" / "01_tiny.ipynb"
    edit(theirs, answered)
    before = theirs.read_bytes()
    told = start()
    assert "carried over from 01_tiny in" in told
    assert {ANSWER, HELPER, "a note of mine"} <= set(sources(read(path)))
    assert theirs.read_bytes() == before
    assert kept(clone / "recattn-lessons") == [before]

    edit(path, lambda found: found["cells"][at(found, "softmax_numpy")].update(source="def softmax_numpy(x): better"))
    edit(path, lambda found: found["cells"].pop(1))  # the note
    after = path.read_bytes()
    told = start()
    assert path.read_bytes() == after
    [command] = [line.split(" clean: ")[1] for line in told.splitlines() if " clean: " in line]
    assert command == "git checkout -- lessons/01_tiny.ipynb"
    git(clone, *command.split()[1:])
    assert git(clone, "status", "--porcelain") == ""
    assert "clean" not in start()
    assert path.read_bytes() == after


def test_what_is_in_the_learners_folder_wins_over_lessons(clone: Path):
    start()
    path = clone / "recattn-lessons" / "01_tiny.ipynb"
    edit(path, lambda found: found["cells"][at(found, "softmax_numpy")].update(source="def softmax_numpy(x): mine"))
    edit(clone / "lessons" / "01_tiny.ipynb", answered)
    mask = "def causal_mask(q, k):\n    return 1"
    edit(
        clone / "lessons" / "01_tiny.ipynb", lambda found: found["cells"][at(found, "causal_mask")].update(source=mask)
    )
    told = start()
    assert "def softmax_numpy(x): mine" in sources(read(path))
    assert mask in sources(read(path))
    assert "only in what is kept: the cell 'def softmax_numpy(x):'" in told
    assert any(ANSWER.replace("\n", "\\n").encode() in text for text in kept(clone / "recattn-lessons"))


def test_an_output_in_lessons_is_nothing_to_take_over_but_git_minds_it(clone: Path):
    edit(clone / "lessons" / "01_tiny.ipynb", lambda found: found["cells"][1].update(execution_count=1))
    told = start()
    assert "carried over" not in told
    assert "git checkout -- lessons/01_tiny.ipynb" in told


def test_who_stands_in_lessons_works_there(clone: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(clone / "lessons")
    edit(clone / "lessons" / "01_tiny.ipynb", answered)
    before = sorted(path.read_bytes() for path in (clone / "lessons").iterdir() if path.is_file())
    assert start() == ""
    monkeypatch.chdir(clone)
    assert start("lessons") == ""
    assert sorted(path.read_bytes() for path in (clone / "lessons").iterdir() if path.is_file()) == before
    assert not (clone / "recattn-lessons").exists()

    (clone / "lessons" / "01_tiny.ipynb").unlink()
    assert "python lessons/build.py" in start("lessons", code=1)


def test_a_folder_that_was_remembered_is_used_unless_it_is_the_lessons_of_a_clone(clone: Path, tmp_path: Path):
    folder.remember(clone / "lessons")  # as the first edition did
    assert folder.choose() == clone / "recattn-lessons"
    start(str(tmp_path / "other"))
    assert folder.choose() == tmp_path / "other"
    edit(clone / "lessons" / "01_tiny.ipynb", answered)
    start()
    assert ANSWER in sources(read(tmp_path / "other" / "01_tiny.ipynb"))


def test_answers_of_an_older_clone_that_was_remembered_come_along(clone: Path, tmp_path: Path, monkeypatch):
    older = tmp_path / "older"
    shutil.copytree(clone, older)
    git(older, "checkout", "--quiet", "HEAD~")
    edit(older / "lessons" / "01_tiny.ipynb", lambda found: found["cells"][3].update(source=ANSWER))
    folder.remember(older / "lessons")
    told = start()
    assert ANSWER in sources(read(clone / "recattn-lessons" / "01_tiny.ipynb"))
    assert f"git -C {older} checkout -- lessons/01_tiny.ipynb" in told


README = (Path(__file__).parents[2] / "README.md").read_text(encoding="utf-8")
[THREE_LINES] = re.findall(r"```bash\n(mkdir recattn-lessons.*?)```", README, re.DOTALL)


@pytest.mark.parametrize("where", ["recattn-lessons", "lessons"])
def test_the_pull_of_a_changed_lesson_goes_through(clone: Path, tmp_path: Path, monkeypatch, where: str):
    """Who has answered in a first edition's lessons/ copies them away first, by the README's three lines."""
    learner = tmp_path / "learner"
    git(tmp_path, "clone", "--quiet", str(clone), str(learner))
    git(learner, "reset", "--hard", "--quiet", "HEAD~")
    (learner / where).mkdir(exist_ok=True)
    path = learner / where / "01_tiny.ipynb"
    shutil.copy(learner / "lessons" / "01_tiny.ipynb", learner / "01_tiny.ipynb")
    (learner / "01_tiny.ipynb").replace(path)
    edit(path, lambda found: found["cells"][3].update(source=ANSWER))
    edit(path, lambda found: found["cells"].insert(3, cell(HELPER)))
    if where == "lessons":
        pull = subprocess.run(["git", "pull"], cwd=learner, capture_output=True, text=True)
        assert pull.returncode != 0
        assert "lessons/01_tiny.ipynb" in pull.stderr
        subprocess.run(["bash", "-ec", THREE_LINES], cwd=learner, check=True, capture_output=True)
    else:
        git(learner, "pull")
    assert git(learner, "status", "--porcelain") == ""

    monkeypatch.setattr(lessons, "PACKAGE", learner / "recattn_mini")
    monkeypatch.chdir(learner)
    folder.remember(learner / "lessons")
    told = start()
    assert "carried over from 01_tiny: softmax_numpy, 1 cell of yours" in told
    found = sources(read(learner / "recattn-lessons" / "01_tiny.ipynb"))
    assert found[0] == "# Tiny"
    assert found[3:5] == [HELPER, ANSWER]
    assert git(learner, "status", "--porcelain") == ""
