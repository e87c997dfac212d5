"""A container's root: the directory itself, or an overlay that takes its writes."""

import os

from podcore.kernel import mounts
from podcore.kernel.files import remove_tree
from podcore.model import ContainerKind, RootfsMode
from podcore.places import Places
from podcore.records import ContainerRecord


def given(places: Places, record: ContainerRecord) -> str:
    """Returns the root file system that a container was given, below an overlay if it has one."""
    rootfs = record.spec.rootfs
    assert rootfs is not None, "a container of a user's bundle has no rootfs of ours"
    if record.kind is ContainerKind.INFRA:
        # It is podcore's own, and the state directory may have been moved since the row was made.
        return places.infra_root(os.path.basename(rootfs))
    return rootfs


def prepare(places: Places, record: ContainerRecord) -> str:
    """Makes the root of a container ready and returns its path.

    An overlay's upper layer stays from start to start until the container is removed; its
    directories are made with the container's home.

    Raises:
        OSError: the overlay could not be mounted.
    """
    rootfs = given(places, record)
    if record.spec.rootfs_mode != RootfsMode.OVERLAY:
        return rootfs
    target = places.merged(record.id)
    mounts.overlay(rootfs, places.upper(record.id), places.work(record.id), target)
    return target


def release(places: Places, container_id: str) -> None:
    """Unmounts a container's overlay; nothing to unmount is fine."""
    target = places.merged(container_id)
    if os.path.lexists(target):
        mounts.unmount(target)


def discard(places: Places, container_id: str) -> None:
    """Unmounts a container's overlay, then removes all that belongs to it on disk."""
    release(places, container_id)
    remove_tree(places.container(container_id))
