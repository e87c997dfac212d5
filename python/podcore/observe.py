"""Looks at the host and says what is true of a container, without a lock and without a runtime.

``status``, ``ps`` and ``inspect`` are this on a snapshot of the database: exit files, /proc and the
freezer, never a runtime process. Nothing is written; whoever holds the lock commits what is seen.
"""

import os
import time
from operator import attrgetter

from podcore.backend import Host
from podcore.errors import ContainerRemovedError
from podcore.kernel import process
from podcore.model import ALIVE, AT_REST, ContainerStatus
from podcore.monitor.exits import read_exit
from podcore.names import short
from podcore.reconcile import Action, Exit, Observation, Process, decide
from podcore.records import ContainerRecord, Intent, Verb

PATIENCE = 0.15
"""Seconds that a reader gives conmon to write the exit file of a container that has just died."""

_EXIT_POLL = 0.002


def observe(host: Host, record: ContainerRecord, *, closely: bool = False) -> Observation:
    """Returns what is seen of a container on the host.

    Args:
        host: where to look.
        record: its row.
        closely: for who will act on it: looks also whether the process is a stranger that got its
            pid within one tick of the clock, which costs half as much again and takes an effort.
    """
    same_boot = record.boot_id in ("", host.boot_id)
    seen = _process(host, record) if same_boot else Process.GONE
    if closely and seen is not Process.GONE and _is_stranger(host, record):
        seen = Process.GONE
    left = _exit(host, record) if seen is Process.GONE else Exit.PENDING
    populated = (
        same_boot
        and seen is Process.GONE
        and record.incarnation > 0
        and host.cgroup(record.cgroup_path).populated()
    )
    return Observation(same_boot=same_boot, process=seen, exit=left, populated=populated)


def _process(host: Host, record: ContainerRecord) -> Process:
    if record.init is None or not process.alive(record.init):
        return Process.GONE
    begun = record.state in ALIVE
    if not begun and awaits_start(host, record):
        return Process.WAITING
    if host.cgroup(record.cgroup_path).frozen():
        return Process.FROZEN
    return Process.STARTED


def _is_stranger(host: Host, record: ContainerRecord) -> bool:
    """Whether its pid passed on within the tick that start times are counted in.

    A process that somebody has moved elsewhere is no stranger as long as its monitor waits for it.
    """
    assert record.init is not None, "it is alive"
    return (
        not process.in_cgroup(record.init.pid, record.cgroup_path)
        and _exit(host, record) is not Exit.PENDING
        and not host.cgroup(record.cgroup_path).populated()
    )


def awaits_start(host: Host, record: ContainerRecord) -> bool:
    """Whether a created container has not been started: both runtimes leave a FIFO until then.

    Where the runtime's own state is gone nobody can have started it.
    """
    directory = host.runtime(record.oci_runtime).state_directory(record.id)
    return os.path.exists(f"{directory}/exec.fifo") or not os.path.exists(directory)


def _exit(host: Host, record: ContainerRecord) -> Exit:
    places = host.places
    persisted = f"{places.persist(record.id, record.incarnation)}/exit"
    handed_over = f"{places.attempt(record.id, record.incarnation)}/{record.id}"
    if os.path.lexists(persisted) or os.path.lexists(handed_over):
        return Exit.RECORDED
    if record.monitor is not None and process.alive(record.monitor):
        return Exit.PENDING
    # It may have written the file and gone between the two looks.
    if os.path.lexists(persisted) or os.path.lexists(handed_over):
        return Exit.RECORDED
    return Exit.LOST


def abandoned(host: Host, intent: Intent | None) -> Verb | None:
    """Returns the verb of an intent whose owner is dead; None when there is none or it lives."""
    if intent is None or intent.owner == host.me or process.alive(intent.owner):
        return None
    return intent.verb


def wait_for_exit(host: Host, record: ContainerRecord, seconds: float) -> bool:
    """Waits for the exit file of a dead container while its monitor lives.

    Returns:
        Whether there is one.
    """
    deadline = time.monotonic() + seconds
    while (left := _exit(host, record)) is Exit.PENDING and time.monotonic() < deadline:
        time.sleep(_EXIT_POLL)
    return left is Exit.RECORDED


