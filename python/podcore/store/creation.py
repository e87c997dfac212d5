"""Makes a database, and brings an older one up to date, while everybody else waits."""

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import apsw

from podcore.errors import LockTimeoutError
from podcore.kernel.exhaustion import typed as exhausted
from podcore.kernel.files import sync_directory
from podcore.store import faults, schema
from podcore.store.claims import Claim
from podcore.store.connection import Connection

if TYPE_CHECKING:
    from podcore._core import LockTable

_TIMEOUT = 30.0
_POLL = 0.005


@contextmanager
def alone(path: str) -> Iterator[None]:
    """Keeps out whoever would make the same database with the locks of another run directory.

    Those of one run directory exclude each other by the ``init`` lock, which the caller holds; so
    nobody waits here but for a stranger, who will be refused, or will refuse.

    Raises:
        LockTimeoutError: the other one takes too long.
        ReadOnlyStoreError, ResourceExhaustedError: the directory can't be opened.
    """
    directory = os.path.dirname(path)
    try:
        fd = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError as error:
        raise exhausted(error, f"open `{directory}`") or faults.read_only(path) from error
    try:
        begun = time.monotonic()
        while not _locked(fd):
            if time.monotonic() - begun > _TIMEOUT:
                raise LockTimeoutError(
                    f"a podcore with another run directory has been making `{path}` for too long\n"
                    f"hint: `lsof {directory}` names it",
                    waited=time.monotonic() - begun,
                )
            time.sleep(_POLL)
        yield
        # A child that was forked meanwhile has this descriptor, too, and with it the lock.
        fcntl.flock(fd, fcntl.LOCK_UN)
    finally:
        os.close(fd)


def _locked(fd: int) -> bool:
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def create(path: str, locks: "LockTable", claim: Claim | None = None) -> None:
    """Makes a database unless there is one by now.

    It gets its name when it is whole: a crash leaves nothing half-made under that name.
    Takes the ``init`` lock exclusively; the calling thread must hold none of an engine's locks.

    Args:
        path: of the database.
        locks: of the engine.
        claim: what the new one remembers from the beginning.

    Raises:
        StoreCorruptError: the journal of a lost database lies there.
        ReadOnlyStoreError: the directory can't be written.
        ResourceExhaustedError: no space or no descriptors left.
        LockTimeoutError: somebody else has been making one for too long.
    """
    with (
        locks.session("create the state store") as session,
        session.acquire("init", timeout=_TIMEOUT),
        alone(path),
    ):
        if os.path.lexists(path):
            return
        if os.path.lexists(f"{path}-wal"):
            # SQLite would take it for the new database's own.
            raise faults.corrupt(path, "it is gone, but its journal (-wal) is there")
        try:
            build(f"{path}.new", claim)
            os.rename(f"{path}.new", path)
            sync_directory(os.path.dirname(path))
        except apsw.Error as error:
            raise faults.typed(error, path) from error
        except OSError as error:
            raise exhausted(error, f"create `{path}`") or faults.read_only(path) from error


def migrate(path: str, locks: "LockTable") -> None:
    """Brings an older database up to date, after a copy of it was made beside it.

    One transaction for each version, so a crash leaves a whole one of some version. Takes the
    ``init`` lock exclusively and the ``store`` lock.

    Raises:
        StoreCorruptError: it doesn't hold together; nothing was changed from that version on.
        StoreError: see its other subclasses.
        LockTimeoutError: somebody else works on it for too long.
    """
    with (
        locks.session("migrate the state store") as session,
        session.acquire("init", timeout=_TIMEOUT),
        alone(path),
        session.acquire("store", timeout=_TIMEOUT),
    ):
        connection = Connection(path)
        try:
            connection.check(path)
            if connection.version == schema.version():
                return  # somebody else did it while we waited
            if connection.read_only:
                raise faults.read_only(path)
            _back_up(connection, path)
            # Tables may be rebuilt; what refers to what is checked before each commit.
            connection.execute("PRAGMA foreign_keys = OFF")
            connection.set_durable(True)
            for version in range(connection.version, schema.version()):
                _upgrade(connection, path, version)
        except apsw.Error as error:
            raise faults.typed(error, path, connection.database.system_errno) from error
        finally:
            connection.end()
            connection.close()


def build(path: str, claim: Claim | None = None) -> None:
    """Makes an empty database, in place of what a process that died here left.

    Args:
        path: where.
        claim: what it remembers from the beginning.
    """
    for suffix in ("", "-wal", "-shm", "-journal"):
        try:
            os.unlink(f"{path}{suffix}")  # of a process that died here
        except FileNotFoundError:
            pass
    database = apsw.Connection(path, flags=apsw.SQLITE_OPEN_READWRITE | apsw.SQLITE_OPEN_CREATE)
    try:
        os.chmod(path, 0o600)  # its journals get the same
        # What the header of an empty file says can't be changed later.
        database.execute("PRAGMA page_size = 4096; PRAGMA auto_vacuum = INCREMENTAL").fetchall()
        database.execute(
            f"BEGIN IMMEDIATE; {schema.CREATE}"
            f"PRAGMA application_id = {schema.APPLICATION_ID};"
            f"PRAGMA user_version = {schema.version()}"
        ).fetchall()
        if claim is not None:
            database.execute("INSERT INTO meta (key, value) VALUES (?, ?)", claim.row)
        database.execute("COMMIT")
        # Once and for all: readers don't wait for writers in this mode.
        database.execute("PRAGMA journal_mode = WAL").fetchall()
    finally:
        database.close(True)  # noqa: FBT003 -- apsw's `force`


def _back_up(connection: Connection, path: str) -> None:
    copy = f"{path}.bak-v{connection.version}"
    partial = f"{copy}.new"
    for name in (partial, f"{partial}-journal"):
        try:
            os.unlink(name)
        except FileNotFoundError:
            pass
    connection.execute("VACUUM INTO ?", (partial,))
    os.chmod(partial, 0o600)
    os.rename(partial, copy)
    sync_directory(os.path.dirname(path))


def _upgrade(connection: Connection, path: str, version: int) -> None:
    connection.execute("BEGIN IMMEDIATE")
    connection.execute(schema.MIGRATIONS[version - 1]).fetchall()
    broken = connection.execute("PRAGMA foreign_key_check").fetchall()
    if broken:
        raise faults.corrupt(path, f"rows of table `{broken[0][0]}` refer to what is not there")
    connection.execute(f"PRAGMA user_version = {version + 1}")
    connection.execute("COMMIT")
