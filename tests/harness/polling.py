"""Waiting for something to become true, with a deadline instead of a sleep."""

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


def eventually(
    predicate: Callable[[], T], *, timeout: float = 60.0, interval: float = 0.02, what: str = ""
) -> T:
    """Returns the first true value of ``predicate``.

    Args:
        predicate: asked again and again; an exception from it ends the wait.
        timeout: seconds; a guard for loaded machines, not an expectation.
        interval: seconds between two questions.
        what: what is waited for, for the message.

    Raises:
        AssertionError: it was still false at the deadline.
    """
    deadline = time.monotonic() + timeout
    while True:
        value = predicate()
        if value:
            return value
        if time.monotonic() > deadline:
            name = what or getattr(predicate, "__name__", "the condition")
            raise AssertionError(f"{name} did not come true within {timeout:g} s: {value!r}")
        time.sleep(interval)
