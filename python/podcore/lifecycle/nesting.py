"""Calls from inside of a verb, by its ``progress`` or a signal handler: they can't wait for it."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from podcore.errors import LockOrderError
from podcore.names import short
from podcore.records import ContainerRecord, PodRecord


class _Thread(threading.local):
    """What the verbs under way in this thread have locked: id, whether exclusively."""

    def __init__(self) -> None:
        self.held: list[tuple[str, bool]] = []


_thread = _Thread()


@contextmanager
def inside(locked: PodRecord | ContainerRecord, *, exclusive: bool) -> Iterator[None]:
    """Marks what this thread does meanwhile as done from inside of a verb that holds a lock.

    Args:
        locked: whose lock.
        exclusive: how it is held.
    """
    held = _thread.held
    depth = len(held)
    try:
        held.append((locked.id, exclusive))
        yield
    finally:
        del held[depth:]  # whatever Ctrl-C has left


def check(wanted: PodRecord | ContainerRecord, *, exclusive: bool) -> None:
    """Checks that a lock may be waited for: the wait for oneself would only end in time.

    Raises:
        LockOrderError: this thread is inside of a verb that holds it, and both can't have it.
    """
    for held, exclusively in _thread.held:
        if held == wanted.id and (exclusive or exclusively):
            what = "pod" if isinstance(wanted, PodRecord) else "container"
            raise LockOrderError(
                f"{what} `{wanted.name}` ({short(wanted.id)}) is in use by the verb that this call "
                "is made from, by its `progress` or by a signal handler\n"
                "hint: call it when that verb has returned"
            )
