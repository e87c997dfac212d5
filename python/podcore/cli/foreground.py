"""``run`` and ``exec``: commands whose output and exit code become those of podcore."""

import codecs
import os
import select
import signal
import stat
import sys
import threading
from argparse import Namespace
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any, TextIO

from podcore.cli import attaching, creation, logs, output, terminal
from podcore.cli.arguments import Parser, duration
from podcore.cli.selection import FAILED, UsageError
from podcore.errors import (
    CommandError,
    ContainerRemovedError,
    OCIRuntimeError,
)

if TYPE_CHECKING:
    from types import FrameType

    from podcore.cli.context import Context
    from podcore.container import Container
    from podcore.engine import Engine

NOT_FOUND = 127
NOT_EXECUTABLE = 126
_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"  # what a container has by default
_BLOCK = 65536
_EVERYTHING = logs.Choice(
    follow=True, tail=None, since=None, until=None, timestamps=False, names=False, raw=False
)


def configure_run(parser: Parser) -> None:
    """Adds the arguments of ``run``."""
    parser.add_argument("-d", "--detach", action="store_true", help="print its id and leave it")
    parser.add_argument("--rm", action="store_true", help="remove it when it has exited")
    attaching.add_options(parser)
    creation.configure(parser)


def run(context: "Context", options: Namespace) -> int:
    """Creates a container, starts it, writes what it writes, and returns its exit code."""
    if options.rm and options.detach:
        raise UsageError("`--rm` and `--detach` exclude each other")
    if options.stdin and options.terminal and not options.detach:
        terminal.warn_without()
    chosen = attaching.wish(options, start=True, stdin=options.stdin)
    container = creation.create(context, options)
    attached = not options.detach and (options.stdin or options.terminal)
    leaving = False
    try:
        try:
            if attached:
                code = attaching.follow(context.engine, container, chosen)
                # Who detaches wants it to go on; nobody removes it then.
                leaving = code is None
                return code or 0
            container.start()
        except CommandError as problem:
            output.failure(problem)
            return problem.exit_code
        except OCIRuntimeError as problem:
            output.failure(problem)
            return _why_not_begun(options, creation.command(options))
        if options.detach:
            output.line(container.id)
            return 0
        return _follow(container)
    finally:
        if options.rm and not leaving:
            container.remove(force=True)


