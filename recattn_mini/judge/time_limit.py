"""Stop a Python loop that does not end, in a notebook and in pytest, on every system."""

import contextlib
import ctypes
import signal
import threading
import time
from collections.abc import Iterator
from types import FrameType

REPEAT = 0.1  # an answer that catches everything is told again, until a blow lands outside its `try`


class TooSlow(BaseException):
    """Not an Exception, so that `except Exception` in an answer does not catch it."""


@contextlib.contextmanager
def time_limit(seconds: float) -> Iterator[None]:
    """Raise TooSlow in the body once `seconds` have passed; a blocking C call is stopped when it returns."""
    in_main_thread = threading.current_thread() is threading.main_thread()
    alarm = _signal if in_main_thread and hasattr(signal, "setitimer") else _watchdog
    start = time.monotonic()
    with alarm(seconds):
        yield
    if time.monotonic() - start > seconds:  # the body swallowed the exception and came back late
        raise TooSlow


@contextlib.contextmanager
def _signal(seconds: float) -> Iterator[None]:
    """SIGALRM wakes time.sleep too; the alarm that somebody else had set is put back."""

    def raise_too_slow(signum: int, frame: FrameType | None) -> None:
        raise TooSlow

    handler = signal.signal(signal.SIGALRM, raise_too_slow)
    others = signal.setitimer(signal.ITIMER_REAL, seconds, REPEAT)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, handler)
        signal.setitimer(signal.ITIMER_REAL, *others)


@contextlib.contextmanager
def _watchdog(seconds: float) -> Iterator[None]:
    """Where there is no SIGALRM, or not for this thread: another thread raises asynchronously."""
    raise_in = ctypes.pythonapi.PyThreadState_SetAsyncExc
    thread, done = ctypes.c_ulong(threading.get_ident()), threading.Event()

    def watch() -> None:
        wait = seconds
        while not done.wait(wait):
            raise_in(thread, ctypes.py_object(TooSlow))
            wait = REPEAT

    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    try:
        yield
    finally:
        done.set()
        watcher.join()
        raise_in(thread, None)  # one that is still on its way must not hit the caller
