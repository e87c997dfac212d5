"""What may be mounted into a container, and which devices it may have."""

import os
import re
import stat
from dataclasses import replace

from podcore._core import open_in_root
from podcore.model import Mount
from podcore.names import check_name
from podcore.specs import values
from podcore.units import parse_size

_PROPAGATIONS = ("private", "rprivate", "slave", "rslave", "shared", "rshared")
_ACCESS = re.compile(r"(?=.)r?w?m?", re.ASCII)
# A mount below these would put what a runtime reads or masks under the control of the container
# (runc CVE-2019-16884, CVE-2023-27561, CVE-2025-52881).
_KERNEL = ("/proc", "/sys")
_SYSTEM = ("/proc", "/dev", "/sys")


def check_mounts(value: object, what: str) -> tuple[Mount, ...]:
    """Returns mounts in the order given, with absolute normalised paths and sizes in bytes.

    Raises:
        InvalidArgumentError: one is not acceptable, its source is missing, or two have one target.
    """
    checked: list[Mount] = []
    targets: set[str] = set()
    for mount in values.items(value, what):
        if not isinstance(mount, Mount):
            raise values.refusal(what, f"{values.shown(mount)} is not of type Mount")
        target = check_target(mount.target, what)
        if target in targets:
            raise values.refusal(what, f"two mounts have the target `{target}`")
        targets.add(target)
        checked.append(_check(mount, target, f"{what}, `{target}`"))
    return tuple(checked)


def check_mount_points(rootfs: str, mounts: tuple[Mount, ...], what: str) -> None:
    """Checks that everything that will be mounted finds its mount point in the rootfs.

    A runtime would make it: in a directory of the user's that must not change, or, as the root of
    a user namespace, not at all.

    Raises:
        InvalidArgumentError: a mount point is missing.
    """
    targets = [mount.target for mount in mounts]
    root = os.open(rootfs, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        for target in (*_SYSTEM, *targets):
            others = [other for other in targets if other != target]
            if values.within(target, *others) or target.startswith("/dev/"):
                continue
            try:
                found = open_in_root(root, target[1:], os.O_PATH | os.O_CLOEXEC, mode=0)
            except OSError as error:
                raise values.refusal(
                    what,
                    f"the mount point `{target}` is not there: {error.strerror}",
                    f"make it in `{rootfs}`, or let the container write to an overlay",
                ) from None
            os.close(found)
    finally:
        os.close(root)


def check_reachable(rootfs: str, what: str) -> None:
    """Checks that the root of a user namespace can get at its root file system.

    It is an unprivileged user to the host, so every directory on the way must let others through.

    Raises:
        InvalidArgumentError: one of them does not.
    """
    path = os.path.realpath(rootfs)
    while True:
        if not os.stat(path).st_mode & stat.S_IXOTH:
            raise values.refusal(
                what,
                f"its root runs as an unprivileged user of the host, who can't get through `{path}`",
                f"`chmod o+x {path}`, or unpack the root file system elsewhere",
            )
        if path == "/":
            return
        path = os.path.dirname(path)


def check_target(value: object, what: str) -> str:
    """Returns where something may be mounted inside the container.

    Raises:
        InvalidArgumentError: it is the root, or belongs to the kernel's file systems.
    """
    target = values.inner_path(value, f"{what}, `target`")
    if target == "/":
        raise values.refusal(what, "the target `/` is the root itself", "give it as `rootfs`")
    if target in ("/dev", "/dev/pts"):
        raise values.refusal(what, f"`{target}` is the container's own", "use `devices`")
    if values.within(target, *_KERNEL):
        raise values.refusal(
            what, f"nothing may be mounted at `{target}`", "mount it outside of /proc and /sys"
        )
    return target


def _check(mount: Mount, target: str, what: str) -> Mount:
    source: str | None = None
    if mount.type == "bind":
        source = values.host_path(mount.source, f"{what}, `source`")
        if not os.path.exists(source):
            raise values.refusal(what, f"the source `{source}` does not exist", "create it first")
    elif mount.type == "volume":
        source = check_name(mount.source, "volume")
    elif mount.type == "tmpfs":
        if mount.source is not None:
            raise values.refusal(what, "a tmpfs has no source")
    else:
        raise values.refusal(
            what, f"{values.shown(mount.type)} is not a type", "`bind`, `tmpfs` or `volume`"
        )
    if mount.propagation not in _PROPAGATIONS:
        raise values.refusal(
            what,
            f"{values.shown(mount.propagation)} is not a propagation",
            f"one of {', '.join(_PROPAGATIONS)}",
        )
    if mount.type != "bind" and mount.propagation != "rprivate":
        raise values.refusal(what, "only a bind mount has a propagation")
    if mount.type != "tmpfs" and mount.size is not None:
        raise values.refusal(what, "only a tmpfs has a size")
    size = None if mount.size is None else parse_size(mount.size, f"{what}, `size`")
    if size == 0:
        raise values.refusal(f"{what}, `size`", "the kernel takes 0 for unlimited", "say how much")
    return replace(
        mount,
        target=target,
        source=source,
        read_only=values.flag(mount.read_only, f"{what}, `read_only`"),
        size=size,
        mode=values.integer(mount.mode, f"{what}, `mode`", 0, 0o7777),
    )


def check_devices(value: object, what: str) -> tuple[str, ...]:
    """Returns devices as ``HOST:INSIDE:ACCESS``.

    Raises:
        InvalidArgumentError: one is malformed, or there is no such device node on the host.
    """
    checked = []
    for item in values.texts(value, what):
        parts = item.split(":")
        if len(parts) == 2 and _ACCESS.fullmatch(parts[1]):
            parts.insert(1, parts[0])
        host, inside, access = (*parts, *[parts[0], "rwm"][len(parts) - 1 :])[:3]
        if len(parts) > 3 or _ACCESS.fullmatch(access) is None:
            raise values.refusal(
                what, f"{values.shown(item)} is not a device", "HOST[:INSIDE[:rwm]]"
            )
        host = values.host_path(host, what)
        inside = values.inner_path(inside, what)
        if values.within(inside, *_KERNEL):
            raise values.refusal(what, f"no device may be at `{inside}`", "put it below /dev")
        try:
            mode = os.stat(host).st_mode
        except OSError as error:
            raise values.refusal(what, f"`{host}`: {error.strerror}") from None
        if not stat.S_ISCHR(mode) and not stat.S_ISBLK(mode):
            raise values.refusal(what, f"`{host}` is not a device node", "use `mounts` for files")
        checked.append(f"{host}:{inside}:{access}")
    return tuple(checked)
