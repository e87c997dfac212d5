"""Writes a container's OCI bundle for its next incarnation."""

import os

from podcore.backend import Host
from podcore.bundle import BundleRequest, write
from podcore.bundle.etc import write_etc
from podcore.errors import ContainerStateError
from podcore.kernel.limits import limits_to_oci
from podcore.lifecycle import brought, rootfs
from podcore.lifecycle.namespaces import Joined
from podcore.model import RootfsMode
from podcore.places import Places
from podcore.records import ContainerRecord, PodRecord


def write_bundle(host: Host, record: ContainerRecord, pod: PodRecord, joined: Joined) -> str:
    """Prepares the root, writes config.json and returns the bundle's directory.

    Raises:
        InvalidArgumentError: something that the spec names is no longer there.
        OSError: the overlay could not be mounted, or the bundle not be written.
    """
    places = host.places
    spec = record.spec
    if spec.bundle is not None:
        return brought.check(places, record)
    directory = places.bundle(record.id)
    root = rootfs.prepare(places, record)
    etc = write_etc_files(places, record, joined.hostname, root, joined.names)
    volumes = {
        mount.source: places.volume(mount.source)
        for mount in spec.mounts
        if mount.type == "volume" and mount.source is not None
    }
    for name, path in volumes.items():
        if not os.path.isdir(path):
            message = f"container `{record.name}`: volume `{name}` is not there any more"
            raise ContainerStateError(message)
    write(
        BundleRequest(
            container_id=record.id,
            name=record.name,
            pod_id=pod.id,
            pod_name=pod.name,
            spec=spec,
            hostname=joined.hostname,
            cgroup_path=record.cgroup_path,
            directory=directory,
            rootfs=root,
            namespaces=joined.paths,
            readonly=spec.rootfs_mode == RootfsMode.RO,
            extra_mounts=etc,
            resources=limits_to_oci(spec.limits),
            volumes=volumes,
            shm_path=joined.shm_path,
            id_slot=pod.number,
        )
    )
    return directory


def write_etc_files(
    places: Places,
    record: ContainerRecord,
    hostname: str,
    root: str,
    names: tuple[str, ...] = (),
) -> list[tuple[str, str]]:
    """Writes the files that podcore makes for a container's /etc, where they are not right already.

    Returns:
        Source and target of each.
    """
    host_network = record.spec.namespaces.get("net") == "host"
    return write_etc(
        places.etc(record.id),
        hostname,
        record.spec,
        root,
        names=names,
        host_network=host_network,
    )
