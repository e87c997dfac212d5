"""Copies of programs in memory, sealed so that nobody can change them, to be run in place of files.

crun protects its own file from the containers it enters (CVE-2019-5736): each time it is run it
makes a copy or a read-only mount of itself and runs that. From a sealed copy it runs at once.
"""

import fcntl
import os
import threading
import weakref

from podcore._core import is_dumpable

# A copy is as large as the program, for each process that holds one.
_LARGEST = 4 << 20
_SEALS = fcntl.F_SEAL_SEAL | fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_WRITE
# Python 3.11 does not know it; kernels before 6.3 don't either, and make all memfds executable.
_MFD_EXEC = 0x10
# Descriptors this high are rare: should this process die just before somebody executes its copy, and
# another one get its pid, that has nothing there.
_HIGH = 900
# What runs from memory does not get the SELinux domain that a label on its file gives it.
_SELINUX = "/sys/fs/selinux/enforce"


class SealedCopy:
    """A program's copy, made when it is first asked for and again when the file has changed.

    Safe to share between threads. The memory is given back when nobody refers to this any more.
    """

    def __init__(self, path: str) -> None:
        self._path = path
        self._lock = threading.Lock()
        self._stamp: tuple[int, ...] | None = None
        self._fd: int | None = None

    def path(self) -> str:
        """Returns what to execute: the copy, as long as this process lives, else the file itself.

        The file it is for a script, for what is large, where SELinux is at work, in a process that
        lets nobody look into it (``PR_SET_DUMPABLE``), and where there is no memory for it.
        """
        try:
            stamp = _stamp(os.stat(self._path))
        except OSError:
            return self._path  # whoever executes it says why that can't be done
        with self._lock:
            if stamp != self._stamp:
                # What is being executed by another thread must stay open: it is freed at the end.
                self._fd, self._stamp = self._copy(stamp), stamp
        return self._path if self._fd is None else f"/proc/{os.getpid()}/fd/{self._fd}"

    def _copy(self, stamp: tuple[int, ...]) -> int | None:
        if os.path.exists(_SELINUX):
            return None
        try:
            if not is_dumpable():
                return None
            fd = _sealed(self._path, stamp)
        except OSError:
            return None  # no memory or no descriptor for what is only faster
        if fd is not None:
            weakref.finalize(self, os.close, fd)
        return fd


def _stamp(status: os.stat_result) -> tuple[int, ...]:
    return status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns


def _sealed(path: str, stamp: tuple[int, ...]) -> int | None:
    """Returns a descriptor of the copy; None where there is nothing to be gained by one.

    Raises:
        OSError: no memory, no descriptor, or the kernel has no executable memory.
    """
    with open(path, "rb", buffering=0) as file:
        data = file.read(_LARGEST + 1)
        # A file that is being written is copied another time.
        if not data.startswith(b"\x7fELF") or len(data) > _LARGEST:
            return None
        if _stamp(os.fstat(file.fileno())) != stamp or len(data) != stamp[2]:
            return None
    fd = _executable_memory(os.path.basename(path))
    try:
        if os.write(fd, data) != len(data):
            raise OSError(f"a copy of `{path}` could not be written whole")
        os.fchmod(fd, 0o500)
        fcntl.fcntl(fd, fcntl.F_ADD_SEALS, _SEALS)
    except OSError:
        os.close(fd)
        raise
    return _high(fd)


def _high(fd: int) -> int:
    """Renumbers a descriptor, where the limit of this process allows it."""
    try:
        high = fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, _HIGH)
    except OSError:
        return fd
    os.close(fd)
    return high


def _executable_memory(name: str) -> int:
    flags = os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING
    try:
        return os.memfd_create(name, flags | _MFD_EXEC)
    except OSError:
        return os.memfd_create(name, flags)
