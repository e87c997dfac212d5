"""The processes of simulated containers: born, signalled, frozen and dead without the kernel."""

import itertools
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

from podcore.errors import OCIRuntimeError
from podcore.kernel import mounts, process
from podcore.oci.interface import RuntimeState
from podcore.records import ProcessIdentity

_FIRST = 1 << 23
"""Beyond PID_MAX_LIMIT (2^22): no real process has such a pid."""

_HARMLESS = {signal.SIGCHLD, signal.SIGWINCH, signal.SIGURG, signal.SIGCONT}
_pids = itertools.count(_FIRST, 2)


@dataclass(frozen=True, slots=True)
class Behaviour:
    """How a simulated container behaves.

    Attributes:
        create_seconds, start_seconds: how long these take.
        create_fails, start_fails: whether the runtime says that it can't.
        exits: it ends with this code as soon as it was started; None: it runs on.
        deaf: only SIGKILL ends it.
    """

    create_seconds: float = 0.0
    start_seconds: float = 0.0
    create_fails: bool = False
    start_fails: bool = False
    exits: int | None = None
    deaf: bool = False


@dataclass(slots=True)
class _Process:
    """A simulated container's process; its monitor has the next pid and lives as long."""

    container_id: str
    pid: int
    persist: str
    behaviour: Behaviour
    status: str = "created"
    frozen: bool = False
    event: int = -1
    identity: ProcessIdentity = field(init=False)

    def __post_init__(self) -> None:
        self.identity = ProcessIdentity(self.pid, 1)


