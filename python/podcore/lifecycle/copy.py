"""Copies files and trees into and out of a container's root, running or not."""

import os
from collections.abc import Iterator
from contextlib import contextmanager

from podcore._core import LockSession
from podcore.backend import Host
from podcore.errors import ContainerStateError, UnsupportedError
from podcore.kernel import mountinfo, trees
from podcore.lifecycle import home, rootfs
from podcore.lifecycle.held import Held, hold
from podcore.model import RootfsMode
from podcore.names import short
from podcore.records import ContainerRecord


def copy_in(
    host: Host, session: LockSession, which: ContainerRecord, source: str, target: str
) -> None:
    """Copies a file or a tree of the host into a container; holds its lock.

    Every path inside is resolved inside (``openat2`` with RESOLVE_IN_ROOT), so no link leads out.
    What is mounted into the container (volumes, binds) is not seen: it goes to the root below.

    Raises:
        InvalidArgumentError: source or target is missing or of a kind that can't be copied.
        ContainerStateError: its root is read-only.
    """
    with hold(host, session, which) as held:
        if held.record.spec.rootfs_mode == RootfsMode.RO:
            message = f"container `{which.name}` ({short(which.id)}) has a read-only root"
            raise ContainerStateError(message)
        with _root(held) as root:
            trees.copy_in(root, source, target)


def copy_out(
    host: Host, session: LockSession, which: ContainerRecord, source: str, target: str
) -> None:
    """Copies a file or a tree of a container to the host; holds its lock.

    Raises:
        InvalidArgumentError: source or target is missing or of a kind that can't be copied.
    """
    with hold(host, session, which) as held, _root(held) as root:
        trees.copy_out(root, source, target)


@contextmanager
def _root(held: Held) -> Iterator[str]:
    """Yields the path of a container's root, mounted for the while where it is not."""
    record, places = held.record, held.host.places
    if record.spec.rootfs is None:
        message = (
            f"container `{record.name}` ({short(record.id)}) runs a bundle of the user's: "
            "podcore does not know how its root is made\nhint: copy to the bundle's rootfs"
        )
        raise UnsupportedError(message)
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
