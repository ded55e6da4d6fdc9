"""Write files so that a crash, a full disk or a second process never costs what was there before."""

import itertools
import os
from datetime import datetime
from pathlib import Path


def write(path: Path, text: str) -> None:
    """Replace a file at once: a reader sees the old text or the new one, and a failure leaves the old one."""
    new = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        new.write_text(text, encoding="utf-8", newline="\n")
        os.replace(new, path)
    finally:
        new.unlink(missing_ok=True)


def keep(path: Path, beside: Path | None = None) -> Path:
    """Copy a file to kept/NAME.TIME.SUFFIX beside it, or beside another, under a name that was free, and say which."""
    folder = (beside or path).parent / "kept"
    folder.mkdir(exist_ok=True)
    stem = f"{path.stem}.{datetime.now():%Y%m%dT%H%M%S}"
    for n in itertools.count(1):
        copy = folder / f"{stem}{f'-{n}' if n > 1 else ''}{path.suffix}"
        try:
            with copy.open("xb") as file:
                file.write(path.read_bytes())
        except FileExistsError:
            continue
        return copy
    raise AssertionError("itertools.count ended")
