"""MovieLens-100K: known facts of the real files, splits against plain Python, and every way in which fetching fails.

The failures run the real pip on a wheel made here, served from a folder or from this machine's loopback.
"""

import dataclasses
import hashlib
import os
import signal
import subprocess
import sys
import tarfile
import threading
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from importlib import metadata
from pathlib import Path
from zipfile import ZipFile

import numpy as np
import pytest
from filelock import FileLock

from recattn_mini.data import movielens, wheel_files
from recattn_mini.data.movielens import (
    Interactions,
    fetch,
    global_time_split,
    leave_one_out_split,
    load,
)
from recattn_mini.data.wheel_files import DataUnavailable

ROOT = Path(movielens.__file__).parents[2]
MIB = 2**20
FILES = {
    "ml-100k.inter": "user_id:token\titem_id:token\trating:float\ttimestamp:float\n"
    "2\t1\t4\t70\n1\t2\t3\t60\n2\t2\t5\t50\n",
    "ml-100k.item": "item_id:token\tmovie_title:token_seq\trelease_year:token\tclass:token_seq\n"
    "1\tMépris, Le\t1963\tDrama War\n2\tLand (1995)\tV\tChildren's\n",
    "ml-100k.user": "user_id:token\tage:token\tgender:token\toccupation:token\tzip_code:token\n"
    "1\t24\tM\ttechnician\t85711\n2\t53\tF\tother\t94043\n",
}


def cache_folder() -> Path:
    return movielens.ML_100K.cache_folder()


