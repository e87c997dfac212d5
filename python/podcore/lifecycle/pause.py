"""Freezes and thaws one container, through the freezer of its cgroup."""

from podcore.kernel.failpoints import failpoint
from podcore.lifecycle.course import Course
from podcore.lifecycle.held import Commit, Held
from podcore.lifecycle.step import DONE, Step, ignored
from podcore.lifecycle.whole import spread_around
from podcore.model import ContainerStatus
from podcore.records import Verb

FREEZE_TIMEOUT = 10.0
"""Seconds until every process of a container must be frozen."""


def pausing(held: Held) -> Course[Step]:
    """Freezes a running container; ignores one in any other state.

    Both runtimes read the paused state off the freezer, so it is as if they had done it.

    Raises:
        TimeoutError: some process can't be frozen; all are thawed again.
    """
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


def unpausing(held: Held) -> Course[Step]:
    """Thaws a paused container; ignores one in any other state."""
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
