"""From what a user types to the rows of a pod, or of one container and its pod."""

from podcore.backend import Host
from podcore.model import ContainerKind
from podcore.observe import removed
from podcore.records import ContainerRecord, PodRecord
from podcore.references import resolve
from podcore.store import View

_MEMBERS = frozenset({ContainerKind.REGULAR, ContainerKind.INIT})


def pod(host: Host, reference: object) -> PodRecord:
    """Returns a pod by name, id or the beginning of its id.

    Raises:
        InvalidNameError: the reference is malformed.
        NoSuchPodError: nothing answers to it.
        AmbiguousReferenceError: more than one pod does.
    """
    with host.store.read() as view:
        found = view.pod(resolve(reference, view.pod_references(), "pod"))
    assert found is not None, "of the same snapshot"
    return found


def container(host: Host, reference: object) -> tuple[PodRecord, ContainerRecord]:
    """Returns a container of any pod by id, the beginning of one, ``POD/NAME`` or a unique name.

    Raises:
        InvalidNameError: the reference is malformed.
        NoSuchPodError, NoSuchContainerError: nothing answers to it.
        AmbiguousReferenceError: more than one does.
    """
    with host.store.read() as view:
        if isinstance(reference, str) and "/" in reference:
            pod_part, _, name = reference.partition("/")
            pod_id = resolve(pod_part, view.pod_references(), "pod")
            key = _of_pod(view, pod_id, name, pod_part)
        else:
            members = view.container_references(kinds=_MEMBERS)
            # Machinery answers to its id only: its name is nobody's choice.
            infra = view.container_references(kinds={ContainerKind.INFRA})
            key = resolve(reference, [*members, *((one, one) for one, _ in infra)], "container")
        return _rows(view, key)


def member(host: Host, pod: PodRecord, reference: object) -> ContainerRecord:
    """Returns a container of a pod by name, id or the beginning of its id.

    Raises:
        InvalidNameError: the reference is malformed.
        NoSuchContainerError: nothing in this pod answers to it.
        AmbiguousReferenceError: more than one does.
    """
    with host.store.read() as view:
        return _rows(view, _of_pod(view, pod.id, reference, pod.name))[1]


def current(host: Host, which: ContainerRecord) -> tuple[PodRecord, ContainerRecord]:
    """Returns the rows of a container and its pod as they are stored now.

    Raises:
        ContainerRemovedError: it is gone.
    """
    with host.store.read() as view:
        record = view.container(which.id)
        pod = None if record is None else view.pod(record.pod_id)
    if record is None or pod is None:
        raise removed(which)
    return pod, record


def _of_pod(view: View, pod_id: str, reference: object, shown: str) -> str:
    members = view.container_references(pod_id, _MEMBERS)
    return resolve(reference, members, "container", f"pod `{shown}`")


def _rows(view: View, container_id: str) -> tuple[PodRecord, ContainerRecord]:
    record = view.container(container_id)
    assert record is not None, "of the same snapshot"
    pod = view.pod(record.pod_id)
    assert pod is not None, "the database holds no container without its pod"
    return pod, record
