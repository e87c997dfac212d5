"""The /dev/shm that goes with an IPC namespace that containers share."""

import os

from podcore.kernel import mounts
from podcore.kernel.files import make_directory
from podcore.places import Places
from podcore.records import ContainerRecord, PodRecord, ProcessIdentity

SIZE = 64 << 20
"""Bytes (containers-common's figure)."""


def directory(places: Places, pod_id: str) -> str:
    """Returns where that of a pod is mounted."""
    return f"{places.pod_run(pod_id)}/shm"


def mount_shm(places: Places, pod: PodRecord) -> str | None:
    """Mounts that of a pod that shares IPC, and returns its path."""
    if "ipc" not in pod.share:
        return None
    make_directory(f"{places.run_root}/pods")
    make_directory(places.pod_run(pod.id))
    target = directory(places, pod.id)
    make_directory(target)
    # A tmpfs has a device of its own, whatever is below it.
    if os.lstat(target).st_dev == os.lstat(places.pod_run(pod.id)).st_dev:
        mounts.tmpfs(target, size=SIZE, mode=0o1777)
    return target


def release_shm(places: Places, pod_id: str) -> None:
    """Unmounts that of a pod; nothing to unmount is fine."""
    _unmount(directory(places, pod_id))


def lend(places: Places, record: ContainerRecord, provider: ProcessIdentity) -> str:
    """Mounts that of another container for one that joins its IPC namespace.

    It is found from inside, so whatever the other one has mounted there is what is shared.
    """
    target = _lent(places, record)
    make_directory(target)
    mounts.from_namespace(f"/proc/{provider.pid}/ns/mnt", "/dev/shm", target)  # noqa: S108 - a mount
    return target


def give_back(places: Places, record: ContainerRecord) -> None:
    """Unmounts what a container was lent; nothing to unmount is fine."""
    _unmount(_lent(places, record))


def _lent(places: Places, record: ContainerRecord) -> str:
    return f"{places.attempt(record.id, record.incarnation)}/shm"


def _unmount(target: str) -> None:
    if os.path.lexists(target):
        mounts.unmount(target)
