"""What is used in a cgroup, read from the files of v1 or v2."""

import time
from typing import TYPE_CHECKING

from podcore.kernel import cgroupfs
from podcore.model import Usage

if TYPE_CHECKING:
    from podcore.kernel.cgroup import Cgroup

# v1 says "no limit" with the largest multiple of the page size: 2**63 - 4096, or less with larger
# pages. Nothing that large is a limit.
_UNLIMITED = 1 << 60


def read(cgroup: "Cgroup") -> Usage:
    """Returns what is used in a cgroup now; None for what the host or that cgroup has no figure of.

    Reading is a snapshot of one file after another.
    """
    unified = cgroup.hierarchies.unified
    memory_v2 = unified is not None and cgroup.hierarchies.controllers.get("memory") == unified
    prefix = ("memory.current", "memory.max")
    if not memory_v2:
        prefix = ("memory.usage_in_bytes", "memory.limit_in_bytes")
    read_bytes, write_bytes = _block_io(cgroup)
    return Usage(
        time=time.monotonic(),
        cpu_seconds=_cpu_seconds(cgroup),
        memory=_number(cgroup, "memory", prefix[0]),
        memory_limit=_limit(_number(cgroup, "memory", prefix[1])),
        pids=_number(cgroup, "pids", "pids.current"),
        pids_limit=_limit(_number(cgroup, "pids", "pids.max")),
        read_bytes=read_bytes,
        write_bytes=write_bytes,
        pressure=_pressure(cgroup),
    )


def oom_kills(cgroup: "Cgroup") -> int | None:
    """Returns how often the kernel has killed a process in a cgroup for lack of its memory.

    None where that is not counted (v1 before Linux 4.13), or the cgroup is not there.
    """
    for name in ("memory.events", "memory.oom_control"):
        data = _find(cgroup, "memory", name)
        if data is not None:
            return parse_flat(data).get(b"oom_kill")
    return None


def parse_flat(data: bytes) -> dict[bytes, int]:
    """Returns a file of lines with a key and a number; other lines are skipped."""
    found = {}
    for line in data.split(b"\n"):
        key, _, value = line.partition(b" ")
        if value.isdigit():
            found[key] = int(value)
    return found


def parse_io_stat(data: bytes) -> tuple[int, int]:
    """Returns bytes read and written of all devices in an ``io.stat`` of v2."""
    totals = {b"rbytes": 0, b"wbytes": 0}
    for field in data.split():
        key, _, value = field.partition(b"=")
        if key in totals and value.isdigit():
            totals[key] += int(value)
    return totals[b"rbytes"], totals[b"wbytes"]


def parse_blkio(data: bytes) -> tuple[int, int]:
    """Returns bytes read and written of all devices in a ``…io_service_bytes`` of v1."""
    totals = {b"Read": 0, b"Write": 0}
    for line in data.split(b"\n"):
        fields = line.split()
        if len(fields) == 3 and fields[1] in totals and fields[2].isdigit():
            totals[fields[1]] += int(fields[2])
    return totals[b"Read"], totals[b"Write"]


def parse_pressure(data: bytes) -> float | None:
    """Returns the percentage of the last 10 s in which some task waited; None when malformed."""
    for line in data.split(b"\n"):
        fields = line.split()
        if len(fields) > 1 and fields[0] == b"some" and fields[1].startswith(b"avg10="):
            try:
                return float(fields[1][6:])
            except ValueError:
                return None
    return None


def _find(cgroup: "Cgroup", controller: str, name: str) -> bytes | None:
    directory = cgroup.directory(controller)
    return None if directory is None else cgroupfs.find(f"{directory}/{name}")


def _number(cgroup: "Cgroup", controller: str, name: str) -> int | None:
    data = (_find(cgroup, controller, name) or b"").strip()
    return int(data) if data.isdigit() else None


def _limit(value: int | None) -> int | None:
    return None if value is None or value >= _UNLIMITED else value


def _cpu_seconds(cgroup: "Cgroup") -> float | None:
    nanoseconds = _number(cgroup, "cpuacct", "cpuacct.usage")
    if nanoseconds is not None:
        return nanoseconds / 1e9
    # v2 keeps this file in every cgroup, whether the controller is enabled or not.
    data = _in_unified(cgroup, "cpu.stat")
    microseconds = parse_flat(data).get(b"usage_usec") if data is not None else None
    return None if microseconds is None else microseconds / 1e6


def _block_io(cgroup: "Cgroup") -> tuple[int | None, int | None]:
    data = _find(cgroup, "blkio", "blkio.throttle.io_service_bytes_recursive")
    if data is not None:
        return parse_blkio(data)
    data = _find(cgroup, "io", "io.stat")
    return (None, None) if data is None else parse_io_stat(data)


def _pressure(cgroup: "Cgroup") -> dict[str, float]:
    # The cgroup's own; that of the whole host (/proc/pressure) says nothing about a container.
    found = {}
    for resource in ("cpu", "memory", "io"):
        data = _in_unified(cgroup, f"{resource}.pressure")
        value = parse_pressure(data) if data is not None else None
        if value is not None:
            found[resource] = value
    return found


def _in_unified(cgroup: "Cgroup", name: str) -> bytes | None:
    unified = cgroup.hierarchies.unified
    return None if unified is None else cgroupfs.find(f"{unified}/{cgroup.path}/{name}")
