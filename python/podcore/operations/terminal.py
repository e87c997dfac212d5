"""Runs a command in a container on a pseudo-terminal, and collects what it shows there."""

import os
import select
import threading
import tty
from dataclasses import replace

from podcore.backend import Host
from podcore.errors import ExecTimeoutError
from podcore.lifecycle.exec import Exec, run_attached
from podcore.model import ExecResult
from podcore.records import ContainerRecord

_END_OF_INPUT = b"\x04"  # what Ctrl-D sends: at the beginning of a line, it ends the input
_CHUNK = 1 << 16
_LOOK = 50
"""Milliseconds between two looks whether the command has ended."""

_QUIET = 5
"""Looks without anything to read that end it when something else keeps the terminal open."""


def run_in_terminal(
    host: Host, which: ContainerRecord, wanted: Exec, stdin: bytes | None
) -> ExecResult:
    """Runs a command on a terminal of its own; what it shows there is ``stdout``.

    Args:
        host: of the engine.
        which: the container.
        wanted: what to run.
        stdin: what is typed, an end of input after it; None types nothing.

    Raises:
        ContainerStateError: the container is not running.
        CommandError: the command is not there (127) or can't be executed (126).
        ExecTimeoutError: its time was up; all that it started has been killed.
    """
    ours, theirs = os.openpty()
    # The terminal that the runtime makes in the container edits lines and echoes; this one before it
    # must hand on every byte, also before the runtime has set it so.
    tty.setraw(theirs)
    keyboard = _Keyboard(ours, b"" if stdin is None else stdin + _END_OF_INPUT)
    keyboard.start()
    failure: ExecTimeoutError | None = None
    code = 0
    try:
        code = run_attached(
            host, which, replace(wanted, terminal=True), dict.fromkeys(range(3), theirs)
        )
    except ExecTimeoutError as error:
        failure = error
    finally:
        # In this order: what is on its way is handed out before the end of file.
        os.close(theirs)
        shown = keyboard.finish()
        os.close(ours)
    if failure is not None:
        raise ExecTimeoutError(str(failure), shown) from None
    return ExecResult(code, shown, b"")


class _Keyboard(threading.Thread):
    """Types, and reads what is shown, until the command has ended and nothing more is there.

    What the command left behind may keep the terminal open for ever, so its end is no end of file.
    """

    def __init__(self, descriptor: int, text: bytes) -> None:
        super().__init__(name="podcore-terminal", daemon=True)
        self._descriptor = descriptor
        self._left = memoryview(text)
        self._shown = bytearray()
        self._ended = threading.Event()

    def finish(self) -> bytes:
        """Returns all that was shown; may be called again."""
        self._ended.set()
        if self.is_alive():
            self.join()
        return bytes(self._shown)

    def run(self) -> None:
        """Runs in the thread."""
        os.set_blocking(self._descriptor, False)
        poll = select.poll()
        quiet = 0
        while quiet < _QUIET:
            poll.register(self._descriptor, select.POLLIN | (select.POLLOUT if self._left else 0))
            ready = poll.poll(_LOOK)
            mask = ready[0][1] if ready else 0
            if mask & select.POLLIN:
                quiet = 0
                self._shown += os.read(self._descriptor, _CHUNK)
            elif mask & select.POLLHUP:
                return
            elif self._ended.is_set():
                quiet += 1
            elif mask & select.POLLOUT:
                self._type()

    def _type(self) -> None:
        try:
            self._left = self._left[os.write(self._descriptor, self._left) :]
        except BlockingIOError:
            return  # it has not read what was typed before
