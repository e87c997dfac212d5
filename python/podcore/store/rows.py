"""From rows to records and back.

What reads and writes specs is imported when one is: lists need none.
"""

import functools
import json
import threading
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from podcore.model import ContainerKind, ContainerSpec, ContainerStatus, ContainerSummary, Limits
from podcore.records import (
    UNREAD,
    ContainerRecord,
    Dependency,
    Event,
    Intent,
    PodRecord,
    ProcessIdentity,
    Verb,
    VolumeRecord,
)

Row = tuple[Any, ...]
"""What SQLite returns: None, int, float or str in each column."""

POD = (
    "number, id, name, created, labels, share, hostname, infra, limits, cgroup_path, infra_id,"
    " removing"
)
CONTAINER = (
    "c.number, c.id, c.name, c.pod_id, c.created, c.kind, c.spec_hash, c.oci_runtime,"
    " c.cgroup_path, s.state, s.incarnation, s.init_pid, s.init_start, s.monitor_pid,"
    " s.monitor_start, s.boot_id, s.exit_code, s.reason, s.oom_killed, s.started, s.finished,"
    " s.restarts, s.intent_verb, s.intent_pid, s.intent_start, s.intent_since, s.limits"
)
SUMMARY = (
    "p.number, c.kind = 'infra', c.id, c.name, c.pod_id, p.name, c.kind, s.state, s.exit_code,"
    " s.reason, s.oom_killed, c.created, s.started, s.finished, s.restarts,"
    " json_extract(c.spec, '$.command', '$.labels')"
)
STATE = (
    "state, incarnation, init_pid, init_start, monitor_pid, monitor_start, boot_id, exit_code,"
    " reason, oom_killed, started, finished, restarts, intent_verb, intent_pid, intent_start,"
    " intent_since"
)

# A dictionary finds a member in a third of the time of a call of the class.
_STATES = {state.value: state for state in ContainerStatus}
_KINDS = {kind.value: kind for kind in ContainerKind}
_VERBS = {verb.value: verb for verb in Verb}


class DamagedRowError(Exception):
    """A row holds what podcore never wrote; becomes a ``StoreCorruptError`` where the path is known."""


