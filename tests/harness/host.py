"""What this host offers to tests that need real containers."""

import functools
import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass

RUNTIMES = ("runc", "crun")


@dataclass(frozen=True, slots=True)
class Mount:
    """A line of ``/proc/self/mountinfo``."""

    mount_point: str
    fs_type: str


def mounts() -> list[Mount]:
    """Returns all mounts of this mount namespace, oldest first."""
    found = []
    with open("/proc/self/mountinfo", encoding="utf-8", errors="surrogateescape") as lines:
        for line in lines:
            before, _, after = line.partition(" - ")
            point = before.split(" ")[4].encode("latin-1", "backslashreplace")
            found.append(Mount(point.decode("unicode_escape"), after.split(" ")[0]))
    return found


def cgroup_mounts() -> list[str]:
    """Returns where cgroup hierarchies are mounted, v1 and v2."""
    return [mount.mount_point for mount in mounts() if mount.fs_type in ("cgroup", "cgroup2")]


def processes() -> Iterator[int]:
    """Yields the pids of all processes that can be seen."""
    for name in os.listdir("/proc"):
        if name.isdigit():
            yield int(name)


def descriptors() -> int:
    """Returns how many this process has open, but for the copies from which engines run crun."""
    opened = [os.path.realpath(entry.path) for entry in os.scandir("/proc/self/fd")]
    return sum("/memfd:crun" not in path for path in opened)


def read_proc(pid: int, name: str) -> str:
    """Returns a file of ``/proc/<pid>``, empty when the process is gone."""
    try:
        with open(f"/proc/{pid}/{name}", encoding="utf-8", errors="surrogateescape") as file:
            return file.read()
    except (FileNotFoundError, ProcessLookupError, PermissionError):
        return ""


@functools.cache
def missing_for(runtime: str) -> str:
    """Says what this host lacks to run containers with ``runtime``; empty when it can."""
    if os.geteuid() != 0:
        return "root"
    for program in (runtime, "conmon", "busybox"):
        if shutil.which(program) is None:
            return f"`{program}`"
    return _unusable_hybrid() if runtime == "crun" else ""


def _unusable_hybrid() -> str:
    top = "/sys/fs/cgroup"
    if not any(mount.mount_point == top and mount.fs_type == "tmpfs" for mount in mounts()):
        return ""
    try:
        with open(f"{top}/unified/cgroup.controllers", encoding="ascii") as file:
            controllers = file.read().strip()
    except FileNotFoundError:
        return ""
    if not controllers:
        return ""
    return f"a cgroup tree that crun accepts (scripts/mount-test-controllers, for: {controllers})"
