"""What /proc says of a process, in numbers: whose it is, what it has used, what it is called."""

import os
from dataclasses import dataclass

from podcore.kernel import cgroupfs

_TICKS = os.sysconf("SC_CLK_TCK")
_PAGE = os.sysconf("SC_PAGE_SIZE")
_PTS = range(136, 144)  # major numbers of pseudo-terminals, 256 each


@dataclass(frozen=True, slots=True)
class Task:
    """A process at one moment.

    Attributes:
        pids: its pid in each pid namespace that it is in, this one's first.
        parent: its parent's pid in this namespace.
        uid, gid: effective, in this user namespace.
        own_uid, own_gid: what they are in its own user namespace; None where it has no such id.
        state: a letter, see proc_pid_stat(5).
        threads: how many.
        cpu_seconds: of all its threads.
        elapsed: seconds since it was started.
        memory, size: bytes in RAM, and of its address space.
        terminal: ``pts/0``, or "" for none.
        nice: -20 to 19.
        name: the first 15 bytes of its program's name, or what it calls itself.
        command: its argv; empty for a kernel thread and for one that has cleared it.
    """

    pids: tuple[int, ...]
    parent: int
    uid: int
    gid: int
    own_uid: int | None
    own_gid: int | None
    state: str
    threads: int
    cpu_seconds: float
    elapsed: float
    memory: int
    size: int
    terminal: str
    nice: int
    name: str
    command: tuple[str, ...]


def read(pid: int) -> Task | None:
    """Returns a process; None when it is gone, or dead and only waits to be asked for.

    What is read one after another may belong to two processes with the same pid: whoever cares
    looks at something that tells them apart afterwards.
    """
    files = {}
    for name in ("stat", "status", "cmdline", "uid_map", "gid_map"):
        try:
            files[name] = cgroupfs.read(f"/proc/{pid}/{name}")
        except (FileNotFoundError, ProcessLookupError):
            return None
    uptime = float(cgroupfs.read("/proc/uptime").split()[0])
    return parse(files, uptime)


def parse(files: dict[str, bytes], uptime: float) -> Task | None:
    """Returns the process that its files in /proc tell of; None when it is dead or they are garbage.

    Args:
        files: ``stat``, ``status``, ``cmdline``, ``uid_map`` and ``gid_map``.
        uptime: seconds since boot.
    """
    head, _, rest = files["stat"].rpartition(b")")
    stat = rest.split()
    lines = (line.partition(b":") for line in files["status"].split(b"\n"))
    status = {key: value.split() for key, _, value in lines}
    try:
        state = stat[0].decode()
        if state in "ZXx":
            return None
        uid, gid = int(status[b"Uid"][1]), int(status[b"Gid"][1])
        return Task(
            pids=tuple(int(number) for number in status.get(b"NSpid", status[b"Pid"])),
            parent=int(stat[1]),
            uid=uid,
            gid=gid,
            own_uid=_mapped(files["uid_map"], uid),
            own_gid=_mapped(files["gid_map"], gid),
            state=state,
            threads=int(stat[17]),
            cpu_seconds=(int(stat[11]) + int(stat[12])) / _TICKS,
            elapsed=round(max(0.0, uptime - int(stat[19]) / _TICKS), 2),
            memory=int(stat[21]) * _PAGE,
            size=int(stat[20]),
            terminal=_terminal(int(stat[4])),
            nice=int(stat[16]),
            name=os.fsdecode(head.partition(b"(")[2]),
            command=tuple(os.fsdecode(part) for part in files["cmdline"].split(b"\0")[:-1]),
        )
    except (IndexError, KeyError, ValueError, UnicodeDecodeError):
        return None


def _mapped(table: bytes, number: int) -> int | None:
    """Returns an id as a user namespace knows it, by its ``uid_map`` or ``gid_map``."""
    for line in table.split(b"\n"):
        fields = line.split()
        if len(fields) == 3:
            inside, outside, size = (int(field) for field in fields)
            if outside <= number < outside + size:
                return inside + number - outside
    return None


def _terminal(device: int) -> str:
    if device == 0:
        return ""
    major, minor = os.major(device), os.minor(device)
    if major in _PTS:
        return f"pts/{(major - _PTS.start) * 256 + minor}"
    return "console" if (major, minor) == (5, 1) else f"{major}:{minor}"
