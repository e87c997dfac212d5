"""Cgroups by their path, in all hierarchies of the host at once: v1, v2 or both side by side."""

import errno
import os
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from podcore.deadlines import Deadline
from podcore.errors import InvalidArgumentError, StopTimeoutError, UnsupportedError
from podcore.kernel import cgroupfs, exhaustion, mountinfo, process
from podcore.kernel.freezer import FreezerV1, FreezerV2

if TYPE_CHECKING:
    from podcore.model import Limits, Usage

# Another process may remove an empty parent between two steps; one that does so for ever wins.
_ATTEMPTS = 100
# Options of a v1 mount that name no controller.
_MOUNT_OPTIONS = {
    "rw",
    "ro",
    "relatime",
    "noatime",
    "nosuid",
    "nodev",
    "noexec",
    "xattr",
    "seclabel",
}
_NO_CPUS = (None, b"", b"\n")
# What podcore sets limits with; only these are handed down in v2.
_DELEGATED = ("cpuset", "cpu", "io", "memory", "pids")


@dataclass(frozen=True, slots=True)
class Hierarchies:
    """Where the cgroups of this host are.

    Attributes:
        version: ``v1``, ``v2``, or ``hybrid``: v1 with a v2 beside it.
        controllers: mount point by controller, such as ``memory``; those of a v1 hierarchy first.
        tops: the mount points of all hierarchies, v2 last.
        unified: the mount point of v2, or None.
    """

    version: str
    controllers: Mapping[str, str]
    tops: tuple[str, ...]
    unified: str | None

    @classmethod
    def detect(cls, root: str = "/sys/fs/cgroup", proc: str = "/proc") -> "Hierarchies":
        """Returns what is mounted at ``root``.

        Raises:
            UnsupportedError: no cgroups are mounted there.
        """
        controllers: dict[str, str] = {}
        tops: list[str] = []
        unified = None
        for mount in mountinfo.mounts(proc, fstype="cgroup"):
            if mount.target != root and not mount.target.startswith(root + "/"):
                continue
            if mount.fstype == "cgroup2":
                unified = unified or mount.target
            elif mount.fstype == "cgroup":
                names = [
                    name.removeprefix("name=")
                    for name in mount.options
                    if name not in _MOUNT_OPTIONS and ("=" not in name or name.startswith("name="))
                ]
                # A hierarchy may be mounted twice; the first place serves.
                new = [name for name in names if name not in controllers]
                controllers.update(dict.fromkeys(new, mount.target))
                if new:
                    tops.append(mount.target)
        if unified == root:
            # v1 hierarchies below a v2 root are somebody's leftovers, not this host's way.
            controllers, tops = {}, []
        version = "v1" if unified is None else "v2" if unified == root else "hybrid"
        if unified is not None:
            listed = cgroupfs.find(f"{unified}/cgroup.controllers") or b""
            for name in os.fsdecode(listed).split():
                controllers.setdefault(name, unified)
            tops.append(unified)
        if not tops:
            raise UnsupportedError(
                f"no cgroups are mounted at `{root}`\n"
                f"hint: `mount -t cgroup2 cgroup2 {root}`, or ask whoever made this container"
            )
        return cls(version, controllers, tuple(tops), unified)

    @property
    def freezer_kind(self) -> str | None:
        """Which freezer is used: ``v1``, ``v2``, or None when there is none."""
        if "freezer" in self.controllers:
            return "v1"
        return "v2" if self.unified is not None else None

    @property
    def whole(self) -> bool:
        """Whether one write reaches all processes below a cgroup: v2 alone."""
        return self.version == "v2"

    @property
    def cpuset_is_strict(self) -> bool:
        """Whether a cgroup can't even ask for CPUs that its parent lacks: v1."""
        top = self.controllers.get("cpuset")
        return top is not None and top != self.unified

    @property
    def delegates(self) -> bool:
        """Whether v2 has controllers that podcore sets limits with."""
        return any(self.controllers.get(name) == self.unified for name in _DELEGATED)

    def cgroup(self, path: str) -> "Cgroup":
        """Returns the cgroup of that path, which need not exist.

        Args:
            path: below the root of each hierarchy, with or without a leading slash.

        Raises:
            InvalidArgumentError: the root itself, or a path that could leave it.
        """
        parts = path.strip("/").split("/")
        if any(part in ("", ".", "..") or "\0" in part or "\n" in part for part in parts):
            raise InvalidArgumentError(f"`{path}` is not the path of a cgroup")
        return Cgroup(self, "/".join(parts))


