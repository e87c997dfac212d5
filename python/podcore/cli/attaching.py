"""``attach``, ``run -i``, ``start --attach``, ``exec -t``: one's own streams as a container's."""

import codecs
import os
import signal
import sys
from argparse import Namespace
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from podcore.cli import output, terminal
from podcore.cli.arguments import Parser
from podcore.cli.selection import FAILED, UsageError
from podcore.errors import ContainerRemovedError, ContainerStateError

if TYPE_CHECKING:
    from types import FrameType

    from podcore.cli.context import Context
    from podcore.container import Container
    from podcore.engine import Engine
    from podcore.lifecycle.pump import Watched
    from podcore.model import AttachResult

_PROXIED = (
    signal.SIGHUP,
    signal.SIGINT,
    signal.SIGQUIT,
    signal.SIGTERM,
    signal.SIGUSR1,
    signal.SIGUSR2,
)
_INSISTING = (signal.SIGINT, signal.SIGTERM)


class Wish(NamedTuple):
    """How one attaches.

    Attributes:
        start: start the container, once attached.
        stdin: pass one's own stdin on.
        keys: those that detach.
        proxy: pass signals on.
    """

    start: bool
    stdin: bool
    keys: bytes
    proxy: bool


def add_options(parser: Parser) -> None:
    """Adds the flags of all that attaches."""
    parser.add_argument(
        "--detach-keys", metavar="KEYS", help="what detaches (ctrl-p,ctrl-q); '' for nothing"
    )
    parser.add_argument(
        "--sig-proxy",
        default="true",
        choices=("true", "false"),
        help="pass signals on to it (true)",
    )


def wish(options: Namespace, *, start: bool, stdin: bool) -> Wish:
    """Returns what the flags say.

    Raises:
        InvalidArgumentError: the keys are none.
    """
    from podcore.operations.keys import DEFAULT, parse_keys

    given = options.detach_keys
    keys = parse_keys(DEFAULT if given is None else given)
    return Wish(start=start, stdin=stdin, keys=keys, proxy=options.sig_proxy == "true")


def configure(parser: Parser) -> None:
    """Adds the arguments of ``attach``."""
    add_options(parser)
    parser.add_argument("--no-stdin", action="store_true", help="only watch")
    parser.add_argument("container", metavar="CONTAINER", help="name, id or prefix")


def run(context: "Context", options: Namespace) -> int:
    """Attaches to a container that is up, and returns its exit code."""
    chosen = wish(options, start=False, stdin=not options.no_stdin)
    container = context.engine.container(options.container)
    return follow(context.engine, container, chosen) or 0


def start(context: "Context", options: Namespace) -> int:
    """Starts one container that was named, attached to it, and returns its exit code."""
    if len(options.references) != 1:
        raise UsageError("`--attach` takes one container")
    chosen = wish(options, start=True, stdin=options.interactive)
    container = context.engine.container(options.references[0])
    return follow(context.engine, container, chosen) or 0


def follow(engine: "Engine", container: "Container", chosen: Wish) -> int | None:
    """Attaches one's own streams to a container until it ends.

    Returns:
        Its exit code; None where it was detached from.
    """
    spec = container.inspect().spec
    stdin: int | bytes | None = None
    if chosen.stdin and (spec.stdin or spec.terminal):
        stdin = terminal.stdin()
    typed = stdin is not None and terminal.is_terminal(stdin)
    screen = Screen(raw=spec.terminal)
    mode = terminal.raw(stdin) if typed and spec.terminal and isinstance(stdin, int) else None
    with _signals(container if chosen.proxy else None) as begin, mode or nullcontext():
        done = attach(
            engine,
            container.id,
            stdin=stdin,
            # Bytes that nobody has typed may be anything, the keys too.
            keys=chosen.keys if typed else b"",
            on_output=screen.write,
            start=chosen.start,
            begin=begin,
        )
    screen.finish()
    if done.detached:
        return None
    if done.exit_code is None:
        output.error(f"container `{container.name}`: its exit code is not known")
        return FAILED
    return done.exit_code


