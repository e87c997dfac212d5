"""Processes that can be told from later ones with the same pid, and signals that hit only those.

A pid alone says nothing: it is reused. A pid and a start time name one process, except for two
processes that have the same pid within one clock tick (10 ms), which takes a deliberate effort;
where that matters, the cgroup is compared as well.
"""

import math
import os
import select
import signal
from collections.abc import Callable, Iterable
from functools import lru_cache

from podcore.deadlines import Deadline
from podcore.kernel import cgroupfs
from podcore.kernel.files import read_capped
from podcore.records import ProcessIdentity

# The kernel's answers for a process that is gone: ENOENT for its directory in /proc, ESRCH for a
# file that was opened in time.
_GONE = (FileNotFoundError, ProcessLookupError)
# A zombie and a process that is just being dismantled run no more, though kill(pid, 0) succeeds.
_DEAD_STATES = b"ZXx"


def parse_stat(data: bytes) -> tuple[bytes, int] | None:
    """Returns the state letter and the start time of a ``/proc/PID/stat``; None when malformed.

    The name of the program comes second, in parentheses, and may hold any byte, parentheses and
    newlines too; so the fields are counted from the last parenthesis.
    """
    end = data.rfind(b")")
    fields = data[end + 1 :].split()
    # Field 3 is the state and field 22 the start time (proc_pid_stat(5)).
    if end < 0 or len(fields) < 20 or not fields[19].isdigit():
        return None
    return fields[0], int(fields[19])


def _read(path: str) -> bytes | None:
    try:
        return cgroupfs.read(path)
    except _GONE:
        return None


def identify(pid: int) -> ProcessIdentity | None:
    """Returns which process has that pid now; None when none has, or one that is dead already."""
    data = _read(f"/proc/{pid}/stat") if pid > 0 else None
    known = parse_stat(data) if data else None
    if known is None or known[0] in _DEAD_STATES:
        return None
    return ProcessIdentity(pid, known[1])


def me() -> ProcessIdentity:
    """Returns the identity of the calling process."""
    identity = identify(os.getpid())
    assert identity is not None, "/proc shows another pid namespace than this process's"
    return identity


def alive(identity: ProcessIdentity) -> bool:
    """Says whether that very process still runs; a zombie doesn't."""
    return identify(identity.pid) == identity


def open_pidfd(identity: ProcessIdentity) -> int | None:
    """Returns a pidfd of that very process, which the caller closes; None when it is gone.

    Raises:
        OSError: out of descriptors.
    """
    try:
        pidfd = os.pidfd_open(identity.pid)
    except ProcessLookupError:
        return None
    # Looked at after opening: whatever the pid means now, the descriptor means the same.
    if alive(identity):
        return pidfd
    os.close(pidfd)
    return None


@lru_cache(maxsize=64)
def parse_cgroups(data: bytes) -> dict[str, str]:
    """Returns the paths of a ``/proc/PID/cgroup`` by controller.

    Controllers that share a hierarchy appear one by one; ``""`` is cgroup v2, ``name=x`` a named
    hierarchy. Paths begin with a slash. The mapping is shared between calls: don't change it.
    """
    found: dict[str, str] = {}
    for line in data.split(b"\n"):
        fields = line.split(b":", 2)
        if len(fields) == 3:
            path = os.fsdecode(fields[2])
            for controller in os.fsdecode(fields[1]).split(","):
                found[controller] = path
    return found


def cgroup_paths(pid: int) -> dict[str, str]:
    """Returns the cgroup of a process in each hierarchy, see ``parse_cgroups``; empty when gone."""
    return parse_cgroups(_read(f"/proc/{pid}/cgroup") or b"")


def in_cgroup(pid: int, path: str) -> bool:
    """Says whether a process is in the cgroup ``path`` or below it, in any hierarchy.

    Inside a container a hierarchy may be mounted from one of its cgroups on, while /proc shows
    whole paths: so ``path`` may also be the middle of one.

    Args:
        pid: it may be gone; then the answer is no.
        path: below the mounted root of each hierarchy, with or without a leading slash.
    """
    wanted = "/" + path.strip("/") + "/"
    return any(wanted in path + "/" for path in cgroup_paths(pid).values())


