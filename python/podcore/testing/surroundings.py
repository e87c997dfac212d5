"""What is around an engine at one moment, and what of it may not have changed at a later one.

I10, I11, I12, I16, I18 and I20: children, descriptors, threads, memory, mounts, cgroups, files
beside, other pods, logs.
"""

import hashlib
import os
import re
import stat
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass

from podcore.backend import Host
from podcore.kernel import mountinfo, process
from podcore.model import RootfsMode
from podcore.names import short
from podcore.operations.status import true_records
from podcore.operations.system.listing import names
from podcore.operations.system.orphans import told
from podcore.operations.system.sights import open_log
from podcore.records import ContainerRecord, ProcessIdentity

_ID = re.compile(r"(?<![0-9a-f])[0-9a-f]{64}(?![0-9a-f])")
_PAGE = os.sysconf("SC_PAGE_SIZE")
_CONNECTIONS = 16
_FRESH = re.compile(r"\d+")


@dataclass(frozen=True, slots=True)
class Log:
    """A log file: how long it is, and what it says up to there."""

    size: int
    digest: str


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What there is at one moment.

    Attributes:
        descriptors: of this process, by what they lead to.
        threads: of this process.
        memory: resident bytes of this process.
        children: of this process, dead ones that it has not waited for too.
        mounts: mount points below the engine's directories.
        cgroups: paths below the roots of the hierarchies.
        files: what lies beside, by path: mode, owner, times, contents of links.
        logs: by container id.
        containers: rows as they are true, by id; infra containers too.
        event: the number of the newest one.
    """

    descriptors: Counter[str]
    threads: int
    memory: int
    children: frozenset[ProcessIdentity]
    mounts: frozenset[str]
    cgroups: frozenset[str]
    files: Mapping[str, tuple[object, ...]]
    logs: Mapping[str, Log]
    containers: Mapping[str, ContainerRecord]
    pods: frozenset[str]
    event: int


def look(host: Host, beside: Iterable[str]) -> Surroundings:
    """Returns what there is now.

    Args:
        host: of the engine.
        beside: directories whose files may not change.
    """
    with host.store.read() as view:
        records = view.containers()
        pods = frozenset(key for key, _ in view.pod_references())
        event = view.last_event()
    records = true_records(host, records)
    return Surroundings(
        descriptors=_descriptors(),
        threads=len(os.listdir("/proc/self/task")),
        memory=_memory(),
        children=frozenset(_children()),
        mounts=frozenset(_mounts(host)),
        cgroups=frozenset(_cgroups(host)),
        files={path: mark for top in beside for path, mark in _files(top)},
        logs={record.id: log for record in records if (log := _log(host, record.id, None))},
        containers={record.id: record for record in records},
        pods=pods,
        event=event,
    )


def roots(records: Iterable[ContainerRecord]) -> list[str]:
    """Returns the directories that containers have for a root but may not write to."""
    return sorted(
        {
            record.spec.rootfs
            for record in records
            if record.spec.rootfs and record.spec.rootfs_mode != RootfsMode.DIRECT
        }
    )


def left(host: Host, before: Surroundings, now: Surroundings, memory: int) -> Iterator[str]:
    """Returns what did not go back to where it was; maybe it only has not yet.

    Args:
        host: of the engine.
        before: when the watch began.
        now: the present moment.
        memory: bytes by which this process may have grown.
    """
    for child in sorted(now.children - before.children, key=lambda child: child.pid):
        yield f"I10: child {child.pid} of this process is left: {_command(child.pid)}"
    database = f"{host.places.root}/state.db"
    for target, count in sorted((now.descriptors - before.descriptors).items()):
        # Of as many readers as there were at a time the store keeps some connections.
        if target.startswith(database) and now.descriptors[target] <= _CONNECTIONS:
            continue
        # An engine keeps the copy from which it runs crun.
        if target.startswith("/memfd:crun") and count == 1:
            continue
        yield f"I11: {count} more descriptors lead to `{target}`"
    if now.threads > before.threads:
        yield f"I11: {now.threads - before.threads} more threads"
    if now.memory - before.memory > memory:
        yield f"I11: {(now.memory - before.memory) >> 20} MiB more memory"
    rows = now.pods.union(now.containers)
    ours = rows.union(before.pods, before.containers, told(host, before.event))
    for what, paths in (("mount", now.mounts), ("cgroup", now.cgroups)):
        for path in sorted(paths):
            ids = _ID.findall(path)
            if ids and ids[-1] not in rows and not ours.isdisjoint(ids):
                yield f"I12: the {what} `{path}` has outlived what it was for"


def changed(
    host: Host, before: Surroundings, now: Surroundings, touched: Collection[str] | None
) -> Iterator[str]:
    """Returns what is not as it was and will not be again.

    Args:
        host: of the engine.
        before: when the watch began.
        now: the present moment.
        touched: the pods that calls were about; None: nobody knows, so no pod is expected to stay.
    """
    for path in sorted(before.files.keys() | now.files.keys()):
        if before.files.get(path) != now.files.get(path):
            how = "new" if path not in before.files else "gone"
            how = "changed" if path in before.files and path in now.files else how
            yield f"I16: `{path}` is {how}"
    for key, was in before.containers.items():
        if touched is not None and was.pod_id not in touched:
            yield from _bystander(was, now.containers.get(key))
    for key, log in before.logs.items():
        record = now.containers.get(key)
        # What is rotated moves on as it should.
        if record is not None and record.spec.log_size_max is None:
            again = _log(host, key, log.size)
            if again != log:
                yield f"I20: the log of `{record.name}` ({short(key)}) does not begin as it did"


def _bystander(was: ContainerRecord, now: ContainerRecord | None) -> Iterator[str]:
    said = f"I18: `{was.name}` ({short(was.id)}), which no call was about,"
    if now is None:
        yield f"{said} is gone"
        return
    for field in ("state", "init", "incarnation", "exit_code"):
        before, after = getattr(was, field), getattr(now, field)
        if before != after:
            yield f"{said} had the {field} {before}, now it has {after}"


def _descriptors() -> Counter[str]:
    found: Counter[str] = Counter()
    for name in os.listdir("/proc/self/fd"):
        try:
            target = os.readlink(f"/proc/self/fd/{name}")
        except FileNotFoundError:
            continue  # that of this very listing
        # Each pipe and socket has a number of its own.
        found[target if target.startswith("/") else _FRESH.sub("N", target)] += 1
    return found


def _memory() -> int:
    with open("/proc/self/statm", encoding="ascii") as file:
        return int(file.read().split()[1]) * _PAGE


def _children() -> Iterator[ProcessIdentity]:
    for task in os.listdir("/proc/self/task"):
        try:
            with open(f"/proc/self/task/{task}/children", encoding="ascii") as file:
                pids = [int(pid) for pid in file.read().split()]
        except FileNotFoundError:
            continue  # a thread that has ended
        for pid in pids:
            try:
                with open(f"/proc/{pid}/stat", "rb") as file:
                    known = process.parse_stat(file.read())
            except (FileNotFoundError, ProcessLookupError):
                continue
            if known is not None:
                yield ProcessIdentity(pid, known[1])


def _command(pid: int) -> str:
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as file:
            said = file.read()
    except (FileNotFoundError, ProcessLookupError):
        return "gone"
    name, state = said.partition("(")[2].rpartition(")")[0], said.rpartition(")")[2].split()[0]
    return f"`{name}`{', a zombie' if state == 'Z' else ''}"


def _mounts(host: Host) -> Iterator[str]:
    below = tuple(f"{os.path.realpath(top)}/" for top in (host.places.root, host.places.run_root))
    for mount in mountinfo.mounts():
        if mount.target.startswith(below):
            yield mount.target


def _cgroups(host: Host) -> Iterator[str]:
    parent = host.places.cgroup_parent
    for top in host.hierarchies.tops:
        for pod in names(f"{top}/{parent}"):
            if _ID.fullmatch(pod):
                yield f"{parent}/{pod}"
                for member in names(f"{top}/{parent}/{pod}"):
                    if _ID.fullmatch(member):
                        yield f"{parent}/{pod}/{member}"


def _files(top: str) -> Iterator[tuple[str, tuple[object, ...]]]:
    """Yields what is below a directory, and it itself, with what a change would change.

    Nobody can write to a file without a new time of its inode's change.
    """
    yield top, _mark(top)
    for directory, below, files in os.walk(top):
        for name in (*below, *files):
            yield f"{directory}/{name}", _mark(f"{directory}/{name}")


def _mark(path: str) -> tuple[object, ...]:
    try:
        found = os.lstat(path)
    except FileNotFoundError:
        return ()
    link = os.readlink(path) if stat.S_ISLNK(found.st_mode) else ""
    owner = (found.st_mode, found.st_uid, found.st_gid)
    return *owner, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns, link


def _log(host: Host, container_id: str, size: int | None) -> Log | None:
    """Returns the beginning of a log, all of it by default; None where there is none."""
    digest, done = hashlib.sha256(), 0
    file = open_log(host, container_id)
    if file is None:
        return None
    with file:
        while part := file.read(1 << 20 if size is None else min(1 << 20, size - done)):
            digest.update(part)
            done += len(part)
    return Log(done, digest.hexdigest())
