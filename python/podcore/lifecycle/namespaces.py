"""Which namespaces a container gets of its own, and which it joins."""

import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

from podcore.lifecycle import pins, shm
from podcore.names import SHORT
from podcore.places import Places
from podcore.records import ContainerRecord, PodRecord, ProcessIdentity

KINDS = ("ipc", "net", "uts", "pid", "cgroup")
"""Namespaces that containers can share; each also has a mount namespace, always of its own."""


@dataclass(frozen=True, slots=True)
class Joined:
    """The namespaces of a container about to be created.

    Attributes:
        paths: each kind to the path of the one to join, or None for a new one; a kind
            that is not there stays the host's.
        hostname: what processes inside see.
        names: the containers that it finds at 127.0.0.1.
        shm_path: the /dev/shm that goes with the IPC namespace of the pod.
        shm_of: whose /dev/shm goes with the IPC namespace of another container.
        processes: whose namespaces ``paths`` lead to, by container id; a path means what it should
            only while they live.
    """

    paths: Mapping[str, str | None]
    hostname: str
    names: tuple[str, ...] = ()
    shm_path: str | None = None
    shm_of: ProcessIdentity | None = None
    processes: Mapping[str, ProcessIdentity] = field(default_factory=dict)


def source(record: ContainerRecord, pod: PodRecord, kind: str) -> str:
    """Returns where a namespace comes from: ``private``, ``host``, ``pod`` or a container's id."""
    asked = record.spec.namespaces.get(kind, "pod")
    if asked == "pod":
        return "pod" if kind in pod.share and pod.infra_id != record.id else "private"
    return asked.removeprefix("container:")


def providers(record: ContainerRecord, pod: PodRecord) -> tuple[str, ...]:
    """Returns the ids of the containers whose namespaces a container joins, each once."""
    found: dict[str, None] = {}
    for kind in KINDS:
        origin = source(record, pod, kind)
        if origin == "pod":
            if pod.infra_id is not None:
                found[pod.infra_id] = None
        elif origin not in ("private", "host"):
            found[origin] = None
    return tuple(found)


def on_network(members: Iterable[ContainerRecord], pod: PodRecord) -> tuple[str, ...]:
    """Returns the names of those that share the network of their pod."""
    if "net" not in pod.share:
        return ()
    return tuple(member.name for member in members if source(member, pod, "net") == "pod")


def join(
    places: Places,
    record: ContainerRecord,
    pod: PodRecord,
    processes: Mapping[str, ProcessIdentity],
    hostname: str,
    names: tuple[str, ...] = (),
) -> Joined:
    """Returns the namespaces of a container.

    Args:
        places: of the engine.
        record: the container.
        pod: its pod.
        processes: the init process of each provider, by container id.
        hostname: see ``hostname_of``.
        names: see ``on_network``.
    """
    paths: dict[str, str | None] = {}
    shm_path: str | None = None
    shm_of: ProcessIdentity | None = None
    for kind in KINDS:
        origin = source(record, pod, kind)
        if origin == "host":
            continue
        if origin == "private":
            paths[kind] = None
        elif origin == "pod" and pod.infra_id is None:
            paths[kind] = pins.path(places, pod.id, kind)
        else:
            provider = processes[pod.infra_id if origin == "pod" and pod.infra_id else origin]
            paths[kind] = f"/proc/{provider.pid}/ns/{kind}"
            if kind == "ipc" and origin != "pod":
                shm_of = provider
    if source(record, pod, "ipc") == "pod":
        shm_path = shm.directory(places, pod.id)
    on_pod_network = source(record, pod, "net") == "pod"
    names = names if on_pod_network else ()
    return Joined(paths, hostname, names, shm_path, shm_of, processes)


@dataclass(frozen=True, slots=True)
class Kept:
    """The namespaces of a pod that its members keep, as ``Joined`` has them."""

    paths: Mapping[str, str]
    processes: Mapping[str, ProcessIdentity]


def kept_by(pod: PodRecord, living: Iterable[tuple[ContainerRecord, ProcessIdentity]]) -> Kept:
    """Returns what a pod shares that lives on in its members, though its infra container has ended.

    A new one joins these, or what is started later would be in other namespaces than what runs.
    That of pids is not among them: it ends with its first process.

    Args:
        pod: with an infra container.
        living: its members that have a process, and that.
    """
    paths: dict[str, str] = {}
    processes: dict[str, ProcessIdentity] = {}
    for member, init in living:
        for kind in KINDS:
            if kind not in paths and kind != "pid" and source(member, pod, kind) == "pod":
                paths[kind] = f"/proc/{init.pid}/ns/{kind}"
                processes[member.id] = init
    return Kept(paths, processes)


def hostname_of(
    record: ContainerRecord,
    pod: PodRecord,
    find: Callable[[str], ContainerRecord | None],
) -> str:
    """Returns the host name that a container's processes see.

    Args:
        record: the container.
        pod: its pod.
        find: returns a container of the pod by its id; asked for one whose namespace is joined.
    """
    while True:
        origin = source(record, pod, "uts")
        if origin == "pod":
            return pod.hostname
        if origin == "host":
            return os.uname().nodename
        other = None if origin == "private" else find(origin)
        if other is None:
            return record.spec.hostname or record.id[:SHORT]
        record = other
