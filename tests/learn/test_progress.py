"""Progress survives crashes, strangers and company."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from recattn_mini.learn import files, progress
from recattn_mini.learn.judge.verdict import Verdict

HOLDS = Verdict("softmax_numpy", "holds")
WRONG = Verdict("softmax_numpy", "wrong", diagnosis="looks like: this and that")


def test_an_exercise_that_held_stays_held():
    assert not progress.holds("softmax")
    assert [progress.record(v) for v in (WRONG, HOLDS, WRONG)] == ["", "", ""]
    known, note = progress.read()
    entry = known["softmax"]
    assert note == ""
    assert (entry.tries, entry.outcome, entry.diagnosis) == (3, "wrong", "looks like: this and that")
    assert entry.held
    assert progress.holds("softmax")


def test_the_day_it_first_held_is_kept():
    progress.record(HOLDS)
    text = progress.path().read_text(encoding="utf-8")
    first = json.loads(text)["exercises"]["softmax"]["held"]
    progress.path().write_text(text.replace(first, "2020-02-02T00:00:00+00:00"), encoding="utf-8")
    progress.record(HOLDS)
    assert progress.read()[0]["softmax"].held == "2020-02-02T00:00:00+00:00"


def test_what_was_not_attempted_is_no_try():
    progress.record(Verdict("softmax", "not attempted"))
    assert not progress.path().exists()


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b'{"version": 1, "exer',
        b"\xff\xfe\x00",
        b"[1, 2]",
        b"null",
        b'{"name": "somebody else\'s"}',
        b'{"version": 2, "exercises": {}}',
        b'{"version": 1, "exercises": {"softmax": {"stars": 5}}}',
        b'{"version": 1, "exercises": {"softmax": {"tries": "many"}}}',
        b'{"version": 1, "exercises": {"softmax": {"held": true}}}',
        b'{"version": 1, "exercises": ["softmax"]}',
    ],
)
def test_a_file_that_is_not_understood_is_set_aside_whole(content: bytes):
    progress.path().write_bytes(content)
    note = progress.record(HOLDS)
    [kept] = progress.path().parent.glob("progress.damaged-*.json")
    assert kept.read_bytes() == content
    assert str(kept) in note
    assert progress.read()[0]["softmax"].tries == 1
    assert progress.read()[1] == ""


def test_a_folder_that_cannot_be_written_is_said_and_nothing_raised(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    (tmp_path / "file").touch()
    monkeypatch.setenv("RECATTN_DATA_DIR", str(tmp_path / "file" / "folder"))
    assert progress.record(HOLDS).startswith("progress cannot be kept: ")
    known, note = progress.read()
    assert known == {}
    assert note.startswith("progress cannot be read: ")
    assert not progress.holds("softmax")


def test_a_crash_while_writing_leaves_the_old_file(monkeypatch: pytest.MonkeyPatch):
    progress.record(HOLDS)
    before = progress.path().read_bytes()

    def half(path: Path, text: str, **how: str) -> None:
        path.write_bytes(text.encode()[: len(text) // 2])
        raise OSError("no space left")

    with monkeypatch.context() as patch:
        patch.setattr(Path, "write_text", half)
        assert progress.record(WRONG) == "progress cannot be kept: no space left"
    assert progress.path().read_bytes() == before
    assert not list(progress.path().parent.glob("*.tmp"))


def test_nothing_is_there_until_it_is_whole(monkeypatch: pytest.MonkeyPatch):
    progress.record(HOLDS)
    before, seen = progress.path().read_bytes(), []
    replace = os.replace

    def watch(new: Path, path: Path) -> None:
        assert path.read_bytes() == before
        seen.append(new.read_bytes())
        replace(new, path)

    monkeypatch.setattr(files.os, "replace", watch)
    progress.record(WRONG)
    assert seen == [progress.path().read_bytes()]


def test_two_processes_lose_nothing():
    code = (
        "from recattn_mini.learn.progress import *; print(flush=True); input()\n"
        "for _ in range(50): assert not record(Verdict('softmax', 'wrong'))"
    )
    command = [sys.executable, "-c", code]
    both = [subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    for process in both:
        assert process.stdout
        process.stdout.readline()  # both stand ready
    for process in both:
        assert process.stdin
        process.stdin.write("go\n")
        process.stdin.close()
    assert [process.wait(timeout=60) for process in both] == [0, 0]
    for process in both:
        assert process.stdout
        process.stdout.close()
    assert progress.read()[0]["softmax"].tries == 100
