"""A client of conmon's attach socket: what a container writes comes out of it, its stdin goes in.

The socket is named ``attach`` and of SOCK_SEQPACKET. A packet that comes is one byte for the stream
and what was written there; packets that go are stdin as they are, and their end is its end. Beside
it lies the FIFO ``ctl`` for the size of the window (conmon's ``src/conn_sock.c``, ``src/ctrl.c``).

conmon writes to its clients one after the other and waits for each of them, while nobody reads what
the container writes and nobody notes its end. So the kernel is told how long such a write may take:
a client that is stopped is let go then, and neither container nor monitor suffer.
"""

import os
import socket
import struct
import time
from contextlib import ExitStack
from typing import Self

from podcore.deadlines import Deadline
from podcore.errors import MonitorError, ResourceExhaustedError
from podcore.kernel import exhaustion, process
from podcore.monitor.fetch import fetch, numbers
from podcore.monitor.stdin import Stdin
from podcore.records import ProcessIdentity

PATIENCE = 3.0
"""Seconds that conmon waits for a client that does not read; less than its exit file is given."""

CHUNK = 8192
"""Bytes in a packet that is sent; conmon cuts off what is longer than its buffer."""

_STREAMS = {2: "stdout", 3: "stderr"}
_RECEIVED = 1 << 16  # conmon's own buffer has 8 or 32 KiB
_RESIZE = 1
_SIZE_MAX = 1000  # conmon refuses what is larger
_LOOK = 0.001


class AttachClient:
    """A connection to the monitor of one container; used by one thread at a time."""

    def __init__(
        self, connection: socket.socket, directory: int, stdin: Stdin | None = None
    ) -> None:
        self._connection = connection
        self._directory = directory
        self._stdin = stdin

    @classmethod
    def connect(
        cls, directory: str, name: str, monitor: ProcessIdentity, deadline: Deadline
    ) -> Self:
        """Connects to a monitor; what the container writes from now on is received.

        Args:
            directory: where conmon has bound its socket; of any length.
            name: the container's, for messages.
            monitor: the conmon.
            deadline: when to give up; a monitor may be stopped.

        Raises:
            MonitorError: the monitor is gone or does not answer.
            ResourceExhaustedError: no descriptors.
        """
        try:
            with ExitStack() as opened:
                held = os.open(directory, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
                opened.callback(os.close, held)
                connection = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
                opened.callback(connection.close)
                connection.settimeout(0)
                # A name of its own, made by the kernel: by it the other end is known.
                connection.bind("")
                _connect(connection, f"/proc/self/fd/{held}/attach", deadline)
                _limit_patience(connection, monitor, deadline)
                stdin = Stdin.of(monitor)
                opened.pop_all()
        except TimeoutError as error:
            raise MonitorError(f"the monitor of container `{name}` does not answer") from error
        except OSError as error:
            if isinstance(error, ResourceExhaustedError):
                raise
            raise exhaustion.typed(error, f"attach to container `{name}`") or MonitorError(
                f"no monitor of container `{name}` can be attached to: {error.strerror}\n"
                "hint: it has ended, or is about to; `podcore logs` shows what was written"
            ) from error
        return cls(connection, held, stdin)

    def fileno(self) -> int:
        """Returns the descriptor to poll."""
        return self._connection.fileno()

    def receive(self) -> tuple[str, bytes] | None:
        """Returns the stream and what was written to it; None at the end.

        Raises:
            BlockingIOError: nothing is there.
        """
        try:
            packet = self._connection.recv(_RECEIVED)
        except ConnectionResetError:
            # It has gone without reading all of the input. That is said once and comes before what
            # it has written, which is still there.
            packet = self._connection.recv(_RECEIVED)
        if not packet:
            return None
        return _STREAMS.get(packet[0], "stdout"), packet[1:]

    def send(self, data: bytes | memoryview) -> int:
        """Sends what fits in a packet to the container's stdin; returns how many bytes it was.

        Raises:
            BlockingIOError: the container has not read what was sent before.
            BrokenPipeError, ConnectionResetError: nobody takes it any more.
        """
        return self._connection.send(data[:CHUNK])

    def end_input(self) -> None:
        """Says that nothing more will be sent: the container's stdin is at its end then."""
        try:
            self._connection.shutdown(socket.SHUT_WR)
        except OSError:
            pass  # not connected any more; there is nobody to be told

    def resize(self, rows: int, columns: int) -> None:
        """Sets the size of the container's terminal.

        Args:
            rows: how many lines; conmon takes 1000 at most.
            columns: likewise.
        """
        line = f"{_RESIZE} {min(rows, _SIZE_MAX)} {min(columns, _SIZE_MAX)}\n"
        try:
            flags = os.O_WRONLY | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC
            fifo = os.open("ctl", flags, dir_fd=self._directory)
        except OSError:
            return  # the monitor has gone, and the terminal with it
        try:
            os.write(fifo, line.encode())
        except (BlockingIOError, BrokenPipeError):
            pass  # likewise; or it is stopped, and its terminal of no use
        finally:
            os.close(fifo)

    def close(self) -> None:
        """Goes away; a container without a terminal finds its stdin at its end."""
        stdin, self._stdin = self._stdin, None
        abandoned = stdin is not None and stdin.close()
        self._connection.close()
        if stdin is not None and abandoned:
            stdin.empty()
        if self._directory >= 0:
            os.close(self._directory)
            self._directory = -1


def _connect(connection: socket.socket, path: str, deadline: Deadline) -> None:
    while True:
        try:
            connection.connect(path)
        except BlockingIOError:
            # Too many wait already to be let in.
            _pause(deadline)
        else:
            return


def _limit_patience(
    connection: socket.socket, monitor: ProcessIdentity, deadline: Deadline
) -> None:
    """Waits until conmon has let the client in, and limits how long it waits for it from then on.

    Where this host does not permit to reach the descriptors of another process (CAP_SYS_PTRACE), a
    client that is stopped holds conmon up, as it does podman's.
    """
    pidfd = process.open_pidfd(monitor)
    if pidfd is None:
        return  # the end of the connection says so
    try:
        while not _limited(connection.getsockname(), monitor.pid, pidfd):
            if not process.alive(monitor):
                return
            _pause(deadline)
    except PermissionError:
        return
    finally:
        os.close(pidfd)


def _limited(name: str | bytes, pid: int, pidfd: int) -> bool:
    for number in numbers(pid, "socket"):
        try:
            other = socket.socket(fileno=fetch(pidfd, number))
        except (FileNotFoundError, ProcessLookupError):
            continue  # closed meanwhile
        with other:
            try:
                peer = other.getpeername()
            except OSError:
                continue  # it is the one that listens
            if peer == name:
                seconds = int(PATIENCE)
                timeval = struct.pack("@ll", seconds, int((PATIENCE - seconds) * 1e6))
                other.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, timeval)
                return True
    return False


def _pause(deadline: Deadline) -> None:
    if deadline.expired:
        raise TimeoutError
    time.sleep(_LOOK)
