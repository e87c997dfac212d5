"""What ``ps`` shows: a line for each container, without reading their specs."""

from podcore.backend import Host
from podcore.model import ContainerSummary
from podcore.operations.snapshot import containers, grouped, removed
from podcore.operations.status import shown_pid, true_records
from podcore.records import ContainerRecord, PodRecord


def list_containers(
    host: Host, pod: PodRecord | None = None, *, infra: bool
) -> list[ContainerSummary]:
    """Returns a line for each container that ``status.inspect_containers`` would describe.

    Raises:
        PodRemovedError: the pod is gone.
    """
    which = None if pod is None else pod.id
    with host.store.read() as view:
        pods = view.pods() if which is None else [view.pod(which)]
        rows = view.containers(which, specs=False)
        commands = view.commands(which)
    there = [one for one in pods if one is not None]
    if pod is not None and not there:
        raise removed(pod)
    chosen = containers(grouped(there, rows), infra=infra)
    now = true_records(host, [row for _, row in chosen])
    return [
        _summary(owner, row, commands.get(row.id, ((), {})))
        for (owner, _), row in zip(chosen, now, strict=True)
    ]


def _summary(
    pod: PodRecord, now: ContainerRecord, words: tuple[tuple[str, ...], dict[str, str]]
) -> ContainerSummary:
    command, labels = words
    return ContainerSummary(
        id=now.id,
        name=now.name,
        pod_id=pod.id,
        pod_name=pod.name,
        kind=now.kind,
        state=now.state,
        pid=shown_pid(now),
        exit_code=now.exit_code,
        reason=now.reason,
        oom_killed=now.oom_killed,
        created=now.created,
        started=now.started,
        finished=now.finished,
        restarts=now.restarts,
        command=command,
        labels=labels,
    )
