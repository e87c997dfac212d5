"""What can be written in one transaction."""

import time
from dataclasses import replace

import apsw

from podcore.errors import (
    ContainerExistsError,
    ContainerRemovedError,
    NoSuchVolumeError,
    PodExistsError,
    PodRemovedError,
    VolumeExistsError,
)
from podcore.names import short
from podcore.records import UNREAD, ContainerRecord, PodRecord, VolumeRecord
from podcore.store import rows
from podcore.store.view import View

EVENTS_KEPT = 100_000
"""How many events are kept at least; the oldest go first."""

_PRUNE_EVERY = 1024

_ADD_POD = """
INSERT INTO pod (id, name, created, labels, share, hostname, infra, limits, cgroup_path, infra_id,
    removing) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
"""
_SAVE_POD = """
UPDATE pod SET id = ?, name = ?, created = ?, labels = ?, share = ?, hostname = ?, infra = ?,
    limits = ?, cgroup_path = ?, infra_id = ?, removing = ? WHERE number = ?
"""
_ADD_CONTAINER = """
INSERT INTO container (id, name, pod_id, created, kind, spec_hash, oci_runtime, cgroup_path, spec)
    VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)
"""
_ADD_EDGE = """
INSERT INTO edge (container_id, position, dependency_id, condition, timeout) VALUES (?, ?, ?, ?, ?)
"""
_ADD_STATE = f"INSERT INTO container_state (number, {rows.STATE}) VALUES (?, {'?, ' * 16}?)"  # noqa: S608 -- columns named in rows.py
_SAVE_STATE = f"UPDATE container_state SET ({rows.STATE}) = ({'?, ' * 16}?) WHERE number = ?"  # noqa: S608 -- columns named in rows.py
_SAVE_LIMITS = "UPDATE container_state SET limits = ? WHERE number = ?"
_ADD_EVENT = "INSERT INTO event (time, kind, id, action, detail) VALUES (?, ?, ?, ?, ?)"
_PRUNE_EVENTS = "DELETE FROM event WHERE number <= ?"
_SET_META = """
INSERT INTO meta (key, value) VALUES (?, ?) ON CONFLICT (key) DO UPDATE SET value = excluded.value
"""


