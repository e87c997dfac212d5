"""A command line in this process, on an engine that only remembers what it was asked for."""

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any, NamedTuple

import pytest

from podcore.cli import context, foreground, main
from podcore.errors import (
    ContainerStateError,
    NoSuchContainerError,
    NoSuchPodError,
    NoSuchVolumeError,
)
from podcore.model import (
    ContainerInspect,
    ContainerKind,
    ContainerSpec,
    ContainerStatus,
    ContainerSummary,
    Finding,
    Limits,
    LogEntry,
    PodInspect,
    PodMember,
    PodStatus,
    Usage,
    Volume,
)
from podcore.report import Outcome, Report, ReportRow

ALIVE = {ContainerStatus.RUNNING, ContainerStatus.PAUSED, ContainerStatus.STOPPING}
LIMITS = set(Limits.__dataclass_fields__)


class Result(NamedTuple):
    code: int
    out: str
    err: str

    @property
    def lines(self) -> list[str]:
        return self.out.splitlines()


def full_id(text: str) -> str:
    return text * (64 // len(text))


@dataclass
class FakeContainer:
    engine: "FakeEngine"
    pod: "FakePod"
    id: str
    name: str
    spec: ContainerSpec
    status: ContainerStatus = ContainerStatus.CONFIGURED
    exit_code: int | None = None
    entries: list[LogEntry] = field(default_factory=list)
    problem: Exception | None = None
    left_out: tuple[str, ...] = ()

    @property
    def pod_id(self) -> str:
        return self.pod.id

    @property
    def pod_name(self) -> str:
        return self.pod.name

    def _did(self, verb: str, **arguments: Any) -> None:
        self.engine.calls.append((verb, self.name, arguments))
        if self.problem is not None:
            raise self.problem

    def start(self) -> None:
        self._did("start")
        self.status = ContainerStatus.RUNNING

    def stop(self, timeout: float | None = None) -> None:
        self._did("stop", timeout=timeout)
        self.status = ContainerStatus.EXITED

    def restart(self, timeout: float | None = None) -> None:
        self._did("restart", timeout=timeout)

    def kill(self, signal: object = "KILL") -> None:
        self._did("kill", signal=signal)

    def pause(self) -> None:
        self._did("pause")

    def unpause(self) -> None:
        self._did("unpause")

    def update(self, **limits: Any) -> None:
        self._did("update", **limits)

    def remove(self, force: bool = False) -> None:
        self._did("remove", force=force)
        if self.status is ContainerStatus.RUNNING and not force:
            raise ContainerStateError(f"container `{self.name}` is running\nhint: use force")
        self.pod.members.remove(self)

    def wait(self, timeout: float | None = None) -> int | None:
        self._did("wait", timeout=timeout)
        return self.exit_code

    def copy_in(self, source: str, target: str, archive: bool = True) -> tuple[str, ...]:
        self._did("copy_in", source=source, target=target, archive=archive)
        return self.left_out

    def copy_out(self, source: str, target: str) -> tuple[str, ...]:
        self._did("copy_out", source=source, target=target)
        return self.left_out

    def logs(
        self, follow: bool = False, tail: int | None = None, since: float | None = None
    ) -> Iterator[LogEntry]:
        self._did("logs", follow=follow, tail=tail, since=since)
        return iter(self.entries)

    def stats(self) -> Usage:
        return self.engine.usage()

    def inspect(self) -> ContainerInspect:
        ids = {member.name: member.id for member in self.pod.members}
        return ContainerInspect(
            id=self.id,
            name=self.name,
            pod_id=self.pod.id,
            pod_name=self.pod.name,
            kind=ContainerKind.REGULAR,
            state=self.status,
            pid=7 if self.status is ContainerStatus.RUNNING else None,
            exit_code=self.exit_code,
            reason="",
            oom_killed=False,
            created=float(int(self.id[:4], 16)),
            started=None,
            finished=None,
            restarts=0,
            spec=self.spec,
            dependencies=tuple(ids[name] for name in self.spec.depends_on),
            oci_runtime="/usr/bin/runc",
            bundle="/nowhere",
            log_path="/nowhere/log",
            cgroup_path="",
        )

    def summary(self) -> ContainerSummary:
        facts = self.inspect()
        known = {one.name for one in fields(ContainerSummary)} - {"command", "labels"}
        same = {name: getattr(facts, name) for name in known}
        return ContainerSummary(**same, command=self.spec.command, labels=dict(self.spec.labels))


@dataclass
class FakePod:
    engine: "FakeEngine"
    id: str
    name: str
    labels: dict[str, str] = field(default_factory=dict)
    keywords: dict[str, Any] = field(default_factory=dict)
    members: list[FakeContainer] = field(default_factory=list)
    state: PodStatus = PodStatus.CREATED
    problem: Exception | None = None

    def containers(self) -> list[FakeContainer]:
        return list(self.members)

    def container(self, reference: str) -> FakeContainer:
        for member in self.members:
            if reference in {member.name, member.id} or member.id.startswith(reference):
                return member
        raise NoSuchContainerError(f"no container `{reference}`")

    def create_container(self, name: str | None = None, **keywords: Any) -> FakeContainer:
        limits = {key: keywords.pop(key) for key in LIMITS & keywords.keys()}
        spec = ContainerSpec(name=name or "made_up", limits=Limits(**limits), **keywords)
        container = FakeContainer(self.engine, self, self.engine.new_id(), spec.name or "", spec)
        self.members.append(container)
        self.engine.calls.append(("create_container", container.name, {"spec": spec}))
        return container

    def _batch(self, verb: str, **arguments: Any) -> Report:
        self.engine.calls.append((verb, self.name, arguments))
        if self.problem is not None:
            raise self.problem
        rows = tuple(ReportRow(one.id, one.name, Outcome.DONE) for one in self.members)
        return Report(verb, self.id, self.name, rows)

    def start(self, progress: object = None) -> Report:
        return self._batch("start")

    def stop(
        self, cleanup: bool = False, timeout: float | None = None, progress: object = None
    ) -> Report:
        return self._batch("stop", cleanup=cleanup, timeout=timeout)

    def restart(self, timeout: float | None = None, progress: object = None) -> Report:
        return self._batch("restart", timeout=timeout)

    def pause(self) -> Report:
        return self._batch("pause")

    def unpause(self) -> Report:
        return self._batch("unpause")

    def kill(self, signal: object = "KILL") -> Report:
        return self._batch("kill", signal=signal)

    def update(self, **limits: Any) -> None:
        self._batch("update", **limits)

    def stats(self) -> Usage:
        return self.engine.usage()

    def remove(self, force: bool = False) -> None:
        self._batch("remove", force=force)
        self.engine.made.remove(self)

    def inspect(self) -> PodInspect:
        return PodInspect(
            id=self.id,
            name=self.name,
            created=float(int(self.id[:4], 16)),
            state=self.state,
            labels=self.labels,
            hostname="",
            share=(),
            cgroup_path=f"podcore/{self.id}",
            infra_container_id="",
            limits=Limits(),
            containers=tuple(PodMember(one.id, one.name, one.status) for one in self.members),
        )


class FakeVolumes:
    def __init__(self) -> None:
        self.made: dict[str, Volume] = {}

    def create(self, name: str, labels: dict[str, str] | None = None) -> Volume:
        self.made[name] = Volume(name, f"/volumes/{name}", 0.0, labels or {})
        return self.made[name]

    def get(self, name: str) -> Volume:
        if name not in self.made:
            raise NoSuchVolumeError(f"no volume `{name}`")
        return self.made[name]

    def list(self) -> list[Volume]:
        return list(self.made.values())

    def remove(self, name: str) -> None:
        self.get(name)
        del self.made[name]

    def prune(self) -> Sequence[str]:
        names = list(self.made)
        self.made.clear()
        return names


class FakeEngine:
    """Remembers every call in ``calls`` as (verb, name, arguments)."""

    def __init__(self) -> None:
        self.made: list[FakePod] = []
        self.calls: list[tuple[str, str, dict[str, Any]]] = []
        self.volumes = FakeVolumes()
        self.closed = False
        self.findings: list[Finding] = []
        self._numbers = 0x10
        self._time = 0.0

    def new_id(self) -> str:
        self._numbers += 1
        return full_id(f"{self._numbers:04x}")

    def usage(self) -> Usage:
        self._time += 1.0
        return Usage(
            time=self._time,
            cpu_seconds=1.5,
            memory=1 << 20,
            memory_limit=None,
            pids=2,
            pids_limit=None,
            read_bytes=0,
            write_bytes=0,
            pressure={},
        )

    def create_pod(
        self, name: str | None = None, labels: dict[str, str] | None = None, **keywords: Any
    ) -> FakePod:
        pod = FakePod(self, self.new_id(), name or "made_up", labels or {}, keywords)
        self.made.append(pod)
        return pod

    def pods(self) -> list[FakePod]:
        return list(self.made)

    def pod(self, reference: str) -> FakePod:
        for pod in self.made:
            if reference in {pod.name, pod.id} or pod.id.startswith(reference):
                return pod
        raise NoSuchPodError(f"no pod with name or ID `{reference}` found")

    def containers(self) -> list[FakeContainer]:
        return [member for pod in self.made for member in pod.members]

    def inspect_pods(self) -> list[PodInspect]:
        return [pod.inspect() for pod in self.made]

    def list_containers(
        self, pod: str | None = None, infra: bool = False, *, alive: bool = False
    ) -> list[ContainerSummary]:
        pods = self.made if pod is None else [self.pod(pod)]
        found = [member.summary() for one in pods for member in one.members]
        return [line for line in found if not alive or line.state in ALIVE]

    def container_ids(self, pod: str | None = None, infra: bool = False) -> list[str]:
        return [line.id for line in sorted(self.list_containers(pod), key=lambda row: row.created)]

    def container(self, reference: str) -> FakeContainer:
        pod_name, separator, name = reference.partition("/")
        pods = [self.pod(pod_name)] if separator else self.made
        for pod in pods:
            for member in pod.members:
                if (name or pod_name) in {member.name, member.id}:
                    return member
        raise NoSuchContainerError(f"no container with name or ID `{reference}` found")

    def check(self, repair: bool = False) -> list[Finding]:
        self.calls.append(("check", "", {"repair": repair}))
        return self.findings

    def close(self) -> None:
        self.closed = True

    def with_pod(self, name: str, **dependencies: tuple[str, ...]) -> FakePod:
        """Adds a pod with containers."""
        pod = self.create_pod(name)
        for member, needs in dependencies.items():
            pod.create_container(member, rootfs="/", command=["sh"], depends_on=needs)
        self.calls.clear()
        return pod


def exec_attached(engine: FakeEngine, reference: str, fds: Mapping[int, int], **wanted: Any) -> int:
    """Stands in for the one verb that goes past the faces of the engine."""
    engine.container(reference)._did("exec", stdin=fds.get(0), **wanted)
    os.write(fds[1], b"out\x1b[2J\n")
    os.write(fds[2], b"err\n")
    return 3


@pytest.fixture
def engine(monkeypatch: pytest.MonkeyPatch) -> FakeEngine:
    made = FakeEngine()
    monkeypatch.setattr(context, "open_engine", lambda _options: made)
    monkeypatch.setattr(foreground, "exec_attached", exec_attached)
    return made


@pytest.fixture
def cli(capsys: pytest.CaptureFixture[str]) -> Callable[..., Result]:
    """Runs a command line in this process."""

    def run(*argv: str) -> Result:
        capsys.readouterr()
        code = main.main(argv)
        out, err = capsys.readouterr()
        return Result(code, out, err)

    return run
