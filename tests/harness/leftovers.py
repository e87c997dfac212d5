"""Finds and removes what containers of a test left on the host."""

import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from harness import host, reaper
from harness.polling import eventually


@dataclass(slots=True)
class Leftovers:
    """What is still there: a process by pid and command line, the rest by path."""

    processes: dict[int, str] = field(default_factory=dict)
    mounts: list[str] = field(default_factory=list)
    cgroups: list[str] = field(default_factory=list)
    files: list[str] = field(default_factory=list)

    def __bool__(self) -> bool:
        return bool(self.processes or self.mounts or self.cgroups or self.files)

    def __str__(self) -> str:
        lines = [f"process {pid}: {what}" for pid, what in self.processes.items()]
        lines += [f"mount {path}" for path in self.mounts]
        lines += [f"cgroup {path}" for path in self.cgroups]
        lines += [f"file {path}" for path in self.files]
        return "\n".join(lines)


def find(base: str, cgroup_parent: str, ids: Iterable[str] = ()) -> Leftovers:
    """Returns what is left of containers that ran under ``base`` and ``cgroup_parent``.

    Args:
        base: the directory that holds all directories of the site.
        cgroup_parent: the site's own parent of cgroups.
        ids: pods and containers that were removed; no file may carry their id any more.
    """
    return Leftovers(
        processes=_processes(base, cgroup_parent),
        mounts=[m.mount_point for m in host.mounts() if _below(m.mount_point, base)],
        cgroups=list(_cgroups(cgroup_parent)),
        files=list(_files_of(base, set(ids))),
    )


def _below(path: str, base: str) -> bool:
    return path == base or path.startswith(base + "/")


def _processes(base: str, cgroup_parent: str) -> dict[int, str]:
    found = {}
    me = os.getpid()
    for pid in host.processes():
        if pid == me:
            continue
        command = host.read_proc(pid, "cmdline").replace("\0", " ").strip()
        groups = host.read_proc(pid, "cgroup").splitlines()
        paths = [line.split(":", 2)[2].split("/") for line in groups]
        if f"{base}/" in command or any(cgroup_parent in path for path in paths):
            found[pid] = command or host.read_proc(pid, "comm").strip()
    return found


def _near_the_top() -> Iterator[tuple[str, list[str]]]:
    # A parent of cgroups may stand at the top of a hierarchy or below the group of the session.
    for top in host.cgroup_mounts():
        for directory, names, _ in os.walk(top):
            yield directory, names
            if directory.count("/") - top.count("/") >= 3:
                names.clear()


def _cgroups(cgroup_parent: str) -> Iterator[str]:
    for directory, names in _near_the_top():
        if cgroup_parent in names:
            yield f"{directory}/{cgroup_parent}"


def _files_of(base: str, ids: set[str]) -> Iterator[str]:
    for directory, names, files in os.walk(base):
        for name in names + files:
            if any(known in name for known in ids):
                yield f"{directory}/{name}"


def find_of_session(base: str, groups_before: frozenset[str]) -> Leftovers:
    """Returns what a whole session left, whichever test it was.

    Args:
        base: the directory of all temporary directories of the session.
        groups_before: what ``groups_of_session`` returned at its start.
    """
    return Leftovers(
        processes={
            pid: host.read_proc(pid, "cmdline").replace("\0", " ") for pid in reaper.orphans()
        },
        mounts=[m.mount_point for m in host.mounts() if _below(m.mount_point, base)],
        cgroups=sorted(groups_of_session() - groups_before),
    )


def groups_of_session(pid: int | None = None) -> frozenset[str]:
    """Returns the cgroups near the top of the hierarchies that carry the pid of a session.

    All parents of cgroups in the tests do, for another session may be at work on the same host.

    Args:
        pid: that of the session; None is this one's.
    """
    mine = str(pid or os.getpid())
    return frozenset(
        f"{directory}/{name}"
        for directory, names in _near_the_top()
        for name in names
        if name.startswith("podcore-") and mine in name.split("-")
    )


def expect_none(base: str, cgroup_parent: str, ids: Iterable[str] = ()) -> None:
    """Waits until nothing is left; what is left all the same is cleaned up.

    Args:
        base: as for ``find``.
        cgroup_parent: as for ``find``; its groups that all pods share are removed when empty.
        ids: as for ``find``.

    Raises:
        AssertionError: something was left.
    """
    known = frozenset(ids)

    def nothing_left() -> bool:
        remove_empty_groups(cgroup_parent)
        return not find(base, cgroup_parent, known)

    try:
        eventually(nothing_left, interval=0.05)
    except AssertionError:
        if left := find(base, cgroup_parent, known):
            clean_up(left, base, cgroup_parent)
            raise AssertionError(f"left behind:\n{left}") from None


def remove_empty_groups(cgroup_parent: str) -> None:
    """Removes the groups that all pods of a parent share, as far as they are empty.

    No verb removes them, since another pod may just be about to use them.
    """
    for group in list(_cgroups(cgroup_parent)):
        for path in (f"{group}/monitors", group):
            # Not empty, or not there: what that means is judged by `find`.
            with contextlib.suppress(OSError):
                os.rmdir(path)


def clean_up(left: Leftovers, base: str, cgroup_parent: str) -> None:
    """Removes what ``find`` found, so that one test's leftovers are not another one's failure."""
    for top in left.cgroups:
        thaw(top)
    for _ in range(50):
        for pid in _processes(base, cgroup_parent):
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                continue
        if not _processes(base, cgroup_parent):
            break
        time.sleep(0.1)
    for mount in reversed([m.mount_point for m in host.mounts() if _below(m.mount_point, base)]):
        subprocess.run(["umount", "--lazy", mount], check=False)
    for top in left.cgroups:
        for directory, _, _ in os.walk(top, topdown=False):
            try:
                os.rmdir(directory)
            except OSError as error:
                print(f"cgroup {directory}: {error}")


def thaw(top: str) -> None:
    """Thaws a cgroup and all below it."""
    for directory, _, files in os.walk(top):
        for name, value in (("freezer.state", "THAWED"), ("cgroup.freeze", "0")):
            if name in files:
                with open(f"{directory}/{name}", "w", encoding="ascii") as file:
                    file.write(value)
