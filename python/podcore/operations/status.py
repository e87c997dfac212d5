"""What a pod and its containers are doing now: a snapshot and a look at the host, no locks."""

import time
from collections.abc import Iterable
from dataclasses import fields
from operator import attrgetter

from podcore.backend import Host
from podcore.errors import PodcoreError
from podcore.model import (
    AT_REST,
    ContainerInspect,
    ContainerKind,
    ContainerSpec,
    ContainerStatus,
    PodInspect,
    PodMember,
    PodStatus,
)
from podcore.observe import PATIENCE, truth
from podcore.operations.snapshot import containers, snapshot, snapshots
from podcore.records import ContainerRecord, PodRecord

_RUNNING = frozenset({ContainerStatus.RUNNING, ContainerStatus.STOPPING})
_ERROR = frozenset({ContainerStatus.UNKNOWN, ContainerStatus.REMOVING})
# All else in a checked spec can't be changed.
_MAPPINGS = tuple(field.name for field in fields(ContainerSpec) if field.default_factory is dict)
_NAMES = tuple(field.name for field in fields(ContainerSpec))
_VALUES = attrgetter(*_NAMES)
_SLOTS = tuple(ContainerSpec.__dict__[name] for name in _NAMES)
_PUTS = tuple(slot.__set__ for slot in _SLOTS)
_COPIED = tuple((slot.__get__, slot.__set__) for slot in _SLOTS if slot.__name__ in _MAPPINGS)


def true_records(host: Host, records: Iterable[ContainerRecord]) -> list[ContainerRecord]:
    """Returns rows as they are true now; one that can't be read is ``unknown``, with a reason.

    All of them together wait no longer for exit files than one would.
    """
    until = time.monotonic() + PATIENCE
    found = []
    for record in records:
        try:
            found.append(truth(host, record, max(0.0, until - time.monotonic())))
        except (OSError, ValueError, PodcoreError) as error:
            found.append(record.but(state=ContainerStatus.UNKNOWN, reason=str(error)))
    return found


def status(host: Host, pod: PodRecord) -> dict[str, ContainerStatus]:
    """Returns the state of each container of a pod by id, in order of creation.

    Raises:
        PodRemovedError: it is gone.
    """
    taken = snapshot(host, pod, specs=False)
    return {record.id: record.state for record in true_records(host, taken.members)}


def pod_status(states: list[ContainerStatus]) -> PodStatus:
    """Returns what the states of a pod's containers add up to.

    A container that is being stopped counts as running; libpod says 'error' while a stop lasts.
    """
    if any(state in _ERROR for state in states):
        return PodStatus.ERROR
    if not states:
        return PodStatus.CREATED
    running = sum(state in _RUNNING for state in states)
    if running == len(states):
        return PodStatus.RUNNING
    if running:
        return PodStatus.DEGRADED
    if all(state is ContainerStatus.PAUSED for state in states):
        return PodStatus.PAUSED
    exited = sum(state is ContainerStatus.EXITED for state in states)
    if exited == len(states):
        return PodStatus.EXITED
    return PodStatus.STOPPED if exited else PodStatus.CREATED


def state(host: Host, pod: PodRecord) -> PodStatus:
    """Returns the state of a pod.

    Raises:
        PodRemovedError: it is gone.
    """
    taken = snapshot(host, pod, specs=False)
    if taken.pod.removing:
        return PodStatus.ERROR
    return pod_status([record.state for record in true_records(host, taken.members)])


def inspect_pod(host: Host, pod: PodRecord) -> PodInspect:
    """Returns all that is known of a pod, its containers sorted by id.

    Raises:
        PodRemovedError: it is gone.
    """
    taken = snapshot(host, pod, specs=False)
    now = sorted(true_records(host, taken.members), key=lambda record: record.id)
    return _describe_pod(
        taken.pod, tuple(PodMember(record.id, record.name, record.state) for record in now)
    )


def inspect_pods(host: Host) -> list[PodInspect]:
    """Returns all that is known of all pods, as one snapshot has them, in order of creation."""
    boot = host.boot_id
    with host.store.read() as view:
        pods = view.pods()
        stored = view.members()
        awake = view.containers(specs=False, awake=boot)
    members = [record for record in awake if record.kind is not ContainerKind.INFRA]
    now = {record.id: record.state for record in true_records(host, members)}
    return [
        _describe_pod(
            pod,
            tuple(
                PodMember(identifier, name, now.get(identifier, state))
                for identifier, name, state in sorted(stored.get(pod.id, ()))
            ),
        )
        for pod in pods
    ]


def _describe_pod(row: PodRecord, members: tuple[PodMember, ...]) -> PodInspect:
    total = PodStatus.ERROR if row.removing else pod_status([one.state for one in members])
    return PodInspect(
        id=row.id,
        name=row.name,
        created=row.created,
        state=total,
        labels=dict(row.labels),
        hostname=row.hostname,
        share=row.share,
        cgroup_path=row.cgroup_path,
        infra_container_id=row.infra_id or "",
        limits=row.limits,
        containers=members,
    )


def inspect_container(host: Host, pod: PodRecord, record: ContainerRecord) -> ContainerInspect:
    """Returns all that is known of a container, as it is true now."""
    return _describe_container(host, pod, true_records(host, (record,))[0])


def inspect_containers(
    host: Host, pod: PodRecord | None = None, *, infra: bool
) -> list[ContainerInspect]:
    """Returns all that is known of the containers of a pod, or of all, as one snapshot has them.

    Args:
        host: where they are.
        pod: None for all.
        infra: infra containers too, each after those of its pod.

    Returns:
        Pod by pod, both in order of creation.

    Raises:
        PodRemovedError: the pod is gone.
    """
    taken = snapshots(host) if pod is None else [snapshot(host, pod)]
    rows = containers(taken, infra=infra)
    now = true_records(host, [row for _, row in rows])
    return [_describe_container(host, pod, row) for (pod, _), row in zip(rows, now, strict=True)]


def shown_pid(now: ContainerRecord) -> int | None:
    """Returns the pid of a container's process as the host counts; None when it has none."""
    return None if now.init is None or now.state in AT_REST else now.init.pid


def _describe_container(host: Host, pod: PodRecord, now: ContainerRecord) -> ContainerInspect:
    return ContainerInspect(
        id=now.id,
        name=now.name,
        pod_id=pod.id,
        pod_name=pod.name,
        kind=now.kind,
        state=now.state,
        pid=shown_pid(now),
        exit_code=now.exit_code,
        reason=now.reason,
        oom_killed=now.oom_killed,
        created=now.created,
        started=now.started,
        finished=now.finished,
        restarts=now.restarts,
        spec=_own(now.spec),
        dependencies=tuple(edge.id for edge in now.dependencies),
        oci_runtime=now.oci_runtime,
        bundle=host.places.bundle(now.id),
        log_path=host.places.log(now.id),
        cgroup_path=now.cgroup_path,
    )


def _own(spec: ContainerSpec) -> ContainerSpec:
    """Returns a copy: what the caller does to it is no business of the store's.

    Slot by slot, in a fifth of the time of ``replace``, which ``ps`` of thousands would wait for.
    """
    copy = object.__new__(ContainerSpec)
    for put, value in zip(_PUTS, _VALUES(spec), strict=True):
        put(copy, value)
    for get, put in _COPIED:
        put(copy, get(spec).copy())
    return copy
