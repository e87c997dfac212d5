"""Copies files and directories into and out of a root file system that nobody can vouch for.

A process in there may swap anything for a link at any time. So paths are resolved by the kernel
within that root (openat2), every further step goes by the descriptor of an open directory and
follows no link, and what is opened for reading is known to be a regular file before it is.
"""

import errno
import itertools
import os
import stat
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager

from podcore import _core
from podcore.errors import InvalidArgumentError
from podcore.kernel import exhaustion

_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_PATH = os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC
_CHUNK = 1 << 20
# Two descriptors are open per level.
_DEEPEST = 200
_KINDS = {
    stat.S_IFIFO: "a FIFO",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
}
_serial = itertools.count()


def copy_in(root: str | int, source: str, target: str) -> None:
    """Copies a file, a symbolic link or a directory of the host into a root file system.

    Modes and times are kept, links copied as they are; the owner is root. A file or link that is
    there is replaced as a whole, a directory is added to. After an error, what was copied stays.

    Args:
        root: the root directory's path, or a descriptor of it, which stays open.
        source: a path of the host; with ``/.`` at its end, what is in the directory.
        target: a path inside; an existing directory is copied into, under the source's name.

    Raises:
        InvalidArgumentError: the source or the directory of the target is missing, a file would
            replace a directory or the other way round, a device, socket or FIFO is in the way, or
            the target is in the source.
        ResourceExhaustedError: no space, inodes or descriptors.
        OSError: anything else.
    """
    with _typed(f"copy `{source}` to `{target}` inside"), ExitStack() as opened:
        top = _open_root(root, opened)

        def open_inside(path: str) -> int:
            return _core.open_in_root(top, path, os.O_PATH | os.O_DIRECTORY, 0)

        _Copy(setuid=True).copy(
            _Place(source, "on the host", _open_outside, opened),
            _Place(target, "inside", open_inside, opened),
        )


def copy_out(root: str | int, source: str, target: str) -> None:
    """Copies a file, a symbolic link or a directory of a root file system to the host.

    As ``copy_in``, with the places exchanged. Setuid and setgid bits are dropped: whoever wrote
    the file has no say about who runs what on the host. Files belong to the caller.

    Raises:
        InvalidArgumentError, ResourceExhaustedError, OSError: as ``copy_in``.
    """
    with _typed(f"copy `{source}` from inside to `{target}`"), ExitStack() as opened:
        top = _open_root(root, opened)

        def open_inside(path: str) -> int:
            return _core.open_in_root(top, path, os.O_PATH | os.O_DIRECTORY, 0)

        _Copy(setuid=False).copy(
            _Place(source, "inside", open_inside, opened),
            _Place(target, "on the host", _open_outside, opened),
        )


def fill(root: str, source: str, target: str) -> bool:
    """Copies what is in a directory of a root file system into a new one of podcore's own.

    As ``copy_in``, but owners, setuid bits and the mode of the directory itself are kept: it
    takes the place of the one inside.

    Args:
        root: the root directory's path.
        source: a path inside.
        target: an empty directory of the host that nobody else writes to.

    Returns:
        Whether there is such a directory; where there is none, nothing was done.

    Raises:
        InvalidArgumentError, ResourceExhaustedError, OSError: as ``copy_in``.
    """
    with _typed(f"copy `{source}` from inside to `{target}`"), ExitStack() as opened:
        top = _open_root(root, opened)

        def open_inside(path: str) -> int:
            return _core.open_in_root(top, path, os.O_PATH | os.O_DIRECTORY, 0)

        contents = _Place(f"{source}/.", "inside", open_inside, opened)
        directory = contents.directory()
        if directory is None:
            return False
        _Copy(setuid=True, owners=True).copy(
            contents, _Place(target, "on the host", _open_outside, opened)
        )
        status = os.fstat(directory)
        os.chown(target, status.st_uid, status.st_gid)
        os.chmod(target, stat.S_IMODE(status.st_mode))
        return True


