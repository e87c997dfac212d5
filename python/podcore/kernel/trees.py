"""Copies files and directories into and out of a root file system that nobody can vouch for.

A process in there may swap anything for a link at any time. So paths are resolved by the kernel
within that root (openat2), every further step goes by the descriptor of an open directory and
follows no link, and what is opened for reading is known to be a regular file before it is.

What is kept, as ``podman cp`` keeps it: modes, times to the nanosecond, links within the tree,
hard links between files of one copy, holes, FIFOs, and the extended attributes ``user.*``. Sockets
and devices in a tree are left out, and named in what is returned; so are attributes that the file
system at the target does not take.
"""

import os
from collections.abc import Callable, Collection, Iterator
from contextlib import ExitStack, contextmanager

from podcore import _core
from podcore.kernel import exhaustion
from podcore.kernel.tree_copy import Copy, Keep
from podcore.kernel.tree_places import Place

Owner = Callable[[int, int], tuple[int, int]]
"""Whom a copy belongs to, by user and group of what is copied."""


def as_root(_uid: int, _gid: int) -> tuple[int, int]:
    """Gives everything to root."""
    return 0, 0


def as_source(uid: int, gid: int) -> tuple[int, int]:
    """Leaves everything to whom it belongs."""
    return uid, gid


def copy_in(
    root: str | int,
    source: str,
    target: str,
    *,
    owner: Owner = as_root,
) -> list[str]:
    """Copies a file or a directory of the host into a root file system.

    Set-user-id bits and file capabilities are kept too: whoever copies has root's say inside. A
    file or link that is there is replaced as a whole, a directory is added to; where the target
    itself is a link, it is followed inside. After an error, what was copied stays.

    Args:
        root: the root directory's path, or a descriptor of it, which stays open.
        source: a path of the host, a link at its end is followed; with ``/.`` at its end, what is
            in the directory.
        target: a path inside; an existing directory is copied into, under the source's name.
        owner: whom the copies belong to.

    Returns:
        What was left out, and why, each as a sentence.

    Raises:
        InvalidArgumentError: the source or the directory of the target is missing, a file would
            replace a directory or the other way round or is mounted there, the source is a device
            or a socket, or the target is in the source.
        ResourceExhaustedError: no space, inodes or descriptors.
        OSError: anything else.
    """
    with _typed(f"copy `{source}` to `{target}` inside"), ExitStack() as opened:
        return Copy(Keep(owner, setuid=True)).copy(
            Place(source, "on the host", _open_outside, opened),
            Place(target, "inside", _open_inside(root, opened), opened, follow=True),
        )


def copy_out(
    root: str | int,
    source: str,
    target: str,
    *,
    name: str = "",
    pseudo: Collection[int] = (),
) -> list[str]:
    """Copies a file or a directory of a root file system to the host.

    As ``copy_in``, with the places exchanged. The copies belong to the caller. Set-user-id bits
    and file capabilities are dropped: whoever wrote the file has no say about who runs what on the
    host. A link at the end of the source is followed inside; one at the end of the target is
    replaced.

    Args:
        root: as for ``copy_in``.
        source: a path inside.
        target: a path of the host.
        name: what the source is called where the root itself is meant.
        pseudo: devices (``st_dev``) of file systems that the kernel makes up; their directories are
            left out, unless one is the source.

    Returns:
        What was left out, and why, each as a sentence.

    Raises:
        InvalidArgumentError, ResourceExhaustedError, OSError: as ``copy_in``.
    """
    mine = (os.geteuid(), os.getegid())
    with _typed(f"copy `{source}` from inside to `{target}`"), ExitStack() as opened:
        return Copy(Keep(lambda _uid, _gid: mine, setuid=False), pseudo).copy(
            Place(source, "inside", _open_inside(root, opened), opened, alias=name),
            Place(target, "on the host", _open_outside, opened),
        )


def fill(root: str, source: str, target: str) -> bool:
    """Copies what is in a directory of a root file system into a new one of podcore's own.

    As ``copy_in``, but owners and the mode of the directory itself are kept: it takes the place of
    the one inside.

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
        contents = Place(f"{source}/.", "inside", _open_inside(root, opened), opened)
        directory = contents.directory()
        if directory is None:
            return False
        Copy(Keep(as_source, setuid=True)).copy(
            contents, Place(target, "on the host", _open_outside, opened)
        )
        status = os.fstat(directory)
        os.chown(target, status.st_uid, status.st_gid)
        os.chmod(target, status.st_mode & 0o7777)
        return True


@contextmanager
def _typed(doing: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if known := exhaustion.typed(error, doing):
            raise known from error
        raise


def _open_inside(root: str | int, opened: ExitStack) -> Callable[[str, int], int]:
    if isinstance(root, int):
        top = root
    else:
        top = os.open(root, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        opened.callback(os.close, top)
    return lambda path, flags: _core.open_in_root(top, path, os.O_PATH | flags, 0)


def _open_outside(path: str, flags: int) -> int:
    return os.open(path, os.O_PATH | os.O_CLOEXEC | flags)
