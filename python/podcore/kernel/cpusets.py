"""Which CPUs the cgroups of a v1 hierarchy may run on.

In v2 a cgroup asks for CPUs, and has those of them that its parent has too; where there is none,
all of its parent's. In v1 the kernel refuses whatever is no part of the parent's, and a parent that
gives up what one below it has. Here v1 is made to behave as v2 does.
"""

import os
from collections.abc import Mapping

from podcore.kernel import cgroupfs

Cpus = frozenset[int]


def parse(text: str) -> Cpus:
    """Returns the CPUs of a list such as ``0-2,5``, which is well-formed; the empty one has none."""
    found: set[int] = set()
    for part in text.strip().split(","):
        first, _, last = part.partition("-")
        if first:
            found.update(range(int(first), int(last or first) + 1))
    return frozenset(found)


def show(cpus: Cpus) -> str:
    """Returns CPUs as a list with ranges, as the kernel writes it."""
    parts: list[str] = []
    left = sorted(cpus)
    while left:
        count = next((n for n, cpu in enumerate(left) if cpu != left[0] + n), len(left))
        parts.append(str(left[0]) if count == 1 else f"{left[0]}-{left[count - 1]}")
        del left[:count]
    return ",".join(parts)


def within(own: str | None, outer: str | None) -> str | None:
    """Returns which CPUs something has that asks for some of its own within others.

    Args:
        own: what it asks for; None for nothing.
        outer: those of what it is part of; None for all.

    Returns:
        None for all of the outer ones.
    """
    if own is None or outer is None:
        return own
    both = parse(own) & parse(outer)
    return show(both) if both else None


def confine(directory: str, cpus: str, below: Mapping[str, str | None]) -> None:
    """Gives a v1 cgroup other CPUs, more or fewer, while it and those below it are in use.

    Args:
        directory: the cgroup's, in the hierarchy of the cpuset.
        cpus: all of them are its parent's.
        below: what cgroups in it ask for, by directory; None for all that it has. Others there
            keep what they have of it.

    Raises:
        OSError: as the kernel says; at the first write, when it knows no such CPUs.
    """
    _confine(directory, parse(cpus), below)


def _confine(directory: str, wanted: Cpus, below: Mapping[str, str | None]) -> None:
    now = _read(directory)
    # First all that anyone has, before or afterwards: so no step leaves one with what is not its
    # parent's.
    both = now | wanted
    if both != now:
        _write(directory, both)
    for child in cgroupfs.tree(directory)[1:]:
        if os.path.dirname(child) != directory:
            continue
        theirs = _read(child)
        if not theirs:
            continue  # just made, or gone: its maker sets it
        if child in below:
            asked = below[child]
            kept = wanted if asked is None else parse(asked) & wanted
        else:
            kept = wanted if theirs == now else theirs & wanted
        _confine(child, kept or wanted, below)
    if both != wanted:
        _write(directory, wanted)


def _read(directory: str) -> Cpus:
    return parse(os.fsdecode(cgroupfs.find(f"{directory}/cpuset.cpus") or b""))


def _write(directory: str, cpus: Cpus) -> None:
    try:
        cgroupfs.write(f"{directory}/cpuset.cpus", show(cpus).encode())
    except OSError as error:
        # A container that has ended meanwhile.
        if not cgroupfs.is_gone(error) or cgroupfs.exists(directory):
            raise
