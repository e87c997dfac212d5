"""A container whose lock is held and whose row is true: what every verb begins with."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from podcore._core import LockSession
from podcore.backend import LOCK_TIMEOUT, Host
from podcore.kernel.exhaustion import naming_exhaustion
from podcore.lifecycle import nesting
from podcore.lifecycle.settle import settled
from podcore.model import ContainerStatus
from podcore.names import short
from podcore.observe import stored
from podcore.records import ContainerRecord, Intent, Verb

if TYPE_CHECKING:
    from podcore.store import Change


@dataclass(frozen=True, slots=True)
class Commit:
    """What becomes true of a held container with one transaction.

    Attributes:
        record: the new row; the very one that is known to be committed is not written again.
        event: what happened, for the store's log of events, which repairs and tests read (there is
            no command for it); "" for a row that only says what is meant.
        detail: of the event.
        durable: survives a power loss too.
        gone: there is no row any more.
    """

    record: ContainerRecord
    event: str = ""
    detail: str = ""
    durable: bool = False
    gone: bool = False

    def put(self, change: "Change", held: "Held") -> None:
        """Writes it; the transaction is the caller's, and so is telling the container of it.

        Raises:
            ContainerRemovedError: the row is not there.
        """
        if self.gone:
            change.delete_container(self.record.id)
        elif self.record is not held.record:
            change.save_container(self.record)
        if self.event:
            change.event("container", self.record.id, self.event, self.detail)


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
            record: the new row, as of a ``Commit``.
            event: what happened, likewise.
            detail: of the event.
            durable: survives a power loss too.

        Raises:
            StoreError: nothing was written.
        """
        self.put(Commit(record, event, detail, durable))

    def put(self, commit: Commit) -> None:
        """Makes a commit in a transaction of its own; raises as ``commit``."""
        with self.host.store.write(self.session, durable=commit.durable) as change:
            commit.put(change, self)
        self.record = commit.record

    def intend(self, verb: Verb, **changes: object) -> None:
        """Commits the intent to do something outside the database, before it is done."""
        self.put(self.meaning(verb, **changes))

    def meaning(self, verb: Verb, **changes: object) -> Commit:
        """Returns the commit of the intent to do something outside the database."""
        return Commit(self.record.but(intent=self.intent(verb), **changes))

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
        LockOrderError: this call comes from inside of the verb that it would wait for.
        ContainerRemovedError: it was removed meanwhile.
        ResourceExhaustedError: what is done under it found that the host is out of something.
    """
    nesting.check(which, exclusive=True)
    with (
        naming_exhaustion(doing(which)),
        session.acquire("container", which.number, timeout=timeout),
        nesting.inside(which, exclusive=True),
    ):
        held = Held(host, session, stored(host, which))
        right = put_right(held)
        if right is not None:
            held.put(right)
        yield held


def doing(which: ContainerRecord) -> str:
    """Returns what a verb does, as the message of an error says it."""
    return f"work on container `{which.name}` ({short(which.id)})"


def put_right(held: Held) -> Commit | None:
    """Puts right what a dead worker left behind; returns what to commit then, if anything.

    An exit is an event like any other, whoever saw it first.
    """
    record = held.record
    now = settled(held.host, record)
    if now is record:
        return None
    ended = now.state is ContainerStatus.EXITED and record.state is not ContainerStatus.EXITED
    return Commit(now, "died" if ended else "sync", now.state.value)
