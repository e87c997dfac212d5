"""A history of calls, and the small model that it is checked against: I6, I8, I14, I15, I19.

Every process appends lines of JSON to a file of its own: ``invoke`` before a call, ``ok`` or
``fail`` after it. One that is killed leaves an ``invoke`` without an end, which may have had its
effect or not; ``about`` says what it was going to do, once it has found its pod or container, and
``dead`` when its process was known to be dead. All times are of the monotonic clock in nanoseconds,
which all processes of a host share.
"""

import json
import os
import time
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from podcore.errors import PartialFailureError
from podcore.model import ContainerKind
from podcore.records import ContainerRecord, Verb
from podcore.testing.agreement import disagreements
from podcore.testing.heartbeat import kept_waiting
from podcore.testing.parts import came_of
from podcore.testing.words import complaints

_RANKS = {
    "configured": 0,
    "created": 0,
    "running": 1,
    "paused": 1,
    "stopping": 1,
    "exited": 2,
    "removing": 3,
}
"""In one incarnation a container only ever goes up."""

GRACE = 1.0
"""Seconds by which a call may miss its deadline."""


class Recorder:
    """Appends to a history; one write for each line, so that a kill leaves no half of one."""

    def __init__(self, path: str, worker: int) -> None:
        self._fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        self._worker = worker
        self._calls = 0

    def close(self) -> None:
        """Closes the file; what was noted stays."""
        os.close(self._fd)

    def invoke(self, verb: str, target: str) -> int:
        """Notes that a call begins, and returns its number."""
        self._calls += 1
        self._note({"type": "invoke", "call": self._calls, "verb": verb, "target": target})
        return self._calls

    def about(self, call: int, what: dict[str, Any] | None) -> None:
        """Notes what a call is going to do, as ``parts.about`` says it."""
        self._note({"type": "about", "call": call, "about": what})

    def ok(
        self,
        call: int,
        seen: list[dict[str, Any]] | None = None,
        wrong: Iterable[str] = (),
        result: object = None,
    ) -> None:
        """Notes that a call returned, what it saw, and what is wrong with its report (I8)."""
        line = {"type": "ok", "call": call, "seen": seen or [], "wrong": list(wrong)}
        self._note(line | came_of(result))

    def dead(self, pid: int) -> None:
        """Notes that a process is dead, all that it was about to do with it."""
        self._note({"type": "dead", "call": 0, "dead": pid})

    def fail(self, call: int, error: BaseException) -> None:
        """Notes that a call raised; a group of errors is only as good as what is in it."""
        inner = error.exceptions if isinstance(error, BaseExceptionGroup) else ()
        report = error.report if isinstance(error, PartialFailureError) else None
        wrong = () if report is None else disagreements(report, None, raised=True)
        self._note(
            {
                "type": "fail",
                "wrong": list(wrong),
                "call": call,
                "error": type(error).__name__,
                "inner": sorted({type(one).__name__ for one in inner}),
                "complaints": list(complaints(error)),
            }
            | came_of(error)
        )

    def _note(self, line: dict[str, Any]) -> None:
        line |= {"time": time.monotonic_ns(), "pid": os.getpid(), "worker": self._worker}
        line["waited"] = kept_waiting()
        os.write(self._fd, json.dumps(line).encode() + b"\n")


@dataclass(frozen=True, slots=True)
class Call:
    """A call that ended, or was cut off.

    Attributes:
        begun, ended: moments of the monotonic clock in seconds; of one that was cut off, when its
            process was known to be dead, or infinity.
        end: how: ``type`` (``ok``, ``fail`` or ``cut``) and what goes with it.
        waited: seconds in which its thread had to wait for a processor.
        about: what it did to which pod or container, as ``parts.about`` says it; None for others.
        pid: of its process.
    """

    verb: str
    target: str
    begun: float
    ended: float
    end: dict[str, Any]
    waited: float = 0.0
    about: dict[str, Any] | None = None
    pid: int = 0


@dataclass(slots=True)
class Verdict:
    """What a history shows.

    Attributes:
        calls: by verb and how they ended.
        longest: seconds of the longest call of each verb.
        cut: calls whose process was killed.
        breaches: what must not happen, in order of time.
    """

    calls: Counter[tuple[str, str]] = field(default_factory=Counter)
    longest: dict[str, float] = field(default_factory=dict)
    cut: int = 0
    breaches: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        lines = [
            f"  {verb:8} {how:48} {number:6}" for (verb, how), number in sorted(self.calls.items())
        ]
        slow = ", ".join(f"{verb} {seconds:.2f}" for verb, seconds in sorted(self.longest.items()))
        lines.append(f"  longest call in seconds: {slow}")
        lines.append(f"  cut off by a kill: {self.cut}")
        lines += [f"  BREACH {text}" for text in self.breaches]
        return "\n".join(lines)


def read(paths: Iterable[str]) -> tuple[list[Call], list[Call]]:
    """Returns the calls of some histories in the order in which they ended, and those cut off."""
    calls: list[Call] = []
    cut: list[dict[str, Any]] = []
    deaths: list[tuple[int, int]] = []
    for path in paths:
        begun: dict[tuple[int, int], dict[str, Any]] = {}
        with open(path, encoding="utf-8") as lines:
            for text in lines:
                line = json.loads(text)
                key = (line["pid"], line["call"])
                if line["type"] == "dead":
                    deaths.append((line["dead"], line["time"]))
                elif line["type"] == "invoke":
                    begun[key] = line
                elif line["type"] == "about":
                    begun[key]["about"] = line["about"]
                else:
                    calls.append(_call(begun.pop(key), line))
        cut += begun.values()
    return sorted(calls, key=lambda call: call.ended), [_cut(first, deaths) for first in cut]


