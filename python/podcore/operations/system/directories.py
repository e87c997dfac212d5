"""Looks at directories, lock files and temporary files: whose they are, and who may change them."""

import os
import re
import stat
from collections.abc import Iterator
from functools import partial

from podcore._core import LockTable
from podcore.backend import LOCK_TIMEOUT, Host
from podcore.kernel import process
from podcore.kernel.files import remove_tree
from podcore.operations.system.findings import Findings
from podcore.operations.system.listing import names

_LOCK_FILE = re.compile("|".join(map(re.escape, LockTable.file_names())))
_ANY = re.compile(".+")
_TEMPORARY = re.compile(r".+\.(\d+)\.\d+\.tmp")
_INFRA = re.compile(r"\d+-\d+\.(\d+)")
_DATABASE = re.compile(r"state\.db\.(new|bak-v\d+\.new)(-wal|-shm|-journal)?")
_DATABASE_FILE = re.compile(r"state\.db(-wal|-shm|-reserve)?")


def check(host: Host, findings: Findings) -> None:
    """Looks at the modes and owners of what podcore keeps; makes nothing."""
    places = host.places
    for path in (places.root, places.run_root):
        if not _private(path, findings):
            findings.hopeless = True
    if findings.hopeless:
        return
    for path in (
        places.locks,
        places.containers,
        places.pods,
        places.volumes,
        places.attempts,
        f"{places.run_root}/pods",
    ):
        _private(path, findings)
    _check_files(places.locks, _LOCK_FILE, "lock", findings)
    _check_files(places.root, _DATABASE_FILE, "mode", findings)


def _private(path: str, findings: Findings) -> bool:
    """Notes what is wrong with a directory; returns whether it can be used."""
    try:
        found = os.lstat(path)
    except FileNotFoundError:
        return True
    if not stat.S_ISDIR(found.st_mode):
        text = f"`{path}` is no directory"
        return findings.add("directory", path, text, hint="look what it is, then remove it")
    if found.st_uid != os.geteuid():
        text = f"the directory `{path}` belongs to user {found.st_uid}"
        hint = f"`chown {os.geteuid()} {path}` if you trust what is in it"
        return findings.add("directory", path, text, hint=hint)
    mode = stat.S_IMODE(found.st_mode)
    if mode & 0o077 or mode & 0o700 != 0o700:
        text = f"the directory `{path}` has mode {mode:04o}, not 0700"
        return findings.add("mode", path, text, partial(os.chmod, path, 0o700))
    return True


def _check_files(directory: str, name: re.Pattern[str], kind: str, findings: Findings) -> None:
    for path in _entries(directory, name):
        try:
            found = os.lstat(path)
        except FileNotFoundError:
            continue  # a journal comes and goes
        if not stat.S_ISREG(found.st_mode):
            if kind == "lock":
                text = f"the lock file `{path}` has been replaced by something else"
                findings.add(kind, path, text, partial(remove_tree, path))
            continue  # what is amiss with the database is told by opening it
        if found.st_uid != os.geteuid():
            text = f"the file `{path}` belongs to user {found.st_uid}"
            findings.add(kind, path, text, hint=f"`chown {os.geteuid()} {path}`")
        elif stat.S_IMODE(found.st_mode) != 0o600:
            text = f"the file `{path}` has mode {stat.S_IMODE(found.st_mode):04o}, not 0600"
            findings.add(kind, path, text, partial(os.chmod, path, 0o600))


def check_temporary(host: Host, findings: Findings) -> None:
    """Looks for files that a process wrote when it died, before they got their names."""
    places = host.places
    for path in _temporary(host):
        text = f"`{path}` was being written when its process died"
        findings.add("temporary", path, text, partial(remove_tree, path))
    for path in _entries(places.root, _DATABASE):
        text = f"`{path}` is what the making of a database left"
        with host.session("system check") as session:
            # Whoever makes one holds this lock.
            session.acquire("init", timeout=LOCK_TIMEOUT)
            if os.path.lexists(path):
                findings.add("temporary", path, text, partial(remove_tree, path))


def _temporary(host: Host) -> Iterator[str]:
    places = host.places
    homes = _entries(places.containers, _ANY)
    directories = [places.root, places.run_root, places.pods, places.volumes, *homes]
    for parent in (places.attempts, places.volumes):
        directories += _entries(parent, _ANY)
    directories += [f"{home}/bundle" for home in homes]
    for directory in directories:
        yield from _dead(directory, _TEMPORARY)
    yield from _dead(f"{places.root}/infra", _INFRA)


def _dead(directory: str, name: re.Pattern[str]) -> Iterator[str]:
    for path in _entries(directory, name):
        known = name.fullmatch(os.path.basename(path))
        if known is not None and process.identify(int(known[1])) is None:
            yield path


def _entries(directory: str, name: re.Pattern[str]) -> list[str]:
    return [f"{directory}/{each}" for each in names(directory) if name.fullmatch(each)]
