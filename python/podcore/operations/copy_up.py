"""Fills a new volume with what a rootfs has where it is mounted, as podman and docker do."""

import os
import secrets
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

from podcore.backend import Host
from podcore.kernel import trees
from podcore.kernel.files import make_directory, remove_tree
from podcore.operations.volumes import users
from podcore.places import Places
from podcore.records import ContainerRecord


@contextmanager
def prepared(host: Host, rows: Sequence[ContainerRecord]) -> Iterator[Mapping[str, str]]:
    """Yields a directory with its future contents for each volume that is to be filled.

    That is one which is empty and which no container mounts yet; of several containers the first
    one counts. The copies are made before the transaction that they belong to, for they may take
    long; ``put`` moves one into place, and what is not moved is removed.

    Raises:
        InvalidArgumentError: there are more levels of directories than can be copied.
        ResourceExhaustedError: no space.
    """
    copies: dict[str, str] = {}
    try:
        for row in rows:
            for mount in row.spec.mounts:
                if mount.type != "volume" or mount.source is None or row.spec.rootfs is None:
                    continue
                if mount.source in copies or not _is_new(host, mount.source):
                    continue
                make_directory(host.places.volumes)
                # With the pid, so that `system check` knows one that its process left.
                number = len(copies)
                directory = (
                    f"{host.places.volumes}/.{secrets.token_hex(8)}.{os.getpid()}.{number}.tmp"
                )
                copies[mount.source] = directory
                make_directory(directory, 0o755)
                if not trees.fill(row.spec.rootfs, mount.target, directory):
                    remove_tree(copies.pop(mount.source))
        yield copies
    finally:
        for directory in copies.values():
            remove_tree(directory)


def put(places: Places, name: str, directory: str) -> None:
    """Moves the contents into their place, unless something else is there meanwhile."""
    try:
        os.rename(directory, places.volume(name))
    except OSError:
        if not os.listdir(places.volume(name)):
            raise


def _is_new(host: Host, name: str) -> bool:
    with host.store.read() as view:
        if view.volume(name) is None:
            return True
        return not users(view, name) and not os.listdir(host.places.volume(name))
