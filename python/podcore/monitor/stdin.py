"""The pipe that conmon feeds a container's stdin through, as a client has to look after it.

When a container has closed its stdin, conmon fails to write what a client has sent, and tries again
at once, for as long as the container lives: it takes a whole processor. So a client keeps the pipe
readable as long as it is there, and empties it before it goes, if nobody else can read from it.
"""

import fcntl
import os
import select
from typing import Self

from podcore.deadlines import Deadline
from podcore.kernel import process
from podcore.monitor.fetch import fetch, numbers
from podcore.records import ProcessIdentity

# Of all the pipes that conmon writes to, only this one does not block.
_FLAGS = os.O_WRONLY | os.O_NONBLOCK
_EMPTYING = 1.0
"""Seconds for conmon to get rid of what it has; it needs a few milliseconds."""

_BLOCK = 65536


class Stdin:
    """The readable end of a container's stdin, from which nothing is read while it lives."""

    def __init__(self, monitor: ProcessIdentity, number: int, reader: int) -> None:
        self._monitor = monitor
        self._number = number
        self._reader = reader

    @classmethod
    def of(cls, monitor: ProcessIdentity) -> Self | None:
        """Returns that of a monitor's container; None where it has none or can't be reached."""
        pidfd = process.open_pidfd(monitor)
        if pidfd is None:
            return None
        try:
            for number in numbers(monitor.pid, "pipe"):
                writer = _writer(pidfd, number)
                if writer is not None:
                    return cls(monitor, number, _reading(writer))
        except PermissionError:
            pass  # conmon takes its processor then
        finally:
            os.close(pidfd)
        return None

    def close(self) -> bool:
        """Lets go of it.

        Returns:
            Whether nobody else can read from it: then ``empty`` must be called.
        """
        inode = os.fstat(self._reader).st_ino
        os.close(self._reader)
        self._reader = -1
        pidfd = process.open_pidfd(self._monitor)
        if pidfd is None:
            return False
        try:
            writer = _writer(pidfd, self._number)
        finally:
            os.close(pidfd)
        if writer is None:
            return False  # conmon has closed it: it writes no more
        poll = select.poll()
        poll.register(writer, 0)
        abandoned = os.fstat(writer).st_ino == inode and bool(poll.poll(0))
        if abandoned:
            self._reader = _reading(writer)
        else:
            os.close(writer)
        return abandoned

    def empty(self) -> None:
        """Reads what is left in it until conmon closes it, as it does when its client has gone."""
        deadline = Deadline.after(_EMPTYING)
        poll = select.poll()
        poll.register(self._reader, select.POLLIN)
        try:
            while poll.poll(process.milliseconds(deadline)) and os.read(self._reader, _BLOCK):
                pass
        finally:
            os.close(self._reader)
            self._reader = -1


def _writer(pidfd: int, number: int) -> int | None:
    """Returns a duplicate of conmon's end of the pipe; None where that number is something else."""
    try:
        found = fetch(pidfd, number)
    except (FileNotFoundError, ProcessLookupError):
        return None
    if fcntl.fcntl(found, fcntl.F_GETFL) & (os.O_ACCMODE | os.O_NONBLOCK) == _FLAGS:
        return found
    os.close(found)
    return None


def _reading(writer: int) -> int:
    """Exchanges the writable end of a pipe for the readable one."""
    try:
        return os.open(f"/proc/self/fd/{writer}", os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    finally:
        os.close(writer)
