"""What must hold after any fault, once the next command has been run.

Of the invariants I1 to I20 those that can be seen from outside of a call; the others are about
calls, not states.
"""

import os
import stat
from collections.abc import Iterator
from typing import TYPE_CHECKING

from podcore.errors import PodcoreError, StoreCorruptError
from podcore.kernel import process
from podcore.model import ContainerStatus
from podcore.monitor.exits import read_exit
from podcore.names import short
from podcore.observe import truth
from podcore.operations.status import pod_status

if TYPE_CHECKING:
    from podcore.backend import Host
    from podcore.engine import Engine
    from podcore.records import ContainerRecord
    from podcore.store import View

_CLOEXEC = 0o2000000
_UP = {ContainerStatus.RUNNING, ContainerStatus.PAUSED, ContainerStatus.STOPPING}


def check_invariants(engine: "Engine") -> list[str]:
    """Returns what is broken, as sentences that begin with the invariant's number.

    The engine must be at rest: nobody, in this process or another, may be inside of a verb.

    Args:
        engine: open; only its directories, its cgroups and its processes are looked at.
    """
    host = engine.host
    found = [*_locks(host), *_modes(host), *_descriptors(host)]
    try:
        with host.store.read() as view:
            found += _rows(host, view)
    except StoreCorruptError as error:
        found.append(f"I2: {error}")
    # I2, I4, I5, I12 and part of I17 are what `podcore system check` looks for.
    found += [f"{_number(one.kind)}: {one.text}" for one in engine.check()]
    return found


def _number(kind: str) -> str:
    numbers = {"database": "I2", "intent": "I5", "cgroup": "I12", "mount": "I12"}
    numbers |= {"mode": "I17", "directory": "I17", "lock": "I17"}
    return numbers.get(kind, "I4")


def _locks(host: "Host") -> Iterator[str]:
    """I1: nobody holds a lock of this engine."""
    inodes = {}
    for name in _names(host.places.locks):
        status = os.stat(f"{host.places.locks}/{name}")
        device = f"{os.major(status.st_dev):02x}:{os.minor(status.st_dev):02x}"
        inodes[f"{device}:{status.st_ino}"] = name
    with open("/proc/locks", encoding="ascii") as file:
        for line in file:
            fields = line.split()
            for field in fields:
                if field in inodes:
                    yield f"I1: the lock `{inodes[field]}` is held: {line.strip()}"


def _rows(host: "Host", view: "View") -> Iterator[str]:
    records = view.containers()
    for record in records:
        said = f"container `{record.name}` ({short(record.id)})"
        if record.intent is not None:
            yield f"I5: {said} has an intent: {record.intent.verb}"
        yield from _against_host(host, record, said)
    for pod in view.pods():
        states = [record.state for record in records if record.pod_id == pod.id]
        try:
            pod_status(states)
        except (PodcoreError, ValueError) as error:
            yield f"I9: pod `{pod.name}` has no status: {error}"


def _against_host(host: "Host", record: "ContainerRecord", said: str) -> Iterator[str]:
    """I3: what a row says is seen on the host; I6: exit codes are those of the exit files."""
    try:
        now = truth(host, record, patience=5.0)
    except (PodcoreError, OSError, ValueError) as error:
        yield f"I3: {said} can't be looked at: {error}"
        return
    alive = record.init is not None and process.alive(record.init)
    populated = bool(host.cgroup(record.cgroup_path).procs())
    if now.state in _UP and not alive:
        yield f"I3: {said} is {now.state}, but its process is dead"
    if now.state not in _UP and now.state is not ContainerStatus.CREATED and populated:
        yield f"I3: {said} is {now.state}, but processes are in its cgroup"
    if now.state is ContainerStatus.UNKNOWN:
        yield f"I3: {said} is unknown"
    if now.state is not ContainerStatus.EXITED:
        return
    if now.exit_code is None and not now.reason:
        yield f"I6: {said} has neither an exit code nor a reason why"
    places = host.places
    left = read_exit(
        places.persist(record.id, record.incarnation),
        places.attempt(record.id, record.incarnation),
        record.id,
    )
    if left is not None and left.code is not None and left.code != now.exit_code:
        yield f"I6: {said} exited with {now.exit_code}, its exit file says {left.code}"


def _modes(host: "Host") -> Iterator[str]:
    """I17: what is private is private."""
    places = host.places
    for directory in (places.containers, places.attempts, places.pods, places.volumes):
        for name in ("", *_names(directory)):
            status = _status(f"{directory}/{name}")
            if status is not None and status.st_mode & 0o077:
                mode = stat.S_IMODE(status.st_mode)
                yield f"I17: `{directory}/{name}` has mode {mode:04o}"


def _descriptors(host: "Host") -> Iterator[str]:
    """I17: no descriptor of podcore's files would reach a program that this process starts."""
    below = (f"{host.places.root}/", f"{host.places.run_root}/")
    for name in _names("/proc/self/fd"):
        try:
            target = os.readlink(f"/proc/self/fd/{name}")
            with open(f"/proc/self/fdinfo/{name}", encoding="ascii") as file:
                flags = next(line for line in file if line.startswith("flags:"))
        except (FileNotFoundError, StopIteration):
            continue  # of this very listing
        if target.startswith(below) and not int(flags.split()[1], 8) & _CLOEXEC:
            yield f"I17: descriptor {name} of `{target}` is inheritable"


def _status(path: str) -> os.stat_result | None:
    try:
        return os.lstat(path)
    except FileNotFoundError:
        return None


def _names(directory: str) -> list[str]:
    try:
        return sorted(os.listdir(directory))
    except FileNotFoundError:
        return []
