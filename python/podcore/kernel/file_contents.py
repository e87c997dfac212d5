"""What one file has, given to another: its data, holes as holes, and its extended attributes."""

import errno
import os

_CHUNK = 1 << 20
_LONGEST_UNKNOWN = 64 << 20  # bytes of a file that does not say how long it is
_CAPABILITIES = "security.capability"


def copy_data(source: int, target: int, size: int) -> None:
    """Copies what a file held when it was looked at, holes as holes; it may grow meanwhile.

    Files of /proc and /sys say that they are empty, or a page long: what they have is read.

    Args:
        source: a descriptor of it, with O_NONBLOCK.
        target: one of an empty file.
        size: as it was then, in bytes.

    Raises:
        OSError: as the kernel says.
    """
    if size == 0:
        _copy_until_end(source, target)
        return
    offset = 0
    while offset < size:
        try:
            start = os.lseek(source, offset, os.SEEK_DATA)
        except OSError as error:
            if error.errno == errno.ENXIO:
                # Nothing but a hole up to the end, which may be nearer by now.
                size = min(size, os.fstat(source).st_size)
                break
            raise
        end = min(os.lseek(source, start, os.SEEK_HOLE), size)
        offset = start
        while offset < end:
            data = os.pread(source, min(_CHUNK, end - offset), offset)
            if not data:
                os.ftruncate(target, offset)  # it is no longer than that, or not any more
                return
            _write(target, data, offset)
            offset += len(data)
    os.ftruncate(target, size)


def _copy_until_end(source: int, target: int) -> None:
    offset = 0
    while offset < _LONGEST_UNKNOWN:
        try:
            data = os.pread(source, _CHUNK, offset)
        except OSError as error:
            # What would have to be waited for, or can't be read from its middle, has no end.
            if error.errno in (errno.EAGAIN, errno.ESPIPE, errno.EINVAL) and offset:
                return
            raise
        if not data:
            return
        _write(target, data, offset)
        offset += len(data)


def _write(target: int, data: bytes, offset: int) -> None:
    view = memoryview(data)
    while view:
        written = os.pwrite(target, view, offset)
        view = view[written:]
        offset += written


def copy_attributes(source: int, target: int, *, capabilities: bool) -> list[str]:
    """Copies extended attributes: ``user.*``, and file capabilities if they are wanted.

    Others are left alone, as podman does: ``trusted.*`` and the rest of ``security.*`` belong to
    the host's own file systems and policies.

    Args:
        source: a descriptor of a file or directory, open for reading.
        target: one of its copy.
        capabilities: whether ``security.capability`` is copied.

    Returns:
        The names that the target's file system does not take.

    Raises:
        OSError: as the kernel says; ENOSPC also where they are too large for the file system.
    """
    lost = []
    for name in _names(source):
        if not name.startswith("user.") and not (capabilities and name == _CAPABILITIES):
            continue
        try:
            value = os.getxattr(source, name)
        except OSError as error:
            if error.errno == errno.ENODATA:
                continue  # removed meanwhile
            raise
        try:
            os.setxattr(target, name, value)
        except OSError as error:
            if error.errno not in (errno.EOPNOTSUPP, errno.EPERM):
                raise
            lost.append(name)
    return lost


def _names(source: int) -> list[str]:
    try:
        return sorted(os.listxattr(source))
    except OSError as error:
        if error.errno == errno.EOPNOTSUPP:
            return []
        raise
