"""What the calls of a history say of each container: the operations that ``linearize`` takes.

A verb of a whole pod is not atomic: each container's part in it is an operation of its own, which
lasts as long as the call and ends as its row of the report says.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from podcore.errors import ContainerStateError, InvalidArgumentError, PartialFailureError
from podcore.model import ContainerInspect, ContainerKind, PodInspect
from podcore.model import ContainerStatus as _Status
from podcore.report import Outcome, Report
from podcore.signals import parse_signal
from podcore.testing.linear import BUDGET, linearize
from podcore.testing.model import READS, UNSEEN, VERBS, Operation, State

if TYPE_CHECKING:
    from podcore.testing.history import Call

_REFUSED = frozenset(
    {
        "DependencyCycleError",
        "InvalidArgumentError",
        "NoSuchContainerError",
        "NoSuchPodError",
        "PodRemovedError",
        "UnknownDependencyError",
        "UseAfterForkError",
    }
)
"""Errors of a whole call that touched no container, and say nothing of one."""

_SIGKILL = 9

_TOGETHER = 20 * BUDGET
"""Configurations that are looked at of all containers, a minute or two of work; thereafter each one
has a small budget, so that the longest history comes to a verdict."""
_LEAST = BUDGET // 40

_STATES = frozenset(map(str, _Status)) - {"unknown"}


# `Any`: what JSON can hold, here and below.
def about(
    verb: str,
    target: object,
    args: Sequence[object] = (),
    kwargs: Mapping[str, object] | None = None,
) -> dict[str, Any] | None:
    """Returns what a call is going to do to which pod or container; None for any other call.

    Args:
        verb: the name of the method.
        target: a ``Pod`` or a ``Container``, or what looks like one.
        args: what it is called with.
        kwargs: by name.
    """
    key = getattr(target, "id", None)
    if verb not in VERBS | READS or not isinstance(key, str):
        return None
    given = kwargs or {}
    kind = "container" if hasattr(target, "pod_id") else "pod"
    found: dict[str, Any] = {"verb": verb, kind: key}
    if verb == "remove":
        found["force"] = bool(args[0] if args else given.get("force", False))
    if verb == "kill":
        try:
            number = parse_signal(args[0] if args else given.get("signal", "KILL"))
        except InvalidArgumentError:
            number = 0  # the call raises the same
        found["fatal"] = number == _SIGKILL
    return found


def came_of(result: object) -> dict[str, Any]:
    """Returns what a call's result, or the exception that it raised, says of containers."""
    if isinstance(result, PartialFailureError):
        return came_of(result.report)
    if isinstance(result, ContainerStateError):
        return {"state": str(result.current or "")}
    if isinstance(result, Report):
        return {"rows": list(_rows(result))}
    if isinstance(result, PodInspect):
        members = [{"id": one.id, "state": str(one.state)} for one in result.containers]
        return {"seen": [{"pod": result.id, **one} for one in members]}
    if isinstance(result, ContainerInspect):
        infra = result.kind is ContainerKind.INFRA
        seen = {"id": result.id, "pod": result.pod_id, "infra": infra, "state": str(result.state)}
        return {"seen": [seen | {"exit_code": result.exit_code}]}
    if isinstance(result, dict):
        states = [(key, state) for key, state in result.items() if isinstance(state, _Status)]
        return {"seen": [{"id": key, "state": str(state)} for key, state in states]}
    return {"exit_code": result} if isinstance(result, int) else {}


def _rows(report: Report) -> Iterator[dict[str, Any]]:
    for row in report.rows:
        error = report.errors.get(row.id)
        state = row.reason.removeprefix("is ").split(" ")[0] if row.outcome == "ignored" else ""
        if isinstance(error, ContainerStateError):
            state = str(error.current or "")
        yield {
            "id": row.id,
            "outcome": str(row.outcome),
            "state": state if state in _STATES else "",
            "error": "" if error is None else type(error).__name__,
        }


def by_container(calls: Iterable["Call"]) -> dict[str, list[Operation]]:
    """Returns what was done to, and seen of, each container.

    Args:
        calls: of all processes, those that were cut off too.
    """
    calls = list(calls)
    pods = _members(calls)
    found: dict[str, list[Operation]] = {}
    for call in calls:
        for key, op in (*_seen(call), *_done(call, pods)):
            found.setdefault(key, []).append(op)
    return found


def _members(calls: Iterable["Call"]) -> dict[str, dict[str, None]]:
    """Returns the containers of each pod, as far as anybody has said."""
    found: dict[str, dict[str, None]] = {}
    for call in calls:
        if call.about is not None and "pod" in call.about:
            keys = found.setdefault(call.about["pod"], {})
            keys.update((row["id"], None) for row in call.end.get("rows", ()))
        for seen in call.end.get("seen", ()):
            if "pod" in seen and not seen.get("infra", False):
                found.setdefault(seen["pod"], {})[seen["id"]] = None
    return found


