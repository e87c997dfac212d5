"""Stops the containers of a pod, dependents first, all of a level at once."""

import math
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from functools import partial

from podcore.backend import QUICK, SLOW, Host
from podcore.errors import InvalidArgumentError
from podcore.lifecycle import stop as lifecycle_stop
from podcore.lifecycle.course import Course, Part
from podcore.lifecycle.held import Held
from podcore.lifecycle.step import Step, ignored
from podcore.lifecycle.stop import Stopping
from podcore.model import ContainerStatus
from podcore.observe import abandoned, truth
from podcore.operations import crew
from podcore.operations.batch import Batch, Progress
from podcore.operations.crew import Job, Watch
from podcore.operations.sharing import let_go
from podcore.operations.snapshot import Snapshot, pod_lock, snapshot
from podcore.records import ContainerRecord, PodRecord
from podcore.report import Report

STOPPABLE = frozenset({ContainerStatus.RUNNING, ContainerStatus.STOPPING})


def check_timeout(timeout: object) -> float | None:
    """Returns a stop timeout in seconds, or None for each container's own.

    Raises:
        InvalidArgumentError: it is negative or no number.
    """
    if timeout is None:
        return None
    if isinstance(timeout, bool) or not isinstance(timeout, int | float):
        message = f"timeout {timeout!r} is no number of seconds"
        raise InvalidArgumentError(message)
    if math.isnan(timeout) or timeout < 0:
        message = (
            f"timeout {timeout!r} is negative\n"
            "hint: 0 kills at once, math.inf waits for ever, None is each container's own"
        )
        raise InvalidArgumentError(message)
    return float(timeout)


def stop_pod(
    host: Host,
    pod: PodRecord,
    *,
    cleanup: bool = False,
    timeout: float | None = None,
    progress: Progress | None = None,
) -> Report:
    """Stops the running containers of a pod; all others are ignored.

    Raises:
        InvalidArgumentError, PodRemovedError: nothing was touched.
        PartialFailureError: some could not be stopped; what they depend on was left running.
    """
    seconds = check_timeout(timeout)
    with pod_lock(host, pod, "stop") as session:
        taken = snapshot(host, pod)
        batch = Batch("stop", taken.pod, taken.members, progress)
        stop_members(host, taken, looked_at(host, taken), batch, cleanup=cleanup, timeout=seconds)
        report = batch.report().raise_for_errors()
        let_go(host, session, taken, cleanup=cleanup)
        return report


def looked_at(host: Host, taken: Snapshot) -> Mapping[str, ContainerRecord]:
    """Returns the members of a snapshot as they are true now, by id, for ``stop_members``.

    One that runs by its row is only looked at when it is told to stop, under its lock.
    """
    return {
        member.id: member if member.state in STOPPABLE else truth(host, member)
        for member in taken.members
    }


def stop_members(
    host: Host,
    taken: Snapshot,
    now: Mapping[str, ContainerRecord],
    batch: Batch,
    *,
    cleanup: bool,
    timeout: float | None,
    keep: Callable[[str], bool] = lambda _: False,
) -> None:
    """Stops the members of a snapshot; call with the pod lock held.

    Args:
        host: of the engine.
        taken: the snapshot.
        now: what ``looked_at`` said of it; what could not be stopped then is not touched.
        batch: takes the outcomes, but of those that ``keep``.
        cleanup: release mounts, cgroup and runtime state as well.
        timeout: seconds until SIGKILL; None for each container's own.
        keep: whether the batch goes on with a container after it has stopped.
    """
    plan = _StopPlan(host, taken, now, batch, cleanup=cleanup, timeout=timeout, keep=keep)
    try:
        pace = SLOW if cleanup else QUICK
        crew.run(host, plan, f"stop pod {taken.pod.name}", host.at_once(pace))
    finally:
        plan.close()


