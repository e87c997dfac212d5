"""Deadlines count down to zero, and some never come."""

import math
import time

import pytest

from podcore.deadlines import Deadline
from podcore.errors import InvalidArgumentError


def test_a_deadline_counts_down_and_stays_at_zero() -> None:
    later = Deadline.after(1000)
    assert 0 < later.remaining() <= 1000
    assert not later.expired
    now = Deadline.after(0)
    assert now.remaining() == 0
    assert now.expired
    assert Deadline(time.monotonic() - 5).remaining() == 0


@pytest.mark.parametrize("never", [None, math.inf])
def test_some_deadlines_never_come(never: float | None) -> None:
    deadline = Deadline.after(never)
    assert deadline.remaining() == math.inf
    assert not deadline.expired


@pytest.mark.parametrize("bad", [-1, -math.inf, math.nan])
def test_a_negative_timeout_is_refused(bad: float) -> None:
    with pytest.raises(InvalidArgumentError, match="must be 0 or more"):
        Deadline.after(bad)
