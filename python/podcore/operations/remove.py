"""Removes a pod, or a container of one; whatever interrupts it, the next remove finishes it."""

from collections import deque
from collections.abc import Sequence
from dataclasses import replace

from podcore._core import LockSession
from podcore.backend import SLOW, Host
from podcore.errors import ContainerStateError
from podcore.kernel.failpoints import failpoint
from podcore.kernel.files import remove_tree
from podcore.lifecycle import ledger, pins
from podcore.lifecycle import remove as lifecycle_remove
from podcore.lifecycle.course import Part
from podcore.lifecycle.shm import release_shm
from podcore.names import short
from podcore.operations import crew
from podcore.operations.batch import Batch
from podcore.operations.crew import Job, Watch
from podcore.operations.snapshot import Snapshot, pod_lock, snapshot
from podcore.operations.status import true_records
from podcore.records import ContainerRecord, PodRecord
from podcore.report import Report


def remove_pod(host: Host, pod: PodRecord, *, force: bool = False) -> Report:
    """Removes a pod and all its containers, dependents first; holds the pod lock exclusively.

    Raises:
        PodRemovedError: it is gone already.
        ContainerStateError: a container is alive and ``force`` is not given; nothing was changed.
        PartialFailureError: some containers could not be removed; the pod is still there, marked,
            and the next remove goes on.
    """
    with pod_lock(host, pod, "remove", exclusive=True) as session:
        taken = snapshot(host, pod)
        for record in true_records(host, taken.members):
            lifecycle_remove.check_removable(record, force=force or taken.pod.removing)
        batch = Batch("remove", taken.pod, taken.members)
        with host.store.write(session, durable=True) as change:
            change.save_pod(replace(taken.pod, removing=True))
        failpoint("remove-pod.after-mark")
        plan = _RemovePlan(taken, batch)
        crew.run(host, plan, f"remove pod {pod.name}", host.at_once(SLOW))
        report = batch.report().raise_for_errors()
        failpoint("remove-pod.after-members")
        _remove_rest(host, session, taken)
        return report


def _remove_rest(host: Host, session: LockSession, taken: Snapshot) -> None:
    """Removes what belongs to the pod itself, once it has no members any more."""
    pod = taken.pod
    if taken.infra is not None:
        lifecycle_remove.remove(host, session, taken.infra, force=True)
    failpoint("remove-pod.after-infra")
    pins.release(host.places, pod.id)
    release_shm(host.places, pod.id)
    failpoint("remove-pod.after-mounts")
    host.cgroup(pod.cgroup_path).remove()
    remove_tree(host.places.pod_run(pod.id))
    remove_tree(ledger.pod_path(host.places, pod.id))
    failpoint("remove-pod.before-commit")
    with host.store.write(session, durable=True) as change:
        change.delete_pod(pod.id)
        change.event("pod", pod.id, "remove", pod.name)
    failpoint("remove-pod.after-commit")


def remove_container(
    host: Host, pod: PodRecord, which: ContainerRecord, *, force: bool = False
) -> None:
    """Removes a container that no other depends on; holds the pod lock exclusively.

    Raises:
        ContainerStateError: others depend on it, or it is alive and ``force`` is not given;
            nothing was changed.
        ContainerRemovedError: it is gone already.
    """
    with pod_lock(host, pod, f"remove container {which.name} of", exclusive=True) as session:
        with host.store.read() as view:
            dependents = view.dependents(which.id)
            names = [row.name for key in dependents if (row := view.container(key)) is not None]
        if names:
            listed = ", ".join(f"`{name}`" for name in names)
            message = (
                f"container `{which.name}` ({short(which.id)}): {listed} depend on it\n"
                "hint: remove those first, or the pod"
            )
            raise ContainerStateError(message)
        lifecycle_remove.remove(host, session, which, force=force)


class _RemovePlan:
    """Removes whatever no other container of the pod depends on any more."""

    def __init__(self, taken: Snapshot, batch: Batch) -> None:
        self._remove = lifecycle_remove.removing(force=True)
        self._batch = batch
        self._members = {member.id: member for member in taken.members}
        self._traversal = taken.graph().traversal(reverse=True)
        self._ready: deque[str] = deque(self._traversal.ready())
        self._under_way = 0

    @property
    def finished(self) -> bool:
        """Whether nothing is left to do and nothing is under way."""
        return self._traversal.finished and not self._under_way

    def take(self) -> Job | None:
        """Returns the next job, or None when there is none at the moment."""
        if not self._ready:
            return None
        key = self._ready.popleft()
        self._under_way += 1
        self._batch.begin(key, "removing")
        return Job(key, "remove", Part(self._members[key], self._remove))

    def succeeded(self, job: Job, result: object) -> None:
        """Notes that a job's work returned."""
        self._under_way -= 1
        self._batch.done(job.container_id, crew.outcome(result), "removed")
        self._traversal.succeed(job.container_id)
        self._ready.extend(self._traversal.ready())

    def failed(self, job: Job, error: Exception) -> None:
        """Notes that a job's work raised."""
        self._under_way -= 1
        self._batch.failed(job.container_id, error)
        self._traversal.fail(job.container_id)
        self._batch.skip(self._traversal.skipped)
        self._ready.extend(self._traversal.ready())

    def watched(self) -> Sequence[Watch]:
        """Returns what the calling thread is to wait for."""
        return ()

    def due(self, watch: Watch) -> None:
        """Notes that a watched process is dead or its moment has come."""
        raise AssertionError(watch)
