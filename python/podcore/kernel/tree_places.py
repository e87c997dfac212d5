"""A path that a copy goes from or to: a name in an open directory, or that directory itself."""

import errno
import os
import stat
from collections.abc import Callable
from contextlib import ExitStack

from podcore.errors import InvalidArgumentError

_MISSING = (errno.ENOENT, errno.ENOTDIR)
_LINKS = 40  # as many as the kernel follows


class Place:
    """A path that was asked for.

    Args:
        path: as it was given.
        where: in words, such as ``inside``.
        open_path: opens a path there with O_PATH and more flags, following links there.
        opened: closes what was opened.
        follow: a link at the end of a target is followed there.
        alias: its name where the root itself is meant.
    """

    __slots__ = ("_alias", "_follow", "_open", "_opened", "path", "where")

    def __init__(
        self,
        path: str,
        where: str,
        open_path: Callable[[str, int], int],
        opened: ExitStack,
        *,
        follow: bool = False,
        alias: str = "",
    ) -> None:
        if not path or "\0" in path:
            raise InvalidArgumentError(f"`{path!r}` is not a path")
        self.path = path
        self.where = where
        self._open = open_path
        self._opened = opened
        self._follow = follow
        self._alias = alias

    def name(self) -> str:
        """Returns the last part; "" when what is in the directory is meant."""
        name = os.path.basename(self.path.rstrip("/")) or self._alias
        return "" if name in (".", "..") else name

    def directory(self) -> int | None:
        """Returns a descriptor of the directory itself; None when it is none."""
        return self._opened_at(self.path, os.O_DIRECTORY)

    def entry(self) -> int:
        """Returns a descriptor of what is there, at the end of all links.

        Raises:
            InvalidArgumentError: nothing is.
        """
        fd = self._opened_at(self.path, 0)
        if fd is None:
            self._parent(self.path)
            raise self.missing()
        return fd

    def new_entry(self) -> tuple[int, str]:
        """Returns the directory and the name in it for a file that is to be there.

        Raises:
            InvalidArgumentError: there is no such directory, or the links lead round in circles.
        """
        path = self.path.rstrip("/")
        for _ in range(_LINKS):
            parent, name = self._parent(path), os.path.basename(path)
            link = _link(parent, name) if self._follow else None
            if link is None:
                return parent, name
            path = os.path.join(os.path.dirname(path), link).rstrip("/")
            if os.path.basename(path) in ("", ".", ".."):
                break
        raise InvalidArgumentError(f"the link `{self.path}` {self.where} leads to no file")

    def missing(self) -> InvalidArgumentError:
        """Returns the error that says that there is no such path."""
        return InvalidArgumentError(f"`{self.path}` does not exist {self.where}")

    def _parent(self, path: str) -> int:
        holder = os.path.dirname(path.rstrip("/")) or ("/" if path[0] == "/" else ".")
        fd = self._opened_at(holder, os.O_DIRECTORY)
        if fd is None:
            raise InvalidArgumentError(
                f"the directory `{holder}` does not exist {self.where}\nhint: make it first"
            )
        return fd

    def _opened_at(self, path: str, flags: int) -> int | None:
        try:
            fd = self._open(path, flags)
        except OSError as error:
            if error.errno in _MISSING:
                return None
            raise
        self._opened.callback(os.close, fd)
        return fd


def _link(holder: int, name: str) -> str | None:
    try:
        status = os.stat(name, dir_fd=holder, follow_symlinks=False)
        return os.readlink(name, dir_fd=holder) if stat.S_ISLNK(status.st_mode) else None
    except OSError as error:
        if error.errno in (*_MISSING, errno.EINVAL):
            return None
        raise
