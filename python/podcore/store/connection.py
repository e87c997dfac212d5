"""A connection to the database, with the settings that all of them have."""

import os
import time
from typing import TYPE_CHECKING, NoReturn

import apsw

from podcore.errors import StoreTooNewError, UnsupportedError, UseAfterForkError
from podcore.store import faults, schema

if TYPE_CHECKING:
    from collections.abc import Callable

PATIENCE = 10.0
"""Seconds to wait for a program that holds one of SQLite's own locks."""

# Older ones can lose commits in WAL mode when two processes write and checkpoint at once.
_OLDEST = (3, 51, 3)

_FLAGS = (
    apsw.SQLITE_OPEN_READWRITE
    | apsw.SQLITE_OPEN_NOFOLLOW
    | apsw.SQLITE_OPEN_EXRESCODE
    # A connection is used by one thread at a time; apsw checks that.
    | apsw.SQLITE_OPEN_NOMUTEX
)

_SETTINGS = """
PRAGMA foreign_keys = ON;
PRAGMA synchronous = NORMAL;
PRAGMA trusted_schema = OFF;
PRAGMA cell_size_check = ON;
PRAGMA mmap_size = 0;
PRAGMA wal_autocheckpoint = 1000;
PRAGMA journal_size_limit = 8388608;
"""

# What the -shm holds is kept in memory then, which takes that no other connection is open.
_ALONE = "PRAGMA locking_mode = EXCLUSIVE;"
_AGAIN = 0.02
"""Seconds, at most, until who could not open it alone tries again."""


def file_identity(path: str) -> tuple[int, int] | None:
    """Returns which file lies there, by device and inode; None when there is none."""
    try:
        found = os.lstat(path)
    except FileNotFoundError:
        return None
    return found.st_dev, found.st_ino


class Connection:
    """A connection and what it is set to.

    The file must never be opened by other means in this process: closing that descriptor would
    drop SQLite's POSIX locks.

    Attributes:
        database: the connection itself.
        execute: its method; raises after a fork.
        identity: device and inode of the file when it was opened.
        journals: those of its -wal and its -shm.
        alone: there was no space for the -shm; nobody else gets in before this one is closed.
        read_only: the filesystem lets nobody write.
        version: of the schema, when it was opened.
    """

    __slots__ = (
        "_durable",
        "_patience",
        "alone",
        "database",
        "execute",
        "identity",
        "journals",
        "read_only",
        "version",
    )

    def __init__(self, path: str, *, create: bool = False) -> None:
        if tuple(int(part) for part in apsw.sqlitelibversion().split(".")) < _OLDEST:
            raise UnsupportedError(
                f"SQLite {apsw.sqlitelibversion()} can lose data: 3.51.3 is the oldest that podcore "
                "uses\nhint: install apsw from PyPI, which carries its own"
            )
        flags = _FLAGS | (apsw.SQLITE_OPEN_CREATE if create else 0)
        try:
            self.database, self.alone = _opened(path, flags)
        except apsw.Error as error:
            raise faults.typed(error, path) from error
        self.execute: Callable[..., apsw.Cursor] = self.database.execute
        self._durable = False
        self._patience = PATIENCE
        try:
            found = os.stat(path)
            self.identity = (found.st_dev, found.st_ino)
            self.version = self._number("user_version")
            self.read_only = self.database.readonly("main")
            self.journals = journals(path)
        except apsw.Error as error:
            self.close()
            raise faults.typed(error, path) from error
        except OSError as error:
            self.close()
            raise faults.corrupt(path, f"it went away ({error.strerror})") from error

    def check(self, path: str) -> None:
        """Makes sure that the file is a podcore's, and of one that is not newer than this.

        Raises:
            StoreCorruptError: it is something else.
            StoreTooNewError: it is of a newer one.
        """
        if self._number("application_id") != schema.APPLICATION_ID or self.version < 1:
            raise faults.corrupt(path, "it is no database of podcore")
        if self.version > schema.version():
            raise StoreTooNewError(
                f"the state store `{path}` was written by a newer podcore (schema {self.version}, "
                f"this one knows {schema.version()})\nhint: upgrade podcore"
            )

    def set_durable(self, durable: bool) -> None:  # noqa: FBT001 -- the name says what it is
        """Chooses whether the next commit survives a power loss, or just any crash of a process."""
        if durable is not self._durable:
            self.execute(f"PRAGMA synchronous = {'FULL' if durable else 'NORMAL'}")
            self._durable = durable

    def set_patience(self, seconds: float) -> None:
        """Chooses how long to wait for other programs; ``inf`` is about a month."""
        if seconds != self._patience:
            self.database.set_busy_timeout(int(min(seconds * 1000, 2**31 - 1)))
            self._patience = seconds

    def end(self) -> bool:
        """Ends a transaction that is still open, undoing it; returns whether all is well."""
        try:
            if self.database.in_transaction:
                self.execute("ROLLBACK")
        except apsw.Error:
            return False
        return True

    def close(self) -> None:
        """Closes it; what it had open is undone. Never waits and never checkpoints."""
        self.database.close(True)  # noqa: FBT003 -- apsw's `force`: finishes its statements too

    def abandon(self) -> None:
        """Makes it raise from now on, without closing it: it belongs to the parent of this fork.

        A close would roll back and so write to the shared memory of the parent's database. The
        reference is therefore kept beyond the end of the interpreter, by a class that apsw's C
        code never lets go.
        """
        kept = (self.database, getattr(apsw.Error, "podcore_kept", None))
        apsw.Error.podcore_kept = kept  # type: ignore[attr-defined]  # made here
        self.execute = _after_fork

    def _number(self, pragma: str) -> int:
        return int(str(self.execute(f"PRAGMA {pragma}").fetchall()[0][0]))