def _why_not_begun(options: Namespace, command: list[str]) -> int:
    """Returns the exit code for a container that did not start: whether its command is there.

    Decided by what is in its root file system, not by what the OCI runtime says.
    """
    if options.rootfs is None or not command:
        return FAILED
    name = command[0]
    search = creation.environment(options.env).get("PATH", _PATH).split(":")
    paths = [name] if "/" in name else [f"{directory}/{name}" for directory in search]
    try:
        root = os.open(options.rootfs, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError:
        return FAILED
    try:
        modes = [mode for path in paths if (mode := _mode_in(root, path)) is not None]
    finally:
        os.close(root)
    if not modes:
        return NOT_FOUND
    runs = any(stat.S_ISREG(mode) and mode & 0o111 for mode in modes)
    return FAILED if runs else NOT_EXECUTABLE


def _mode_in(root: int, path: str) -> int | None:
    from podcore._core import open_in_root

    try:
        found = open_in_root(root, path.lstrip("/"), os.O_PATH, mode=0)
    except OSError:
        return None
    try:
        return os.fstat(found).st_mode
    finally:
        os.close(found)


def _follow(container: "Container") -> int:
    sent: list[int] = []

    def forward(number: int) -> None:
        # The first one is the container's to handle; whoever insists wants an end.
        container.kill(signal.SIGKILL if sent else number)
        sent.append(number)

    follower = logs.Follower([container], _EVERYTHING, on_message=forward)

    def handler(number: int, _frame: "FrameType | None") -> None:
        follower.send(number)

    before = {number: signal.signal(number, handler) for number in (signal.SIGINT, signal.SIGTERM)}
    writer = logs.Writer()
    try:
        for line in follower:
            writer.write(line)
        code = container.wait()
    except ContainerRemovedError:
        code = None
    finally:
        for number, previous in before.items():
            signal.signal(number, previous)
    if code is None:
        output.error(f"container `{container.name}`: its exit code is not known")
        return FAILED
    return code


def configure_exec(parser: Parser) -> None:
    """Adds the arguments of ``exec``."""
    parser.add_argument(
        "-e", "--env", action="append", default=[], metavar="KEY[=VALUE]", help="a variable"
    )
    parser.add_argument("-u", "--user", metavar="USER[:GROUP]", help="names or numbers")
    parser.add_argument("-w", "--workdir", metavar="DIR", help="working directory")
    parser.add_argument("-i", "--interactive", action="store_true", help="pass stdin on")
    parser.add_argument("-t", "--tty", action="store_true", help="a terminal")
    parser.add_argument("--timeout", metavar="SECONDS", help="kill it, with all its children")
    parser.add_argument("container", metavar="CONTAINER", help="name, id or prefix")
    parser.add_argument("command", nargs="...", metavar="COMMAND", help="and its arguments")


def run_exec(context: "Context", options: Namespace) -> int:
    """Runs a command in a container on podcore's own streams, and returns its exit code."""
    command = creation.command(options)
    if not command:
        raise UsageError("a command is missing")
    if options.interactive and options.tty:
        terminal.warn_without()
    timeout = duration(options.timeout)
    environment = creation.environment(options.env)
    wanted = {
        "command": command,
        "timeout": timeout,
        "env": environment or None,
        "user": options.user,
        "cwd": options.workdir,
    }
    engine, name = context.engine, options.container
    try:
        if options.tty:
            interactive = options.interactive
            return attaching.exec_on_terminal(engine, name, interactive=interactive, **wanted)
        with streams() as fds:
            stdin = terminal.stdin() if options.interactive else b""
            given = {0: stdin} if isinstance(stdin, int) else {}
            return exec_attached(engine, name, given | fds, **wanted)
    except CommandError as problem:
        output.failure(problem)
        return problem.exit_code


# `Any`: the fields of Exec, of several types.
def exec_attached(engine: "Engine", reference: str, fds: Mapping[int, int], **wanted: Any) -> int:
    """Runs a command on descriptors of ours and returns its exit code; see ``lifecycle.exec``."""
    from podcore.lifecycle.exec import Exec, run_attached
    from podcore.operations.find import container

    _, record = container(engine.host, reference)
    return run_attached(engine.host, record, Exec(**wanted), fds)


@contextmanager
def streams() -> Iterator[dict[int, int]]:
    """Lends 1 and 2: their output becomes that of podcore, escaped where it is a terminal."""
    sys.stdout.flush()
    with ExitStack() as stack:
        yield {
            1: stack.enter_context(_lent(sys.stdout)),
            2: stack.enter_context(_lent(sys.stderr)),
        }


@contextmanager
def _lent(stream: TextIO) -> Iterator[int]:
    if not output.is_terminal(stream):
        yield stream.fileno()
        return
    reading, writing = os.pipe()
    ended, ending = os.pipe()
    pump = threading.Thread(target=_pump, args=(reading, ended, stream), daemon=True)
    pump.start()
    try:
        yield writing
    finally:
        # What the command left in the background may hold the pipe open: its end is not waited
        # for, only what is in it by now.
        os.close(writing)
        os.close(ending)
        pump.join()
        os.close(reading)
        os.close(ended)


def _pump(reading: int, ended: int, stream: TextIO) -> None:
    decoder = codecs.getincrementaldecoder("utf-8")("backslashreplace")
    poll = select.poll()
    poll.register(reading, select.POLLIN)
    poll.register(ended, select.POLLIN)
    while True:
        ready = {descriptor for descriptor, _ in poll.poll()}
        block = os.read(reading, _BLOCK) if reading in ready else b""
        stream.write(output.escape(decoder.decode(block, final=not block)))
        stream.flush()
        if not block:
            return
