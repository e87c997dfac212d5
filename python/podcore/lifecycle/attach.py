"""Attaches to one container: its output from now on, and its stdin. Holds no lock meanwhile."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from podcore.backend import Host
from podcore.deadlines import Deadline
from podcore.errors import (
    ContainerRemovedError,
    ContainerStateError,
    InvalidArgumentError,
    MonitorError,
)
from podcore.kernel import process
from podcore.lifecycle.pump import Pump, Watched
from podcore.lifecycle.spool import Spool
from podcore.lifecycle.streams import Output
from podcore.lifecycle.wait import wait
from podcore.lifecycle.watcher import Watcher
from podcore.model import ContainerStatus
from podcore.monitor.attach import AttachClient
from podcore.monitor.exits import read_exit
from podcore.names import short
from podcore.observe import stored, truth
from podcore.records import ContainerRecord

CONNECT_TIMEOUT = 10.0
"""Seconds for a monitor to let a client in; a healthy one needs less than a millisecond."""

_ENDING = 1.0
"""Seconds for a monitor that has closed its connections to be gone."""

_LIVING = (
    ContainerStatus.CREATED,
    ContainerStatus.RUNNING,
    ContainerStatus.PAUSED,
    ContainerStatus.STOPPING,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Attach:
    """What somebody who attaches wants.

    Attributes:
        stdin: what the container reads: bytes, or a descriptor of the caller's; None for nothing,
            which leaves its stdin alone.
        keys: typed there, they detach; empty for none.
    """

    stdin: bytes | int | None = None
    keys: bytes = b""


class Attachment:
    """An open connection to a container."""

    def __init__(
        self,
        host: Host,
        record: ContainerRecord,
        mover: Pump | Watcher,
        client: AttachClient | None,
    ) -> None:
        self._host = host
        self._record = record
        self._mover = mover
        self._client = client

    @property
    def terminal(self) -> bool:
        """Whether the container has a terminal."""
        return self._record.spec.terminal

    def resize(self, rows: int, columns: int) -> None:
        """Sets the size of the container's terminal; does nothing where it has none."""
        if self._client is not None and self.terminal:
            self._client.resize(rows, columns)

    def follow(self, output: Output, watched: Watched, deadline: Deadline) -> bool:
        """Hands out what the container writes until it has ended.

        Args:
            output: is given a stream and what was written there, in the calling thread.
            watched: descriptors of the caller's, and what is to be done when one can be read.
            deadline: when to give up.

        Returns:
            False when the keys that detach were typed.

        Raises:
            TimeoutError: the deadline has passed; the container goes on.
            MonitorError: the monitor died or has let this client go, which did not read.
        """
        record = self._record
        if not self._mover.follow(output, watched, deadline):
            message = f"container `{record.name}` ({short(record.id)}) has not ended in time"
            raise TimeoutError(message)
        if self._mover.detached:
            return False
        self._check_ended()
        return True

    def exit_code(self, deadline: Deadline) -> int | None:
        """Returns how the container ended, whatever became of it since; None where nobody knows.

        Raises:
            TimeoutError: that is not known in time.
        """
        record, places = self._record, self._host.places
        persist = places.persist(record.id, record.incarnation)
        attempt = places.attempt(record.id, record.incarnation)
        found = read_exit(persist, attempt, record.id)
        if found is not None:
            return found.code
        try:
            if stored(self._host, record).incarnation != record.incarnation:
                return None  # it was started again, and what it left was cleared away
            return wait(self._host, record, deadline.remaining())
        except ContainerRemovedError:
            return None

    def _check_ended(self) -> None:
        """Tells the end of the container from the end of the connection alone."""
        record = self._record
        if self._client is None or record.monitor is None:
            return
        if record.init is None or not process.alive(record.init):
            return
        # Its connections are closed a moment before a process is gone.
        if process.wait_gone([record.monitor], _ENDING):
            message = (
                f"the monitor of container `{record.name}` let go of this client, which did not "
                "read what came\nhint: the container goes on; `podcore logs` has it all"
            )
            raise MonitorError(message)
        message = (
            f"the monitor of container `{record.name}` has died: what the container writes is "
            "lost\nhint: it goes on; `podcore restart` gives it a new monitor"
        )
        raise MonitorError(message)


@contextmanager
def attached(host: Host, which: ContainerRecord, wanted: Attach) -> Iterator[Attachment]:
    """Connects to a container that is created, running or paused, until the block is left.

    All that it writes from now on is handed out; of one that is only created, all that it ever
    writes. Who only watches a container that has no terminal reads its log: that holds up nobody,
    and leaves its stdin open when it goes.

    Raises:
        ContainerStateError: it has ended or was never created.
        MonitorError: its monitor is gone or does not answer.
        ResourceExhaustedError: no descriptors.
    """
    record = truth(host, stored(host, which))
    if record.state not in _LIVING or record.monitor is None:
        message = (
            f"container `{record.name}` ({short(record.id)}) is {record.state}, "
            "so there is nothing to attach to\nhint: `podcore start --attach` starts it"
        )
        raise ContainerStateError(message, record.state, tuple(map(str, _LIVING)))
    if wanted.stdin is not None and not (record.spec.stdin or record.spec.terminal):
        message = (
            f"container `{record.name}` ({short(record.id)}) has no stdin\n"
            "hint: `podcore create --interactive` gives it one"
        )
        raise InvalidArgumentError(message)
    if wanted.stdin is None and not record.spec.terminal:
        yield Attachment(host, record, Watcher(host, record), None)
        return
    client = AttachClient.connect(
        host.places.bundle(record.id), record.name, record.monitor, Deadline.after(CONNECT_TIMEOUT)
    )
    spool = Spool(host.places.container(record.id))
    try:
        terminal = record.spec.terminal
        with Pump(client, wanted.stdin, spool, wanted.keys, terminal=terminal) as pump:
            yield Attachment(host, record, pump, client)
    finally:
        spool.close()
        client.close()
