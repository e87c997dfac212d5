"""Decides what is true of a container, from what is recorded and what is observed.

A pure function: facts in, decision out, nothing touched. It is the table of ARCHITECTURE.md
("Reconcile") and is tested over all combinations. What is believed, in this order: the exit file,
the process itself, its cgroup; the database last.
"""

from dataclasses import dataclass
from enum import StrEnum

from podcore.model import ALIVE, ContainerStatus
from podcore.records import Verb


class Process(StrEnum):
    """What the container's own process is seen to be doing."""

    GONE = "gone"  # dead, a zombie, or never known
    WAITING = "waiting"  # created by the OCI runtime, its command not started
    STARTED = "started"
    FROZEN = "frozen"  # started, and its cgroup is frozen


class Exit(StrEnum):
    """What the monitor has left behind."""

    RECORDED = "recorded"  # an exit file of this incarnation, readable or not
    PENDING = "pending"  # no exit file yet, but the monitor lives
    LOST = "lost"  # no exit file, and nobody who could write one


class Action(StrEnum):
    """What has to be done before the decided state may be committed, in this order."""

    WAIT_FOR_EXIT = "wait_for_exit"  # give the monitor its time to write the exit file
    PURGE = "purge"  # end everything that is left of this incarnation and remove it
    THAW = "thaw"  # a freeze that was not finished is undone
    END_REST = "end_rest"  # kill what is left in the cgroup after the container's process


@dataclass(frozen=True, slots=True)
class Observation:
    """What is seen of a container on the host.

    Attributes:
        same_boot: the record was committed in this boot.
        process: see ``Process``; of no meaning after a reboot.
        exit: see ``Exit``.
        populated: some process is in its cgroup.
    """

    same_boot: bool
    process: Process
    exit: Exit
    populated: bool


@dataclass(frozen=True, slots=True)
class Decision:
    """What is true now.

    Attributes:
        state: to be committed once the actions are done; EXITED takes code and reason from the
            exit file, or, where there is none, from ``reason``.
        reason: why there is no exit code.
    """

    state: ContainerStatus
    actions: tuple[Action, ...] = ()
    reason: str = ""


MONITOR_LOST = "MonitorLost"
REBOOT = "Reboot"


def decide(state: ContainerStatus, verb: Verb | None, seen: Observation) -> Decision:
    """Returns what is true of a container.

    Args:
        state: as it was last committed.
        verb: of the intent that a dead worker left, or None.
        seen: what is observed; made under the container's lock when the decision is to be
            committed.
    """
    if state is ContainerStatus.REMOVING or verb is Verb.REMOVE:
        # Nobody else may use it any more: whoever removes it next finishes the work.
        return Decision(ContainerStatus.REMOVING)
    if not seen.same_boot:
        return _after_reboot(state, seen)
    if verb is Verb.CREATE:
        # Its caller is dead, and conmon with it as a rule (SIGPIPE on the sync pipe): never adopted.
        return Decision(ContainerStatus.CONFIGURED, (Action.PURGE,))
    if state is ContainerStatus.CONFIGURED:
        rest = (Action.PURGE,) if seen.populated else ()
        return Decision(ContainerStatus.CONFIGURED, rest)
    if verb is Verb.CLEANUP or state is ContainerStatus.EXITED:
        rest = (Action.END_REST,) if seen.populated else ()
        return Decision(ContainerStatus.EXITED, rest)
    if seen.process is Process.GONE:
        return _dead(seen)
    if seen.process is Process.WAITING:
        return Decision(ContainerStatus.CREATED)
    if seen.process is Process.FROZEN:
        return Decision(ContainerStatus.PAUSED)
    thaw = (Action.THAW,) if verb in (Verb.PAUSE, Verb.UNPAUSE) else ()
    return Decision(ContainerStatus.RUNNING, thaw)


def _after_reboot(state: ContainerStatus, seen: Observation) -> Decision:
    if state in ALIVE or state is ContainerStatus.UNKNOWN:
        reason = "" if seen.exit is Exit.RECORDED else REBOOT
        return Decision(ContainerStatus.EXITED, (Action.PURGE,), reason)
    if state is ContainerStatus.EXITED:
        return Decision(ContainerStatus.EXITED, (Action.PURGE,))
    return Decision(ContainerStatus.CONFIGURED, (Action.PURGE,))


def _dead(seen: Observation) -> Decision:
    rest = (Action.END_REST,) if seen.populated else ()
    if seen.exit is Exit.PENDING:
        rest = (Action.WAIT_FOR_EXIT, *rest)
    reason = MONITOR_LOST if seen.exit is Exit.LOST else ""
    return Decision(ContainerStatus.EXITED, rest, reason)
