"""A container's log before it is written to; apart from reading it, which not every start needs."""

import os
import stat

from podcore.errors import MonitorError


def prepare(path: str) -> None:
    """Makes a log ready for another monitor; a missing one is.

    A monitor would wait for ever for the reader of a FIFO, and would go on in the middle of a
    record that a full disk has cut short.

    Raises:
        MonitorError: something else than a regular file is there.
        OSError: it can't be written.
    """
    try:
        found = os.lstat(path)
    except FileNotFoundError:
        return
    if not stat.S_ISREG(found.st_mode):
        raise MonitorError(
            f"the log `{path}` can't be written: it is not a regular file\nhint: remove it"
        )
    if found.st_size == 0:
        return
    fd = os.open(path, os.O_RDWR | os.O_APPEND | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        if os.pread(fd, 1, found.st_size - 1) != b"\n":
            os.write(fd, b"\n")
    finally:
        os.close(fd)
