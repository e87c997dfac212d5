"""What a lost database is rebuilt from: a file beside each pod, container and volume.

Each is written inside the transaction that adds the row and says which database that was. So one
without a row tells its own story: of the same database, it was never committed, or is what a
removal left; of another, the database was lost.
"""

import json
import math
import os
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from podcore.kernel.files import make_directory, read_capped, write_atomic
from podcore.model import ContainerKind
from podcore.names import check_name, new_id
from podcore.places import Places
from podcore.records import ContainerRecord, Dependency, PodRecord, VolumeRecord
from podcore.specs import limits_from_json, limits_to_json, spec_from_json, spec_hash, spec_to_json
from podcore.store import Change, View

VERSION = 1
NAME = "podcore.json"
_CAP = 4 << 20
_STORE = "store"
_ID = re.compile(r"[0-9a-f]{64}")
_MOST = 1 << 53
"""The largest number of a row: each one is a place in a lock file, too."""


@dataclass(frozen=True, slots=True)
class Entry:
    """What a ledger says.

    Attributes:
        store: of which database the row was; "" where that is not known.
        row: the pod, the container or the volume, with its number.
        infra: of a pod, the row of its infra container.
    """

    store: str
    row: PodRecord | ContainerRecord | VolumeRecord
    infra: ContainerRecord | None = None


def store_id(view: View) -> str:
    """Returns what tells this database from one that is made in its place; "" before any row."""
    return view.meta(_STORE) or ""


def name_store(change: Change) -> str:
    """Returns the same, after giving a new database its name."""
    known = store_id(change)
    if not known:
        known = new_id()
        change.set_meta(_STORE, known)
    return known


def pod_path(places: Places, pod_id: str) -> str:
    """Returns where a pod's ledger is."""
    return f"{places.pods}/{pod_id}.json"


def volume_path(places: Places, name: str) -> str:
    """Returns where a volume's ledger is: beside its data."""
    return f"{os.path.dirname(places.volume(name))}/{NAME}"


def write_pod(
    places: Places, pod: PodRecord, store: str, infra: ContainerRecord | None = None
) -> None:
    """Writes a pod's ledger; call it inside the transaction that adds or changes the row.

    Raises:
        ResourceExhaustedError, OSError: it could not be written.
    """
    make_directory(places.pods)
    machinery = None if infra is None else _container(infra)
    _write(pod_path(places, pod.id), store, {"pod": _pod(pod), "infra": machinery})


def write_containers(places: Places, records: Iterable[ContainerRecord], store: str) -> None:
    """Writes the ledgers of containers, into their homes; else as ``write_pod``."""
    for record in records:
        _write(places.ledger(record.id), store, {"container": _container(record)})


def write_volume(places: Places, volume: VolumeRecord, store: str) -> None:
    """Writes a volume's ledger; else as ``write_pod``."""
    said = {
        "name": volume.name,
        "number": volume.number,
        "created": volume.created,
        "labels": dict(volume.labels),
    }
    _write(volume_path(places, volume.name), store, {"volume": said})


def read(path: str) -> Entry | None:
    """Returns what a ledger says; None when there is none, or none that can be believed."""
    try:
        said = json.loads(read_capped(path, _CAP))
        return _entry(said)
    except (OSError, ValueError, TypeError, KeyError, AttributeError, RecursionError):
        return None


# `Any`: JSON.
def _write(path: str, store: str, said: Mapping[str, Any]) -> None:
    document = {"version": VERSION, "store": store, **said}
    write_atomic(path, json.dumps(document, sort_keys=True).encode())


def _pod(pod: PodRecord) -> dict[str, Any]:
    return {
        "id": pod.id,
        "name": pod.name,
        "number": pod.number,
        "created": pod.created,
        "labels": dict(pod.labels),
        "share": list(pod.share),
        "hostname": pod.hostname,
        "infra": pod.infra,
        "limits": limits_to_json(pod.limits),
        "cgroup_path": pod.cgroup_path,
        "infra_id": pod.infra_id,
    }


def _container(record: ContainerRecord) -> dict[str, Any]:
    return {
        "id": record.id,
        "name": record.name,
        "pod_id": record.pod_id,
        "number": record.number,
        "created": record.created,
        "kind": record.kind.value,
        "spec": spec_to_json(record.spec),
        "dependencies": [[one.id, one.condition, one.timeout] for one in record.dependencies],
        "oci_runtime": record.oci_runtime,
        "cgroup_path": record.cgroup_path,
    }


def _entry(said: Mapping[str, Any]) -> Entry | None:
    if said["version"] != VERSION:
        return None
    store = str(said["store"])
    if "pod" in said:
        infra = said["infra"]
        row = _pod_of(said["pod"])
        return Entry(store, row, None if infra is None else _container_of(infra))
    if "volume" in said:
        volume = VolumeRecord(**said["volume"])
        _check_row(volume)
        return Entry(store, volume)
    return Entry(store, _container_of(said["container"]))


def _check_row(row: PodRecord | ContainerRecord | VolumeRecord) -> None:
    """Checks what a row would break if it were not so: a ledger may be damaged and still be JSON.

    Raises:
        ValueError: it is not so.
    """
    check_name(row.name, "object")
    labels = row.labels if not isinstance(row, ContainerRecord) else {}
    if (
        isinstance(row.number, bool)
        or not isinstance(row.number, int)
        or not 0 < row.number <= _MOST
        or not isinstance(row.created, int | float)
        or not math.isfinite(row.created)
        or not all(isinstance(word, str) for pair in labels.items() for word in pair)
    ):
        raise ValueError(row)


def _check_place(path: object, *ids: object) -> None:
    """Checks that a cgroup is that of those ids, since all that is in it may be killed.

    Raises:
        ValueError: it is another one.
    """
    known = all(isinstance(one, str) and _ID.fullmatch(one) for one in ids)
    if not known or not isinstance(path, str) or not path.endswith("/".join(("", *map(str, ids)))):
        raise ValueError(path)


def _pod_of(said: Mapping[str, Any]) -> PodRecord:
    given = dict(said)
    given["share"] = tuple(given["share"])
    given["limits"] = limits_from_json(given["limits"])
    row = PodRecord(**given)
    _check_row(row)
    _check_place(row.cgroup_path, row.id)
    texts = (row.hostname, *row.share, "" if row.infra_id is None else row.infra_id)
    if not all(isinstance(text, str) for text in texts) or not isinstance(row.infra, bool):
        raise ValueError(row)
    return row


def _container_of(said: Mapping[str, Any]) -> ContainerRecord:
    given = dict(said)
    spec = spec_from_json(given.pop("spec"))
    given["kind"] = ContainerKind(given["kind"])
    given["dependencies"] = tuple(Dependency(*one) for one in given["dependencies"])
    row = ContainerRecord(**given, spec=spec, spec_hash=spec_hash(spec))
    _check_row(row)
    _check_place(row.cgroup_path, row.pod_id, row.id)
    edges = [text for edge in row.dependencies for text in (edge.id, edge.condition)]
    if not all(isinstance(text, str) for text in (row.oci_runtime, *edges)):
        raise ValueError(row)
    return row
