"""LockTable, LockSession and LockGuard in one process."""

import errno
import fcntl
import gc
import math
import os
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from harness.polling import eventually
from podcore._core import LockGuard, LockSession, LockTable
from podcore.errors import (
    InvalidArgumentError,
    LockError,
    LockOrderError,
    LockTimeoutError,
    ResourceExhaustedError,
    UseAfterForkError,
)

MAX_NUMBER = 2**61 - 1


@pytest.fixture
def table(tmp_path: Path) -> LockTable:
    return LockTable(tmp_path / "locks")


def in_thread(call: Callable[[], object]) -> BaseException | None:
    """Returns what a call raises in another thread."""
    raised: list[BaseException] = []

    def run() -> None:
        try:
            call()
        except Exception as error:
            raised.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    thread.join(30)
    assert not thread.is_alive()
    return raised[0] if raised else None


def open_files(table: LockTable) -> int:
    """Returns how many lock files of a table this process has open."""
    count = 0
    for name in os.listdir("/proc/self/fd"):
        try:
            count += os.readlink(f"/proc/self/fd/{name}").startswith(table.directory)
        except OSError:
            # The descriptor of the listing itself.
            continue
    return count


def lock_file_of(table: LockTable, session: LockSession) -> str:
    """Returns the path of the one lock file that there is."""
    [name] = [name for name in os.listdir(table.directory) if name != "notes"]
    assert session.held
    return os.path.join(table.directory, name)


def waits_in(inode: int) -> int:
    """Returns how many wait in the kernel for a lock in a file."""
    lines = Path("/proc/locks").read_text().splitlines()
    return sum("-> OFDLCK" in line and f":{inode} " in line for line in lines)


def foreign_lock(path: str, number: int) -> int:
    """Locks a byte through another implementation; closing the descriptor frees it."""
    descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    lock = struct.pack("hhqqi4x", fcntl.F_WRLCK, os.SEEK_SET, number, 1, 0)
    try:
        fcntl.fcntl(descriptor, fcntl.F_OFD_SETLK, lock)
    except OSError:
        os.close(descriptor)
        raise
    return descriptor


# The directory


def test_directory_is_made_for_its_owner_alone(tmp_path: Path) -> None:
    table = LockTable(tmp_path / "locks")
    table.session().acquire("pod", 1)

    assert table.directory == str(tmp_path / "locks")
    assert os.stat(table.directory).st_mode & 0o777 == 0o700
    for name in os.listdir(table.directory):
        assert os.stat(tmp_path / "locks" / name).st_mode & 0o777 == 0o600, name


def test_missing_parent_is_an_os_error_with_its_path(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError) as caught:
        LockTable(tmp_path / "no" / "locks")
    assert caught.value.filename == str(tmp_path / "no" / "locks")


