"""Stop what does not end, on every system: a loop by the CPU time that it takes, a sleep or a lock by the clock.

CPU time, because a busy machine makes an answer wait that is not slow.
"""

import ctypes
import signal
import sys
import threading
import time
from pathlib import Path
from types import FrameType, TracebackType

SECONDS = 5.0  # of CPU time; an answer of lesson size takes milliseconds
BY_THE_CLOCK = 6  # times as long may it take, if it computes less than that
REPEAT = 0.1  # an answer that catches everything is told again
OURS = str(Path(__file__).parents[1])
PATIENCE = 10  # blows that fall inside the answer's `try`; then its next line is hit as well


class TooSlow(BaseException):
    """The CPU time is used up. Not an Exception, so that `except Exception` in an answer does not catch it."""


class TooLate(TooSlow):
    """The clock ran out first: it slept, or waited."""


class time_limit:
    """Raise TooSlow in the body once it has computed for `seconds`, TooLate after six times as long by the clock.

    A blocking C call is stopped when it returns.
    """

    def __init__(self, seconds: float) -> None:
        in_main_thread = threading.current_thread() is threading.main_thread()
        self._alarm = (_Signal if in_main_thread and hasattr(signal, "setitimer") else _Watchdog)(seconds)
        self._seconds = seconds

    def __enter__(self) -> None:
        self._ends = _Ends(self._seconds)
        self._alarm.start()

    def __exit__(self, kind: type | None, error: BaseException | None, where: TracebackType | None) -> None:
        self._alarm.stop()
        late = self._alarm.struck or self._ends.passed()
        if kind is None and late:  # the body swallowed the exception and came back late
            raise late


class _Ends:
    """When a limit is reached, in CPU time of the process and by the clock."""

    def __init__(self, seconds: float) -> None:
        self._cpu, self._clock = time.process_time() + seconds, time.monotonic() + BY_THE_CLOCK * seconds

    def left(self) -> float:
        """Seconds that pass before either end may be reached."""
        return min(self._cpu - time.process_time(), self._clock - time.monotonic())

    def passed(self) -> type[TooSlow] | None:
        """What to raise, if anything."""
        if time.process_time() > self._cpu:
            return TooSlow
        return TooLate if time.monotonic() > self._clock else None


def _may_hit(frame: FrameType | None) -> bool:
    """Not while an alarm is being set or stopped: one that stayed on would hit the learner's next cells."""
    while frame is not None and frame.f_code.co_filename != __file__:
        frame = frame.f_back
    return frame is None


class _Signal:
    """SIGPROF counts CPU time, SIGALRM wakes time.sleep too; alarms that somebody else had set are put back."""

    def __init__(self, seconds: float) -> None:
        self._seconds, self._blows = seconds, 0
        self.struck: type[TooSlow] | None = None  # the system's timers may be some milliseconds early

    def start(self) -> None:
        """Set the alarms, for the frame that entered the limit and what it calls."""
        self._trace, self._body = sys.gettrace(), sys._getframe(2)
        alarms = [(signal.SIGPROF, signal.ITIMER_PROF, 1), (signal.SIGALRM, signal.ITIMER_REAL, BY_THE_CLOCK)]
        self._others = [
            (number, signal.signal(number, self._blow), timer, signal.setitimer(timer, times * self._seconds, REPEAT))
            for number, timer, times in alarms
        ]

    def stop(self) -> None:
        """Take the alarms away and put back what was there."""
        for number, handler, timer, setting in self._others:
            signal.setitimer(timer, 0)
            signal.signal(number, handler)
            signal.setitimer(timer, *setting)
        if self._blows > PATIENCE:
            sys.settrace(self._trace)

    def _blow(self, signum: int, frame: FrameType | None) -> None:
        if frame is None or not _may_hit(frame):
            return
        error = TooSlow if signum == signal.SIGPROF else TooLate

        def strike(frame: FrameType, event: str, argument: object) -> None:
            if event == "line":
                raise error

        self._blows += 1
        self.struck = error
        if self._blows > PATIENCE:  # every one was caught: raise at the next line too, which is the `except` itself
            while frame is not None and frame is not self._body:
                if not frame.f_code.co_filename.startswith(OURS):
                    frame.f_trace = strike
                frame = frame.f_back
            sys.settrace(lambda *_: None)
        raise error


class _Watchdog:
    """Where there is no SIGALRM, or not for this thread: another thread raises asynchronously."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self.struck: type[TooSlow] | None = None

    def start(self) -> None:
        """Let another thread watch this one."""
        self._thread, self._done, self._ends = threading.get_ident(), threading.Event(), _Ends(self._seconds)
        self._watcher = threading.Thread(target=self._watch, daemon=True)
        self._watcher.start()

    def stop(self) -> None:
        """End the other thread."""
        self._done.set()
        self._watcher.join()
        _raise_in(self._thread, None)  # one that is still on its way must not hit the caller

    def _watch(self) -> None:
        while not self._done.wait(left if (left := self._ends.left()) > 0 else REPEAT):
            error = self._ends.passed()
            if error is not None and _may_hit(sys._current_frames().get(self._thread)):
                self.struck = error
                _raise_in(self._thread, error)


def _raise_in(thread: int, error: type[BaseException] | None) -> None:
    ctypes.pythonapi.PyThreadState_SetAsyncExc(
        ctypes.c_ulong(thread), None if error is None else ctypes.py_object(error)
    )
