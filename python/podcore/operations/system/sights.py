"""What the invariants look at on the host, without asking any part of podcore what is there.

So a mistake in what podcore knows of its host does not hide itself. Everything returns sentences.
"""

import errno
import io
import os
import re
import stat
import time
from collections.abc import Callable, Iterable, Iterator, Sequence

from podcore.backend import Host
from podcore.kernel import process
from podcore.kernel.cgroupfs import find as find_file
from podcore.model import ContainerStatus
from podcore.names import short
from podcore.operations.system.listing import names
from podcore.records import ContainerRecord

UP = frozenset(
    {
        ContainerStatus.CREATED,
        ContainerStatus.RUNNING,
        ContainerStatus.PAUSED,
        ContainerStatus.STOPPING,
    }
)
"""The states of a container that has a process."""

_CLOEXEC = 0o2000000
_ID = re.compile(r"(?<![0-9a-f])[0-9a-f]{64}(?![0-9a-f])")
_PRIVATE = re.compile(r"state\.db.*|.+\.json|log")
_RECORD = re.compile(rb"[0-9]{4}-[0-9]{2}-[0-9]{2}T\S+ (stdout|stderr) [FP]( |$)")
_PATIENCE = 10.0
"""Seconds that what is on its way out gets: a monitor ends a moment after its container."""
_POLL = 0.02
_TAIL = 1 << 20
"""Bytes at the end of a log that are looked at."""


def locks(host: Host) -> Iterator[str]:
    """I1: the locks of this engine that somebody holds."""
    inodes = {}
    for name in names(host.places.locks):
        status = os.stat(f"{host.places.locks}/{name}")
        device = f"{os.major(status.st_dev):02x}:{os.minor(status.st_dev):02x}"
        inodes[f"{device}:{status.st_ino}"] = name
    with open("/proc/locks", encoding="ascii") as file:
        for line in file:
            for field in line.split():
                if field in inodes:
                    yield f"the lock `{inodes[field]}` is held: {line.strip()}"


def strays(host: Host, records: Iterable[ContainerRecord]) -> Iterator[str]:
    """I4: directories that belong to no row."""
    places = host.places
    known = {record.id for record in records}
    current = {f"{record.id}.{record.incarnation}" for record in records}
    yield from _strays(places.containers, known, "home")
    yield from _strays(places.attempts, current, "run directory")
    for name in names(places.run_root):
        if name.startswith("runtime-"):
            yield from _strays(f"{places.run_root}/{name}", known, "runtime state")


def _strays(directory: str, known: set[str], what: str) -> Iterator[str]:
    for name in names(directory):
        if name not in known and _ID.match(name):
            yield f"{what} without a row: `{directory}/{name}`"


def processes(host: Host, records: Sequence[ContainerRecord]) -> list[str]:
    """I4: monitors, runtimes and contents of cgroups without a row of a container that is up."""
    return _lasting(lambda: _processes(host, records))


def _processes(host: Host, records: Sequence[ContainerRecord]) -> Iterator[str]:
    rows = {record.id: record for record in records}
    run_root, parent = f"{host.places.run_root}/", f"/{host.places.cgroup_parent}/"
    for pid in _pids():
        groups = _proc(pid, "cgroup")
        below = parent in groups
        command = _proc(pid, "cmdline").replace("\0", " ").strip()
        if pid == os.getpid() or not (below or run_root in command):
            continue
        ids = _ID.findall(f"{command}\n{groups if below else ''}")
        if not ids or _state(pid) in ("Z", "X", ""):
            continue
        owner = next((rows[key] for key in ids if key in rows), None)
        if owner is None:
            # Engines may share a parent of cgroups: that of another one has another run directory.
            if run_root in command:
                yield f"process {pid} without a row: {command[:200]}"
        elif owner.state not in UP:
            yield f"process {pid} of `{owner.name}`, which is {owner.state}: {command[:200]}"


def zombies(records: Sequence[ContainerRecord]) -> list[str]:
    """I10: dead monitors and runtimes that this process, or a monitor, has not waited for."""
    parents = {record.monitor.pid: record.name for record in records if record.monitor is not None}
    programs = {os.path.basename(record.oci_runtime)[:15] for record in records} | {"conmon"}
    return _lasting(lambda: _zombies(parents, programs))


def _zombies(parents: dict[int, str], programs: set[str]) -> Iterator[str]:
    me = os.getpid()
    for pid in _pids():
        said = _proc(pid, "stat")
        program = said.partition("(")[2].rpartition(")")[0]
        fields = said.rpartition(")")[2].split()
        if not fields or fields[0] != "Z":
            continue
        parent = int(fields[1])
        if parent in parents:
            yield f"zombie {pid} (`{program}`) of the monitor of `{parents[parent]}`"
        # What is executed by its descriptor, a sealed copy, is named by the number of that.
        elif parent == me and (program in programs or program.isdecimal()):
            yield f"zombie {pid} (`{program}`) of this process"


