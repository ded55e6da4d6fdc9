"""Progress survives crashes, strangers and company."""

import json
import os
import stat
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from recattn_mini.attention.softmax import softmax_numpy
from recattn_mini.learn import files, progress, solution
from recattn_mini.learn.judge.verdict import Verdict

HOLDS = Verdict("softmax_numpy", "holds")
WRONG = Verdict("softmax_numpy", "wrong", diagnosis="looks like: this and that")


def test_an_exercise_that_held_stays_held():
    assert progress.holds("softmax") == (False, "")
    assert [progress.record(v) for v in (WRONG, HOLDS, WRONG)] == ["", "", ""]
    known, note = progress.read()
    entry = known["softmax"]
    assert note == ""
    assert (entry.tries, entry.outcome, entry.diagnosis) == (3, "wrong", "looks like: this and that")
    assert entry.held
    assert progress.holds("softmax") == (True, "")


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


DAMAGED = {
    "empty": b"",
    "cut off": b'{"version": 1, "exer',
    "no text": b"\xff\xfe\x00",
    "a list": b"[1, 2]",
    "nothing": b"null",
    "somebody else's": b'{"name": "somebody else\'s"}',
    "of a version to come": b'{"version": 2, "exercises": {}}',
    "a number too long": b'{"version": 1, "exercises": {"softmax": {"tries": ' + b"9" * 5_000 + b"}}}",
    "exercises in a list": b'{"version": 1, "exercises": ["softmax"]}',
    "deeply nested": b"[" * 100_000,
    "deeply nested entry": b'{"version": 1, "exercises": {"softmax": ' + b'{"held":' * 100_000,
}


@pytest.mark.parametrize("content", DAMAGED.values(), ids=DAMAGED)
def test_a_file_that_is_not_understood_is_set_aside_whole(content: bytes):
    progress.path().write_bytes(content)
    note = progress.record(HOLDS)
    [kept] = (progress.path().parent / "kept").iterdir()
    assert kept.read_bytes() == content
    assert str(kept) in note
    assert progress.read()[0]["softmax"].tries == 1
    assert progress.read()[1] == ""


@pytest.mark.parametrize("content", DAMAGED.values(), ids=DAMAGED)
def test_who_only_reads_is_told_too(content: bytes, capsys: pytest.CaptureFixture[str]):
    progress.path().write_bytes(content)
    solution(softmax_numpy)
    [kept] = (progress.path().parent / "kept").iterdir()
    told = capsys.readouterr().out
    assert f"it is kept as {kept}" in told
    assert "softmax_numpy does not hold yet" in told
    assert progress.read() == ({}, "")


@pytest.mark.parametrize(
    "entry",
    [
        {"stars": 5},
        {"tries": "many"},
        {"tries": 1.5},
        {"held": True},
        {"last": None},
        {"diagnosis": ["a", "list"]},
        {"outcome": 1},
        "held",
        None,
        [],
    ],
    ids=str,
)
def test_one_bad_entry_loses_that_entry_alone(entry: object):
    progress.record(Verdict("ndcg_numpy", "holds"))
    before = json.loads(progress.path().read_bytes())
    before["exercises"]["softmax"] = entry
    progress.path().write_text(json.dumps(before))
    damaged = progress.path().read_bytes()

    known, note = progress.read()
    [kept] = (progress.path().parent / "kept").iterdir()
    assert known.keys() == {"ndcg"}
    assert known["ndcg"].held
    assert kept.read_bytes() == damaged
    assert "softmax" in note
    assert note.endswith("; the entries that can be understood stay: 1")
    assert progress.record(WRONG) == ""
    assert progress.read()[0].keys() == {"ndcg", "softmax"}


def test_names_in_a_damaged_file_do_not_flood_the_sentence():
    names = {"x" * 10_000: 1, "\x1b[2J": 1}
    progress.path().write_text(json.dumps({"version": 1, "exercises": names}))
    note = progress.record(HOLDS)
    assert len(note) < 500
    assert note.isprintable()


def test_what_else_a_file_says_is_kept_aside_before_it_is_dropped():
    progress.record(HOLDS)
    progress.path().write_text(progress.path().read_text().replace('{\n "version"', '{"streak": 9, "version"'))
    assert "streak" in progress.record(WRONG)
    [kept] = (progress.path().parent / "kept").iterdir()
    assert b"streak" in kept.read_bytes()
    assert progress.read()[0]["softmax"].held


def test_a_mark_that_notepad_puts_before_the_text_is_no_damage():
    progress.record(HOLDS)
    progress.path().write_bytes(b"\xef\xbb\xbf" + progress.path().read_bytes())
    assert progress.holds("softmax") == (True, "")


def test_a_lone_surrogate_in_a_diagnosis_is_kept():
    assert progress.record(Verdict("softmax", "wrong", diagnosis="\ud800 √")) == ""
    assert "√" in progress.path().read_text(encoding="utf-8")
    assert progress.record(Verdict("auc_numpy", "holds")) == ""
    assert progress.read()[0]["softmax"].diagnosis == "\ud800 √"


