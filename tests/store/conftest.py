import os

import pytest

from podcore._core import LockTable
from podcore.store import Store


@pytest.fixture
def directory(tmp_path):
    path = str(tmp_path / "state")
    os.mkdir(path, 0o700)
    return path


@pytest.fixture
def locks(tmp_path):
    return LockTable(str(tmp_path / "locks"))


@pytest.fixture
def store(directory, locks):
    with_one = Store.open(directory, locks)
    yield with_one
    with_one.close()


@pytest.fixture
def session(locks):
    with locks.session("test") as one:
        yield one
