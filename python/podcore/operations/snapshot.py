"""A pod and its containers as one read transaction saw them, and the pod lock around a verb."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from podcore._core import DependencyGraph, LockSession
from podcore.backend import LOCK_TIMEOUT, Host
from podcore.errors import PodRemovedError
from podcore.kernel.exhaustion import naming_exhaustion
from podcore.lifecycle import nesting
from podcore.model import ContainerKind
from podcore.names import short
from podcore.records import ContainerRecord, PodRecord


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A pod at one moment.

    Attributes:
        pod: its row.
        members: its containers in order of creation, the infra container apart.
        infra: the infra container, or None.
    """

    pod: PodRecord
    members: tuple[ContainerRecord, ...]
    infra: ContainerRecord | None

    def graph(self, rootless: frozenset[str] = frozenset()) -> DependencyGraph:
        """Returns what the members depend on.

        Args:
            rootless: members whose dependencies do not matter any more.

        Raises:
            GraphError: with all defects.
        """
        return DependencyGraph(
            {
                member.id: []
                if member.id in rootless
                else [edge.id for edge in member.dependencies]
                for member in self.members
            }
        )


def snapshot(host: Host, pod: PodRecord, *, specs: bool = True) -> Snapshot:
    """Returns the pod and its containers as they are stored now.

    Args:
        host: where they are.
        pod: which one.
        specs: False leaves those of the containers unread, see ``View.containers``.

    Raises:
        PodRemovedError: it is gone.
    """
    with host.store.read() as view:
        found = view.pod(pod.id)
        rows = view.containers(pod.id, specs=specs) if found is not None else ()
    if found is None:
        raise removed(pod)
    return _snapshot(found, rows)


def snapshots(host: Host, *, specs: bool = True) -> list[Snapshot]:
    """Returns all pods and their containers as they are stored at one moment.

    Args:
        host: where they are.
        specs: as for ``snapshot``.
    """
    with host.store.read() as view:
        pods = view.pods()
        rows = view.containers(specs=specs)
    return grouped(pods, rows)


def grouped(pods: Iterable[PodRecord], rows: Iterable[ContainerRecord]) -> list[Snapshot]:
    """Returns pods with their containers among those rows, each in the order given."""
    by_pod: dict[str, list[ContainerRecord]] = {pod.id: [] for pod in pods}
    for row in rows:
        if row.pod_id in by_pod:
            by_pod[row.pod_id].append(row)
    return [_snapshot(pod, by_pod[pod.id]) for pod in pods]


def containers(
    taken: Iterable[Snapshot], *, infra: bool
) -> list[tuple[PodRecord, ContainerRecord]]:
    """Returns the containers of some pods, each with its pod; infra containers last, if asked for."""
    return [
        (one.pod, row)
        for one in taken
        for row in (*one.members, one.infra if infra else None)
        if row is not None
    ]


def _snapshot(pod: PodRecord, rows: Iterable[ContainerRecord]) -> Snapshot:
    members = []
    infra = None
    for row in rows:
        if row.kind is ContainerKind.INFRA:
            infra = row
        else:
            members.append(row)
    return Snapshot(pod, tuple(members), infra)


def removed(pod: PodRecord) -> PodRemovedError:
    """Returns the error of a pod that is gone."""
    return PodRemovedError(f"pod `{pod.name}` ({short(pod.id)}) has been removed")


def check_whole(pod: PodRecord) -> None:
    """Checks that nobody has begun to remove a pod: a half-removed one takes nothing new.

    Raises:
        PodRemovedError: a removal has begun.
    """
    if pod.removing:
        message = (
            f"pod `{pod.name}` ({short(pod.id)}) is half removed\nhint: remove it again to finish"
        )
        raise PodRemovedError(message)


@contextmanager
def pod_lock(
    host: Host, pod: PodRecord, operation: str, *, exclusive: bool = False
) -> Iterator[LockSession]:
    """Holds a pod's lock: shared for verbs, exclusive for changes of membership.

    Raises:
        LockTimeoutError: a change of membership goes on for too long, or a verb does.
        LockOrderError: this call comes from inside of the verb that it would wait for.
        ResourceExhaustedError: what is done under it found that the host is out of something.
    """
    doing = f"{operation} pod {pod.name}"
    nesting.check(pod, exclusive=exclusive)
    with naming_exhaustion(doing), host.session(doing) as session:
        session.acquire("pod", pod.number, shared=not exclusive, timeout=LOCK_TIMEOUT)
        with nesting.inside(pod, exclusive=exclusive):
            yield session
