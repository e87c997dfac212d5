# Editors read the docstrings here; Rust has the same for `help`. Ids are positional-only.
# ruff: noqa: PYI021, A002
"""The Rust core: graph and traversal, locks, and system calls that Python lacks.

Only the classes of ``podcore.errors`` and builtin exceptions are raised; a panic is an
``InternalError``. Everything here may be shared by threads, where nothing else is said.
"""

from collections.abc import Iterable, Mapping, Sequence
from os import PathLike
from types import TracebackType
from typing import Literal, Self, TypeAlias, TypedDict, final, type_check_only

__all__ = [
    "DependencyGraph",
    "LockGuard",
    "LockSession",
    "LockTable",
    "Traversal",
    "__version__",
    "_panic_for_test",
    "is_dumpable",
    "mount_bind",
    "mount_from",
    "mount_overlay",
    "mount_private",
    "mount_tmpfs",
    "open_beneath",
    "open_in_root",
    "pin_namespaces",
    "put_files",
    "remove_tree",
    "set_child_subreaper",
    "unmount",
]

__version__: str
_Kind: TypeAlias = Literal["init", "pod", "namespaces", "container", "store"]
_Path: TypeAlias = str | PathLike[str]

@final
class DependencyGraph:
    """What containers depend on: checked, in order, and immutable.

    Every list is deterministic: what is not ordered by dependency comes in the order of the keys
    of the mapping. The strings are the caller's own objects.

    Args:
        mapping: the id of every container, and the ids that it depends on. Duplicates collapse.
            A dict of lists, tuples or sets is read fastest; any other mapping of iterables gives
            the same answers. The interpreter lock is held while it is read.

    Raises:
        UnknownDependencyError: a container depends on what is no key.
        DependencyCycleError: containers depend on each other in a circle, or one on itself. The
            exception of the first defect is raised, unknown ones before cycles; its ``defects``
            are all: every unknown dependency, every self-dependency, and for every set of
            containers that reach each other the shortest cycle through the first of them.
        InvalidArgumentError: dependencies are a single str instead of an iterable of them, or a
            key appears twice.
        TypeError: something is not a mapping of str to iterables of str.
        RuntimeError: the mapping changed while it was read.
        OverflowError: there are more nodes or edges than 32 bits can count.
    """

    def __new__(cls, mapping: Mapping[str, Iterable[str]], /) -> DependencyGraph: ...
    def order(self) -> list[str]:
        """Returns all ids: by level, and in a level in the order of the keys."""

    def levels(self) -> list[list[str]]:
        """Returns the ids by level: the length of the longest path to them from a root."""

    @property
    def roots(self) -> list[str]:
        """The ids without dependencies."""

    @property
    def leaves(self) -> list[str]:
        """The ids on which nothing depends."""

    def dependencies(self, id: str, /) -> list[str]:
        """Returns what a container depends on directly.

        Raises:
            NoSuchContainerError: the id is no key.
        """

    def dependents(self, id: str, /) -> list[str]:
        """Returns what depends on a container directly; raises as ``dependencies`` does."""

    def ancestors(self, id: str, /) -> list[str]:
        """Returns what a container depends on, directly or not; raises as ``dependencies``."""

    def descendants(self, id: str, /) -> list[str]:
        """Returns what depends on a container, directly or not; raises as ``dependencies``."""

    def critical_path(self, weights: Mapping[str, float], /) -> list[str]:
        """Returns the path of the greatest sum of weights, dependencies first.

        With durations in seconds as weights, nothing that starts in order can be faster than it.

        Raises:
            InvalidArgumentError: a weight is missing, negative or not finite.
            TypeError: a weight is not a number.
        """

    def transitive_reduction(self) -> dict[str, list[str]]:
        """Returns the dependencies of each id without those that others imply, as for drawing."""

    def traversal(self, *, reverse: bool = False) -> Traversal:
        """Returns a new walk: dependencies first, or dependents first when it is reversed."""

    def __len__(self) -> int: ...
    def __contains__(self, id: object, /) -> bool: ...

@final
class Traversal:
    """One walk over a graph: says what is ready, is told what became of it, says what is skipped.

    Made by ``DependencyGraph.traversal``. It does nothing by itself and never waits.
    """

    def ready(self) -> list[str]:
        """Returns the ids that became ready since the last call; each is handed out once."""

    def succeed(self, id: str, /) -> None:
        """Takes note that a container did what it should.

        Raises:
            InvalidArgumentError: it was not handed out, or its result is known already.
            NoSuchContainerError: the graph has no such id.
        """

    def fail(self, id: str, /) -> list[str]:
        """Takes note that a container failed.

        Returns:
            The ids that are skipped for it: all that wait for it, directly or not, but for those
            that were skipped before.

        Raises:
            InvalidArgumentError: it was not handed out, or its result is known already.
            NoSuchContainerError: the graph has no such id.
        """

    @property
    def skipped(self) -> dict[str, str]:
        """Every skipped id with the one that failed first of those it waited for.

        In the order in which they were skipped, and then in that of the keys.
        """

    @property
    def finished(self) -> bool:
        """Whether every id is skipped or has a result."""

