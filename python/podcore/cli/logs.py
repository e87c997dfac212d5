"""Logs of one container or of several, merged, as lines on stdout and stderr."""

import heapq
import sys
import threading
import time
from argparse import Namespace
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from queue import SimpleQueue
from typing import TYPE_CHECKING, NamedTuple

from podcore.cli import human, output

if TYPE_CHECKING:
    from podcore.container import Container
    from podcore.model import LogEntry

_BUFFERED = 256
# Of a terminal: what can be read on black and on white, neighbours far apart.
_COLORS = (36, 33, 35, 32, 34, 31)


class Choice(NamedTuple):
    """What of a log is shown, and how."""

    follow: bool
    tail: int | None
    since: float | None
    until: float | None
    timestamps: bool
    names: bool
    raw: bool
    color: bool = False

    @classmethod
    def of(cls, options: Namespace) -> "Choice":
        """Returns what the flags say.

        Raises:
            InvalidArgumentError: a time or the tail is none.
        """
        from podcore.errors import InvalidArgumentError
        from podcore.units import parse_time

        if options.tail is not None and options.tail < 0:
            # podman's way to say all of them.
            if options.tail != -1:
                raise InvalidArgumentError(f"`--tail {options.tail}`: must not be negative")
            options.tail = None
        now = time.time()
        since = None if options.since is None else parse_time(options.since, now)
        until = None if options.until is None else parse_time(options.until, now)
        return cls(
            options.follow,
            options.tail,
            since,
            until,
            options.timestamps,
            options.names or options.color,
            options.raw,
            options.color,
        )


class Line(NamedTuple):
    """An entry and the name of the container that wrote it."""

    name: str
    entry: "LogEntry"


class Writer:
    """Writes entries; pieces of one line that others come between are kept apart."""

    def __init__(
        self,
        *,
        timestamps: bool = False,
        names: bool = False,
        raw: bool = False,
        colors: Mapping[str, int] | None = None,
    ) -> None:
        self._timestamps = timestamps
        self._names = names
        self._raw = raw
        self._colors = colors or {}
        self._open: tuple[str, str] | None = None  # whose line is not finished yet

    def write(self, line: Line) -> None:
        """Writes an entry to the stream that it was written to."""
        entry = line.entry
        source = (line.name, entry.stream)
        if self._open is not None and self._open != source:
            self.finish()
        if self._open is None and (prefix := self._prefix(line)):
            # Of podcore's own making, so its colours are meant.
            output.data(prefix.encode(), stream=_stream(entry.stream), raw=True)
        text = entry.data if entry.partial else entry.data + b"\n"
        self._open = source if entry.partial else None
        output.data(text, stream=_stream(entry.stream), raw=self._raw)

    def finish(self) -> None:
        """Ends a line that nobody finished."""
        if self._open is not None:
            output.data(b"\n", stream=_stream(self._open[1]))
            self._open = None

    def _prefix(self, line: Line) -> str:
        parts = []
        if self._timestamps:
            parts.append(human.rfc3339(line.entry.time))
        if self._names:
            color = self._colors.get(line.name)
            name = line.name if color is None else f"\x1b[{color}m{line.name}\x1b[0m"
            parts.append(name)
        return "".join(f"{part} " for part in parts)


def _stream(name: str) -> "sys.TextIO":  # type: ignore[name-defined] # typeshed's own alias
    return sys.stderr if name == "stderr" else sys.stdout


def show(containers: "Sequence[Container]", choice: Choice) -> int:
    """Writes the logs of some containers, merged by time."""
    names = dict.fromkeys(container.name for container in containers) if choice.color else {}
    colors = {name: _COLORS[n % len(_COLORS)] for n, name in enumerate(names)}
    writer = Writer(timestamps=choice.timestamps, names=choice.names, raw=choice.raw, colors=colors)
    if choice.follow and len(containers) > 1:
        lines: Iterable[Line] = Follower(containers, choice)
    else:
        sources = [_entries(container, choice) for container in containers]
        lines = heapq.merge(*sources, key=lambda line: line.entry.time)
    for line in lines:
        writer.write(line)
    return 0


def _entries(container: "Container", choice: Choice) -> Iterator[Line]:
    name = container.name
    for entry in container.logs(follow=choice.follow, tail=choice.tail, since=choice.since):
        if choice.until is not None and entry.time > choice.until:
            return
        yield Line(name, entry)


class Follower:
    """Reads several logs at once, each in a thread, and hands out what comes as it comes.

    ``send`` may be called from a signal handler: what it is given is passed to ``on_message`` in
    the thread that iterates.
    """

    def __init__(
        self,
        containers: "Sequence[Container]",
        choice: Choice,
        on_message: Callable[[int], None] | None = None,
    ) -> None:
        self._containers = containers
        self._choice = choice
        self._on_message = on_message
        # None: a reader is done. An exception: it failed. An int: a message.
        self._queue: SimpleQueue[Line | BaseException | int | None] = SimpleQueue()
        self._room = threading.Semaphore(_BUFFERED)

    def send(self, message: int) -> None:
        """Wakes the thread that iterates; safe in a signal handler."""
        self._queue.put(message)

    def __iter__(self) -> Iterator[Line]:
        for container in self._containers:
            threading.Thread(target=self._read, args=(container,), daemon=True).start()
        left = len(self._containers)
        while left:
            item = self._queue.get()
            if item is None:
                left -= 1
            elif isinstance(item, BaseException):
                raise item
            elif isinstance(item, int):
                if self._on_message is not None:
                    self._on_message(item)
            else:
                self._room.release()
                yield item

    def _read(self, container: "Container") -> None:
        try:
            for line in _entries(container, self._choice):
                self._room.acquire()
                self._queue.put(line)
        except BaseException as problem:  # noqa: BLE001 # raised again by whoever iterates
            self._queue.put(problem)
        else:
            self._queue.put(None)
