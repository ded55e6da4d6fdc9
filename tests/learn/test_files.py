"""What was there before survives crashes, a full disk, a power cut; what they leave is cleaned up."""

import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from recattn_mini.learn import files


@pytest.fixture
def disk(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What is done to the disk, in its order: what is flushed, by kind, and what is renamed over what."""
    done: list[str] = []
    fsync, replace = os.fsync, os.replace

    def flush(handle: int) -> None:
        done.append("folder" if stat.S_ISDIR(os.fstat(handle).st_mode) else f"file of {os.fstat(handle).st_size}")
        fsync(handle)

    def rename(new: Path, path: Path) -> None:
        done.append("rename")
        replace(new, path)

    monkeypatch.setattr(files.os, "fsync", flush)
    monkeypatch.setattr(files.os, "replace", rename)
    return done


def test_what_is_written_is_on_the_disk_before_it_has_its_name(tmp_path: Path, disk: list[str]):
    files.write(tmp_path / "a", "four")
    assert disk == ["file of 4", "rename", "folder"]


def test_what_is_kept_is_on_the_disk(tmp_path: Path, disk: list[str]):
    (tmp_path / "a.ipynb").write_text("seven..")
    files.keep(tmp_path / "a.ipynb")
    assert disk == ["file of 7", "rename", "folder"]


@pytest.mark.parametrize("mode", [0o600, 0o640, 0o444])
def test_a_file_keeps_its_mode_and_so_does_its_copy(tmp_path: Path, mode: int):
    path = tmp_path / "a.ipynb"
    path.write_text("old")
    path.chmod(mode)
    copy = files.keep(path)
    files.write(path, "new")
    assert (path.read_text(), copy.read_text()) == ("new", "old")
    assert [stat.S_IMODE(p.stat().st_mode) for p in (path, copy)] == [mode, mode]


@pytest.mark.skipif(os.geteuid() != 0, reason="root alone can give a file away")
def test_root_does_not_take_a_file_over(tmp_path: Path):
    path = tmp_path / "a.ipynb"
    path.write_text("old")
    os.chown(path, 65534, 65534)
    copy = files.keep(path)
    files.write(path, "new")
    assert [p.stat().st_uid for p in (path, copy)] == [65534, 65534]


def test_a_link_goes_on_pointing_at_the_file(tmp_path: Path):
    (tmp_path / "there").mkdir()
    link, target = tmp_path / "a", tmp_path / "there" / "b"
    link.symlink_to(Path("there") / "b")
    for text in ("new", "newer"):  # at first it points at nothing
        files.write(link, text)
        assert link.is_symlink()
        assert target.read_text() == text
    assert [p.name for p in target.parent.iterdir()] == ["b"]


def test_what_is_no_file_is_refused(tmp_path: Path):
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    (tmp_path / "device").symlink_to(os.devnull)
    (tmp_path / "folder").mkdir()
    for path in sorted(tmp_path.iterdir()):
        before = path.lstat()
        for refuse in (files.read, files.keep, lambda path: files.write(path, "new")):
            with pytest.raises(OSError, match=path.name):
                refuse(path)
        assert path.lstat().st_ino == before.st_ino
    assert not (tmp_path / "kept").exists()


def test_a_full_disk_leaves_the_old_file_and_nothing_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    path = tmp_path / "a.ipynb"
    path.write_text("old")

    def full(handle: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(files.os, "fsync", full)
    for act in (files.keep, lambda path: files.write(path, "new")):
        with pytest.raises(OSError, match="No space left"):
            act(path)
    assert path.read_text() == "old"
    assert sorted(p.name for p in tmp_path.rglob("*")) == ["a.ipynb", "kept"]


def killed(act: str, path: Path) -> None:
    """Do something to a file in a process that is killed once its text is written."""
    code = (
        "import os, signal, sys; from pathlib import Path; from recattn_mini.learn import files\n"
        "files.os.fsync = lambda handle: os.kill(os.getpid(), signal.SIGKILL)\n" + act
    )
    assert subprocess.run([sys.executable, "-c", code, str(path)], timeout=60).returncode == -9


def test_what_killed_processes_left_is_cleaned_up(tmp_path: Path):
    path, mine = tmp_path / "a[1].ipynb", tmp_path / ".a.ipynb.notes.tmp"
    path.write_text("old")
    mine.write_text("another name")
    killed("files.write(Path(sys.argv[1]), 'new')", path)
    killed("files.keep(Path(sys.argv[1]))", path)
    left = [p for p in tmp_path.rglob("*") if p.is_file() and p not in (path, mine)]
    assert sorted((p.suffix, p.stat().st_size) for p in left) == [(".ipynb", 0), (".tmp", 3), (".tmp", 3)]
    assert path.read_text() == "old"

    files.keep(path)
    files.write(path, "new")
    assert all(p.exists() for p in left), "another process may be writing them this moment"
    long_ago = path.stat().st_mtime - 2 * files.SECONDS_OF_A_WRITE
    for p in (*left, mine):
        os.utime(p, (long_ago, long_ago))
    copy = files.keep(path)
    files.write(path, "newer")
    assert not [
        p for p in tmp_path.rglob("*") if p.is_file() and p != mine and (p.suffix == ".tmp" or not p.stat().st_size)
    ]
    assert copy.read_text() == "new"
    assert mine.exists()


def test_json_is_readable_and_takes_a_lone_surrogate():
    assert files.as_json(["√", "\ud800"]) == '[\n "√",\n "\\ud800"\n]'
