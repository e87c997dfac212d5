"""Moves what comes and goes between a container and whoever is attached, in a thread of its own.

It never waits for its reader: conmon would wait for it, and the container for conmon.
"""

import os
import select
import threading
from collections.abc import Callable, Mapping
from typing import Self

from podcore.deadlines import Deadline
from podcore.kernel.process import milliseconds
from podcore.lifecycle.spool import Spool
from podcore.lifecycle.streams import Output
from podcore.monitor.attach import CHUNK, AttachClient

_END_OF_INPUT = b"\x04"  # what Ctrl-D sends: at the beginning of a line, it ends the input

Watched = Mapping[int, Callable[[], None]]
"""Descriptors of the caller's, and what is to be done when one can be read."""


class Keys:
    """Finds the keys that detach in what is typed.

    Args:
        sequence: the bytes; empty for none.
    """

    def __init__(self, sequence: bytes) -> None:
        self._sequence = sequence
        self._matched = 0

    def feed(self, data: bytes) -> tuple[bytes, bool]:
        """Returns what is to be passed on, and whether the keys were typed.

        The beginning of the sequence is held back until it is known not to be one.
        """
        if not self._sequence:
            return data, False
        held = self._sequence[: self._matched] + data
        found = held.find(self._sequence)
        if found >= 0:
            return held[:found], True
        self._matched = next(
            size
            for size in range(min(len(self._sequence) - 1, len(held)), -1, -1)
            if held.endswith(self._sequence[:size])
        )
        return held[: len(held) - self._matched], False

    def rest(self) -> bytes:
        """Returns what is held back, once nothing more can come."""
        return self._sequence[: self._matched]


class Pump:
    """Feeds a container and collects what it writes.

    A context manager: on the way out the thread has ended.

    Args:
        client: the connection; it stays the caller's.
        stdin: what the container reads: bytes, or a descriptor of the caller's; None for nothing,
            which leaves its stdin alone.
        spool: takes what it writes.
        keys: those that detach.
        terminal: the container reads from a terminal, where the end of input is a character.
    """

    def __init__(
        self,
        client: AttachClient,
        stdin: bytes | int | None,
        spool: Spool,
        keys: bytes = b"",
        *,
        terminal: bool = False,
    ) -> None:
        self._client = client
        self._spool = spool
        self._keys = Keys(keys)
        self._terminal = terminal
        self._source = stdin if isinstance(stdin, int) else -1
        self._feeding = stdin is not None
        self._pending = memoryview(stdin if isinstance(stdin, bytes) else b"")
        self._last = b"" if not self._pending else bytes(self._pending[-1:])
        self._failure: BaseException | None = None
        self._over = False
        self.detached = False
        self._stop = os.eventfd(0, os.EFD_CLOEXEC)
        self._ready = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)
        self._thread = threading.Thread(target=self._run, name="podcore-attach", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *exception: object) -> None:
        os.eventfd_write(self._stop, 1)
        self._thread.join()
        os.close(self._stop)
        os.close(self._ready)

    def follow(self, output: Output, watched: Watched, deadline: Deadline) -> bool:
        """Hands out what comes until it is over: the end of the connection, or detaching keys.

        Args:
            output: is given a stream and what was written there, in the calling thread.
            watched: what else is to be looked after meanwhile.
            deadline: when to give up.

        Returns:
            False when the deadline has passed.
        """
        poll = select.poll()
        for descriptor in (self._ready, *watched):
            poll.register(descriptor, select.POLLIN)
        while True:
            over = self._over  # asked before: what came until then is there to be taken
            pieces = self._spool.take()
            for stream, data in pieces:
                output(stream, data)
            if pieces:
                timeout: float | None = 0
            elif over:
                if self._failure is not None:
                    raise self._failure
                return True
            elif deadline.expired:
                return False
            else:
                timeout = milliseconds(deadline)
            for descriptor, _ in poll.poll(timeout):
                if descriptor == self._ready:
                    os.eventfd_read(self._ready)
                else:
                    watched[descriptor]()

    def _run(self) -> None:
        try:
            self._move()
        except BaseException as error:  # noqa: BLE001 - raised again by who follows
            self._failure = error
        finally:
            self._over = True
            os.eventfd_write(self._ready, 1)

    def _move(self) -> None:
        connection = self._client.fileno()
        while True:
            if self._feeding and self._source < 0 and not self._pending:
                self._end_input()
            poll = select.poll()
            poll.register(self._stop, select.POLLIN)
            poll.register(connection, select.POLLIN | (select.POLLOUT if self._pending else 0))
            if self._source >= 0 and not self._pending:
                poll.register(self._source, select.POLLIN)
            ready = dict(poll.poll())
            if self._stop in ready:
                return
            state = ready.get(connection, 0)
            if state & ~select.POLLOUT and not self._receive():
                return
            if state & select.POLLOUT and self._pending:
                self._send()
            if self._source in ready and not self._read():
                return

    def _receive(self) -> bool:
        """Takes what has come; returns whether there may be more."""
        try:
            piece = self._client.receive()
        except BlockingIOError:
            return True
        if piece is None:
            return False
        self._spool.put(*piece)
        os.eventfd_write(self._ready, 1)
        return True

    def _send(self) -> None:
        try:
            self._pending = self._pending[self._client.send(self._pending) :]
        except BlockingIOError:
            return
        except (BrokenPipeError, ConnectionResetError):
            # Nobody takes it any more, which is the container's affair.
            self._feeding = False
            self._source = -1
            self._pending = memoryview(b"")

    def _read(self) -> bool:
        """Reads what is to be sent; returns False when the keys that detach were typed."""
        try:
            data = os.read(self._source, CHUNK)
        except BlockingIOError:
            return True
        except OSError:
            data = b""  # a terminal that was hung up, a descriptor that was closed: no more input
        if not data:
            self._source = -1
            self._pending = memoryview(self._keys.rest())
            return True
        passed, self.detached = self._keys.feed(data)
        self._pending = memoryview(passed)
        self._last = passed[-1:] or self._last
        if self.detached:
            while self._pending:
                self._send_before_going()
        return not self.detached

    def _send_before_going(self) -> None:
        poll = select.poll()
        poll.register(self._client.fileno(), select.POLLOUT)
        poll.register(self._stop, select.POLLIN)
        if any(descriptor == self._stop for descriptor, _ in poll.poll()):
            self._pending = memoryview(b"")
        else:
            self._send()

    def _end_input(self) -> None:
        self._feeding = False
        if not self._terminal:
            self._client.end_input()
        elif self._last in (b"", b"\n"):
            self._pending = memoryview(_END_OF_INPUT)
        else:
            # The first one only ends the line.
            self._pending = memoryview(_END_OF_INPUT * 2)
