"""The terminal of whoever called podcore: handed to a container as it is, and always taken back."""

import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from podcore.cli import output

_SILENT = (signal.SIGHUP, signal.SIGQUIT, signal.SIGUSR1, signal.SIGUSR2)


def stdin() -> int | bytes:
    """Returns the descriptor of stdin; no bytes at all where the caller has closed it."""
    return b"" if sys.stdin is None else sys.stdin.fileno()


def is_terminal(descriptor: int | bytes) -> bool:
    """Returns whether somebody types there."""
    return isinstance(descriptor, int) and os.isatty(descriptor)


def warn_without() -> None:
    """Warns where a terminal is asked for with one's stdin as that, and nobody types there.

    The end of the input is typed then, as Ctrl-D, but what sets its terminal up only after that,
    like a shell, may never see it. As with podman it is no error: scripts do this, and most go well.
    """
    if not is_terminal(stdin()):
        output.note(
            "warning: stdin is no terminal: a command that waits for the end of its input may wait for ever\n"
            "hint: leave out `-t`"
        )


def size() -> tuple[int, int] | None:
    """Returns the lines and columns of the caller's terminal; None where there is none."""
    for descriptor in (0, 1, 2):
        try:
            columns, lines = os.get_terminal_size(descriptor)
        except OSError:
            continue
        return lines, columns
    return None


def _leave(_number: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt


@contextmanager
def raw(descriptor: int) -> Iterator[None]:
    """Passes every key on as it is, Ctrl-C too, until the block is left for whatever reason."""
    import termios
    import tty

    before = termios.tcgetattr(descriptor)
    # These end a process without a word, and the terminal would stay as it is.
    silent = [one for one in _SILENT if signal.getsignal(one) is signal.SIG_DFL]
    for number in silent:
        signal.signal(number, _leave)
    try:
        tty.setraw(descriptor, termios.TCSANOW)
        yield
    finally:
        try:
            termios.tcsetattr(descriptor, termios.TCSADRAIN, before)
        except termios.error:
            pass  # it was hung up: there is no terminal any more
        for number in silent:
            signal.signal(number, signal.SIG_DFL)
