"""Killing all that is in a cgroup, whatever it does meanwhile."""

import errno
import os
import signal
import time
from typing import TYPE_CHECKING

from podcore.deadlines import Deadline
from podcore.errors import UnsupportedError
from podcore.kernel import cgroupfs, process
from podcore.kernel.freezer import FreezeTimeout

if TYPE_CHECKING:
    from podcore.kernel.cgroup import Cgroup

_HOLD = 0.2  # seconds to freeze for; a cgroup that can't be frozen is killed unfrozen
_SHORTEST, _LONGEST = (
    0.01,
    1.0,
)  # seconds to wait for the end of what was killed, before the next go


def kill(cgroup: "Cgroup", timeout: float) -> list[int]:
    """Kills all processes in a cgroup and below it, frozen ones too, and waits for their end.

    In v2 that is one write. In v1 the cgroup is frozen from the second round on, so that nothing
    forks away while its processes are killed one by one; only processes that are in the cgroup
    get a signal, whatever happens to their pids meanwhile. It is left thawed.

    Args:
        cgroup: missing is fine.
        timeout: seconds.

    Returns:
        Those that are still there, in uninterruptible sleep most likely; [] when it is empty.
    """
    deadline = Deadline.after(timeout)
    patience = _SHORTEST
    hold = False
    while left := cgroup.procs():
        if not kill_at_once(cgroup):
            _kill_each(cgroup, left, hold=hold)
        # A frozen process of v1 dies when it is thawed.
        cgroup.thaw()
        known = [identity for pid in left if (identity := process.identify(pid)) is not None]
        process.wait_gone(known, min(patience, deadline.remaining()))
        if deadline.expired:
            return cgroup.procs()
        # Dead processes leave their cgroup a moment after they became zombies.
        time.sleep(0.0005)
        patience = min(patience * 2, _LONGEST)
        hold = True
    return []


def kill_at_once(cgroup: "Cgroup") -> bool:
    """Kills by ``cgroup.kill`` of v2 (Linux 5.14); False when that doesn't reach everything."""
    unified = cgroup.hierarchies.unified
    if unified is None:
        return False
    try:
        cgroupfs.write(f"{unified}/{cgroup.path}/cgroup.kill", b"1")
    except OSError as error:
        # Not there in older kernels, refused for a threaded cgroup.
        if cgroupfs.is_gone(error) or error.errno in (errno.EOPNOTSUPP, errno.EACCES):
            return False
        raise
    # Beside v1 a process may be in v1 hierarchies only.
    return cgroup.hierarchies.version == "v2"


def _kill_each(cgroup: "Cgroup", pids: list[int], *, hold: bool) -> None:
    if hold:
        try:
            cgroup.freeze(_HOLD)
        except (FreezeTimeout, FileNotFoundError, UnsupportedError):
            pass  # it only helps: what counts is that the cgroup is empty in the end
        pids = cgroup.procs()
    for pid in pids:
        try:
            pidfd = os.pidfd_open(pid)
        except ProcessLookupError:
            continue
        try:
            # Asked after opening: if the pid has passed on meanwhile, the answer is about a
            # stranger, but the signal goes to the one that is gone.
            if process.in_cgroup(pid, cgroup.path):
                signal.pidfd_send_signal(pidfd, signal.SIGKILL)
        except ProcessLookupError:
            continue
        finally:
            os.close(pidfd)