@type_check_only
class _Holder(TypedDict):
    """What the holder of a lock has noted about itself; ``since`` is in seconds since 1970."""

    pid: int
    operation: str
    since: float

@final
class LockTable:
    """A directory of locks between threads and processes.

    A lock is a kind and a number; nothing has to be made before it can be locked, and there is no
    limit on their number. The kernel frees what a process holds when it ends, however it ends.
    In a forked child a table of the parent raises ``UseAfterForkError``; a new one works.

    Args:
        directory: made with mode 0700 when it is missing; its parent must exist.

    Raises:
        LockError: the directory is a symbolic link, somebody else's, or open to others.
        UnsupportedError: it is on a network filesystem.
        ResourceExhaustedError: no space or no descriptors.
        OSError: it can't be made or opened.
    """

    def __new__(cls, directory: _Path) -> LockTable: ...
    @property
    def directory(self) -> str:
        """Where the lock files are. They are never removed."""

    @staticmethod
    def file_names() -> list[str]:
        """Returns the name of every file that may be in such a directory."""

    def session(self, operation: str = "") -> LockSession:
        """Begins a session.

        Args:
            operation: what others are told who wait for its locks; cut after 96 bytes.
        """

    def probe(self, kind: _Kind, number: int = 0) -> bool:
        """Says whether any session, of this process too, holds a lock at this moment."""

    def holder(self, kind: _Kind, number: int = 0) -> _Holder | None:
        """Returns what the holder of a lock has noted about itself, for messages only.

        It may be stale, and None for a lock that is held; ``probe`` knows.
        """

@final
class LockSession:
    """The locks of one thread: the one that first acquires. Made by ``LockTable.session``.

    Locks are asked for in ascending order of (init, pod, namespaces, container, store), then of
    number, and released in any. Sessions exclude each other, also in one process and in one thread.
    Leaving its ``with`` or ``close`` releases everything; so does the end of the last reference to
    it and to its guards.
    """

    def acquire(
        self, kind: _Kind, number: int = 0, shared: bool = False, timeout: float | None = None
    ) -> LockGuard:
        """Takes a lock, waiting for it in the kernel's queue.

        The interpreter lock is released and signals are handled during the wait. A wait that ends
        without the lock leaves a thread and a descriptor behind until its turn comes; the next wait
        for the same lock takes them over.

        Args:
            kind: ranks in the order init, pod, namespaces, container, store.
            number: of the object, from 0 on.
            shared: admits other shared holders.
            timeout: seconds; None waits for ever, 0 not at all.

        Raises:
            LockTimeoutError: it was not free in time; names the holder when that is known.
            LockOrderError: this session holds it already, or one that comes later in the order.
            LockError: the session is closed or another thread's, or the lock file was deleted or
                replaced while locks were held in it.
            UseAfterForkError: the session was made before a fork.
            InvalidArgumentError: there is no such kind or number, or the timeout is negative.
            ResourceExhaustedError: no descriptors, threads or memory.
        """

    @property
    def held(self) -> list[tuple[_Kind, int, bool]]:
        """What this session holds: kind, number, shared; in order."""

    @property
    def closed(self) -> bool:
        """Whether it has been closed, as it is in a forked child."""

    def close(self) -> None:
        """Releases everything and ends the session; the second time, it does nothing.

        In a forked child it does nothing either: the locks are the parent's.

        Raises:
            LockError: it is another thread's session.
        """

    def __enter__(self) -> Self: ...
    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc_value: BaseException | None,
        traceback: TracebackType | None,
        /,
    ) -> None: ...

@final
class LockGuard:
    """One lock that a session has taken. Dropping it releases nothing."""

    def release(self) -> None:
        """Releases the lock; the second time, or after the session's end, it does nothing.

        Raises:
            LockError: it is another thread's.
            UseAfterForkError: it was taken before a fork.
        """

    def __enter__(self) -> Self: ...
    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc_value: BaseException | None,
        traceback: TracebackType | None,
        /,
    ) -> None: ...

def open_in_root(root_fd: int, path: _Path, flags: int, mode: int = 0o600) -> int:
    """Opens a path as a process whose root directory is ``root_fd`` would see it.

    Links are followed inside that root, and magic links of ``/proc`` refused (openat2 with
    RESOLVE_IN_ROOT and RESOLVE_NO_MAGICLINKS).

    Args:
        root_fd: a descriptor of the directory.
        path: absolute or not, it begins there.
        flags: ``os.O_…``; O_CLOEXEC is added.
        mode: of a file that is created.

    Returns:
        A descriptor that the caller closes.

    Raises:
        OSError: with errno and path.
    """

