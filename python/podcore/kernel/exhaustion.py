"""What a failed system call says that the host has run out of."""

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager

from podcore.errors import PodcoreError, ResourceExhaustedError

_WHAT = {
    errno.ENOSPC: ("no space or inodes left", "free some, then try again"),
    errno.EDQUOT: ("the disk quota is used up", "free some space, then try again"),
    errno.EMFILE: ("this process has too many open files", "raise `ulimit -n`"),
    errno.ENFILE: ("the host has too many open files", "raise sysctl `fs.file-max`"),
    errno.ENOMEM: ("out of memory", "free memory or raise the limit of this process's cgroup"),
    errno.EAGAIN: (
        "no more processes are allowed",
        "raise `ulimit -u`, sysctl `kernel.pid_max` or the pids limit of this process's cgroup",
    ),
}


def typed(error: OSError, doing: str) -> ResourceExhaustedError | None:
    """Returns the typed form of an error that says that the host is out of something, else None.

    EAGAIN counts, so this is not for descriptors in non-blocking mode.

    Args:
        error: what a system call raised.
        doing: what could not be done, such as ``write `/var/lib/podcore/x```.
    """
    known = _WHAT.get(error.errno or 0)
    if known is None:
        return None
    what, remedy = known
    reason = os.strerror(error.errno or 0)
    return ResourceExhaustedError(
        f"could not {doing}: {what} ({reason})\nhint: {remedy}", error.errno
    )


@contextmanager
def naming_exhaustion(doing: str) -> Iterator[None]:
    """Gives errors of system calls that say that the host is out of something their typed form.

    Args:
        doing: what could not be done.

    Raises:
        ResourceExhaustedError: instead of such an error; any other passes.
    """
    try:
        yield
    except OSError as error:
        better = None if isinstance(error, PodcoreError) else typed(error, doing)
        if better is None:
            raise
        raise better from error
