"""The logs that conmon writes: what a container printed, line by line, in the k8s-file format.

Each record is ``RFC3339Nano stdout|stderr F|P text`` and a newline; P means that the line goes on
in the next record of that stream. The text is the container's and may look like anything, a record
included, so a record ends at the first newline and its text is never looked into. Records that are
malformed (a full disk cuts them short) are passed over.

Memory is bounded: blocks are read, and a record longer than any of conmon's is handed out in parts.
"""

import os
import re
import stat
import time
from collections.abc import Callable, Iterator
from datetime import datetime
from functools import lru_cache

from podcore.errors import InvalidArgumentError, MonitorError
from podcore.kernel import exhaustion
from podcore.model import LogEntry

_HEADER = re.compile(
    rb"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.(\d{1,9}))?(Z|[+-]\d\d:\d\d) (stdout|stderr) ([FP]) "
)
_HEADER_MAX = 64  # no header is longer
_BLOCK = 65536
# conmon's own records have 8 KiB of text at most.
_RECORD_CAP = 1 << 21
# Seconds between two looks at a log that is followed.
_POLL = 0.1


def _never() -> bool:
    return False


def read_logs(
    path: str,
    *,
    follow: bool = False,
    tail: int | None = None,
    since: float | None = None,
    until: float | None = None,
    stop: Callable[[], bool] = _never,
) -> Iterator[LogEntry]:
    """Returns an iterator over what a container has written.

    Args:
        path: the log; a missing one is empty.
        follow: wait for more, through restarts of the container and rotations of the log.
        tail: begin where the last ``tail`` lines begin: a line ends at a record that is not
            partial, or with the last record of its stream.
        since: seconds since the epoch; earlier entries are passed over.
        until: later entries are passed over, and following ends then.
        stop: asked while following and nothing is there to be read; when it says True, what was
            written before that is still handed out, and following ends.

    Raises:
        InvalidArgumentError: ``tail`` is negative.
        MonitorError: the log is not a regular file (raised by the iterator, like the next one).
        ResourceExhaustedError: out of descriptors.
    """
    if tail is not None and tail < 0:
        raise InvalidArgumentError(f"`{tail}` lines: must be 0 or more")
    entries = _follow(path, tail, until, stop) if follow else _read(path, tail)
    return _between(entries, since, until)


def _between(
    entries: Iterator[LogEntry], since: float | None, until: float | None
) -> Iterator[LogEntry]:
    for entry in entries:
        # Not cut off at the first one that is too late: the clock may have been set back.
        if (since is None or entry.time >= since) and (until is None or entry.time <= until):
            yield entry


def _read(path: str, tail: int | None) -> Iterator[LogEntry]:
    fd = _open(path)
    if fd is None:
        return
    try:
        # What the container writes from now on is left out, or a busy one would never end.
        left = os.fstat(fd).st_size
        if tail is not None:
            left -= os.lseek(fd, _beginning_of_tail(fd, tail), os.SEEK_SET)
        records = _Records()
        while left > 0 and (block := os.read(fd, min(left, _BLOCK))):
            left -= len(block)
            yield from records.feed(block)
    finally:
        os.close(fd)


def _follow(
    path: str, tail: int | None, until: float | None, stop: Callable[[], bool]
) -> Iterator[LogEntry]:
    fd: int | None = None
    records = _Records()
    try:
        while True:
            # Asked before reading: what was written until then is there to be read.
            last = stop() or (until is not None and time.time() > until)
            if fd is None and (fd := _open(path)) is not None and tail is not None:
                os.lseek(fd, _beginning_of_tail(fd, tail), os.SEEK_SET)
            tail = None  # a log that appears later is new from its beginning
            if fd is not None:
                yield from _drain(fd, records)
                if not _is_at(fd, path):
                    # Written between the last read and the rotation.
                    yield from _drain(fd, records)
                    os.close(fd)
                    fd, records = None, _Records()
                    if not last or os.path.lexists(path):
                        continue
                elif os.fstat(fd).st_size < os.lseek(fd, 0, os.SEEK_CUR):
                    os.lseek(fd, 0, os.SEEK_SET)
                    records = _Records()
                    continue
            if last:
                return
            time.sleep(_POLL)
    finally:
        if fd is not None:
            os.close(fd)


def _drain(fd: int, records: "_Records") -> Iterator[LogEntry]:
    while block := os.read(fd, _BLOCK):
        yield from records.feed(block)


def _is_at(fd: int, path: str) -> bool:
    """Says whether the path still names the file that is open; a missing one may come back."""
    try:
        return os.path.samestat(os.fstat(fd), os.lstat(path))
    except FileNotFoundError:
        return False


def _open(path: str) -> int | None:
    try:
        fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise exhaustion.typed(error, f"open the log `{path}`") or MonitorError(
            f"the log `{path}` can't be read: {error.strerror}"
        ) from error
    if stat.S_ISREG(os.fstat(fd).st_mode):
        return fd
    os.close(fd)
    raise MonitorError(f"the log `{path}` can't be read: it is not a regular file")


class _Records:
    """Puts blocks of a log together to records."""

    def __init__(self) -> None:
        self._rest = b""
        self._too_long = False  # in the middle of a malformed record, up to its newline

    def feed(self, block: bytes) -> Iterator[LogEntry]:
        """Yields the entries that a block completes."""
        *lines, self._rest = (self._rest + block).split(b"\n")
        for line in lines:
            if self._too_long:
                self._too_long = False
            elif entry := _parse(line):
                yield entry
        if len(self._rest) > _RECORD_CAP:
            header = _HEADER.match(self._rest)
            entry = None if self._too_long else _parse(self._rest)
            if header is None or entry is None:
                self._rest = b""
                self._too_long = True
            else:
                yield LogEntry(entry.time, entry.stream, entry.data, partial=True)
                self._rest = header[0]


def _parse(line: bytes) -> LogEntry | None:
    header = _HEADER.match(line)
    if header is None:
        return None
    second, fraction, offset, stream, tag = header.groups()
    whole = _epoch(second, offset)
    if whole is None:
        return None
    moment = whole + int(fraction) / 10 ** len(fraction) if fraction else whole
    return LogEntry(moment, stream.decode(), line[header.end() :], tag == b"P")


@lru_cache(maxsize=16)
def _epoch(second: bytes, offset: bytes) -> float | None:
    """Returns the seconds since the epoch; kept, for many records have the same second."""
    try:
        return datetime.fromisoformat((second + offset).decode()).timestamp()
    except ValueError:
        return None


def _beginning_of_tail(fd: int, lines: int) -> int:
    """Returns the offset at which the last lines begin, by reading backwards from the end."""
    position = os.fstat(fd).st_size
    following = b""  # what comes after the block, for a header that lies across its end
    after: int | None = None  # where the record begins that was looked at before this one
    seen: set[str] = set()
    ended = 0
    while position > 0:
        start = max(0, position - _BLOCK)
        block = os.pread(fd, position - start, start)
        known = block + following
        newline = len(block)
        while newline >= 0:
            newline = block.rfind(b"\n", 0, newline)
            if newline < 0 and start > 0:
                break
            begin = newline + 1
            # Behind the last newline there is no whole record.
            head = known[begin : begin + _HEADER_MAX].partition(b"\n")[0]
            if after is not None and (entry := _parse(head)):
                ended += not entry.partial or entry.stream not in seen
                seen.add(entry.stream)
                if ended > lines:
                    return after
            after = start + begin
        following = known[:_HEADER_MAX]
        position = start
    return 0
