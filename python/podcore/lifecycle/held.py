"""A container whose lock is held and whose row is true: what every verb begins with."""

import time
from collections.abc import Iterator
from contextlib import contextmanager

from podcore._core import LockSession
from podcore.backend import LOCK_TIMEOUT, Host
from podcore.kernel.exhaustion import naming_exhaustion
from podcore.lifecycle.settle import settled
from podcore.model import ContainerStatus
from podcore.names import short
from podcore.observe import stored
from podcore.records import ContainerRecord, Intent, Verb


class Held:
    """A container under its lock; ``record`` is its row as it was last committed."""

    def __init__(self, host: Host, session: LockSession, record: ContainerRecord) -> None:
        self.host = host
        self.session = session
        self.record = record

    def commit(
        self, record: ContainerRecord, event: str = "", detail: str = "", *, durable: bool = False
    ) -> None:
        """Writes the row in one transaction, and an event with it.

        Args:
            record: the new row.
            event: what happened, for ``podcore events``; "" for a row that only says what is meant.
            detail: of the event.
            durable: survives a power loss too.

        Raises:
            StoreError: nothing was written.
        """
        with self.host.store.write(self.session, durable=durable) as change:
            change.save_container(record)
            if event:
                change.event("container", record.id, event, detail)
        self.record = record

    def intend(self, verb: Verb, **changes: object) -> None:
        """Commits the intent to do something outside the database, before it is done."""
        self.commit(self.record.but(intent=self.intent(verb), **changes))

    def intent(self, verb: Verb) -> Intent:
        """Returns an intent of this process."""
        return Intent(verb=verb, owner=self.host.me, since=time.time())


@contextmanager
def hold(
    host: Host, session: LockSession, which: ContainerRecord, timeout: float = LOCK_TIMEOUT
) -> Iterator[Held]:
    """Holds a container's lock, with what a dead worker left behind put right.

    Args:
        host: of the engine.
        session: the calling thread's.
        which: a snapshot of the row; its id and number matter.
        timeout: seconds to wait for the lock.

    Raises:
        LockTimeoutError: somebody else works on it for too long.
        ContainerRemovedError: it was removed meanwhile.
        ResourceExhaustedError: what is done under it found that the host is out of something.
    """
    with (
        naming_exhaustion(f"work on container `{which.name}` ({short(which.id)})"),
        session.acquire("container", which.number, timeout=timeout),
    ):
        record = stored(host, which)
        held = Held(host, session, record)
        now = settled(host, record)
        if now is not record:
            held.commit(now, event=_found(record, now), detail=now.state.value)
        yield held


def _found(before: ContainerRecord, now: ContainerRecord) -> str:
    """Returns the event of what was found: an exit is one like any other, whoever saw it first."""
    ended = now.state is ContainerStatus.EXITED and before.state is not ContainerStatus.EXITED
    return "died" if ended else "sync"
