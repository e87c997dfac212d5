"""Calls from inside of a verb, by its ``progress`` or a signal handler: they can't wait for it."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from podcore.errors import LockOrderError
from podcore.names import short
from podcore.records import PodRecord


class _Thread(threading.local):
    """The pods whose locks verbs under way in this thread hold: id, whether exclusively."""

    def __init__(self) -> None:
        self.held: list[tuple[str, bool]] = []


_thread = _Thread()


@contextmanager
def inside(pod: PodRecord, *, exclusive: bool = False) -> Iterator[None]:
    """Marks what this thread does meanwhile as done from inside of a verb that holds a pod's lock.

    Args:
        pod: whose lock.
        exclusive: how it is held.
    """
    _thread.held.append((pod.id, exclusive))
    try:
        yield
    finally:
        _thread.held.pop()


def check(pod: PodRecord, *, exclusive: bool) -> None:
    """Checks that a pod's lock may be waited for: the wait for oneself would only end in time.

    Raises:
        LockOrderError: this thread is inside of a verb that holds it, and both can't have it.
    """
    for held, exclusively in _thread.held:
        if held == pod.id and (exclusive or exclusively):
            raise LockOrderError(
                f"pod `{pod.name}` ({short(pod.id)}) is in use by the verb that this call is made "
                "from, by its `progress` or by a signal handler\n"
                "hint: call it when that verb has returned"
            )
