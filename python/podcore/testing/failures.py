"""Failpoints for a block of a test; ``podcore.kernel.failpoints`` says what they are."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from podcore.kernel.failpoints import NAMES, arm, parse

__all__ = ["NAMES", "failpoints"]


@contextmanager
def failpoints(settings: Mapping[str, str] | str) -> Iterator[None]:
    """Arms failpoints of this process and, in the end, switches all of them off.

    They hold for all threads and for children that are forked; a program that is started gets
    them by ``PODCORE_FAILPOINTS``. Blocks don't nest.

    Args:
        settings: action by name, or the text of a ``PODCORE_FAILPOINTS``.

    Raises:
        ValueError: there is no such failpoint or action.
    """
    arm(parse(settings) if isinstance(settings, str) else settings)
    try:
        yield
    finally:
        arm({})
