"""Copies what one place names to another, descriptor by descriptor, and follows no link on its way."""

import errno
import itertools
import os
import stat
from collections.abc import Callable, Collection
from dataclasses import dataclass

from podcore import _core
from podcore.errors import InvalidArgumentError
from podcore.kernel.file_contents import copy_attributes, copy_data
from podcore.kernel.files import mount_id
from podcore.kernel.tree_places import Place

_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_PATH = os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC
# Two descriptors are open per level.
_DEEPEST = 200
_LEFT_OUT = {
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
}
_serial = itertools.count()

_Made = tuple[int, int, int]  # device, inode and kind of what was made


@dataclass(frozen=True, slots=True)
class Keep:
    """What copies keep of what they are copies of.

    Attributes:
        owner: whom they belong to, by user and group of the source.
        setuid: set-user-id and set-group-id bits and file capabilities.
    """

    owner: Callable[[int, int], tuple[int, int]]
    setuid: bool

    def mode(self, status: os.stat_result) -> int:
        """Returns the permission bits of a copy."""
        return status.st_mode & (0o7777 if self.setuid else 0o1777)


class _Level:
    """A directory that is being copied.

    ``status`` is what the copy takes mode, owner and times from; None leaves its own.
    """

    __slots__ = ("into", "names", "path", "source", "status")

    def __init__(self, source: int, into: int, path: str, status: os.stat_result | None) -> None:
        self.source = source
        self.into = into
        self.path = path  # below the top of the copy
        self.status = status
        self.names = iter(sorted(os.listdir(source)))

    def close(self) -> None:
        os.close(self.source)
        os.close(self.into)


class Copy:
    """One copy.

    Args:
        keep: what of attributes.
        pseudo: devices whose directories are left out, unless one is what was asked for.
    """

    def __init__(self, keep: Keep, pseudo: Collection[int] = ()) -> None:
        self._keep = keep
        self._pseudo = pseudo
        self._top: tuple[int, int] | None = None
        self._left_out: list[str] = []
        # Files with several names: the first copy, by what they are copies of.
        self._linked: dict[tuple[int, int], tuple[str, _Made]] = {}

    def copy(self, source: Place, target: Place) -> list[str]:
        """Copies what ``source`` names to ``target``; returns what was left out.

        Raises:
            InvalidArgumentError, OSError: see ``podcore.kernel.trees.copy_in``.
        """
        name = source.name()
        into = target.directory()
        if not name:
            inner = source.directory()
            if inner is None:
                raise source.missing()
            if into is None:
                raise target.missing()
            self._tree(inner, into, ".", source.path)
            return self._left_out
        found = source.entry()
        status = os.fstat(found)
        if into is None:
            if not target.name() or (
                target.path.endswith("/") and not stat.S_ISDIR(status.st_mode)
            ):
                raise InvalidArgumentError(
                    f"the directory `{target.path}` does not exist {target.where}"
                )
            into, name = target.new_entry()
        if stat.S_ISDIR(status.st_mode):
            self._tree(found, into, name, source.path)
            return self._left_out
        if source.path.endswith("/"):
            raise InvalidArgumentError(f"`{source.path}` {source.where} is no directory")
        if kind := _LEFT_OUT.get(stat.S_IFMT(status.st_mode)):
            raise InvalidArgumentError(
                f"`{source.path}` is {kind}, which can't be copied\n"
                "hint: copy what is beside it, one by one"
            )
        self._entry(found, into, name, source.path)
        return self._left_out

    def _tree(self, holder: int, into: int, new_name: str, path: str) -> None:
        levels: list[_Level] = []
        base: int | None = None
        try:
            # "." is the source itself, reached by a descriptor; whether its copy is a directory
            # that takes after it, or one that is there, the new name says.
            levels.append(self._enter(holder, ".", into, new_name, "", path))
            base = os.dup(levels[0].into)
            while levels:
                level = levels[-1]
                below = next(level.names, None)
                if below is None:
                    self._finish(levels.pop())
                    continue
                status = _status(level.source, below)
                if status is None:
                    continue  # removed meanwhile
                inner = f"{level.path}{below}"
                if not stat.S_ISDIR(status.st_mode):
                    self._below(level, below, base, f"{path}/{inner}")
                elif status.st_dev in self._pseudo:
                    self._left_out.append(f"`{path}/{inner}` is the kernel's and was left out")
                elif len(levels) >= _DEEPEST:
                    raise InvalidArgumentError(
                        f"`{path}` has more than {_DEEPEST} levels of directories"
                    )
                else:
                    levels.append(
                        self._enter(level.source, below, level.into, below, f"{inner}/", path)
                    )
        finally:
            for level in levels:
                level.close()
            if base is not None:
                os.close(base)

    def _enter(
        self, holder: int, name: str, into: int, new_name: str, inner: str, path: str
    ) -> _Level:
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
            return _Level(source, target, inner, None if new_name == "." else status)
        except BaseException:
            os.close(source)
            os.close(target)
            raise

    def _finish(self, level: _Level) -> None:
        try:
            if level.status is not None:
                self._dress(level.source, level.into, level.status, f"{level.path or '.'}")
                times = (level.status.st_atime_ns, level.status.st_mtime_ns)
                os.utime(level.into, ns=times)
        finally:
            level.close()

    def _below(self, level: _Level, name: str, base: int, path: str) -> None:
        """Copies what is no directory and lies in one."""
        try:
            # Neither followed nor opened: opening a device or a FIFO can have effects.
            fd = os.open(name, _PATH, dir_fd=level.source)
        except FileNotFoundError:
            return
        try:
            status = os.fstat(fd)
            kind = _LEFT_OUT.get(stat.S_IFMT(status.st_mode))
            if kind is not None:
                self._left_out.append(f"`{path}` is {kind} and was left out")
                return
            key = (status.st_dev, status.st_ino)
            if status.st_nlink > 1 and key in self._linked:
                first, before = self._linked[key]
                if _link_again(base, first, before, level.into, name):
                    return
            made = self._entry(fd, level.into, name, path)
            if status.st_nlink > 1:
                self._linked[key] = (f"{level.path}{name}", made)
        finally:
            os.close(fd)

    def _entry(self, fd: int, into: int, new_name: str, path: str) -> _Made:
        """Copies what a descriptor is of, which is no directory; returns what was made."""
        status = os.fstat(fd)
        temporary = _temporary()
        if stat.S_ISLNK(status.st_mode):
            os.symlink(os.readlink("", dir_fd=fd), temporary, dir_fd=into)
        elif stat.S_ISFIFO(status.st_mode):
            os.mkfifo(temporary, 0o600, dir_fd=into)
        else:
            self._file(fd, status, into, temporary, path)
        try:
            made = self._finish_entry(status, into, temporary)
            _move(into, temporary, new_name, path)
        except (OSError, InvalidArgumentError):
            _unlink(temporary, into)
            raise
        return made

    def _finish_entry(self, status: os.stat_result, into: int, name: str) -> _Made:
        fd = os.open(name, _PATH, dir_fd=into)
        try:
            made = os.fstat(fd)
            # What this leads to is the very entry, also when that is a link, whatever has its name.
            itself = f"/proc/self/fd/{fd}"
            if not stat.S_ISREG(made.st_mode):
                os.chown(itself, *self._keep.owner(status.st_uid, status.st_gid))
            if stat.S_ISFIFO(made.st_mode):
                os.chmod(itself, self._keep.mode(status))
            os.utime(itself, ns=(status.st_atime_ns, status.st_mtime_ns))
            return _identity(made)
        finally:
            os.close(fd)

    def _file(self, path_fd: int, status: os.stat_result, into: int, name: str, path: str) -> None:
        # The very file that was looked at, whatever has its name now.
        flags = os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
        source = os.open(f"/proc/self/fd/{path_fd}", flags)
        try:
            flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
            target = os.open(name, flags, 0o600, dir_fd=into)
            try:
                copy_data(source, target, status.st_size)
                self._dress(source, target, status, path)
            except BaseException:
                _unlink(name, into)
                raise
            finally:
                os.close(target)
        finally:
            os.close(source)

    def _dress(self, source: int, target: int, status: os.stat_result, path: str) -> None:
        """Gives a copy its owner, mode and attributes."""
        # The owner first: a change of it takes set-user-id bits and capabilities away.
        os.fchown(target, *self._keep.owner(status.st_uid, status.st_gid))
        os.fchmod(target, self._keep.mode(status))
        if lost := copy_attributes(source, target, capabilities=self._keep.setuid):
            names = ", ".join(f"`{name}`" for name in lost)
            self._left_out.append(f"the target does not take {names} of `{path}`")


