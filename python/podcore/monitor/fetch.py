"""Descriptors of another process."""

import errno
import os

_SYS_PIDFD_GETFD = 438


def fetch(pidfd: int, number: int) -> int:
    """Returns a duplicate of a descriptor of another process (pidfd_getfd(2)).

    Raises:
        PermissionError: this host does not permit that.
        FileNotFoundError: it is closed by now.
        ProcessLookupError: the process is gone.
        OSError: out of descriptors.
    """
    # Not at the top: it costs milliseconds, and only who attaches needs it.
    import ctypes

    # The C library of Debian 12 has no function of that name yet.
    found: int = ctypes.CDLL(None, use_errno=True).syscall(_SYS_PIDFD_GETFD, pidfd, number, 0)
    if found < 0:
        problem = ctypes.get_errno()
        # A descriptor that is closed by now is gone, like its link in /proc.
        raise OSError(errno.ENOENT if problem == errno.EBADF else problem, os.strerror(problem))
    return found


def numbers(pid: int, kind: str) -> list[int]:
    """Returns the numbers of a process's descriptors of a kind, ascending; none when it is gone.

    Args:
        pid: the process.
        kind: ``socket`` or ``pipe``.
    """
    found = []
    try:
        for entry in os.listdir(f"/proc/{pid}/fd"):
            try:
                if os.readlink(f"/proc/{pid}/fd/{entry}").startswith(f"{kind}:"):
                    found.append(int(entry))
            except FileNotFoundError:
                continue  # closed meanwhile
    except (FileNotFoundError, ProcessLookupError):
        return []
    return sorted(found)
