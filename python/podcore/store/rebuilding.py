"""Puts a new database in the place of one that is damaged or gone."""

import os
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

import apsw

from podcore.kernel.exhaustion import typed as exhausted
from podcore.kernel.files import sync_directory
from podcore.store import creation, faults
from podcore.store.change import Change
from podcore.store.claims import Claim
from podcore.store.connection import Connection, file_identity
from podcore.store.rows import Configs
from podcore.store.store import FILE

if TYPE_CHECKING:
    from podcore._core import LockTable

_TIMEOUT = 30.0
_SUFFIXES = ("", "-wal", "-shm", "-journal")


def identity(directory: str) -> tuple[int, int] | None:
    """Returns which file the database is, by device and inode; None when it is gone."""
    return file_identity(f"{os.path.realpath(directory)}/{FILE}")


def rebuild(
    directory: str,
    locks: "LockTable",
    fill: Callable[[Change], None],
    damaged: tuple[int, int] | None,
    claim: Claim | None = None,
) -> str:
    """Makes a database anew and moves the old one aside, both as a whole.

    Takes the ``init`` and the ``store`` lock, so nobody writes meanwhile; whoever has the old one
    open opens the new one with its next transaction. The calling thread must hold no lock.

    Args:
        directory: of the database.
        locks: of the same engine.
        fill: writes the rows, in the transaction that it is given.
        damaged: ``identity`` of the old one; when it is another one by now, nothing is done.
        claim: what the new one remembers from the beginning.

    Returns:
        The path that the old database has now; "" when there was none to move.

    Raises:
        StoreError: the new one could not be made; the old one is where it was.
        LockTimeoutError: somebody works on the old one for too long.
    """
    path = f"{os.path.realpath(directory)}/{FILE}"
    with (
        locks.session("rebuild the state store") as session,
        session.acquire("init", timeout=_TIMEOUT),
        session.acquire("store", timeout=_TIMEOUT),
        creation.alone(path),
    ):
        if identity(directory) != damaged:
            return ""
        try:
            creation.build(f"{path}.new", claim)
            _fill(f"{path}.new", fill)
            moved = _move_aside(path)
            os.rename(f"{path}.new", path)
            sync_directory(os.path.dirname(path))
            # Leaves a journal: one that is missing later has been removed.
            Connection(path).close()
        except apsw.Error as error:
            raise faults.typed(error, path) from error
        except OSError as error:
            raise exhausted(error, f"rebuild `{path}`") or faults.read_only(path) from error
    return moved


def _fill(path: str, fill: Callable[[Change], None]) -> None:
    connection = Connection(path)
    try:
        connection.execute("BEGIN IMMEDIATE")
        fill(Change(connection, Configs()))
        connection.execute("COMMIT")
        # All of it into the one file that gets another name.
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
    finally:
        connection.end()
        connection.close()
    for suffix in ("-wal", "-shm"):
        if os.path.lexists(path + suffix):
            os.unlink(path + suffix)


def _move_aside(path: str) -> str:
    stamp = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime())
    target, count = f"{path}.corrupt-{stamp}", 0
    while os.path.lexists(target):
        count += 1
        target = f"{path}.corrupt-{stamp}.{count}"
    moved = ""
    for suffix in _SUFFIXES:
        if os.path.lexists(path + suffix):
            os.rename(path + suffix, target + suffix)
            moved = moved or target + suffix
    return moved
