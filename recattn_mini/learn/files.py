"""Write files so that a crash, a full disk, a power cut or a second process never costs what was there before."""

import contextlib
import errno
import glob
import itertools
import json
import os
import stat
import time
from collections.abc import Iterable
from datetime import datetime
from pathlib import Path
from typing import Any

SECONDS_OF_A_WRITE = 60.0  # it takes milliseconds: what is older was left by a process that was killed


def read(path: Path) -> bytes:
    """What a regular file holds. Anything else is an OSError at once: reading a pipe waits, a device may never end."""
    _regular(path)
    return path.read_bytes()


def write(path: Path, text: str) -> None:
    """Replace a file at once: a reader sees the old text or the new one, and a failure leaves the old one.

    It keeps its mode and its owner, and a symbolic link goes on pointing at it.
    """
    try:
        old = _regular(path)
    except FileNotFoundError:
        old = None
    _replace(path, text.encode("utf-8"), old)


def keep(path: Path, beside: Path | None = None) -> Path:
    """Copy a file to kept/NAME.TIME.SUFFIX beside it, or beside another, under a name that was free, and say which."""
    content, old, folder = read(path), path.stat(), (beside or path).parent / "kept"
    folder.mkdir(exist_ok=True)
    # a copy is empty from the moment that its name is taken until its content is there
    _clean(copy for copy in folder.glob(f"{glob.escape(path.stem)}.*") if copy.lstat().st_size == 0)
    stem = f"{path.stem}.{datetime.now():%Y%m%dT%H%M%S}"
    for n in itertools.count(1):
        copy = folder / f"{stem}{f'-{n}' if n > 1 else ''}{path.suffix}"
        try:
            copy.touch(exist_ok=False)
        except FileExistsError:
            continue
        try:
            _replace(copy, content, old)
        except BaseException:
            copy.unlink(missing_ok=True)
            raise
        return copy
    raise AssertionError("itertools.count ended")


def as_json(content: Any) -> str:
    """JSON as people read it. A lone surrogate, which UTF-8 has no bytes for, stays the escape that it was."""
    return json.dumps(content, indent=1, ensure_ascii=False).encode("utf-8", "backslashreplace").decode("utf-8")


def _regular(path: Path) -> os.stat_result:
    found = path.stat()
    if not stat.S_ISREG(found.st_mode):
        raise OSError(errno.EINVAL, "a folder, a pipe or a device, not a file", str(path))
    return found


def _replace(path: Path, content: bytes, like: os.stat_result | None) -> None:
    """Beside the file's place, flushed to the disk, then renamed over it; then the folder is flushed, for the name."""
    path = Path(os.path.realpath(path))
    _clean(path.parent.glob(f".{glob.escape(path.name)}.*.tmp"))
    new = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with new.open("wb") as file:
            if like is not None:
                _resemble(new, like)
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(new, path)
    finally:
        new.unlink(missing_ok=True)
    _flush_folder(path.parent)


def _resemble(new: Path, old: os.stat_result) -> None:
    """The mode and the owner of the old file, as far as this user may give them: sudo shall not take a file over."""
    with contextlib.suppress(OSError, AttributeError):  # Windows has no chown
        os.chown(new, old.st_uid, old.st_gid)
    new.chmod(stat.S_IMODE(old.st_mode))


def _flush_folder(folder: Path) -> None:
    """A new name is safe from a power cut once its folder is on the disk; Windows cannot, and need not."""
    with contextlib.suppress(OSError):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def _clean(leftovers: Iterable[Path]) -> None:
    """Remove what no living process can still be writing."""
    for path in leftovers:
        with contextlib.suppress(OSError):
            if time.time() - path.lstat().st_mtime > SECONDS_OF_A_WRITE:
                path.unlink()
