"""Which containers a process works for, by its command line."""

import os
import re

from podcore.records import ProcessIdentity

_ID = re.compile(rb"[0-9a-f]{64}")


def ids_in(argv: list[bytes]) -> list[str]:
    """Returns the ids of containers that are arguments of a command line."""
    return [part.decode() for part in argv if _ID.fullmatch(part)]


def ids_of(one: ProcessIdentity) -> list[str]:
    """Returns those of a process; none when it is gone."""
    try:
        fd = os.open(f"/proc/{one.pid}/cmdline", os.O_RDONLY | os.O_CLOEXEC)
    except (FileNotFoundError, ProcessLookupError):
        return []
    try:
        # A monitor's takes about a kilobyte.
        return ids_in(os.read(fd, 1 << 17).split(b"\0"))
    except ProcessLookupError:
        return []
    finally:
        os.close(fd)
