"""Namespaces that a pod shares with no process in them: bind mounts keep them, as CRI-O does.

They are made before the first container of a boot starts and stay until the pod is removed, over
every stop. The run directory is new after a reboot, or its files are no mounts any more: then they
are made again.
"""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager

from podcore.backend import Host
from podcore.kernel import mounts
from podcore.kernel.files import make_directory
from podcore.lifecycle.shm import mount_shm
from podcore.places import Places
from podcore.records import PodRecord

_PING = "/proc/sys/net/ipv4/ping_group_range"


def path(places: Places, pod_id: str, kind: str) -> str:
    """Returns the file that a namespace is mounted onto."""
    return f"{places.pod_run(pod_id)}/ns/{kind}"


def pin(host: Host, pod: PodRecord) -> None:
    """Makes the namespaces of a pod without an infra container, as far as they are not there.

    Raises:
        UnsupportedError: not permitted.
        ResourceExhaustedError: too many namespaces or mounts.
    """
    if pod.infra or not pod.share:
        return
    make_directory(f"{host.places.run_root}/pods")
    make_directory(host.places.pod_run(pod.id))
    directory = f"{host.places.pod_run(pod.id)}/ns"
    make_directory(directory)
    with _alone(directory):
        missing = [kind for kind in pod.share if not _pinned(path(host.places, pod.id, kind))]
        for kind in missing:
            os.close(os.open(path(host.places, pod.id, kind), os.O_CREAT | os.O_CLOEXEC, 0o600))
        mounts.pin_namespaces(
            [(kind, path(host.places, pod.id, kind)) for kind in missing],
            hostname=pod.hostname,
            # As in a container with a network of its own: ping needs no capability.
            sysctls=[(_PING, "0 0")] if "net" in missing and os.path.exists(_PING) else [],
        )
        mount_shm(host.places, pod)


def release(places: Places, pod_id: str) -> None:
    """Unmounts them; what still runs in one keeps it. Nothing to unmount is fine."""
    directory = f"{places.pod_run(pod_id)}/ns"
    if not os.path.isdir(directory):
        return
    for name in sorted(os.listdir(directory)):
        mounts.unmount(f"{directory}/{name}")


def _pinned(file: str) -> bool:
    """Whether a namespace is mounted onto a file: all lie on one file system of their own."""
    try:
        return os.stat(file).st_dev == os.stat("/proc/self/ns/net").st_dev
    except FileNotFoundError:
        return False


@contextmanager
def _alone(directory: str) -> Iterator[None]:
    """Keeps two starts of one pod, which hold its lock shared, from pinning at the same time."""
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)
