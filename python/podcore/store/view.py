"""What can be read in one transaction: a consistent snapshot of the database."""

from collections.abc import Collection
from operator import itemgetter

from podcore.model import ContainerKind, ContainerStatus, ContainerSummary
from podcore.records import ContainerRecord, Event, PodRecord, VolumeRecord
from podcore.store import rows
from podcore.store.connection import Connection
from podcore.store.rows import Config, Configs, Row

_PODS = f"SELECT {rows.POD} FROM pod"  # noqa: S608 -- columns named in rows.py
_CONTAINERS = (
    f"SELECT {rows.CONTAINER}"  # noqa: S608 -- columns named in rows.py
    " FROM container c JOIN container_state s USING (number)"
)
_EDGES = (
    "SELECT dependency_id, condition, timeout FROM edge WHERE container_id = ? ORDER BY position"
)
_SUMMARIES = (
    f"SELECT {rows.SUMMARY} FROM pod p JOIN container c ON c.pod_id = p.id"  # noqa: S608 -- columns named in rows.py
    " JOIN container_state s ON s.number = c.number"
)
_IDS = "SELECT c.id FROM pod p JOIN container c ON c.pod_id = p.id"
_MEMBERS = (
    "SELECT c.pod_id, c.id, c.name, s.state FROM container c JOIN container_state s USING (number)"
    " WHERE c.kind <> 'infra' ORDER BY c.number"
)
# What `observe.at_rest` says no to.
_AWAKE = (
    "(s.intent_verb IS NOT NULL OR s.state NOT IN ('configured', 'exited')"
    " OR s.boot_id NOT IN ('', ?))"
)
_ALL_SPECS = "SELECT c.id, c.spec FROM container c"
_ALL_EDGES = (
    "SELECT e.container_id, e.dependency_id, e.condition, e.timeout"
    " FROM edge e JOIN container c ON c.id = e.container_id"
)
_MANY = 16
"""So many configurations are read in two statements, fewer in two each."""
_pod_by_pod = itemgetter(0, 1)


