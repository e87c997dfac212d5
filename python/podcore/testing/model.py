"""What one container may do when calls come one step at a time: the model that histories are held to.

A verb is no single step: a stop is seen as ``stopping`` first, a start creates, lets others in and
starts, a restart is both. So an operation is a small automaton: ``moves`` says which steps it can
take in a state, and which of them end it with the outcome that was recorded. Between the steps of
operations the container does what it does by itself (``spontaneous``): it exits at any moment, and
what a killed caller had begun comes true or is taken back.

It knows one container. What others have to do with it (dependencies, the pod's namespaces) only
shows as failures that change nothing, which may happen at any moment.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

from podcore.lifecycle.purge import KILL_PATIENCE

END = -1
"""The phase of an operation that has taken its last step."""

UNSEEN = "unseen"
"""An exit code that nobody has read yet; the first who does decides it."""

Phase = int | tuple[str, int]
"""How far an operation has come; 0 at first, and what its verb makes of it then."""

READS = frozenset({"status", "inspect", "look", "wait"})
"""Verbs that only look."""

_DOWN = ("configured", "exited")
_STARTABLE = ("configured", "created", "exited")
_UP = ("running", "paused", "stopping")
_REFUSALS = frozenset({"ContainerStateError", "ContainerRemovedError"})
_STOP, _CREATES = "stop", "creates"


class State(NamedTuple):
    """One container at one moment.

    Attributes:
        status: as ``ContainerStatus``; also ``dying`` (its process is dead, its exit is on the way)
            and ``gone`` (removed).
        incarnation: counts creates.
        code: its exit code while it is exited; None for one that nobody can know, or ``UNSEEN``.
        stopper: the number of the operation that is stopping it; 0 for nobody.
        late: the verb of a dead caller that may still come true.
    """

    status: str = "configured"
    incarnation: int = 0
    code: int | str | None = UNSEEN
    stopper: int = 0
    late: str = ""

    @property
    def visible(self) -> str:
        """What a look says."""
        return "stopping" if self.status == "dying" else self.status

    def __str__(self) -> str:
        code = f" with {self.code}" if self.status == "exited" else ""
        return f"{self.status}{code} in incarnation {self.incarnation}"


@dataclass(frozen=True, slots=True)
class Operation:
    """A call's part in one container.

    Attributes:
        verb: ``start``, ``stop``, ``kill``, ``pause``, ``unpause``, ``restart``, ``remove``, or one
            of ``READS``.
        begun: nanoseconds of the monotonic clock.
        ended: when it returned, or when its killed caller was known to be dead; None if never.
        outcome: ``ok`` (a container's verb returned), ``done``, ``ignored``, ``failed``,
            ``skipped`` (its row of a pod's report), ``seen`` (a look), or ``unknown``: whatever it
            was about to do was done wholly, in part or not at all.
        state: what was seen, or what the container was when it was ignored or refused; "" if that
            is not known.
        incarnation: what was seen with it; None if that is not known.
        code: the exit code that was seen; ``UNSEEN`` if none was read.
        error: the name of the error's type.
        whole: it was called on a pod.
        force: of a remove.
        fatal: it sends SIGKILL.
        pid: of the caller.
    """

    verb: str
    begun: int
    ended: int | None
    outcome: str
    state: str = ""
    incarnation: int | None = None
    code: int | str | None = UNSEEN
    error: str = ""
    whole: bool = False
    force: bool = False
    fatal: bool = False
    pid: int = 0

    @property
    def pure(self) -> bool:
        """Whether all it can do is to find the container in a certain state."""
        refused = self.outcome == "ignored" or self.error in _REFUSALS
        return self.outcome == "seen" or (refused and self.verb not in ("start", "restart"))

    @property
    def loose(self) -> bool:
        """Whether it may have ended at any point, with whatever it had done until then."""
        failed = self.outcome == "failed" and self.error not in _REFUSALS
        return failed or self.outcome in ("unknown", "skipped")

    @property
    def uncounted(self) -> bool:
        """Whether it may create the container as often as incarnations allow."""
        return self.outcome == "ignored" or self.loose

    def __str__(self) -> str:
        ended = "…" if self.ended is None else f"{self.ended / 1e9:.6f}"
        what = " ".join(part for part in (self.outcome, self.error, self.state) if part)
        if self.incarnation is not None:
            what += f" in incarnation {self.incarnation}"
        if self.code != UNSEEN:
            what += f" with {self.code}"
        pod = " of its pod" if self.whole else ""
        return f"{self.verb}{pod}: {what} (pid {self.pid}, {self.begun / 1e9:.6f} to {ended})"


class _At(NamedTuple):
    """An operation, its number, how far it is, and what the container is."""

    op: Operation
    number: int
    phase: Phase
    state: State


def spontaneous(state: State, pending: frozenset[int]) -> Iterator[State]:
    """Returns what a container may become without a call.

    Args:
        state: what it is.
        pending: the numbers of the operations that are under way.
    """
    status = state.status
    if status in ("running", "paused", "stopping", "created"):
        yield State("dying", state.incarnation)
    elif status == "dying":
        yield State("exited", state.incarnation)
    if status == "stopping" and state.stopper not in pending:
        # Who was at it is dead, or has given up.
        yield state._replace(status="running", stopper=0)
    elif state.late == "start" and status == "created":
        yield State("running", state.incarnation)
    elif state.late == "pause" and status == "running":
        yield State("paused", state.incarnation)


def moves(op: Operation, number: int, phase: Phase, state: State) -> list[tuple[Phase, State]]:
    """Returns the next steps of an operation: how far it is then, and what the container is.

    One that is ``loose`` may also end as it is, see ``left_by``.

    Args:
        op: the operation.
        number: its number, above 0.
        phase: how far it is.
        state: what the container is.
    """
    if op.outcome == "seen" or op.verb in READS:
        return _look(op, state)
    return _VERBS[op.verb](_At(op, number, phase, state))


def _look(op: Operation, state: State) -> list[tuple[Phase, State]]:
    if op.outcome == "failed":
        fits = state.visible != "exited" if op.error == "TimeoutError" else state.status == "gone"
        return [(END, state)] if fits else []
    if state.visible != op.state or op.incarnation not in (None, state.incarnation):
        return []
    if op.code == UNSEEN:
        return [(END, state)]
    if state.status != "exited":
        # One that is up, or about to be, has no exit code; another may still tell of its last one.
        up = state.visible in (*_UP, "created")
        return [] if up and op.code is not None else [(END, state)]
    if state.code == UNSEEN:
        return [(END, state._replace(code=op.code))]
    return [(END, state)] if state.code == op.code else []


def left_by(op: Operation, state: State) -> State:
    """Returns the state that a caller leaves that gives up, or is dead, before it is done."""
    if op.outcome != "unknown":
        return state
    if op.verb in ("start", "restart") and state.status == "created":
        return state._replace(late="start")
    if op.verb == "pause" and state.status == "running":
        return state._replace(late="pause")
    return state


def _idle(
    op: Operation, state: State, idle: tuple[str, ...], fine: tuple[str, ...]
) -> list[tuple[Phase, State]]:
    """Returns the end of an operation that has nothing to do in a state, if its outcome is that.

    Args:
        op: the operation.
        state: what the container is.
        idle: the states that the verb does not apply to.
        fine: those of them that are its goal, so that a container's verb returns.
    """
    status = state.visible
    if op.outcome == "ignored":
        fits = status in idle and op.state in ("", status)
    elif op.outcome == "ok":
        fits = status in fine
    elif op.error == "ContainerRemovedError":
        fits = status == "gone"
    elif op.error == "ContainerStateError" and op.state:
        fits = status == op.state and status in idle and status not in fine
    else:
        fits = op.error == "ContainerStateError" and status in idle
    return [(END, state)] if fits else []


def _effective(op: Operation) -> bool:
    """Whether an operation may have changed something."""
    return op.outcome in ("ok", "done") or op.loose


def _start(at: _At) -> list[tuple[Phase, State]]:
    op, _, phase, state = at
    creates = phase[1] if isinstance(phase, tuple) else 0
    return _starting(op, creates, state)


def _starting(op: Operation, creates: int, state: State) -> list[tuple[Phase, State]]:
    """Steps of a start that has created the container so many times.

    A pod's start creates ahead, and once more where that was undone before its turn came. Whose
    part in it is not known is not counted: who of several did what would multiply the work.
    """
    up = ("running", "paused")
    found = _idle(op, state, up if op.outcome == "ignored" else (*_UP, "removing"), ("running",))
    status, incarnation = state.status, state.incarnation
    if status in _DOWN and (op.uncounted or creates < (2 if op.whole else 1)):
        further: Phase = (_CREATES, 0 if op.uncounted else creates + 1)
        found.append((further, State("created", incarnation + 1)))
        if op.loose:
            found.append((END, State("configured", incarnation + 1)))
    elif status == "created":
        if _effective(op):
            found.append((END, State("running", incarnation)))
        if op.error == "ContainerStateError":
            found.append(((_CREATES, max(creates, 1)), state))
    # What was created ahead is taken back, also when its process has just died.
    undone = op.whole and op.outcome in ("skipped", "failed", "unknown")
    if undone and status in ("created", "dying"):
        found.append((END, State("configured", incarnation)))
    died = op.error == "ContainerStateError" and op.state in ("", "exited")
    if died and creates and status in ("dying", "exited"):
        found.append((END, state))
    return found


def _stop(at: _At) -> list[tuple[Phase, State]]:
    op, number, phase, state = at
    if isinstance(phase, tuple):
        return [(END, after) for after in _stopped(phase[1], state)]
    idle = _idle(op, state, (*_STARTABLE, "paused", "removing"), _STARTABLE)
    return [*_stopping(op, number, state), *idle]


def _stopping(op: Operation, number: int, state: State) -> list[tuple[Phase, State]]:
    if not _effective(op) and op.verb == "stop":
        return []
    if state.status == "running":
        return [((_STOP, state.incarnation), State("stopping", state.incarnation, stopper=number))]
    return [((_STOP, state.incarnation), state)] if state.status == "stopping" else []


def _stopped(incarnation: int, state: State) -> list[State]:
    """What a container becomes whose stop comes to an end."""
    if state.incarnation != incarnation or state.status in _DOWN:
        return [state]
    return [State("exited", incarnation)] if state.status in _UP else []


def _restart(at: _At) -> list[tuple[Phase, State]]:
    op, number, phase, state = at
    if isinstance(phase, tuple) and phase[0] == _STOP:
        return [((_CREATES, 0), after) for after in _stopped(phase[1], state)]
    if isinstance(phase, tuple):
        return _starting(op, phase[1], state)
    found = _stopping(op, number, state)
    if state.status in (*_STARTABLE, "paused"):
        # There is nothing to stop, and others may get at it before the start.
        found.append(((_CREATES, 0), state))
    return found + _idle(op, state, ("paused", "removing"), ())


def _kill(at: _At) -> list[tuple[Phase, State]]:
    op, _, _, state = at
    found = _idle(op, state, (*_STARTABLE, "paused", "removing"), ())
    if _effective(op) and state.status in ("running", "stopping"):
        if op.fatal:
            found.append((END, State("dying", state.incarnation)))
        # One that SIGKILL does not reach in time stays what it is.
        if not op.fatal or op.ended is None or op.ended - op.begun > KILL_PATIENCE * 1e9:
            found.append((END, state))
    return found


def _pause(at: _At) -> list[tuple[Phase, State]]:
    op, _, phase, state = at
    found = _idle(op, state, (*_STARTABLE, "paused", "stopping", "removing"), ("paused",))
    if _effective(op) and state.status == "running":
        found.append((END, State("paused", state.incarnation)))
        if op.loose:
            found.append((1, State("paused", state.incarnation)))
    elif phase == 1 and state.status == "paused":
        found.append((END, State("running", state.incarnation)))  # a freeze that fails is undone
    return found


def _unpause(at: _At) -> list[tuple[Phase, State]]:
    op, _, _, state = at
    found = _idle(op, state, (*_STARTABLE, "running", "stopping", "removing"), ("running",))
    if _effective(op) and state.status == "paused":
        found.append((END, State("running", state.incarnation)))
    return found


def _remove(at: _At) -> list[tuple[Phase, State]]:
    op, _, phase, state = at
    # Without a state, it is others that depend on it.
    found = _idle(op, state, _UP if op.state else (*_STARTABLE, *_UP, "removing"), ())
    if phase == 0 and _effective(op) and state.status != "gone":
        if op.force or state.status not in _UP:
            found.append((1, State("removing", state.incarnation)))
    elif phase == 1 and state.status == "removing":
        found.append((END, State("gone", state.incarnation)))
    return found


_VERBS = {
    "start": _start,
    "stop": _stop,
    "restart": _restart,
    "kill": _kill,
    "pause": _pause,
    "unpause": _unpause,
    "remove": _remove,
}
VERBS = frozenset(_VERBS)
"""Verbs that may change a container."""
