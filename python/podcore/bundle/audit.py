"""What a bundle lets its container do, compared with the profile ``default``."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from podcore.bundle import hardening
from podcore.bundle.brought import is_bind
from podcore.specs import capabilities, values

# What hands over the host when it is bind-mounted writable, or at all.
_SENSITIVE = (
    "/",
    "/etc",
    "/root",
    "/boot",
    "/proc",
    "/sys",
    "/dev",
    "/run",
    "/var/run",
    "/var/lib",
)
_ISOLATING = ("pid", "network", "ipc", "uts", "cgroup")


class Severity(StrEnum):
    """How much a difference matters."""

    HIGH = "high"  # leads out of the container, or may
    MEDIUM = "medium"  # removes a line of defence
    LOW = "low"  # worth knowing


@dataclass(frozen=True, slots=True)
class Delta:
    """One thing in which a configuration does less to confine than the default profile.

    Attributes:
        path: where in config.json, such as ``process.capabilities.bounding``.
        text: what it means and what would be the default.
    """

    severity: Severity
    path: str
    text: str


def deltas(config: Mapping[str, Any]) -> list[Delta]:
    """Returns what a configuration lacks compared with the default profile, the worst first."""
    found = [
        *_capabilities(config),
        *_process(config),
        *_seccomp(config),
        *_paths(config),
        *_namespaces(config),
        *_resources(config),
        *_mounts(config),
        *_extras(config),
    ]
    order = list(Severity)
    return sorted(found, key=lambda delta: order.index(delta.severity))


def security(config: Mapping[str, Any]) -> dict[str, Any]:
    """Returns what a container may do, for ``inspect --security``; ready for JSON."""
    linux = _object(config, "linux")
    process = _object(config, "process")
    seccomp = _object(linux, "seccomp")
    binds = [mount for mount in _objects(config, "mounts") if is_bind(mount)]
    paths = {entry.get("type"): entry.get("path") for entry in _objects(linux, "namespaces")}
    resources = _object(linux, "resources")
    return {
        "capabilities": _texts(_object(process, "capabilities"), "bounding"),
        "ambient_capabilities": _texts(_object(process, "capabilities"), "ambient"),
        "no_new_privileges": bool(process.get("noNewPrivileges", False)),
        "user": dict(_object(process, "user")),
        "seccomp": {
            "default_action": seccomp.get("defaultAction", "unconfined"),
            "architectures": _texts(seccomp, "architectures"),
            "rules": len(_objects(seccomp, "syscalls")),
        },
        "apparmor_profile": process.get("apparmorProfile") or "",
        "selinux_label": process.get("selinuxLabel") or "",
        "read_only_rootfs": bool(_object(config, "root").get("readonly", False)),
        "namespaces": {
            kind: "host" if kind not in paths else paths[kind] or "private"
            for kind in ("mount", "user", *_ISOLATING)
        },
        "user_ids": _objects(linux, "uidMappings"),
        "devices": [device.get("path") for device in _objects(linux, "devices")],
        "writable_host_paths": [
            mount.get("source") for mount in binds if "ro" not in _texts(mount, "options")
        ],
        "pids_limit": _object(resources, "pids").get("limit"),
        "masked_paths": _texts(linux, "maskedPaths"),
        "readonly_paths": _texts(linux, "readonlyPaths"),
        "sysctls": dict(_object(linux, "sysctl")),
        "deltas": [
            {"severity": delta.severity.value, "path": delta.path, "text": delta.text}
            for delta in deltas(config)
        ],
    }


def _capabilities(config: Mapping[str, Any]) -> list[Delta]:
    sets = _object(_object(config, "process"), "capabilities")
    found = []
    for kind in ("bounding", "effective", "permitted"):
        extra = [name for name in _texts(sets, kind) if name not in capabilities.DEFAULT]
        if extra:
            found.append(
                Delta(
                    Severity.HIGH,
                    f"process.capabilities.{kind}",
                    f"has {', '.join(extra)} beyond the default eleven",
                )
            )
    found += [
        Delta(
            Severity.MEDIUM,
            f"process.capabilities.{kind}",
            "is not empty, so programs keep capabilities across exec (CVE-2022-29162)",
        )
        for kind in ("inheritable", "ambient")
        if _texts(sets, kind)
    ]
    return found


def _process(config: Mapping[str, Any]) -> list[Delta]:
    process = _object(config, "process")
    found = []
    if process.get("noNewPrivileges") is not True:
        text = "is not true: setuid programs gain privileges"
        found.append(Delta(Severity.MEDIUM, "process.noNewPrivileges", text))
    cwd = process.get("cwd")
    if isinstance(cwd, str) and values.within(os.path.normpath(cwd), "/proc"):
        text = "lies in /proc: a leaked descriptor leads to the host (CVE-2024-21626)"
        found.append(Delta(Severity.HIGH, "process.cwd", text))
    if not any(limit.get("type") == "RLIMIT_NOFILE" for limit in _objects(process, "rlimits")):
        text = "has no RLIMIT_NOFILE: the limit of whoever starts it holds"
        found.append(Delta(Severity.LOW, "process.rlimits", text))
    return found


def _seccomp(config: Mapping[str, Any]) -> list[Delta]:
    seccomp = _object(_object(config, "linux"), "seccomp")
    if not seccomp:
        text = "is missing: every system call of the kernel can be made"
        return [Delta(Severity.HIGH, "linux.seccomp", text)]
    if seccomp.get("defaultAction") in ("SCMP_ACT_ALLOW", "SCMP_ACT_LOG"):
        text = "allows what no rule forbids; the default forbids what no rule allows"
        return [Delta(Severity.MEDIUM, "linux.seccomp.defaultAction", text)]
    return []


def _paths(config: Mapping[str, Any]) -> list[Delta]:
    linux = _object(config, "linux")
    found = []
    for key, wanted, meaning in (
        ("maskedPaths", hardening.masked_paths(), "can be read"),
        ("readonlyPaths", hardening.READ_ONLY, "can be written by root"),
    ):
        given = _texts(linux, key)
        missing = [path for path in wanted if not values.within(path, *given)]
        if missing:
            text = f"lacks {', '.join(missing)}, which {meaning}"
            found.append(Delta(Severity.MEDIUM, f"linux.{key}", text))
    return found


def _namespaces(config: Mapping[str, Any]) -> list[Delta]:
    given = {entry.get("type") for entry in _objects(_object(config, "linux"), "namespaces")}
    found = []
    if "mount" not in given:
        text = "has no mount namespace: the container mounts on the host"
        found.append(Delta(Severity.HIGH, "linux.namespaces", text))
    for kind in _ISOLATING:
        if kind not in given:
            severity = Severity.HIGH if kind in ("pid", "network") else Severity.MEDIUM
            found.append(Delta(severity, "linux.namespaces", f"shares the host's {kind}"))
    return found


def _resources(config: Mapping[str, Any]) -> list[Delta]:
    linux = _object(config, "linux")
    resources = _object(linux, "resources")
    found = []
    if not _denies_devices(_objects(resources, "devices")):
        text = "does not begin by denying all devices"
        found.append(Delta(Severity.HIGH, "linux.resources.devices", text))
    limit = _object(resources, "pids").get("limit")
    if not isinstance(limit, int) or limit <= 0:
        text = f"is missing: a fork bomb takes the host down; the default is {hardening.PIDS_LIMIT}"
        found.append(Delta(Severity.MEDIUM, "linux.resources.pids.limit", text))
    found += [
        Delta(Severity.MEDIUM, "linux.devices", f"gives it the device {device.get('path')}")
        for device in _objects(linux, "devices")
    ]
    return found


def _denies_devices(rules: Sequence[Mapping[str, Any]]) -> bool:
    first = rules[0] if rules else {}
    return (
        first.get("allow") is False
        and first.get("access", "rwm") == "rwm"
        and first.get("type", "a") == "a"
        and "major" not in first
        and "minor" not in first
    )


def _mounts(config: Mapping[str, Any]) -> list[Delta]:
    found = []
    for number, mount in enumerate(_objects(config, "mounts")):
        where = f"mounts[{number}]"
        target = os.path.normpath(str(mount.get("destination")))
        source = mount.get("source")
        writable = "ro" not in _texts(mount, "options")
        if is_bind(mount) and isinstance(source, str):
            normal = os.path.normpath(source)
            if normal in _SENSITIVE and (writable or normal == "/"):
                text = f"gives it the host's {normal}" + (" to write" if writable else "")
                found.append(Delta(Severity.HIGH, where, text))
            elif normal.endswith((".sock", "docker.sock")):
                text = f"gives it the socket {normal} of a service of the host"
                found.append(Delta(Severity.HIGH, where, text))
        if target not in ("/proc", "/sys", "/sys/fs/cgroup") and values.within(
            target, "/proc", "/sys"
        ):
            text = f"mounts on {target}, below what the runtime trusts (CVE-2023-27561)"
            found.append(Delta(Severity.HIGH, where, text))
        if target == "/sys" and writable:
            found.append(Delta(Severity.MEDIUM, where, "mounts /sys writable"))
    return found


def _extras(config: Mapping[str, Any]) -> list[Delta]:
    found = []
    for kind, hooks in sorted(_object(config, "hooks").items()):
        if hooks:
            text = "runs programs on the host with all rights"
            found.append(Delta(Severity.HIGH, f"hooks.{kind}", text))
    for key in sorted(map(str, _object(config, "annotations"))):
        if key.startswith(("org.systemd.property.", "run.oci.")):
            text = "changes what the runtime does (CVE-2024-3154)"
            found.append(Delta(Severity.HIGH, f"annotations.{key}", text))
    for name in sorted(map(str, _object(_object(config, "linux"), "sysctl"))):
        if not name.startswith(("net.", "kernel.shm", "kernel.msg", "kernel.sem", "fs.mqueue.")):
            text = "does not belong to a namespace of the container (CVE-2022-0811)"
            found.append(Delta(Severity.HIGH, f"linux.sysctl.{name}", text))
    return found


# What a user brings may have any shape below its first two levels; what has the wrong one counts
# as missing, and the runtime will refuse it.
def _object(holder: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    value = holder.get(key)
    return value if isinstance(value, Mapping) else {}


def _texts(holder: Mapping[str, Any], key: str) -> list[str]:
    value = holder.get(key)
    return [item for item in value if isinstance(item, str)] if isinstance(value, list) else []


def _objects(holder: Mapping[str, Any], key: str) -> list[dict[str, Any]]:
    value = holder.get(key)
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []
