"""The verbs of one container, under the lock of its pod as the batch verbs are.

A batch ignores a container that a verb does not apply to; here, whoever names one is told.
"""

import select
from typing import TypeVar

from podcore._core import LockSession
from podcore.backend import Host
from podcore.deadlines import Deadline
from podcore.errors import ContainerStateError
from podcore.kernel.process import milliseconds
from podcore.lifecycle import create as lifecycle_create
from podcore.lifecycle import kill as lifecycle_kill
from podcore.lifecycle import pause as lifecycle_pause
from podcore.lifecycle import start as lifecycle_start
from podcore.lifecycle import stop as lifecycle_stop
from podcore.lifecycle.course import Conduct, Course, alone
from podcore.lifecycle.held import Held
from podcore.lifecycle.namespaces import on_network
from podcore.lifecycle.step import Step
from podcore.lifecycle.stop import Stopping
from podcore.model import ContainerStatus
from podcore.names import short
from podcore.observe import truth
from podcore.operations.find import current
from podcore.operations.restarting import restarting
from podcore.operations.sharing import shared
from podcore.operations.snapshot import Snapshot, check_whole, pod_lock, snapshot
from podcore.operations.stop import check_timeout
from podcore.records import ContainerRecord
from podcore.report import Outcome
from podcore.signals import parse_signal

T = TypeVar("T")

_UP = (ContainerStatus.RUNNING,)
_STARTABLE = (ContainerStatus.CONFIGURED, ContainerStatus.CREATED, ContainerStatus.EXITED)
_RESTARTABLE = (*_STARTABLE, ContainerStatus.RUNNING, ContainerStatus.STOPPING)
_SIGNALLED = (ContainerStatus.RUNNING, ContainerStatus.STOPPING)


def create(host: Host, which: ContainerRecord) -> bool:
    """Creates a container with its OCI runtime, so that one can attach to it before it starts.

    Returns:
        Whether that was to be done: it is not up already.

    Raises:
        PodcoreError: as ``lifecycle.create.create``.
    """
    pod, record = current(host, which)
    with pod_lock(host, pod, f"create container {record.name} of") as session:
        taken = snapshot(host, pod)
        check_whole(taken.pod)
        with shared(host, session, taken):
            names = on_network(taken.members, pod)
            step = lifecycle_create.create(host, session, record, pod, names)
        return step.outcome is not Outcome.IGNORED


def discard(host: Host, which: ContainerRecord) -> None:
    """Takes a container that was created, but not started, back to ``configured``."""
    pod, record = current(host, which)
    with pod_lock(host, pod, f"discard container {record.name} of") as session:
        lifecycle_create.discard_created(host, session, record)


def start(host: Host, which: ContainerRecord) -> None:
    """Starts a container whose dependencies are running; one that runs already is fine.

    Raises:
        ContainerStateError: it is paused.
        PodcoreError: as ``lifecycle.start.start``.
    """
    pod, record = current(host, which)
    with pod_lock(host, pod, f"start container {record.name} of") as session:
        taken = snapshot(host, pod)
        check_whole(taken.pod)
        found = _start(host, session, record, taken, lifecycle_start.SATISFIES)
        _expect(record, found, "started", fine=_UP, wanted=_STARTABLE)


def stop(host: Host, which: ContainerRecord, timeout: float | None) -> None:
    """Stops a container; one that does not run is fine.

    Raises:
        InvalidArgumentError: the timeout is not acceptable.
        ContainerStateError: it is paused.
        StopTimeoutError: it is still there after SIGKILL.
    """
    seconds = check_timeout(timeout)
    pod, record = current(host, which)
    with pod_lock(host, pod, f"stop container {record.name} of") as session:
        found = _stop(host, session, record, seconds)
        _expect(record, found, "stopped", fine=_STARTABLE, wanted=_SIGNALLED)


def restart(host: Host, which: ContainerRecord, timeout: float | None) -> None:
    """Stops a container and starts it again; one that does not run is started.

    Raises:
        InvalidArgumentError: the timeout is not acceptable.
        ContainerStateError: it is paused or unknown; nothing was touched.
        PodcoreError: as ``stop`` and ``start``.
    """
    seconds = check_timeout(timeout)
    pod, record = current(host, which)
    with pod_lock(host, pod, f"restart container {record.name} of") as session:
        taken = snapshot(host, pod)
        check_whole(taken.pod)
        state = truth(host, record).state
        if state not in _RESTARTABLE:
            raise _refusal(record, state, "restarted", _RESTARTABLE)
        with restarting(host, (record,)):
            _stop(host, session, record, seconds)
            found = _start(host, session, record, taken, lifecycle_start.SATISFIES_RESTART)
        _expect(record, found, "restarted", fine=_UP, wanted=_RESTARTABLE)


