"""What ``ps`` shows: a line for each container, without reading their specs."""

from podcore.backend import Host
from podcore.model import ALIVE, ContainerKind, ContainerSummary
from podcore.operations.snapshot import removed
from podcore.records import ContainerRecord, PodRecord
from podcore.store import View


def list_containers(
    host: Host, pod: PodRecord | None = None, *, infra: bool, alive: bool = False
) -> list[ContainerSummary]:
    """Returns a line for each container that ``status.inspect_containers`` would describe.

    Args:
        host: where they are.
        pod: None for all.
        infra: infra containers too, each after those of its pod.
        alive: only those that run, are paused or being stopped; what is at rest is not even read.

    Raises:
        PodRemovedError: the pod is gone.
    """
    from podcore.operations.status import true_records

    boot = host.boot_id
    with host.store.read() as view:
        which = _present(view, pod)
        stored = view.summaries(which, infra=infra, awake=boot if alive else None)
        awake = view.containers(which, specs=False, awake=boot)
    shown = [record for record in awake if infra or record.kind is not ContainerKind.INFRA]
    now = {record.id: record for record in true_records(host, shown)}
    lines = [_true(line, now[line.id]) if line.id in now else line for line in stored]
    return [line for line in lines if line.state in ALIVE] if alive else lines


def container_ids(host: Host, pod: PodRecord | None = None, *, infra: bool) -> list[str]:
    """Returns the ids of the same containers, the oldest first; nothing else of them is read.

    Raises:
        PodRemovedError: the pod is gone.
    """
    with host.store.read() as view:
        return view.container_ids(_present(view, pod), infra=infra)


def _present(view: View, pod: PodRecord | None) -> str | None:
    if pod is None:
        return None
    if view.pod(pod.id) is None:
        raise removed(pod)
    return pod.id


def _true(stored: ContainerSummary, now: ContainerRecord) -> ContainerSummary:
    from podcore.operations.status import shown_pid

    return ContainerSummary(
        id=stored.id,
        name=stored.name,
        pod_id=stored.pod_id,
        pod_name=stored.pod_name,
        kind=stored.kind,
        state=now.state,
        pid=shown_pid(now),
        exit_code=now.exit_code,
        reason=now.reason,
        oom_killed=now.oom_killed,
        created=stored.created,
        started=now.started,
        finished=now.finished,
        restarts=now.restarts,
        command=stored.command,
        labels=stored.labels,
    )
