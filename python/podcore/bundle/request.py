"""What a bundle is made from."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from podcore.model import ContainerSpec


@dataclass(frozen=True, slots=True, kw_only=True)
class BundleRequest:
    """A container as far as its config.json is concerned.

    Attributes:
        spec: checked by ``podcore.specs``.
        hostname: set in a new uts namespace, and the variable HOSTNAME.
        cgroup_path: below the root of each hierarchy, without a leading slash.
        directory: the bundle's, podcore's own also where the user brings one.
        rootfs: absolute path of what becomes the container's root; mounted when users are looked
            up in it by name.
        namespaces: of ``ipc``, ``net``, ``uts``, ``pid`` and ``cgroup`` to the path of one that is
            joined, or None for a new one; the host's where it is left out.
        readonly: mount the root read-only even where the spec does not ask for it.
        extra_mounts: (source, target) of files that podcore makes, such as /etc/hosts.
        resources: OCI ``linux.resources`` but for devices.
        volumes: host paths of named volumes.
        shm_path: what is shared as /dev/shm, None for one of its own.
        id_slot: which range of user ids a container with a user namespace gets; podcore gives each
            pod another one.
    """

    container_id: str
    name: str
    pod_id: str
    pod_name: str
    spec: ContainerSpec
    hostname: str
    cgroup_path: str
    directory: str
    rootfs: str
    namespaces: Mapping[str, str | None]
    readonly: bool = False
    extra_mounts: Sequence[tuple[str, str]] = ()
    # `Any`: a part of config.json, made by kernel/limits.
    resources: Mapping[str, Any] = field(default_factory=dict)
    volumes: Mapping[str, str] = field(default_factory=dict)
    shm_path: str | None = None
    id_slot: int = 0
