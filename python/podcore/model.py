"""The words of the public interface: states, what a container or a pod is asked to be, answers.

Everything here is plain data. Whoever makes a spec need not import more than this; what is
acceptable is decided by ``podcore.specs`` before anything is touched.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Literal

from podcore import defaults


class ContainerStatus(StrEnum):
    """Where a container is in its life (the states of libpod, transitional ones added)."""

    CONFIGURED = "configured"  # in the database, nothing on the host
    CREATED = "created"  # OCI create done, its command not started
    RUNNING = "running"
    PAUSED = "paused"
    STOPPING = "stopping"  # a stop is under way, or its worker died and nobody has looked since
    EXITED = "exited"
    REMOVING = "removing"
    UNKNOWN = "unknown"  # nothing trustworthy can be said


ALIVE = frozenset({ContainerStatus.RUNNING, ContainerStatus.PAUSED, ContainerStatus.STOPPING})
"""The states of a container whose command has begun and has not ended."""

AT_REST = frozenset({ContainerStatus.CONFIGURED, ContainerStatus.EXITED})
"""The states of a container that has no process."""


class PodStatus(StrEnum):
    """What the states of a pod's containers add up to (libpod's ``GetPodStatus``)."""

    CREATED = "created"
    RUNNING = "running"
    DEGRADED = "degraded"
    PAUSED = "paused"
    STOPPED = "stopped"
    EXITED = "exited"
    ERROR = "error"


class ContainerKind(StrEnum):
    """What a container is for; an infra container is machinery and no member of its pod."""

    REGULAR = "regular"
    INIT = "init"
    INFRA = "infra"


class RootfsMode(StrEnum):
    """How ``rootfs=`` becomes the container's root."""

    OVERLAY = "overlay"  # shared by any number of containers, writes go to a layer of its own
    DIRECT = "direct"  # the directory itself, written in place
    RO = "ro"  # the directory itself, mounted read-only


class Profile(StrEnum):
    """How much a container may do."""

    DEFAULT = "default"
    STRICT = "strict"  # no capabilities, own user ids, read-only rootfs, no network