def _lasting(look: Callable[[], Iterable[str]]) -> list[str]:
    """Returns what is still seen after a while."""
    until = time.monotonic() + _PATIENCE
    while found := list(look()):
        if time.monotonic() >= until:
            break
        time.sleep(_POLL)
    return found


def modes(host: Host) -> Iterator[str]:
    """I17: directories and files that others may look into.

    What containers are given to read (their /etc, their volumes) is open to them, in directories
    that are not.
    """
    places = host.places
    for directory in (places.containers, places.attempts, places.pods, places.volumes):
        for name in ("", *names(directory)):
            yield from _private(f"{directory}/{name}".rstrip("/"), 0o077)
    files = [f"{places.root}/{name}" for name in names(places.root)]
    files += [f"{places.pods}/{name}" for name in names(places.pods)]
    for container in names(places.containers):
        home = places.container(container)
        files += [f"{home}/{name}" for name in names(home)]
        files += [f"{home}/bundle/{name}" for name in names(f"{home}/bundle")]
    for path in files:
        if _PRIVATE.fullmatch(os.path.basename(path)) and not os.path.isdir(path):
            yield from _private(path, 0o177)
    for name in names(places.locks):
        yield from _private(f"{places.locks}/{name}", 0o177)


def _private(path: str, forbidden: int) -> Iterator[str]:
    try:
        mode = os.lstat(path).st_mode
    except FileNotFoundError:
        return
    # What stands in the place of a file keeps nothing to itself.
    if (stat.S_ISREG(mode) or stat.S_ISDIR(mode)) and stat.S_IMODE(mode) & forbidden:
        yield f"`{path}` has mode {stat.S_IMODE(mode):04o}"


def descriptors(host: Host) -> Iterator[str]:
    """I17: descriptors of podcore's files that a program which this process starts would get."""
    for name, target in _open(os.getpid(), host):
        flags = re.search(r"^flags:\s+(\d+)", _proc(os.getpid(), f"fdinfo/{name}"), re.MULTILINE)
        if flags is not None and not int(flags[1], 8) & _CLOEXEC:
            yield f"descriptor {name} of `{target}` is inheritable"


def held_by_monitors(host: Host, records: Iterable[ContainerRecord]) -> Iterator[str]:
    """I17: monitors that have got hold of a lock file or of the database."""
    kept = (f"{host.places.locks}/", f"{host.places.root}/state.db")
    for record in records:
        if record.monitor is not None and process.alive(record.monitor):
            for name, target in _open(record.monitor.pid, host):
                if target.startswith(kept):
                    yield f"the monitor of `{record.name}` has `{target}` open, as {name}"


def _open(pid: int, host: Host) -> Iterator[tuple[str, str]]:
    """Yields the descriptors of a process that lead below the engine's directories."""
    roots = (f"{host.places.root}/", f"{host.places.run_root}/")
    for name in names(f"/proc/{pid}/fd"):
        try:
            target = os.readlink(f"/proc/{pid}/fd/{name}")
        except OSError:
            continue  # closed meanwhile, as is that of this very listing
        if target.startswith(roots):
            yield name, target


def logs(host: Host, records: Iterable[ContainerRecord]) -> Iterator[str]:
    """I20: logs that end in the middle of a line, or have a line that is none.

    Where a monitor was killed what it had not written is lost, and so may be the end of a line.
    """
    for record in records:
        if record.state in UP or record.reason:
            continue  # being written, or cut off by a loss that is told
        file = open_log(host, record.id)
        if file is None:
            continue
        with file:
            size = file.seek(0, os.SEEK_END)
            file.seek(max(0, size - _TAIL))
            data = file.read()
        said = f"the log of `{record.name}` ({short(record.id)})"
        if data and not data.endswith(b"\n"):
            yield f"{said} ends in the middle of a line"
        lines = data.split(b"\n")[1 if size > _TAIL else 0 : -1]
        broken = [line for line in lines if not _RECORD.match(line)]
        if broken:
            yield f"{said} has {len(broken)} lines that are none, such as {broken[0][:80]!r}"


def open_log(host: Host, container_id: str) -> io.BufferedReader | None:
    """Opens a log; None where there is none, or something else in its place (F49)."""
    try:
        # Neither waits for the other end of a FIFO nor follows a link.
        flags = os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
        fd = os.open(host.places.log(container_id), flags)
    except OSError as error:
        if error.errno in (errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.ENXIO):
            return None
        raise
    if not stat.S_ISREG(os.fstat(fd).st_mode):
        os.close(fd)
        return None
    return open(fd, "rb")


def _pids() -> list[int]:
    return sorted(int(name) for name in os.listdir("/proc") if name.isdigit())


def _proc(pid: int, name: str) -> str:
    try:
        data = find_file(f"/proc/{pid}/{name}")
    except (ProcessLookupError, PermissionError):
        return ""
    return "" if data is None else data.decode(errors="surrogateescape")


def _state(pid: int) -> str:
    return _proc(pid, "stat").rpartition(")")[2].strip()[:1]
