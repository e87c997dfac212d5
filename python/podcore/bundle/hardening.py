"""What every container is denied unless it asks for more (the profile ``default``)."""

import glob
import resource
from collections.abc import Mapping
from functools import cache
from typing import Any

from podcore.model import ContainerSpec, Profile
from podcore.specs import capabilities
from podcore.specs.process import UNLIMITED

PIDS_LIMIT = 2048
_OPEN_FILES = (1024, 4096)
_INFINITY = (1 << 64) - 1  # RLIM_INFINITY in config.json
ID_RANGE = 65536
# Above what systemd hands out to containers (up to 0x6fffffff), below what fits 31 bits.
_OWN_IDS = (0x70000000, 0x7FFF0000)
_SUBORDINATE_USERS = ("containers", "podcore")

# containerd's and podman's lists together; a runtime passes over what the kernel does not have.
_MASKED = (
    "/proc/acpi",
    "/proc/asound",
    "/proc/interrupts",
    "/proc/kcore",
    "/proc/keys",
    "/proc/latency_stats",
    "/proc/sched_debug",
    "/proc/scsi",
    "/proc/timer_list",
    "/proc/timer_stats",
    "/sys/dev/block",
    "/sys/devices/virtual/powercap",
    "/sys/firmware",
    "/sys/fs/selinux",
)
READ_ONLY = ("/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger")
DEVICES_DENIED = {"allow": False, "access": "rwm"}


@cache
def masked_paths() -> tuple[str, ...]:
    """Returns what a container may not see; the thermal counters are those of this host's CPUs."""
    counters = glob.glob("/sys/devices/system/cpu/cpu[0-9]*/thermal_throttle")
    return (*_MASKED, *sorted(counters))


def capabilities_of(spec: ContainerSpec) -> tuple[str, ...]:
    """Returns what a container's process may hold, sorted by number."""
    base = frozenset() if spec.profile is Profile.STRICT else capabilities.DEFAULT
    return capabilities.effective(base, tuple(spec.cap_add), tuple(spec.cap_drop))


def capability_sets(held: tuple[str, ...]) -> dict[str, list[str]]:
    """Returns ``process.capabilities``.

    Inheritable and ambient ones stay empty: they would survive exec of a program that was not
    meant to have them (CVE-2022-29162, CVE-2022-27649).
    """
    names = list(held)
    return {"bounding": names, "effective": names, "permitted": names}


def ulimits(wanted: Mapping[str, tuple[int, int]]) -> list[dict[str, Any]]:
    """Returns ``process.rlimits``: 1024:4096 open files, and what is asked for.

    Nothing is above this process's own hard limit unless it may raise that: the runtime inherits
    the limit and would fail.
    """
    limits = {"nofile": _OPEN_FILES, **wanted}
    return [
        {"type": f"RLIMIT_{name.upper()}", "hard": hard, "soft": soft}
        for name, (soft, hard) in (
            (name, _capped(name, soft, hard)) for name, (soft, hard) in sorted(limits.items())
        )
    ]


def _capped(name: str, soft: int, hard: int) -> tuple[int, int]:
    own = _INFINITY
    if not _may_raise():
        own = resource.getrlimit(getattr(resource, f"RLIMIT_{name.upper()}"))[1]
        own = _INFINITY if own == resource.RLIM_INFINITY else own
    hard = min(_INFINITY if hard == UNLIMITED else hard, own)
    return min(_INFINITY if soft == UNLIMITED else soft, hard), hard


@cache
def _may_raise() -> bool:
    with open("/proc/self/status", encoding="ascii", errors="replace") as file:
        for line in file:
            if line.startswith("CapEff:"):
                bit = capabilities.numbered("CAP_SYS_RESOURCE")
                return bool(int(line.split()[1], 16) >> bit & 1)
    return False


def id_mappings(slot: int) -> list[dict[str, int]]:
    """Returns the range of host ids that a user namespace has: 65536 that no user has.

    They come from /etc/subuid, from the line of ``containers`` (what podman's automatic user
    namespaces use) or ``podcore``; where it has none, from a range that nothing else hands out.

    Args:
        slot: counts ranges; it wraps round where there are fewer.
    """
    start, count = _subordinate_ids()
    slots = count // ID_RANGE
    first = start + slot % slots * ID_RANGE
    return [{"containerID": 0, "hostID": first, "size": ID_RANGE}]


def _subordinate_ids() -> tuple[int, int]:
    try:
        with open("/etc/subuid", encoding="utf-8", errors="replace") as file:
            entries = [line.strip().split(":") for line in file]
    except OSError:
        entries = []
    for user in _SUBORDINATE_USERS:
        for fields in entries:
            if len(fields) != 3 or fields[0] != user:
                continue
            if fields[1].isdecimal() and fields[2].isdecimal() and int(fields[2]) >= ID_RANGE:
                return int(fields[1]), int(fields[2])
    return _OWN_IDS[0], _OWN_IDS[1] - _OWN_IDS[0]
