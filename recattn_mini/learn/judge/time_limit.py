"""Stop a Python loop that does not end, in a notebook and in pytest, on every system."""

import ctypes
import signal
import sys
import threading
import time
from pathlib import Path
from types import FrameType

REPEAT = 0.1  # an answer that catches everything is told again
OURS = str(Path(__file__).parents[1])
PATIENCE = 10  # blows that fall inside the answer's `try`; then its next line is hit as well


class TooSlow(BaseException):
    """Not an Exception, so that `except Exception` in an answer does not catch it."""


class time_limit:
    """Raise TooSlow in the body once `seconds` have passed; a blocking C call is stopped when it returns."""

    def __init__(self, seconds: float) -> None:
        in_main_thread = threading.current_thread() is threading.main_thread()
        self._alarm = (_Signal if in_main_thread and hasattr(signal, "setitimer") else _Watchdog)(seconds)
        self._seconds = seconds

    def __enter__(self) -> None:
        self._end = time.monotonic() + self._seconds
        self._alarm.start()

    def __exit__(self, kind: type | None, *_: object) -> None:
        self._alarm.stop()
        if kind is None and time.monotonic() > self._end:  # the body swallowed the exception and came back late
            raise TooSlow


def _may_hit(frame: FrameType | None) -> bool:
    """Not while an alarm is being set or stopped: one that stayed on would hit the learner's next cells."""
    while frame is not None and frame.f_code.co_filename != __file__:
        frame = frame.f_back
    return frame is None


class _Signal:
    """SIGALRM wakes time.sleep too; the alarm that somebody else had set is put back."""

    def __init__(self, seconds: float) -> None:
        self._seconds, self._blows = seconds, 0

    def start(self) -> None:
        """Set the alarm, for the frame that entered the limit and what it calls."""
        self._trace, self._body = sys.gettrace(), sys._getframe(2)
        self._handler = signal.signal(signal.SIGALRM, self._blow)
        self._others = signal.setitimer(signal.ITIMER_REAL, self._seconds, REPEAT)

    def stop(self) -> None:
        """Take the alarm away and put back what was there."""
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, self._handler)
        signal.setitimer(signal.ITIMER_REAL, *self._others)
        if self._blows > PATIENCE:
            sys.settrace(self._trace)

    def _blow(self, signum: int, frame: FrameType | None) -> None:
        if frame is None or not _may_hit(frame):
            return
        self._blows += 1
        if self._blows > PATIENCE:  # every one was caught: raise at the next line too, which is the `except` itself
            while frame is not None and frame is not self._body:
                if not frame.f_code.co_filename.startswith(OURS):
                    frame.f_trace = _strike
                frame = frame.f_back
            sys.settrace(lambda *_: None)
        raise TooSlow


def _strike(frame: FrameType, event: str, argument: object) -> None:
    if event == "line":
        raise TooSlow


class _Watchdog:
    """Where there is no SIGALRM, or not for this thread: another thread raises asynchronously."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds

    def start(self) -> None:
        """Let another thread watch this one."""
        self._thread, self._done = threading.get_ident(), threading.Event()
        self._watcher = threading.Thread(target=self._watch, daemon=True)
        self._watcher.start()

    def stop(self) -> None:
        """Send the watcher home."""
        self._done.set()
        self._watcher.join()
        _raise_in(self._thread, None)  # one that is still on its way must not hit the caller

    def _watch(self) -> None:
        wait = self._seconds
        while not self._done.wait(wait):
            if _may_hit(sys._current_frames().get(self._thread)):
                _raise_in(self._thread, TooSlow)
            wait = REPEAT


def _raise_in(thread: int, error: type[BaseException] | None) -> None:
    ctypes.pythonapi.PyThreadState_SetAsyncExc(
        ctypes.c_ulong(thread), None if error is None else ctypes.py_object(error)
    )
