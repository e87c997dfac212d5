"""Keeps the copy of a user's bundle, so that it can't change between check and use."""

import hashlib
import os

from podcore.bundle import BundleRequest, digest, verify, write
from podcore.errors import ContainerStateError
from podcore.kernel.files import read_capped, write_atomic
from podcore.names import short
from podcore.places import Places
from podcore.records import ContainerRecord

_HASH_LENGTH = len(hashlib.sha256().hexdigest())


def keep(places: Places, record: ContainerRecord) -> None:
    """Copies the config.json of a user's bundle to the container's home, and notes its hash.

    Raises:
        InvalidArgumentError: it is not acceptable.
    """
    directory = places.bundle(record.id)
    written = write(
        BundleRequest(
            container_id=record.id,
            name=record.name,
            pod_id=record.pod_id,
            pod_name="",
            spec=record.spec,
            hostname="",
            cgroup_path=record.cgroup_path,
            directory=directory,
            rootfs="",
            namespaces={},
        )
    )
    write_atomic(_hash_path(places, record.id), digest(written).encode(), durable=True)


def check(places: Places, record: ContainerRecord) -> str:
    """Returns the directory of the copy, which must still be what was accepted.

    Raises:
        ContainerStateError: it is missing or was changed.
    """
    directory = places.bundle(record.id)
    try:
        expected = read_capped(_hash_path(places, record.id), _HASH_LENGTH).decode()
    except (OSError, ValueError):
        expected = ""
    if not expected or not verify(directory, expected):
        message = (
            f"container `{record.name}` ({short(record.id)}): its copy of the bundle "
            f"`{os.path.join(directory, 'config.json')}` is missing or was changed\n"
            "hint: remove the container and create it again from the bundle"
        )
        raise ContainerStateError(message, record.state)
    return directory


def _hash_path(places: Places, container_id: str) -> str:
    return f"{places.container(container_id)}/bundle.sha256"
