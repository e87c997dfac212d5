"""Keeps what a container has written until its reader takes it: in memory, then in a file.

Whoever fills it never waits, and the memory that it takes is bounded, however slow the reader is.
"""

import os
import threading
from collections import deque

_IN_MEMORY = 1 << 20
_BLOCK = 65536
_HEADER = 5  # the stream, and four bytes for the length

Piece = tuple[str, bytes]
"""``stdout`` or ``stderr``, and what was written there."""

_STREAMS = ("stdout", "stderr")


class Spool:
    """A queue of pieces between two threads.

    Args:
        directory: on the disk, for the file without a name that takes what is too much.
    """

    def __init__(self, directory: str) -> None:
        self._directory = directory
        self._lock = threading.Lock()
        self._pieces: deque[Piece] = deque()
        self._size = 0
        self._file = -1
        self._written = 0
        self._read = 0

    def put(self, stream: str, data: bytes) -> None:
        """Adds a piece.

        Raises:
            OSError: it is too much for the memory, and the disk is full.
        """
        with self._lock:
            # What came later must not overtake what is in the file.
            if self._read == self._written and self._size + len(data) <= _IN_MEMORY:
                self._pieces.append((stream, data))
                self._size += len(data)
            else:
                self._spill(stream, data)

    def take(self) -> list[Piece]:
        """Returns the oldest pieces, none when there are none."""
        with self._lock:
            if self._pieces:
                found = list(self._pieces)
                self._pieces.clear()
                self._size = 0
                return found
            return self._fetch()

    def close(self) -> None:
        """Forgets what is in it; may be called again."""
        with self._lock:
            if self._file >= 0:
                os.close(self._file)
                self._file = -1
            self._pieces.clear()
            self._read = self._written = 0

    def _spill(self, stream: str, data: bytes) -> None:
        if self._file < 0:
            # Not at the top: it costs milliseconds, and hardly anybody is that slow.
            import tempfile

            with tempfile.TemporaryFile(dir=self._directory, buffering=0) as made:
                self._file = os.dup(made.fileno())
        header = bytes([_STREAMS.index(stream)]) + len(data).to_bytes(_HEADER - 1, "big")
        left = memoryview(header + data)
        end = self._written
        while left:
            count = os.pwrite(self._file, left, end)
            end += count
            left = left[count:]
        self._written = end

    def _fetch(self) -> list[Piece]:
        found: list[Piece] = []
        size = 0
        while self._read < self._written and size < _BLOCK:
            header = os.pread(self._file, _HEADER, self._read)
            length = int.from_bytes(header[1:], "big")
            data = os.pread(self._file, length, self._read + _HEADER)
            self._read += _HEADER + length
            size += length
            found.append((_STREAMS[header[0]], data))
        if self._file >= 0 and self._read == self._written:
            os.ftruncate(self._file, 0)
            self._read = self._written = 0
        return found
