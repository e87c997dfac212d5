"""The host of an engine: what every verb stands on, opened when it is first needed."""

import os
import threading
from typing import TYPE_CHECKING

from podcore._core import LockSession, LockTable
from podcore.errors import OCIRuntimeError, StoreCorruptError
from podcore.kernel import host as kernel_host
from podcore.kernel import process
from podcore.kernel.cgroup import Cgroup, Hierarchies
from podcore.kernel.files import ensure_private_directory
from podcore.records import ProcessIdentity

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from podcore.monitor.conmon import Conmon
    from podcore.oci.interface import OCIRuntime
    from podcore.places import Places
    from podcore.store import Claim, Store

QUICK = "quick"
"""What a verb does to a container when that takes about a millisecond: a signal, a freeze."""

SLOW = "slow"
"""Likewise when it takes longer: an OCI create or start, a removal."""

LOCK_TIMEOUT = 30.0
"""Seconds that a verb waits for a lock; longer than anybody holds one on a healthy host."""

# What a verb waits for takes 5 s at most as a rule: also the last of so many is through before those
# who wait for its lock give up.
_AT_ONCE = 5


class Host:
    """The parts of one engine; safe to share between threads.

    Attributes:
        places: where things are.
        max_workers: container transitions at once.
    """

    def __init__(
        self,
        places: "Places",
        *,
        max_workers: int,
        oci_runtime: str | None = None,
        conmon: str | None = None,
    ) -> None:
        self.places = places
        self.max_workers = max_workers
        self._requested_runtime = oci_runtime
        self._requested_conmon = conmon
        self._opening = threading.RLock()
        self._locks: LockTable | None = None
        self._store: Store | None = None
        self._hierarchies: Hierarchies | None = None
        self._conmon: Conmon | None = None
        self._runtimes: dict[str, OCIRuntime] = {}
        self._me: ProcessIdentity | None = None
        self._default_runtime: str | None = None

    @property
    def boot_id(self) -> str:
        """This boot's id."""
        return kernel_host.boot_id()

    @property
    def me(self) -> ProcessIdentity:
        """This process, as an intent names its owner."""
        if self._me is None or self._me.pid != os.getpid():
            self._me = process.me()
        return self._me

    @property
    def locks(self) -> LockTable:
        """The lock table; opening it makes the state and run directories.

        Raises:
            InvalidArgumentError: the state directory is worked on with another run directory.
            UnsupportedError: a directory belongs to somebody else, is a symlink, is open to
                others, or is on a network filesystem.
        """
        if self._locks is None:
            with self._opening:
                if self._locks is None:
                    ensure_private_directory(self.places.root)
                    if not os.path.lexists(self.places.run_root):
                        # One that is there is judged as the store is opened, before its first use.
                        self.claim.check(f"{self.places.root}/state.db")
                    ensure_private_directory(self.places.run_root)
                    self._locks = LockTable(self.places.locks)
        return self._locks

    @property
    def store(self) -> "Store":
        """The state store.

        Raises:
            InvalidArgumentError: the state directory is worked on with another run directory.
            StoreError: see its subclasses.
        """
        if self._store is None:
            with self._opening:
                if self._store is None:
                    from podcore.store import Store

                    locks = self.locks  # makes and checks the directories first
                    self._refuse_loss()
                    self._refuse_lost_journal()
                    self._store = Store.open(self.places.root, locks, self.claim)
        return self._store

    @property
    def claim(self) -> "Claim":
        """What the database remembers of who works on it: where the locks are."""
        from podcore.store import Claim

        return Claim(self.places.run_root, self.boot_id)

    def _refuse_loss(self) -> None:
        """Makes no new database where there are containers or pods of an earlier one.

        Raises:
            StoreCorruptError: it is gone.
        """
        path = f"{self.places.root}/state.db"
        if os.path.lexists(path):
            return
        for directory in (self.places.containers, self.places.pods):
            left = _listed(directory)
            # Another process may have made it, and a pod, between the two looks.
            if left and not os.path.lexists(path):
                raise StoreCorruptError(
                    f"the state store `{path}` is gone, but `{directory}` is not empty\n"
                    "hint: `podcore system check --repair` rebuilds it from what is on the host"
                )

    def _refuse_lost_journal(self) -> None:
        """Makes no new journal for a database that does not know what is there.

        Raises:
            StoreCorruptError: its journal was removed, and commits with it.
        """
        places = self.places
        path = f"{places.root}/state.db"
        if os.path.lexists(f"{path}-wal"):
            return
        from podcore.store import unjournaled

        # Before the database is read: what is made meanwhile makes a journal, too.
        homes = set(_listed(places.containers))
        pods = {name.removesuffix(".json") for name in _listed(places.pods) if name[0] != "."}
        attempts = [name.rpartition(".") for name in _listed(places.attempts)]
        rows = unjournaled(places.root)
        if rows is None:
            return
        unknown = {
            key for key in homes - rows.containers.keys() if os.path.exists(places.ledger(key))
        }
        homeless = rows.containers.keys() - rows.infra - homes
        later = [
            key
            for key, _, incarnation in attempts
            if incarnation.isdecimal() and int(incarnation) > rows.containers.get(key, 0)
        ]
        if unknown or homeless or later or pods - rows.pods:
            raise StoreCorruptError(
                f"the state store `{path}` is damaged: its journal (-wal) is gone, and what was in it "
                "is missing\nhint: `podcore system check --repair` rebuilds it from what is on the host"
            )

    @property
    def hierarchies(self) -> Hierarchies:
        """The cgroup hierarchies of this host."""
        if self._hierarchies is None:
            self._hierarchies = Hierarchies.detect()
        return self._hierarchies

    def cgroup(self, path: str) -> Cgroup:
        """Returns a cgroup by its path below the root of each hierarchy."""
        return self.hierarchies.cgroup(path)

    @property
    def conmon(self) -> "Conmon":
        """The monitor program.

        Raises:
            MonitorError: there is none.
        """
        if self._conmon is None:
            from podcore.monitor.conmon import Conmon

            self._conmon = Conmon.find(self._requested_conmon)
        return self._conmon

    def default_runtime(self) -> str:
        """Returns the absolute path of the OCI runtime that new containers are pinned to.

        Raises:
            OCIRuntimeNotFoundError: the one that was asked for is unknown, or none can run here.
        """
        if self._default_runtime is None:
            with self._opening:
                if self._default_runtime is None:
                    self._default_runtime = self.resolve_runtime(self._requested_runtime)
        return self._default_runtime

    def resolve_runtime(self, requested: str | None) -> str:
        """Returns the absolute path of an OCI runtime by its name or path.

        Raises:
            OCIRuntimeNotFoundError: it is unknown, or none can run here.
            OCIRuntimeError: its name says nothing, and it does not say what it is.
        """
        from podcore.oci import discovery

        if requested is None:
            return discovery.default(self.places.runtime_cache, self.boot_id)
        path = discovery.resolve(requested, os.environ)
        # A container keeps its runtime for good, so what is none is refused before that.
        self._known_runtime(path)
        return path

    def runtime(self, path: str) -> "OCIRuntime":
        """Returns the adapter of the OCI runtime at a path; it is made once.

        That of a program that is gone, or is no runtime any more, can still remove what it left.
        """
        try:
            return self._known_runtime(path)
        except OCIRuntimeError as why:
            from podcore.oci.unknown import Unknown

            # Made anew each time: it may be installed again.
            return Unknown(path, self.places.runtime_root(os.path.basename(path)), why)

    def _known_runtime(self, path: str) -> "OCIRuntime":
        found = self._runtimes.get(path)
        if found is None:
            from podcore.oci import discovery

            root = self.places.runtime_root(os.path.basename(path))
            with self._opening:
                found = discovery.runtime_for(path, root)
                self._runtimes[path] = found
        return found

    def find_processes(
        self, match: "Callable[[list[bytes]], bool]", among: "Iterable[int] | None" = None
    ) -> list[ProcessIdentity]:
        """Returns the processes, of this host or ``among`` some pids, with such command lines."""
        return process.find(match, among)

    def place_monitor(self, pid: int) -> None:
        """Moves a process to the cgroup of all monitors.

        A monitor must outlive the cgroup of whoever called podcore, such as that of a CI job.
        """
        self.cgroup(self.places.monitors_cgroup).shelter(pid)

    def at_once(self, pace: str) -> int:
        """Returns how many containers a worker takes in one go, so that they share their commits.

        Args:
            pace: ``QUICK`` or ``SLOW``; the slow ones are worth a worker each.
        """
        return _AT_ONCE if pace == QUICK else 1

    def session(self, operation: str) -> LockSession:
        """Returns a lock session for the calling thread; ``operation`` is shown to who waits."""
        return self.locks.session(operation)

    @property
    def opened(self) -> bool:
        """Whether anything has been opened yet."""
        return self._locks is not None

    def close(self) -> None:
        """Closes the store and frees the copies of runtimes. Stops nothing."""
        with self._opening:
            store, self._store = self._store, None
            self._runtimes.clear()
        if store is not None:
            store.close()


def _listed(directory: str) -> list[str]:
    """Returns the names in a directory; none where it is missing."""
    try:
        return os.listdir(directory)
    except FileNotFoundError:
        return []
