"""Feeds a child process and collects what it writes, until it has ended."""

import os
import select
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

from podcore.deadlines import Deadline
from podcore.kernel.command import Child
from podcore.kernel.process import milliseconds

_BLOCK = 65536

Output = Callable[[str, bytes], object]
"""Is given ``stdout`` or ``stderr`` and what was written there, as it comes."""


class Collected:
    """The ends of a child's pipes that are ours.

    What the child writes is collected, or handed to ``output`` and forgotten.
    """

    def __init__(
        self,
        child: Child,
        stdin: int | None,
        data: bytes,
        out: int,
        err: int,
        output: Output | None = None,
    ) -> None:
        self._output = output
        self._child = child
        self._stdin = stdin
        self._data = memoryview(data)
        self._chunks: dict[int, list[bytes]] = {out: [], err: []}
        self._open = {out, err}
        self._out = out
        self._err = err

    @property
    def stdout(self) -> bytes:
        """What it has written to its stdout so far."""
        return b"".join(self._chunks[self._out])

    @property
    def stderr(self) -> bytes:
        """What it has written to its stderr so far."""
        return b"".join(self._chunks[self._err])

    def pump(self, deadline: Deadline) -> None:
        """Moves data until the child has ended or the deadline has passed.

        Pipes are not read to their end: what it left in the background may hold them open.
        """
        poll = select.poll()
        poll.register(self._child.pidfd, select.POLLIN)
        for descriptor in sorted(self._open):
            poll.register(descriptor, select.POLLIN)
        if self._stdin is not None:
            poll.register(self._stdin, select.POLLOUT)
        while True:
            events = poll.poll(milliseconds(deadline))
            ready = {descriptor for descriptor, _ in events}
            for descriptor in sorted(ready & self._open):
                if not self._read(descriptor):
                    poll.unregister(descriptor)
            if self._stdin is not None and self._stdin in ready and not self._write():
                poll.unregister(self._stdin)
                self.close_stdin()
            if self._child.pidfd in ready:
                self._drain()
                return
            if not events and deadline.expired:
                self._drain()
                return

    def close_stdin(self) -> None:
        """Closes the child's stdin; may be called again."""
        stdin, self._stdin = self._stdin, None
        if stdin is not None:
            os.close(stdin)

    def _read(self, descriptor: int) -> bool:
        """Reads once; returns whether there may be more."""
        try:
            block = os.read(descriptor, _BLOCK)
        except BlockingIOError:
            return True
        if block:
            self._take(descriptor, block)
            return True
        self._open.discard(descriptor)
        return False

    def _write(self) -> bool:
        """Writes once; returns whether there is more to write."""
        assert self._stdin is not None
        try:
            written = os.write(self._stdin, self._data[:_BLOCK])
        except BlockingIOError:
            return True
        except BrokenPipeError:
            return False  # it reads no more, which is its own affair
        self._data = self._data[written:]
        return bool(self._data)

    def _drain(self) -> None:
        """Reads what is in the pipes at this moment."""
        for descriptor in sorted(self._open):
            while True:
                try:
                    block = os.read(descriptor, _BLOCK)
                except BlockingIOError:
                    break
                if not block:
                    break
                self._take(descriptor, block)

    def _take(self, descriptor: int, block: bytes) -> None:
        if self._output is None:
            self._chunks[descriptor].append(block)
        else:
            self._output("stdout" if descriptor == self._out else "stderr", block)


@contextmanager
def collect(
    start: Callable[[Mapping[int, int]], Child],
    stdin: bytes | None,
    output: Output | None = None,
) -> Iterator[Collected]:
    """Starts a child with pipes for its stdio.

    Args:
        start: is given the child's descriptors and returns the child.
        stdin: what it reads; None for nothing.
        output: takes what it writes, instead of ``Collected``.
    """
    ours: list[int] = []
    theirs: list[int] = []
    collected: Collected | None = None
    feeding: int | None = None
    try:
        fds: dict[int, int] = {}
        for number in (1, 2):
            reading, writing = os.pipe2(os.O_CLOEXEC)
            ours.append(reading)
            theirs.append(writing)
            os.set_blocking(reading, False)
            fds[number] = writing
        # Also when there is nothing to read: crun 1.8.1 makes the user that a command runs as the
        # owner of its stdin, and that must not be the host's /dev/null.
        reading, feeding = os.pipe2(os.O_CLOEXEC)
        theirs.append(reading)
        os.set_blocking(feeding, False)
        fds[0] = reading
        child = start(fds)
        collected = Collected(child, feeding, stdin or b"", ours[0], ours[1], output)
        while theirs:
            os.close(theirs.pop())
        if not stdin:
            collected.close_stdin()
        yield collected
    finally:
        for descriptor in (*ours, *theirs):
            os.close(descriptor)
        if collected is not None:
            collected.close_stdin()
        elif feeding is not None:
            os.close(feeding)


def write_all(descriptor: int, data: bytes) -> None:
    """Writes all of it, also where that must be waited for.

    Raises:
        BrokenPipeError: nobody reads it.
        OSError: it could not be written.
    """
    left = memoryview(data)
    while left:
        try:
            left = left[os.write(descriptor, left) :]
        except BlockingIOError:
            poll = select.poll()
            poll.register(descriptor, select.POLLOUT)
            poll.poll()
