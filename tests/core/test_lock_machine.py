"""Sessions of two tables driven at random beside a model of what must happen."""

import shutil
import tempfile
from typing import NamedTuple

import hypothesis.strategies as st
import pytest
from hypothesis import settings
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from harness.polling import eventually
from podcore._core import LockGuard, LockSession, LockTable
from podcore.errors import LockOrderError, LockTimeoutError

KINDS = ("init", "pod", "namespaces", "container", "store")
# Two in one file, and one in each of two others.
NUMBERS = (0, 1, 64, 10_000)
SESSIONS = 4

Key = tuple[int, int]


class Acquisition(NamedTuple):
    key: Key
    shared: bool
    guard: LockGuard


class Locks(RuleBasedStateMachine):
    """Every session may hold anything; the model is a dict of keys for each of them."""

    def __init__(self) -> None:
        super().__init__()
        self.directory = tempfile.mkdtemp(prefix="podcore-locks-")
        self.tables = [LockTable(self.directory), LockTable(self.directory)]
        self.sessions: list[LockSession] = []
        self.held: list[dict[Key, Acquisition]] = []
        self.stale: list[LockGuard] = []
        # A wait that was given up is granted when the lock is free, and lets go a moment later.
        self.given_up: set[Key] = set()

    @initialize()
    def begin(self) -> None:
        self.sessions = [self.tables[index % 2].session(str(index)) for index in range(SESSIONS)]
        self.held = [{} for _ in self.sessions]

    @rule(
        who=st.integers(0, SESSIONS - 1),
        kind=st.integers(0, len(KINDS) - 1),
        number=st.sampled_from(NUMBERS),
        shared=st.booleans(),
        timeout=st.sampled_from([0, 0, 0, 0.001]),
    )
    def acquire(self, who: int, kind: int, number: int, shared: bool, timeout: float) -> None:
        key, mine = (kind, number), self.held[who]
        others = [held[key] for held in self.held if held is not mine and key in held]
        wanted: type[Exception] | None = None
        if any(key <= other for other in mine):
            wanted = LockOrderError
        elif any(not (shared and other.shared) for other in others):
            wanted = LockTimeoutError
        if wanted:
            with pytest.raises(wanted):
                self.sessions[who].acquire(KINDS[kind], number, shared, timeout)
            if wanted is LockTimeoutError and timeout:
                self.given_up.add(key)
        else:
            timeout = 30 if key in self.given_up else timeout
            guard = self.sessions[who].acquire(KINDS[kind], number, shared, timeout)
            mine[key] = Acquisition(key, shared, guard)

    @rule(who=st.integers(0, SESSIONS - 1), which=st.integers(0, 20), by_with=st.booleans())
    def release(self, who: int, which: int, by_with: bool) -> None:
        mine = self.held[who]
        if not mine:
            return
        acquisition = mine.pop(sorted(mine)[which % len(mine)])
        if by_with:
            with acquisition.guard:
                pass
        else:
            acquisition.guard.release()
        self.stale.append(acquisition.guard)

    @rule(which=st.integers(0, 1000))
    def release_again(self, which: int) -> None:
        if self.stale:
            self.stale[which % len(self.stale)].release()

    @rule(who=st.integers(0, SESSIONS - 1), by_with=st.booleans())
    def close(self, who: int, by_with: bool) -> None:
        session = self.sessions[who]
        if by_with:
            with session:
                pass
        else:
            session.close()
        assert session.closed
        self.stale += [acquisition.guard for acquisition in self.held[who].values()]
        self.sessions[who] = self.tables[who % 2].session(str(who))
        self.held[who] = {}

    @invariant()
    def sessions_know_what_they_hold(self) -> None:
        for session, held in zip(self.sessions, self.held, strict=True):
            wanted = [
                (KINDS[kind], number, held[kind, number].shared) for kind, number in sorted(held)
            ]
            assert session.held == wanted

    @invariant()
    def the_kernel_agrees(self) -> None:
        for rank, kind in enumerate(KINDS):
            for number in NUMBERS:
                key = (rank, number)
                somebody = any(key in held for held in self.held)
                if key in self.given_up and not somebody:
                    eventually(lambda kind=kind, number=number: not self.probe(kind, number))
                else:
                    assert self.probe(kind, number) == somebody

    def probe(self, kind: str, number: int) -> bool:
        return self.tables[0].probe(kind, number)

    def teardown(self) -> None:
        for session in self.sessions:
            session.close()
        shutil.rmtree(self.directory)


TestLocks = Locks.TestCase
TestLocks.settings = settings(stateful_step_count=40)
