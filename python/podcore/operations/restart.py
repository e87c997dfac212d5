"""Restarts the containers of a pod: stops them in reverse order, then starts them in order."""

from podcore.backend import Host
from podcore.lifecycle.start import SATISFIES_RESTART
from podcore.model import ContainerStatus
from podcore.operations.batch import Batch, Progress
from podcore.operations.restarting import restarting
from podcore.operations.snapshot import check_whole, pod_lock, snapshot
from podcore.operations.start import start_members
from podcore.operations.stop import check_timeout, looked_at, stop_members
from podcore.records import PodRecord
from podcore.report import Report

_LEFT_ALONE = frozenset({ContainerStatus.PAUSED, ContainerStatus.UNKNOWN})


def restart_pod(
    host: Host, pod: PodRecord, *, timeout: float | None = None, progress: Progress | None = None
) -> Report:
    """Restarts all containers of a pod but paused and unknown ones, which are ignored.

    libpod restarts dependencies first, under running dependents; here everything is stopped,
    dependents first, before anything starts again. One that was never started is started.

    Raises:
        InvalidArgumentError, PodRemovedError, GraphError, NoSuchContainerError: nothing was
            touched.
        PartialFailureError: some could not be stopped or started.
    """
    seconds = check_timeout(timeout)
    with pod_lock(host, pod, "restart") as session:
        taken = snapshot(host, pod)
        check_whole(taken.pod)
        batch = Batch("restart", taken.pod, taken.members, progress)
        taken.graph()  # a defect is found before anything is stopped
        # One look decides: what is thawed after it would be stopped, but not started again.
        now = looked_at(host, taken)
        left_alone = frozenset(key for key, row in now.items() if row.state in _LEFT_ALONE)
        with restarting(host, (row for row in taken.members if row.id not in left_alone)):
            stop_members(
                host,
                taken,
                now,
                batch,
                cleanup=False,
                timeout=seconds,
                keep=lambda key: key not in left_alone,
            )
            again = snapshot(host, pod)
            start_members(
                host,
                session,
                again,
                batch,
                SATISFIES_RESTART,
                lambda key: batch.outcome(key) is not None,
            )
        return batch.report().raise_for_errors()
