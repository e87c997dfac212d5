"""The table of mounts of this mount namespace."""

import os
import re
from dataclasses import dataclass

_ESCAPE = re.compile(rb"\\([0-7]{3})")
_PLAIN = re.compile(rb" [-/.\w]*")


@dataclass(frozen=True, slots=True)
class MountEntry:
    """A line of ``/proc/PID/mountinfo``.

    Attributes:
        id, parent: mount ids.
        root: which directory of the file system is mounted.
        target: where.
        fstype: such as ``overlay``.
        options: those of the mount and those of the file system, such as ``rw`` or ``lowerdir=…``.
    """

    id: int
    parent: int
    root: str
    target: str
    fstype: str
    options: tuple[str, ...]


def unescape(field: bytes) -> str:
    r"""Returns a field of mountinfo with its ``\040`` and the like turned back into characters."""
    if b"\\" in field:
        field = _ESCAPE.sub(lambda found: bytes((int(found[1], 8) & 0xFF,)), field)
    return os.fsdecode(field)


def parse(data: bytes, fstype: str = "") -> list[MountEntry]:
    """Returns the mounts of a mountinfo file in its order; lines that say nothing are skipped.

    Args:
        data: the file.
        fstype: how the name of the file system must begin; others are skipped at little cost.
    """
    found = []
    wanted = b" - " + os.fsencode(fstype)
    for line in data.split(b"\n"):
        if wanted not in line:
            continue
        before, _, after = line.partition(b" - ")
        left, right = before.split(b" "), after.split(b" ")
        if len(left) < 6 or len(right) < 3 or not (left[0].isdigit() and left[1].isdigit()):
            continue
        kind = unescape(right[0])
        if not kind.startswith(fstype):
            continue
        options = unescape(left[5]).split(",") + unescape(right[2]).split(",")
        root, target = unescape(left[3]), unescape(left[4])
        found.append(MountEntry(int(left[0]), int(left[1]), root, target, kind, tuple(options)))
    return found


def mounts(proc: str = "/proc", fstype: str = "") -> list[MountEntry]:
    """Returns the mounts of this mount namespace, oldest first; see ``parse``."""
    return parse(_table(proc), fstype)


def _table(proc: str = "/proc") -> bytes:
    with open(f"{proc}/self/mountinfo", "rb", buffering=0) as file:
        return file.read()


def _at_or_below(path: str) -> list[str]:
    """Returns the mount points at a path or below it, oldest first.

    A host may have hundreds of mounts of which few are wanted: the others are passed over unread.
    """
    data = _table()
    wanted = b" " + os.fsencode(path)
    # Blanks and the like are written as octal numbers in the table, what is plain as it is.
    if _PLAIN.fullmatch(wanted):
        data = b"\n".join(line for line in data.split(b"\n") if wanted in line)
    inside = path + "/"
    return [m.target for m in parse(data) if m.target == path or m.target.startswith(inside)]


def below(path: str) -> list[str]:
    """Returns the mount points at ``path`` or below it, deepest first; stacked ones repeat.

    Args:
        path: absolute, without symbolic links.
    """
    found = _at_or_below(path.rstrip("/"))
    # Newest first among equals, so that what was mounted last comes off first.
    found.reverse()
    return sorted(found, key=lambda target: -target.count("/"))


def mounted(path: str) -> bool:
    """Says whether something is mounted at exactly that path, absolute and without links."""
    return path in _at_or_below(path)
