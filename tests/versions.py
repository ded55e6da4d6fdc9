"""Run the fast suites with the oldest and the newest versions that are claimed, and print a table.

    python tests/versions.py                    every row
    python tests/versions.py numpy Python       rows whose name holds one of these words
    python tests/versions.py --list             what would be run

The oldest of a package is the bound that pyproject.toml gives; all else is the newest that pip finds, but torch is
`constraints.txt`'s: other builds of torch may be several GB, and only the rows named torch fetch them. Each row is an
environment of its own in a temporary folder, deleted after its run. No part of CI: it takes an hour and the network.
"""

import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
CHEAP = ("numpy", "pytest", "jupyterlab")
SHOWN = ("numpy", "torch", "pytest", "jupyterlab")
PYTHONS = ("3.10", "3.12", "3.13")
SUITES = ("tests/metrics", "tests/attention", "tests/data", "tests/learn", "tests/test_shapes.py", "recattn_mini")
SLOW = ("tests/learn/test_lessons.py", "tests/learn/test_learner.py")  # they run whole lessons
OPTIONS = ("-q", "-p", "no:cacheprovider", "-k", "not compile", *(f"--ignore={file}" for file in SLOW))


@dataclass(frozen=True)
class Row:
    """An environment: which Python, and what pip is held to."""

    name: str
    python: str
    held_to: tuple[str, ...]


def rows() -> Iterator[Row]:
    """Every environment that a claim of pyproject.toml asks for."""
    here, torch = f"{sys.version_info[0]}.{sys.version_info[1]}", _line("constraints.txt", r"^torch==\S+")
    yield Row(f"oldest {', '.join(CHEAP)}", here, (*map(_oldest, CHEAP), torch))
    yield Row(f"newest {', '.join(CHEAP)}", here, (torch,))
    yield Row("oldest torch", here, (_oldest("torch"),))
    yield Row("newest torch", here, ())
    for version in PYTHONS:
        yield Row(f"Python {version}", version, (torch,))


def _oldest(package: str) -> str:
    """What pip is held to: any bugfix of the first version that is claimed."""
    claimed = _line("pyproject.toml", rf'(?<="){package}>=[\d.]+(?=")')
    return claimed.replace(">=", "==") + ".*"


def run(row: Row) -> str:
    """The row of the table: the versions that pip chose, and how the suites ended."""
    if (python := _interpreter(row.python)) is None:
        return _told(row, "", f"not run: no Python {row.python} on this machine")
    with tempfile.TemporaryDirectory(prefix="recattn-versions-") as folder:
        place = Path(folder)
        _command([python, "-m", "venv", str(place / "venv")])
        own = str(place / "venv" / ("Scripts/python.exe" if os.name == "nt" else "bin/python"))
        (place / "held-to.txt").write_text("\n".join(row.held_to), encoding="utf-8")
        pip = [own, "-m", "pip", "install", "-q", "--disable-pip-version-check", "-c", str(place / "held-to.txt")]
        installed = _command([*pip, "-e", f"{ROOT}[dev]"])
        if installed.returncode:
            return _told(row, "", f"not run: pip says {_last(installed.stdout)}")
        code = (
            "import platform, importlib.metadata as m; "
            f"print(platform.python_version(), *map(m.version, {SHOWN}), sep=' | ')"
        )
        versions = _command([own, "-c", code]).stdout.strip()
        tests = _command([own, "-m", "pytest", *OPTIONS, *SUITES])
        for line in re.findall(r"^(?:FAILED|ERROR) .*", tests.stdout, flags=re.MULTILINE):
            print(f"{row.name}: {line}", file=sys.stderr)
        return _told(row, versions, _last(tests.stdout))


def _told(row: Row, versions: str, outcome: str) -> str:
    return f"| {row.name} | {versions or f'{row.python} | ' + ' | '.join('–' * len(SHOWN))} | {outcome} |"


def _command(words: list[str]) -> subprocess.CompletedProcess[str]:
    environment = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "PYTHONHOME")}
    one_thread = {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1", "PYTHONDONTWRITEBYTECODE": "1"}
    return subprocess.run(
        words, cwd=ROOT, env=environment | one_thread, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )


def _last(told: str) -> str:
    """The last line that says something, without pytest's rules around it."""
    lines = [line.strip("= ") for line in told.splitlines() if line.strip("= ")]
    return lines[-1] if lines else "nothing"


def _interpreter(version: str) -> str | None:
    """A Python of this version: the one that runs this, pyenv's newest, or one on the path that starts."""
    pyenv = Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv") / "versions"
    newest_first = sorted(pyenv.glob(f"{version}.*"), key=lambda p: [int(n) for n in re.findall(r"\d+", p.name)])[::-1]
    found = [sys.executable, *(str(p / "bin" / "python") for p in newest_first), shutil.which(f"python{version}")]
    code = "import sys; print(f'{sys.version_info[0]}.{sys.version_info[1]}')"
    return next(
        (p for p in found if p and os.path.exists(p) and _command([p, "-c", code]).stdout.strip() == version), None
    )


def _line(file: str, pattern: str) -> str:
    found = re.search(pattern, (ROOT / file).read_text(encoding="utf-8"), flags=re.MULTILINE)
    assert found is not None, f"{file} has no {pattern}"
    return found[0]


def main(words: list[str]) -> None:
    """Print the table; a row takes minutes."""
    chosen = [row for row in rows() if not set(words) - {"--list"} or any(w in row.name for w in words)]
    if "--list" in words:
        print("\n".join(f"{row.name}: Python {row.python}, {', '.join(row.held_to) or 'newest'}" for row in chosen))
        return
    print(f"| | Python | {' | '.join(SHOWN)} | outcome |\n|---|---|{'---|' * len(SHOWN)}---|", flush=True)
    for row in chosen:
        print(run(row), flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