def loop(path: Path) -> None:
    path.symlink_to(path)


def device(path: Path) -> None:
    path.symlink_to(os.devnull)


@pytest.mark.parametrize("made", [os.mkfifo, os.mkdir, loop, device], ids=lambda made: made.__name__)
def test_what_is_no_file_is_neither_waited_for_nor_replaced(made: Callable[[Path], None]):
    made(progress.path())
    before = progress.path().lstat()
    code = (
        "from recattn_mini.learn.progress import *; print(record(Verdict('softmax', 'holds'))); print(*read(), sep='|')"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert ran.stderr == ""
    kept, read = ran.stdout.splitlines()
    assert kept.startswith("progress cannot be kept: ")
    assert read.startswith("{}|progress cannot be read: ")
    after = progress.path().lstat()
    assert (after.st_ino, after.st_mode) == (before.st_ino, before.st_mode)


def as_another_user(code: str, folder: Path) -> str:
    """What a program prints that owns the folder, and whom permissions bind; root becomes nobody for it."""
    become = (
        "import os, sys, filelock; from recattn_mini.learn import progress\n"
        "from recattn_mini.learn.judge.verdict import Verdict\n"
        f"if not os.geteuid(): os.chown({str(folder)!r}, 65534, 65534); os.setuid(65534)\n"
    )
    own = {**os.environ, "RECATTN_DATA_DIR": str(folder)}
    ran = subprocess.run([sys.executable, "-c", become + code], env=own, capture_output=True, text=True, timeout=60)
    assert ran.stderr == ""
    return ran.stdout


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A folder that another user can reach, as pytest's own cannot be."""
    with tempfile.TemporaryDirectory() as folder:
        yield Path(folder)


def test_a_file_that_cannot_be_read_is_not_written(open_folder: Path):
    file = open_folder / "progress.json"
    file.write_text('{"version": 1, "exercises": {"softmax": {"held": "2020-02-02", "tries": 9}}}')
    file.chmod(0)
    before = file.stat()
    told = as_another_user("print(progress.record(Verdict('softmax', 'holds')), progress.read())", open_folder)
    assert "progress cannot be kept: [Errno 13] Permission denied" in told
    assert '({}, "progress cannot be read: [Errno 13] Permission denied' in told
    assert (file.stat().st_ino, file.stat().st_mtime_ns) == (before.st_ino, before.st_mtime_ns)


def test_what_can_be_neither_understood_nor_kept_aside_stays(open_folder: Path):
    file = open_folder / "progress.json"
    file.write_text('{"version": 1, "exercises": {"softmax": {"held": "2020-02-02"}, "auc": 1}}')
    file.chmod(0o644)
    (open_folder / "kept").mkdir(mode=0o755)
    before = file.read_bytes()
    told = as_another_user("print(progress.record(Verdict('ndcg', 'holds')), *progress.holds('softmax'))", open_folder)
    assert "progress cannot be kept: it is damaged (no sense in 'auc') and cannot be kept aside: " in told
    assert "True progress cannot be read: it is damaged (no sense in 'auc')" in told
    assert file.read_bytes() == before


def test_a_symbolic_link_goes_on_pointing_at_the_file(tmp_path: Path):
    target = tmp_path / "synced.json"
    progress.path().symlink_to(target)
    assert progress.record(HOLDS) == ""
    assert progress.path().is_symlink()
    target.chmod(0o600)
    target.write_text(target.read_text().replace('"tries": 1', '"tries": "many"'))
    assert "it is kept as" in progress.record(WRONG)
    assert progress.path().is_symlink()
    assert json.loads(target.read_text())["exercises"]["softmax"]["tries"] == 1
    [kept] = (progress.path().parent / "kept").iterdir()
    assert [stat.S_IMODE(path.stat().st_mode) for path in (target, kept)] == [0o600, 0o600]


def test_the_folder_may_begin_with_a_tilde_and_be_relative(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("USERPROFILE", str(tmp_path / "home"))
    monkeypatch.setenv("RECATTN_DATA_DIR", os.path.join("~", "there"))
    assert progress.path() == tmp_path / "home" / "there" / "progress.json"
    monkeypatch.setenv("RECATTN_DATA_DIR", "here")
    assert progress.path() == tmp_path / "here" / "progress.json"


def test_a_folder_that_cannot_be_written_is_said_and_nothing_raised(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    (tmp_path / "file").touch()
    monkeypatch.setenv("RECATTN_DATA_DIR", str(tmp_path / "file" / "folder"))
    assert progress.record(HOLDS).startswith("progress cannot be kept: ")
    known, note = progress.read()
    assert known == {}
    assert note.startswith("progress cannot be read: ")
    assert not progress.holds("softmax")[0]


def test_a_crash_while_writing_leaves_the_old_file(monkeypatch: pytest.MonkeyPatch):
    progress.record(HOLDS)
    before = progress.path().read_bytes()

    def full(handle: int) -> None:
        raise OSError("no space left")

    with monkeypatch.context() as patch:
        patch.setattr(files.os, "fsync", full)
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
