"""Which namespaces a container gets of its own, and which it joins."""

from collections.abc import Mapping
from dataclasses import dataclass

from podcore.records import ContainerRecord, PodRecord, ProcessIdentity

KINDS = ("ipc", "net", "uts", "pid", "cgroup")
"""Namespaces that containers can share; each also has a mount namespace, always of its own."""


@dataclass(frozen=True, slots=True)
class Joined:
    """The namespaces of a container about to be created.

    Attributes:
        paths: each kind to the path of the one to join, or None for a new one; a kind
            that is not there stays the host's.
        hostname: of the UTS namespace that is joined; None when it is the container's own.
        shm_path: the /dev/shm that goes with the IPC namespace that is joined.
    """

    paths: Mapping[str, str | None]
    hostname: str | None = None
    shm_path: str | None = None


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
        if origin == "pod" and pod.infra_id is not None:
            found[pod.infra_id] = None
        elif origin not in ("pod", "private", "host"):
            found[origin] = None
    return tuple(found)


def join(
    record: ContainerRecord,
    pod: PodRecord,
    processes: Mapping[str, ProcessIdentity],
    shm: Mapping[str, str],
) -> Joined:
    """Returns the namespaces of a container.

    Args:
        record: the container.
        pod: its pod.
        processes: the init process of each provider, by container id.
        shm: the /dev/shm directory of each provider that offers one, by container id.
    """
    paths: dict[str, str | None] = {}
    hostname: str | None = None
    shm_path: str | None = None
    for kind in KINDS:
        origin = source(record, pod, kind)
        if origin == "host":
            continue
        if origin == "private":
            paths[kind] = None
            continue
        provider = pod.infra_id if origin == "pod" else origin
        if provider is None:
            paths[kind] = None
            continue
        paths[kind] = f"/proc/{processes[provider].pid}/ns/{kind}"
        if kind == "uts":
            hostname = pod.hostname
        if kind == "ipc":
            shm_path = shm.get(provider)
    return Joined(paths, hostname, shm_path)
