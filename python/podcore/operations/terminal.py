"""Runs a command in a container on a pseudo-terminal, and collects what it shows there."""

from podcore.backend import Host
from podcore.errors import ExecTimeoutError
from podcore.lifecycle.exec import Exec
from podcore.lifecycle.exec_terminal import run_on_terminal
from podcore.lifecycle.streams import Output
from podcore.model import ExecResult
from podcore.records import ContainerRecord


def run_in_terminal(
    host: Host,
    which: ContainerRecord,
    wanted: Exec,
    stdin: bytes | None,
    on_output: Output | None = None,
) -> ExecResult:
    """Runs a command on a terminal of its own; what it shows there is ``stdout``.

    Args:
        host: of the engine.
        which: the container.
        wanted: what to run.
        stdin: what is typed, an end of input after it; None types nothing.
        on_output: takes what is shown as it comes, instead of the result.

    Raises:
        ContainerStateError: the container is not running.
        CommandError: the command is not there (127) or can't be executed (126).
        ExecTimeoutError: its time was up; all that it started has been killed.
        MonitorError: its monitor did not start, or died.
    """
    shown = bytearray()

    def take(stream: str, data: bytes) -> None:
        if on_output is None:
            shown.extend(data)
        else:
            on_output(stream, data)

    try:
        code = run_on_terminal(host, which, wanted, stdin, take)
    except ExecTimeoutError as error:
        raise ExecTimeoutError(str(error), bytes(shown)) from None
    return ExecResult(code, bytes(shown), b"")
