"""/etc/hosts, /etc/hostname and /etc/resolv.conf of a container."""

import contextlib
import os
from collections.abc import Sequence

from podcore._core import open_in_root
from podcore.kernel import files
from podcore.model import ContainerSpec, RootfsMode
from podcore.specs import values

_RESOLV_CONF = "/etc/resolv.conf"
_RESOLV_CONF_MAX = 64 << 10
_HOSTS = (
    "127.0.0.1\tlocalhost\n"
    "::1\tlocalhost ip6-localhost ip6-loopback\n"
    "fe00::\tip6-localnet\n"
    "ff02::1\tip6-allnodes\n"
    "ff02::2\tip6-allrouters\n"
)
_NO_NETWORK = "# This container has no network but its loopback.\n"


def write_etc(
    directory: str,
    hostname: str,
    spec: ContainerSpec,
    rootfs: str,
    *,
    names: Sequence[str] = (),
    host_network: bool = False,
    new: bool = False,
) -> list[tuple[str, str]]:
    """Writes the files and returns what ``BundleRequest.extra_mounts`` takes.

    A file is left out where the user mounts something else, and where mounting it would leave an
    empty file in a directory of the user's: in a rootfs that is used directly and has no such file.

    Args:
        directory: where the files go; podcore's own.
        hostname: the container's.
        spec: checked.
        rootfs: path of the root in which the files will be seen.
        names: other names for 127.0.0.1, such as those of the pod's containers.
        host_network: the container has the host's network, and so the host's name servers.
        new: the directory was just made, and nobody looks at the files yet.

    Raises:
        ResourceExhaustedError: no space.
    """
    if spec.bundle is not None:
        return []
    aliases = " ".join(dict.fromkeys((hostname, *names)))
    contents = {
        "hosts": f"{_HOSTS}127.0.0.1\t{aliases}\n",
        "hostname": f"{hostname}\n",
        "resolv.conf": _host_name_servers() if host_network else _NO_NETWORK,
    }
    wanted = list(contents)
    if mounted := [mount.target for mount in spec.mounts]:
        wanted = [name for name in wanted if not values.within(f"/etc/{name}", *mounted)]
    if spec.rootfs_mode is not RootfsMode.OVERLAY:
        wanted = _existing(rootfs, wanted)
    if wanted:
        # 0644: also those inside who are not root must be able to read it.
        put = files.put_new if new else files.put
        put(directory, {name: contents[name].encode() for name in wanted}, 0o644)
    return [(f"{directory}/{name}", f"/etc/{name}") for name in wanted]


def _host_name_servers() -> str:
    try:
        with open(_RESOLV_CONF, encoding="utf-8", errors="replace") as file:
            return file.read(_RESOLV_CONF_MAX)
    except OSError:
        # A host without name servers: then the container has none either.
        return ""


def _existing(rootfs: str, names: Sequence[str]) -> list[str]:
    """Returns those files of /etc that a root file system has, as seen from inside."""
    found = []
    root = os.open(rootfs, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        for name in names:
            with contextlib.suppress(OSError):
                os.close(open_in_root(root, f"etc/{name}", os.O_PATH | os.O_CLOEXEC, mode=0))
                found.append(name)
    finally:
        os.close(root)
    return found
