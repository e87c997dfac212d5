"""Copies files and trees into and out of a container, running or not, as it sees them."""

import errno
import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

from podcore._core import LockSession, open_in_root
from podcore.backend import Host
from podcore.bundle.accounts import find_account
from podcore.bundle.hardening import ID_RANGE, id_mappings
from podcore.errors import ContainerStateError, InvalidArgumentError, UnsupportedError
from podcore.kernel import cgroupfs, mountinfo, process, trees
from podcore.lifecycle import home, rootfs
from podcore.lifecycle.copy_across import copy_across
from podcore.lifecycle.held import Held, hold
from podcore.model import ContainerStatus, Mount, Profile, RootfsMode
from podcore.names import short
from podcore.records import ContainerRecord
from podcore.specs import values

_UP = frozenset(
    {
        ContainerStatus.CREATED,
        ContainerStatus.RUNNING,
        ContainerStatus.PAUSED,
        ContainerStatus.STOPPING,
    }
)
# Where every container has file systems of its own.
_OWN = ("/dev", "/proc", "/sys")
# What the kernel makes up: endless, or about the host.
_PSEUDO = frozenset(
    {"proc", "sysfs", "cgroup", "cgroup2", "devpts", "mqueue", "debugfs", "tracefs", "bpf"}
)


@dataclass(frozen=True, slots=True)
class _Seen:
    """A path of a container as it can be reached from the host.

    Attributes:
        root: what the path is resolved in: a directory, or a descriptor of one.
        path: in that root.
        alive: it is the root of the running container, with all that is mounted there.
    """

    root: str | int
    path: str
    alive: bool = False


def copy_in(
    host: Host,
    session: LockSession,
    which: ContainerRecord,
    source: str,
    target: str,
    *,
    archive: bool = True,
) -> list[str]:
    """Copies a file or a tree of the host into a container; holds its lock.

    Every path inside is resolved inside (``openat2`` with RESOLVE_IN_ROOT), so no link leads out.

    Args:
        host: of the engine.
        session: the calling thread's.
        which: the container.
        source: a path of the host.
        target: a path inside.
        archive: the copies belong to the container's user, else to whom the sources belong; both
            as they are known inside, where the container has ids of its own.

    Returns:
        What was left out, see ``trees.copy_in``.

    Raises:
        InvalidArgumentError: source or target is missing or of a kind that can't be copied.
        ContainerStateError: what the target lies in is read-only.
        UnsupportedError: it runs a bundle of the user's; or it has user ids of its own, the target
            lies in a tmpfs of its own, and no process with those ids can run Python here.
    """
    with hold(host, session, which) as held, ExitStack() as stack:
        mount = _mount_of(held.record, target)
        read_only = mount.read_only if mount else held.record.spec.rootfs_mode == RootfsMode.RO
        if read_only:
            raise _read_only(held.record, target)
        seen = stack.enter_context(_seen(held, target, mount))
        first = _first_id(held)
        owner = _owner(held, stack, seen, first, archive=archive)
        try:
            try:
                return trees.copy_in(seen.root, source, seen.path, owner=owner)
            except OSError as error:
                # The answer of a file system in which the host's ids do not exist.
                if error.errno != errno.EOVERFLOW or not isinstance(seen.root, int):
                    raise
            return copy_across(host.places, held.record, seen.root, source, target, owner, first)
        except OSError as error:
            if error.errno == errno.EROFS:
                raise _read_only(held.record, target) from error
            raise


def copy_out(
    host: Host, session: LockSession, which: ContainerRecord, source: str, target: str
) -> list[str]:
    """Copies a file or a tree of a container to the host; holds its lock.

    Returns:
        What was left out, see ``trees.copy_in``.

    Raises:
        InvalidArgumentError: source or target is missing or of a kind that can't be copied.
    """
    with (
        hold(host, session, which) as held,
        _seen(held, source, _mount_of(held.record, source)) as seen,
    ):
        pseudo = _pseudo(held.record, seen.root) if isinstance(seen.root, int) else ()
        name = os.path.basename(source.rstrip("/"))
        return trees.copy_out(seen.root, seen.path, target, name=name, pseudo=pseudo)


def _mount_of(record: ContainerRecord, path: str) -> Mount | None:
    """Returns the mount that a path lies in, as it is written: links inside are not looked at."""
    wanted = _plain(path)
    found = [mount for mount in record.spec.mounts if values.within(wanted, mount.target)]
    return max(found, key=lambda mount: len(mount.target), default=None)


def _plain(path: str) -> str:
    return os.path.normpath("/" + path.lstrip("/"))


