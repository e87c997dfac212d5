"""Stops one container in two steps, so that nobody waits for its lock while it takes its time.

``begin_stop`` signals it under its lock, ``finish_stop`` takes the lock again once it is dead or
its time is up. Between the two the row says ``stopping`` and who is at work; where that process
dies, whoever comes next finds a container that runs or has exited, never one that is stuck.
"""

import os
import time
from dataclasses import dataclass
from functools import partial

from podcore._core import LockSession
from podcore.backend import Host
from podcore.deadlines import Deadline
from podcore.kernel import process
from podcore.kernel.failpoints import failpoint
from podcore.lifecycle.course import Conduct, Course, alone
from podcore.lifecycle.held import Commit, Held
from podcore.lifecycle.purge import KILL_PATIENCE, end_rest, purge
from podcore.lifecycle.settle import settled
from podcore.lifecycle.step import DONE, Step, ignored
from podcore.model import AT_REST, ContainerStatus
from podcore.records import ContainerRecord, Verb
from podcore.report import Outcome
from podcore.signals import parse_signal

SIGKILL = 9

_STOPPABLE = {ContainerStatus.RUNNING, ContainerStatus.STOPPING}


@dataclass(slots=True)
class Stopping:
    """A container that has been told to stop.

    Attributes:
        record: its row when it was told.
        pidfd: of its process; None when that is gone already. Whoever holds this closes it.
        until: monotonic seconds when SIGKILL is due; ``math.inf`` for never.
        timeout: seconds that it was given.
    """

    record: ContainerRecord
    pidfd: int | None
    until: float
    timeout: float

    def close(self) -> None:
        """Closes the descriptor; may be called again."""
        pidfd, self.pidfd = self.pidfd, None
        if pidfd is not None:
            os.close(pidfd)


def begin_stop(
    host: Host, session: LockSession, which: ContainerRecord, timeout: float | None
) -> Stopping | Step:
    """Sends a container its stop signal; ignores one that is neither running nor stopping.

    A timeout of 0 sends SIGKILL at once. The lock is released before this returns.

    Args:
        host: of the engine.
        session: the calling thread's.
        which: the container.
        timeout: seconds until SIGKILL; None for the container's own.
    """
    return alone(host, session, which, beginning(timeout))


def beginning(timeout: float | None) -> Conduct[Stopping | Step]:
    """Returns ``begin_stop`` as a course."""
    return partial(_begin, timeout)


def _begin(timeout: float | None, held: Held) -> Course[Stopping | Step]:
    record = held.record
    if record.state not in _STOPPABLE or record.init is None:
        return ignored(f"is {record.state}")
    seconds = record.spec.stop_timeout if timeout is None else timeout
    stopping = Stopping(
        record, process.open_pidfd(record.init), time.monotonic() + seconds, seconds
    )
    try:
        yield from _signal(held, seconds)
    except BaseException:
        stopping.close()
        if held.record is not record:
            yield Commit(record)  # nobody is at work on it: it is as it was
        raise
    stopping.record = held.record
    return stopping


def _signal(held: Held, seconds: float) -> Course[None]:
    """Commits that a container is being stopped and sends it the signal, unless that was done."""
    record = held.record
    assert record.init is not None, "it runs"
    if record.state is not ContainerStatus.STOPPING:
        stopping = record.but(state=ContainerStatus.STOPPING, intent=held.intent(Verb.STOP))
        yield Commit(stopping, "stop")
        failpoint("stop.after-intent")
        signal = SIGKILL if seconds == 0 else parse_signal(record.spec.stop_signal)
        process.send(record.init, signal, record.cgroup_path)
        failpoint("stop.after-signal")
    elif seconds == 0:
        process.send(record.init, SIGKILL, record.cgroup_path)


def finish_stop(host: Host, session: LockSession, stopping: Stopping, *, cleanup: bool) -> Step:
    """Ends a container whose time is up, and records how it ended.

    Raises:
        StopTimeoutError: it is still there after SIGKILL; its state stays ``stopping``.
        OCIRuntimeError: ``cleanup`` failed; the exit is recorded all the same.
    """
    stopping.close()
    return alone(host, session, stopping.record, finishing(stopping, cleanup=cleanup))


def finishing(stopping: Stopping, *, cleanup: bool) -> Conduct[Step]:
    """Returns ``finish_stop`` as a course."""
    return partial(_finish, stopping, cleanup)


def _finish(stopping: Stopping, cleanup: bool, held: Held) -> Course[Step]:  # noqa: FBT001 - private
    stopping.close()
    step = DONE
    record = held.record
    if record.incarnation != stopping.record.incarnation:
        # Somebody stopped it and started it again: this stop has been served.
        return DONE
    if record.state not in AT_REST:
        step = Step(Outcome.DONE, f"did not stop within {stopping.timeout:g} s and was killed")
        yield from _end(held)
    if cleanup:
        yield from cleaning_up(held)
    return step


def _end(held: Held) -> Course[None]:
    """Kills a held container with SIGKILL and commits how it ended.

    Raises:
        StopTimeoutError: it is still there.
    """
    host, record = held.host, held.record
    init = record.init
    failpoint("stop.before-kill")
    if init is not None:
        process.send(init, SIGKILL, record.cgroup_path)
        deadline = Deadline.after(KILL_PATIENCE)
        yield None  # the others are signalled before this one is waited for
        if (
            process.wait_gone([init], deadline.remaining())
            or record.state is ContainerStatus.PAUSED
        ):
            # A frozen process does not die of a signal alone (cgroup v1).
            end_rest(host, record)
    failpoint("stop.after-kill")
    yield Commit(settled(host, record.but(intent=None)), "died")
    failpoint("stop.after-commit")


def cleaning_up(held: Held) -> Course[None]:
    """Releases what an exited container still has on the host: runtime state, cgroup, mounts."""
    record = held.record
    if record.state is not ContainerStatus.EXITED:
        return
    yield held.meaning(Verb.CLEANUP)
    failpoint("cleanup.after-intent")
    purge(held.host, held.record, interrupted=False)
    failpoint("cleanup.before-commit")
    yield Commit(held.record.but(intent=None), "cleanup")