class View:
    """A snapshot; all that it returns was true at one moment. Lists are in order of creation.

    Made by ``Store.read`` and used by one thread inside that ``with`` only.
    """

    def __init__(self, connection: Connection, configs: Configs) -> None:
        self._connection = connection
        self._configs = configs

    def rows(self, statement: str, *values: object) -> list[Row]:
        """Returns all rows of a statement; for the rooms of the store."""
        # Read to the end: an open statement would keep the snapshot. `execute` is looked up each
        # time because it raises after a fork.
        try:
            return self._connection.execute(statement, values).fetchall()
        except UnicodeDecodeError as error:
            raise rows.DamagedRowError(f"text that is no UTF-8: {error}") from error

    def pods(self) -> list[PodRecord]:
        """Returns all pods."""
        return [rows.pod_of(row) for row in self.rows(f"{_PODS} ORDER BY number")]

    def pod(self, pod_id: str) -> PodRecord | None:
        """Returns a pod by its full id, None when there is none."""
        found = self.rows(f"{_PODS} WHERE id = ?", pod_id)
        return rows.pod_of(found[0]) if found else None

    def pod_by_name(self, name: str) -> PodRecord | None:
        """Returns a pod by its exact name, None when there is none."""
        found = self.rows(f"{_PODS} WHERE name = ?", name)
        return rows.pod_of(found[0]) if found else None

    def pod_references(self) -> list[tuple[str, str]]:
        """Returns (id, name) of all pods, as ``references.resolve`` wants them."""
        return [(row[0], row[1]) for row in self.rows("SELECT id, name FROM pod ORDER BY number")]

    def containers(
        self,
        pod_id: str | None = None,
        kinds: Collection[ContainerKind] | None = None,
        *,
        specs: bool = True,
        awake: str | None = None,
    ) -> list[ContainerRecord]:
        """Returns the containers of a pod, or of all, of some kinds or of any.

        Args:
            pod_id: None for all.
            kinds: None for any.
            specs: False leaves theirs, and their dependencies, ``records.UNREAD``: that is for
                looks at the states of many, and takes a fourth of the time.
            awake: the id of this boot, for those alone of which more may be true in it than is
                stored.
        """
        some, values = _where(pod_id, awake)
        found = self.rows(f"{_CONTAINERS}{some} ORDER BY c.number", *values)
        if specs:
            known = [self._known_config(row) for row in found]
            if known.count(None) >= _MANY:
                known = self._read_configs(found, known, some, values)
            records = [
                rows.container_of(row, config or self._read_config(row))
                for row, config in zip(found, known, strict=True)
            ]
        else:
            records = [rows.container_of(row, rows.UNREAD_CONFIG) for row in found]
        return [one for one in records if kinds is None or one.kind in kinds]

    def summaries(
        self, pod_id: str | None = None, *, infra: bool, awake: str | None = None
    ) -> list[ContainerSummary]:
        """Returns what is stored of containers as ``ps`` shows it, without a pid.

        Args:
            pod_id: None for all.
            infra: infra containers too.
            awake: as for ``containers``.

        Returns:
            Pod by pod, both in order of creation; an infra container after those of its pod.
        """
        where, values = _where(pod_id, awake, infra=infra)
        found = self.rows(f"{_SUMMARIES}{where} ORDER BY c.number", *values)
        # Nearly in order already: three times as quick as what SQLite would make of it.
        found.sort(key=_pod_by_pod)
        return [rows.summary_of(row) for row in found]

    def container_ids(self, pod_id: str | None = None, *, infra: bool) -> list[str]:
        """Returns the ids of containers, the oldest first; those of an age are ordered as above."""
        where, values = _where(pod_id, infra=infra)
        order = "c.created, p.number, c.kind = 'infra', c.number"
        found = self.rows(f"{_IDS}{where} ORDER BY {order}", *values)
        return [row[0] for row in found]

    def members(self) -> dict[str, list[tuple[str, str, ContainerStatus]]]:
        """Returns (id, name, state as stored) of the members of each pod, by the pod's id.

        A pod without any is not there.
        """
        found: dict[str, list[tuple[str, str, ContainerStatus]]] = {}
        for pod_id, identifier, name, state in self.rows(_MEMBERS):
            known = rows.state_of(identifier, state)
            found.setdefault(pod_id, []).append((identifier, name, known))
        return found

    def container(self, container_id: str) -> ContainerRecord | None:
        """Returns a container by its full id, None when there is none."""
        found = self.rows(f"{_CONTAINERS} WHERE c.id = ?", container_id)
        return self._record(found[0]) if found else None

    def container_by_name(self, pod_id: str, name: str) -> ContainerRecord | None:
        """Returns a container by its pod and its exact name, None when there is none."""
        found = self.rows(f"{_CONTAINERS} WHERE c.pod_id = ? AND c.name = ?", pod_id, name)
        return self._record(found[0]) if found else None

    def container_references(
        self, pod_id: str | None = None, kinds: Collection[ContainerKind] | None = None
    ) -> list[tuple[str, str]]:
        """Returns (id, name) of the containers of a pod or of all, of some kinds or of any."""
        statement = "SELECT id, name, kind FROM container"
        if pod_id is None:
            found = self.rows(f"{statement} ORDER BY number")
        else:
            found = self.rows(f"{statement} WHERE pod_id = ? ORDER BY number", pod_id)
        return [(row[0], row[1]) for row in found if kinds is None or row[2] in kinds]

    def dependents(self, container_id: str) -> list[str]:
        """Returns the ids of the containers that declare a dependency on this one."""
        found = self.rows(
            "SELECT e.container_id FROM edge e JOIN container c ON c.id = e.container_id"
            " WHERE e.dependency_id = ? ORDER BY c.number",
            container_id,
        )
        return [row[0] for row in found]

    def volumes(self) -> list[VolumeRecord]:
        """Returns all named volumes."""
        found = self.rows("SELECT number, name, created, labels FROM volume ORDER BY number")
        return [rows.volume_of(row) for row in found]

    def volume(self, name: str) -> VolumeRecord | None:
        """Returns a volume by its name, None when there is none."""
        found = self.rows("SELECT number, name, created, labels FROM volume WHERE name = ?", name)
        return rows.volume_of(found[0]) if found else None

    def events(self, after: int = 0, limit: int = 1000) -> list[Event]:
        """Returns the events that follow the one with the number ``after``, the oldest first."""
        found = self.rows(
            "SELECT number, time, kind, id, action, detail FROM event WHERE number > ?"
            " ORDER BY number LIMIT ?",
            after,
            limit,
        )
        return [rows.event_of(row) for row in found]

    def last_event(self) -> int:
        """Returns the number of the newest event, 0 when there has been none."""
        return int(self.rows("SELECT coalesce(max(number), 0) FROM event")[0][0])

    def meta(self, key: str) -> str | None:
        """Returns a fact about the store as a whole, None when it was never set."""
        found = self.rows("SELECT value FROM meta WHERE key = ?", key)
        return str(found[0][0]) if found else None

    def _record(self, row: Row) -> ContainerRecord:
        return rows.container_of(row, self._known_config(row) or self._read_config(row))

    def _known_config(self, row: Row) -> Config | None:
        config = self._configs.get(row[1])
        if config is None or config.hash != row[6] or config.limits != row[26]:
            return None
        return config

    def _read_config(self, row: Row) -> Config:
        identifier, digest, limits = row[1], row[6], row[26]
        found = self.rows("SELECT spec FROM container WHERE number = ?", row[0])
        if not found:
            raise rows.DamagedRowError(f"an index of container `{identifier}` leads nowhere")
        edges = self.rows(_EDGES, identifier)
        config = rows.config_of(identifier, found[0][0], digest, limits, edges)
        self._configs.put(identifier, config)
        return config

    def _read_configs(
        self, found: list[Row], known: list[Config | None], some: str, values: tuple[str, ...]
    ) -> list[Config | None]:
        """Returns the configurations of many rows; None where an index leads nowhere."""
        specs = {row[0]: row[1] for row in self.rows(_ALL_SPECS + some, *values)}
        edges: dict[str, list[Row]] = {}
        for row in self.rows(f"{_ALL_EDGES}{some} ORDER BY e.container_id, e.position", *values):
            edges.setdefault(row[0], []).append(row[1:])

        def read(row: Row) -> Config | None:
            identifier, text = row[1], specs.get(row[1])
            if text is None:
                return None
            mine = edges.get(identifier, ())
            config = rows.config_of(identifier, text, row[6], row[26], mine)
            self._configs.put(identifier, config)
            return config

        return [config or read(row) for row, config in zip(found, known, strict=True)]


def _where(
    pod_id: str | None, awake: str | None = None, *, infra: bool = True
) -> tuple[str, tuple[str, ...]]:
    """Returns a condition on containers ``c`` and their states ``s``, and its values."""
    chosen = [
        (condition, value)
        for condition, value in (("c.pod_id = ?", pod_id), (_AWAKE, awake))
        if value is not None
    ]
    conditions = [condition for condition, _ in chosen]
    if not infra:
        conditions.append("c.kind <> 'infra'")
    text = f" WHERE {' AND '.join(conditions)}" if conditions else ""
    return text, tuple(value for _, value in chosen)