def to_json(value: object) -> str:
    """Returns compact JSON, the same for equal values."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def limits_text(limits: Limits) -> str:
    """Returns checked limits as JSON, the same for equal ones."""
    from podcore.specs import limits_to_json

    return to_json(limits_to_json(limits))


@functools.lru_cache(maxsize=256)
def _limits_of(text: str) -> Limits:
    if text == "{}":  # as most have it
        return Limits()
    from podcore.specs import limits_from_json

    return limits_from_json(json.loads(text))


def pod_of(row: Row) -> PodRecord:
    """Returns the record of a row of ``POD``.

    Raises:
        DamagedRowError: it can't be one.
    """
    number, identifier, name, created, labels, share, hostname, infra, limits, *rest = row
    cgroup_path, infra_id, removing = rest
    try:
        return PodRecord(
            id=identifier,
            name=name,
            number=number,
            created=created,
            labels=json.loads(labels),
            share=tuple(json.loads(share)),
            hostname=hostname,
            infra=bool(infra),
            limits=_limits_of(limits),
            cgroup_path=cgroup_path,
            infra_id=infra_id,
            removing=bool(removing),
        )
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise DamagedRowError(f"the row of pod `{name}` ({identifier}): {error}") from error


def pod_values(pod: PodRecord) -> tuple[object, ...]:
    """Returns the columns of ``POD`` but the number."""
    return (
        pod.id,
        pod.name,
        pod.created,
        to_json(dict(pod.labels)),
        to_json(list(pod.share)),
        pod.hostname,
        int(pod.infra),
        limits_text(pod.limits),
        pod.cgroup_path,
        pod.infra_id,
        int(pod.removing),
    )


@dataclass(frozen=True, slots=True)
class Config:
    """What never changes of a container, its limits excepted, as it was read.

    Attributes:
        hash: of the spec as it was created.
        limits: JSON of those that an update put in their place; None when none has.
        spec: with the limits that hold now.
    """

    hash: str
    limits: str | None
    spec: ContainerSpec
    dependencies: tuple[Dependency, ...]


UNREAD_CONFIG = Config("", None, UNREAD, ())


class Configs:
    """The configurations that were read last, by container id; safe to share between threads.

    A snapshot of a thousand containers then parses no JSON. Specs are immutable, so all snapshots
    share them. Those that other processes remove stay, at 2 KiB each, until there are too many.
    """

    def __init__(self, size: int = 1 << 14) -> None:
        self._size = size
        self._lock = threading.Lock()
        self._known: dict[str, Config] = {}

    def get(self, identifier: str) -> Config | None:
        """Returns what is known of a container; it may be out of date, see its hash and limits."""
        return self._known.get(identifier)

    def put(self, identifier: str, config: Config) -> None:
        """Remembers a configuration, and forgets the oldest when there are too many."""
        with self._lock:
            self._known.pop(identifier, None)
            while len(self._known) >= self._size:
                del self._known[next(iter(self._known))]
            self._known[identifier] = config

    def forget(self, identifier: str) -> None:
        """Forgets a container that is being removed."""
        with self._lock:
            self._known.pop(identifier, None)

    def clear(self) -> None:
        """Forgets everything: what was read in a transaction that was undone is not true."""
        with self._lock:
            self._known.clear()


def summary_of(row: Row) -> ContainerSummary:
    """Returns what ``ps`` shows of a row of ``SUMMARY``, as it is stored.

    Raises:
        DamagedRowError: it can't be one.
    """
    (
        _,
        _,
        identifier,
        name,
        pod_id,
        pod_name,
        kind,
        state,
        exit_code,
        reason,
        oom_killed,
        created,
        started,
        finished,
        restarts,
        words,
    ) = row
    try:
        command, labels = _words(words)
        return ContainerSummary(
            identifier,
            name,
            pod_id,
            pod_name,
            _KINDS[kind],
            _STATES[state],
            None,  # the pid
            exit_code,
            reason,
            bool(oom_killed),
            created,
            started,
            finished,
            restarts,
            command,
            labels.copy(),
        )
    except (ValueError, TypeError, KeyError) as error:
        raise DamagedRowError(f"the row of container `{name}` ({identifier}): {error}") from error


@functools.lru_cache(maxsize=1024)
def _words(text: str) -> tuple[tuple[str, ...], dict[str, str]]:
    """Returns the command and the labels of ``[command, labels]``; nobody may change the labels.

    Most of a crowd have the same ones.
    """
    command, labels = json.loads(text)
    if not isinstance(command, list | None):
        raise TypeError(f"`{command!r}` is no command")
    return tuple(command or ()), dict(labels or {})


def state_of(identifier: str, state: str) -> ContainerStatus:
    """Returns the state that a container's row names.

    Raises:
        DamagedRowError: there is none such.
    """
    known = _STATES.get(state)
    if known is None:
        raise DamagedRowError(f"the row of container `{identifier}`: `{state}` is no state")
    return known


def spec_text(spec: ContainerSpec) -> tuple[str, str]:
    """Returns the JSON of a checked spec and its SHA-256."""
    import hashlib

    from podcore.specs import canonical_json

    text = canonical_json(spec)
    return text, hashlib.sha256(text.encode()).hexdigest()


def config_of(
    identifier: str, text: str, digest: str, limits: str | None, edges: Sequence[Row]
) -> Config:
    """Returns the configuration of a container.

    Args:
        identifier: its id.
        text: JSON of its spec.
        digest: what the SHA-256 of that must be.
        limits: JSON of the limits that an update put in place of the spec's, or None.
        edges: (dependency id, condition, timeout) in order.

    Raises:
        DamagedRowError: the text is not what was written.
    """
    import hashlib

    from podcore.specs import spec_from_json

    if hashlib.sha256(str(text).encode()).hexdigest() != digest:
        raise DamagedRowError(f"the spec of container `{identifier}` doesn't match its hash")
    try:
        spec = spec_from_json(json.loads(text))
        if limits is not None:
            spec = replace(spec, limits=_limits_of(limits))
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise DamagedRowError(f"the spec of container `{identifier}`: {error}") from error
    dependencies = tuple(Dependency(*edge) for edge in edges)
    return Config(digest, limits, spec, dependencies)


def container_of(row: Row, config: Config) -> ContainerRecord:
    """Returns the record of a row of ``CONTAINER``.

    Raises:
        DamagedRowError: it can't be one.
    """
    (
        number,
        identifier,
        name,
        pod_id,
        created,
        kind,
        spec_hash,
        oci_runtime,
        cgroup_path,
        state,
        incarnation,
        init_pid,
        init_start,
        monitor_pid,
        monitor_start,
        boot_id,
        exit_code,
        reason,
        oom_killed,
        started,
        finished,
        restarts,
        verb,
        owner_pid,
        owner_start,
        since,
        _,
    ) = row
    try:
        intent = None
        if verb is not None:
            intent = Intent(_VERBS[verb], ProcessIdentity(owner_pid, owner_start), since)
        return ContainerRecord(
            id=identifier,
            name=name,
            pod_id=pod_id,
            number=number,
            created=created,
            kind=_KINDS[kind],
            spec=config.spec,
            spec_hash=spec_hash,
            dependencies=config.dependencies,
            oci_runtime=oci_runtime,
            cgroup_path=cgroup_path,
            state=_STATES[state],
            incarnation=incarnation,
            init=None if init_pid is None else ProcessIdentity(init_pid, init_start),
            monitor=None if monitor_pid is None else ProcessIdentity(monitor_pid, monitor_start),
            boot_id=boot_id,
            exit_code=exit_code,
            reason=reason,
            oom_killed=bool(oom_killed),
            started=started,
            finished=finished,
            restarts=restarts,
            intent=intent,
        )
    except KeyError as error:
        raise DamagedRowError(f"the row of container `{name}` ({identifier}): {error}") from error


def state_values(record: ContainerRecord) -> tuple[object, ...]:
    """Returns the columns of ``STATE``."""
    init, monitor, intent = record.init, record.monitor, record.intent
    return (
        record.state.value,
        record.incarnation,
        None if init is None else init.pid,
        None if init is None else init.start_time,
        None if monitor is None else monitor.pid,
        None if monitor is None else monitor.start_time,
        record.boot_id,
        record.exit_code,
        record.reason,
        int(record.oom_killed),
        record.started,
        record.finished,
        record.restarts,
        None if intent is None else intent.verb.value,
        None if intent is None else intent.owner.pid,
        None if intent is None else intent.owner.start_time,
        None if intent is None else intent.since,
    )


def volume_of(row: Row) -> VolumeRecord:
    """Returns the record of a volume's row.

    Raises:
        DamagedRowError: it can't be one.
    """
    number, name, created, labels = row
    try:
        return VolumeRecord(name=name, number=number, created=created, labels=json.loads(labels))
    except (ValueError, TypeError) as error:
        raise DamagedRowError(f"the row of volume `{name}`: {error}") from error


def event_of(row: Row) -> Event:
    """Returns the record of an event's row."""
    return Event(*row)
