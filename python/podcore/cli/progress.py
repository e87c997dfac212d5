"""Shows how far each container of a batch is: live on a terminal, else a line for each event."""

import os
import threading
import time
from collections.abc import Sequence
from typing import TextIO

from podcore.cli import output

_COLOURS = {"running": "32", "exited": "36", "failed": "31", "skipped": "33"}


class Progress:
    """A callback for ``Pod.start(progress=…)`` and its like; called from any thread.

    It never raises into the worker that calls it: a stream that is gone is noted in ``broken``.

    Attributes:
        broken: what went wrong with the stream, if anything.
    """

    def __init__(self, names: Sequence[str], stream: TextIO, *, waiting: str = "waiting") -> None:
        self.broken: Exception | None = None
        self._stream = stream
        self._began = time.monotonic()
        self._phases = dict.fromkeys(names, waiting)
        self._times: dict[str, float] = {}
        self._width = max(map(len, names), default=0)
        self._drawn = False
        self._lock = threading.Lock()
        self._live = output.is_terminal(stream) and len(names) < _rows(stream)
        self._colour = self._live and not os.environ.get("NO_COLOR")

    def __call__(self, _id: str, name: str, phase: str) -> None:
        """Takes note of a phase."""
        with self._lock:
            if self.broken is not None:
                return
            self._phases[name] = phase
            self._times[name] = time.monotonic() - self._began
            try:
                if self._live:
                    self._draw()
                else:
                    self._stream.write(f"{self._line(name)}\n")
                    self._stream.flush()
            except (OSError, ValueError) as problem:
                self.broken = problem

    def _draw(self) -> None:
        up = f"\x1b[{len(self._phases)}A" if self._drawn else ""
        lines = "".join(f"\x1b[2K{self._line(name)}\n" for name in self._phases)
        self._stream.write(up + lines)
        self._stream.flush()
        self._drawn = True

    def _line(self, name: str) -> str:
        phase = self._phases[name]
        shown = f"{phase:<9}"
        if self._colour:
            shown = f"\x1b[{_COLOURS.get(phase, '2')}m{shown}\x1b[0m"
        moment = f"{self._times[name] * 1000:6.0f} ms" if name in self._times else ""
        return f"  {name:<{self._width}}  {shown} {moment}".rstrip()


def _rows(stream: TextIO) -> int:
    try:
        # Some terminals do not know their size and say 0.
        return os.get_terminal_size(stream.fileno()).lines or 24
    except OSError:
        return 0
