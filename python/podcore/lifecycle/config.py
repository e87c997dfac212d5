"""Writes a container's OCI bundle for its next incarnation."""

import os
from typing import Any

from podcore.backend import Host
from podcore.bundle import BundleRequest, build, load, write
from podcore.bundle.etc import write_etc
from podcore.errors import ContainerStateError
from podcore.kernel.limits import limits_to_oci
from podcore.lifecycle import brought, rootfs
from podcore.lifecycle.effective import of_container
from podcore.lifecycle.namespaces import KINDS, Joined, hostname_of, source
from podcore.model import Limits, RootfsMode
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
    limits = of_container(host, record, pod)
    request = _request(places, record, pod, joined, root, etc, limits)
    for name, path in request.volumes.items():
        if not os.path.isdir(path):
            message = f"container `{record.name}`: volume `{name}` is not there any more"
            raise ContainerStateError(message)
    write(request)
    return directory


# `Any`: a config.json.
def current(places: Places, record: ContainerRecord, pod: PodRecord) -> dict[str, Any]:
    """Returns the config.json of a container; of one that was never started, what it will be.

    Where that joins a namespace, its path is ``pod`` or the id of the other container.

    Raises:
        InvalidArgumentError: something that the spec names is no longer there.
    """
    path = f"{places.bundle(record.id)}/config.json"
    if os.path.lexists(path) or record.spec.rootfs is None:
        return load(path)
    origins = {kind: source(record, pod, kind) for kind in KINDS}
    paths = {
        kind: None if origin == "private" else origin
        for kind, origin in origins.items()
        if origin != "host"
    }
    joined = Joined(paths, hostname_of(record, pod, lambda _: None))
    root = rootfs.given(places, record)
    return build(_request(places, record, pod, joined, root, [], record.spec.limits))


def _request(
    places: Places,
    record: ContainerRecord,
    pod: PodRecord,
    joined: Joined,
    root: str,
    etc: list[tuple[str, str]],
    limits: Limits,
) -> BundleRequest:
    spec = record.spec
    return BundleRequest(
        container_id=record.id,
        name=record.name,
        pod_id=pod.id,
        pod_name=pod.name,
        spec=spec,
        hostname=joined.hostname,
        cgroup_path=record.cgroup_path,
        directory=places.bundle(record.id),
        rootfs=root,
        namespaces=joined.paths,
        readonly=spec.rootfs_mode == RootfsMode.RO,
        extra_mounts=etc,
        resources=limits_to_oci(limits),
        volumes={
            mount.source: places.volume(mount.source)
            for mount in spec.mounts
            if mount.type == "volume" and mount.source is not None
        },
        shm_path=joined.shm_path,
        id_slot=pod.number,
    )


def write_etc_files(
    places: Places,
    record: ContainerRecord,
    hostname: str,
    root: str,
    names: tuple[str, ...] = (),
    *,
    new: bool = False,
) -> list[tuple[str, str]]:
    """Writes the files that podcore makes for a container's /etc, where they are not right already.

    Those of a container that is ``new``, whose home was just made, are written without a look.

    Returns:
        Source and target of each.
    """
    host_network = record.spec.namespaces.get("net") == "host"
    return write_etc(
        places.container(record.id),
        hostname,
        record.spec,
        root,
        names=names,
        host_network=host_network,
        new=new,
    )
