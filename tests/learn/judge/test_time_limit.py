"""The limit stops what can be stopped, in the main thread and in others, and never hits anybody else."""

import random
import signal
import threading
import time

import pytest

from recattn_mini.learn.judge.time_limit import BY_THE_CLOCK, TooLate, TooSlow, time_limit


def spin(seconds: float) -> None:
    """Compute for so many seconds of CPU time."""
    end = time.process_time() + seconds
    while time.process_time() < end:
        pass


def in_thread(action) -> list:
    seen: list = []

    def run() -> None:
        try:
            seen.append(action())
        except BaseException as error:
            seen.append(type(error))

    thread = threading.Thread(target=run)
    thread.start()
    thread.join(timeout=10)
    assert not thread.is_alive(), "it hangs"
    return seen


def stopped() -> type:
    with time_limit(0.1):
        spin(5)
    return int


def test_a_loop_is_stopped():
    start = time.monotonic()
    with pytest.raises(TooSlow):
        stopped()
    assert time.monotonic() - start < 3


def test_a_loop_in_another_thread_is_stopped():
    [error] = in_thread(stopped)
    assert issubclass(error, TooSlow)  # on a busy machine the clock may run out first


def test_what_is_in_time_is_left_alone():
    def quick() -> int:
        with time_limit(5):
            return 42

    assert quick() == 42
    assert in_thread(quick) == [42]


def test_a_blocking_call_is_told_when_it_returns():
    def blocks() -> None:
        with time_limit(0.1):
            threading.Event().wait(0.1 * BY_THE_CLOCK + 0.3)

    assert in_thread(blocks) == [TooLate]


def test_a_sleep_is_stopped_by_the_clock():
    def sleeps() -> None:
        with time_limit(0.05):
            time.sleep(20)

    start = time.monotonic()
    with pytest.raises(TooLate):
        sleeps()
    assert time.monotonic() - start < 10


def test_a_sleep_is_no_cpu_time():
    def sleeps() -> int:
        with time_limit(0.1):
            time.sleep(0.2)
            return 42

    assert sleeps() == 42
    assert in_thread(sleeps) == [42]


def test_what_swallows_everything_is_late_all_the_same():
    def swallows() -> None:
        with time_limit(0.05):
            try:
                spin(1)
            except TooSlow:
                pass

    assert in_thread(swallows) == [TooSlow]
    with pytest.raises(TooSlow):
        swallows()


@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="no alarm on this system")
def test_somebody_elses_alarm_is_put_back():
    heard = []
    before = signal.signal(signal.SIGALRM, lambda *_: heard.append(1))
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.5)
        with time_limit(5):
            pass
        assert signal.getitimer(signal.ITIMER_REAL)[0] > 0
        spin(0.8)
        assert heard == [1]
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def test_no_blow_lands_outside():
    """Limits that end just when the body does: the race that once left an alarm running."""
    draw, outside = random.Random(0), 0

    def race() -> int:
        nonlocal outside
        for _ in range(300):
            length = draw.uniform(0.0002, 0.002)
            try:
                with time_limit(length):
                    spin(length * draw.uniform(0.9, 1.1))
            except TooSlow:
                pass
            try:
                sum(range(200))
            except TooSlow:
                outside += 1
        return outside

    assert race() == 0
    assert in_thread(race) == [0]
    if hasattr(signal, "getitimer"):
        assert signal.getitimer(signal.ITIMER_REAL) == signal.getitimer(signal.ITIMER_PROF) == (0.0, 0.0)
        assert signal.getsignal(signal.SIGALRM) is signal.getsignal(signal.SIGPROF) is signal.SIG_DFL
