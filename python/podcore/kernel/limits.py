"""Limits as OCI runtimes take them at creation, and as the files of a cgroup take them later."""

import errno
import math
import os
from typing import TYPE_CHECKING, Any

from podcore.errors import ContainerStateError, InvalidArgumentError, UnsupportedError
from podcore.kernel import cgroupfs, cpusets, exhaustion

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from podcore.kernel.cgroup import Cgroup
    from podcore.model import Limits

_PERIOD = 100_000  # us; the kernel's default and the one of all container engines


# `Any`: it is a piece of a JSON document.
def limits_to_oci(limits: "Limits") -> dict[str, Any]:
    """Returns ``linux.resources`` of an OCI config.json; what has no limit is left out.

    Args:
        limits: checked, so sizes are in bytes.
    """
    cpu: dict[str, Any] = {}
    if limits.cpus is not None:
        cpu = {"quota": _quota(limits.cpus), "period": _PERIOD}
    if limits.cpu_shares is not None:
        cpu["shares"] = limits.cpu_shares
    if limits.cpuset_cpus is not None:
        cpu["cpus"] = limits.cpuset_cpus
    memory: dict[str, Any] = {}
    if limits.memory is not None:
        memory["limit"] = _bytes(limits.memory)
    if limits.memory_swap is not None:
        memory["swap"] = _bytes(limits.memory_swap)
    resources: dict[str, Any] = {}
    if cpu:
        resources["cpu"] = cpu
    if memory:
        resources["memory"] = memory
    if limits.pids_limit is not None:
        resources["pids"] = {"limit": limits.pids_limit}
    if limits.blkio_weight is not None:
        resources["blockIO"] = {"weight": limits.blkio_weight}
    return resources


def _quota(cpus: float) -> int:
    # The kernel takes no less than 1 ms.
    return max(1000, round(cpus * _PERIOD))


def _bytes(size: int | str) -> int:
    assert isinstance(size, int), "limits are checked before they get here"
    return size


def shares_to_weight(shares: int) -> int:
    """Returns the ``cpu.weight`` of v2 (1 to 10000) for the ``cpu.shares`` of v1 (2 to 262144).

    The curve goes through the two minima, the two defaults (1024 and 100) and the two maxima
    (opencontainers/cgroups ``ConvertCPUSharesToCgroupV2Value`` since 0.0.5; crun since 1.23).
    Older runtimes draw a straight line, on which the default of v1 becomes 39.
    """
    if shares <= 2:
        return 1
    if shares >= 262144:
        return 10000
    exponent = math.log2(shares)
    return math.ceil(10 ** ((exponent * exponent + 125 * exponent) / 612.0 - 7.0 / 34.0))


def blkio_to_io_weight(weight: int) -> int:
    """Returns the ``io.weight`` of v2 (1 to 10000) for the ``blkio.weight`` of v1 (10 to 1000).

    A straight line (opencontainers/cgroups ``ConvertBlkIOToIOWeightValue``).
    """
    return 1 + (weight - 10) * 9999 // 990


def apply(
    cgroup: "Cgroup", limits: "Limits", below: "Mapping[str, str | None] | None" = None
) -> None:
    """Sets all limits on a cgroup, also while processes are in it; None and -1 lift a limit.

    A v1 directory that is missing is made for a limit that is to be set.

    Args:
        cgroup: the pod's or the container's.
        limits: checked, so sizes are in bytes.
        below: the CPUs that cgroups in it ask for, by path; None for all that it has.

    Raises:
        UnsupportedError: the host lacks a controller or a file for a limit that is to be set.
        ContainerStateError: more memory is in use than the new limit, and can't be reclaimed.
        InvalidArgumentError: the kernel refuses a value; a CPU that doesn't exist, for instance.
        OSError: anything else. Limits that were set before stay.
    """
    _Files(cgroup).apply(limits, below or {})