def open_beneath(dir_fd: int, path: _Path, flags: int, mode: int = 0o600) -> int:
    """Opens a path below ``dir_fd``; any link on the way, and ``..`` out of it, is refused.

    As ``open_in_root`` otherwise (openat2 with RESOLVE_BENEATH and RESOLVE_NO_SYMLINKS).
    """

def mount_overlay(
    lower: Sequence[_Path],
    target: _Path,
    *,
    upper: _Path | None = None,
    work: _Path | None = None,
) -> None:
    """Mounts an overlay of directories; any character may occur in their paths.

    Args:
        lower: read only, the topmost first.
        target: a directory.
        upper: takes what is written; without it the mount is read-only.
        work: an empty directory on the filesystem of ``upper``.

    Raises:
        OSError: with errno and target.
        ValueError: only one of ``upper`` and ``work`` is given.
    """

def mount_bind(
    source: _Path, target: _Path, *, recursive: bool = True, readonly: bool = False
) -> None:
    """Shows a file or directory at a second place of its kind.

    Args:
        source: what is shown.
        target: where.
        recursive: with the mounts below it.
        readonly: for the topmost mount only; those below it keep what they are.

    Raises:
        OSError: with errno and target.
    """

def mount_tmpfs(target: _Path, *, size: int | None = None, mode: int = 0o755) -> None:
    """Mounts a tmpfs without devices and set-user-id programs.

    Args:
        target: a directory.
        size: bytes; None is the kernel's default, half of the memory.
        mode: of its root directory.

    Raises:
        OSError: with errno and target.
    """

def mount_private(target: _Path) -> None:
    """Keeps mounts at and below this one from spreading to other mount namespaces, and back.

    Raises:
        OSError: with errno and target; EINVAL when it is not a mount point.
    """

def pin_namespaces(
    pins: Sequence[tuple[str, _Path]],
    *,
    hostname: str | None = None,
    sysctls: Sequence[tuple[_Path, str]] | None = None,
) -> None:
    """Makes namespaces that no process lives in, each kept by a mount onto a file.

    They are made by a thread that ends. A new network has its loopback up.

    Args:
        pins: ``ipc``, ``net`` or ``uts``, and an existing file for each.
        hostname: of a new UTS namespace.
        sysctls: files of ``/proc/sys`` that belong to the new namespaces, and their contents.

    Raises:
        OSError: with errno and the first file; some of the files may be mounted onto.
        ValueError: a kind that needs a process.
    """

def mount_from(namespace: _Path, source: _Path, target: _Path) -> None:
    """Shows a directory of another mount namespace, as its processes see it, at a place of ours.

    Args:
        namespace: such as ``/proc/PID/ns/mnt``.
        source: a path there, whose last part is no link.
        target: a directory here.

    Raises:
        OSError: with errno and target.
    """

def unmount(target: _Path, *, detach: bool = False) -> None:
    """Takes a mount away; a symbolic link is not followed.

    Args:
        target: the mount point.
        detach: takes a busy one away too, at once for new users and finally when it is idle.

    Raises:
        OSError: with errno and target; EINVAL when nothing is mounted there, EBUSY when in use.
    """

def put_files(
    directory: _Path, contents: Sequence[tuple[str, bytes]], mode: int, *, suffix: str | None = None
) -> None:
    """Makes some files of a directory be as they are to be; what is right already is left alone.

    Each is put in place as a whole: a reader sees the old one or the new one. A link in the place
    of one is replaced.

    Args:
        directory: refused where it is a symbolic link.
        contents: name and data of each.
        mode: permission bits of those that are written, whatever the umask.
        suffix: makes the name of a temporary file out of that of a file, with a dot between them;
            nobody else may use it at the time. What is left there of an earlier use is replaced.
            None: the files are new and nobody looks at them yet, so they are written under their
            own names, and one that is there is an error.

    Raises:
        OSError: with errno and the path of the directory or of a file; those before that are in
            place, and no temporary file is left.
        ValueError: a name has a NUL in it.
    """

def remove_tree(parent: _Path, name: _Path) -> None:
    """Removes a file or a directory with all that is in it; a missing one is fine.

    Symbolic links are removed, never followed, also when something is swapped for one meanwhile. A
    mount below is not entered (openat2 with RESOLVE_NO_XDEV). The interpreter lock is released;
    signal handlers run now and then, and one that raises ends the removal.

    Args:
        parent: the directory in which it is; a link is followed.
        name: without a slash; neither ``.`` nor ``..``.

    Raises:
        OSError: with errno and path; EBUSY where something is mounted, ENOTEMPTY where somebody
            keeps adding files.
    """

def set_child_subreaper(enabled: bool) -> None:
    """Makes this process the parent of its orphaned descendants, or not any more.

    Raises:
        OSError: with errno.
    """

def is_dumpable() -> bool:
    """Whether other processes of this user may look into this one, by way of ``/proc/<pid>``.

    Raises:
        OSError: with errno.
    """

def _panic_for_test() -> None:
    """Panics, so that a test can see what becomes of it."""