class _StopPlan:
    """Signals whatever no running dependent needs, and finishes what has exited."""

    def __init__(
        self,
        host: Host,
        taken: Snapshot,
        now: Mapping[str, ContainerRecord],
        batch: Batch,
        *,
        cleanup: bool,
        timeout: float | None,
        keep: Callable[[str], bool],
    ) -> None:
        self._host = host
        self._batch = batch
        self._cleanup = cleanup
        self._beginning = lifecycle_stop.beginning(timeout)
        self._keep = keep
        self._members = {member.id: member for member in taken.members}
        self._now = now
        self._traversal = taken.graph().traversal(reverse=True)
        self._ready: deque[str] = deque(self._traversal.ready())
        self._stopping: dict[str, Stopping] = {}
        self._due: deque[tuple[str, Stopping]] = deque()
        self._under_way = 0

    @property
    def finished(self) -> bool:
        """Whether nothing is left to do and nothing is under way."""
        return self._traversal.finished and not self._under_way

    def take(self) -> Job | None:
        """Returns the next job, or None when there is none at the moment."""
        if self._due:
            key, stopping = self._due.popleft()
            finish = lifecycle_stop.finishing(stopping, cleanup=self._cleanup)
            return self._job(key, "finish", Part(stopping.record, finish))
        while self._ready:
            key = self._ready.popleft()
            record, now = self._members[key], self._now[key]
            if now.state in STOPPABLE:
                self._batch.begin(key, "stopping")
                return self._job(key, "begin", Part(record, self._begin))
            ended = now.state is ContainerStatus.EXITED
            if (ended and (self._cleanup or now.state is not record.state)) or (
                abandoned(self._host, record.intent) is not None
            ):
                return self._job(key, "settle", Part(record, partial(self._settle, now.state)))
            self._succeed(key, ignored(f"is {now.state}"))
        return None

    def _job(self, key: str, kind: str, part: Part) -> Job:
        self._under_way += 1
        return Job(key, kind, part)

    def _begin(self, held: Held) -> Course[Stopping | Step]:
        begun = yield from self._beginning(held)
        if isinstance(begun, Step) and self._cleanup:
            yield from lifecycle_stop.cleaning_up(held)
        return begun

    def _settle(self, state: ContainerStatus, held: Held) -> Course[Step]:
        """Releases a container that died by itself, if asked; that it did is committed by now.

        What a dead worker left at one is put right as well. It was ignored for what it was then:
        somebody else may have started it meanwhile.
        """
        if self._cleanup:
            yield from lifecycle_stop.cleaning_up(held)
        return ignored(f"is {state}")

    def succeeded(self, job: Job, result: object) -> None:
        """Notes that a job's work returned."""
        if job.kind == "begin" and isinstance(result, Stopping):
            self._stopping[job.container_id] = result  # still under way
            return
        self._under_way -= 1
        self._succeed(job.container_id, crew.outcome(result))

    def failed(self, job: Job, error: Exception) -> None:
        """Notes that a job's work raised."""
        self._under_way -= 1
        self._batch.failed(job.container_id, error)
        self._traversal.fail(job.container_id)
        self._batch.skip(self._traversal.skipped)
        self._ready.extend(self._traversal.ready())

    def _succeed(self, key: str, step: Step) -> None:
        if not self._keep(key):
            self._batch.done(key, step, "exited")
        self._traversal.succeed(key)
        self._ready.extend(self._traversal.ready())

    def watched(self) -> Sequence[Watch]:
        """Returns what the calling thread is to wait for."""
        return [
            Watch(key, stopping.pidfd, stopping.until) for key, stopping in self._stopping.items()
        ]

    def due(self, watch: Watch) -> None:
        """Notes that a watched process is dead or its moment has come."""
        stopping = self._stopping.pop(watch.container_id, None)
        if stopping is not None:
            self._under_way -= 1  # the job that finishes it counts itself
            self._due.append((watch.container_id, stopping))

    def close(self) -> None:
        """Closes the descriptors of what was left when the batch was interrupted."""
        for stopping in (*self._stopping.values(), *(stopping for _, stopping in self._due)):
            stopping.close()
        self._stopping.clear()
        self._due.clear()
