"""Starts the containers of a pod in dependency order, with their creates running ahead."""

from collections import deque
from collections.abc import Callable, Sequence

from podcore._core import DependencyGraph, LockSession
from podcore.backend import SLOW, Host
from podcore.errors import DependencyNotRunningError, NoSuchContainerError
from podcore.lifecycle import create as lifecycle_create
from podcore.lifecycle import start as lifecycle_start
from podcore.lifecycle.course import Conduct, Part
from podcore.lifecycle.namespaces import on_network, providers
from podcore.lifecycle.step import Step
from podcore.model import ALIVE, AT_REST, ContainerStatus
from podcore.observe import truth
from podcore.operations import crew
from podcore.operations.batch import Batch, Progress
from podcore.operations.crew import Job, Watch
from podcore.operations.sharing import shared
from podcore.operations.snapshot import Snapshot, check_whole, pod_lock, snapshot
from podcore.records import PodRecord
from podcore.report import Report


def start_pod(host: Host, pod: PodRecord, progress: Progress | None = None) -> Report:
    """Starts all containers of a pod; running and paused ones are ignored.

    Raises:
        PodRemovedError, GraphError: nothing was touched.
        NoSuchContainerError: the pod has no containers.
        PartialFailureError: some containers failed; exactly their dependents were skipped.
    """
    with pod_lock(host, pod, "start") as session:
        taken = snapshot(host, pod)
        check_whole(taken.pod)
        batch = Batch("start", taken.pod, taken.members, progress)
        start_members(host, session, taken, batch, lifecycle_start.SATISFIES)
        return batch.report().raise_for_errors()


def start_members(
    host: Host,
    session: LockSession,
    taken: Snapshot,
    batch: Batch,
    satisfies: frozenset[ContainerStatus],
    settled: Callable[[str], bool] = lambda _: False,
) -> None:
    """Starts the members of a snapshot.

    Args:
        host: of the engine.
        session: the calling thread's, which holds the pod's lock.
        taken: the snapshot.
        batch: takes the outcomes.
        satisfies: the states in which a dependency counts as there.
        settled: whether the batch needs no more of a container, whatever its state.
    """
    if not taken.members:
        message = (
            f"no containers in pod {taken.pod.name} have no dependencies, cannot start pod\n"
            f"hint: `podcore create --pod {taken.pod.name} …` adds one"
        )
        raise NoSuchContainerError(message)
    now = {member.id: truth(host, member).state for member in taken.members}
    # Of a container that is up, it does not matter what it depended on.
    up = frozenset(key for key, state in now.items() if state in ALIVE)
    plan = _StartPlan(taken, batch, satisfies, now, taken.graph(rootless=up), settled)
    with shared(host, session, taken):
        crew.run(host, plan, f"start pod {taken.pod.name}", host.at_once(SLOW))


