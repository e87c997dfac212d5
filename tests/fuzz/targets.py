"""What parses what others wrote: each target takes bytes and raises nothing but what it may.

A target also says what must be true of its answer, so that a wrong answer is found like a crash.
"""

import math
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from podcore import errors, names, references, runtime_log, signals, units
from podcore._core import LockTable
from podcore.bundle import deltas, load, security
from podcore.kernel import mountinfo, process
from podcore.kernel.command import Finished
from podcore.lifecycle import ledger
from podcore.monitor import conmon
from podcore.monitor.conmon import Launch
from podcore.monitor.exits import read_exit
from podcore.monitor.logs import read_logs
from podcore.oci import interface
from podcore.records import VolumeRecord

ID = "ab" * 32


@contextmanager
def _directory() -> Iterator[str]:
    path = tempfile.mkdtemp(dir="/dev/shm" if os.path.isdir("/dev/shm") else None)
    try:
        yield path
    finally:
        shutil.rmtree(path)


def _write(path: str, data: bytes) -> str:
    with open(path, "wb") as file:
        file.write(data)
    return path


@contextmanager
def _refused(*types: type[Exception]) -> Iterator[None]:
    """Lets these errors pass, whose message must be fit for any terminal and any JSON."""
    try:
        yield
    except types as error:
        said = str(error).encode()  # no half of a surrogate pair
        assert said
        assert b"\x1b" not in said
        assert b"\0" not in said


def runtime_state(data: bytes) -> None:
    """What an OCI runtime prints for ``state``."""
    done = Finished(("runc",), 0, data, b"")
    with _refused(errors.OCIRuntimeProtocolError):
        state = interface._parse_state(done, ID)
        assert state.status in ("creating", "created", "running", "paused", "stopped")
        assert state.pid is None or 0 < state.pid <= 1 << 22


