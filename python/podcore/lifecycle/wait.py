"""Waits for one container to exit, without a lock."""

import os
import select
import time

from podcore.backend import Host
from podcore.deadlines import Deadline
from podcore.kernel import process
from podcore.model import ContainerStatus
from podcore.names import short
from podcore.observe import stored, truth
from podcore.records import ContainerRecord

_POLL = 0.05
"""Seconds between two looks at a container that has no process yet, or whose exit is on its way."""


def wait(host: Host, which: ContainerRecord, timeout: float | None) -> int | None:
    """Waits until a container has exited; one that was never started is waited for too.

    Args:
        host: of the engine.
        which: the container.
        timeout: seconds; None waits for ever.

    Returns:
        Its exit code; None when nobody can know it.

    Raises:
        TimeoutError: it had not exited in time.
        ContainerRemovedError: it was removed.
    """
    deadline = Deadline.after(timeout)
    while True:
        now = truth(host, stored(host, which))
        if now.state is ContainerStatus.EXITED:
            return now.exit_code
        if deadline.expired:
            message = (
                f"container `{which.name}` ({short(which.id)}) is still {now.state} "
                f"after {timeout:g} s"
            )
            raise TimeoutError(message)
        _wait_for_change(now, deadline)


def _wait_for_change(record: ContainerRecord, deadline: Deadline) -> None:
    pidfd = None if record.init is None else process.open_pidfd(record.init)
    if pidfd is None:
        time.sleep(min(deadline.remaining(), _POLL))
        return
    try:
        poll = select.poll()
        poll.register(pidfd, select.POLLIN)
        poll.poll(process.milliseconds(deadline))
    finally:
        os.close(pidfd)