class _StartPlan:
    """Starts before creates, and both in the order of the graph."""

    def __init__(
        self,
        taken: Snapshot,
        batch: Batch,
        satisfies: frozenset[ContainerStatus],
        now: dict[str, ContainerStatus],
        graph: DependencyGraph,
        settled: Callable[[str], bool],
    ) -> None:
        self._pod = taken.pod
        names = on_network(taken.members, taken.pod)
        self._start = lifecycle_start.starting(taken.pod, satisfies, names)
        self._create = lifecycle_create.creating(taken.pod, names)
        self._batch = batch
        self._settled = settled
        self._members = {member.id: member for member in taken.members}
        self._traversal = graph.traversal()
        self._ready: deque[str] = deque(self._traversal.ready())
        self._ahead: deque[str] = deque(
            key for key in graph.order() if now[key] in AT_REST and not settled(key)
        )
        self._there = {key for key, state in now.items() if state not in AT_REST}
        self._there.update(() if taken.infra is None else (taken.infra.id,))
        self._taken: set[str] = set()
        self._creating: set[str] = set()
        self._created: set[str] = set()
        self._create_errors: dict[str, Exception] = {}
        self._discards: deque[str] = deque()
        self._under_way = 0

    @property
    def finished(self) -> bool:
        """Whether nothing is left to do and nothing is under way."""
        return (
            self._traversal.finished
            and not self._under_way
            and not self._ready
            and not self._discards
        )

    def take(self) -> Job | None:
        """Returns the next job, or None when there is none at the moment."""
        job = self._take_start() or self._take_discard() or self._take_create()
        if job is not None:
            self._under_way += 1
        return job

    def _take_start(self) -> Job | None:
        waiting: list[str] = []
        job: Job | None = None
        while self._ready and job is None:
            key = self._ready.popleft()
            if self._settled(key):
                self._succeed(key)
            elif key in self._create_errors:
                self._fail(key, self._create_errors[key])
            elif key in self._creating:
                waiting.append(key)
            else:
                self._taken.add(key)
                self._batch.begin(key, "starting")
                job = self._job(key, "start", self._start)
        self._ready.extendleft(reversed(waiting))
        return job

    def _take_discard(self) -> Job | None:
        if not self._discards:
            return None
        key = self._discards.popleft()
        return self._job(key, "discard", lifecycle_create.discarding)

    def _take_create(self) -> Job | None:
        for _ in range(len(self._ahead)):
            key = self._ahead.popleft()
            if self._batch.outcome(key) is not None or key in self._taken:
                continue
            record = self._members[key]
            if not self._there.issuperset(providers(record, self._pod)):
                self._ahead.append(key)
                continue
            self._creating.add(key)
            self._taken.add(key)
            self._batch.begin(key, "creating")
            return self._job(key, "create", self._create)
        return None

    def _job(self, key: str, kind: str, verb: Conduct[Step]) -> Job:
        return Job(key, kind, Part(self._members[key], verb))

    def succeeded(self, job: Job, result: object) -> None:
        """Notes that a job's work returned."""
        self._under_way -= 1
        key = job.container_id
        if job.kind == "start":
            self._there.add(key)
            self._batch.done(key, crew.outcome(result), "running")
            self._succeed(key)
        elif job.kind == "create":
            self._creating.discard(key)
            self._there.add(key)
            if self._batch.outcome(key) is None:
                self._created.add(key)
                self._batch.begin(key, "created")
            else:
                self._discards.append(key)  # it was skipped meanwhile

    def failed(self, job: Job, error: Exception) -> None:
        """Notes that a job's work raised."""
        self._under_way -= 1
        key = job.container_id
        if job.kind == "start":
            self._fail(key, error)
            if key in self._created and isinstance(error, DependencyNotRunningError):
                self._discards.append(key)
        elif job.kind == "create":
            self._creating.discard(key)
            self._create_errors[key] = error
            if self._batch.outcome(key) is not None:
                self._batch.failed(key, error)  # its own failure says more than having been skipped
        else:
            error.add_note("while taking it back to `configured`, as it was created ahead in vain")
            self._batch.failed(key, error)

    def _succeed(self, key: str) -> None:
        self._traversal.succeed(key)
        self._ready.extend(self._traversal.ready())

    def _fail(self, key: str, error: Exception) -> None:
        self._batch.failed(key, error)
        self._traversal.fail(key)
        causes = self._traversal.skipped
        for skipped, because in causes.items():
            if self._batch.outcome(skipped) is not None:
                continue
            if skipped in self._create_errors:
                self._batch.failed(skipped, self._create_errors[skipped])
                continue
            self._batch.skipped(skipped, because)
            if skipped in self._created:
                self._discards.append(skipped)
        self._ready.extend(self._traversal.ready())

    def watched(self) -> Sequence[Watch]:
        """Returns what the calling thread is to wait for."""
        return ()

    def due(self, watch: Watch) -> None:
        """Notes that a watched process is dead or its moment has come."""
        raise AssertionError(watch)