def publish(monkeypatch, **checksums) -> None:
    """Another wheel counts as the one published."""
    monkeypatch.setattr(movielens, "ML_100K", dataclasses.replace(movielens.ML_100K, **checksums))


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def write_wheel(shelf: Path, files: dict[str, str]) -> str:
    """A wheel that pip accepts as recbole 1.2.1; returns its SHA-256."""
    shelf.mkdir(exist_ok=True)
    with ZipFile(shelf / movielens.ML_100K.wheel, "w") as wheel:
        for name, text in files.items():
            wheel.writestr(movielens.ML_100K.members + name, text)
        wheel.writestr(movielens.ML_100K.members + "ml-100k.kg", "not ours\n")
        info = "recbole-1.2.1.dist-info/"
        wheel.writestr(info + "METADATA", "Metadata-Version: 2.1\nName: recbole\nVersion: 1.2.1\nRequires-Dist: a\n")
        wheel.writestr(info + "WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        wheel.writestr(info + "RECORD", "")
    return sha256((shelf / movielens.ML_100K.wheel).read_bytes())


@pytest.fixture
def shelf(tmp_path, monkeypatch):
    """A folder from which pip serves the small wheel, an empty cache beside it, and no index."""
    for name in [name for name in os.environ if name.startswith("PIP_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path / "shelf"))
    monkeypatch.setenv("RECATTN_CACHE_DIR", str(tmp_path / "cache"))
    files = {name: sha256(text.encode()) for name, text in FILES.items()}
    publish(monkeypatch, sha256=files, wheel_sha256=write_wheel(tmp_path / "shelf", FILES))
    return tmp_path / "shelf"


@contextmanager
def serving(answer, directory=None):
    """A web server on the loopback whose GET is `answer(handler)`; yields its address."""

    class Handler(SimpleHTTPRequestHandler):
        def do_GET(self):
            answer(self)

        def log_message(self, *_):
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Handler, directory=directory)) as server:
        threading.Thread(target=server.serve_forever).start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/"
        finally:
            server.shutdown()


@pytest.fixture
def offline(shelf, monkeypatch):
    """An index that hangs up on every caller, as good as no network. A list that grows by one a call."""
    calls = []
    with serving(calls.append) as address:
        monkeypatch.delenv("PIP_NO_INDEX")
        monkeypatch.delenv("PIP_FIND_LINKS")
        monkeypatch.setenv("PIP_INDEX_URL", address)
        yield calls


def place_by_hand(files: dict[str, str] = FILES) -> None:
    cache_folder().mkdir(parents=True)
    for name, text in files.items():
        (cache_folder() / name).write_bytes(text.encode())


def cached() -> dict[str, str]:
    return {path.name: path.read_bytes().decode() for path in cache_folder().iterdir()}


def left_behind() -> set[str]:
    """What stands in the cache besides the lock file, which may stay."""
    return {path.name for path in cache_folder().parent.iterdir()} - {"ml-100k.lock"}


@pytest.fixture(scope="session")
def data():
    return real(load)


def real(function):
    """A learner without a network skips what needs the real data; CI does not."""
    try:
        return function()
    except DataUnavailable as error:
        if os.environ.get("CI"):
            raise
        pytest.skip(str(error))


# The data


def test_facts_known_of_ml_100k(data):
    columns = (data.users, data.items, data.ratings, data.timestamps)
    assert [len(column) for column in columns] == [100_000] * 4
    assert [column[0] for column in columns] == [196, 242, 3, 881250949]
    assert np.unique(data.users).tolist() == list(range(1, 944))
    assert np.unique(data.items).tolist() == list(range(1, 1683))
    assert np.bincount(data.ratings.astype(int)).tolist() == [0, 6110, 11370, 27145, 34174, 21201]
    assert np.bincount(data.users)[1:].min() == 20
    assert len(data.titles) == len(data.years) == len(data.genres) == 1683
    assert len(data.ages) == len(data.genders) == len(data.occupations) == 944


def test_tables_are_indexed_by_id(data):
    assert (data.titles[0], data.years[0], data.genres[0]) == ("", 0, ())
    assert (data.titles[1], data.years[1], data.genres[1]) == ("Toy Story", 1995, ("Animation", "Children's", "Comedy"))
    assert (data.titles[543], data.titles[1682]) == ("Misérables, Les", "Scream of Stone (Schrei aus Stein)")
    assert np.flatnonzero(data.years == 0).tolist() == [0, 267, 1412]
    assert len({genre for genres in data.genres for genre in genres} - {"unknown"}) == 18
    assert (data.ages[0], data.genders[0], data.occupations[0]) == (0, "", "")
    assert (data.ages[196], data.genders[196], data.occupations[196]) == (49, "M", "writer")


def test_load_is_instant_the_second_time_and_cannot_be_spoilt(data):
    assert load() is data
    for name in ("users", "items", "ratings", "timestamps", "titles", "years", "ages", "genders", "occupations"):
        with pytest.raises(ValueError, match="read-only"):
            getattr(data, name)[:] = 0


def test_the_published_wheel_is_what_the_checksums_say(tmp_path, monkeypatch):
    monkeypatch.setenv("RECATTN_CACHE_DIR", str(tmp_path))
    folder = real(fetch)
    assert folder == tmp_path / "ml-100k"
    assert sorted(path.name for path in folder.iterdir()) == ["ml-100k.inter", "ml-100k.item", "ml-100k.user"]
    assert left_behind() == {"ml-100k"}


def test_parsing_by_hand(shelf):
    small = load.__wrapped__()
    assert (small.users.tolist(), small.items.tolist()) == ([2, 1, 2], [1, 2, 2])
    assert (small.ratings.tolist(), small.timestamps.tolist()) == ([4, 3, 5], [70, 60, 50])
    assert (small.titles.tolist(), small.years.tolist()) == (["", "Mépris, Le", "Land (1995)"], [0, 1963, 0])
    assert small.genres == ((), ("Drama", "War"), ("Children's",))
    assert (small.ages.tolist(), small.genders.tolist()) == ([0, 24, 53], ["", "M", "F"])
    assert small.occupations.tolist() == ["", "technician", "other"]
    assert {column.dtype for column in (small.users, small.items, small.timestamps, small.years, small.ages)} == {
        np.dtype("int64")
    }


# Histories and splits, against plain Python


def random_log(seed: int) -> Interactions:
    """Few users and few moments, so that ties are everywhere; users 1 to 6 have 10, 5, 3, 0, 1 and 2 events."""
    random = np.random.RandomState(seed)
    users = random.permutation(np.repeat([1, 2, 3, 4, 5, 6], [10, 5, 3, 0, 1, 2]))
    return Interactions(users, random.randint(1, 100, 21), random.randint(1, 6, 21), random.randint(0, 5, 21))


def by_user_in_time_order(log, events=None) -> dict[int, list[int]]:
    """Event indices, sorted by (timestamp, place in the file), user by user."""
    order: dict[int, list[int]] = {}
    for event in range(len(log.users)) if events is None else events:
        order.setdefault(int(log.users[event]), []).append(int(event))
    return {user: sorted(order[user], key=lambda event: (log.timestamps[event], event)) for user in sorted(order)}


@pytest.fixture(params=["real", 0, 1, 2, 3])
def log(request):
    return request.getfixturevalue("data") if request.param == "real" else random_log(request.param)


def test_415_users_have_a_tied_last_timestamp(data):
    last_two = [data.timestamps[events[-2:]] for events in by_user_in_time_order(data).values()]
    assert sum(before == last for before, last in last_two) == 415


def test_histories_are_in_time_order_and_ties_in_file_order(log):
    expected = by_user_in_time_order(log)
    histories = log.histories()
    assert len(histories) == max(expected) + 1
    for user, history in enumerate(histories):
        assert history.tolist() == [log.items[event] for event in expected.get(user, [])]


def test_histories_of_some_events_keep_the_order_of_the_file_whatever_the_order_asked(log):
    some = np.random.RandomState(7).permutation(len(log.users))[: len(log.users) // 2]
    expected = by_user_in_time_order(log, some)
    histories = log.histories(some)
    assert len(histories) == len(log.histories())
    for user, history in enumerate(histories):
        assert history.tolist() == [log.items[event] for event in expected.get(user, [])]


@pytest.mark.parametrize("events", [np.ones(21, bool), np.zeros((2, 2), int), np.array([0.0])])
def test_histories_refuse_what_is_no_row_of_indices(events):
    with pytest.raises(ValueError, match=r"^events: got (bool|int|float)\S* of shape .*, expected .*indices"):
        random_log(0).histories(events)


def test_leave_one_out_holds_out_the_last_two(log):
    split = leave_one_out_split(log)
    train, validation, test = [], [], []
    for events in by_user_in_time_order(log).values():
        held_out = 2 if len(events) >= 3 else 0
        train += events[: len(events) - held_out]
        validation += events[len(events) - held_out :][:1]
        test += events[len(events) - held_out :][1:]
    assert split.train.tolist() == train
    assert split.validation.tolist() == validation
    assert split.test.tolist() == test


@pytest.mark.parametrize("split_by", [leave_one_out_split, global_time_split])
def test_splits_are_disjoint_and_complete(log, split_by):
    split = split_by(log)
    together = [*split.train, *split.validation, *split.test]
    assert sorted(together) == list(range(len(log.users)))


@pytest.mark.parametrize(("validation", "test"), [(0.1, 0.1), (0.3, 0.2), (0.2, 0.5)])
def test_global_time_split_never_trains_on_the_future(log, validation, test):
    split = global_time_split(log, validation, test)
    parts = [log.timestamps[part] for part in (split.train, split.validation, split.test)]
    for earlier, later in ((parts[0], parts[1]), (parts[1], parts[2]), (parts[0], parts[2])):
        assert max(earlier, default=-np.inf) < min(later, default=np.inf)
    for part in (split.train, split.validation, split.test):
        assert part.tolist() == sorted(part, key=lambda event: (log.timestamps[event], event))


def test_global_time_split_has_the_shares_asked_for_where_nothing_is_tied():
    log = Interactions(np.ones(200, int), np.ones(200, int), np.ones(200), np.random.RandomState(0).permutation(200))
    split = global_time_split(log, validation=0.25, test=0.05)
    assert [len(part) for part in (split.train, split.validation, split.test)] == [140, 50, 10]


def test_global_time_split_of_ml_100k(data):
    split = global_time_split(data)
    # the cut at 80% falls among four events of one second, which stay together
    assert [len(part) for part in (split.train, split.validation, split.test)] == [79_999, 10_001, 10_000]
    assert data.timestamps[split.validation[0]] == 889237269
    in_test = set(data.users[split.test])
    assert (len(in_test), len(in_test - set(data.users[split.train]))) == (166, 97)


@pytest.mark.parametrize(
    ("shares", "message"),
    [
        ({"validation": 0}, "validation: got 0, expected"),
        ({"test": 1.5}, "test: got 1.5, expected"),
        ({"test": float("nan")}, "test: got nan, expected"),
        ({"validation": 0.5, "test": 0.5}, r"validation \+ test: got 1.0, expected"),
    ],
)
def test_global_time_split_refuses_impossible_shares(shares, message):
    with pytest.raises(ValueError, match=f"^{message} a share of the events above 0 and below 1"):
        global_time_split(random_log(0), **shares)


# Fetching


def test_fetch_keeps_the_three_files_and_prints_nothing_on_stdout(shelf, capfd):
    assert fetch() == cache_folder()
    assert cached() == FILES
    assert left_behind() == {"ml-100k"}
    assert capfd.readouterr().out == ""


def test_a_warm_cache_needs_no_pip_and_says_nothing(shelf, monkeypatch, capfd):
    place_by_hand()
    monkeypatch.setattr(wheel_files, "Popen", lambda *_, **__: pytest.fail("started a process"))
    assert fetch() == cache_folder()
    assert load.__wrapped__().users.tolist() == [2, 1, 2]
    assert capfd.readouterr() == ("", "")
    assert list(cache_folder().parent.iterdir()) == [cache_folder()]  # no lock either: the cache may be read-only


def test_offline_with_a_cold_cache_says_what_to_do(offline):
    with pytest.raises(DataUnavailable) as caught:
        load.__wrapped__()
    assert len(offline) == 2  # pip's own habit is six attempts
    message = str(caught.value)
    assert "No matching distribution found for recbole==1.2.1" in message
    assert "Run `recattn data`" in message
    assert f"not in {cache_folder()} (ml-100k.inter missing, ml-100k.item missing, ml-100k.user missing)" in message
    assert "\n" not in message
    assert left_behind() == set()
    place_by_hand()  # what the message advises
    assert fetch() == cache_folder()


def test_a_tampered_wheel_is_not_opened(shelf):
    published, came = movielens.ML_100K.wheel_sha256, write_wheel(shelf, FILES | {"ml-100k.user": "someone else's\n"})
    with pytest.raises(DataUnavailable, match=f"not the one published: SHA-256 {came}, expected {published}"):
        fetch()
    assert left_behind() == set()


def test_a_source_distribution_is_not_built(shelf, tmp_path):
    (shelf / movielens.ML_100K.wheel).unlink()
    (tmp_path / "setup.py").write_text("raise SystemExit('must not run')\n")
    with tarfile.open(shelf / "recbole-1.2.1.tar.gz", "w:gz") as archive:
        archive.add(tmp_path / "setup.py", "recbole-1.2.1/setup.py")
    with pytest.raises(DataUnavailable, match="No matching distribution found"):
        fetch()


def test_a_tampered_file_is_named(shelf, monkeypatch):
    publish(monkeypatch, wheel_sha256=write_wheel(shelf, FILES | {"ml-100k.user": "someone else's\n"}))
    with pytest.raises(DataUnavailable, match=r"holds other data than published: ml-100k\.user damaged\)"):
        fetch()
    assert left_behind() == set()


def test_damaged_files_are_moved_aside_and_fetched_anew(shelf, capfd):
    damaged = FILES | {"ml-100k.item": FILES["ml-100k.item"][:-1]}
    place_by_hand(damaged)
    aside = cache_folder().with_name("ml-100k.damaged")
    for _ in range(2):  # the second time, an older one is already there
        fetch()
        assert cached() == FILES
        assert {path.name: path.read_bytes().decode() for path in aside.iterdir()} == damaged
        assert f"Fetched anew (ml-100k.item damaged); the old folder is now {aside}\n" in capfd.readouterr().err
        damaged = FILES | {"ml-100k.item": "worse"}
        (cache_folder() / "ml-100k.item").write_text("worse")


def test_damaged_files_are_neither_parsed_nor_touched_offline(offline):
    mine = {"ml-100k.inter": FILES["ml-100k.inter"], "ml-100k.item": "damaged"}
    place_by_hand(mine)
    with pytest.raises(DataUnavailable, match=r"\(ml-100k\.item damaged, ml-100k\.user missing\) and"):
        load.__wrapped__()
    assert cached() == mine
    assert left_behind() == {"ml-100k"}


def test_without_pip_the_cause_is_named(shelf, monkeypatch):
    def no_pip(name):
        raise metadata.PackageNotFoundError(name)

    monkeypatch.setattr(metadata, "version", no_pip)
    with pytest.raises(DataUnavailable, match=r"this Python has no pip; .* -m ensurepip` .*\. Run `recattn data`"):
        fetch()
    assert left_behind() == set()


def test_a_cache_that_cannot_be_written_is_the_same_error(shelf, monkeypatch, tmp_path):
    (tmp_path / "file").write_text("not a folder")
    monkeypatch.setenv("RECATTN_CACHE_DIR", str(tmp_path / "file"))
    with pytest.raises(DataUnavailable, match="could not be fetched"):
        fetch()


@pytest.mark.skipif(os.name == "nt", reason="interrupts a blocked read by a POSIX signal")
def test_an_interrupt_stops_pip_and_leaves_nothing_behind(shelf, monkeypatch, tmp_path, capfd):
    (tmp_path / "tmp").mkdir()
    monkeypatch.setenv("TMPDIR", str(tmp_path / "tmp"))
    pip_is_gone = threading.Event()

    def interrupt(handler):  # instead of an answer
        signal.pthread_kill(threading.main_thread().ident, signal.SIGINT)
        if handler.connection.recv(1) == b"":
            pip_is_gone.set()

    monkeypatch.delenv("PIP_NO_INDEX")
    # where a shell started the tests in the background, an interrupt is ignored
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with serving(interrupt) as address:
            monkeypatch.setenv("PIP_INDEX_URL", address)
            with pytest.raises(KeyboardInterrupt):
                fetch()
            assert pip_is_gone.wait(5)
    finally:
        signal.signal(signal.SIGINT, before)
    assert "Interrupted, and nothing was kept: `recattn data`" in capfd.readouterr().err
    assert left_behind() == set()
    assert list((tmp_path / "tmp").iterdir()) == []


def test_what_a_killed_process_left_is_cleared(shelf):
    partial_folder = cache_folder().with_name("ml-100k.partial")
    (partial_folder / "ml-100k").mkdir(parents=True)
    (partial_folder / movielens.ML_100K.wheel).write_text("half a wheel")
    fetch()
    assert cached() == FILES
    assert left_behind() == {"ml-100k"}


def test_two_processes_fetch_once(shelf, monkeypatch):
    asked, both_wait, wheels = threading.Event(), threading.Event(), []

    def hold_the_wheel(handler):
        if handler.path.endswith(".whl"):
            wheels.append(handler.path)
            asked.set()
            both_wait.wait(20)
        SimpleHTTPRequestHandler.do_GET(handler)

    script = (
        "import sys\nfrom recattn_mini.data import movielens\nfrom recattn_mini.data.wheel_files import WheelFiles\n"
        f"movielens.ML_100K = {movielens.ML_100K!r}\n"
        "print('ready', flush=True)\nprint(movielens.fetch())"
    )
    start = partial(subprocess.Popen, [sys.executable, "-c", script], cwd=ROOT, stdout=subprocess.PIPE, text=True)
    with serving(hold_the_wheel, shelf) as address:
        monkeypatch.setenv("PIP_FIND_LINKS", address)
        with start() as first:
            assert asked.wait(20)  # the first holds the lock and downloads
            with start() as second:
                assert second.stdout.readline() == "ready\n"
                with pytest.raises(subprocess.TimeoutExpired):
                    second.wait(0.5)
                both_wait.set()
                outputs = [first.communicate(timeout=20)[0], second.communicate(timeout=20)[0]]
    assert outputs == [f"ready\n{cache_folder()}\n", f"{cache_folder()}\n"]
    assert len(wheels) == 1
    assert cached() == FILES
    assert left_behind() == {"ml-100k"}


@pytest.mark.parametrize(
    ("version", "option", "expected"),
    [("24.0", "--progress-bar=off", []), ("26.1", "--progress-bar=raw", [(3 * MIB, 8 * MIB), (8 * MIB, 8 * MIB)])],
)
def test_the_bar_follows_a_pip_that_reports(shelf, monkeypatch, tmp_path, version, option, expected):
    """A pip of the version asked for, whose reports are those of pip 26: `Progress 3145728 of 8388608`."""
    site = tmp_path / "site"
    (site / "pip").mkdir(parents=True)
    (site / f"pip-{version}.dist-info").mkdir()
    (site / f"pip-{version}.dist-info" / "METADATA").write_text(f"Name: pip\nVersion: {version}\n")
    (site / "pip" / "__init__.py").touch()
    (site / "pip" / "__main__.py").write_text(
        "import shutil, sys\n"
        f"assert {option!r} in sys.argv\n"
        "dest, = (a.removeprefix('--dest=') for a in sys.argv if a.startswith('--dest='))\n"
        "sys.stdout.buffer.write(b'in no encoding: \\xff\\n')\n"
        f"for n, total in {expected}: print(f'Progress {{n}} of {{total}}')\n"
        f"shutil.copy({str(shelf / movielens.ML_100K.wheel)!r}, dest)\n"
    )
    monkeypatch.syspath_prepend(site)
    monkeypatch.setenv("PYTHONPATH", str(site))
    seen = []

    class Bar(wheel_files.tqdm):
        def update(self, n=1):
            super().update(n)
            seen.append((self.n, self.total))

    monkeypatch.setattr(wheel_files, "tqdm", Bar)
    fetch()
    assert seen == expected


def test_what_a_killed_fetch_left_goes_once_the_files_were_placed_by_hand(shelf):
    place_by_hand()
    partial_folder = cache_folder().with_name("ml-100k.partial")
    partial_folder.mkdir()
    (partial_folder / movielens.ML_100K.wheel).write_text("half a wheel")
    with FileLock(cache_folder().with_suffix(".lock")):
        fetch()
    assert partial_folder.exists(), "another process may be at it"
    fetch()
    assert left_behind() == {"ml-100k"}
    assert cached() == FILES


# The folder, and what the module leaves alone


def test_the_cache_folder_is_looked_up_at_call_time(monkeypatch, tmp_path):
    monkeypatch.setenv("RECATTN_CACHE_DIR", str(tmp_path))
    assert cache_folder() == tmp_path / "ml-100k"
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("RECATTN_CACHE_DIR", "here")
    assert cache_folder() == tmp_path / "here" / "ml-100k"
    monkeypatch.setenv("RECATTN_CACHE_DIR", os.path.join("~", "there"))
    assert cache_folder() == Path.home() / "there" / "ml-100k"
    monkeypatch.setenv("RECATTN_CACHE_DIR", "")  # empty is unset
    monkeypatch.setattr(wheel_files.platformdirs, "user_cache_path", lambda name: tmp_path / "caches" / name)
    assert cache_folder() == tmp_path / "caches" / "recattn-mini" / "ml-100k"


def test_a_notebook_shows_the_message_alone(tmp_path):
    script = (
        "from IPython.core.interactiveshell import InteractiveShell\n"
        "InteractiveShell().run_cell('from recattn_mini.data.wheel_files import DataUnavailable\\n'\n"
        "                            'raise DataUnavailable(\"Run it with a network.\")')"
    )
    environment = os.environ | {"IPYTHONDIR": str(tmp_path)}
    shown = subprocess.run([sys.executable, "-c", script], cwd=ROOT, env=environment, capture_output=True, text=True)
    assert shown.stdout.strip() == "Run it with a network."
    assert "Traceback" not in shown.stderr


def test_reading_data_does_not_import_torch():
    script = "import sys, recattn_mini.data.movielens; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", script], cwd=ROOT).returncode == 0
