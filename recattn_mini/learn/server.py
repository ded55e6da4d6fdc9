"""JupyterLab on a lesson: started so that no module of the learner's gets into it, stopped when we are told to stop.

`run` starts it as a child; the child runs `main`.
"""

import difflib
import signal
import subprocess
import sys
from pathlib import Path
from types import FrameType
from urllib.parse import quote

# The working directory comes off sys.path before anything is imported: a learner's random.py is the kernel's to find,
# and the server needs Python's. `python -P` would do the same, from Python 3.11 on.
WITHOUT_THE_WORKING_DIRECTORY = (
    "import sys; sys.path[:1] = [p for p in sys.path[:1] if p]; from recattn_mini.learn.server import main; main()"
)


def command(lesson: Path, options: tuple[str, ...]) -> list[str]:
    """What starts JupyterLab on a lesson; its address is the lesson's, so that --no-browser prints that."""
    address = f"--LabApp.default_url=/lab/tree/{quote(lesson.name)}"
    return [sys.executable, "-c", WITHOUT_THE_WORKING_DIRECTORY, str(lesson), address, *options]


def run(lesson: Path, options: tuple[str, ...]) -> int:
    """Run JupyterLab until it ends, and say how it ended; SIGTERM and SIGHUP are passed on."""
    told, process = list[int](), None

    def stop(number: int, frame: FrameType | None) -> None:
        told.append(number)
        if process is not None:
            process.terminate()  # for SIGHUP too, by which it would die without stopping its kernels

    for name in ("SIGTERM", "SIGHUP"):  # Windows has no SIGHUP; under nohup it is ignored, and stays so
        if (number := getattr(signal, name, None)) and signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, stop)
    process = subprocess.Popen(command(lesson, options))
    if told:
        process.terminate()  # the signal came before there was a process to pass it on to
    while True:
        try:
            ended = process.wait()
        except KeyboardInterrupt:  # JupyterLab got it too, and asks whether it shall stop
            continue
        return ended if ended >= 0 else 128 - ended  # as a shell tells of a signal


def main() -> None:
    """JupyterLab itself, in the child. It would only warn of a flag that it does not know, in the middle of its log."""
    from jupyterlab.labapp import LabApp  # type: ignore[import-untyped]
    from jupyterlab.labapp import main as jupyterlab

    known = ["help", "help-all", "h", "version", "V"]
    for keys in (*LabApp.flags, *LabApp.aliases):
        known += [keys] if isinstance(keys, str) else keys
    for word in sys.argv[1:]:
        flag = word.lstrip("-").split("=")[0]
        if word.startswith("-") and flag and flag not in known and "." not in flag:
            near = difflib.get_close_matches(flag, known, n=1)
            hint = f"; did you mean --{near[0]}?" if near else "; `recattn start --help-all` is JupyterLab's own list"
            print(f"Error: neither `recattn start` nor JupyterLab knows {word}{hint}", file=sys.stderr)
            sys.exit(2)
    sys.exit(jupyterlab())
