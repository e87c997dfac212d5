"""Cgroup directories and the small files in them, which may go away at any time."""

import errno
import os

# A file of a removed cgroup that was opened before says ENODEV.
_GONE = (errno.ENOENT, errno.ENODEV)


def is_gone(error: OSError) -> bool:
    """Says whether an error means that the cgroup is not there."""
    return error.errno in _GONE


def read(path: str) -> bytes:
    """Returns a file of a cgroup, or of /proc, as a whole.

    Raises:
        OSError: as the kernel says.
    """
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        data = os.read(fd, 16384)
        # Small ones come in one piece; only lists, of processes or arguments, can be longer.
        if len(data) < 2048:
            return data
        parts = [data]
        while part := os.read(fd, 65536):
            parts.append(part)
        return b"".join(parts)
    finally:
        os.close(fd)


def find(path: str) -> bytes | None:
    """Returns a file as a whole, or None when it is not there."""
    try:
        return read(path)
    except OSError as error:
        if is_gone(error):
            return None
        raise


def write(path: str, data: bytes) -> None:
    """Writes to a control file, which takes it as a whole or not at all.

    Raises:
        OSError: as the kernel says.
    """
    fd = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
    try:
        os.write(fd, data)
    finally:
        os.close(fd)


def exists(directory: str) -> bool:
    """Says whether a cgroup is there; without the cost of an exception when it isn't."""
    return os.access(directory, os.F_OK)


def tree(directory: str) -> list[str]:
    """Returns a cgroup's directory and those of all below it, parents first; [] when missing."""
    if not exists(directory):
        return []
    found = [directory]
    for each in found:
        found.extend(_children(each))
    return found


def _children(directory: str) -> list[str]:
    try:
        # A directory is linked by its parent, itself and each directory in it. Most have none,
        # and listing the many files of a cgroup costs ten times as much as this.
        if os.stat(directory).st_nlink == 2:
            return []
        with os.scandir(directory) as entries:
            return sorted(entry.path for entry in entries if entry.is_dir(follow_symlinks=False))
    except OSError as error:
        if is_gone(error):
            return []
        raise


def processes(directory: str) -> set[int]:
    """Returns the processes in a cgroup itself, without those below; none when it is not there."""
    try:
        data = read(f"{directory}/cgroup.procs")
    except OSError as error:
        # A threaded cgroup of v2 shows its processes only at the top of its threaded subtree.
        if is_gone(error) or error.errno == errno.EOPNOTSUPP:
            return set()
        raise
    # 0 is a process of a pid namespace that can't be seen from here.
    return {int(pid) for pid in data.split() if pid != b"0"}


def inherit_cpuset(parent: str, child: str) -> None:
    """Gives a v1 cgroup the CPUs and memory nodes of its parent, as far as it has none."""
    for name in ("cpuset.cpus", "cpuset.mems"):
        if not (find(f"{child}/{name}") or b"").strip():
            value = read(f"{parent}/{name}").strip()
            if value:
                write(f"{child}/{name}", value)


def remove_empty(directory: str) -> bool:
    """Removes a cgroup that has neither processes nor cgroups below; False for one that has."""
    try:
        os.rmdir(directory)
    except OSError as error:
        # Where cgroups are read-only, the kernel says so before it looks whether there is one.
        if is_gone(error) or (error.errno == errno.EROFS and not exists(directory)):
            return True
        if error.errno in (errno.EBUSY, errno.ENOTEMPTY):
            return False
        raise
    return True


def remove(directory: str) -> bool:
    """Removes a cgroup's directory and those below; False when something is busy."""
    # It was in most cases removed by the runtime.
    if not exists(directory) or remove_empty(directory):
        return True
    below = tree(directory)
    # Alone and busy: nothing can be done but to wait.
    if len(below) == 1:
        return False
    return all(remove_empty(each) for each in reversed(below))