def sync_pipe(data: bytes) -> None:
    """What conmon writes to its sync pipe."""
    with _directory() as base:
        complaints = os.open(f"{base}/stderr", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        launch = Launch(
            container_id=ID,
            name="box",
            bundle=base,
            runtime="/usr/bin/runc",
            runtime_arguments=[],
            pid_file=f"{base}/pid",
            monitor_pid_file=f"{base}/conmon.pid",
            exit_dir=base,
            persist_dir=base,
            log_path=f"{base}/log",
            place=lambda _pid: None,
            runtime_log=f"{base}/runtime.log",
            cgroup_path="none",
        )
        try:
            with _refused(errors.MonitorError, errors.OCIRuntimeError):
                pid = conmon._parse(launch, data, complaints)
                assert 0 < pid <= 1 << 22
        finally:
            os.close(complaints)


def container_log(data: bytes) -> None:
    """A k8s-file log, which holds what a container likes."""
    with _directory() as base:
        path = _write(f"{base}/log", data)
        entries = list(read_logs(path))
        for tail in (0, 1, 3):
            last = list(read_logs(path, tail=tail))
            # It begins where a record begins, so it is the end of the whole.
            assert last == entries[len(entries) - len(last) :]
        for entry in entries:
            assert entry.stream in ("stdout", "stderr")
            assert b"\n" not in entry.data
            assert math.isfinite(entry.time)
            assert entry.data in data


def exit_file(data: bytes) -> None:
    """An exit file of conmon's."""
    with _directory() as base:
        _write(f"{base}/exit", data)
        found = read_exit(base, base, ID)
        assert found is not None
        if found.code is None:
            assert found.reason.startswith("ExitUnknown")
        else:
            assert 0 <= found.code <= 255
            assert int(data) == found.code


def bundle_config(data: bytes) -> None:
    """The config.json of a user's bundle."""
    with _directory() as base, _refused(errors.InvalidArgumentError):
        config = load(_write(f"{base}/config.json", data))
        deltas(config)
        security(config)


def runtime_messages(data: bytes) -> None:
    """The log of an OCI runtime's messages."""
    with _directory() as base:
        said = runtime_log.last_error(_write(f"{base}/log", data))
        assert "box" in runtime_log.worded(said, "box", "start")


def name(data: bytes) -> None:
    """A name, as somebody types it."""
    text = data.decode(errors="surrogateescape")
    with _refused(errors.InvalidNameError):
        assert names.check_name(text, "pod") == text
        assert text.isascii()
        assert not set(text) & set("/\\ \n\0%$`'\"")
        assert text[0].isalnum()
        assert len(text) <= 128


def reference(data: bytes) -> None:
    """A reference to a container: a name, an id or the beginning of one."""
    text = data.decode(errors="surrogateescape")
    candidates = [(ID, "web"), ("abcd" * 16, "db"), ("0" * 64, "ab"), ("f" * 64, "0" * 64)]
    with _refused(errors.InvalidNameError, errors.NotFoundError, errors.AmbiguousReferenceError):
        found = references.resolve(text, candidates, "container")
        matched = dict(candidates)[found]
        assert text == matched or found.startswith(text)


def values(data: bytes) -> None:
    """Signals, sizes, durations and moments, as somebody types them."""
    text = data.decode(errors="surrogateescape")
    with _refused(errors.InvalidArgumentError):
        assert 1 <= signals.parse_signal(text) <= 64
    with _refused(errors.InvalidArgumentError):
        assert units.parse_size(text, "memory") >= 0
    with _refused(errors.InvalidArgumentError):
        assert units.parse_duration(text) >= 0
    with _refused(errors.InvalidArgumentError):
        assert math.isfinite(units.parse_time(text, 1e9))


def lock_notes(data: bytes) -> None:
    """What holders of locks say about themselves, in a file that anything may have written to."""
    with _directory() as base:
        table = LockTable(f"{base}/locks")
        with table.session("first") as session:
            session.acquire("container", 7)
        with open(f"{base}/locks/notes", "r+b") as file:
            size = file.seek(0, os.SEEK_END)
            # A lock's slot is anywhere, so the garbage is everywhere.
            file.seek(0)
            file.write((data * (size // max(1, len(data)) + 1))[:size] if data else b"")
        with table.session("second") as holder, table.session("third") as waiter:
            holder.acquire("container", 7, timeout=10)
            with _refused(errors.LockTimeoutError):
                waiter.acquire("container", 7, timeout=0)
                raise AssertionError("two sessions hold one lock")
            holder.close()
            waiter.acquire("container", 7, timeout=10)


def ledger_file(data: bytes) -> None:
    """A ledger, which a lost database is rebuilt from: podcore's own, but maybe damaged."""
    with _directory() as base:
        entry = ledger.read(_write(f"{base}/podcore.json", data))
        rows = [] if entry is None else [entry.row, *([entry.infra] if entry.infra else [])]
        for row in rows:
            assert names.check_name(row.name, "object") == row.name
            assert 0 < row.number <= 1 << 53
            assert math.isfinite(row.created)
            if not isinstance(row, VolumeRecord):
                assert row.cgroup_path.endswith(f"/{row.id}")
                assert len(row.id) == 64


def proc_files(data: bytes) -> None:
    """Files of /proc, in which programs, cgroups and mount points may have any name."""
    stat = process.parse_stat(data)
    assert stat is None or stat[1] >= 0
    for controller, path in process.parse_cgroups(data).items():
        assert isinstance(controller, str)
        assert "\n" not in path
    for mount in mountinfo.parse(data):
        assert mount.target == os.fsdecode(os.fsencode(mount.target))


TARGETS: dict[str, Callable[[bytes], None]] = {
    "runtime-state": runtime_state,
    "sync-pipe": sync_pipe,
    "container-log": container_log,
    "exit-file": exit_file,
    "bundle-config": bundle_config,
    "runtime-messages": runtime_messages,
    "name": name,
    "reference": reference,
    "values": values,
    "lock-notes": lock_notes,
    "ledger": ledger_file,
    "proc": proc_files,
}
