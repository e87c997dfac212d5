"""Moments by which something must be done, on the monotonic clock."""

import math
import time
from dataclasses import dataclass
from typing import Self

from podcore.errors import InvalidArgumentError


@dataclass(frozen=True, slots=True)
class Deadline:
    """A moment on the monotonic clock; setting the system's clock doesn't move it.

    Attributes:
        at: seconds of ``time.monotonic()``; ``inf`` never comes.
    """

    at: float

    @classmethod
    def after(cls, seconds: float | None) -> Self:
        """Returns the moment that is ``seconds`` from now; None or ``inf`` never comes.

        Raises:
            InvalidArgumentError: negative or not a number.
        """
        if seconds is None:
            return cls(math.inf)
        # `not >=` is true for NaN as well.
        if not seconds >= 0:
            raise InvalidArgumentError(f"a timeout of `{seconds}` seconds: must be 0 or more")
        return cls(time.monotonic() + seconds)

    def remaining(self) -> float:
        """Returns the seconds that are left: never negative, ``inf`` for a moment that never comes."""
        return max(0.0, self.at - time.monotonic())

    @property
    def expired(self) -> bool:
        """True from that moment on."""
        return time.monotonic() >= self.at