@dataclass(frozen=True, slots=True)
class Cgroup:
    """One cgroup in all hierarchies. Nothing is remembered: every answer is read anew.

    Attributes:
        hierarchies: those of the host.
        path: below the root of each hierarchy, without a leading slash.
    """

    hierarchies: Hierarchies
    path: str

    def directories(self) -> list[str]:
        """Returns its directories, one per hierarchy, whether they exist or not."""
        return [f"{top}/{self.path}" for top in self.hierarchies.tops]

    def directory(self, controller: str) -> str | None:
        """Returns its directory in the hierarchy of a controller; None when there is no such one."""
        top = self.hierarchies.controllers.get(controller)
        return None if top is None else f"{top}/{self.path}"

    def exists(self) -> bool:
        """Says whether it is there in any hierarchy."""
        return any(cgroupfs.exists(directory) for directory in self.directories())

    def create(self, controllers: Iterable[str] | None = None) -> None:
        """Makes it with its parents, as far as it is missing.

        In v2 the parents hand down the controllers that podcore sets limits with. In v1 a new
        cgroup of the cpuset gets the CPUs and memory nodes of its parent: without it takes no
        process.

        Args:
            controllers: only in their hierarchies; default: in all. The others are left out since
                each directory costs; a runtime makes those that it needs itself.

        Raises:
            UnsupportedError: cgroups are read-only here, not permitted, or lack that controller.
            ResourceExhaustedError: no more cgroups are allowed, or out of memory.
        """
        tops: Iterable[str] = self.hierarchies.tops
        if controllers is not None:
            tops = dict.fromkeys(self._top(controller) for controller in controllers)
        try:
            for top in tops:
                self._create_below(top)
        except OSError as error:
            raise self._typed(error, f"make the cgroup `{self.path}`") from error

    def _top(self, controller: str) -> str:
        top = self.hierarchies.controllers.get(controller)
        if top is None:
            raise UnsupportedError(
                f"this host has no cgroup controller `{controller}`\n"
                "hint: it is missing in the kernel, or switched off (`cgroup_disable=`, "
                "`cgroup.subtree_control`)"
            )
        return top

    def _create_below(self, top: str) -> None:
        for _ in range(_ATTEMPTS):
            try:
                return self._create_once(top)
            except OSError as error:
                # Somebody removes it, or a parent, meanwhile.
                if not cgroupfs.is_gone(error):
                    raise
                gone = error
        raise gone

    def _create_once(self, top: str) -> None:
        unified = top == self.hierarchies.unified and self.hierarchies.delegates
        cpuset = top == self.hierarchies.controllers.get("cpuset") and not unified
        directory = f"{top}/{self.path}"
        if not unified and (
            not cpuset or cgroupfs.find(f"{directory}/cpuset.cpus") not in _NO_CPUS
        ):
            # Nothing is left to do in most cases: the parents are there from the last time.
            try:
                os.mkdir(directory, 0o755)
                return
            except FileExistsError:
                return
            except FileNotFoundError:
                pass
        parent = top
        for name in self.path.split("/"):
            if unified:
                self._hand_down(parent)
            child = f"{parent}/{name}"
            try:
                os.mkdir(child, 0o755)
            except FileExistsError:
                pass
            if cpuset:
                cgroupfs.inherit_cpuset(parent, child)
            parent = child

    def _hand_down(self, directory: str) -> None:
        """Lets the cgroups below a v2 cgroup have the controllers that it has itself."""
        available = (cgroupfs.find(f"{directory}/cgroup.controllers") or b"").split()
        enabled = (cgroupfs.find(f"{directory}/cgroup.subtree_control") or b"").split()
        for name in _DELEGATED:
            controller = name.encode()
            if controller not in available or controller in enabled:
                continue
            try:
                # One by one: a controller that can't be handed down must not keep the others back.
                cgroupfs.write(f"{directory}/cgroup.subtree_control", b"+" + controller)
            except OSError as error:
                # EBUSY: there are processes in it. Whether a limit needs the controller turns out
                # when the limit is set, and that error can say which.
                if error.errno not in (errno.EBUSY, errno.EOPNOTSUPP, errno.EINVAL):
                    raise

    def add(self, pid: int) -> None:
        """Moves a process, with all its threads, into it in every hierarchy; makes what is missing.

        Raises:
            ProcessLookupError: it is gone.
            UnsupportedError, ResourceExhaustedError: as ``create``.
        """
        self._move(pid, self.hierarchies.tops)

    def shelter(self, pid: int) -> None:
        """Moves a process into it only where it is in some cgroup other than the root.

        That is enough to take it out of reach of a job or a service that ends what is in its own
        cgroup, counts it or removes the cgroup: the root can't be ended, frozen or removed.
        Each move costs tens of microseconds up to a millisecond, since the kernel makes all
        forks of the host wait for it, so those that change nothing are left out.

        Raises:
            ProcessLookupError: it is gone.
            UnsupportedError, ResourceExhaustedError: as ``create``.
        """
        current = process.cgroup_paths(pid)
        if not current:
            raise ProcessLookupError(errno.ESRCH, os.strerror(errno.ESRCH), str(pid))
        wanted = "/" + self.path
        tops: dict[str, None] = {}
        for controller, path in current.items():
            name = controller.removeprefix("name=")
            top = self.hierarchies.controllers.get(name) if name else self.hierarchies.unified
            if top is not None and path not in ("/", wanted):
                tops[top] = None
        self._move(pid, tops)

    def _move(self, pid: int, tops: Iterable[str]) -> None:
        data = b"%d" % pid
        for top in tops:
            procs = f"{top}/{self.path}/cgroup.procs"
            try:
                for _ in range(_ATTEMPTS):
                    try:
                        cgroupfs.write(procs, data)
                        break
                    except OSError as error:
                        if not cgroupfs.is_gone(error):
                            raise
                        self._create_below(top)
                else:
                    raise OSError(errno.ENOENT, "something keeps removing it", procs)
            except ProcessLookupError:
                raise
            except OSError as error:
                raise self._typed(error, f"move process {pid} to cgroup `{self.path}`") from error

    def procs(self) -> list[int]:
        """Returns the processes in it and below it, in any hierarchy, by ascending pid.

        All hierarchies are asked, since a runtime that is killed while it moves a process leaves
        it in some of them only.
        """
        found: set[int] = set()
        for directory in self.directories():
            for each in cgroupfs.tree(directory):
                found |= cgroupfs.processes(each)
        return sorted(found)

    def populated(self) -> bool:
        """Says whether a process is in it or below it; asks one hierarchy and is quick.

        That of the freezer in v1, since runtimes move a container's process into all of them.
        """
        directory = self.directory("freezer")
        if directory is None and self.hierarchies.unified is not None:
            events = cgroupfs.find(f"{self.hierarchies.unified}/{self.path}/cgroup.events")
            return events is not None and b"\npopulated 1" in b"\n" + events
        tree = cgroupfs.tree(directory or self.directories()[0])
        return any(cgroupfs.processes(each) for each in tree)

    def frozen(self) -> bool:
        """Says whether it is frozen, by itself or from above; one that is not there isn't."""
        freezer = self._freezer()
        return freezer is not None and freezer.frozen()

    def freeze(self, timeout: float) -> None:
        """Freezes all processes in it and below.

        Raises:
            FreezeTimeout: not all of them by then; they run again.
            FileNotFoundError: there is no such cgroup.
            UnsupportedError: this host has no freezer.
        """
        freezer = self._freezer()
        if freezer is None:
            raise UnsupportedError(
                "this host can't freeze processes\n"
                "hint: mount the cgroup v1 controller `freezer`, or cgroup v2"
            )
        freezer.freeze(timeout)

    def thaw(self) -> None:
        """Lets all processes in it and below it run; one that is not there is fine."""
        freezer = self._freezer()
        if freezer is None:
            return
        # From the top: in v1 a cgroup below a frozen one stays frozen whatever is written to it.
        for directory in cgroupfs.tree(freezer.directory):
            type(freezer)(directory).thaw()

    def _freezer(self) -> FreezerV1 | FreezerV2 | None:
        directory = self.directory("freezer")
        if directory is not None:
            return FreezerV1(directory)
        if self.hierarchies.unified is not None:
            return FreezerV2(f"{self.hierarchies.unified}/{self.path}")
        return None

    def kill(self, timeout: float) -> list[int]:
        """Kills all processes in it and below it, see ``podcore.kernel.killing.kill``."""
        from podcore.kernel.killing import kill

        return kill(self, timeout)

    def kill_at_once(self) -> bool:
        """Sends SIGKILL to all processes in it and below it by one write, and does not wait.

        Returns:
            Whether that reaches all of them; it needs v2 and Linux 5.14.
        """
        from podcore.kernel.killing import kill_at_once

        return kill_at_once(self)

    def thaw_itself(self) -> None:
        """Undoes a ``freeze`` of it; what is frozen below it stays so, in v2."""
        freezer = self._freezer()
        if freezer is not None:
            freezer.thaw()

    def remove_empty(self) -> bool:
        """Removes it from all hierarchies if nothing is in it or below it, and says whether it did.

        Where it did not, it is still there in some of them.
        """
        return all(cgroupfs.remove_empty(directory) for directory in self.directories())

    def remove(self, timeout: float = 2.0) -> None:
        """Removes it and what is below it from all hierarchies; missing is fine.

        Args:
            timeout: seconds to try again for while the kernel still says that it is busy, as it
                does for a moment after the last process has ended.

        Raises:
            StopTimeoutError: processes are in it.
            OSError: something else keeps it.
        """
        deadline = Deadline.after(timeout)
        for directory in self.directories():
            wait = 0.001
            while not cgroupfs.remove(directory):
                if deadline.expired:
                    if left := self.procs():
                        raise StopTimeoutError(
                            f"the cgroup `{self.path}` still has processes: {left}", left
                        )
                    raise OSError(errno.EBUSY, os.strerror(errno.EBUSY), directory)
                time.sleep(wait)
                wait = min(wait * 2, 0.05)

    def apply(self, limits: "Limits", below: Mapping[str, str | None] | None = None) -> None:
        """Sets limits on it while it is in use, see ``podcore.kernel.limits.apply``."""
        from podcore.kernel.limits import apply

        apply(self, limits, below)

    def usage(self) -> "Usage":
        """Returns what is used in it, see ``podcore.kernel.usage.read``."""
        from podcore.kernel.usage import read

        return read(self)

    def oom_kills(self) -> int | None:
        """Returns how many processes in it ran out of its memory and were killed; None: unknown."""
        from podcore.kernel.usage import oom_kills

        return oom_kills(self)

    def _typed(self, error: OSError, doing: str) -> Exception:
        known = exhaustion.typed(error, doing)
        if known is not None:
            return known
        if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
            return UnsupportedError(
                f"could not {doing}: {error.strerror}\n"
                "hint: run as root, where cgroups are mounted read-write"
            )
        return error
