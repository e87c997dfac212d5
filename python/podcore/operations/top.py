"""The processes of containers, as the containers see them and as the host does."""

from collections.abc import Mapping

from podcore.backend import Host
from podcore.bundle.accounts import names
from podcore.errors import ContainerStateError, InvalidArgumentError
from podcore.kernel import process, tasks
from podcore.kernel.tasks import Task
from podcore.model import ALIVE, ProcessInfo
from podcore.names import short
from podcore.observe import truth
from podcore.operations.find import current
from podcore.operations.snapshot import snapshot
from podcore.operations.status import true_records
from podcore.records import ContainerRecord, PodRecord


def top(host: Host, which: ContainerRecord) -> list[ProcessInfo]:
    """Returns the processes of a container, by ascending pid of the host.

    Raises:
        ContainerRemovedError: it is gone.
        ContainerStateError: it does not run.
    """
    record = truth(host, current(host, which)[1])
    if record.state not in ALIVE:
        raise ContainerStateError(
            f"container `{record.name}` ({short(record.id)}) is {record.state}: "
            "it has no processes\nhint: start it first",
            record.state,
            tuple(sorted(ALIVE)),
        )
    return _processes(host, record)


def top_of_pod(host: Host, pod: PodRecord) -> list[ProcessInfo]:
    """Returns the processes of a pod, container by container in the order of their creation.

    Raises:
        PodRemovedError: it is gone.
        ContainerStateError: no container runs.
    """
    up = [
        row
        for row in true_records(host, snapshot(host, pod, specs=False).members)
        if row.state in ALIVE
    ]
    if not up:
        raise ContainerStateError(
            f"no container of pod `{pod.name}` runs: it has no processes\nhint: start it first"
        )
    return [info for row in up for info in _processes(host, row)]


def _processes(host: Host, record: ContainerRecord) -> list[ProcessInfo]:
    found: dict[int, Task] = {}
    for pid in host.cgroup(record.cgroup_path).procs():
        task = tasks.read(pid)
        # Asked afterwards: the pid may have passed on to somebody else's process before.
        if task is not None and process.in_cgroup(pid, record.cgroup_path):
            found[pid] = task
    first = found.get(record.init.pid) if record.init is not None else None
    # How deep the container's pid namespace lies; a process of its own may have made others.
    depth = 0 if first is None else len(first.pids) - 1
    users = _names(first, "passwd")
    groups = _names(first, "group")
    return [_info(record, task, depth, found, users, groups) for task in found.values()]


def _names(first: Task | None, file: str) -> Mapping[int, str]:
    if first is None:
        return {}
    try:
        return names(f"/proc/{first.pids[0]}/root", file)
    except InvalidArgumentError:
        return {}  # it ends just now, or its file is no file: numbers will do


def _info(
    record: ContainerRecord,
    task: Task,
    depth: int,
    found: Mapping[int, Task],
    users: Mapping[int, str],
    groups: Mapping[int, str],
) -> ProcessInfo:
    parent = found.get(task.parent)
    return ProcessInfo(
        container=record.name,
        pid=_at(task, depth),
        parent=0 if parent is None else _at(parent, depth) or 0,
        host_pid=task.pids[0],
        user=_called(task.own_uid, users),
        group=_called(task.own_gid, groups),
        host_uid=task.uid,
        host_gid=task.gid,
        state=task.state,
        threads=task.threads,
        cpu_seconds=task.cpu_seconds,
        elapsed=task.elapsed,
        memory=task.memory,
        size=task.size,
        terminal=task.terminal,
        nice=task.nice,
        name=task.name,
        command=task.command,
    )


def _at(task: Task, depth: int) -> int | None:
    return task.pids[depth] if len(task.pids) > depth else None


def _called(number: int | None, known: Mapping[int, str]) -> str:
    if number is None:
        return "nobody"
    return known.get(number, str(number))
