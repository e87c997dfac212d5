"""What the members of a pod share: made before the first of them, let go of after the last.

That is the infra container or the pinned namespaces, and /dev/shm. Verbs of one pod run beside each
other, so a stop could kill what a start has just found and is about to put containers into: then
these would be in one place, and those that are started later in another. Whoever starts something
therefore holds the pod's ``namespaces`` lock shared for as long; whoever lets go takes it alone.
"""

from collections.abc import Iterator
from contextlib import contextmanager

from podcore._core import LockSession
from podcore.backend import LOCK_TIMEOUT, Host
from podcore.errors import ContainerStateError, DependencyNotRunningError, LockTimeoutError
from podcore.lifecycle import nesting, pins, whole
from podcore.lifecycle import start as lifecycle_start
from podcore.lifecycle import stop as lifecycle_stop
from podcore.lifecycle.course import alone
from podcore.lifecycle.shm import release_shm
from podcore.lifecycle.stop import Stopping
from podcore.model import ALIVE, ContainerStatus
from podcore.names import short
from podcore.observe import truth
from podcore.operations.snapshot import Snapshot, snapshot
from podcore.records import ContainerRecord, PodRecord

_NEEDS_IT = ALIVE | {ContainerStatus.CREATED}


@contextmanager
def shared(host: Host, session: LockSession, taken: Snapshot) -> Iterator[None]:
    """Makes what the members of a pod share, and keeps it until the block is left.

    Starts the infra container, or pins the namespaces of a pod without one.

    Args:
        host: of the engine.
        session: the calling thread's, which holds the pod's lock and no container's.
        taken: the pod.

    Raises:
        LockTimeoutError: somebody who lets go of it takes too long.
        DependencyNotRunningError: the infra container can't be started as it is now.
        OCIRuntimeError, MonitorError: it can't be started at all.
        UnsupportedError, ResourceExhaustedError: namespaces can't be pinned.
    """
    pod = taken.pod
    whole.spread(host, pod.id, pod.cgroup_path)
    if not pod.share:
        yield
        return
    with session.acquire("namespaces", pod.number, shared=True, timeout=LOCK_TIMEOUT):
        if taken.infra is not None:
            _start_infra(host, session, taken.infra, pod)
        pins.pin(host, pod)
        yield


def _start_infra(host: Host, session: LockSession, infra: ContainerRecord, pod: PodRecord) -> None:
    try:
        lifecycle_start.start(host, session, infra, pod)
    except ContainerStateError as error:
        # Somebody has named it by its id and is at it. That is no state of what is to be started.
        message = (
            f"pod `{pod.name}` ({short(pod.id)}) shares namespaces of its infra container: {error}"
        )
        raise DependencyNotRunningError(message, [infra.id]) from error


def let_go(host: Host, session: LockSession, taken: Snapshot, *, cleanup: bool) -> None:
    """Lets go of what the members shared, if none is left that lives in it.

    An infra container is killed; namespaces that are pinned cost nothing and stay until clean-up.
    Nobody is waited for: who starts something meanwhile needs it.

    Args:
        host: of the engine.
        session: the calling thread's, which holds the pod's lock and no container's.
        taken: the pod.
        cleanup: release mounts, cgroup and runtime state as well.
    """
    if not taken.pod.share or (taken.infra is None and not cleanup):
        return
    while not _let_go(host, session, taken, cleanup=cleanup) and not _in_use(host, taken.pod):
        # The last one came to rest meanwhile. Whoever stopped it has found the lock held, perhaps.
        pass


def _let_go(host: Host, session: LockSession, taken: Snapshot, *, cleanup: bool) -> bool:
    """Returns False where some member still needs it; True also where that is another's affair."""
    pod = taken.pod
    try:
        guard = session.acquire("namespaces", pod.number, timeout=0)
    except LockTimeoutError:
        return True
    # Who calls from a signal handler meanwhile would wait for itself.
    with guard, nesting.inside(pod, exclusive=True):
        if _in_use(host, pod):
            return False
        if taken.infra is not None:
            _stop_infra(host, session, taken.infra, cleanup=cleanup)
        if cleanup:
            pins.release(host.places, pod.id)
            release_shm(host.places, pod.id)
        return True


def _in_use(host: Host, pod: PodRecord) -> bool:
    members = snapshot(host, pod, specs=False).members
    return any(truth(host, row).state in _NEEDS_IT for row in members)


def _stop_infra(host: Host, session: LockSession, infra: ContainerRecord, *, cleanup: bool) -> None:
    begun = lifecycle_stop.begin_stop(host, session, infra, 0)
    if isinstance(begun, Stopping):
        lifecycle_stop.finish_stop(host, session, begun, cleanup=False)
    if cleanup:
        alone(host, session, infra, lifecycle_stop.cleaning_up)