def _seen(call: "Call") -> Iterator[tuple[str, Operation]]:
    for seen in call.end.get("seen", ()):
        # No report speaks of an infra container: what is done to it can't be known.
        if seen["state"] in _STATES and not seen.get("infra", False):
            yield (
                seen["id"],
                Operation(
                    call.verb if call.verb in READS else "look",
                    *_times(call),
                    "seen",
                    state=seen["state"],
                    incarnation=seen.get("incarnation"),
                    code=seen.get("exit_code", UNSEEN),
                    pid=call.pid,
                ),
            )


def _done(call: "Call", pods: Mapping[str, Iterable[str]]) -> Iterator[tuple[str, Operation]]:
    what = call.about
    if what is None:
        return
    verb, kind = what["verb"], call.end["type"]
    error = str(call.end.get("error", ""))
    rows: list[dict[str, Any]] = list(call.end.get("rows", ()))
    if "container" in what:
        if error in _REFUSED:
            return
        outcome = {"ok": "ok", "fail": "failed"}.get(kind, "unknown")
        rows = [{"id": what["container"], "outcome": outcome, "error": error}]
        rows[0]["state"] = call.end.get("state", "")
        if rows[0]["state"] not in ("", *_STATES):
            rows[0] |= {"outcome": "unknown", "state": "", "error": ""}
    elif not rows:
        # It raised something else than a report, or was killed: anything may have been done.
        refused = error in _REFUSED or (verb == "remove" and error == "ContainerStateError")
        if kind == "ok" or refused:
            return
        rows = [{"id": key, "outcome": "unknown"} for key in pods.get(what["pod"], ())]
    for row in rows:
        op = _operation(call, what, row)
        if op is not None:
            yield row["id"], op


def _operation(call: "Call", what: Mapping[str, Any], row: Mapping[str, Any]) -> Operation | None:
    """Returns an operation; None for one that says nothing and changed nothing."""
    verb, outcome = what["verb"], row["outcome"]
    state = row.get("state", "")
    code: int | str | None = UNSEEN
    if verb == "wait" and outcome == "ok":
        outcome, state, code = "seen", "exited", call.end.get("exit_code")
    elif verb in READS and row.get("error") not in ("ContainerRemovedError", "TimeoutError"):
        return None
    if outcome == Outcome.SKIPPED and verb not in ("start", "restart"):
        return None
    if outcome == "unknown" and verb == "kill":
        return None  # a container may end at any moment without it
    return Operation(
        verb,
        *_times(call),
        outcome,
        state=state,
        code=code,
        error=row.get("error", ""),
        whole="pod" in what,
        force=bool(what.get("force")) or (verb == "remove" and "pod" in what),
        fatal=bool(what.get("fatal")),
        pid=call.pid,
    )


def _times(call: "Call") -> tuple[int, int | None]:
    endless = call.ended == float("inf")
    return round(call.begun * 1e9), None if endless else round(call.ended * 1e9)


@dataclass(slots=True)
class Orders:
    """What became of the histories of some containers.

    Attributes:
        containers, operations: how many were checked.
        breaches: those that fit no order of events.
        undecided: those of which that could not be said, in words.
    """

    containers: int = 0
    operations: int = 0
    breaches: list[str] = field(default_factory=list)
    undecided: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        said = f"{self.operations} operations on {self.containers} containers checked for an order"
        return f"{said}, {len(self.undecided)} undecided"


def orders(
    calls: Iterable["Call"],
    before: Mapping[str, State] | None = None,
    apart: Collection[str] = (),
) -> Orders:
    """Looks for an order of events for each container (I14).

    Args:
        calls: of all processes, those that were cut off too.
        before: what containers were before the first call, by id; all others were not there, and
            begin as ``configured``.
        apart: containers that are not looked at, as calls are missing.
    """
    verdict = Orders()
    begun = before or {}
    left = _TOGETHER
    for key, operations in by_container(calls).items():
        if key in apart:
            continue
        verdict.containers += 1
        verdict.operations += len(operations)
        budget = max(_LEAST, min(BUDGET, left))
        found = linearize(operations, (begun.get(key, State()),), budget)
        left -= found.looked_at
        if found.undecided:
            verdict.undecided.append(f"I14: {key[:12]}: {found}")
        elif not found.ok:
            verdict.breaches.append(f"I14: {key[:12]}: {found}")
    return verdict
