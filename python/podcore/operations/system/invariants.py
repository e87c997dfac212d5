"""What must hold after any fault and the next command: I1 to I20 of docs/reliability.md.

Those that can be seen while nobody is at work are looked for here; the others are about calls and
about what changes, and need somebody who watches (``podcore.testing.watch``).
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from podcore.errors import PodcoreError, StoreCorruptError
from podcore.kernel import process
from podcore.model import ContainerKind, ContainerStatus, PodStatus
from podcore.monitor.exits import read_exit
from podcore.names import short
from podcore.observe import truth
from podcore.operations.status import inspect_pod, pod_status, true_records
from podcore.operations.system import sights
from podcore.operations.system.checking import check
from podcore.operations.system.sights import UP

if TYPE_CHECKING:
    from podcore.backend import Host
    from podcore.records import ContainerRecord, PodRecord
    from podcore.store import View

_EITHER = {ContainerStatus.RUNNING, ContainerStatus.PAUSED}


@dataclass(frozen=True, slots=True)
class Invariant:
    """One of the twenty.

    Attributes:
        number: ``I1`` to ``I20``.
        text: what holds, as a sentence.
        at_rest: what of it is seen while nobody is at work: ``all``, ``part`` or ``none``.
    """

    number: str
    text: str
    at_rest: str


INVARIANTS = (
    Invariant("I1", "nobody holds a lock", "all"),
    Invariant("I2", "the database is whole", "all"),
    Invariant("I3", "rows and host agree", "all"),
    Invariant("I4", "nothing is without a row, and no row without what belongs to it", "all"),
    Invariant("I5", "no intent is left", "all"),
    Invariant("I6", "an exit code is that of its file and stays; an unknown one says why", "part"),
    Invariant("I7", "dependencies start before their dependents and stop after them", "none"),
    Invariant("I8", "report and states agree", "none"),
    Invariant("I9", "a pod's status follows from its containers'", "all"),
    Invariant("I10", "no zombie and no child is left", "part"),
    Invariant("I11", "descriptors, threads and memory return to where they were", "none"),
    Invariant("I12", "mounts and cgroups are gone with what they were for", "part"),
    Invariant("I13", "a verb that is repeated changes nothing more", "none"),
    Invariant("I14", "the calls on a container fit one order of events", "none"),
    Invariant("I15", "each call returns by its deadline and a second", "none"),
    Invariant("I16", "what lies beside is untouched", "none"),
    Invariant("I17", "what is private is private, and passed on to no program", "all"),
    Invariant("I18", "other pods are as they were", "none"),
    Invariant("I19", "failures are podcore's own errors, and say more than others' words", "none"),
    Invariant("I20", "logs are whole, except where a fault documents a loss", "part"),
)

_NUMBERS = {
    "database": "I2",
    "boot": "I3",
    "intent": "I5",
    "pod": "I5",
    "cgroup": "I12",
    "mount": "I12",
    "mode": "I17",
    "directory": "I17",
    "lock": "I17",
}
"""The invariant that a finding of the check breaks; all other kinds break I4."""


@dataclass(frozen=True, slots=True)
class Breach:
    """An invariant that does not hold.

    Attributes:
        number: ``I1`` to ``I20``.
        text: what is wrong, as a sentence.
    """

    number: str
    text: str

    def __str__(self) -> str:
        return f"{self.number}: {self.text}"


def breaches(host: "Host") -> list[Breach]:
    """Returns what does not hold, as far as that is seen at rest, in a fixed order.

    Nobody, in this process or another, may be inside of a verb. Nothing is changed. What is on its
    way out, such as the monitor of a container that has just ended, is given a few seconds.

    Args:
        host: of the engine; only its directories, cgroups and processes are looked at.

    Raises:
        StoreError: the database is another program's, too new, or closed.
    """
    found = [Breach("I1", text) for text in sights.locks(host)]
    try:
        with host.store.read() as view:
            pods, records = view.pods(), view.containers()
            found += _rows(host, view)
        found += [Breach("I4", text) for text in sights.strays(host, records)]
        found += [Breach("I4", text) for text in sights.processes(host, records)]
        found += _pods(host, pods, records)
        found += [Breach("I10", text) for text in sights.zombies(records)]
        found += [Breach("I17", text) for text in sights.held_by_monitors(host, records)]
        found += [Breach("I20", text) for text in sights.logs(host, records)]
    except StoreCorruptError as error:
        found.append(Breach("I2", str(error)))
    found += [Breach("I17", text) for text in sights.modes(host)]
    found += [Breach("I17", text) for text in sights.descriptors(host)]
    # Two looks from different sides: what is above asks no part of the check.
    found += [Breach(_NUMBERS.get(one.kind, "I4"), one.text) for one in check(host, repair=False)]
    return sorted(found, key=lambda breach: int(breach.number[1:]))


def _rows(host: "Host", view: "View") -> Iterator[Breach]:
    for record in view.containers():
        said = f"container `{record.name}` ({short(record.id)})"
        if record.intent is not None:
            yield Breach("I5", f"{said} has an intent: {record.intent.verb}")
        yield from _against_host(host, record, said)


def _against_host(host: "Host", record: "ContainerRecord", said: str) -> Iterator[Breach]:
    """I3: what a row says is seen on the host; I6: exit codes are those of the exit files."""
    try:
        now = truth(host, record, patience=5.0)
    except (PodcoreError, OSError, ValueError) as error:
        yield Breach("I3", f"{said} can't be looked at: {error}")
        return
    alive = record.init is not None and process.alive(record.init)
    populated = bool(host.cgroup(record.cgroup_path).procs())
    # One that ended by itself is only recorded by the next verb that works on it.
    ended = record.state in UP and now.state is ContainerStatus.EXITED
    # The infra container is frozen and thawed with its pod, which no verb writes into its row.
    frozen = record.kind is ContainerKind.INFRA and {record.state, now.state} == _EITHER
    if now.state is not record.state and not ended and not frozen and record.intent is None:
        yield Breach("I3", f"{said} is recorded as {record.state}, but is {now.state}")
    if now.state in UP and not alive:
        yield Breach("I3", f"{said} is {now.state}, but its process is dead")
    if now.state not in UP and populated:
        yield Breach("I3", f"{said} is {now.state}, but processes are in its cgroup")
    if now.state is ContainerStatus.UNKNOWN:
        yield Breach("I3", f"{said} is unknown")
    if now.state is not ContainerStatus.EXITED:
        return
    if now.exit_code is None and not now.reason:
        yield Breach("I6", f"{said} has neither an exit code nor a reason why")
    places = host.places
    left = read_exit(
        places.persist(record.id, record.incarnation),
        places.attempt(record.id, record.incarnation),
        record.id,
    )
    if left is not None and left.code is not None and left.code != now.exit_code:
        yield Breach("I6", f"{said} exited with {now.exit_code}, its exit file says {left.code}")


def _pods(
    host: "Host", pods: "list[PodRecord]", records: "list[ContainerRecord]"
) -> Iterator[Breach]:
    """I9: what is told of a pod is what its containers add up to."""
    for pod in pods:
        members = [
            record
            for record in records
            if record.pod_id == pod.id and record.kind is not ContainerKind.INFRA
        ]
        states = [record.state for record in true_records(host, members)]
        expected = PodStatus.ERROR if pod.removing else pod_status(states)
        told = inspect_pod(host, pod).state
        if told is not expected:
            yield Breach("I9", f"pod `{pod.name}` is {told}, its containers add up to {expected}")
