"""A history of calls and the small model that it is checked against.

Every worker appends lines of JSON to a file of its own: ``invoke`` before a call, ``ok`` or
``fail`` after it. One that is killed leaves an ``invoke`` without an end, which may have had its
effect or not. All times are of the monotonic clock, which all processes share.
"""

import json
import os
import time
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from podcore.errors import PodcoreError

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

FORBIDDEN = {"InternalError", "LockOrderError", "UseAfterForkError", "StoreCorruptError"}
"""Errors of podcore's that no caller may ever see here."""


CONTRACT = (PodcoreError, TimeoutError)
"""What podcore's verbs may raise."""


class Recorder:
    """Appends to a history; one write for each line, so that a kill leaves no half of one."""

    def __init__(self, path: str, worker: int) -> None:
        self._fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        self._worker = worker
        self._calls = 0

    def invoke(self, verb: str, target: str) -> int:
        """Notes that a call begins, and returns its number."""
        self._calls += 1
        self._note({"type": "invoke", "call": self._calls, "verb": verb, "target": target})
        return self._calls

    def ok(self, call: int, seen: list[dict[str, Any]] | None = None) -> None:
        """Notes that a call returned, and what it saw."""
        self._note({"type": "ok", "call": call, "seen": seen or []})

    def fail(self, call: int, error: BaseException, *, contract: bool) -> None:
        """Notes that a call raised; a group of errors is only as good as what is in it."""
        inner = error.exceptions if isinstance(error, BaseExceptionGroup) else ()
        self._note(
            {
                "type": "fail",
                "call": call,
                "error": type(error).__name__,
                "inner": sorted({type(one).__name__ for one in inner}),
                "text": "; ".join(map(str, (error, *inner)))[:2000],
                "contract": contract and all(isinstance(one, CONTRACT) for one in inner),
            }
        )

    def _note(self, line: dict[str, Any]) -> None:
        line |= {"time": time.monotonic(), "pid": os.getpid(), "worker": self._worker}
        os.write(self._fd, json.dumps(line).encode() + b"\n")


@dataclass(frozen=True, slots=True)
class Call:
    """A call that ended."""

    verb: str
    target: str
    begun: float
    ended: float
    end: dict[str, Any]


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


def read(paths: Iterable[str]) -> tuple[list[Call], int]:
    """Returns the calls of some histories in the order in which they ended, and how many did not."""
    calls, open_calls = [], 0
    for path in paths:
        begun: dict[tuple[int, int], dict[str, Any]] = {}
        with open(path, encoding="utf-8") as lines:
            for text in lines:
                line = json.loads(text)
                key = (line["pid"], line["call"])
                if line["type"] == "invoke":
                    begun[key] = line
                    continue
                first = begun.pop(key)
                calls.append(
                    Call(first["verb"], first["target"], first["time"], line["time"], line)
                )
        open_calls += len(begun)
    return sorted(calls, key=lambda call: call.ended), open_calls


def judge(calls: Iterable[Call], cut: int, deadlines: dict[str, float]) -> Verdict:
    """Checks a history.

    Args:
        calls: in the order in which they ended.
        cut: how many were cut off.
        deadlines: seconds by which a call of each verb must have ended.
    """
    verdict = Verdict(cut=cut)
    model = Model()
    for call in calls:
        kind = call.end["type"]
        how = "ok" if kind == "ok" else str(call.end["error"])
        for name in call.end.get("inner") or [""]:
            verdict.calls[call.verb, f"{how} {name}".rstrip()] += 1
        seconds = call.ended - call.begun
        verdict.longest[call.verb] = max(seconds, verdict.longest.get(call.verb, 0.0))
        if seconds > deadlines[call.verb]:
            verdict.breaches.append(f"{call.verb} {call.target} took {seconds:.1f} s")
        if kind == "fail" and (
            not call.end["contract"] or FORBIDDEN.intersection([how, *call.end["inner"]])
        ):
            text = call.end["text"]
            verdict.breaches.append(f"{call.verb} {call.target} raised {how}: {text}")
        for seen in call.end.get("seen", ()):
            verdict.breaches += model.see(call, seen)
    return verdict


class Model:
    """What one container may look like to calls that follow each other.

    Two reads are only compared when one ended before the other began.
    """

    def __init__(self) -> None:
        self._last: dict[str, list[tuple[float, dict[str, Any]]]] = {}
        self._exits: dict[tuple[str, int], object] = {}

    def see(self, call: Call, seen: dict[str, Any]) -> list[str]:
        """Takes what a read saw of a container, and returns what contradicts earlier reads."""
        found = []
        key = seen["id"]
        rank = _RANKS.get(seen["state"])
        if rank is None:
            return [f"{key[:12]} is {seen['state']}"]
        if seen["state"] == "exited":
            code = seen["exit_code"]
            if code is None and not seen["reason"]:
                found.append(f"{key[:12]} has no exit code and no reason why")
            if code is not None and not 0 <= code <= 255:
                found.append(f"{key[:12]} has exit code {code}")
            known = self._exits.setdefault((key, seen["incarnation"]), code)
            if known != code:
                found.append(f"{key[:12]}: its exit code was {known}, now it is {code}")
        earlier = self._last.setdefault(key, [])
        for ended, before in reversed(earlier):
            if ended >= call.begun:
                continue
            at, was = (seen["incarnation"], rank), (before["incarnation"], _RANKS[before["state"]])
            if at < was and not _undone(before, seen):
                found.append(
                    f"{key[:12]} was {before['state']} in incarnation {before['incarnation']}, "
                    f"later {seen['state']} in {seen['incarnation']}"
                )
            break
        earlier.append((call.ended, seen))
        del earlier[:-64]
        return found


def _undone(before: dict[str, Any], seen: dict[str, Any]) -> bool:
    """Whether a create was taken back, which makes a container configured again."""
    return before["incarnation"] == seen["incarnation"] and seen["state"] == "configured"
