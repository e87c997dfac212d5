"""Lends a command pipes instead of what its caller has: files, devices, nothing at all.

An OCI runtime makes the user that a command runs as the owner of its stdin, stdout and stderr (crun
1.8.1 of all of them, runc of all but /dev/null). That may be the caller's file or terminal, or a
device that the whole host shares.
"""

import os
import select
import stat
import threading
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager

from podcore.lifecycle.streams import write_all

_BLOCK = 65536


@contextmanager
def relayed(given: Mapping[int, int]) -> Iterator[dict[int, int]]:
    """Gives the descriptors for a command's stdio: pipes and sockets as they are, pipes for the rest.

    When the block is left, all that the command has written by then has been handed on.

    Args:
        given: the caller's, by the command's number; of those that are left out, 0 is at its end
            and what is written to the others is forgotten.
    """
    with ExitStack() as lent:
        fds: dict[int, int] = {}
        for number in (0, 1, 2):
            ours = given.get(number)
            if ours is not None and _is_channel(ours):
                fds[number] = ours
            elif number == 0:
                fds[number] = lent.enter_context(_read_from(ours))
            else:
                fds[number] = lent.enter_context(_written_to(ours))
        yield fds


def _is_channel(descriptor: int) -> bool:
    mode = os.fstat(descriptor).st_mode
    return stat.S_ISFIFO(mode) or stat.S_ISSOCK(mode)


@contextmanager
def _read_from(source: int | None) -> Iterator[int]:
    reading, writing = os.pipe2(os.O_CLOEXEC)
    if source is None:
        os.close(writing)
        with _closed(reading):
            yield reading
        return
    os.set_blocking(writing, False)
    with _closed(reading), _running(_Feeder(source, writing)):
        yield reading


@contextmanager
def _written_to(target: int | None) -> Iterator[int]:
    reading, writing = os.pipe2(os.O_CLOEXEC)
    os.set_blocking(reading, False)
    with _running(_Drain(reading, target)), _closed(writing):
        yield writing


@contextmanager
def _closed(descriptor: int) -> Iterator[None]:
    try:
        yield
    finally:
        os.close(descriptor)


class _Relay(threading.Thread):
    """Moves data until there is no more, or until it is told to end.

    Args:
        pipe: our end of the command's pipe, which is closed then: the command must not wait for
            somebody who has given up.
    """

    def __init__(self, pipe: int) -> None:
        super().__init__(name="podcore-relay", daemon=True)
        self.pipe = pipe
        self.ending = os.eventfd(0, os.EFD_CLOEXEC)
        self.failure: BaseException | None = None

    def run(self) -> None:
        """Runs in the thread."""
        try:
            self.move()
        except BaseException as error:  # noqa: BLE001 - raised again by who waits for it
            self.failure = error
        finally:
            os.close(self.pipe)

    def move(self) -> None:
        """Moves the data."""
        raise NotImplementedError

    def wait_for(self, descriptor: int, event: int) -> bool:
        """Waits for a descriptor; returns False when it is told to end before."""
        poll = select.poll()
        poll.register(descriptor, event)
        poll.register(self.ending, select.POLLIN)
        return any(ready == descriptor for ready, _ in poll.poll())


@contextmanager
def _running(relay: _Relay) -> Iterator[None]:
    with _closed(relay.ending):
        try:
            relay.start()
        except BaseException:
            os.close(relay.pipe)
            raise
        try:
            yield
        finally:
            os.eventfd_write(relay.ending, 1)
            relay.join()
    if relay.failure is not None:
        raise relay.failure


class _Feeder(_Relay):
    """Hands on what the caller's stdin has, until that or the command is at its end."""

    def __init__(self, source: int, pipe: int) -> None:
        super().__init__(pipe)
        self._source = source

    def move(self) -> None:
        """Moves the data; the end of it is the command's end of input."""
        while self.wait_for(self._source, select.POLLIN):
            try:
                data = memoryview(os.read(self._source, _BLOCK))
            except BlockingIOError:
                continue
            except OSError:
                return  # a terminal that was hung up: no more input
            if not data or not self._write(data):
                return

    def _write(self, data: memoryview) -> bool:
        """Writes all of it; returns False where nobody wants it."""
        while data:
            if not self.wait_for(self.pipe, select.POLLOUT):
                return False
            try:
                data = data[os.write(self.pipe, data) :]
            except BlockingIOError:
                continue
            except BrokenPipeError:
                return False  # it reads no more, which is its own affair
        return True


class _Drain(_Relay):
    """Hands on what a command writes; what it left in the background may hold the pipe open."""

    def __init__(self, pipe: int, target: int | None) -> None:
        super().__init__(pipe)
        self._target = target

    def move(self) -> None:
        """Moves the data; when it is told to end, what is there by then."""
        going_on = True
        while True:
            if going_on:
                going_on = self.wait_for(self.pipe, select.POLLIN)
            try:
                data = os.read(self.pipe, _BLOCK)
            except BlockingIOError:
                if going_on:
                    continue
                return
            if not data:
                return
            if self._target is not None:
                write_all(self._target, data)