def journals(path: str) -> tuple[tuple[int, int] | None, ...]:
    """Returns which files the -wal and the -shm of a database are; None for one that is missing.

    They stay the same as long as any connection of any process is open.
    """
    return tuple(_which(f"{path}{suffix}") for suffix in ("-wal", "-shm"))


def _which(path: str) -> tuple[int, int] | None:
    try:
        found = os.lstat(path)
    except FileNotFoundError:
        return None
    return found.st_dev, found.st_ino


def opened_unchanging(path: str) -> apsw.Connection:
    """Opens the database alone, as if nobody would ever write: neither -wal nor -shm is used.

    Raises:
        apsw.Error: it can't be opened.
    """
    from urllib.parse import quote

    database = apsw.Connection(
        f"file:{quote(path)}?immutable=1",
        flags=apsw.SQLITE_OPEN_READONLY | apsw.SQLITE_OPEN_URI | apsw.SQLITE_OPEN_EXRESCODE,
    )
    database.execute("PRAGMA trusted_schema = OFF; PRAGMA cell_size_check = ON").fetchall()
    return database


def _after_fork(*_: object) -> NoReturn:
    raise UseAfterForkError("this transaction was begun before a fork: only the parent can use it")


def _opened(path: str, flags: int) -> tuple[apsw.Connection, bool]:
    """Opens it, and says whether nobody else can as long as it is open."""
    try:
        return _set_up(path, flags, _SETTINGS), False
    except apsw.IOError as error:
        if faults.extended(error) != apsw.SQLITE_IOERR_SHMSIZE:
            raise
    # The first to open it makes the -shm anew. On a full disk somebody who still writes there, such
    # as a container to its log, may have taken that space meanwhile.
    until = time.monotonic() + PATIENCE
    while True:
        try:
            # Without patience: two who try at once share a lock that each wants for itself, and keep
            # it while they wait. Who has closed it again is in nobody's way.
            database = _set_up(path, flags, _ALONE + _SETTINGS, patience=0)
        except apsw.BusyError:
            if time.monotonic() > until:
                raise
            time.sleep(_AGAIN * os.urandom(1)[0] / 255)  # not all the same, so that they part
        else:
            database.set_busy_timeout(int(PATIENCE * 1000))
            return database, True


def _set_up(path: str, flags: int, settings: str, patience: float = PATIENCE) -> apsw.Connection:
    database = apsw.Connection(path, flags=flags)
    try:
        database.set_busy_timeout(int(patience * 1000))
        database.config(apsw.SQLITE_DBCONFIG_DEFENSIVE, 1)
        # Otherwise a join is planned anew each time its parameters change, which costs five times it.
        database.config(apsw.SQLITE_DBCONFIG_ENABLE_QPSG, 1)
        # A checkpoint outside the store lock is what the older SQLites lost data by.
        database.config(apsw.SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1)
        # Without reading on, apsw stops at the first statement that returns a row.
        database.execute(settings).fetchall()
        database.execute("SELECT 1 FROM sqlite_schema LIMIT 1").fetchall()
    except apsw.CantOpenError:
        # On a read-only filesystem without a -shm; with one, the open above just works.
        database.close(True)  # noqa: FBT003 -- apsw's `force`
        if os.access(os.path.dirname(path), os.W_OK):
            raise
        return opened_unchanging(path)
    except apsw.Error:
        database.close(True)  # noqa: FBT003 -- apsw's `force`
        raise
    return database
