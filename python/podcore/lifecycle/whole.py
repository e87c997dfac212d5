"""The verbs that reach all containers of a pod at once, by one write to its cgroup (v2 only).

What is written there reaches the infra container too. A frozen one does what it did before, nothing;
a killed one is started again with the pod. In v1 there is no such write to kill, and a cgroup below
a frozen one can't be thawed by itself, so there each container is killed and frozen on its own.
"""

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager

from podcore._core import LockSession
from podcore.backend import Host
from podcore.kernel import process
from podcore.kernel.failpoints import failpoint
from podcore.lifecycle.held import Held, hold
from podcore.lifecycle.purge import KILL_PATIENCE
from podcore.lifecycle.settle import settled
from podcore.lifecycle.step import DONE, Step, ignored
from podcore.model import AT_REST, ContainerKind, ContainerStatus
from podcore.observe import abandoned
from podcore.records import ContainerRecord, PodRecord, Verb

FREEZE_TIMEOUT = 10.0
"""Seconds until every process of a pod must be frozen."""

_RUNS = frozenset({ContainerStatus.RUNNING, ContainerStatus.STOPPING})


def kill(
    host: Host, session: LockSession, pod: PodRecord, rows: Sequence[ContainerRecord]
) -> Mapping[str, Step] | None:
    """Kills all that run in a pod with SIGKILL, and records how they ended.

    Holds all their locks meanwhile.

    Args:
        host: of the engine.
        session: the calling thread's.
        pod: its lock is held.
        rows: all its containers.

    Returns:
        What was done to each; None when nothing was, as one must be spared or this host can't:
        then each is to be killed by itself.
    """
    if not host.hierarchies.whole:
        return None
    with _all(host, session, rows) as held:
        if not _only(held, _RUNS | AT_REST):
            return None
        failpoint("kill-pod.before-kill")
        if not host.cgroup(pod.cgroup_path).kill_at_once():
            return None
        failpoint("kill-pod.after-kill")
        steps = {}
        for one in held:
            record = one.record
            if record.state not in _RUNS or record.init is None:
                steps[record.id] = ignored(f"is {record.state}")
                continue
            process.wait_gone([record.init], KILL_PATIENCE)
            now = settled(host, record)
            one.commit(now, "died" if now.state is ContainerStatus.EXITED else "kill")
            failpoint("kill-pod.after-commit")
            steps[record.id] = DONE
        return steps


def pause(
    host: Host, session: LockSession, pod: PodRecord, rows: Sequence[ContainerRecord]
) -> Mapping[str, Step] | None:
    """Freezes all that run in a pod.

    Which of them are paused say their rows alone: ``spread`` goes by them. Holds all their locks
    meanwhile.

    Returns:
        As ``kill``.

    Raises:
        TimeoutError: some process can't be frozen; all are thawed again.
    """
    if not host.hierarchies.whole:
        return None
    with _all(host, session, rows) as held:
        if not _only(held, AT_REST | {ContainerStatus.RUNNING, ContainerStatus.PAUSED}):
            return None
        running = [
            one
            for one in held
            if one.record.state is ContainerStatus.RUNNING
            and one.record.kind is not ContainerKind.INFRA
        ]
        if not running:
            return None
        _commit(host, session, [(one, {"intent": one.intent(Verb.PAUSE)}) for one in running])
        cgroup = host.cgroup(pod.cgroup_path)
        try:
            failpoint("pause-pod.after-intents")
            cgroup.freeze(FREEZE_TIMEOUT)
            failpoint("pause-pod.before-commit")
            paused = {"state": ContainerStatus.PAUSED, "intent": None}
            _commit(host, session, [(one, paused) for one in running], "pause")
        except BaseException:
            cgroup.thaw_itself()
            _commit(host, session, [(one, {"intent": None}) for one in running])
            raise
        failpoint("pause-pod.after-commit")
        done = {one.record.id for one in running}
        return {
            one.record.id: DONE if one.record.id in done else ignored(f"is {one.record.state}")
            for one in held
        }


def spread(host: Host, pod_id: str, pod_cgroup: str) -> None:
    """Freezes the paused containers of a frozen pod one by one, then thaws the pod itself.

    So that another one can be started. Nothing to do is the rule; otherwise it holds the locks of
    all members, for a ``pause`` of all that is under way has written no row yet. Call with no
    container's lock held.
    """
    if not _frozen(host, pod_cgroup):
        return
    with host.store.read() as view:
        rows = view.containers(pod_id)
    # The infra container is frozen and thawed with the others, but is never paused.
    members = [row for row in rows if row.kind is not ContainerKind.INFRA]
    with host.session("thaw a pod") as session, _all(host, session, members):
        _spread(host, session, pod_id, pod_cgroup)


def spread_around(host: Host, session: LockSession, record: ContainerRecord) -> None:
    """Does so in the pod of a container that is to be thawed; its lock is held.

    That lock alone keeps a ``pause`` of all out.
    """
    cgroup = os.path.dirname(record.cgroup_path)
    if _frozen(host, cgroup):
        _spread(host, session, record.pod_id, cgroup)


def _frozen(host: Host, pod_cgroup: str) -> bool:
    return host.hierarchies.whole and host.cgroup(pod_cgroup).frozen()


def _spread(host: Host, session: LockSession, pod_id: str, pod_cgroup: str) -> None:
    # Two at a time would freeze again what the other one has just thawed: the store's lock is the
    # one that both can still take. No write here waits for anything: all is frozen already.
    with host.store.write(session) as change:
        if not host.cgroup(pod_cgroup).frozen():
            return
        for row in change.containers(pod_id):
            paused = row.state is ContainerStatus.PAUSED
            if row.kind is not ContainerKind.INFRA and (
                paused or abandoned(host, row.intent) is Verb.PAUSE
            ):
                host.cgroup(row.cgroup_path).freeze(FREEZE_TIMEOUT)
        failpoint("spread.after-freeze")
        host.cgroup(pod_cgroup).thaw_itself()
        failpoint("spread.after-thaw")


@contextmanager
def _all(host: Host, session: LockSession, rows: Sequence[ContainerRecord]) -> Iterator[list[Held]]:
    with ExitStack() as stack:
        # Ascending: the one order of locks.
        ordered = sorted(rows, key=lambda row: row.number)
        yield [stack.enter_context(hold(host, session, row)) for row in ordered]


def _only(held: Sequence[Held], states: frozenset[ContainerStatus]) -> bool:
    return all(
        one.record.state in states for one in held if one.record.kind is not ContainerKind.INFRA
    )


def _commit(
    host: Host,
    session: LockSession,
    changes: Sequence[tuple[Held, Mapping[str, object]]],
    event: str = "",
) -> None:
    """Commits rows in one transaction."""
    with host.store.write(session) as change:
        for one, fields in changes:
            record = one.record.but(**fields)
            change.save_container(record)
            if event:
                change.event("container", record.id, event)
    for one, fields in changes:
        one.record = one.record.but(**fields)
