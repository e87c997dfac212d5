"""Freezes and thaws one container, through the freezer of its cgroup."""

from podcore._core import LockSession
from podcore.backend import Host
from podcore.kernel.failpoints import failpoint
from podcore.lifecycle.course import Course, alone
from podcore.lifecycle.held import Commit, Held
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
    return alone(host, session, which, pausing)


def pausing(held: Held) -> Course[Step]:
    """Is ``pause`` as a course."""
    record = held.record
    if record.state is not ContainerStatus.RUNNING:
        return ignored(f"is {record.state}")
    yield held.meaning(Verb.PAUSE)
    cgroup = held.host.cgroup(record.cgroup_path)
    try:
        failpoint("pause.after-intent")
        cgroup.freeze(FREEZE_TIMEOUT)
        failpoint("pause.before-commit")
    except BaseException:
        cgroup.thaw()
        yield Commit(held.record.but(intent=None))
        raise
    yield Commit(held.record.but(state=ContainerStatus.PAUSED, intent=None), "pause")
    return DONE


def unpause(host: Host, session: LockSession, which: ContainerRecord) -> Step:
    """Thaws a paused container; ignores one in any other state."""
    return alone(host, session, which, unpausing)


def unpausing(held: Held) -> Course[Step]:
    """Is ``unpause`` as a course."""
    host, record = held.host, held.record
    if record.state is not ContainerStatus.PAUSED:
        return ignored(f"is {record.state}")
    yield held.meaning(Verb.UNPAUSE)
    failpoint("unpause.after-intent")
    spread_around(host, held.session, record)
    host.cgroup(record.cgroup_path).thaw()
    failpoint("unpause.before-commit")
    yield Commit(held.record.but(state=ContainerStatus.RUNNING, intent=None), "unpause")
    return DONE
