"""Files and directories that nobody else may be able to swap, block or read.

Everything here refuses symbolic links where it acts, and what is not a regular file or a directory.
"""

import errno
import itertools
import os
import stat
from collections.abc import Mapping

from podcore import _core
from podcore.errors import InvalidArgumentError, UnsupportedError
from podcore.kernel import exhaustion

_serial = itertools.count()


def make_directory(path: str, mode: int = 0o700) -> None:
    """Makes a directory; one that exists is left as it is.

    Raises:
        ResourceExhaustedError: no space or inodes.
        OSError: anything else, a missing parent included.
    """
    try:
        os.mkdir(path, mode)
    except FileExistsError:
        if not stat.S_ISDIR(os.lstat(path).st_mode):
            raise
    except OSError as error:
        raise exhaustion.typed(error, f"make the directory `{path}`") or error from error


def make_below(parent: str, path: str) -> None:
    """Makes a directory, and its parent only where that is missing: mostly it is there.

    Raises:
        ResourceExhaustedError, OSError: as ``make_directory``.
    """
    try:
        make_directory(path)
    except FileNotFoundError:
        make_directory(parent)
        make_directory(path)


def ensure_private_directory(path: str) -> None:
    """Makes a directory with its missing parents, or checks that one that exists is ours alone.

    Raises:
        InvalidArgumentError: not an absolute path, a symbolic link, not a directory, owned by
            another user, or open to group or others.
        UnsupportedError: it is missing and can't be made (not permitted, read-only file system).
        ResourceExhaustedError: no space or inodes.
    """
    if not os.path.isabs(path):
        raise InvalidArgumentError(f"the directory `{path}` must be an absolute path")
    try:
        found = os.lstat(path)
    except FileNotFoundError:
        _make_private(path)
        found = os.lstat(path)
    except OSError as error:
        raise _unusable(path, error) from error
    if stat.S_ISLNK(found.st_mode):
        raise InvalidArgumentError(
            f"`{path}` is a symbolic link, so whoever owns it decides where state goes\n"
            f"hint: name the directory itself: `{os.path.realpath(path)}`"
        )
    if not stat.S_ISDIR(found.st_mode):
        raise InvalidArgumentError(f"`{path}` is not a directory")
    if found.st_uid != os.geteuid():
        raise InvalidArgumentError(
            f"`{path}` belongs to user {found.st_uid}, not to {os.geteuid()}\n"
            f"hint: use another directory, or `chown {os.geteuid()} {path}` if you trust what is in it"
        )
    if found.st_mode & 0o077:
        raise InvalidArgumentError(
            f"`{path}` has mode {stat.S_IMODE(found.st_mode):04o}, so others can get in\n"
            f"hint: `chmod 700 {path}` if you trust what is in it"
        )


def _make_private(path: str) -> None:
    try:
        os.makedirs(os.path.dirname(path), 0o755, exist_ok=True)
        os.mkdir(path, 0o700)
    except FileExistsError:
        return  # another process was faster; the caller checks what it made
    except OSError as error:
        raise _unusable(path, error) from error


def _unusable(path: str, error: OSError) -> Exception:
    known = exhaustion.typed(error, f"make the directory `{path}`")
    if known is not None:
        return known
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        return UnsupportedError(
            f"the directory `{path}` can't be used: {error.strerror}\n"
            "hint: run as root, or name another directory (`root=`, `run_root=`)"
        )
    return InvalidArgumentError(f"the directory `{path}` can't be used: {error.strerror}")


def write_atomic(path: str, data: bytes, mode: int = 0o600, *, durable: bool = False) -> None:
    """Puts a file in place as a whole: a reader sees the old one or the new one, never a part.

    A symbolic link at ``path`` is replaced, not followed.

    Args:
        path: where.
        data: what.
        mode: permission bits, whatever the umask.
        durable: on disk, name included, before this returns.

    Raises:
        ResourceExhaustedError: no space, inodes or descriptors; the old file is untouched.
        OSError: anything else; the old file is untouched.
    """
    # Process and counter make the name unique; a leftover of a killed process with the same pid
    # is stale, so it is replaced.
    temporary = f"{path}.{os.getpid()}.{next(_serial)}.tmp"
    try:
        _write_new(temporary, data, mode, durable)
        try:
            os.rename(temporary, path)
        except OSError:
            os.unlink(temporary)
            raise
        if durable:
            sync_directory(os.path.dirname(path) or ".")
    except OSError as error:
        raise exhaustion.typed(error, f"write `{path}`") or error from error