def kill(host: Host, which: ContainerRecord, signal: object) -> None:
    """Sends a signal to a container's process.

    Raises:
        InvalidArgumentError: there is no such signal; nothing was sent.
        ContainerStateError: it does not run.
    """
    number = parse_signal(signal)
    pod, record = current(host, which)
    with pod_lock(host, pod, f"kill container {record.name} of") as session:
        found = alone(host, session, record, _noting(lifecycle_kill.killing(number)))
        _expect(record, found, "killed", fine=(), wanted=_SIGNALLED)


def pause(host: Host, which: ContainerRecord) -> None:
    """Freezes a container; one that is paused is fine.

    Raises:
        ContainerStateError: it does not run.
    """
    paused = (ContainerStatus.PAUSED,)
    _simple(host, which, "pause", lifecycle_pause.pausing, fine=paused, wanted=_UP)


def unpause(host: Host, which: ContainerRecord) -> None:
    """Thaws a container; one that runs is fine.

    Raises:
        ContainerStateError: it is not paused.
    """
    paused = (ContainerStatus.PAUSED,)
    _simple(host, which, "unpause", lifecycle_pause.unpausing, fine=_UP, wanted=paused)


def _simple(
    host: Host,
    which: ContainerRecord,
    verb: str,
    conduct: Conduct[Step],
    *,
    fine: tuple[ContainerStatus, ...],
    wanted: tuple[ContainerStatus, ...],
) -> None:
    pod, record = current(host, which)
    with pod_lock(host, pod, f"{verb} container {record.name} of") as session:
        found = alone(host, session, record, _noting(conduct))
        _expect(record, found, f"{verb}d", fine=fine, wanted=wanted)


def _start(
    host: Host,
    session: LockSession,
    which: ContainerRecord,
    taken: Snapshot,
    satisfies: frozenset[ContainerStatus],
) -> "_Found":
    with shared(host, session, taken):
        names = on_network(taken.members, taken.pod)
        starting = lifecycle_start.starting(taken.pod, satisfies, names)
        return alone(host, session, which, _noting(starting))


def _stop(
    host: Host, session: LockSession, which: ContainerRecord, seconds: float | None
) -> "_Found":
    begun, state = alone(host, session, which, _noting(lifecycle_stop.beginning(seconds)))
    if isinstance(begun, Step):
        return begun, state
    try:
        _wait(begun)
        return lifecycle_stop.finish_stop(host, session, begun, cleanup=False), state
    finally:
        begun.close()


_Found = tuple[Step, ContainerStatus]
"""What a verb did, and what the container was right after it, still under its lock."""


def _noting(conduct: Conduct[T]) -> Conduct[tuple[T, ContainerStatus]]:
    """Returns a verb's course that also tells the state of the container at its end.

    A look after the lock is released could find another state than the one that the verb did not
    apply to: that what is running can't be stopped, say, as somebody has just started it.
    """

    def course(held: Held) -> Course[tuple[T, ContainerStatus]]:
        done = yield from conduct(held)
        return done, held.record.state

    return course


def _wait(stopping: Stopping) -> None:
    """Waits until the process is dead or its time is up."""
    if stopping.pidfd is None:
        return
    poll = select.poll()
    poll.register(stopping.pidfd, select.POLLIN)
    deadline = Deadline(stopping.until)
    while not deadline.expired:
        if poll.poll(milliseconds(deadline)):
            return


def _expect(
    which: ContainerRecord,
    found: _Found,
    done: str,
    *,
    fine: tuple[ContainerStatus, ...],
    wanted: tuple[ContainerStatus, ...],
) -> None:
    step, state = found
    if step.outcome is Outcome.IGNORED and state not in fine:
        raise _refusal(which, state, done, wanted)


def _refusal(
    which: ContainerRecord,
    state: ContainerStatus,
    done: str,
    wanted: tuple[ContainerStatus, ...],
) -> ContainerStateError:
    listed = ", ".join(wanted[:-1]) + (" or " if len(wanted) > 1 else "") + wanted[-1]
    hint = "unpause it first" if state is ContainerStatus.PAUSED else f"it must be {listed}"
    return ContainerStateError(
        f"container `{which.name}` ({short(which.id)}) is {state}: it can't be {done}\n"
        f"hint: {hint}",
        state,
        wanted,
    )
