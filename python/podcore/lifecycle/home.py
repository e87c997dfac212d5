"""A container's directory: made with its row, so that a start finds everything in place."""

import os
import stat

from podcore.kernel.files import make_below, make_directory
from podcore.model import RootfsMode
from podcore.places import Places
from podcore.records import ContainerRecord


def make(places: Places, record: ContainerRecord) -> None:
    """Makes the directories that belong to a container until it is removed.

    Raises:
        ResourceExhaustedError: no space, or no inodes.
    """
    make_below(places.containers, places.container(record.id))
    rootfs = record.spec.rootfs
    if rootfs is not None and record.spec.rootfs_mode == RootfsMode.OVERLAY:
        make_directory(places.merged(record.id))
        make_directory(places.work(record.id))
        _make_upper(places.upper(record.id), rootfs)
    # Last: where it is there, all is there.
    make_directory(places.bundle(record.id))


def make_if_missing(places: Places, record: ContainerRecord) -> None:
    """Makes them again for a container whose directories somebody removed.

    Raises:
        ResourceExhaustedError: no space, or no inodes.
        FileExistsError: a link, or what is no directory, is in the place of one.
    """
    wanted = [places.bundle(record.id)]
    if record.spec.rootfs_mode == RootfsMode.OVERLAY and record.spec.rootfs is not None:
        wanted += places.merged(record.id), places.work(record.id), places.upper(record.id)
    if not all(map(_is_directory, wanted)):
        make(places, record)


def _is_directory(path: str) -> bool:
    try:
        return stat.S_ISDIR(os.lstat(path).st_mode)
    except FileNotFoundError:
        return False


def _make_upper(upper: str, rootfs: str) -> None:
    """Makes the layer that takes the writes; its root must look like the one below."""
    make_directory(upper)
    status = os.stat(rootfs)
    os.chmod(upper, status.st_mode & 0o7777)
    os.chown(upper, status.st_uid, status.st_gid)
