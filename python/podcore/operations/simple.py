"""The verbs that need no order: kill, pause and unpause go to all containers at once."""

from collections import deque
from collections.abc import Callable, Mapping, Sequence

from podcore._core import LockSession
from podcore.backend import QUICK, Host
from podcore.lifecycle import kill as lifecycle_kill
from podcore.lifecycle import pause as lifecycle_pause
from podcore.lifecycle import whole
from podcore.lifecycle.course import Conduct, Part
from podcore.lifecycle.step import Step
from podcore.lifecycle.stop import SIGKILL
from podcore.operations import crew
from podcore.operations.batch import Batch
from podcore.operations.crew import Job, Watch
from podcore.operations.snapshot import pod_lock, snapshot
from podcore.records import ContainerRecord, PodRecord
from podcore.report import Report
from podcore.signals import parse_signal

_AtOnce = Callable[
    [Host, LockSession, PodRecord, Sequence[ContainerRecord]], Mapping[str, Step] | None
]


def kill_pod(host: Host, pod: PodRecord, signal: object = "KILL") -> Report:
    """Sends a signal to all running containers of a pod; all others are ignored.

    Raises:
        InvalidArgumentError, PodRemovedError: nothing was sent.
        PartialFailureError: some could not be signalled.
    """
    number = parse_signal(signal)
    at_once = whole.kill if number == SIGKILL else None
    return _each(host, pod, "kill", lifecycle_kill.killing(number), at_once)


def pause_pod(host: Host, pod: PodRecord) -> Report:
    """Freezes all running containers of a pod; all others are ignored.

    Raises:
        PodRemovedError: nothing was touched.
        PartialFailureError: some could not be frozen.
    """
    return _each(host, pod, "pause", lifecycle_pause.pausing, whole.pause)


def unpause_pod(host: Host, pod: PodRecord) -> Report:
    """Thaws all paused containers of a pod; all others are ignored.

    Raises:
        PodRemovedError: nothing was touched.
        PartialFailureError: some could not be thawed.
    """
    return _each(host, pod, "unpause", lifecycle_pause.unpausing)


def _each(
    host: Host, pod: PodRecord, name: str, verb: Conduct[Step], at_once: _AtOnce | None = None
) -> Report:
    with pod_lock(host, pod, name) as session:
        taken = snapshot(host, pod)
        batch = Batch(name, taken.pod, taken.members)
        steps = None
        if at_once is not None:
            infra = () if taken.infra is None else (taken.infra,)
            steps = at_once(host, session, taken.pod, (*infra, *taken.members))
        if steps is not None:
            for member in taken.members:
                batch.done(member.id, steps[member.id], "done")
            return batch.report()
        plan = Each(taken.members, batch, name, verb)
        crew.run(host, plan, f"{name} pod {taken.pod.name}", host.at_once(QUICK))
        return batch.report().raise_for_errors()


class Each:
    """A plan that does the same to every container, in no order."""

    def __init__(
        self, members: Sequence[ContainerRecord], batch: Batch, name: str, verb: Conduct[Step]
    ) -> None:
        self._left = deque(members)
        self._batch = batch
        self._name = name
        self._verb = verb
        self._under_way = 0

    @property
    def finished(self) -> bool:
        """Whether nothing is left to do and nothing is under way."""
        return not self._left and not self._under_way

    def take(self) -> Job | None:
        """Returns the next job, or None when there is none at the moment."""
        if not self._left:
            return None
        record = self._left.popleft()
        self._under_way += 1
        self._batch.begin(record.id, self._name)
        return Job(record.id, self._name, Part(record, self._verb))

    def succeeded(self, job: Job, result: object) -> None:
        """Notes that a job's work returned."""
        self._under_way -= 1
        self._batch.done(job.container_id, crew.outcome(result), "done")

    def failed(self, job: Job, error: Exception) -> None:
        """Notes that a job's work raised."""
        self._under_way -= 1
        self._batch.failed(job.container_id, error)

    def watched(self) -> Sequence[Watch]:
        """Returns what the calling thread is to wait for."""
        return ()

    def due(self, watch: Watch) -> None:
        """Notes that a watched process is dead or its moment has come."""
        raise AssertionError(watch)