def send(identity: ProcessIdentity, signum: int, cgroup: str | None = None) -> bool:
    """Sends a signal to that very process and to no other one.

    Args:
        identity: whom.
        signum: what.
        cgroup: the process must also be in this cgroup or below it.

    Returns:
        False when the process is gone, or is not the one that was meant.

    Raises:
        OSError: out of descriptors, or not permitted.
    """
    pidfd = open_pidfd(identity)
    if pidfd is None:
        return False
    try:
        if cgroup is not None and not in_cgroup(identity.pid, cgroup):
            return False
        signal.pidfd_send_signal(pidfd, signum)
    except ProcessLookupError:
        return False
    finally:
        os.close(pidfd)
    return True


def wait_gone(
    identities: Iterable[ProcessIdentity], timeout: float | None
) -> list[ProcessIdentity]:
    """Waits until all of these processes have ended; without polling, by their pidfds.

    Args:
        identities: any processes, not only children of this one.
        timeout: seconds; 0 only looks, None waits for ever.

    Returns:
        Those that still run at the deadline, in the order given.

    Raises:
        OSError: out of descriptors.
    """
    deadline = Deadline.after(timeout)
    poll = select.poll()
    left: dict[int, ProcessIdentity] = {}
    try:
        for identity in identities:
            pidfd = open_pidfd(identity)
            if pidfd is not None:
                left[pidfd] = identity
                poll.register(pidfd, select.POLLIN)
        while left:
            ready = poll.poll(milliseconds(deadline))
            for pidfd, _ in ready:
                poll.unregister(pidfd)
                del left[pidfd]
                os.close(pidfd)
            if not ready and deadline.expired:
                break
        return list(left.values())
    finally:
        for pidfd in left:
            os.close(pidfd)


def milliseconds(deadline: Deadline) -> float | None:
    """Returns what ``poll()`` takes as its timeout; a wait may end early, never for ever late."""
    remaining = deadline.remaining()
    if remaining == math.inf:
        return None
    # Rounded up, so that nobody spins through the last millisecond. poll() takes a C int; the
    # caller's loop asks again.
    return min(math.ceil(remaining * 1000), 2_000_000_000)


def of_pid_file(path: str) -> ProcessIdentity | None:
    """Returns the process that has the pid in a file now; None for no file, or no such process.

    Whether it is the one that the file was written for, the caller has to find out.
    """
    try:
        return identify(int(read_capped(path, 32)))
    except (OSError, ValueError):
        return None


def find(
    match: Callable[[list[bytes]], bool], among: Iterable[int] | None = None
) -> list[ProcessIdentity]:
    """Returns the processes whose command line satisfies ``match``, by ascending pid.

    Args:
        match: is given the argv. A program can change its own: this is for finding what podcore
            started, among processes that are then checked further.
        among: the pids to look at; all of this host by default, which takes 10 µs for each.
    """
    if among is not None:
        return _matching(among, match)
    before = _pids()
    found = _matching(before, match)
    # Who forked and exited in the meantime, as a monitor does at its beginning, was not among them,
    # nor was what it has forked.
    return sorted(found + _matching(_pids() - before, match), key=lambda one: one.pid)


def end(match: Callable[[list[bytes]], bool], timeout: float) -> list[ProcessIdentity]:
    """Kills the processes whose command line satisfies ``match``, and what they fork meanwhile.

    Args:
        match: as for ``find``.
        timeout: seconds.

    Returns:
        Those that are still there at the deadline.

    Raises:
        OSError: out of descriptors, or not permitted.
    """
    deadline = Deadline.after(timeout)
    while found := find(match):
        if deadline.expired:
            return found
        for one in found:
            send(one, signal.SIGKILL)
        wait_gone(found, deadline.remaining())
    return []


def _pids() -> set[int]:
    return set(map(int, filter(str.isdigit, os.listdir("/proc"))))


def _matching(pids: Iterable[int], match: Callable[[list[bytes]], bool]) -> list[ProcessIdentity]:
    # The command line before the identity: few match. The pid may pass to another process between
    # two reads, so it is read again behind it.
    return [
        identity
        for pid in sorted(pids)
        if match(_argv(pid)) and (identity := identify(pid)) and match(_argv(pid))
    ]


def _argv(pid: int) -> list[bytes]:
    return (_read(f"/proc/{pid}/cmdline") or b"").removesuffix(b"\0").split(b"\0")
