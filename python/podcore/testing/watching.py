"""Watches an engine while a test works with it, and says which invariants did not hold."""

import os
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, ParamSpec, TypeVar

from podcore.errors import PartialFailureError
from podcore.model import ALIVE, ContainerKind, ContainerStatus
from podcore.operations.status import true_records
from podcore.operations.system.invariants import breaches
from podcore.report import Report
from podcore.testing import surroundings
from podcore.testing.agreement import Span, disagreements, disorder
from podcore.testing.heartbeat import Heartbeat, kept_waiting, lasting
from podcore.testing.history import Call, Model, late, seen_of
from podcore.testing.model import UNSEEN, State
from podcore.testing.parts import about, came_of, orders
from podcore.testing.words import complaints, complaints_of_command

if TYPE_CHECKING:
    import subprocess

    from podcore.engine import Engine
    from podcore.records import ContainerRecord, Event

P = ParamSpec("P")
T = TypeVar("T")

DEADLINE = 30.0
"""Seconds in which a call must return, besides the ``timeout`` that it was given: as long as a verb
waits for a lock."""

_PATIENCE = 10.0
_POLL = 0.05
_STEPS = frozenset({"init", "start", "stop", "kill", "pause", "unpause", "remove"})
"""Events that only a call brings about."""


class Watch:
    """What was there before, and what was called since; made by ``watch``. Safe between threads.

    Attributes:
        broken: what did not hold, as sentences that begin with the invariant's number; complete
            once the watch is over.
        undecided: containers of which it could not be said whether their calls fit one order of
            events (I14), as sentences that say why; likewise.
    """

    def __init__(
        self, engine: "Engine", heartbeat: Heartbeat, beside: Iterable[str], memory: int
    ) -> None:
        self.broken: list[str] = []
        self.undecided: list[str] = []
        self._host = engine.host
        self._heartbeat = heartbeat
        self._memory = memory
        self._lock = threading.Lock()
        self._model = Model()
        self._calls: list[tuple[Call, float]] = []
        self._spans: list[Span] = []
        self._looks: list[Call] = []
        self._open: set[int] = set()
        self._overlapped: set[int] = set()
        self._number = 0
        self._touched: set[str] = set()
        with self._host.store.read() as view:
            rows = view.containers()
        self._beside = [*beside, *surroundings.roots(rows)]
        self._before = surroundings.look(self._host, self._beside)
        self._began = {row.id: _state(row) for row in true_records(self._host, rows)}

    def call(self, verb: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Calls a verb of a pod, a container or the engine, and returns what it returns.

        Its deadline is ``DEADLINE`` seconds, and the ``timeout`` that it is given.

        Raises:
            Exception: whatever the verb raises; that it raises is no breach, what it raises may be.
        """
        return self._call(verb, args, kwargs)

    def call_within(
        self, deadline: float, verb: Callable[P, T], *args: P.args, **kwargs: P.kwargs
    ) -> T:
        """Does the same with a deadline of its own, in seconds."""
        return self._call(verb, args, kwargs, deadline)

    def repeat(self, verb: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Calls a verb twice, which must end like doing it once (I13); returns the first result.

        Not for ``restart`` and ``kill``, which do something each time, nor while others work.
        """
        result = self._call(verb, args, kwargs)
        once = _facts(self._records())
        try:
            self._call(verb, args, kwargs)
        except Exception as error:  # noqa: BLE001 -- any failure of the second call is the finding
            said = f"{type(error).__name__}: {error}"
            self._break(f"I13: {_name(verb)} worked, and failed when it was repeated: {said}")
        twice = _facts(self._records())
        for key in once.keys() | twice.keys():
            if once.get(key) != twice.get(key):
                said = f"{_name(verb)} again changed {key[:12]}"
                self._break(f"I13: {said} from {once.get(key)} to {twice.get(key)}")
        return result

    def ran(self, done: "subprocess.CompletedProcess[str]") -> None:
        """Takes how a command line of podcore's ended (I19)."""
        for text in complaints_of_command(done.returncode, done.stderr or ""):
            self._break(f"I19: {done.args}: {text}")

    def look(self) -> None:
        """Looks at all containers, as every call does after it (I6, I14)."""
        begun = time.monotonic()
        records = self._records()
        ended = time.monotonic()
        with self._lock:
            # Of those that no call is about there is nothing to say but what the model says.
            seen = [seen_of(row) for row in records if row.pod_id in self._touched]
            call = Call("look", "", begun, ended, {"type": "ok", "seen": seen})
            self._looks.append(call)
            for record in records:
                self.broken += self._model.see(call, seen_of(record))

    def _call(
        self,
        verb: Callable[..., T],
        args: tuple[object, ...],
        kwargs: dict[str, object],
        deadline: float | None = None,
    ) -> T:
        name, target = _name(verb), getattr(verb, "__self__", None)
        number = self._begin(target)
        waited, begun, epoch = kept_waiting(), time.monotonic(), time.time()
        report: Report | None = None
        raised = False
        what, end = about(name, target, args, kwargs), {"type": "cut"}
        try:
            result = verb(*args, **kwargs)
            end = {"type": "ok"} | came_of(result)
            report = result if isinstance(result, Report) else None
            self._touch(result)
        except BaseException as error:
            raised = True
            end = {"type": "fail", "error": type(error).__name__} | came_of(error)
            report = error.report if isinstance(error, PartialFailureError) else None
            for text in complaints(error):
                self._break(f"I19: {name} raised {text}")
            raise
        else:
            return result
        finally:
            ended = time.monotonic()
            waited = kept_waiting() - waited
            alone = self._end(number)
            called = str(getattr(target, "name", ""))
            call = Call(name, called, begun, ended, end, waited, what, os.getpid())
            span = Span(name, report is not None, epoch, epoch + ended - begun, alone)
            seconds = _deadline(kwargs) if deadline is None else deadline
            with self._lock:
                self._calls.append((call, seconds))
                self._spans.append(span)
            self._judge(report, raised=raised, alone=alone)
            self.look()

    def _judge(self, report: Report | None, *, raised: bool, alone: bool) -> None:
        if report is None:
            return
        now = None
        if alone:
            now = {
                record.id: record.state
                for record in self._records()
                if record.pod_id == report.pod_id and record.kind is not ContainerKind.INFRA
            }
        for text in disagreements(report, now, raised=raised):
            self._break(f"I8: {text}")

    def _begin(self, target: object) -> int:
        self._touch(target)
        with self._lock:
            self._number += 1
            if self._open:
                self._overlapped |= {*self._open, self._number}
            self._open.add(self._number)
            return self._number

    def _end(self, number: int) -> bool:
        """Returns whether no other call was under way at any moment of this one."""
        with self._lock:
            self._open.discard(number)
            alone = number not in self._overlapped
            self._overlapped.discard(number)
            return alone

    def _touch(self, target: object) -> None:
        """Remembers the pod that a call is about, or that it made."""
        for attribute in ("pod_id", "id"):
            found = getattr(target, attribute, None)
            if isinstance(found, str):
                with self._lock:
                    self._touched.add(found)
                return

    def _break(self, text: str) -> None:
        with self._lock:
            self.broken.append(text)

    def _records(self) -> "list[ContainerRecord]":
        with self._host.store.read() as view:
            records = view.containers()
        return true_records(self._host, records)

    def finish(self) -> None:
        """Ends the watch: looks once more, and compares; ``watch`` calls it."""
        host, before = self._host, self._before
        self._heartbeat.await_beat(time.monotonic())
        beats = self._heartbeat.beats()
        for call, deadline in self._calls:
            self.broken += late(call, deadline, lambda a, b: lasting(beats, a, b))
        self.look()
        with host.store.read() as view:
            records = view.containers()
            events, after = [], before.event
            while more := view.events(after):
                events += more
                after = more[-1].number
        known = {**before.containers, **{record.id: record for record in records}}
        needs = {key: [edge.id for edge in row.dependencies] for key, row in known.items()}
        up = [key for key, row in before.containers.items() if row.state in ALIVE]
        self.broken += [f"I7: {text}" for text in disorder(events, needs, up, self._spans)]
        self._order(events, {key: row.pod_id for key, row in known.items()})
        now = surroundings.look(host, self._beside)
        touched = self._touched if self._calls else None
        self.broken += surroundings.changed(host, before, now, touched)
        self.broken += self._left()
        self.broken += map(str, breaches(host))

    def _order(self, events: "Iterable[Event]", pods: dict[str, str]) -> None:
        """Looks for an order of events for each container (I14), unless others worked on it.

        Where a look has already shown that there is none, or a report that it is not so, that is
        not said again.
        """
        if any(text.startswith(("I6:", "I8:", "I14:")) for text in self.broken):
            return
        others: set[str] = set()
        spans = [
            (span, call.about or {})
            for span, (call, _) in zip(self._spans, self._calls, strict=True)
        ]
        for event in events:
            if event.action in _STEPS and event.id not in others:
                about_it = (event.id, pods.get(event.id))
                known = any(
                    span.begun <= event.time <= span.ended
                    and {what.get("container"), what.get("pod")}.intersection(about_it)
                    for span, what in spans
                    if what
                )
                others.update(() if known else (event.id,))
        calls = [*(call for call, _ in self._calls), *self._looks]
        found = orders(calls, self._began, apart=others)
        self.broken += found.breaches
        self.undecided += found.undecided
        self.undecided += [f"I14: {key[:12]}: others worked on it" for key in sorted(others)]

    def _left(self) -> list[str]:
        """Returns what is still there after a while: monitors end a moment after containers."""
        until = time.monotonic() + _PATIENCE
        while True:
            now = surroundings.look(self._host, ())
            found = list(surroundings.left(self._host, self._before, now, self._memory))
            if not found or time.monotonic() >= until:
                return found
            time.sleep(_POLL)


@contextmanager
def watch(
    engine: "Engine", beside: Iterable[str] = (), memory: int = 64 << 20
) -> "Iterator[Watch]":
    """Watches an engine for the length of a ``with``; at its end the engine must be at rest.

    With what is called through ``Watch.call`` it sees all twenty invariants; without, those that
    compare what was before with what is now, and all that is seen at rest.

    Args:
        engine: of this process; others may work on the same directories.
        beside: directories whose contents may not change, besides the root file systems of
            containers that may not write to them.
        memory: bytes by which this process may grow.

    Raises:
        AssertionError: something did not hold; the message names each, the first one first. Not
            raised when the block itself raises.
    """
    # The heartbeat comes first, so that its process and its file are no leak.
    with Heartbeat() as heartbeat:
        watching = Watch(engine, heartbeat, beside, memory)
        yield watching
        watching.finish()
    if watching.broken:
        raise AssertionError("\n".join(watching.broken))


def _state(record: "ContainerRecord") -> State:
    """Returns what a container was when the watch began."""
    exited = record.state is ContainerStatus.EXITED
    code = record.exit_code if exited else UNSEEN
    return State(str(record.state), record.incarnation, code)


def _name(verb: Callable[..., object]) -> str:
    return str(getattr(verb, "__name__", verb))


def _deadline(kwargs: dict[str, object]) -> float:
    given = kwargs.get("timeout")
    # Without one a container's own stop_timeout counts, of which the default is 10 s.
    return DEADLINE + (float(given) if isinstance(given, int | float) else 10.0)


def _facts(records: "Iterable[ContainerRecord]") -> dict[str, tuple[object, ...]]:
    return {
        record.id: (record.state, record.incarnation, record.init, record.exit_code, record.reason)
        for record in records
    }
