"""One verb on one container as a course: what is done between the commits that it asks for.

Several containers can go their courses in step, and what they ask for in one round is then one
transaction. Of each, the intent is committed before the effect and under the lock of the container,
as when it goes alone; the intents of the others are in the same commit, that is all.
"""

from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass
from typing import TypeVar

from podcore._core import LockGuard, LockSession
from podcore.backend import Host
from podcore.errors import ContainerRemovedError, LockTimeoutError, PodcoreError
from podcore.kernel.exhaustion import typed
from podcore.lifecycle.held import Commit, Held, doing, hold, put_right
from podcore.observe import removed
from podcore.records import ContainerRecord

T = TypeVar("T")

Course = Generator[Commit | None, None, T]
"""Yields what is to be committed before it goes on; None lets the others come as far first."""

Conduct = Callable[[Held], Course[T]]
"""Begins the course of a verb on a container that is held and whose row is true."""

_BUSY = 0.02
"""Seconds after which a lock counts as one that somebody needs for longer."""


@dataclass(frozen=True, slots=True)
class Part:
    """One container's part in what is done together.

    Attributes:
        which: a snapshot of its row; its id and number matter.
        conduct: the verb.
    """

    which: ContainerRecord
    conduct: Conduct[object]


def alone(host: Host, session: LockSession, which: ContainerRecord, conduct: Conduct[T]) -> T:
    """Holds a container and goes one verb's course with it; raises as ``hold`` and the verb do."""
    with hold(host, session, which) as held:
        return follow(held, conduct(held))


def follow(held: Held, course: Course[T]) -> T:
    """Goes a course to its end, with a transaction for each commit."""
    failure: BaseException | None = None
    while True:
        try:
            commit = course.send(None) if failure is None else course.throw(failure)
        except StopIteration as end:
            result: T = end.value
            return result
        failure = None
        if commit is not None:
            try:
                held.put(commit)
            except BaseException as error:  # noqa: BLE001 - raised where it was asked for
                failure = error


def together(host: Host, session: LockSession, parts: Sequence[Part]) -> list[object]:
    """Goes the courses of several containers in step, holding all their locks.

    Those whose lock somebody else holds, and all with higher numbers, go alone afterwards: nobody
    waits for a stranger with a lock in hand.

    Args:
        host: of the engine.
        session: the calling thread's, which closes it then; it holds no container's lock.
        parts: of different containers.

    Returns:
        For each part, in the order given, what its course returned, or the exception it raised.

    Raises:
        BaseException: what is no ``Exception`` (Ctrl-C, an exit), once all have come to an end.
    """
    ordered = sorted(parts, key=lambda part: part.which.number)
    guards = _lock(session, ordered) if len(parts) > 1 else []
    try:
        ended = _in_step(host, session, ordered[: len(guards)])
    finally:
        for guard in guards:
            guard.release()
    for part in ordered[len(guards) :]:
        try:
            ended[part.which.id] = alone(host, session, part.which, part.conduct)
        except Exception as error:  # noqa: BLE001 - it is that container's result
            ended[part.which.id] = error
    return [ended[part.which.id] for part in parts]


def _lock(session: LockSession, ordered: Sequence[Part]) -> list[LockGuard]:
    """Takes the locks of as many as are free, in the one order of locks; stops at the first other."""
    guards: list[LockGuard] = []
    for part in ordered:
        try:
            guard = session.acquire("container", part.which.number, timeout=_BUSY)
        except LockTimeoutError:
            break  # it goes alone, and waits properly
        guards.append(guard)
    return guards


class _Walker:
    """One container on its course."""

    __slots__ = ("_course", "asked", "failure", "held", "result")

    def __init__(self, held: Held, conduct: Conduct[object]) -> None:
        self.held = held
        self.asked: Commit | None = None
        self.failure: BaseException | None = None
        self.result: object = None
        self._course = _from_the_start(held, conduct)

    def advance(self) -> bool:
        """Goes on to the next commit that it asks for; returns whether it has not ended."""
        failure, self.failure = self.failure, None
        try:
            self.asked = self._course.send(None) if failure is None else self._course.throw(failure)
        except StopIteration as end:
            self.result = end.value
        except OSError as error:
            named = None
            if not isinstance(error, PodcoreError):
                named = typed(error, doing(self.held.record))
            self.result = error if named is None else named
        except BaseException as error:  # noqa: BLE001 - it is that container's result
            self.result = error
        else:
            return True
        return False


def _from_the_start(held: Held, conduct: Conduct[T]) -> Course[T]:
    right = put_right(held)
    if right is not None:
        yield right
    return (yield from conduct(held))


def _in_step(host: Host, session: LockSession, parts: Sequence[Part]) -> dict[str, object]:
    """Goes the courses of containers whose locks are held; returns how each ended, by id."""
    if not parts:
        return {}
    with host.store.read() as view:
        rows = [view.container(part.which.id) for part in parts]
    ended: dict[str, object] = {}
    walking: list[_Walker] = []
    for part, row in zip(parts, rows, strict=True):
        if row is None:
            ended[part.which.id] = removed(part.which)
        else:
            walking.append(_Walker(Held(host, session, row), part.conduct))
    exits: list[BaseException] = []
    while walking:
        going = []
        for one in walking:
            if one.advance():
                going.append(one)
                continue
            ended[one.held.record.id] = one.result
            if isinstance(one.result, BaseException) and not isinstance(one.result, Exception):
                exits.append(one.result)
        _commit(host, session, going)
        walking = going
    if exits:
        raise exits[0]
    return ended


def _commit(host: Host, session: LockSession, asking: Sequence[_Walker]) -> None:
    """Commits what was asked for in one transaction; what fails is raised where it was asked for."""
    asked = [(one, one.asked) for one in asking if one.asked is not None]
    if not asked:
        return
    durable = any(commit.durable for _, commit in asked)
    try:
        with host.store.write(session, durable=durable) as change:
            for one, commit in asked:
                try:
                    commit.put(change, one.held)
                except ContainerRemovedError as error:
                    one.failure = error
    except BaseException as error:  # noqa: BLE001 - raised in all of them: nothing was written
        for one, _ in asked:
            one.failure = error
        return
    for one, commit in asked:
        if one.failure is None:
            one.held.record = commit.record