def _link_again(base: int, first: str, made: _Made, into: int, new_name: str) -> bool:
    """Makes another name for a copy that was made before; False when that is not there any more."""
    try:
        fd = _core.open_beneath(base, first, _PATH, 0)
    except OSError as error:
        if error.errno in (errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.EXDEV):
            return False
        raise
    temporary = _temporary()
    try:
        if _identity(os.fstat(fd)) != made:
            return False
        os.link(f"/proc/self/fd/{fd}", temporary, dst_dir_fd=into, follow_symlinks=True)
    except OSError as error:
        # Another mount in between, or too many names.
        if error.errno in (errno.EXDEV, errno.EMLINK, errno.EPERM):
            return False
        raise
    finally:
        os.close(fd)
    try:
        _move(into, temporary, new_name, first)
    finally:
        # A rename between two names of one file does nothing.
        _unlink(temporary, into)
    return True


def _identity(status: os.stat_result) -> _Made:
    return status.st_dev, status.st_ino, stat.S_IFMT(status.st_mode)


def _temporary() -> str:
    return f".podcore.{os.getpid()}.{next(_serial)}.tmp"


def _unlink(name: str, holder: int) -> None:
    try:
        os.unlink(name, dir_fd=holder)
    except FileNotFoundError:
        pass


def _move(into: int, temporary: str, new_name: str, path: str) -> None:
    """Puts a copy where it belongs.

    Raises:
        InvalidArgumentError: a directory is there, or something is mounted.
    """
    # The kernel would take the mount away from under a container, in whose mount namespace it is.
    if _is_mount(into, new_name):
        raise InvalidArgumentError(
            f"`{path}` can't replace `{new_name}`, for something is mounted there\n"
            "hint: copy it to where that comes from, or write to it from inside"
        )
    try:
        os.rename(temporary, new_name, src_dir_fd=into, dst_dir_fd=into)
    except OSError as error:
        if error.errno in (errno.EISDIR, errno.ENOTEMPTY, errno.EEXIST):
            raise InvalidArgumentError(
                f"`{path}` is no directory and can't replace the directory `{new_name}`"
            ) from error
        raise


def _is_mount(holder: int, name: str) -> bool:
    try:
        fd = os.open(name, _PATH, dir_fd=holder)
    except FileNotFoundError:
        return False
    try:
        return mount_id(fd) != mount_id(holder)
    finally:
        os.close(fd)


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
