"""Tells a call that hangs from a machine that stands still.

A process of its own rests, works for a moment and notes how long that took. A thread knows for how
long it could have run and had to wait for a processor. Neither is anything that a call can help.
"""

import os
import struct
import subprocess
import sys
import tempfile
import time
from bisect import bisect_left
from dataclasses import dataclass
from types import TracebackType
from typing import Self

_REST = 0.05
_WORK = 0.005
_STALL = 0.5
_PROGRAM = f"""
import os, select, struct, time
while not select.select([0], [], [], 0)[0]:
    begun = time.monotonic()
    if select.select([0], [], [], {_REST})[0]:
        break
    used = time.thread_time()
    while time.thread_time() - used < {_WORK}:
        pass
    os.write(1, struct.pack("ddd", begun, time.monotonic(), time.thread_time() - used))
"""
_BEAT = struct.Struct("ddd")


@dataclass(frozen=True, slots=True)
class Beat:
    """One rest and the work after it.

    Attributes:
        begun, ended: moments of the monotonic clock.
        worked: seconds of processor time that the work got.
    """

    begun: float
    ended: float
    worked: float

    @property
    def stalled(self) -> float:
        """Seconds that this took longer than on a machine without anything else."""
        return max(0.0, self.ended - self.begun - _REST - self.worked)


class Heartbeat:
    """Beats while it is open; a context manager. Takes a tenth of one processor."""

    def __init__(self) -> None:
        self._file = tempfile.TemporaryFile()  # noqa: SIM115 -- read while it is open, and once more at its end
        self._process: subprocess.Popen[bytes] | None = None
        self._kept: list[Beat] = []

    def __enter__(self) -> Self:
        self._process = subprocess.Popen(
            [sys.executable, "-I", "-S", "-c", _PROGRAM],
            stdin=subprocess.PIPE,
            stdout=self._file,
            stderr=subprocess.DEVNULL,
        )
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._process is not None:
            # The end of its stdin ends it, as the end of this process would.
            self._process.communicate()
            self._process = None
        self._kept = self.beats()
        self._file.close()

    @property
    def pid(self) -> int | None:
        """The process that beats; None while it is closed."""
        return None if self._process is None else self._process.pid

    def beats(self) -> list[Beat]:
        """Returns all beats so far, in order."""
        if self._file.closed:
            return self._kept
        # The process writes at the position that both share: nobody may move it.
        size = os.fstat(self._file.fileno()).st_size
        data = os.pread(self._file.fileno(), size, 0)
        whole = len(data) - len(data) % _BEAT.size
        return [Beat(*values) for values in _BEAT.iter_unpack(data[:whole])]

    def await_beat(self, after: float, patience: float = 30.0) -> None:
        """Waits until a beat ended after a moment, so that what was before it can be judged."""
        until = time.monotonic() + patience
        while time.monotonic() < until:
            beats = self.beats()
            if self._process is None or (beats and beats[-1].ended >= after):
                return
            time.sleep(_REST)


def lasting(beats: list[Beat], begun: float, ended: float) -> float:
    """Returns the seconds between two moments, without those in which nobody could work.

    A machine that is busy is no reason: only a moment of work that took half a second and more
    tells of a time in which the whole machine stood still, or as good as.

    Args:
        beats: in order; time between them counts in full.
        begun: a moment of the monotonic clock.
        ended: a later one.
    """
    seconds = ended - begun
    first = bisect_left(beats, begun, key=lambda beat: beat.ended)
    for beat in beats[first:]:
        if beat.begun >= ended:
            break
        if beat.stalled >= _STALL:
            overlap = min(ended, beat.ended) - max(begun, beat.begun)
            seconds -= overlap * beat.stalled / (beat.ended - beat.begun)
    return seconds


def kept_waiting() -> float:
    """Returns for how many seconds of its life the calling thread could have run but had to wait.

    Of a call that does all its work in one thread, such as a look at a container, the difference
    is what the call can't help; the time that it sleeps, for a lock or another process, is not in
    it. 0 where the kernel does not say.
    """
    try:
        with open("/proc/thread-self/schedstat", encoding="ascii") as file:
            return int(file.read().split()[1]) / 1e9
    except (OSError, IndexError):
        return 0.0