MountType = Literal["bind", "tmpfs", "volume"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Mount:
    """Something mounted into a container.

    Attributes:
        type: ``bind`` (a host path), ``tmpfs`` or ``volume`` (one of ``engine.volumes``).
        target: an absolute path inside the container.
        source: the host path or the name of the volume; None for tmpfs.
        read_only: mounted read-only.
        propagation: ``private`` (default), ``rprivate``, ``slave``, ``rslave``, ``shared``,
            ``rshared``; bind only.
        size: bytes, or a string such as ``64m``; tmpfs only.
        mode: permission bits of the root of a tmpfs.
    """

    type: MountType
    target: str
    source: str | None = None
    read_only: bool = False
    propagation: str = "rprivate"
    size: int | str | None = None
    mode: int = 0o1777


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What a pod or a container may use, driven through cgroups; None means no limit of its own.

    Attributes:
        cpus: CPUs' worth of time, such as 1.5.
        cpu_shares: relative weight, 2 to 262144, default 1024.
        cpuset_cpus: CPUs that it may run on, such as ``0-1``.
        memory: bytes, or a string such as ``32m``.
        memory_swap: memory and swap together, bytes or a string; -1 for unlimited swap.
        pids_limit: processes and threads at once; -1 for no limit.
        blkio_weight: relative weight of block I/O, 10 to 1000.
    """

    cpus: float | None = None
    cpu_shares: int | None = None
    cpuset_cpus: str | None = None
    memory: int | str | None = None
    memory_swap: int | str | None = None
    pids_limit: int | None = None
    blkio_weight: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ContainerSpec:
    """What a container is asked to be: the keywords of ``Pod.create_container``.

    Attributes:
        name: unique in the pod; generated when None.
        rootfs: a directory on the host.
        rootfs_mode: how it becomes the root, see ``RootfsMode``.
        bundle: an OCI bundle directory of the user's own, instead of ``rootfs`` and everything
            below that goes into config.json; it is copied and never changed.
        command: the argv of the container's process.
        depends_on: containers of the same pod, by name, id or unique id prefix, that must be
            running before this one starts.
        env: environment variables.
        env_files: files of ``KEY=value`` lines; ``env`` wins.
        cwd: working directory, absolute.
        user: ``user[:group]``, each a name of the rootfs or a number; default 0:0.
        group_add: supplementary groups, names or numbers.
        hostname: default: the pod's, else the first 12 digits of the id.
        read_only: the rootfs is read-only.
        stop_signal: what ``stop`` sends first.
        stop_timeout: seconds until ``stop`` sends SIGKILL; ``math.inf`` waits for ever.
        labels: for users and filters; not seen inside.
        annotations: OCI annotations; those that change what a runtime does are refused.
        cap_add: capabilities added to those of the profile.
        cap_drop: capabilities removed from it; ``all`` removes all of them.
        profile: see ``Profile``.
        no_new_privileges: no setuid program gains anything.
        seccomp_profile: path of a profile in the format of containers-common, ``unconfined``, or
            None for the default one.
        seccomp_architectures: foreign architectures whose system calls are filtered and allowed
            too, such as ``SCMP_ARCH_X86``.
        ulimits: name (``nofile``) to (soft, hard).
        sysctls: names of the container's own namespaces only.
        devices: host device nodes, ``/dev/fuse`` or ``/dev/fuse:/dev/x:rwm``.
        mounts: see ``Mount``.
        terminal: a pseudo-terminal is its stdin, stdout and stderr.
        stdin: stdin is kept open instead of being /dev/null.
        init: its process runs under catatonit, which reaps zombies.
        oom_score_adj: -1000 to 1000.
        limits: see ``Limits``.
        namespaces: for ``ipc``, ``net``, ``uts``, ``pid`` and ``cgroup``: ``pod`` (what the pod
            shares), ``private``, ``host`` or ``container:NAME``; default: what the pod shares.
        oci_runtime: name or path; default: the engine's. Pinned at creation.
        log_size_max: bytes after which the log file is rotated; None for never.
    """

    name: str | None = None
    rootfs: str | None = None
    rootfs_mode: RootfsMode | str = RootfsMode.OVERLAY
    bundle: str | None = None
    command: Sequence[str] = ()
    depends_on: Sequence[str] = ()
    env: Mapping[str, str] = field(default_factory=dict)
    env_files: Sequence[str] = ()
    cwd: str = "/"
    user: str | None = None
    group_add: Sequence[str] = ()
    hostname: str | None = None
    read_only: bool = False
    stop_signal: str | int = "TERM"
    stop_timeout: float = 10.0
    labels: Mapping[str, str] = field(default_factory=dict)
    annotations: Mapping[str, str] = field(default_factory=dict)
    cap_add: Sequence[str] = ()
    cap_drop: Sequence[str] = ()
    profile: Profile | str = Profile.DEFAULT
    no_new_privileges: bool = True
    seccomp_profile: str | None = None
    seccomp_architectures: Sequence[str] = ()
    ulimits: Mapping[str, tuple[int, int]] = field(default_factory=dict)
    sysctls: Mapping[str, str] = field(default_factory=dict)
    devices: Sequence[str] = ()
    mounts: Sequence[Mount] = ()
    terminal: bool = False
    stdin: bool = False
    init: bool = False
    oom_score_adj: int | None = None
    limits: Limits = field(default_factory=Limits)
    namespaces: Mapping[str, str] = field(default_factory=dict)
    oci_runtime: str | None = None
    log_size_max: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PodSpec:
    """What a pod is asked to be: the keywords of ``Engine.create_pod``.

    Attributes:
        name: unique in the engine; generated when None.
        labels: for users and filters.
        share: namespaces that its containers share: of ``ipc``, ``net``, ``uts``, ``pid``,
            ``cgroup``; ``()`` for none.
        hostname: of all containers that share ``uts``; default: the pod's name.
        infra: a process holds the shared namespaces; False pins them by bind mounts instead.
        limits: of all its containers together.
    """

    name: str | None = None
    labels: Mapping[str, str] = field(default_factory=dict)
    share: Sequence[str] = defaults.SHARE
    hostname: str | None = None
    infra: bool = True
    limits: Limits = field(default_factory=Limits)


@dataclass(frozen=True, slots=True)
class ExecResult:
    """What a command that was exec'ed in a container left behind."""

    exit_code: int
    stdout: bytes
    stderr: bytes


@dataclass(frozen=True, slots=True)
class AttachResult:
    """How an attachment to a container ended.

    Attributes:
        exit_code: the container's; None where it was detached from, or nobody can know it.
        stdout: what it wrote there meanwhile, unless that was handed out as it came.
        stderr: likewise; a container with a terminal shows everything on its stdout.
        detached: by the keys for it; the container goes on.
    """

    exit_code: int | None
    stdout: bytes
    stderr: bytes
    detached: bool


@dataclass(frozen=True, slots=True)
class LogEntry:
    """One line that a container wrote.

    Attributes:
        time: seconds since the epoch, UTC.
        stream: ``stdout`` or ``stderr``.
        data: the bytes, without the end of line.
        partial: the line goes on in the next entry of this stream.
    """

    time: float
    stream: str
    data: bytes
    partial: bool

    @property
    def text(self) -> str:
        """The bytes as text; what is no UTF-8 is shown as replacement characters."""
        return self.data.decode("utf-8", "replace")


@dataclass(frozen=True, slots=True)
class PodMember:
    """A container as ``Pod.inspect`` lists it."""

    id: str
    name: str
    state: ContainerStatus


@dataclass(frozen=True, slots=True)
class PodInspect:
    """What ``Pod.inspect`` knows; a copy, never a view."""

    id: str
    name: str
    created: float
    state: PodStatus
    labels: Mapping[str, str]
    hostname: str
    share: tuple[str, ...]
    cgroup_path: str
    infra_container_id: str
    limits: Limits
    containers: tuple[PodMember, ...]

    def to_dict(self) -> dict[str, Any]:
        """Returns podman's field names, ready for JSON."""
        from podcore.inspection import pod_to_dict

        return pod_to_dict(self)


@dataclass(frozen=True, slots=True)
class ContainerFacts:
    """What every look at a container tells; a copy, never a view.

    Attributes:
        reason: why the exit code is None, or what is amiss (``MonitorLost``); "" when nothing is.
        created, started, finished: seconds since the epoch; None for what did not happen.
    """

    id: str
    name: str
    pod_id: str
    pod_name: str
    kind: ContainerKind
    state: ContainerStatus
    pid: int | None
    exit_code: int | None
    reason: str
    oom_killed: bool
    created: float
    started: float | None
    finished: float | None
    restarts: int


@dataclass(frozen=True, slots=True)
class ContainerInspect(ContainerFacts):
    """What ``Container.inspect`` knows."""

    spec: ContainerSpec
    dependencies: tuple[str, ...]
    oci_runtime: str
    bundle: str
    log_path: str
    cgroup_path: str

    def to_dict(self) -> dict[str, Any]:
        """Returns podman's field names, ready for JSON."""
        from podcore.inspection import container_to_dict

        return container_to_dict(self)


@dataclass(frozen=True, slots=True)
class ContainerSummary(ContainerFacts):
    """A line of ``ps``, quicker to get for many."""

    command: tuple[str, ...]
    labels: dict[str, str]


@dataclass(frozen=True, slots=True)
class Usage:
    """What a pod or a container uses now, read from its cgroup; None where the host has no figure.

    Attributes:
        time: when it was read, monotonic seconds.
        cpu_seconds: CPU time used since the cgroup was made.
        memory: bytes in use; ``memory_limit`` None means no limit.
        pids: processes and threads.
        read_bytes, write_bytes: block I/O.
        pressure: share of the last 10 s in which some task waited, by resource (PSI), 0 to 100.
    """

    time: float
    cpu_seconds: float | None
    memory: int | None
    memory_limit: int | None
    pids: int | None
    pids_limit: int | None
    read_bytes: int | None
    write_bytes: int | None
    pressure: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class ProcessInfo:
    """A process of a container, as ``Container.top`` lists it.

    Attributes:
        container: the name of its container.
        pid: as its container counts; None for one that was started from outside of its pid
            namespace and is no part of it.
        parent: the pid of its parent, likewise; 0 for one whose parent is outside.
        host_pid: as this host counts.
        user, group: by name where the container's /etc/passwd and /etc/group know one, else the
            number as the container counts; ``nobody`` for an id that the container does not have.
        host_uid, host_gid: as this host counts.
        state: a letter, such as ``R`` or ``S``, see proc_pid_stat(5).
        threads: how many it has.
        cpu_seconds: CPU time that it has used.
        elapsed: seconds since it was started.
        memory, size: bytes in RAM, and of its address space.
        terminal: such as ``pts/0``; "" for none.
        nice: -20 to 19.
        name: of its program, cut to 15 bytes.
        command: its argv; empty where it has cleared that.
    """

    container: str
    pid: int | None
    parent: int
    host_pid: int
    user: str
    group: str
    host_uid: int
    host_gid: int
    state: str
    threads: int
    cpu_seconds: float
    elapsed: float
    memory: int
    size: int
    terminal: str
    nice: int
    name: str
    command: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Volume:
    """A named directory that outlives the containers that mount it."""

    name: str
    path: str
    created: float
    labels: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that ``Engine.check`` found wrong.

    Attributes:
        kind: in one word, such as ``intent``, ``process`` or ``database``.
        object: what it is about: an id, a path, a process.
        text: as a sentence.
        repaired: whether it has been put right; None when that was not tried.
        hint: what to do, where podcore can't; "" for nothing.
    """

    kind: str
    object: str
    text: str
    repaired: bool | None = None
    hint: str = ""

    def __str__(self) -> str:
        said = {None: "", True: ": put right", False: ": not put right"}[self.repaired]
        return f"{self.text}{said}" + (f"\nhint: {self.hint}" if self.hint else "")
