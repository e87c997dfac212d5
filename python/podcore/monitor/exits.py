"""The exit files that conmon leaves: which code a container ended with, and when.

conmon writes ``<persist dir>/exit`` and then ``<exit dir>/<id>``, each by renaming a complete file
into place. The exit directory may be on a disk that is gone after a reboot, or full; the persist
directory is on the one that the state is on, so it is looked at first. Each incarnation of a
container has directories of its own, so a file that is there is this incarnation's.
"""

import errno
import os
import re
from dataclasses import dataclass

from podcore.kernel.files import read_capped

_CODE = re.compile(rb"\A(\d{1,3})\n?\Z")
_CAP = 64
# A symbolic link, a socket or something without a driver behind it, not permitted.
_OF_THE_FILE = (errno.ELOOP, errno.ENXIO, errno.EACCES, errno.EPERM)


@dataclass(frozen=True, slots=True)
class Exit:
    """How a container ended.

    Attributes:
        code: 128 and the number of the signal where one ended it; None when nobody can know.
        reason: why there is no code, beginning with ``ExitUnknown``; "" when there is one.
        oom: the kernel killed a process of it for want of memory.
        time: when the file was written, seconds since the epoch.
    """

    code: int | None
    reason: str
    oom: bool
    time: float


def read_exit(persist_dir: str, exit_dir: str, container_id: str) -> Exit | None:
    """Returns how a container ended; None when no monitor has said that it has.

    Whatever else than a small regular file with a number is found gives an ``Exit`` without a
    code, unless the other copy has one. Never waits, follows no symbolic link.

    Raises:
        OSError: out of descriptors or memory, or the disk fails; a file that can't be opened for
            other reasons is an unknown exit.
    """
    unknown: Exit | None = None
    for path in (f"{persist_dir}/exit", f"{exit_dir}/{container_id}"):
        try:
            time = os.lstat(path).st_mtime
            data = read_capped(path, _CAP)
        except (FileNotFoundError, NotADirectoryError):
            continue
        except ValueError as error:
            why = str(error)
        except OSError as error:
            if error.errno not in _OF_THE_FILE:
                raise
            why = f"`{path}`: {error.strerror}"
        else:
            if (known := _CODE.match(data)) and int(known[1]) <= 255:
                return Exit(int(known[1]), "", _out_of_memory(persist_dir), time)
            why = f"`{path}` says {data!r}"
        unknown = unknown or Exit(None, f"ExitUnknown: {why}", _out_of_memory(persist_dir), time)
    return unknown


def _out_of_memory(persist_dir: str) -> bool:
    return os.path.lexists(f"{persist_dir}/oom")