def with_exit(host: Host, record: ContainerRecord, reason: str) -> ContainerRecord:
    """Returns the record as exited, with what the exit file says, or ``reason`` for no code."""
    places = host.places
    found = read_exit(
        places.persist(record.id, record.incarnation),
        places.attempt(record.id, record.incarnation),
        record.id,
    )
    code, oom, finished = None, False, time.time()
    if found is not None:
        code, reason, oom, finished = found.code, found.reason, found.oom, found.time
    return record.but(
        state=ContainerStatus.EXITED,
        exit_code=code,
        reason=reason,
        oom_killed=oom,
        finished=finished,
        init=None,
        monitor=None,
        intent=None,
    )


def stored(host: Host, which: ContainerRecord) -> ContainerRecord:
    """Returns a container's row as it is stored now.

    Raises:
        ContainerRemovedError: it is gone.
    """
    with host.store.read() as view:
        record = view.container(which.id)
    if record is None:
        raise removed(which)
    return record


def removed(which: ContainerRecord) -> ContainerRemovedError:
    """Returns the error of a container that is gone."""
    return ContainerRemovedError(f"container `{which.name}` ({short(which.id)}) has been removed")


def at_rest(host: Host, record: ContainerRecord) -> bool:
    """Says whether a row needs no look at the host: nothing of it lives, and nobody is at work."""
    return (
        record.intent is None and record.state in AT_REST and record.boot_id in ("", host.boot_id)
    )


def truth(host: Host, record: ContainerRecord, patience: float = PATIENCE) -> ContainerRecord:
    """Returns the record as it is true now; nothing is written.

    A container whose process is dead but whose monitor has not yet said how is ``stopping``.

    Args:
        host: where to look.
        record: of a snapshot.
        patience: seconds to wait for an exit file that is on its way.
    """
    until = time.monotonic() + patience
    while not at_rest(host, record):
        seen = _seen(host, record, max(0.0, until - time.monotonic()))
        if seen.state is record.state:
            return seen
        # What contradicts the row may be a step of somebody who has committed since: a removal
        # thaws a paused container, which never ran again for that.
        with host.store.read() as view:
            now = view.container(record.id)
        if now is None:
            return record.but(state=ContainerStatus.REMOVING)
        if _committed(now) == _committed(record):
            return seen
        record = now
    return record


_committed = attrgetter("state", "incarnation", "intent")
"""What every commit that makes another state true changes."""


def _seen(host: Host, record: ContainerRecord, patience: float) -> ContainerRecord:
    """Returns the record with what is seen on the host, for a row that is not at rest."""
    verb = abandoned(host, record.intent)
    if verb is None and record.intent is not None and record.intent.verb is Verb.CREATE:
        # Somebody is creating it, or takes back what was created ahead: its process is killed then,
        # but it has not exited, as it was never started. What it is is what was committed last.
        return _shown(record, record.state)
    seen = observe(host, record)
    decision = decide(record.state, verb, seen)
    if decision.state is not ContainerStatus.EXITED or record.state is ContainerStatus.EXITED:
        return _shown(record, _stopping(record, verb, decision.state))
    reason = decision.reason
    if Action.WAIT_FOR_EXIT in decision.actions and not wait_for_exit(host, record, patience):
        return _shown(record, ContainerStatus.STOPPING)
    return with_exit(host, record, reason)


def _shown(record: ContainerRecord, state: ContainerStatus) -> ContainerRecord:
    """Returns the record in a state that is seen; how it ended the last time is of no matter then.

    That stays in the row until its start is committed.
    """
    if record.exit_code is not None and (state in ALIVE or state is ContainerStatus.CREATED):
        return record.but(state=state, exit_code=None, reason="", oom_killed=False)
    return record if state is record.state else record.but(state=state)


def _stopping(
    record: ContainerRecord, verb: Verb | None, state: ContainerStatus
) -> ContainerStatus:
    """Returns STOPPING for a running container while the one who stops it lives."""
    stopped = record.intent is not None and record.intent.verb is Verb.STOP and verb is None
    if stopped and state is ContainerStatus.RUNNING:
        return ContainerStatus.STOPPING
    return state
