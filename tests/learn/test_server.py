"""JupyterLab as `recattn start` runs it: a real server, in a folder with a module that would break it."""

import json
import os
import re
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from recattn_mini.learn import server

ROOT = Path(__file__).parents[2]
START = "import sys; from pathlib import Path; from recattn_mini.learn import server;"
PATIENCE = 120  # seconds; a busy machine is no failure


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """A lesson beside a module of the learner's; the working directory holds one that is called as Python's own is."""
    empty = {"cells": [], "metadata": {}, "nbformat": 4, "nbformat_minor": 5}
    (tmp_path / "01_tiny.ipynb").write_text(json.dumps(empty))
    (tmp_path / "mine.py").write_text("answer = 'found'")
    (tmp_path / "here").mkdir()
    (tmp_path / "here" / "random.py").write_text("raise RuntimeError('the random.py of the learner was imported')")
    return tmp_path


@pytest.fixture
def environment(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Nobody's settings, and a folder of its own for what servers and kernels tell of themselves."""
    own = tmp_path_factory.mktemp("jupyter")
    folders = {f"JUPYTER_{kind}_DIR": str(own / kind.lower()) for kind in ("CONFIG", "DATA", "RUNTIME")}
    return {**os.environ, **folders, "IPYTHONDIR": str(own), "PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1"}


@pytest.fixture
def started(place: Path, environment: dict[str, str]) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """`recattn start --no-browser` on the lesson, and the address that it printed."""
    (place / "starter").mkdir()
    (place / "starter" / "start.py").write_text(f"{START} sys.exit(server.run(Path(sys.argv[1]), tuple(sys.argv[2:])))")
    command = [sys.executable, str(place / "starter" / "start.py"), str(place / "01_tiny.ipynb"), "--no-browser"]
    process = subprocess.Popen(
        [*command, "--allow-root", "--port=0"], cwd=place / "here", env=environment, stderr=subprocess.PIPE, text=True
    )
    try:
        assert process.stderr is not None
        told = []
        for line in process.stderr:
            told.append(line)
            if address := re.search(r"http://127\.0\.0\.1\S+", line):
                break
        else:
            pytest.fail("".join(told))
        yield process, address[0]
    finally:
        for pid in children(process):
            os.kill(pid, signal.SIGTERM)
        process.kill()
        process.communicate()


def children(process: subprocess.Popen[str]) -> list[int]:
    told = subprocess.run(["ps", "-o", "pid=", "--ppid", str(process.pid)], capture_output=True, text=True).stdout
    return [int(pid) for pid in told.split()]


def ended(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    return False


def wait(there: Callable[[], bool]) -> bool:
    until = time.monotonic() + PATIENCE
    while not there() and time.monotonic() < until:
        time.sleep(0.1)
    return there()


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such signals")
@pytest.mark.parametrize("number", [signal.SIGTERM, getattr(signal, "SIGHUP", signal.SIGTERM)])
def test_it_serves_the_lesson_and_stops_when_we_are_told_to(started, place: Path, environment, number: int):
    process, address = started
    assert "/lab/tree/01_tiny.ipynb?token=" in address
    base, token = re.fullmatch(r"(http://[^/]+)/.*token=(\w+)", address).groups()  # type: ignore[union-attr]
    [lab] = children(process)

    def ask(path: str, data: dict | None = None) -> dict:
        headers = {"Authorization": f"token {token}", "Content-Type": "application/json"}
        request = urllib.request.Request(f"{base}/api/{path}", json.dumps(data).encode() if data else None, headers)
        with urllib.request.urlopen(request, timeout=PATIENCE) as answer:
            return json.load(answer)

    assert ask("contents/01_tiny.ipynb")["type"] == "notebook"
    if number == signal.SIGTERM:
        startup = Path(environment["IPYTHONDIR"]) / "profile_default" / "startup"
        startup.mkdir(parents=True)
        (startup / "00.py").write_text("import mine; from pathlib import Path; Path(mine.answer).touch()")
        kernel = {"path": "01_tiny.ipynb", "type": "notebook", "name": "", "kernel": {"name": "python3"}}
        ask("sessions", kernel)
        assert wait((place / "found").exists)

    process.send_signal(number)
    assert process.wait(PATIENCE) == 0
    assert wait(lambda: ended(lab))


@pytest.mark.parametrize(
    ("word", "told"),
    [
        ("--prot=8889", "neither `recattn start` nor JupyterLab knows --prot=8889; did you mean --port?"),
        ("--qqqqqq", "`recattn start --help-all` is JupyterLab's own list"),
    ],
)
def test_a_flag_that_nobody_knows_is_an_error(place: Path, environment: dict[str, str], word: str, told: str):
    command = server.command(place / "01_tiny.ipynb", ("--no-browser", "--ServerApp.port_retries=1", word))
    ran = subprocess.run(command, cwd=place / "here", env=environment, capture_output=True, text=True, timeout=PATIENCE)
    assert ran.returncode == 2
    assert told in ran.stderr
    assert len(ran.stderr.splitlines()) == 1
    assert "RuntimeError" not in ran.stderr


def test_a_signal_that_is_ignored_stays_ignored(monkeypatch: pytest.MonkeyPatch):
    handled = []
    monkeypatch.setattr(server.signal, "getsignal", lambda number: signal.SIG_IGN)  # as nohup leaves SIGHUP
    monkeypatch.setattr(server.signal, "signal", lambda number, handler: handled.append(number))
    monkeypatch.setattr(server, "command", lambda lesson, options: [sys.executable, "-c", "raise SystemExit(7)"])
    assert server.run(Path("01_tiny.ipynb"), ()) == 7
    assert not handled
