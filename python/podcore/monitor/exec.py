"""conmon as the monitor of a command that is exec'ed on a terminal of its own.

It gets the terminal from the OCI runtime through a console socket, so that nothing is lost that a
short command shows there. It says on ``_OCI_ATTACHPIPE`` when its attach socket is there, waits for
a second byte of ``_OCI_STARTPIPE``, and says on ``_OCI_SYNCPIPE`` first the pid of the command, or
that it has none, and then its exit code (conmon's ``src/conmon.c`` with ``--exec-attach``).
"""

import json
import os
import select
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Self

from podcore.deadlines import Deadline
from podcore.errors import MonitorError
from podcore.kernel import command, exhaustion, process
from podcore.monitor.attach import AttachClient
from podcore.monitor.conmon import Conmon, above_stdio

_CAP = 65536
_KILL = 10.0
"""Seconds for a killed monitor to go."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ExecLaunch:
    """What a monitor of a command is started with.

    Attributes:
        container_id: checked; the runtime knows the container by it.
        name: the container's name, for messages.
        directory: for this command alone.
        process_file: the OCI process object, with a terminal.
        pid_file: where the runtime puts the pid of the command.
        runtime: what is executed, an absolute path.
        runtime_arguments: the runtime's global arguments.
        options: those of its ``exec``.
        place: called with the pid of the first process before that does anything.
    """

    container_id: str
    name: str
    directory: str
    process_file: str
    pid_file: str
    runtime: str
    runtime_arguments: Sequence[str]
    options: Sequence[str]
    place: Callable[[int], None]


class ExecMonitor:
    """A monitor whose command waits for ``begin``; killed when its block is left before its end."""

    def __init__(self, launch: ExecLaunch) -> None:
        self._launch = launch
        self._opened = ExitStack()
        self._said = b""
        self._sync = -1
        self._start = -1
        self._over = False
        self.client: AttachClient

    @classmethod
    def launch(cls, conmon: Conmon, launch: ExecLaunch, deadline: Deadline) -> Self:
        """Starts a monitor and attaches to it.

        Raises:
            MonitorError: it does not run or answer.
            ResourceExhaustedError: no descriptors, processes or memory for it.
        """
        made = cls(launch)
        try:
            made._open(conmon, deadline)
        except BaseException as error:
            made.close()
            if isinstance(error, OSError):
                doing = f"start a monitor for a command in container `{launch.name}`"
                raise exhaustion.typed(error, doing) or MonitorError(f"{doing}: {error}") from error
            raise
        return made

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def begin(self) -> None:
        """Lets the command begin."""
        try:
            os.write(self._start, b"\n")
        except BrokenPipeError:
            pass  # it has given up, as the missing exit code will say

    def exit_code(self, deadline: Deadline) -> int | None:
        """Waits for the command's end; returns its exit code, None where it had no beginning."""
        while self._read(self._sync, deadline):
            pass
        self._over = not deadline.expired
        answers = [_number(line) for line in self._said.split(b"\n")]
        return answers[1] if len(answers) > 1 and (answers[0] or -1) > 0 else None

    def close(self) -> None:
        """Ends it, if it is still there; may be called again."""
        if not self._over:
            name = os.fsencode(self._pid_file)
            process.end(lambda argv: name in argv, _KILL)
            self._over = True
        # Not before: conmon takes the end of the start pipe for a start.
        self._opened.close()

    @property
    def _pid_file(self) -> str:
        return f"{self._launch.directory}/conmon.pid"

    def _open(self, conmon: Conmon, deadline: Deadline) -> None:
        with ExitStack() as theirs:
            self._sync, sync = _pipe(self._opened, theirs)
            attach, attached = _pipe(self._opened, theirs)
            start, self._start = _pipe(theirs, self._opened)
            front = command.spawn(
                self._arguments(conmon.path),
                env={
                    **command.CLEAN_ENV,
                    "_OCI_SYNCPIPE": str(sync),
                    "_OCI_ATTACHPIPE": str(attached),
                    "_OCI_STARTPIPE": str(start),
                },
                fds={sync: sync, attached: attached, start: start},
                cwd=self._launch.directory,
                umask=0o022,
            )
        with front:
            self._launch.place(front.pid)
            self.begin()
            while b"\n" not in self._said and self._read(attach, deadline):
                pass
            front.wait(deadline.remaining())
        monitor = process.of_pid_file(self._pid_file)
        if _number(self._said) != 0 or monitor is None:
            message = f"the monitor of a command in container `{self._launch.name}` gave up"
            raise MonitorError(message)
        self._said = b""
        self.client = AttachClient.connect(
            self._launch.directory, self._launch.name, monitor, deadline
        )
        self._opened.callback(self.client.close)

    def _read(self, descriptor: int, deadline: Deadline) -> bool:
        """Adds to what it has said; returns False at the end, or at the deadline."""
        poll = select.poll()
        poll.register(descriptor, select.POLLIN)
        while not poll.poll(process.milliseconds(deadline)):
            if deadline.expired:
                return False
        data = os.read(descriptor, _CAP)
        self._said += data
        return bool(data) and len(self._said) <= _CAP

    def _arguments(self, path: str) -> list[str]:
        launch = self._launch
        argv = [
            path,
            "--api-version", "1",
            "-c", launch.container_id,
            "-u", launch.container_id,
            # Not the container's name, which may be that of a runtime's verb.
            "-n", os.path.basename(launch.directory),
            "-r", launch.runtime,
            "-b", launch.directory,
            "-p", launch.pid_file,
            "-P", self._pid_file,
            "--exit-dir", launch.directory,
            "--full-attach",
            "-l", "none",
            "--log-level", "error",
            "--exec", "--exec-attach",
            "--exec-process-spec", launch.process_file,
            "-t",
        ]  # fmt: skip
        for argument in launch.runtime_arguments:
            argv += ("--runtime-arg", argument)
        for option in launch.options:
            argv += ("--runtime-opt", option)
        return argv


def _pipe(readers: ExitStack, writers: ExitStack) -> tuple[int, int]:
    """Opens a pipe whose ends are closed by whom they belong to."""
    reading, writing = (fd if fd > 2 else above_stdio(fd) for fd in os.pipe())
    readers.callback(os.close, reading)
    writers.callback(os.close, writing)
    return reading, writing


def _number(line: bytes) -> int | None:
    """Returns the number in one of conmon's answers."""
    try:
        answer = json.loads(line)
        number = answer["data"]
    except (ValueError, TypeError, KeyError):
        return None
    return number if isinstance(number, int) else None
