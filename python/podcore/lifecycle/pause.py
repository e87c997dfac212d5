"""Freezes and thaws one container, through the freezer of its cgroup."""

from podcore._core import LockSession
from podcore.backend import Host
from podcore.kernel.failpoints import failpoint
from podcore.lifecycle.held import hold
from podcore.lifecycle.step import DONE, Step, ignored
from podcore.lifecycle.whole import spread_around
from podcore.model import ContainerStatus
from podcore.records import ContainerRecord, Verb

FREEZE_TIMEOUT = 10.0
"""Seconds until every process of a container must be frozen."""


def pause(host: Host, session: LockSession, which: ContainerRecord) -> Step:
    """Freezes a running container; ignores one in any other state.

    Both runtimes read the paused state off the freezer, so it is as if they had done it.

    Raises:
        TimeoutError: some process can't be frozen; all are thawed again.
    """
    with hold(host, session, which) as held:
        record = held.record
        if record.state is not ContainerStatus.RUNNING:
            return ignored(f"is {record.state}")
        held.intend(Verb.PAUSE)
        cgroup = host.cgroup(record.cgroup_path)
        try:
            failpoint("pause.after-intent")
            cgroup.freeze(FREEZE_TIMEOUT)
            failpoint("pause.before-commit")
        except BaseException:
            cgroup.thaw()
            held.commit(held.record.but(intent=None))
            raise
        held.commit(held.record.but(state=ContainerStatus.PAUSED, intent=None), "pause")
        return DONE


def unpause(host: Host, session: LockSession, which: ContainerRecord) -> Step:
    """Thaws a paused container; ignores one in any other state."""
    with hold(host, session, which) as held:
        record = held.record
        if record.state is not ContainerStatus.PAUSED:
            return ignored(f"is {record.state}")
        held.intend(Verb.UNPAUSE)
        failpoint("unpause.after-intent")
        spread_around(host, session, record)
        host.cgroup(record.cgroup_path).thaw()
        failpoint("unpause.before-commit")
        held.commit(held.record.but(state=ContainerStatus.RUNNING, intent=None), "unpause")
        return DONE