def _call(first: dict[str, Any], line: dict[str, Any]) -> Call:
    return Call(
        first["verb"],
        first["target"],
        first["time"] / 1e9,
        line["time"] / 1e9,
        line,
        line["waited"] - first["waited"],
        first.get("about"),
        first["pid"],
    )


def _cut(first: dict[str, Any], deaths: Iterable[tuple[int, int]]) -> Call:
    # The same pid may be another's later.
    after = [moment for pid, moment in deaths if pid == first["pid"] and moment > first["time"]]
    ended = min(after) / 1e9 if after else float("inf")
    return replace(_call(first, first), ended=ended, end={"type": "cut"})


def judge(
    calls: Iterable[Call],
    cut: int,
    deadlines: Mapping[str, float],
    lasted: Callable[[float, float], float] = lambda begun, ended: ended - begun,
    forbidden: Collection[str] = (),
) -> Verdict:
    """Checks a history.

    Args:
        calls: in the order in which they ended.
        cut: how many were cut off.
        deadlines: seconds by which a call of each verb must have ended, give or take ``GRACE``.
        lasted: how many seconds lie between two moments; ``heartbeat.lasting`` leaves out those in
            which nobody could work.
        forbidden: names of errors that nobody may have seen, besides those that are always bugs.
    """
    verdict = Verdict(cut=cut)
    model = Model()
    for call in calls:
        kind = call.end["type"]
        how = "ok" if kind == "ok" else str(call.end["error"])
        inner = call.end.get("inner") or []
        for name in inner or [""]:
            verdict.calls[call.verb, f"{how} {name}".rstrip()] += 1
        if unwanted := sorted({how, *inner}.intersection(forbidden)):
            said = ", ".join(unwanted)
            verdict.breaches.append(f"I19: {call.verb} {call.target} raised {said}")
        seconds = call.ended - call.begun
        verdict.longest[call.verb] = max(seconds, verdict.longest.get(call.verb, 0.0))
        verdict.breaches += late(call, deadlines[call.verb], lasted)
        said = f"{call.verb} {call.target} raised"
        verdict.breaches += [f"I8: {text}" for text in call.end.get("wrong", ())]
        verdict.breaches += [f"I19: {said} {text}" for text in call.end.get("complaints", ())]
        for seen in call.end.get("seen", ()):
            verdict.breaches += model.see(call, seen)
    return verdict


def own(call: Call, lasted: Callable[[float, float], float]) -> float:
    """Returns how many seconds of a call it could help; those of both kinds may be the same ones."""
    return min(lasted(call.begun, call.ended), call.ended - call.begun - call.waited)


def late(call: Call, deadline: float, lasted: Callable[[float, float], float]) -> list[str]:
    """Returns whether a call outlived its deadline (I15): a sentence, or nothing."""
    seconds = own(call, lasted)
    if seconds <= deadline + GRACE:
        return []
    said = f"{call.verb} {call.target} took {call.ended - call.begun:.1f} s"
    return [f"I15: {said}, its deadline is {deadline:g} s ({seconds:.1f} s that it could help)"]


def seen_of(record: ContainerRecord) -> dict[str, Any]:
    """Returns what the models want to know of a container as it is true now."""
    seen = {
        "id": record.id,
        "pod": record.pod_id,
        "infra": record.kind is ContainerKind.INFRA,
        "state": str(record.state),
        "incarnation": record.incarnation,
        "exit_code": record.exit_code,
        "reason": record.reason,
    }
    if record.intent is not None and record.intent.verb is Verb.CREATE:
        # While a create is under way the row is that of two incarnations.
        del seen["incarnation"]
    return seen


class Model:
    """What one container may look like to calls that follow each other.

    Two reads are only compared when one ended before the other began.
    """

    def __init__(self) -> None:
        self._last: dict[str, list[tuple[float, dict[str, Any]]]] = {}
        self._exits: dict[tuple[str, int], object] = {}

    def see(self, call: Call, seen: dict[str, Any]) -> list[str]:
        """Takes what a read saw of a container, and returns what contradicts earlier reads."""
        found: list[str] = []
        if "incarnation" not in seen:
            return found
        key = seen["id"]
        rank = _RANKS.get(seen["state"])
        if rank is None:
            return [f"I14: {key[:12]} is {seen['state']}"]
        if seen["state"] == "exited":
            code = seen["exit_code"]
            if code is None and not seen["reason"]:
                found.append(f"I6: {key[:12]} has no exit code and no reason why")
            if code is not None and not 0 <= code <= 255:
                found.append(f"I6: {key[:12]} has exit code {code}")
            known = self._exits.setdefault((key, seen["incarnation"]), code)
            if known != code:
                found.append(f"I6: {key[:12]}: its exit code was {known}, now it is {code}")
        earlier = self._last.setdefault(key, [])
        for ended, before in reversed(earlier):
            if ended >= call.begun:
                continue
            at, was = (seen["incarnation"], rank), (before["incarnation"], _RANKS[before["state"]])
            if at < was and not _undone(before, seen):
                found.append(
                    f"I14: {key[:12]} was {before['state']} in incarnation {before['incarnation']}, "
                    f"later {seen['state']} in {seen['incarnation']}"
                )
            break
        earlier.append((call.ended, seen))
        del earlier[:-64]
        return found


def _undone(before: dict[str, Any], seen: dict[str, Any]) -> bool:
    """Whether a create was taken back, which makes a container configured again."""
    same = bool(before["incarnation"] == seen["incarnation"])
    return same and bool(seen["state"] == "configured")
