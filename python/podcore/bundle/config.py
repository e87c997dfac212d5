"""A container's config.json (OCI runtime-spec 1.0.2), made from its spec."""

import os
import stat
from functools import cache
from typing import Any

from podcore.bundle import hardening, seccomp
from podcore.bundle.accounts import unreadable
from podcore.bundle.mounts import propagation, render_mounts
from podcore.bundle.process import render_process
from podcore.bundle.request import BundleRequest
from podcore.bundle.text import encode, extended
from podcore.errors import UnsupportedError
from podcore.model import Profile, RootfsMode
from podcore.specs.container import UNCONFINED
from podcore.specs.namespaces import KINDS

OCI_VERSION = "1.0.2"
_PING = "net.ipv4.ping_group_range"
_NAMESPACE_TYPES = {"net": "network"}
_READ_ONLY = encode(hardening.READ_ONLY)


def render(request: BundleRequest) -> str:
    """Returns config.json as text; equal requests on one host give equal text.

    Raises:
        InvalidArgumentError: the rootfs does not know the user, or a file that the spec names has
            changed for the worse.
        UnsupportedError: the host lacks something that the spec asks for.
    """
    spec = request.spec
    strict = spec.profile is Profile.STRICT
    read_only = request.readonly or spec.read_only or strict or spec.rootfs_mode is RootfsMode.RO
    path = encode(_without_links(request.rootfs))
    config = {
        "ociVersion": f'"{OCI_VERSION}"',
        "process": render_process(request),
        "root": f'{{"path":{path},"readonly":{encode(read_only)}}}',
        "mounts": render_mounts(request),
        "linux": _linux(request, strict=strict),
    }
    if _new(request, "uts"):
        config["hostname"] = encode(request.hostname)
    if spec.annotations:
        config["annotations"] = encode(dict(sorted(spec.annotations.items())))
    return "{" + ",".join([f'"{name}":{text}' for name, text in config.items()]) + "}"


def _without_links(rootfs: str) -> str:
    """Returns the path that leads to a root file system through no link: runc refuses others.

    Raises:
        InvalidArgumentError: it can't be opened.
    """
    try:
        root = os.open(rootfs, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError as error:
        raise unreadable(rootfs, error) from None
    try:
        # The kernel knows; looking at each part of the path takes a system call for each.
        return os.readlink(f"/proc/self/fd/{root}")
    finally:
        os.close(root)


def _linux(request: BundleRequest, *, strict: bool) -> str:
    spec = request.spec
    linux: dict[str, Any] = {"namespaces": _namespaces(request, strict=strict)}
    if strict:
        mappings = hardening.id_mappings(request.id_slot)
        linux |= {"uidMappings": mappings, "gidMappings": mappings}
    devices, rules = _devices(spec.devices)
    if devices:
        linux["devices"] = devices
    resources = dict(request.resources)
    resources.setdefault("pids", {"limit": hardening.PIDS_LIMIT})
    resources["devices"] = [hardening.DEVICES_DENIED, *rules]
    linux["cgroupsPath"] = "/" + request.cgroup_path.lstrip("/")
    linux["resources"] = resources
    sysctls = dict(sorted(spec.sysctls.items()))
    if _new(request, "net") and _has_ping():
        # podman's default (containers.conf): ping needs no capability.
        sysctls.setdefault(_PING, "0 0")
    if sysctls:
        linux["sysctl"] = sysctls
    if found := propagation(spec.mounts):
        linux["rootfsPropagation"] = found
    members = {"maskedPaths": _masked_paths(), "readonlyPaths": _READ_ONLY}
    if spec.seccomp_profile != UNCONFINED:
        members["seccomp"] = seccomp.fragment(
            spec.seccomp_profile,
            tuple(spec.seccomp_architectures),
            hardening.capabilities_of(spec),
        )
    return extended(encode(linux), **members)


@cache
def _masked_paths() -> str:
    return encode(hardening.masked_paths())


def _namespaces(request: BundleRequest, *, strict: bool) -> list[dict[str, str]]:
    found = [{"type": "mount"}]
    if strict:
        found.append({"type": "user"})
    for kind in KINDS:
        if kind not in request.namespaces:
            continue
        path = request.namespaces[kind]
        entry = {"type": _NAMESPACE_TYPES.get(kind, kind)}
        found.append(entry if path is None else entry | {"path": path})
    return found


def _new(request: BundleRequest, kind: str) -> bool:
    return kind in request.namespaces and request.namespaces[kind] is None


def _devices(wanted: Any) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    devices, rules = [], []
    for item in wanted:
        host, inside, access = item.split(":")
        try:
            status = os.stat(host)
        except OSError as error:
            raise UnsupportedError(f"the device `{host}` is gone: {error.strerror}") from None
        identity = {
            "type": "b" if stat.S_ISBLK(status.st_mode) else "c",
            "major": os.major(status.st_rdev),
            "minor": os.minor(status.st_rdev),
        }
        mode = stat.S_IMODE(status.st_mode)
        owner = {"uid": status.st_uid, "gid": status.st_gid}
        devices.append({"path": inside, **identity, "fileMode": mode, **owner})
        rules.append({"allow": True, **identity, "access": access})
    return devices, rules


@cache
def _has_ping() -> bool:
    return os.path.exists("/proc/sys/net/ipv4/ping_group_range")
