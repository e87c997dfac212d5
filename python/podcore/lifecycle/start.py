"""Starts one container: OCI create, unless that was done ahead, then OCI start."""

import os
import time
from functools import partial

from podcore._core import LockSession
from podcore.backend import Host
from podcore.errors import (
    ContainerStateError,
    DependencyNotRunningError,
    OCIRuntimeError,
    OCIRuntimeProtocolError,
)
from podcore.kernel import process
from podcore.kernel.failpoints import failpoint
from podcore.lifecycle.course import Conduct, Course, alone
from podcore.lifecycle.create import create_held
from podcore.lifecycle.held import Commit, Held
from podcore.lifecycle.settle import settled
from podcore.lifecycle.step import DONE, Step, ignored
from podcore.model import AT_REST, ContainerStatus
from podcore.names import short
from podcore.observe import truth
from podcore.records import ContainerRecord, PodRecord, Verb

SATISFIES = frozenset({ContainerStatus.RUNNING})
"""The states in which a dependency of what is started counts as there."""

SATISFIES_RESTART = frozenset({ContainerStatus.RUNNING, ContainerStatus.PAUSED})
"""For ``restart`` a paused dependency is there, for ``start`` it is not."""


def start(host: Host, session: LockSession, which: ContainerRecord, pod: PodRecord) -> Step:
    """Starts a container whose dependencies are running.

    Running and paused ones are ignored (libpod's documentation; its code fails on paused ones).
    Holds the container's lock all the while.

    Args:
        host: of the engine.
        session: the calling thread's.
        which: the container.
        pod: its pod.

    Raises:
        DependencyNotRunningError: a dependency is not; nothing was done.
        ContainerStateError: it died before its command began; the state is ``exited``.
        OCIRuntimeError, MonitorError: create or start failed.
    """
    return alone(host, session, which, starting(pod, SATISFIES, ()))


def starting(
    pod: PodRecord, satisfies: frozenset[ContainerStatus], names: tuple[str, ...]
) -> Conduct[Step]:
    """Returns ``start`` as a course.

    Args:
        pod: of the container.
        satisfies: the states in which a dependency counts as there.
        names: the containers on the pod's network, for /etc/hosts.
    """
    return partial(_start, pod, satisfies, names)


def _start(
    pod: PodRecord, satisfies: frozenset[ContainerStatus], names: tuple[str, ...], held: Held
) -> Course[Step]:
    record = held.record
    if record.state is ContainerStatus.RUNNING:
        return ignored("is running already")
    if record.state is ContainerStatus.PAUSED:
        return ignored("is paused")
    _check_dependencies(held.host, record, satisfies)
    if record.state is ContainerStatus.CREATED:
        yield held.meaning(Verb.START)
    elif record.state in AT_REST:
        yield from create_held(held, pod, then=Verb.START, names=names)
    else:
        message = (
            f"container `{record.name}` ({short(record.id)}) is {record.state}, "
            "so it can't be started\nhint: wait until that is done"
        )
        raise ContainerStateError(message, record.state, ("configured", "created", "exited"))
    yield from _start_held(held)
    return DONE


def _start_held(held: Held) -> Course[None]:
    host, record = held.host, held.record
    runtime = host.runtime(record.oci_runtime)
    log = host.places.runtime_log(record.id, record.incarnation)
    failure: OCIRuntimeError | None = None
    try:
        failpoint("start.before-start")
        runtime.start(record.id, log=log)
        failpoint("start.after-start")
    except OCIRuntimeError as error:
        failure = error
    if failure is None and not _has_no_effect(held):
        yield from _commit_running(held)
        return
    # What the runtime says is no evidence: what is seen decides.
    now = settled(host, record)
    if now.state is ContainerStatus.RUNNING:
        yield from _commit_running(held)
        return
    yield Commit(now, "died" if now.state is ContainerStatus.EXITED else "")
    if now.state is ContainerStatus.EXITED:
        how = f"with exit code {now.exit_code}" if now.reason == "" else f"({now.reason})"
        message = (
            f"container `{record.name}` ({short(record.id)}) died before its command began, {how}"
        )
        raise ContainerStateError(message, now.state, ("running",)) from failure
    if failure is not None:
        raise failure
    message = f"{runtime.name} said that it started `{record.name}`, but it did not"
    raise OCIRuntimeProtocolError(message, (), 0)


def _has_no_effect(held: Held) -> bool:
    """Whether the runtime reported success although the container still waits for its start.

    Both runtimes leave a FIFO until then.
    """
    record = held.record
    directory = held.host.runtime(record.oci_runtime).state_directory(record.id)
    return (
        record.init is not None
        and os.path.exists(f"{directory}/exec.fifo")
        and process.alive(record.init)
    )


def _commit_running(held: Held) -> Course[None]:
    record = held.record
    yield Commit(
        record.but(
            state=ContainerStatus.RUNNING,
            intent=None,
            started=time.time(),
            finished=None,
            exit_code=None,
            reason="",
            oom_killed=False,
            restarts=record.restarts + (record.started is not None),
        ),
        "start",
    )
    failpoint("start.after-commit")


def _check_dependencies(
    host: Host, record: ContainerRecord, satisfies: frozenset[ContainerStatus]
) -> None:
    if not record.dependencies:
        return
    with host.store.read() as view:
        found = [(edge.id, view.container(edge.id)) for edge in record.dependencies]
    missing = [
        (edge_id, dependency)
        for edge_id, dependency in found
        if dependency is None or truth(host, dependency).state not in satisfies
    ]
    if missing:
        names = ", ".join(
            f"`{short(edge_id) if dependency is None else dependency.name}`"
            for edge_id, dependency in missing
        )
        message = (
            f"container `{record.name}` ({short(record.id)}) needs {names} to be running\n"
            "hint: start the pod, or the dependencies first"
        )
        raise DependencyNotRunningError(message, [edge_id for edge_id, _ in missing])
