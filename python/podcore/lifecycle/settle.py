"""Makes a container's row true again, under its lock: the recovery after any crash.

An intent seen while holding the lock means that its owner died, but for a stop, which waits for
the container without the lock.
"""

from podcore.backend import Host
from podcore.kernel import process
from podcore.lifecycle.purge import end_rest, end_runtimes, purge
from podcore.model import ContainerStatus
from podcore.observe import at_rest, observe, wait_for_exit, with_exit
from podcore.reconcile import MONITOR_LOST, Action, decide
from podcore.records import ContainerRecord, Verb

EXIT_PATIENCE = 5.0
"""Seconds that a living conmon gets to write the exit file of a dead container (CRI-O's figure)."""

_RUNTIME_VERBS = {Verb.START: b"start", Verb.CLEANUP: b"delete"}
"""What a runtime process was told to do that outlives the worker of an intent; that of a create
ends with everything else of the attempt."""


def settled(host: Host, record: ContainerRecord) -> ContainerRecord:
    """Returns the row as it is true now, after doing what that takes; the caller commits it.

    The very same object comes back when there is nothing to commit. Its intent is gone, unless it
    is that of a stop whose owner lives.

    Raises:
        StopTimeoutError: processes that had to be ended are still there.
    """
    if at_rest(host, record):
        return record
    verb = _left_behind(host, record)
    if verb in _RUNTIME_VERBS:
        end_runtimes(host, record, _RUNTIME_VERBS[verb])
    seen = observe(host, record, closely=True)
    decision = decide(record.state, verb, seen)
    reason = decision.reason
    if Action.WAIT_FOR_EXIT in decision.actions and not wait_for_exit(host, record, EXIT_PATIENCE):
        reason = MONITOR_LOST
    if Action.THAW in decision.actions:
        host.cgroup(record.cgroup_path).thaw()
    if Action.END_REST in decision.actions:
        end_rest(host, record)
    now = record
    if decision.state is ContainerStatus.EXITED and record.state is not ContainerStatus.EXITED:
        now = with_exit(host, record, reason)
    if Action.PURGE in decision.actions:
        purge(host, record)
        now = now.but(init=None, monitor=None)
    now = _with_state(now, decision.state, verb, record)
    if not seen.same_boot:
        now = now.but(boot_id=host.boot_id)
    return record if now is record or now == record else now


def _left_behind(host: Host, record: ContainerRecord) -> Verb | None:
    """Returns the verb that nobody is at work on any more."""
    intent = record.intent
    if intent is None or (intent.verb is Verb.STOP and intent.owner == host.me):
        return None
    if intent.verb is Verb.STOP and process.alive(intent.owner):
        return None
    return intent.verb


def _with_state(
    now: ContainerRecord, state: ContainerStatus, verb: Verb | None, before: ContainerRecord
) -> ContainerRecord:
    """Returns the row with the decided state; a stop that is under way stays one."""
    stopping = before.intent is not None and before.intent.verb is Verb.STOP and verb is None
    if stopping and state is ContainerStatus.RUNNING:
        return now
    if now.state is state and now.intent is None:
        return now
    intent = now.intent if state is ContainerStatus.REMOVING else None
    return now.but(state=state, intent=intent)
