"""Users and groups by name, looked up in a container's own /etc/passwd and /etc/group."""

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from podcore._core import open_in_root
from podcore.errors import InvalidArgumentError, PodcoreError
from podcore.kernel.exhaustion import typed
from podcore.specs import values

_FILE_MAX = 4 << 20
_FLAGS = os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY


@dataclass(frozen=True, slots=True)
class Account:
    """Whom a process runs as: numbers, and the home directory that goes with them."""

    uid: int
    gid: int
    groups: tuple[int, ...]
    home: str


def find_account(rootfs: str, user: str | None, group_add: Sequence[str] = ()) -> Account:
    """Returns the account for ``user[:group]``.

    As podman does it (``lookup.GetUserGroupInfo``): a number need not be known to the container; a
    user without a group gets the one of /etc/passwd, else 0, and, when given by name, the groups
    that list it; the home directory is "/" where /etc/passwd says nothing.

    Args:
        rootfs: path of the container's root; links in it are followed as the container would.
        user: None for 0:0.
        group_add: supplementary groups, names or numbers.

    Raises:
        InvalidArgumentError: a name is not known there.
    """
    name, _, group = (user or "0:0").partition(":")
    entry = _find_user(rootfs, name)
    if entry is None and not name.isdecimal():
        raise _unknown("user", name, rootfs, "passwd")
    uid = entry[0] if entry else int(name)
    home = entry[2] if entry and entry[2].startswith("/") else "/"
    extra: list[int] = []
    if group:
        gid = _find_group(rootfs, group)
    else:
        gid = entry[1] if entry else 0
        if not name.isdecimal():
            extra = [number for _, number, members in _groups(rootfs) if name in members]
    extra += [_find_group(rootfs, wanted) for wanted in group_add]
    groups = tuple(number for number in dict.fromkeys(extra) if number != gid)
    return Account(uid, gid, groups, home)


def names(rootfs: str, file: str) -> dict[int, str]:
    """Returns the names that a container has for numbers; of several for one, the first.

    Args:
        rootfs: path of its root.
        file: ``passwd`` or ``group``.

    Raises:
        InvalidArgumentError: the file can't be read.
    """
    found: dict[int, str] = {}
    for line in _lines(rootfs, file):
        fields = line.split(":")
        if len(fields) >= 3 and fields[2].isdecimal():
            found.setdefault(int(fields[2]), fields[0])
    return found


def _find_user(rootfs: str, name: str) -> tuple[int, int, str] | None:
    number = int(name) if name.isdecimal() else None
    by_number = None
    for line in _lines(rootfs, "passwd"):
        fields = line.split(":")
        if len(fields) < 6 or not fields[2].isdecimal() or not fields[3].isdecimal():
            continue
        found = (int(fields[2]), int(fields[3]), fields[5])
        if fields[0] == name:
            return found
        if by_number is None and found[0] == number:
            by_number = found
    return by_number


def _find_group(rootfs: str, name: str) -> int:
    if name.isdecimal():
        return int(name)
    for known, number, _ in _groups(rootfs):
        if known == name:
            return number
    raise _unknown("group", name, rootfs, "group")


def _groups(rootfs: str) -> Iterator[tuple[str, int, list[str]]]:
    for line in _lines(rootfs, "group"):
        fields = line.split(":")
        if len(fields) >= 4 and fields[2].isdecimal():
            yield fields[0], int(fields[2]), fields[3].split(",")


def _lines(rootfs: str, file: str) -> list[str]:
    try:
        root = os.open(rootfs, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError as error:
        raise unreadable(rootfs, error) from None
    try:
        descriptor = open_in_root(root, f"etc/{file}", _FLAGS, mode=0)
    except (FileNotFoundError, NotADirectoryError):
        return []
    except OSError as error:
        raise unreadable(rootfs, error, f"/etc/{file} of ") from None
    finally:
        os.close(root)
    try:
        # A device or a FIFO has no size, so this reads nothing of it.
        size = os.fstat(descriptor).st_size
        data = os.read(descriptor, min(size, _FILE_MAX)) if size else b""
    except OSError as error:
        raise unreadable(rootfs, error, f"/etc/{file} of ") from None
    finally:
        os.close(descriptor)
    return data.decode("utf-8", "replace").splitlines()


def unreadable(rootfs: str, error: OSError, part: str = "") -> PodcoreError:
    """Returns the error that says that a root file system, or a ``part`` of it, can't be read."""
    exhausted = typed(error, f"read {part}the root file system `{rootfs}`")
    return exhausted or InvalidArgumentError(
        f"{part}the root file system `{rootfs}` can't be read: {error.strerror}"
    )


def _unknown(kind: str, name: str, rootfs: str, file: str) -> InvalidArgumentError:
    return values.refusal(
        f"{kind} `{name}`",
        f"/etc/{file} of the root file system `{rootfs}` does not know it",
        "give a number",
    )