def attach(
    engine: "Engine",
    reference: str,
    *,
    stdin: int | bytes | None,
    keys: bytes,
    on_output: Callable[[str, bytes], object],
    start: bool,
    begin: "Callable[[_Resizable], Watched]",
) -> "AttachResult":
    """Attaches to a container; see ``operations.attach``."""
    from podcore.lifecycle.attach import Attach
    from podcore.operations import attach as operations
    from podcore.operations.find import container

    _, record = container(engine.host, reference)
    wanted = Attach(stdin=stdin, keys=keys)
    sink = operations.Sink(None, None, on_output)
    return operations.attach(engine.host, record, wanted, sink, start=start, begin=begin)


# `Any`: the fields of Exec, of several types.
def exec_on_terminal(engine: "Engine", reference: str, *, interactive: bool, **wanted: Any) -> int:
    """Runs a command in a container on a terminal, with one's own as that, and returns its code."""
    from podcore.lifecycle.exec import Exec
    from podcore.lifecycle.exec_terminal import run_on_terminal
    from podcore.operations.find import container

    _, record = container(engine.host, reference)
    stdin = terminal.stdin() if interactive else None
    typed = isinstance(stdin, int) and terminal.is_terminal(stdin)
    mode = terminal.raw(stdin) if typed and isinstance(stdin, int) else None
    given = Exec(terminal=True, size=terminal.size(), **wanted)
    screen = Screen(raw=True)
    with _signals(None) as begin, mode or nullcontext():
        return run_on_terminal(engine.host, record, given, stdin, screen.write, begin)


class Screen:
    """Writes what a container writes to stdout and stderr.

    Args:
        raw: unchanged also on a terminal: whoever asked for one gets what is sent to it.
    """

    def __init__(self, *, raw: bool) -> None:
        self._raw = raw
        make = codecs.getincrementaldecoder("utf-8")
        self._decoders = {name: make("backslashreplace") for name in ("stdout", "stderr")}

    def write(self, stream: str, data: bytes) -> None:
        """Writes a piece; a character that is not complete yet waits for its rest."""
        target = sys.stderr if stream == "stderr" else sys.stdout
        if self._raw or not output.is_terminal(target):
            output.data(data, stream=target, raw=True)
        else:
            text = self._decoders[stream].decode(data)
            output.data(output.escape(text).encode(), stream=target, raw=True)

    def finish(self) -> None:
        """Writes what is left of characters that were never completed."""
        for stream, decoder in self._decoders.items():
            target = sys.stderr if stream == "stderr" else sys.stdout
            if rest := decoder.decode(b"", final=True):
                output.data(output.escape(rest).encode(), stream=target, raw=True)


class _Resizable(Protocol):
    def resize(self, rows: int, columns: int) -> None: ...


@contextmanager
def _signals(container: "Container | None") -> "Iterator[Callable[[_Resizable], Watched]]":
    """Passes the size of the terminal on, and signals to a container where one is given."""
    reading, writing = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
    sent: set[int] = set()

    def handler(number: int, _frame: "FrameType | None") -> None:
        try:
            os.write(writing, bytes([number]))
        except BlockingIOError:
            pass  # thousands of them wait already

    def begin(connection: _Resizable) -> "Watched":
        def resize() -> None:
            if (known := terminal.size()) is not None:
                connection.resize(*known)

        def look() -> None:
            for number in os.read(reading, 512):
                if number == signal.SIGWINCH:
                    resize()
                elif container is not None:
                    _pass_on(container, number, sent)

        resize()
        return {reading: look}

    numbers = (signal.SIGWINCH,) if container is None else (*_PROXIED, signal.SIGWINCH)
    before = {number: signal.signal(number, handler) for number in numbers}
    try:
        yield begin
    finally:
        for number, previous in before.items():
            signal.signal(number, previous)
        os.close(reading)
        os.close(writing)


def _pass_on(container: "Container", number: int, sent: set[int]) -> None:
    insisting = number in _INSISTING and sent.intersection(_INSISTING)
    sent.add(number)
    try:
        # The first one is the container's to handle; whoever insists wants an end.
        container.kill(signal.SIGKILL if insisting else number)
    except (ContainerStateError, ContainerRemovedError):
        pass  # it has ended, or has not begun yet
