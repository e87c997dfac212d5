"""Whether a container that has exited is about to be started again, by a restart that goes on.

A restart leaves a container exited between its stop and its start, and nobody but that restart knows
that it will be started. So the restart holds an OFD lock on the container's byte in a file of its
own, for as long as it works; a reader only asks whether anybody holds one. It is never waited for,
so it has no place in the order of locks, and the kernel frees it when its holder dies.
"""

import fcntl
import os
import struct
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from podcore.backend import Host
from podcore.records import ContainerRecord

# struct flock of 64-bit Linux: type, whence, start, length, pid.
_FLOCK = struct.Struct("hhqqi0q")


@contextmanager
def restarting(host: Host, records: Iterable[ContainerRecord]) -> Iterator[None]:
    """Says of some containers that they are being restarted, until the block is left.

    Raises:
        OSError: out of descriptors, or the run directory can't be written to.
    """
    flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
    fd = os.open(host.places.restarts, flags, 0o600)
    try:
        for record in records:
            # Shared: two restarts of one container wait for each other elsewhere.
            fcntl.fcntl(fd, fcntl.F_OFD_SETLK, _lock(fcntl.F_RDLCK, record.number))
        yield
    finally:
        os.close(fd)


def is_restarting(host: Host, record: ContainerRecord) -> bool:
    """Says whether a restart of a container goes on, in any process."""
    try:
        fd = os.open(host.places.restarts, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except FileNotFoundError:
        return False  # nothing was ever restarted
    try:
        found = fcntl.fcntl(fd, fcntl.F_OFD_GETLK, _lock(fcntl.F_WRLCK, record.number))
    finally:
        os.close(fd)
    return bool(_FLOCK.unpack(found)[0] != fcntl.F_UNLCK)


def _lock(kind: int, number: int) -> bytes:
    return _FLOCK.pack(kind, os.SEEK_SET, number, 1, 0)
