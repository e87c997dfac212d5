"""A free lock taken and released: podcore beside the bare system calls and the locks of PyPI."""

import ctypes
import fcntl
import os
import shutil
import struct
import subprocess

import pytest

from podcore import LockTable

try:
    import fasteners
    import filelock
    import portalocker
except ImportError:  # they belong to the dependency group `bench`, which the tests do without
    fasteners = filelock = portalocker = None

# In a round; a pair takes about a microsecond.
PAIRS = 1000
HELD = 10_000
TARGETS = {"floor": 1.4, "fasteners": 10, "portalocker": 10, "filelock": 40}
# Seconds for a pair while ten thousand other locks are held, and descriptors for all of them.
HELD_BUDGET = 5e-6
HELD_DESCRIPTORS = 64

# The two system calls of a pair, with nothing around them.
FLOOR = r"""
#define _GNU_SOURCE
#include <fcntl.h>
#include <unistd.h>

long pairs(int file, long count)
{
    struct flock take = {.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = 7, .l_len = 1};
    struct flock give = {.l_type = F_UNLCK, .l_whence = SEEK_SET, .l_start = 7, .l_len = 1};
    long taken = 0;
    while (count--) {
        taken += fcntl(file, F_OFD_SETLK, &take) == 0;
        fcntl(file, F_OFD_SETLK, &give);
    }
    return taken;
}
"""


@pytest.fixture
def lock_file(tmp_path):
    descriptor = os.open(tmp_path / "file", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    yield descriptor
    os.close(descriptor)


@pytest.fixture(scope="session")
def floor(tmp_path_factory):
    if shutil.which("cc") is None:
        pytest.skip("no C compiler")
    directory = tmp_path_factory.mktemp("floor")
    (directory / "floor.c").write_text(FLOOR)
    argv = ["cc", "-O2", "-shared", "-fPIC", "-o", "floor.so", "floor.c"]
    subprocess.run(argv, check=True, cwd=directory)
    return ctypes.CDLL(str(directory / "floor.so")).pairs


def measure(benchmark, subject, run):
    benchmark.group = "lock:pair"
    benchmark.extra_info["subject"] = subject
    if subject == "podcore":
        benchmark.extra_info["target"] = TARGETS
    assert benchmark(run) == PAIRS


def test_podcore(benchmark, tmp_path):
    def run():
        acquire, taken = session.acquire, 0
        for _ in range(PAIRS):
            acquire("container", 7).release()
            taken += 1
        return taken

    with LockTable(tmp_path / "locks").session() as session:
        measure(benchmark, "podcore", run)


def test_floor(benchmark, floor, lock_file):
    measure(benchmark, "floor", lambda: floor(lock_file, PAIRS))


def test_fcntl(benchmark, lock_file):
    take = struct.pack("hhqqi4x", fcntl.F_WRLCK, os.SEEK_SET, 7, 1, 0)
    give = struct.pack("hhqqi4x", fcntl.F_UNLCK, os.SEEK_SET, 7, 1, 0)

    def run():
        call, taken = fcntl.fcntl, 0
        for _ in range(PAIRS):
            call(lock_file, fcntl.F_OFD_SETLK, take)
            call(lock_file, fcntl.F_OFD_SETLK, give)
            taken += 1
        return taken

    measure(benchmark, "fcntl", run)


def made_by(peer, path):
    """Returns another library's lock of that file."""
    if peer == "fasteners":
        return fasteners.InterProcessLock(path)
    if peer == "portalocker":
        return portalocker.Lock(path)
    return filelock.FileLock(path)


@pytest.mark.skipif(filelock is None, reason="`make bench` installs the peers")
@pytest.mark.parametrize("peer", ["fasteners", "portalocker", "filelock"])
def test_peer(benchmark, tmp_path, peer):
    lock = made_by(peer, str(tmp_path / "file"))

    def run():
        taken = 0
        for _ in range(PAIRS):
            lock.acquire()
            lock.release()
            taken += 1
        return taken

    measure(benchmark, peer, run)


@pytest.mark.parametrize("apart", [1, 7])
def test_further_pair_beside_ten_thousand_held(benchmark, tmp_path, apart):
    benchmark.group = f"lock:pair beside {HELD} held, {apart} apart"
    benchmark.extra_info["subject"] = "podcore"
    benchmark.extra_info["budget"] = HELD_BUDGET * PAIRS
    first = HELD * apart
    free = len(os.listdir("/proc/self/fd"))

    def run():
        acquire, taken = session.acquire, 0
        for number in range(first, first + PAIRS):
            acquire("container", number).release()
            taken += 1
        return taken

    with LockTable(tmp_path / "locks").session() as session:
        for number in range(0, first, apart):
            session.acquire("container", number)
        assert benchmark(run) == PAIRS
        assert len(session.held) == HELD
        assert len(os.listdir("/proc/self/fd")) - free <= HELD_DESCRIPTORS