class Change(View):
    """A write transaction: what it reads includes what it has written.

    Made by ``Store.write`` and used by one thread inside that ``with`` only, which commits when it
    is left and undoes everything when it is left by an exception.
    """

    def add_pod(self, pod: PodRecord) -> PodRecord:
        """Adds a pod and returns it with its number, whatever number was given.

        Raises:
            PodExistsError: that name is taken.
        """
        try:
            self._do(_ADD_POD, *rows.pod_values(pod))
        except apsw.ConstraintError as error:
            if "pod.name" not in str(error):
                raise
            message = f"a pod `{pod.name}` exists\nhint: choose another name, or remove that pod"
            raise PodExistsError(message) from None
        return replace(pod, number=self._number())

    def save_pod(self, pod: PodRecord) -> None:
        """Writes a pod that exists.

        Raises:
            PodRemovedError: it doesn't.
            PodExistsError: its new name is taken.
        """
        try:
            self._do(_SAVE_POD, *rows.pod_values(pod), pod.number)
        except apsw.ConstraintError as error:
            if "pod.name" not in str(error):
                raise
            raise PodExistsError(f"a pod `{pod.name}` exists") from None
        if not self._found():
            raise PodRemovedError(f"pod `{pod.name}` ({short(pod.id)}) has been removed")

    def delete_pod(self, pod_id: str) -> None:
        """Deletes a pod; the commit fails when it has containers then.

        Raises:
            PodRemovedError: there is none of that id.
        """
        self._do("DELETE FROM pod WHERE id = ?", pod_id)
        if not self._found():
            raise PodRemovedError(f"pod `{short(pod_id)}` has been removed")

    def add_container(self, record: ContainerRecord) -> ContainerRecord:
        """Adds a container; returns it with its number and the hash of its spec.

        Its dependencies may be added after it, in the same transaction.

        Raises:
            ContainerExistsError: the pod has one of that name.
        """
        text, digest = rows.spec_text(record.spec)
        try:
            self._do(
                _ADD_CONTAINER,
                record.id,
                record.name,
                record.pod_id,
                record.created,
                record.kind.value,
                digest,
                record.oci_runtime,
                record.cgroup_path,
                text,
            )
        except apsw.ConstraintError as error:
            if "container.name" not in str(error):
                raise
            message = (
                f"the pod has a container `{record.name}`\n"
                "hint: choose another name, or remove that container"
            )
            raise ContainerExistsError(message) from None
        number = self._number()
        for position, edge in enumerate(record.dependencies):
            self._do(_ADD_EDGE, record.id, position, edge.id, edge.condition, edge.timeout)
        self._do(_ADD_STATE, number, *rows.state_values(record))
        return replace(record, number=number, spec_hash=digest)

    def save_container(self, record: ContainerRecord) -> None:
        """Writes what changes of a container: its state, its intent, and the limits of its spec.

        Raises:
            ContainerRemovedError: it is not there.
        """
        assert record.spec is not UNREAD, "it was read to be looked at only"
        self._do(_SAVE_STATE, *rows.state_values(record), record.number)
        if not self._found():
            message = f"container `{record.name}` ({short(record.id)}) has been removed"
            raise ContainerRemovedError(message)
        known = self._configs.get(record.id)
        # The spec of a record that was read is the very object that is remembered: nothing to do.
        if known is None or known.spec is not record.spec:
            self._save_limits(record)

    def delete_container(self, container_id: str) -> None:
        """Deletes a container; the commit fails when others depend on it then.

        Raises:
            ContainerRemovedError: there is none of that id.
        """
        self._do("DELETE FROM container WHERE id = ?", container_id)
        if not self._found():
            raise ContainerRemovedError(f"container `{short(container_id)}` has been removed")
        self._configs.forget(container_id)

    def add_volume(self, volume: VolumeRecord) -> VolumeRecord:
        """Adds a volume and returns it with its number, whatever number was given.

        Raises:
            VolumeExistsError: that name is taken.
        """
        try:
            self._do(
                "INSERT INTO volume (name, created, labels) VALUES (?, ?, ?)",
                volume.name,
                volume.created,
                rows.to_json(dict(volume.labels)),
            )
        except apsw.ConstraintError as error:
            if "volume.name" not in str(error):
                raise
            raise VolumeExistsError(f"a volume `{volume.name}` exists") from None
        return replace(volume, number=self._number())

    def delete_volume(self, name: str) -> None:
        """Deletes a volume.

        Raises:
            NoSuchVolumeError: there is none of that name.
        """
        self._do("DELETE FROM volume WHERE name = ?", name)
        if not self._found():
            raise NoSuchVolumeError(f"no volume `{name}`")

    def event(self, kind: str, identifier: str, action: str, detail: str = "") -> None:
        """Appends an event, which becomes visible with this commit.

        Args:
            kind: ``pod``, ``container`` or ``volume``.
            identifier: the object's id.
            action: what happened, in one word: ``start``, ``died``.
            detail: what else there is to say.
        """
        self._do(_ADD_EVENT, time.time(), kind, identifier, action, detail)
        number = self._number()
        if number % _PRUNE_EVERY == 0:
            self._do(_PRUNE_EVENTS, number - EVENTS_KEPT)

    def number_from(self, table: str, number: int) -> None:
        """Makes the next row of a table get at least this number.

        Args:
            table: ``pod``, ``container`` or ``volume``.
            number: 1 or more.
        """
        self._do("UPDATE sqlite_sequence SET seq = max(seq, ?) WHERE name = ?", number - 1, table)
        if not self._found():
            self._do("INSERT INTO sqlite_sequence (name, seq) VALUES (?, ?)", table, number - 1)

    def set_meta(self, key: str, value: str) -> None:
        """Writes a fact about the store as a whole."""
        self._do(_SET_META, key, value)

    def _save_limits(self, record: ContainerRecord) -> None:
        stored = self.container(record.id)
        if stored is None or stored.spec.limits == record.spec.limits:
            return
        self._do(_SAVE_LIMITS, rows.limits_text(record.spec.limits), record.number)

    def _do(self, statement: str, *values: object) -> None:
        self._connection.execute(statement, values)

    def _number(self) -> int:
        return self._connection.database.last_insert_rowid()

    def _found(self) -> bool:
        return self._connection.database.changes() > 0
