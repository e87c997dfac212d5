"""The rows of the state store: what podcore remembers of pods, containers and work under way."""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from enum import StrEnum
from operator import attrgetter
from typing import Any

from podcore.model import ContainerKind, ContainerSpec, ContainerStatus, Limits


@dataclass(frozen=True, slots=True)
class ProcessIdentity:
    """A process that can be told from a later one with the same pid.

    Attributes:
        pid: in the engine's pid namespace.
        start_time: clock ticks after boot (field 22 of /proc/PID/stat).
    """

    pid: int
    start_time: int


class Verb(StrEnum):
    """What a worker was about to do to a container when it wrote its intent."""

    CREATE = "create"
    START = "start"
    STOP = "stop"
    PAUSE = "pause"
    UNPAUSE = "unpause"
    CLEANUP = "cleanup"
    REMOVE = "remove"


@dataclass(frozen=True, slots=True)
class Intent:
    """A row of the journal: written before an effect outside the database, cleared by its result.

    Whoever takes the container's lock and finds one knows that its owner died.

    Attributes:
        verb: what was begun.
        owner: the podcore process that began it.
        since: seconds since the epoch.
    """

    verb: Verb
    owner: ProcessIdentity
    since: float


@dataclass(frozen=True, slots=True)
class Dependency:
    """An edge: the id of the container that must be there first.

    Attributes:
        condition: ``running`` is the only one there is for now.
        timeout: seconds to wait for it; None does not wait.
    """

    id: str
    condition: str = "running"
    timeout: float | None = None


@dataclass(frozen=True, slots=True)
class PodRecord:
    """A pod as it is stored.

    Attributes:
        number: never reused; the number of its lock.
        created: seconds since the epoch.
        cgroup_path: below the root of each hierarchy, without a leading slash.
        removing: a removal has begun and will be finished by whoever comes next.
    """

    id: str
    name: str
    number: int
    created: float
    labels: Mapping[str, str]
    share: tuple[str, ...]
    hostname: str
    infra: bool
    limits: Limits
    cgroup_path: str
    infra_id: str | None = None
    removing: bool = False

    def container_cgroup(self, container_id: str) -> str:
        """Returns the cgroup of a container of this pod: below the pod's, whatever engine makes it."""
        return f"{self.cgroup_path}/{container_id}"


UNREAD = ContainerSpec()
"""Stands in for the spec of a record that was only read for its state; it is never stored."""


@dataclass(frozen=True, slots=True)
class ContainerRecord:
    """A container as it is stored; the fields up to ``cgroup_path`` never change but ``limits``.

    Attributes:
        number: never reused; the number of its lock.
        created: seconds since the epoch.
        spec_hash: SHA-256 of the spec's canonical JSON.
        oci_runtime: absolute path, pinned at creation.
        cgroup_path: below the root of each hierarchy, without a leading slash.
        state: the last one that was committed; ``observe`` says what is true now.
        incarnation: counts OCI creates; each has pid and exit files of its own. 0: never created.
        init: the container's process, of this incarnation.
        monitor: its conmon.
        boot_id: of the boot in which ``state`` was committed.
        exit_code: None while running, and where nobody can know.
        reason: why there is no exit code, or what is amiss; "" when nothing is.
        restarts: starts after the first.
    """

    id: str
    name: str
    pod_id: str
    number: int
    created: float
    kind: ContainerKind
    spec: ContainerSpec
    spec_hash: str
    dependencies: tuple[Dependency, ...]
    oci_runtime: str
    cgroup_path: str
    state: ContainerStatus = ContainerStatus.CONFIGURED
    incarnation: int = 0
    init: ProcessIdentity | None = None
    monitor: ProcessIdentity | None = None
    boot_id: str = ""
    exit_code: int | None = None
    reason: str = ""
    oom_killed: bool = False
    started: float | None = None
    finished: float | None = None
    restarts: int = 0
    intent: Intent | None = None

    def but(self, **changes: Any) -> "ContainerRecord":
        """Returns a copy with some fields changed."""
        # Half of what `dataclasses.replace` takes; every transition makes two or three.
        values = list(_values(self))
        for name, value in changes.items():
            values[_POSITIONS[name]] = value
        return ContainerRecord(*values)


_POSITIONS = {field.name: position for position, field in enumerate(fields(ContainerRecord))}
_values = attrgetter(*_POSITIONS)


@dataclass(frozen=True, slots=True)
class VolumeRecord:
    """A named volume as it is stored."""

    name: str
    number: int
    created: float
    labels: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened to an object; appended by the commit that made it true."""

    number: int
    time: float
    kind: str  # "pod" or "container"
    id: str
    action: str
    detail: str = ""
