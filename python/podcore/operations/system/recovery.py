"""Makes rows out of ledgers, and finds out what their containers are doing."""

import os
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace

from podcore.backend import Host
from podcore.kernel import process
from podcore.lifecycle import ledger
from podcore.lifecycle.ledger import Entry
from podcore.model import ContainerStatus, Limits
from podcore.names import short
from podcore.observe import awaits_start, with_exit
from podcore.operations.system.listing import names
from podcore.operations.system.serving import ids_of
from podcore.places import Places
from podcore.reconcile import MONITOR_LOST
from podcore.records import ContainerRecord, PodRecord, VolumeRecord
from podcore.store import Change, View

Row = PodRecord | ContainerRecord | VolumeRecord

_ID = re.compile(r"[0-9a-f]{64}")
_POD = re.compile(r"([0-9a-f]{64})\.json")
_EXIT = re.compile(r"exit\.(\d+)")
_ATTEMPT = re.compile(r"([0-9a-f]{64})\.(\d+)")


def entries(places: Places) -> list[Entry]:
    """Returns what all ledgers say: pods, then containers, then volumes, each by number."""
    pods = _read(places.pods, _POD, lambda name: ledger.pod_path(places, name))
    infra = [Entry(pod.store, pod.infra) for pod in pods if pod.infra is not None]
    homes = _read(places.containers, _ID, places.ledger)
    volumes = _read(places.volumes, re.compile(".+"), lambda name: ledger.volume_path(places, name))
    containers = sorted([*infra, *homes], key=lambda entry: entry.row.number)
    return [*pods, *containers, *volumes]


def _read(directory: str, name: re.Pattern[str], path: Callable[[str], str]) -> list[Entry]:
    found = []
    for each in names(directory):
        known = name.fullmatch(each)
        entry = None if known is None else ledger.read(path(known[1] if known.groups() else each))
        if entry is not None:
            found.append(entry)
    return sorted(found, key=lambda entry: entry.row.number)


def known(view: View, row: Row) -> bool:
    """Says whether a row of that id, or for a volume that name, is there."""
    if isinstance(row, PodRecord):
        return view.pod(row.id) is not None
    if isinstance(row, ContainerRecord):
        return view.container(row.id) is not None
    return view.volume(row.name) is not None


def adopt(host: Host, change: Change, found: Sequence[Entry]) -> list[Row]:
    """Adds the rows of ledgers, those that are there excepted, with their old numbers if free.

    Whatever took a pod's name meanwhile keeps it. A container whose pod's ledger is lost gets a
    pod named after its id. An edge to a container that is nowhere is dropped.

    Returns:
        The rows as they are now.
    """
    pods = [entry.row for entry in found if isinstance(entry.row, PodRecord)]
    containers = [entry.row for entry in found if isinstance(entry.row, ContainerRecord)]
    volumes = [entry.row for entry in found if isinstance(entry.row, VolumeRecord)]
    rows: list[Row] = []
    for pod in [*pods, *_missing_pods(change, pods, containers)]:
        if change.pod(pod.id) is None:
            name = pod.name
            if change.pod_by_name(name) is not None:
                name = f"{name[:100]}-{short(pod.id)}"
            change.number_from("pod", pod.number)
            rows.append(change.add_pod(replace(pod, name=name)))
            change.event("pod", pod.id, "recover", name)
    ids = {row.id for row in containers} | {key for key, _ in change.container_references()}
    incarnations = _incarnations(host.places)
    for record in containers:
        if change.container(record.id) is None:
            edges = tuple(edge for edge in record.dependencies if edge.id in ids)
            seen = observed(host, record.but(dependencies=edges), incarnations.get(record.id, 0))
            change.number_from("container", record.number)
            rows.append(change.add_container(seen))
            change.event("container", record.id, "recover", seen.state.value)
    for volume in volumes:
        if change.volume(volume.name) is None:
            change.number_from("volume", volume.number)
            rows.append(change.add_volume(volume))
    return rows


def renew(places: Places, change: Change, rows: Iterable[Row]) -> None:
    """Writes the ledgers of recovered rows anew: they are this database's from now on."""
    store = ledger.name_store(change)
    containers = []
    for row in rows:
        if isinstance(row, PodRecord):
            infra = None if row.infra_id is None else change.container(row.infra_id)
            ledger.write_pod(places, row, store, infra)
        elif isinstance(row, VolumeRecord):
            ledger.write_volume(places, row, store)
        elif os.path.isdir(places.container(row.id)):
            containers.append(row)
    ledger.write_containers(places, containers, store)


def _missing_pods(
    view: View, pods: Sequence[PodRecord], containers: Sequence[ContainerRecord]
) -> list[PodRecord]:
    there = {pod.id for pod in pods} | {key for key, _ in view.pod_references()}
    missing = {row.pod_id: row for row in containers if row.pod_id not in there}
    return [
        PodRecord(
            id=key,
            name=short(key),
            number=1,
            created=row.created,
            labels={},
            share=(),
            hostname=short(key),
            infra=False,
            limits=Limits(),
            cgroup_path=row.cgroup_path.rpartition("/")[0],
        )
        for key, row in missing.items()
    ]


def observed(host: Host, record: ContainerRecord, incarnation: int) -> ContainerRecord:
    """Returns a row with the state that is seen: processes first, exit files next.

    Where nothing is seen the container is ``configured``: whether it ever ran went with the
    database.

    Args:
        host: of the engine.
        record: as its ledger has it.
        incarnation: the last one that left a trace; 0 for none.
    """
    places = host.places
    if not incarnation:
        return record
    attempt = places.attempt(record.id, incarnation)
    init = process.of_pid_file(f"{attempt}/pid")
    if init is not None and not process.in_cgroup(init.pid, record.cgroup_path):
        init = None
    monitor = process.of_pid_file(f"{attempt}/conmon.pid")
    if monitor is not None and record.id not in ids_of(monitor):
        monitor = None
    found = record.but(incarnation=incarnation, boot_id=host.boot_id, init=init, monitor=monitor)
    if init is not None:
        begun = not awaits_start(host, found)
        frozen = begun and host.cgroup(record.cgroup_path).frozen()
        up = ContainerStatus.PAUSED if frozen else ContainerStatus.RUNNING
        started = os.lstat(f"{attempt}/pid").st_mtime
        return found.but(
            state=up if begun else ContainerStatus.CREATED, started=started if begun else None
        )
    recorded = os.path.lexists(f"{places.persist(record.id, incarnation)}/exit")
    if recorded or os.path.isdir(attempt):
        return with_exit(host, found, MONITOR_LOST)
    return found


def _incarnations(places: Places) -> dict[str, int]:
    """Returns the last incarnation of each container that left a trace of one."""
    found: dict[str, int] = {}
    for name in names(places.attempts):
        if known := _ATTEMPT.fullmatch(name):
            found[known[1]] = max(found.get(known[1], 0), int(known[2]))
    for container_id in names(places.containers):
        for name in names(places.container(container_id)):
            if known := _EXIT.fullmatch(name):
                found[container_id] = max(found.get(container_id, 0), int(known[1]))
    return found
