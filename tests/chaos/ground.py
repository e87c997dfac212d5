"""Looks at a site from outside podcore, and says what does not fit its rows."""

import contextlib
import os

from harness import host, leftovers
from harness.polling import eventually
from harness.site import Site
from podcore import Engine
from podcore.model import ContainerStatus
from podcore.observe import truth
from podcore.testing import check_invariants

_UP = {
    ContainerStatus.CREATED,
    ContainerStatus.RUNNING,
    ContainerStatus.PAUSED,
    ContainerStatus.STOPPING,
}
LIFE = ["/bin/sh", "-c", "trap 'exit 3' TERM; sleep 1000 & wait"]
"""A command that ends at once, with exit code 3, when it is told to stop."""


def broken(site: Site, engine: Engine) -> list[str]:
    """Returns what is wrong on a site where nobody is at work: I1 to I5 of docs/reliability.md.

    It does not ask podcore what is on the host, so that a mistake there does not hide itself.
    """
    found = list(engine.host.store.integrity())
    with engine.host.store.read() as view:
        rows = view.containers()
        pods = view.pods()
    known = {row.id: row for row in rows}
    places = engine.host.places
    found += [f"pod {pod.name} is half removed" for pod in pods if pod.removing]
    for row in rows:
        if row.intent is not None:
            found.append(f"{row.name}: an intent to {row.intent.verb} is left")
        now = truth(engine.host, row)
        # One that ended by itself is only recorded by the next verb that works on it.
        ended = row.state in _UP and now.state is ContainerStatus.EXITED
        if now.state is not row.state and not ended:
            found.append(f"{row.name}: recorded {row.state}, but {now.state}")
    for pid, command in leftovers.find(site.base, site.cgroup_parent).processes.items():
        text = command + host.read_proc(pid, "cgroup")
        owner = next((row for row in rows if row.id in text), None)
        if owner is None:
            found.append(f"process {pid} without a row: {command[:200]}")
        elif owner.state not in _UP:
            found.append(f"process {pid} of {owner.name}, which is {owner.state}: {command[:200]}")
    found += _strays(places.containers, set(known), "home")
    found += _strays(places.runtime_root(site.runtime), set(known), "runtime state")
    current = {f"{row.id}.{row.incarnation}" for row in rows}
    found += _strays(places.attempts, current, "run directory")
    found += locks_held(places.locks)
    return found


def settled(site: Site, engine: Engine) -> list[str]:
    """Returns what is wrong even after a while: a monitor that has done its work needs it to go."""

    def wrong() -> list[str]:
        # A container whose monitor was killed goes on, and the check says so.
        told = [text for text in check_invariants(engine) if "without its monitor" not in text]
        return broken(site, engine) + told

    with contextlib.suppress(AssertionError):
        eventually(lambda: not wrong(), timeout=20, interval=0.02)
        return []
    return wrong()


def _strays(directory: str, known: set[str], what: str) -> list[str]:
    if not os.path.isdir(directory):
        return []
    return [f"{what} without a row: {name}" for name in sorted(set(os.listdir(directory)) - known)]


def locks_held(directory: str) -> list[str]:
    """Returns the lines of /proc/locks that are about the files of a directory."""
    if not os.path.isdir(directory):
        return []
    inodes = {f":{os.stat(entry.path).st_ino}" for entry in os.scandir(directory)}
    with open("/proc/locks", encoding="ascii") as lines:
        return [
            f"a lock is held: {line.strip()}"
            for line in lines
            if "OFDLCK" in line and any(f"{inode} " in line for inode in inodes)
        ]