class FakeContainers:
    """A world of simulated containers; safe to share between threads and engines.

    Attributes:
        slow: some container takes time to be created or started.
    """

    def __init__(self) -> None:
        self.slow = False
        self._lock = threading.Lock()
        self._behaviours: dict[str, Behaviour] = {}
        self._by_container: dict[str, _Process] = {}
        self._by_pid: dict[int, _Process] = {}

    def behave(self, name: str, behaviour: Behaviour) -> None:
        """Says how all containers of a name behave that are created from now on."""
        self._behaviours[name] = behaviour
        self.slow |= bool(behaviour.create_seconds or behaviour.start_seconds)

    def die(self, container_id: str, code: int = 137) -> None:
        """Ends a container's process, as if it had exited by itself.

        Raises:
            KeyError: there is none.
        """
        with self._lock:
            self._end(self._by_container[container_id], code)

    def create(
        self, container_id: str, name: str, persist: str
    ) -> tuple[ProcessIdentity, ProcessIdentity]:
        """Is the monitor's launch: returns the identities of monitor and process."""
        behaviour = self._behaviours.get(name, Behaviour())
        if behaviour.create_seconds:
            time.sleep(behaviour.create_seconds)
        if behaviour.create_fails:
            raise OCIRuntimeError(f"could not create container `{name}`: as it was told to", (), 1)
        one = _Process(container_id, next(_pids), persist, behaviour)
        with self._lock:
            self._by_container[container_id] = one
            self._by_pid[one.pid] = one
        return ProcessIdentity(one.pid + 1, 1), one.identity

    def start(self, container_id: str) -> bool:
        """Is the runtime's start; returns whether that went well."""
        one = self._by_container.get(container_id)
        if one is None or one.status != "created" or one.behaviour.start_fails:
            return False
        if one.behaviour.start_seconds:
            time.sleep(one.behaviour.start_seconds)
        with self._lock:
            one.status = "running"
            if one.behaviour.exits is not None:
                self._end(one, one.behaviour.exits)
        return True

    def state(self, container_id: str) -> RuntimeState | None:
        """Is the runtime's state."""
        one = self._by_container.get(container_id)
        if one is None:
            return None
        status = "paused" if one.frozen else one.status
        return RuntimeState(status, None if status == "stopped" else one.pid)

    def stage(self, container_id: str) -> str:
        """Returns ``created`` or ``started``, or ``none`` of a container that the runtime forgot."""
        one = self._by_container.get(container_id)
        if one is None:
            return "none"
        return "created" if one.status == "created" and not one.frozen else "started"

    def forget(self, container_id: str) -> None:
        """Is the runtime's delete."""
        with self._lock:
            one = self._by_container.pop(container_id, None)
            if one is not None:
                self._end(one, 137)

    def processes_below(self, cgroup: str) -> list[int]:
        """Returns the pids in the cgroup of a container."""
        one = self._in(cgroup)
        return [] if one is None else [one.pid]

    def kill_below(self, cgroup: str) -> None:
        """Kills what is in the cgroup of a container."""
        one = self._in(cgroup)
        if one is not None:
            with self._lock:
                self._end(one, 137)

    def frozen(self, cgroup: str) -> bool:
        """Says whether the cgroup of a container is frozen."""
        one = self._in(cgroup)
        return one is not None and one.frozen

    def freeze(self, cgroup: str, *, frozen: bool) -> None:
        """Freezes or thaws it."""
        one = self._in(cgroup)
        if one is not None:
            one.frozen = frozen

    def _in(self, cgroup: str) -> _Process | None:
        one = self._by_container.get(cgroup.rpartition("/")[2])
        return None if one is None or one.status == "stopped" else one

    def alive(self, pid: int) -> bool:
        """Says whether a simulated process or monitor lives."""
        one = self._by_pid.get(pid & ~1)
        return one is not None and one.status != "stopped"

    def open(self, identity: ProcessIdentity) -> int | None:
        """Returns a descriptor that is readable once the process is dead; None when it is."""
        with self._lock:
            one = self._by_pid.get(identity.pid & ~1)
            if one is None or one.status == "stopped":
                return None
            if one.event < 0:
                one.event = os.eventfd(0, os.EFD_CLOEXEC)
            return os.dup(one.event)

    def send(self, identity: ProcessIdentity, signum: int) -> bool:
        """Sends a signal; returns whether there was anybody to get it."""
        with self._lock:
            one = self._by_pid.get(identity.pid & ~1)
            if one is None or one.status == "stopped":
                return False
            deaf = one.behaviour.deaf and signum != signal.SIGKILL
            if not deaf and signum not in _HARMLESS:
                self._end(one, 128 + signum)
            return True

    def _end(self, one: _Process, code: int) -> None:
        """Ends a process under the lock; its exit file is there before anybody can know."""
        if one.status == "stopped":
            return
        fd = os.open(f"{one.persist}/exit", os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            os.write(fd, b"%d" % code)
        finally:
            os.close(fd)
        one.status = "stopped"
        one.frozen = False
        del self._by_pid[one.pid]
        if one.event >= 0:
            os.eventfd_write(one.event, 1)
            os.close(one.event)  # those that were handed out stay readable
            one.event = -1

    @contextmanager
    def installed(self, base: str) -> Iterator[None]:
        """Lets this process take the simulated processes for real ones meanwhile.

        Args:
            base: the directory below which nothing is mounted.
        """
        with _installing:
            _worlds.append((self, base))
            if len(_worlds) == 1:
                _install()
        try:
            yield
        finally:
            with _installing:
                _worlds.remove((self, base))
                if not _worlds:
                    _uninstall()


_installing = threading.Lock()
_worlds: list[tuple[FakeContainers, str]] = []
_identify, _open_pidfd, _send = process.identify, process.open_pidfd, process.send
_in_cgroup = process.in_cgroup
_overlay, _tmpfs, _unmount = mounts.overlay, mounts.tmpfs, mounts.unmount
_from_namespace, _pin_namespaces = mounts.from_namespace, mounts.pin_namespaces


def _world_of(pid: int) -> FakeContainers | None:
    for world, _ in _worlds:
        if world.alive(pid):
            return world
    return None


def _fake_identify(pid: int) -> ProcessIdentity | None:
    if pid < _FIRST:
        return _identify(pid)
    return None if _world_of(pid) is None else ProcessIdentity(pid, 1)


def _fake_open(identity: ProcessIdentity) -> int | None:
    if identity.pid < _FIRST:
        return _open_pidfd(identity)
    world = _world_of(identity.pid)
    return None if world is None else world.open(identity)


def _fake_send(identity: ProcessIdentity, signum: int, cgroup: str | None = None) -> bool:
    if identity.pid < _FIRST:
        return _send(identity, signum, cgroup)
    world = _world_of(identity.pid)
    return world is not None and world.send(identity, signum)


def _fake_in_cgroup(pid: int, path: str) -> bool:
    return _in_cgroup(pid, path) if pid < _FIRST else _world_of(pid) is not None


def _simulated(path: str) -> bool:
    return any(path.startswith(f"{base}/") for _, base in _worlds)


def _fake_overlay(lower: str, upper: str, work: str, target: str) -> None:
    if not _simulated(target):
        _overlay(lower, upper, work, target)


def _fake_tmpfs(target: str, *, size: int | None = None, mode: int = 0o755) -> None:
    if not _simulated(target):
        _tmpfs(target, size=size, mode=mode)


def _fake_from_namespace(namespace: str, source: str, target: str) -> None:
    if not _simulated(target):
        _from_namespace(namespace, source, target)


def _fake_pin_namespaces(
    pins: Sequence[tuple[str, str]],
    *,
    hostname: str,
    sysctls: Sequence[tuple[str, str]] = (),
) -> None:
    if not all(_simulated(path) for _, path in pins):
        _pin_namespaces(pins, hostname=hostname, sysctls=sysctls)


def _fake_unmount(target: str) -> None:
    if not _simulated(target):
        _unmount(target)


# `object`: functions of several signatures, each put in the place of one with the same.
_PLACES: tuple[tuple[object, str, Callable[..., object], Callable[..., object]], ...] = (
    (process, "identify", _identify, _fake_identify),
    (process, "open_pidfd", _open_pidfd, _fake_open),
    (process, "send", _send, _fake_send),
    (process, "in_cgroup", _in_cgroup, _fake_in_cgroup),
    (mounts, "overlay", _overlay, _fake_overlay),
    (mounts, "tmpfs", _tmpfs, _fake_tmpfs),
    (mounts, "from_namespace", _from_namespace, _fake_from_namespace),
    (mounts, "pin_namespaces", _pin_namespaces, _fake_pin_namespaces),
    (mounts, "unmount", _unmount, _fake_unmount),
)


def _install() -> None:
    for module, name, _, fake in _PLACES:
        setattr(module, name, fake)


def _uninstall() -> None:
    for module, name, real, _ in _PLACES:
        setattr(module, name, real)
