"""What every test stands on: no test touches the progress of the one who runs it."""

import os
from collections.abc import Iterator
from pathlib import Path

import hypothesis
import pytest

# before anything imports torch: threads that wait for each other took ten times as long on a busy machine
os.environ.update(OMP_NUM_THREADS="1", MKL_NUM_THREADS="1")


@pytest.fixture(scope="session", autouse=True)
def _nobodys_data(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """For fixtures that outlive a test, and the processes they start."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RECATTN_DATA_DIR", str(tmp_path_factory.mktemp("nobody")))
        yield


@pytest.fixture(autouse=True)
def data_folder(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty data folder of each test's own."""
    folder = tmp_path_factory.mktemp("data")
    monkeypatch.setenv("RECATTN_DATA_DIR", str(folder))
    return folder


# a busy machine is no failure
hypothesis.settings.register_profile("unhurried", deadline=None)
hypothesis.settings.load_profile("unhurried")