def put(directory: str, contents: Mapping[str, bytes], mode: int = 0o600) -> None:
    """Puts files in place as ``write_atomic`` does, but leaves alone which are right already.

    Looking costs a tenth of what a new file does.

    Args:
        directory: refused where it is a symbolic link.
        contents: of each file, by its name in the directory.
        mode: permission bits of those that are written, whatever the umask.

    Raises:
        ResourceExhaustedError, OSError: as ``write_atomic``; those before are in place.
    """
    _put(directory, contents, mode, f"{os.getpid()}.{next(_serial)}.tmp")


def put_new(directory: str, contents: Mapping[str, bytes], mode: int = 0o600) -> None:
    """Writes files into a directory that was just made, before anybody looks at them.

    After a crash one of them may be there in part; that costs half of what ``put`` does.

    Raises:
        ResourceExhaustedError, OSError: as ``put``; FileExistsError where one is there.
    """
    _put(directory, contents, mode, None)


def _put(directory: str, contents: Mapping[str, bytes], mode: int, suffix: str | None) -> None:
    try:
        _core.put_files(directory, list(contents.items()), mode, suffix=suffix)
    except OSError as error:
        raise exhaustion.typed(error, f"write `{error.filename}`") or error from error


def _write_new(path: str, data: bytes, mode: int, durable: bool) -> None:  # noqa: FBT001 - private
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    try:
        fd = os.open(path, flags, mode)
    except FileExistsError:
        os.unlink(path)
        fd = os.open(path, flags, mode)
    try:
        view = memoryview(data)
        while view:
            view = view[os.write(fd, view) :]
        if mode & ~0o700:
            os.fchmod(fd, mode)  # open() obeyed the umask
        if durable:
            os.fdatasync(fd)
    except OSError:
        os.unlink(path)
        raise
    finally:
        os.close(fd)


def sync_directory(path: str) -> None:
    """Makes the names in a directory durable."""
    fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def read_capped(path: str, cap: int) -> bytes:
    """Returns the contents of a regular file that someone else may have put there.

    Args:
        path: not followed when its last part is a symbolic link.
        cap: bytes; the file may not be longer.

    Raises:
        ValueError: a FIFO, a device or a directory, or longer than ``cap``.
        OSError: missing, unreadable, or a symbolic link (ELOOP).
    """
    # O_NONBLOCK: opening a FIFO that nobody writes to would hang.
    fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        if not stat.S_ISREG(os.fstat(fd).st_mode):
            raise ValueError(f"`{path}` is not a regular file")
        parts: list[bytes] = []
        left = cap + 1
        while left > 0 and (part := os.read(fd, min(left, 1 << 20))):
            parts.append(part)
            left -= len(part)
        if left <= 0:
            raise ValueError(f"`{path}` is longer than {cap} bytes")
        return b"".join(parts)
    finally:
        os.close(fd)


def remove_tree(path: str) -> None:
    """Removes a file or a directory with all that is in it; a missing one is fine.

    Symbolic links are removed, never followed, also when something in the tree is swapped for one
    meanwhile. What is mounted below is not entered, so its contents survive.

    Raises:
        InvalidArgumentError: the path ends in nothing, ``.`` or ``..``.
        ResourceExhaustedError: out of descriptors.
        OSError: something could not be removed; EBUSY when something is mounted there.
    """
    parent, name = os.path.split(path.rstrip("/"))
    if name in ("", ".", ".."):
        raise InvalidArgumentError(f"`{path}` does not name something that may be removed")
    try:
        _core.remove_tree(parent or ".", name)
    except OSError as error:
        raise exhaustion.typed(error, f"remove `{path}`") or error from error


def mount_id(fd: int) -> int:
    """Returns which mount an open file is in; unlike a device number it tells bind mounts apart."""
    info = os.open(f"/proc/self/fdinfo/{fd}", os.O_RDONLY | os.O_CLOEXEC)
    try:
        _, found, rest = os.read(info, 4096).partition(b"mnt_id:")
    finally:
        os.close(info)
    if not found:
        raise OSError(errno.ENOTSUP, "the kernel doesn't say in which mount a file is")
    return int(rest.split(None, 1)[0])