@contextmanager
def _seen(held: Held, path: str, mount: Mount | None) -> Iterator[_Seen]:
    """Yields how to reach a path of a container.

    That is through the root of its process where it has one, so all that is mounted is there; but
    not where that root is read-only for the container alone.
    """
    record = held.record
    if record.spec.rootfs is None:
        message = (
            f"container `{record.name}` ({short(record.id)}) runs a bundle of the user's: "
            "podcore does not know how its root is made\nhint: copy to the bundle's rootfs"
        )
        raise UnsupportedError(message)
    mounted = mount is not None or values.within(_plain(path), *_OWN)
    with ExitStack() as stack:
        alive = _root_of_process(record, stack)
        if alive is not None and (mounted or not record.spec.read_only):
            yield _Seen(alive, path, alive=True)
        elif mount is not None:
            yield _in_source(held, mount, path)
        else:
            yield _Seen(stack.enter_context(_root(held)), path)


def _root_of_process(record: ContainerRecord, stack: ExitStack) -> int | None:
    if record.state not in _UP or record.init is None:
        return None
    try:
        root = os.open(f"/proc/{record.init.pid}/root", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    except (FileNotFoundError, ProcessLookupError):
        return None
    stack.callback(os.close, root)
    # Looked at after opening: whatever the pid means now, the descriptor means the same.
    return root if process.alive(record.init) else None


def _in_source(held: Held, mount: Mount, path: str) -> _Seen:
    """Returns where a path in a mount of a container that does not run is on the host."""
    record = held.record
    if mount.source is None:
        message = (
            f"`{mount.target}` of container `{record.name}` ({short(record.id)}) is a tmpfs, "
            "which is there only while it runs\nhint: start it first"
        )
        raise ContainerStateError(message)
    source = mount.source
    if mount.type == "volume":
        source = held.host.places.volume(source)
    rest = _plain(path)[len(_plain(mount.target).rstrip("/")) :]
    # What the end of a path means is kept.
    for end in ("/.", "/"):
        if path.endswith(end):
            rest += end
            break
    if not os.path.lexists(source):
        message = f"`{source}`, which is to be mounted at `{mount.target}`, is not there any more"
        raise InvalidArgumentError(message)
    if os.path.isdir(source):
        return _Seen(source, rest or "/")
    return _Seen(os.path.dirname(source) or "/", f"/{os.path.basename(source)}{rest}")


@contextmanager
def _root(held: Held) -> Iterator[str]:
    """Yields the path of a container's root, mounted for the while where it is not."""
    record, places = held.record, held.host.places
    assert record.spec.rootfs is not None, "a container of a user's bundle has no rootfs of ours"
    if record.spec.rootfs_mode != RootfsMode.OVERLAY:
        yield record.spec.rootfs
        return
    merged = places.merged(record.id)
    if os.path.lexists(merged) and mountinfo.mounted(merged):
        yield merged
        return
    home.make_if_missing(places, record)
    path = rootfs.prepare(places, record)
    try:
        yield path
    finally:
        rootfs.release(places, record.id)


def _first_id(held: Held) -> int:
    """Returns the id of the host that is 0 inside."""
    if held.record.spec.profile != Profile.STRICT:
        return 0
    with held.host.store.read() as view:
        pod = view.pod(held.record.pod_id)
    assert pod is not None, "a container goes before its pod"
    return id_mappings(pod.number)[0]["hostID"]


def _owner(held: Held, stack: ExitStack, seen: _Seen, first: int, *, archive: bool) -> trees.Owner:
    """Returns whom copies belong to, in ids of the host."""
    record = held.record

    def outside(number: int) -> int:
        return first + number if number < ID_RANGE else number

    if not archive:
        return lambda uid, gid: (outside(uid), outside(gid))
    if record.spec.user is None:
        return lambda _uid, _gid: (first, first)
    # Its /etc/passwd says which number a name has.
    root = f"/proc/self/fd/{seen.root}" if seen.alive else stack.enter_context(_root(held))
    account = find_account(root, record.spec.user)
    return lambda _uid, _gid: (outside(account.uid), outside(account.gid))


def _pseudo(record: ContainerRecord, root: int) -> frozenset[int]:
    """Returns the devices of the file systems that the kernel makes up, seen from inside."""
    assert record.init is not None, "it has a root"
    try:
        table = cgroupfs.read(f"/proc/{record.init.pid}/mountinfo")
    except (FileNotFoundError, ProcessLookupError):
        return frozenset()  # it ends just now, and its mounts with it
    found = set()
    for mount in mountinfo.parse(table):
        if mount.fstype not in _PSEUDO:
            continue
        try:
            fd = open_in_root(root, mount.target, os.O_PATH, 0)
        except OSError:
            continue  # hidden by another mount
        found.add(os.fstat(fd).st_dev)
        os.close(fd)
    return frozenset(found)


def _read_only(record: ContainerRecord, path: str) -> ContainerStateError:
    return ContainerStateError(
        f"`{path}` of container `{record.name}` ({short(record.id)}) is read-only"
    )
