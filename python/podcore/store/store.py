"""The state store: a database that any number of threads and processes use at once."""

import os
import threading
import time
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import apsw

from podcore.errors import PodcoreError, StoreError, UseAfterForkError
from podcore.store import creation, faults, integrity, reserve, schema
from podcore.store.change import Change
from podcore.store.connection import PATIENCE, Connection, file_identity, journals
from podcore.store.rows import Configs, DamagedRowError
from podcore.store.view import View

if TYPE_CHECKING:
    from podcore._core import LockSession, LockTable
    from podcore.store.claims import Claim

FILE = "state.db"

_MOST_IDLE = 16
_REPLACING = 2.0
"""Seconds that a repair has to put the new database in the place of the old one."""
_POLL = 0.005


class Store:
    """The database of one state directory; safe to share between threads.

    Readers never wait. Writers queue for the ``store`` lock, which comes last in the order of
    locks; SQLite's own is then free, unless another program uses the file.

    Attributes:
        path: of the database. Nothing else in this process may open it, see ``Connection``.
    """

    def __init__(self, path: str, claim: "Claim | None" = None) -> None:
        self.path = path
        self._claim = claim
        # The database that has it, by device and inode.
        self._claimed: tuple[int, int] | None = None
        self._pid = os.getpid()
        self._closed = False
        self._lock = threading.Lock()
        self._idle: list[Connection] = []
        self._busy: set[Connection] = set()
        self._configs = Configs()
        _stores.add(self)

    @classmethod
    def open(
        cls,
        directory: str,
        locks: "LockTable",
        claim: "Claim | None" = None,
        *,
        create: bool = True,
    ) -> "Store":
        """Opens the store of a state directory.

        Where there is none it is made, and an older one is brought up to date, both under the
        ``init`` lock, which nobody may hold in this thread. One that is up to date is opened
        without any lock.

        Args:
            directory: exists, and belongs to the caller.
            locks: of the same engine.
            claim: where those locks are, which is recorded with the first write; None for locks
                that nobody else could have elsewhere.
            create: make one where there is none.

        Raises:
            InvalidArgumentError: it is worked on with other locks.
            StoreCorruptError: it is damaged, or not a podcore's.
            StoreTooNewError: it was written by a newer podcore.
            ReadOnlyStoreError: there is none, or an old one, and the directory can't be written.
            ResourceExhaustedError: no space or no descriptors left.
            LockTimeoutError: somebody else has been making it for too long.
            StoreError: there is none, and ``create`` is False.
        """
        # The directory may be reached through a symlink, the file may not be one.
        path = f"{os.path.realpath(directory)}/{FILE}"
        if not os.path.lexists(path):
            if not create:
                raise StoreError(f"there is no state store `{path}`\nhint: create a pod first")
            creation.create(path, locks, claim)
        store = cls(path, claim)
        try:
            version = store._look()
        except BaseException:
            store.close()
            raise
        if version < schema.version():
            store.close()
            creation.migrate(path, locks)
            store = cls(path, claim)
        return store

    @contextmanager
    def read(self) -> Iterator[View]:
        """Gives one consistent snapshot; never waits, whatever writers do.

        Raises:
            StoreCorruptError: the database is damaged.
            UseAfterForkError: this store was opened before a fork.
            StoreError: it can't be read, or it is closed.
        """
        with self._borrowed() as connection:
            connection.execute("BEGIN")
            yield View(connection, self._configs)

    @contextmanager
    def write(
        self,
        session: "LockSession",
        *,
        adds: bool = False,
        durable: bool = False,
        timeout: float = PATIENCE,
    ) -> Iterator[Change]:
        """Gives one write transaction, which is committed unless an exception leaves it.

        Holds the ``store`` lock, so nothing slow belongs inside.

        Args:
            session: the calling thread's.
            adds: it adds objects, so it fails on a disk that is all but full; the others may use
                what is kept in reserve there.
            durable: the commit survives a power loss too, not just a crash of any process.
            timeout: seconds to wait for the lock and for other programs.

        Raises:
            InvalidArgumentError: it is worked on with the locks of another run directory by now.
            LockTimeoutError: podcore's own writers hold the lock for too long.
            StoreBusyError: another program does.
            ReadOnlyStoreError: the filesystem lets nobody write.
            ResourceExhaustedError: no space left; nothing was written.
            StoreCorruptError: the database is damaged.
            UseAfterForkError: this store was opened before a fork.
        """
        deadline = time.monotonic() + timeout
        self._check_usable()
        with session.acquire("store", timeout=timeout):
            connection = self._take()
            committed = False
            try:
                if connection.read_only:
                    raise faults.read_only(self.path)
                if adds:
                    self.check_writable()
                    reserve.keep(self.path)
                else:
                    reserve.spend(self.path, connection)
                connection.set_durable(durable)
                connection.set_patience(_coarse(deadline - time.monotonic()))
                connection.execute("BEGIN IMMEDIATE")
                change = Change(connection, self._configs)
                if self._claim is not None and self._claimed != connection.identity:
                    self._claim.record(change, os.path.dirname(self.path))
                yield change
                connection.execute("COMMIT")
                committed = True
                self._claimed = connection.identity
            except apsw.Error as error:
                raise self._typed(error, connection) from error
            except DamagedRowError as error:
                raise faults.corrupt(self.path, str(error)) from error
            finally:
                if not committed:
                    self._configs.clear()
                self._give(connection)

    def check_writable(self) -> None:
        """Checks that what belongs to new rows can be made beside the database.

        Raises:
            ReadOnlyStoreError: the filesystem lets nobody write.
        """
        if not os.access(os.path.dirname(self.path), os.W_OK):
            raise faults.read_only(self.path)

    def integrity(self) -> list[str]:
        """Returns what is wrong with the database, as sentences; reads all of it.

        Raises:
            StoreError: it can't be read at all.
        """
        with self.read() as view:
            return integrity.problems(view, self._configs)

    def close(self) -> None:
        """Closes it; a transaction that another thread has open may still end. Idempotent."""
        if os.getpid() != self._pid:
            return
        with self._lock:
            self._closed = True
            idle, self._idle = self._idle, []
        for connection in idle:
            connection.close()

    def _look(self) -> int:
        """Returns the version of the schema, after a look at whose locks it is worked on with."""
        with self._borrowed() as connection:
            if self._claim is not None:
                view = View(connection, self._configs)
                if self._claim.recorded(view, os.path.dirname(self.path)):
                    self._claimed = connection.identity
            return connection.version

    @contextmanager
    def _borrowed(self) -> Iterator[Connection]:
        """Gives a connection to read with; what SQLite says then comes as an error of ours."""
        connection = self._take()
        try:
            yield connection
        except apsw.Error as error:
            raise self._typed(error, connection) from error
        except DamagedRowError as error:
            raise faults.corrupt(self.path, str(error)) from error
        finally:
            self._give(connection)

    def _check_usable(self) -> None:
        if os.getpid() != self._pid:
            message = f"the state store `{self.path}` was opened before a fork"
            raise UseAfterForkError(f"{message}\nhint: make a new `Engine` in the child")
        if self._closed:
            raise StoreError(f"the state store `{self.path}` is closed")

    def _take(self) -> Connection:
        self._check_usable()
        try:
            found = os.stat(self.path)
        except OSError as error:
            raise faults.corrupt(self.path, f"it went away ({error.strerror})") from error
        while True:
            with self._lock:
                connection = self._idle.pop() if self._idle else None
                if connection is not None:
                    self._busy.add(connection)
            if connection is None:
                return self._opened()
            if connection.identity == (found.st_dev, found.st_ino):
                if connection.read_only or connection.journals == journals(self.path):
                    return connection
                self._give(connection)
                raise faults.journal_gone(self.path)
            # A repair put another database in its place.
            self._forget(connection)

    def _connect(self) -> Connection:
        """Opens the database again where a repair put another one in its place meanwhile."""
        until = time.monotonic() + _REPLACING
        while True:
            before = file_identity(self.path)
            try:
                return Connection(self.path)
            except PodcoreError:
                # A repair moves the old one away before it touches its journals.
                if file_identity(self.path) == before or time.monotonic() > until:
                    raise
            while file_identity(self.path) is None and time.monotonic() < until:
                time.sleep(_POLL)

    def _opened(self) -> Connection:
        connection = self._connect()
        try:
            connection.check(self.path)
            with self._lock:
                # All of this process use the journal of the first one, whatever lies there by now.
                for other in (*self._busy, *self._idle):
                    same = other.identity == connection.identity and not other.read_only
                    if same and other.journals != connection.journals:
                        raise faults.journal_gone(self.path)
                self._busy.add(connection)
        except BaseException:
            connection.close()
            raise
        return connection

    def _give(self, connection: Connection) -> None:
        if os.getpid() != self._pid:
            return  # abandoned at the fork
        if not connection.end():
            self._forget(connection)
            return
        with self._lock:
            keep = not (self._closed or connection.alone) and len(self._idle) < _MOST_IDLE
            if keep:
                self._busy.discard(connection)
                self._idle.append(connection)
        if not keep:
            self._forget(connection)

    def _forget(self, connection: Connection) -> None:
        with self._lock:
            self._busy.discard(connection)
        connection.close()

    def _typed(self, error: apsw.Error, connection: Connection) -> Exception:
        return faults.typed(error, self.path, connection.database.system_errno)

    def _abandon(self) -> None:
        """Runs in the child of a fork, whose only thread it is."""
        for connection in [*self._idle, *self._busy]:
            connection.abandon()


def _coarse(seconds: float) -> float:
    """Returns the seconds in halves, at least one: setting it costs, so it should seldom change."""
    return max(0.5, round(seconds * 2) / 2)


_stores: weakref.WeakSet[Store] = weakref.WeakSet()


def _after_fork() -> None:
    for store in list(_stores):
        store._abandon()  # noqa: SLF001 -- of this module


os.register_at_fork(after_in_child=_after_fork)
