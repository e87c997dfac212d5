"""Sends one container a signal."""

from functools import partial

from podcore.deadlines import Deadline
from podcore.kernel import process
from podcore.kernel.failpoints import failpoint
from podcore.lifecycle.course import Conduct, Course
from podcore.lifecycle.held import Commit, Held
from podcore.lifecycle.purge import KILL_PATIENCE
from podcore.lifecycle.settle import settled
from podcore.lifecycle.step import DONE, Step, ignored
from podcore.lifecycle.stop import SIGKILL
from podcore.model import ContainerStatus
from podcore.signals import signal_name

_SIGNALLED = {ContainerStatus.RUNNING, ContainerStatus.STOPPING}


def killing(signal: int) -> Conduct[Step]:
    """Returns the course that sends a signal to a process by pidfd; ignores one that does not run.

    After SIGKILL its exit is waited for and recorded (libpod records nothing); it has no deadline
    of its own to wait for. One that is being stopped is signalled too, so that ``kill`` cuts a
    stop short. The container's lock is held all the while.

    Args:
        signal: 1 to 64.
    """
    return partial(_kill, signal)


def _kill(signal: int, held: Held) -> Course[Step]:
    host, record = held.host, held.record
    if record.state not in _SIGNALLED or record.init is None:
        return ignored(f"is {record.state}")
    failpoint("kill.before-signal")
    process.send(record.init, signal, record.cgroup_path)
    failpoint("kill.after-signal")
    if signal != SIGKILL:
        yield Commit(record, "kill", signal_name(signal))
        return DONE
    deadline = Deadline.after(KILL_PATIENCE)
    yield None  # the others are signalled before this one is waited for
    process.wait_gone([record.init], deadline.remaining())
    now = settled(host, record)
    yield Commit(now, "died" if now.state is ContainerStatus.EXITED else "kill")
    return DONE