def test_symbolic_link_is_refused(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir(mode=0o700)
    (tmp_path / "locks").symlink_to("real")
    with pytest.raises(LockError, match="symbolic link"):
        LockTable(tmp_path / "locks")


@pytest.mark.parametrize("mode", [0o720, 0o702, 0o777])
def test_directory_that_others_can_write_is_refused(tmp_path: Path, mode: int) -> None:
    (tmp_path / "locks").mkdir()
    (tmp_path / "locks").chmod(mode)
    with pytest.raises(LockError, match="written by"):
        LockTable(tmp_path / "locks")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a directory away")
def test_directory_of_another_user_is_refused(tmp_path: Path) -> None:
    (tmp_path / "locks").mkdir(mode=0o700)
    os.chown(tmp_path / "locks", 12345, -1)
    with pytest.raises(LockError, match="another user"):
        LockTable(tmp_path / "locks")


def test_file_in_place_of_the_directory_is_refused(tmp_path: Path) -> None:
    (tmp_path / "locks").write_text("")
    with pytest.raises(LockError, match="not a directory"):
        LockTable(tmp_path / "locks")


@pytest.mark.parametrize("name", ["notes", "store"])
def test_planted_files_are_never_followed_or_waited_for(tmp_path: Path, name: str) -> None:
    directory = tmp_path / "locks"
    directory.mkdir(mode=0o700)
    (directory / name).symlink_to(tmp_path / "victim")
    with pytest.raises(OSError, match=name) as caught:
        LockTable(directory).session().acquire("store")
    assert caught.value.errno == errno.ELOOP
    assert not (tmp_path / "victim").exists()

    (directory / name).unlink()
    os.mkfifo(directory / name)
    with pytest.raises(LockError, match="not a regular file"):
        LockTable(directory).session().acquire("store")


# Exclusion


def test_sessions_exclude_each_other(table: LockTable) -> None:
    with table.session("first") as first, table.session("second") as second:
        guard = first.acquire("container", 7)
        with pytest.raises(LockTimeoutError):
            second.acquire("container", 7, timeout=0)
        second.acquire("container", 8, timeout=0).release()
        guard.release()
        second.acquire("container", 7, timeout=0)


def test_shared_locks_admit_each_other_only(table: LockTable) -> None:
    first, second, third = table.session(), table.session(), table.session()
    guards = [first.acquire("pod", 1, shared=True), second.acquire("pod", 1, shared=True)]
    with pytest.raises(LockTimeoutError):
        third.acquire("pod", 1, timeout=0)
    for guard in guards:
        guard.release()
    third.acquire("pod", 1, timeout=0)
    with pytest.raises(LockTimeoutError):
        first.acquire("pod", 1, shared=True, timeout=0)


def test_other_implementations_are_excluded_and_exclude(table: LockTable) -> None:
    session = table.session()
    guard = session.acquire("container", 5)
    # Numbers go backwards over the bytes, see ARCHITECTURE.md.
    path, byte = lock_file_of(table, session), MAX_NUMBER - 5
    with pytest.raises(BlockingIOError):
        foreign_lock(path, byte)
    guard.release()

    descriptor = foreign_lock(path, byte)
    assert table.probe("container", 5)
    with pytest.raises(LockTimeoutError):
        session.acquire("container", 5, timeout=0)
    os.close(descriptor)
    session.acquire("container", 5, timeout=0)


def test_kinds_and_numbers_far_apart_do_not_exclude_each_other(table: LockTable) -> None:
    session, other = table.session(), table.session()
    numbers = [0, 1, 63, 64, 4 * 64, 53 * 64, 53 * 64 + 1, 2**32, MAX_NUMBER]
    for kind in ("init", "pod", "namespaces", "container", "store"):
        for number in numbers:
            session.acquire(kind, number, timeout=0)
            with pytest.raises(LockTimeoutError):
                other.acquire(kind, number, timeout=0)


def test_two_tables_of_one_directory_are_one(table: LockTable) -> None:
    session = table.session()
    session.acquire("store")
    again = LockTable(table.directory)
    assert again.probe("store")
    with pytest.raises(LockTimeoutError):
        again.session().acquire("store", timeout=0)


# What ends a lock


def test_dropping_a_guard_releases_nothing(table: LockTable) -> None:
    session = table.session()
    session.acquire("pod", 1)
    gc.collect()
    assert table.probe("pod", 1)
    assert session.held == [("pod", 1, False)]


def test_leaving_the_guards_with_releases(table: LockTable) -> None:
    session = table.session()
    with session.acquire("pod", 1):
        assert table.probe("pod", 1)
    assert not table.probe("pod", 1)
    assert session.held == []


def test_leaving_the_sessions_with_releases_all_and_closes(table: LockTable) -> None:
    with table.session() as session:
        session.acquire("pod", 1, shared=True)
        session.acquire("container", 2)
        assert session.held == [("pod", 1, True), ("container", 2, False)]
    assert session.closed
    assert not table.probe("pod", 1)
    assert not table.probe("container", 2)
    with pytest.raises(LockError, match="closed"):
        session.acquire("pod", 1)


def test_close_and_release_may_be_repeated(table: LockTable) -> None:
    session = table.session()
    guard = session.acquire("pod", 1)
    guard.release()
    guard.release()
    session.close()
    session.close()
    guard.release()


def test_stale_guard_does_not_release_a_later_acquisition(table: LockTable) -> None:
    session = table.session()
    stale = session.acquire("pod", 1)
    stale.release()
    session.acquire("pod", 1)
    stale.release()
    assert table.probe("pod", 1)


def test_last_reference_to_a_session_releases(table: LockTable) -> None:
    guard: LockGuard | None = table.session().acquire("pod", 1)
    gc.collect()
    assert table.probe("pod", 1), "a guard keeps its session"
    del guard
    gc.collect()
    assert not table.probe("pod", 1)


def test_locks_are_released_in_any_order(table: LockTable) -> None:
    session = table.session()
    guards = [session.acquire("container", number) for number in range(10)]
    for index in (4, 0, 9, 5):
        guards[index].release()
        assert not table.probe("container", index)
    assert [number for _, number, _ in session.held] == [1, 2, 3, 6, 7, 8]
    assert all(table.probe("container", number) for _, number, _ in session.held)


def test_exception_in_the_block_releases_and_passes(table: LockTable) -> None:
    with pytest.raises(KeyError), table.session() as session, session.acquire("store"):
        raise KeyError
    assert not table.probe("store")


# Order


@pytest.mark.parametrize(
    ("held", "asked"),
    [
        (("pod", 1), ("init", 0)),
        (("container", 1), ("pod", 9)),
        (("store", 0), ("container", 9)),
        (("store", 0), ("init", 0)),
        (("pod", 2), ("pod", 1)),
        (("container", 2), ("container", 1)),
        (("container", 2), ("container", 2)),
    ],
)
def test_asking_out_of_order_raises_at_once(
    table: LockTable, held: tuple[str, int], asked: tuple[str, int]
) -> None:
    session = table.session()
    session.acquire(*held)
    with pytest.raises(LockOrderError) as caught:
        session.acquire(*asked)
    assert asked[0] in str(caught.value)
    assert session.held == [(*held, False)]


def test_ascending_order_is_accepted(table: LockTable) -> None:
    wanted = [("init", 0), ("pod", 1), ("pod", 2), ("container", 1), ("container", 9), ("store", 0)]
    session = table.session()
    for kind, number in wanted:
        session.acquire(kind, number)
    assert [(kind, number) for kind, number, _ in session.held] == wanted


def test_order_looks_only_at_what_is_still_held(table: LockTable) -> None:
    session = table.session()
    session.acquire("container", 5).release()
    session.acquire("container", 1)


# Arguments


@pytest.mark.parametrize("kind", ["", "Pod", "volume"])
def test_unknown_kind_is_refused(table: LockTable, kind: str) -> None:
    with pytest.raises(InvalidArgumentError, match="container"):
        table.session().acquire(kind)


@pytest.mark.parametrize("number", [-1, 2**61, 2**64, -(2**70)])
def test_number_without_a_byte_is_refused(table: LockTable, number: int) -> None:
    with pytest.raises(InvalidArgumentError, match=str(number)):
        table.session().acquire("pod", number)


@pytest.mark.parametrize("timeout", [-1, -0.001, math.nan, -math.inf])
def test_timeout_that_is_no_time_is_refused(table: LockTable, timeout: float) -> None:
    with pytest.raises(InvalidArgumentError, match="timeout"):
        table.session().acquire("pod", 1, timeout=timeout)


@pytest.mark.parametrize("timeout", [None, 0, 1, 0.5, 1e300, math.inf])
def test_free_lock_is_taken_whatever_the_timeout(table: LockTable, timeout: float | None) -> None:
    table.session().acquire("pod", 1, timeout=timeout)


def test_other_types_are_type_errors(table: LockTable) -> None:
    with pytest.raises(TypeError):
        table.session().acquire(1)  # type: ignore[arg-type]  # on purpose
    with pytest.raises(TypeError):
        table.session().acquire("pod", "1")  # type: ignore[arg-type]  # on purpose


# Threads


def test_session_belongs_to_the_thread_that_first_acquires(table: LockTable) -> None:
    session = table.session()
    guard = session.acquire("pod", 1)
    for call in (lambda: session.acquire("pod", 2), guard.release, session.close):
        error = in_thread(call)
        assert isinstance(error, LockError)
        assert "thread" in str(error)
    assert table.probe("pod", 1)


def test_session_made_in_one_thread_works_in_another(table: LockTable) -> None:
    session = table.session()
    assert in_thread(lambda: session.acquire("pod", 1)) is None
    assert table.probe("pod", 1)
    with pytest.raises(LockError, match="thread"):
        session.acquire("pod", 2)


def test_released_lock_goes_to_the_one_that_waits(table: LockTable) -> None:
    holder = table.session()
    guard = holder.acquire("pod", 1)
    got = threading.Event()

    def wait() -> None:
        with table.session() as session, session.acquire("pod", 1, timeout=30):
            got.set()

    thread = threading.Thread(target=wait)
    thread.start()
    assert not got.wait(0.1)
    guard.release()
    assert got.wait(30)
    thread.join(30)
    assert not table.probe("pod", 1)


def test_lock_that_was_waited_for_is_released_like_any_other(table: LockTable) -> None:
    held = table.session()
    guard = held.acquire("pod", 1)
    waiting = table.session()
    asked = threading.Event()
    outcome: list[bool] = []

    def wait() -> None:
        asked.set()
        mine = waiting.acquire("pod", 1, timeout=30)
        outcome.append(table.probe("pod", 1))
        mine.release()
        outcome.append(table.probe("pod", 1))
        waiting.acquire("pod", 1, timeout=0)
        waiting.close()
        outcome.append(table.probe("pod", 1))

    thread = threading.Thread(target=wait)
    thread.start()
    asked.wait(30)
    guard.release()
    thread.join(30)
    assert outcome == [True, False, False]


# Waits that end without the lock


def test_timeout_names_the_holder_and_the_wait(table: LockTable) -> None:
    before = time.time()
    holder = table.session("pod start `web`")
    holder.acquire("container", 7)
    with pytest.raises(LockTimeoutError) as caught:
        table.session().acquire("container", 7, timeout=0.2)

    error = caught.value
    assert error.waited >= 0.2
    assert error.holder is not None
    assert error.holder["pid"] == os.getpid()
    assert error.holder["operation"] == "pod start `web`"
    assert before <= error.holder["since"] <= time.time()
    for part in ("container 7", str(os.getpid()), "pod start `web`", "hint: "):
        assert part in str(error)


def test_timeout_is_also_the_builtin_one(table: LockTable) -> None:
    table.session().acquire("pod", 1)
    keep = table.session()
    keep.acquire("pod", 2)
    with pytest.raises(TimeoutError):
        table.session().acquire("pod", 2, timeout=0.01)


def test_abandoned_wait_does_not_keep_the_lock(table: LockTable) -> None:
    holder, waiter = table.session(), table.session()
    guard = holder.acquire("pod", 1)
    with pytest.raises(LockTimeoutError):
        waiter.acquire("pod", 1, timeout=0.05)
    guard.release()
    with table.session() as third:
        third.acquire("pod", 1, timeout=30)
    assert waiter.held == []


def test_repeated_timeouts_leave_one_wait_behind(table: LockTable) -> None:
    holder, waiter = table.session(), table.session()
    guard = holder.acquire("pod", 1)
    with pytest.raises(LockTimeoutError):
        waiter.acquire("pod", 1, timeout=0.01)
    files = open_files(table)
    for _ in range(30):
        with pytest.raises(LockTimeoutError):
            waiter.acquire("pod", 1, timeout=0.001)
    assert open_files(table) == files
    guard.release()
    waiter.acquire("pod", 1, timeout=30)


def test_waits_that_were_given_up_are_bounded(table: LockTable) -> None:
    holder, waiter = table.session(), table.session()
    limit = 256
    numbers = range(limit + 1)
    for number in numbers:
        holder.acquire("container", number)
    for number in range(limit):
        with pytest.raises(LockTimeoutError):
            waiter.acquire("container", number, timeout=0.0001)
    with pytest.raises(LockError, match="given up"):
        waiter.acquire("container", limit, timeout=0.0001)
    # A wait for one of the others takes over what it has left behind.
    with pytest.raises(LockTimeoutError):
        waiter.acquire("container", 0, timeout=0.0001)
    holder.close()
    for number in numbers:
        waiter.acquire("container", number, timeout=30)
    waiter.close()
    eventually(lambda: open_files(table) == 0)


def test_holder_is_unknown_once_it_has_let_go(table: LockTable) -> None:
    session = table.session("work")
    assert table.holder("pod", 1) is None
    with session.acquire("pod", 1):
        assert table.holder("pod", 1) is not None
        assert table.holder("pod", 2) is None
    assert table.holder("pod", 1) is None


@pytest.mark.parametrize("operation", ["", "x" * 500, "ü" * 60, "pod start " + "€" * 40])
def test_note_holds_the_beginning_of_any_operation(table: LockTable, operation: str) -> None:
    session = table.session(operation)
    session.acquire("pod", 1)
    holder = table.holder("pod", 1)
    assert holder is not None
    assert operation.startswith(holder["operation"])
    assert len(holder["operation"].encode()) >= min(len(operation.encode()), 93)


def test_damaged_notes_change_messages_only(table: LockTable) -> None:
    notes = os.path.join(table.directory, "notes")
    size = os.path.getsize(notes)
    for filler in (b"\xff", b"\x01", b"\x80"):
        with table.session("work") as session:
            session.acquire("pod", 1)
            with open(notes, "r+b") as file:
                file.write(filler * size)
            assert table.holder("pod", 1) is None
            with pytest.raises(LockTimeoutError):
                table.session().acquire("pod", 1, timeout=0)


# Lock files that go away


def replaced(path: str, how: str) -> None:
    os.unlink(path)
    if how == "replaced":
        with open(path, "x", encoding="utf-8"):
            os.chmod(path, 0o600)


@pytest.mark.parametrize("how", ["deleted", "replaced"])
def test_lock_file_that_goes_while_it_is_locked_is_detected(table: LockTable, how: str) -> None:
    holder = table.session()
    guard = holder.acquire("container", 1)
    path = lock_file_of(table, holder)
    replaced(path, how)

    for other in (table, LockTable(table.directory)):
        with pytest.raises(LockError, match="deleted or replaced") as caught:
            other.session().acquire("container", 1, timeout=0.1)
        assert path in str(caught.value)

    guard.release()
    with table.session() as session:
        session.acquire("container", 1, timeout=5)
        # The session that still has the old file open notices too.
        with pytest.raises(LockTimeoutError):
            holder.acquire("container", 1, timeout=0)


BUSY = """
import fcntl, os, struct
fd = os.open({path!r}, os.O_RDWR | os.O_CREAT)
def mark(kind):
    for byte in range(0, 600, 2):
        lock = struct.pack("hhqqi0q", kind, os.SEEK_SET, byte, 1, 0)
        fcntl.fcntl(fd, fcntl.F_OFD_SETLK, lock)
mark(fcntl.F_WRLCK)
print(flush=True)
while True:
    mark(fcntl.F_UNLCK)
    mark(fcntl.F_WRLCK)
"""


def test_lock_in_a_file_that_went_is_seen_among_many_that_come_and_go(
    table: LockTable, tmp_path: Path
) -> None:
    holder = table.session()
    holder.acquire("container", 1)
    path = lock_file_of(table, holder)
    others = [sys.executable, "-c", BUSY.format(path=f"{tmp_path}/others")]
    with subprocess.Popen(others, stdout=subprocess.PIPE) as busy:
        try:
            assert busy.stdout is not None
            busy.stdout.readline()
            os.unlink(path)
            for _ in range(1000):
                with pytest.raises(LockError, match="deleted or replaced"):
                    table.session().acquire("container", 1, timeout=0)
        finally:
            busy.kill()


@pytest.mark.parametrize("how", ["deleted", "replaced"])
def test_lock_on_a_file_that_went_while_it_was_waited_for_is_not_believed(
    table: LockTable, how: str
) -> None:
    holder = table.session()
    guard = holder.acquire("container", 1)
    asking, got, over = threading.Event(), threading.Event(), threading.Event()

    def wait() -> None:
        asking.set()
        with table.session() as session, session.acquire("container", 1, timeout=60):
            got.set()
            over.wait(60)

    thread = threading.Thread(target=wait, daemon=True)
    thread.start()
    assert asking.wait(30)
    assert not got.wait(0.2)
    replaced(lock_file_of(table, holder), how)
    guard.release()

    assert got.wait(60)
    with pytest.raises(LockTimeoutError):
        LockTable(table.directory).session().acquire("container", 1, timeout=0)
    over.set()
    thread.join(60)


@pytest.mark.parametrize("how", ["deleted", "replaced"])
def test_all_who_waited_in_a_file_that_went_get_the_lock_of_the_new_one(
    table: LockTable, how: str
) -> None:
    waiting = 8
    holder = table.session()
    guard = holder.acquire("container", 1)
    at_once = threading.Barrier(waiting + 1)
    inside = threading.Lock()
    served: list[bool] = []
    faults: list[LockError] = []

    def wait() -> None:
        at_once.wait(60)
        try:
            with table.session() as session, session.acquire("container", 1, timeout=60):
                served.append(inside.acquire(blocking=False))
                inside.release()
        except LockError as error:
            faults.append(error)

    threads = [threading.Thread(target=wait, daemon=True) for _ in range(waiting)]
    for thread in threads:
        thread.start()
    at_once.wait(60)
    path = lock_file_of(table, holder)
    inode = os.stat(path).st_ino
    eventually(lambda: waits_in(inode) == waiting)
    replaced(path, how)
    guard.release()
    for thread in threads:
        thread.join(60)

    assert faults == []
    assert served == [True] * waiting


@pytest.mark.parametrize("how", ["deleted", "replaced"])
def test_lock_file_that_went_while_it_was_free_is_made_anew(table: LockTable, how: str) -> None:
    with table.session() as session:
        session.acquire("container", 1)
        path = lock_file_of(table, session)
    replaced(path, how)
    with table.session() as first, table.session() as second:
        first.acquire("container", 1, timeout=5)
        with pytest.raises(LockTimeoutError):
            second.acquire("container", 1, timeout=0)


# Numbers


def test_ten_thousand_locks_need_few_descriptors(table: LockTable) -> None:
    with table.session() as session:
        guards = [session.acquire("container", number) for number in range(0, 70_000, 7)]
        assert len(guards) == len(session.held) == 10_000
        assert open_files(table) <= 64
        with pytest.raises(LockTimeoutError):
            table.session().acquire("container", 69_993, timeout=0)
    assert open_files(table) == 0
    assert not table.probe("container", 69_993)


def test_sessions_leave_no_descriptors(table: LockTable) -> None:
    for number in range(200):
        with table.session() as session:
            session.acquire("pod", number)
            session.acquire("store")
    assert open_files(table) == 0


def test_running_out_of_descriptors_is_named(tmp_path: Path) -> None:
    script = """
import os, resource, sys
from podcore._core import LockTable
from podcore.errors import ResourceExhaustedError
session = LockTable(sys.argv[1]).session()
resource.setrlimit(resource.RLIMIT_NOFILE, (16, 16))
try:
    while True:
        os.open("/dev/null", os.O_RDONLY)
except OSError:
    pass
try:
    session.acquire("store")
except ResourceExhaustedError as error:
    os.close(15)
    session.acquire("store")
    sys.exit(error.errno)
"""
    argv = [sys.executable, "-c", script, str(tmp_path / "locks")]
    assert subprocess.run(argv, check=False, timeout=60).returncode == errno.EMFILE
    assert issubclass(ResourceExhaustedError, OSError)


# Fork and exec


def run_script(script: str, directory: Path) -> str:
    argv = [sys.executable, "-c", script, str(directory / "locks")]
    done = subprocess.run(argv, check=False, timeout=60, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


FORK = """
import os, sys
from podcore._core import LockTable
from podcore.errors import UseAfterForkError

table = LockTable(sys.argv[1])
session = table.session()
guard = session.acquire("pod", 1)
session.acquire("container", 5)
files = lambda: [p for p in map(read, os.listdir("/proc/self/fd")) if p.startswith(table.directory)]
def read(fd):
    try:
        return os.readlink(f"/proc/self/fd/{fd}")
    except OSError:
        return ""

assert len(files()) == 2, files()
child = os.fork()
if child == 0:
    problems = []
    for call in (
        lambda: session.acquire("store"), guard.release, table.session, session.__enter__,
        lambda: table.probe("pod", 1), lambda: table.holder("pod", 1), lambda: session.held,
    ):
        try:
            call()
        except UseAfterForkError:
            continue
        problems.append("a call did not raise")
    if files():
        problems.append(f"descriptors are left: {files()}")
    session.close()
    spare = os.open("/dev/null", os.O_RDONLY)
    del session, guard
    os.fstat(spare)
    fresh = LockTable(sys.argv[1])
    if not fresh.probe("pod", 1) or not fresh.probe("container", 5):
        problems.append("the child released its parent's locks")
    fresh.session().acquire("pod", 2, timeout=0)
    print(problems, flush=True)
    os._exit(len(problems))
_, status = os.waitpid(child, 0)
assert status == 0
assert table.probe("pod", 1)
guard.release()
session.close()
"""


def test_forked_child_closes_raises_and_releases_nothing(tmp_path: Path) -> None:
    assert run_script(FORK, tmp_path) == "[]\n"


def test_forked_child_does_not_keep_the_lock_of_a_dead_parent(tmp_path: Path) -> None:
    script = """
import os, sys
from podcore._core import LockTable
session = LockTable(sys.argv[1]).session()
session.acquire("pod", 1)
if os.fork() == 0:
    print("ready", flush=True)
    sys.stdin.read()
    os._exit(0)
os.wait()
"""
    argv = [sys.executable, "-c", script, str(tmp_path / "locks")]
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        assert parent.stdout.readline() == "ready\n"
        parent.kill()
        os.waitid(os.P_PID, parent.pid, os.WEXITED | os.WNOWAIT)
        LockTable(tmp_path / "locks").session().acquire("pod", 1, timeout=30)


def test_executed_programs_inherit_no_descriptor(table: LockTable) -> None:
    session = table.session()
    session.acquire("pod", 1)
    list_files = "import os; print(*map(os.path.realpath, os.scandir('/proc/self/fd')))"
    argv = [sys.executable, "-c", list_files]
    out = subprocess.run(argv, check=True, capture_output=True, text=True, close_fds=False).stdout
    assert table.directory not in out


def test_session_in_a_wait_refuses_a_signal_handler_that_uses_it(tmp_path: Path) -> None:
    script = """
import os, signal, sys, threading
from podcore._core import LockTable
from podcore.errors import LockError
table = LockTable(sys.argv[1])
holder, waiter = table.session(), table.session()
guard = holder.acquire("pod", 1)

def handler(*_):
    try:
        waiter.acquire("pod", 2)
    except LockError as error:
        print(error)
    guard.release()

def interrupt():
    while not any(open(f"/proc/self/task/{t}/comm").read() == "podcore-lock\\n" for t in tasks()):
        pass
    os.kill(os.getpid(), signal.SIGUSR1)

tasks = lambda: os.listdir("/proc/self/task")
signal.signal(signal.SIGUSR1, handler)
threading.Thread(target=interrupt).start()
waiter.acquire("pod", 1, timeout=30)
print(waiter.held)
"""
    out = run_script(script, tmp_path)
    assert "already waiting" in out
    assert "[('pod', 1, False)]" in out


def test_errors_of_use_after_fork_are_lock_errors() -> None:
    assert issubclass(UseAfterForkError, LockError)