@contextmanager
def _typed(doing: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if known := exhaustion.typed(error, doing):
            raise known from error
        raise


def _open_root(root: str | int, opened: ExitStack) -> int:
    if isinstance(root, int):
        return root
    fd = os.open(root, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    opened.callback(os.close, fd)
    return fd


def _open_outside(path: str) -> int:
    return os.open(path, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)


class _Place:
    """A path that was asked for: a name in an open directory, or that directory itself."""

    __slots__ = ("_open", "_opened", "path", "where")

    def __init__(
        self, path: str, where: str, open_directory: Callable[[str], int], opened: ExitStack
    ) -> None:
        if not path or "\0" in path:
            raise InvalidArgumentError(f"`{path!r}` is not a path")
        self.path = path
        self.where = where
        self._open = open_directory
        self._opened = opened

    def name(self) -> str:
        """Returns the last part; "" when what is in the directory is meant."""
        name = os.path.basename(self.path.rstrip("/"))
        return "" if name in (".", "..") else name

    def parent(self) -> int:
        """Returns the directory that holds the last part."""
        path = os.path.dirname(self.path.rstrip("/")) or ("/" if self.path[0] == "/" else ".")
        fd = self.directory(path)
        if fd is None:
            raise InvalidArgumentError(
                f"the directory `{path}` does not exist {self.where}\nhint: make it first"
            )
        return fd

    def directory(self, path: str | None = None) -> int | None:
        """Returns the directory itself; None when it is none."""
        try:
            fd = self._open(self.path if path is None else path)
        except OSError as error:
            if error.errno in (errno.ENOENT, errno.ENOTDIR):
                return None
            raise
        self._opened.callback(os.close, fd)
        return fd

    def missing(self) -> InvalidArgumentError:
        return InvalidArgumentError(f"`{self.path}` does not exist {self.where}")


class _Level:
    """A directory that is being copied.

    ``status`` is what the copy takes mode and times from; None leaves its own.
    """

    __slots__ = ("into", "names", "source", "status")

    def __init__(self, source: int, into: int, status: os.stat_result | None) -> None:
        self.source = source
        self.into = into
        self.status = status
        self.names = iter(sorted(os.listdir(source)))


class _Copy:
    """One copy; knows what to keep of a file's mode and owner."""

    __slots__ = ("_bits", "_owners", "_top")

    def __init__(self, *, setuid: bool, owners: bool = False) -> None:
        self._bits = 0o7777 if setuid else 0o1777
        self._owners = owners
        self._top: tuple[int, int] | None = None

    def copy(self, source: _Place, target: _Place) -> None:
        name = source.name()
        into = target.directory()
        if not name:
            inner = source.directory()
            if inner is None:
                raise source.missing()
            if into is None:
                raise target.missing()
            self._tree(inner, ".", into, ".", source.path)
            return
        holder = source.parent()
        try:
            status = os.stat(name, dir_fd=holder, follow_symlinks=False)
        except FileNotFoundError:
            raise source.missing() from None
        if into is None:
            new_name = target.name()
            if not new_name or (target.path.endswith("/") and not stat.S_ISDIR(status.st_mode)):
                raise InvalidArgumentError(
                    f"the directory `{target.path}` does not exist {target.where}"
                )
            into, name_there = target.parent(), new_name
        else:
            name_there = name
        if stat.S_ISDIR(status.st_mode):
            self._tree(holder, name, into, name_there, source.path)
        else:
            self._entry(holder, name, into, name_there, source.path)

    def _tree(self, holder: int, name: str, into: int, new_name: str, path: str) -> None:
        levels: list[_Level] = []
        try:
            levels.append(self._enter(holder, name, into, new_name, path))
            while levels:
                level = levels[-1]
                below = next(level.names, None)
                if below is None:
                    self._finish(levels.pop())
                    continue
                status = _status(level.source, below)
                if status is None:
                    continue  # removed meanwhile
                if not stat.S_ISDIR(status.st_mode):
                    self._entry(level.source, below, level.into, below, f"{path}/…/{below}")
                    continue
                if len(levels) >= _DEEPEST:
                    raise InvalidArgumentError(
                        f"`{path}` has more than {_DEEPEST} levels of directories"
                    )
                levels.append(self._enter(level.source, below, level.into, below, path))
        finally:
            for level in levels:
                os.close(level.source)
                os.close(level.into)

    def _enter(self, holder: int, name: str, into: int, new_name: str, path: str) -> _Level:
        source = os.open(name, _DIRECTORY, dir_fd=holder)
        try:
            status = os.fstat(source)
            if self._top == (status.st_dev, status.st_ino):
                raise InvalidArgumentError(f"`{path}` can't be copied into itself")
            target = _make_directory(into, new_name)
        except BaseException:
            os.close(source)
            raise
        try:
            if self._top is None:
                made = os.fstat(target)
                self._top = (made.st_dev, made.st_ino)
                if self._top == (status.st_dev, status.st_ino):
                    raise InvalidArgumentError(f"`{path}` can't be copied into itself")
            # Where only the contents were asked for, the directory itself stays what it is.
            return _Level(source, target, None if name == "." else status)
        except BaseException:
            os.close(source)
            os.close(target)
            raise

    def _finish(self, level: _Level) -> None:
        try:
            if level.status is not None:
                if self._owners:
                    os.fchown(level.into, level.status.st_uid, level.status.st_gid)
                os.fchmod(level.into, level.status.st_mode & self._bits)
                os.utime(level.into, ns=(level.status.st_atime_ns, level.status.st_mtime_ns))
        finally:
            os.close(level.source)
            os.close(level.into)

    def _entry(self, holder: int, name: str, into: int, new_name: str, path: str) -> None:
        """Copies what is no directory."""
        try:
            # Neither followed nor opened: opening a device or a FIFO can have effects.
            fd = os.open(name, _PATH, dir_fd=holder)
        except FileNotFoundError:
            return
        temporary = f".podcore.{os.getpid()}.{next(_serial)}.tmp"
        try:
            status = os.fstat(fd)
            kind = stat.S_IFMT(status.st_mode)
            if kind == stat.S_IFLNK:
                os.symlink(os.readlink("", dir_fd=fd), temporary, dir_fd=into)
            elif kind == stat.S_IFREG:
                self._file(fd, status, into, temporary)
            else:
                raise InvalidArgumentError(
                    f"`{path}` is {_KINDS.get(kind, 'no file')}, which can't be copied\n"
                    "hint: copy what is beside it, one by one"
                )
        finally:
            os.close(fd)
        try:
            if self._owners and kind == stat.S_IFLNK:
                owner = (status.st_uid, status.st_gid)
                os.chown(temporary, *owner, dir_fd=into, follow_symlinks=False)
            times = (status.st_atime_ns, status.st_mtime_ns)
            os.utime(temporary, ns=times, dir_fd=into, follow_symlinks=False)
            os.rename(temporary, new_name, src_dir_fd=into, dst_dir_fd=into)
        except OSError as error:
            os.unlink(temporary, dir_fd=into)
            if error.errno in (errno.EISDIR, errno.ENOTEMPTY, errno.EEXIST):
                raise InvalidArgumentError(
                    f"`{path}` is no directory and can't replace the directory `{new_name}`"
                ) from error
            raise

    def _file(self, path_fd: int, status: os.stat_result, into: int, name: str) -> None:
        # The very file that was looked at, whatever has its name now.
        source = os.open(f"/proc/self/fd/{path_fd}", os.O_RDONLY | os.O_CLOEXEC)
        try:
            flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
            target = os.open(name, flags, 0o600, dir_fd=into)
            try:
                _copy_data(source, target, status.st_size)
                if self._owners:
                    # First: it takes setuid bits away.
                    os.fchown(target, status.st_uid, status.st_gid)
                os.fchmod(target, status.st_mode & self._bits)
            except BaseException:
                os.unlink(name, dir_fd=into)
                raise
            finally:
                os.close(target)
        finally:
            os.close(source)


def _status(holder: int, name: str) -> os.stat_result | None:
    try:
        return os.stat(name, dir_fd=holder, follow_symlinks=False)
    except FileNotFoundError:
        return None


def _make_directory(into: int, name: str) -> int:
    try:
        os.mkdir(name, 0o700, dir_fd=into)
    except FileExistsError:
        pass
    try:
        return os.open(name, _DIRECTORY, dir_fd=into)
    except OSError as error:
        if error.errno in (errno.ENOTDIR, errno.ELOOP):
            raise InvalidArgumentError(
                f"`{name}` is no directory and can't be replaced by one"
            ) from error
        raise


def _copy_data(source: int, target: int, size: int) -> None:
    """Copies what the file held when it was looked at, holes as holes; it may grow meanwhile."""
    offset = 0
    while offset < size:
        try:
            start = os.lseek(source, offset, os.SEEK_DATA)
        except OSError as error:
            if error.errno == errno.ENXIO:
                break  # nothing but a hole up to the end
            raise
        end = min(os.lseek(source, start, os.SEEK_HOLE), size)
        offset = start
        while offset < end:
            data = os.pread(source, min(_CHUNK, end - offset), offset)
            if not data:
                break  # truncated meanwhile
            view = memoryview(data)
            while view:
                written = os.pwrite(target, view, offset)
                view = view[written:]
                offset += written
        else:
            continue
        break
    os.ftruncate(target, size)