class _Files:
    """The control files of one cgroup."""

    __slots__ = ("_cgroup",)

    def __init__(self, cgroup: "Cgroup") -> None:
        self._cgroup = cgroup

    def apply(self, limits: "Limits", below: "Mapping[str, str | None]") -> None:
        # Memory first: it is the one that can fail because of what goes on in the cgroup.
        memory = None if limits.memory is None else _bytes(limits.memory)
        swap = None if limits.memory_swap in (None, -1) else _bytes(limits.memory_swap or 0)
        if self._v2("memory"):
            self._memory_v2(memory, swap)
        else:
            self._memory_v1(memory, swap)
        self._cpu(limits)
        self._cpuset(limits.cpuset_cpus, below)
        pids = None if limits.pids_limit in (None, -1) else str(limits.pids_limit)
        self._set("pids", "pids.max", pids, "max", "pids_limit")
        self._block_io(limits.blkio_weight)

    def _v2(self, controller: str) -> bool:
        hierarchies = self._cgroup.hierarchies
        return hierarchies.controllers.get(controller) == hierarchies.unified is not None

    def _directory(self, controller: str, word: str, *, wanted: bool) -> str | None:
        """Returns the directory of a controller; None when it is not there and need not be."""
        directory = self._cgroup.directory(controller)
        if directory is None:
            if wanted:
                raise UnsupportedError(
                    f"`{word}` can't be set: this host has no cgroup controller `{controller}`\n"
                    "hint: leave it out, or boot a kernel with that controller enabled"
                )
            return None
        if wanted:
            self._cgroup.create([controller])
        return directory

    def _set(
        self, controller: str, name: str, value: str | None, lifted: str | None, word: str
    ) -> None:
        """Writes a value, or for None what lifts the limit where there is such a file."""
        directory = self._directory(controller, word, wanted=value is not None)
        text = lifted if value is None else value
        if directory is None or text is None:
            return
        path = f"{directory}/{name}"
        try:
            cgroupfs.write(path, text.encode())
        except OSError as error:
            if value is None and cgroupfs.is_gone(error):
                return
            raise self._typed(error, path, word, text) from error

    def _typed(self, error: OSError, path: str, word: str, text: str) -> Exception:
        doing = f"set `{word}` of cgroup `{self._cgroup.path}` to `{text}`"
        # EBUSY of a memory limit and EAGAIN of a reclaim are about what runs in there.
        if error.errno == errno.EBUSY:
            return _in_use(doing)
        if known := exhaustion.typed(error, doing):
            return known
        if cgroupfs.is_gone(error) and os.path.isdir(os.path.dirname(path)):
            return UnsupportedError(
                f"could not {doing}: this host has no `{os.path.basename(path)}`\n"
                "hint: leave it out; the kernel, its I/O scheduler or swap accounting lack it"
            )
        if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
            return UnsupportedError(f"could not {doing}: {error.strerror}\nhint: run as root")
        if error.errno in (errno.EINVAL, errno.ERANGE, errno.EDOM):
            return InvalidArgumentError(
                f"could not {doing}: the kernel refuses that value\n"
                "hint: it may be more than the pod or this host has"
            )
        return error

    def _memory_v1(self, memory: int | None, swap: int | None) -> None:
        def set_memory() -> None:
            self._set("memory", "memory.limit_in_bytes", _text(memory), "-1", "memory")

        def set_swap() -> None:
            name = "memory.memsw.limit_in_bytes"
            self._set("memory", name, _text(swap), "-1", "memory_swap")

        # At every moment the limit of memory and swap together must be the larger one.
        now = self._read_int("memory", "memory.memsw.limit_in_bytes")
        grows = now is not None and (math.inf if memory is None else memory) > now
        order: tuple[Callable[[], None], ...] = (set_memory, set_swap)
        for step in reversed(order) if grows else order:
            step()

    def _memory_v2(self, memory: int | None, swap: int | None) -> None:
        if memory is not None:
            self._reclaim(memory)
        self._set("memory", "memory.max", _text(memory), "max", "memory")
        # v2 counts swap alone.
        only = None if swap is None else str(max(0, swap - (memory or 0)))
        self._set("memory", "memory.swap.max", only, "max", "memory_swap")

    def _reclaim(self, memory: int) -> None:
        """Makes room for a lower limit: where v1 refuses, v2 would kill processes."""
        current = self._read_int("memory", "memory.current")
        if current is None or current <= memory:
            return
        path = f"{self._cgroup.directory('memory')}/memory.reclaim"
        try:
            cgroupfs.write(path, b"%d" % (current - memory))
        except OSError as error:
            # Less than asked for, or a kernel before 5.19: what counts is how much is left.
            if error.errno != errno.EAGAIN and not cgroupfs.is_gone(error):
                raise
        if (self._read_int("memory", "memory.current") or 0) > memory:
            raise _in_use(f"set `memory` of cgroup `{self._cgroup.path}` to `{memory}`")

    def _read_int(self, controller: str, name: str) -> int | None:
        directory = self._cgroup.directory(controller)
        data = None if directory is None else cgroupfs.find(f"{directory}/{name}")
        return int(data) if data and data.strip().isdigit() else None

    def _cpu(self, limits: "Limits") -> None:
        quota = None if limits.cpus is None else _quota(limits.cpus)
        shares = limits.cpu_shares
        if self._v2("cpu"):
            value = None if quota is None else f"{quota} {_PERIOD}"
            self._set("cpu", "cpu.max", value, f"max {_PERIOD}", "cpus")
            weight = None if shares is None else str(shares_to_weight(shares))
            self._set("cpu", "cpu.weight", weight, "100", "cpu_shares")
            return
        if quota is not None:
            self._set("cpu", "cpu.cfs_period_us", str(_PERIOD), None, "cpus")
        self._set("cpu", "cpu.cfs_quota_us", _text(quota), "-1", "cpus")
        self._set("cpu", "cpu.shares", _text(shares), "1024", "cpu_shares")

    def _cpuset(self, cpus: str | None, below: "Mapping[str, str | None]") -> None:
        if self._v2("cpuset"):
            # What those below it have of it is the kernel's business there.
            self._set("cpuset", "cpuset.cpus", cpus, "\n", "cpuset_cpus")
            return
        directory = self._directory("cpuset", "cpuset_cpus", wanted=cpus is not None)
        if directory is None or not cgroupfs.exists(directory):
            return
        top = directory.removesuffix(self._cgroup.path)
        parents = cgroupfs.find(f"{os.path.dirname(directory)}/cpuset.cpus") or b""
        text = cpus or os.fsdecode(parents).strip()
        try:
            cpusets.confine(directory, text, {top + path: own for path, own in below.items()})
        except OSError as error:
            raise self._typed(error, f"{directory}/cpuset.cpus", "cpuset_cpus", text) from error

    def _block_io(self, weight: int | None) -> None:
        names = (
            (("io", "io.bfq.weight", "100"), ("io", "io.weight", "100"))
            if self._v2("io")
            else (("blkio", "blkio.bfq.weight", "100"), ("blkio", "blkio.weight", "500"))
        )
        controller, name, lifted = names[-1]
        directory = self._directory(controller, "blkio_weight", wanted=weight is not None)
        if directory is not None and os.path.exists(f"{directory}/{names[0][1]}"):
            controller, name, lifted = names[0]
        value = weight
        if weight is not None and name == "io.weight":
            value = blkio_to_io_weight(weight)
        self._set(controller, name, _text(value), lifted, "blkio_weight")


def _text(value: int | None) -> str | None:
    return None if value is None else str(value)


def _in_use(doing: str) -> ContainerStateError:
    return ContainerStateError(
        f"could not {doing}: more than that is in use\n"
        "hint: a higher limit, or stop what uses it first"
    )
