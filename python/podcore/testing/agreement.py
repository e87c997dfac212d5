"""Whether a report fits what was done (I8), and who was started and stopped in which order (I7)."""

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass

from podcore.model import ContainerStatus
from podcore.names import short
from podcore.records import Event
from podcore.report import Outcome, Report

_RAN = {ContainerStatus.RUNNING, ContainerStatus.STOPPING, ContainerStatus.EXITED}
_FOUND_UP = (ContainerStatus.RUNNING, ContainerStatus.PAUSED)
GOALS: Mapping[str, Collection[ContainerStatus]] = {
    "start": _RAN,
    "restart": _RAN,
    "unpause": _RAN,
    "kill": _RAN,
    "pause": {ContainerStatus.PAUSED},
    "stop": {ContainerStatus.EXITED, ContainerStatus.CONFIGURED},
    "remove": (),
}
"""What a container may be right after a verb was done to it; what was started may end at once."""


def disagreements(
    report: Report, now: Mapping[str, ContainerStatus] | None, *, raised: bool
) -> Iterator[str]:
    """Returns what a report says that is not so.

    Args:
        report: of a call that has just ended.
        now: the states of the pod's containers by id; None when others were at work meanwhile.
        raised: whether the call raised it, in a ``PartialFailureError``.
    """
    said = f"the report of {report.verb} of pod `{report.pod_name}`"
    rows = {row.id: row for row in report.rows}
    if raised == report.ok:
        yield f"{said} has {len(report.errors)} errors, and was {'' if raised else 'not '}raised"
    for row in report.rows:
        failed = row.outcome in (Outcome.FAILED, Outcome.SKIPPED)
        if failed != (row.id in report.errors):
            yield f"{said}: `{row.name}` is {row.outcome}, which its errors do not say"
        if row.outcome is Outcome.SKIPPED:
            because = rows.get(row.because or "")
            if because is None or because.outcome is not Outcome.FAILED:
                yield f"{said}: `{row.name}` is skipped because of nothing that failed"
    if now is None:
        return
    for row in report.rows:
        goal = GOALS.get(report.verb)
        state = now.get(row.id)
        gone = report.verb == "remove" and state is None
        if row.outcome is Outcome.DONE and goal is not None and state not in goal and not gone:
            yield f"{said}: `{row.name}` is done, but {state}"
    for key in now:
        if key not in rows:
            yield f"{said} does not name {short(key)}"


@dataclass(frozen=True, slots=True)
class Span:
    """A call, as the log of events is read by it.

    Attributes:
        verb: such as ``stop``.
        pod: whether it was about a whole pod.
        begun, ended: seconds since the epoch.
        alone: no other call was under way meanwhile.
    """

    verb: str
    pod: bool
    begun: float
    ended: float
    alone: bool


def disorder(
    events: Iterable[Event],
    needs: Mapping[str, Collection[str]],
    up: Collection[str],
    calls: Collection[Span],
) -> Iterator[str]:
    """Returns who was started before what it depends on, or outlived by what depends on it.

    What ended by itself is excused, and so is what somebody else did at the same time: a dependency
    counts as stopped too early, or not started, only where one call must have known.

    Args:
        events: those of the time that was watched, in order.
        needs: what each container depends on, by id.
        up: the containers that ran when the watch began.
        calls: what was called.
    """
    seen = _Order(needs, up, calls)
    for event in events:
        yield from seen.pass_by(event)


class _Order:
    """Who has been started, runs, was stopped when, and is frozen, as the events tell it."""

    def __init__(
        self,
        needs: Mapping[str, Collection[str]],
        up: Collection[str],
        calls: Collection[Span],
    ) -> None:
        self._needs = needs
        self._calls = calls
        self._started = set(up)
        self._running = set(up)
        self._stopped: dict[str, float] = {}
        self._frozen: set[str] = set()
        self._dependents: dict[str, list[str]] = {}
        for key, ones in needs.items():
            for one in ones:
                self._dependents.setdefault(one, []).append(key)

    def pass_by(self, event: Event) -> Iterator[str]:
        """Takes the next event; returns what it shows to be out of order."""
        key = event.id
        if event.action == "start":
            yield from self._too_soon(event)
        elif event.action == "stop":
            yield from self._too_soon_down(event)
            self._stopped[key] = event.time
        # Where a worker died between a start and its commit, it is only found to be running.
        found = event.action in ("sync", "recover") and event.detail in _FOUND_UP
        if event.action == "start" or found:
            self._started.add(key)
            self._running.add(key)
        elif event.action in ("stop", "died", "remove"):
            self._running.discard(key)
        if event.action == "pause":
            self._frozen.add(key)
        else:
            self._frozen.discard(key)

    def _too_soon(self, event: Event) -> Iterator[str]:
        begun = min((call.begun for call in _around(event, self._calls)), default=0.0)
        said = short(event.id)
        for one in self._needs.get(event.id, ()):
            if one not in self._started:
                yield f"{said} was started before {short(one)}, which it depends on"
            elif one not in self._running and 0.0 < self._stopped.get(one, 0.0) < begun:
                yield f"{said} was started after {short(one)}, which it depends on, was stopped"

    def _too_soon_down(self, event: Event) -> Iterator[str]:
        whole = [call for call in _around(event, self._calls) if call.pod and call.alone]
        if any(call.verb in ("stop", "restart") for call in whole):
            for one in self._dependents.get(event.id, ()):
                if one in self._running and one not in self._frozen:
                    said = f"{short(event.id)} was stopped before {short(one)}"
                    yield f"{said}, which depends on it"


def _around(event: Event, calls: Collection[Span]) -> list[Span]:
    return [call for call in calls if call.begun <= event.time <= call.ended]
