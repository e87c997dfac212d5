"""Looks for what is on the host without a row that owns it."""

import os
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial

from podcore.backend import LOCK_TIMEOUT, Host
from podcore.errors import LockTimeoutError, StopTimeoutError
from podcore.kernel import mounts, process
from podcore.kernel.files import remove_tree
from podcore.lifecycle import ledger, rootfs
from podcore.lifecycle.purge import KILL_PATIENCE
from podcore.operations.system.findings import Findings
from podcore.operations.system.listing import names
from podcore.operations.system.serving import ids_in, ids_of
from podcore.records import ProcessIdentity

_ID = re.compile(r"[0-9a-f]{64}")
_ATTEMPT = re.compile(r"([0-9a-f]{64})\.(\d+)")
_LEDGER = re.compile(r"([0-9a-f]{64})\.json")
_RUNTIME = re.compile(r"runtime-.+")
_SIGKILL = 9
_BARRIER = 2.0
"""Seconds that a check without repair waits for each pod, to know what is being made."""


@dataclass(frozen=True, slots=True)
class Trace:
    """A thing on the host that belongs to a pod, a container or a volume.

    Attributes:
        kind: in one word; also says in which order traces are removed.
        owner: the id of a pod or container, or the name of a volume.
        thing: a path, or a process.
        there: whether it is still there.
        mend: removes it.
        incarnation: of an attempt.
        early: it is made ahead of its owner's row.
    """

    kind: str
    owner: str
    thing: str
    there: Callable[[], bool]
    mend: Callable[[], object]
    incarnation: int | None = None
    early: bool = False


@dataclass(frozen=True, slots=True)
class _Rows:
    """Who owns what: ids of pods, incarnations by container id, names of volumes."""

    pods: frozenset[str]
    containers: dict[str, int]
    volumes: frozenset[str]

    def own(self, trace: Trace) -> bool:
        if trace.kind == "volume":
            return trace.owner in self.volumes
        if trace.incarnation is not None:
            return self.containers.get(trace.owner) == trace.incarnation
        return trace.owner in self.pods or trace.owner in self.containers


def check(host: Host, findings: Findings) -> None:
    """Looks for processes, mounts, cgroups, directories and files without a row."""
    suspects = _suspects(host)
    if any(trace.early for trace in suspects):
        settled = _wait_for_makers(host, LOCK_TIMEOUT if findings.repair else _BARRIER)
        suspects = [trace for trace in suspects if settled or not trace.early]
    if not suspects:
        return
    rows = _rows(host)
    for trace in suspects:
        if not rows.own(trace) and trace.there():
            text = f"{trace.kind} `{trace.thing}` belongs to nothing that there is"
            findings.add(trace.kind, trace.thing, text, partial(_mend, host, trace))


def _suspects(host: Host) -> list[Trace]:
    """Returns the traces that no row owns; those of what is being removed are gone by now."""
    traces = _traces(host)
    rows = _rows(host)
    return [trace for trace in traces if not rows.own(trace) and trace.there()]


def _rows(host: Host) -> _Rows:
    with host.store.read() as view:
        return _Rows(
            frozenset(key for key, _ in view.pod_references()),
            {record.id: record.incarnation for record in view.containers()},
            frozenset(volume.name for volume in view.volumes()),
        )


def _mend(host: Host, trace: Trace) -> None:
    if not trace.early:
        trace.mend()
        return
    # Nobody makes one of that name while its row can't be written.
    with host.session("system repair") as session, host.store.write(session):
        if not _rows(host).own(trace):
            trace.mend()


def _wait_for_makers(host: Host, timeout: float) -> bool:
    """Waits until all that was being made when this is called has its row, or never gets one.

    Containers are made with their pod's lock held exclusively, all else in a write transaction.

    Returns:
        Whether that came in time.
    """
    with host.store.read() as view:
        pods = view.pods()
    try:
        for pod in pods:
            with host.session("system check") as session:
                session.acquire("pod", pod.number, timeout=timeout)
        with host.session("system check") as session:
            session.acquire("store", timeout=timeout)
    except LockTimeoutError:
        return False
    return True


def _traces(host: Host) -> list[Trace]:
    """Returns everything on the host that may be podcore's, in the order of removal."""
    workers, strangers = _workers(host)
    below = [
        *_mounts(host),
        *_runtime_states(host),
        *_attempts(host),
        *_pod_runs(host),
        *_homes(host),
        *_ledgers(host),
        *_volumes(host),
    ]
    owners = {trace.owner for trace in (*workers, *below)}
    with host.store.read() as view:
        owners |= {key for key, _ in view.pod_references()}
        owners |= {key for key, _ in view.container_references()}
    return [*workers, *_cgroups(host, owners, strangers), *below]


def _workers(host: Host) -> tuple[list[Trace], set[str]]:
    """Returns monitors and runtimes of this run directory, and the ids that others serve."""
    strangers: set[str] = set()

    def ours(argv: list[bytes]) -> bool:
        ids = ids_in(argv)
        if any(host.places.serves(argv, key) for key in ids):
            return True
        strangers.update(ids)
        return False

    return [
        Trace("process", ids[0], str(one.pid), partial(process.alive, one), partial(_kill, one))
        for one in host.find_processes(ours)
        if one.pid != os.getpid() and (ids := ids_of(one))
    ], strangers


def _kill(one: ProcessIdentity) -> None:
    process.send(one, _SIGKILL)
    if process.wait_gone([one], KILL_PATIENCE):
        message = f"process {one.pid} is still there {KILL_PATIENCE:g} s after SIGKILL"
        raise StopTimeoutError(message, [one.pid])


def _cgroups(host: Host, owners: set[str], strangers: set[str]) -> Iterator[Trace]:
    """Yields the cgroups of pods and containers, those of containers first.

    Engines may share a parent of cgroups: what another engine's monitors serve is left alone, and
    so is what neither a trace here nor an event of this engine's knows of.
    """
    parent = host.places.cgroup_parent
    known: set[str] | None = None
    pods = dict.fromkeys(
        name
        for top in host.hierarchies.tops
        for name in names(f"{top}/{parent}")
        if _ID.fullmatch(name)
    )
    for pod in sorted(pods):
        members = sorted(
            {
                name
                for top in host.hierarchies.tops
                for name in names(f"{top}/{parent}/{pod}")
                if _ID.fullmatch(name)
            }
        )
        ours = pod in owners or not owners.isdisjoint(members)
        if not ours:
            known = told(host) if known is None else known
            ours = pod in known or not known.isdisjoint(members)
        if not ours:
            continue
        for member in members:
            if member not in strangers:
                yield _cgroup(host, member, f"{parent}/{pod}/{member}")
        if strangers.isdisjoint((pod, *members)):
            yield _cgroup(host, pod, f"{parent}/{pod}")


def told(host: Host, after: int = 0) -> set[str]:
    """Returns the ids of what the log of events tells of, though it may be gone.

    Args:
        host: of the engine.
        after: the number of the last event that does not matter.
    """
    found: set[str] = set()
    with host.store.read() as view:
        while events := view.events(after):
            found.update(event.id for event in events)
            after = events[-1].number
    return found


def _cgroup(host: Host, owner: str, path: str) -> Trace:
    cgroup = host.cgroup(path)

    def mend() -> None:
        left = cgroup.kill(KILL_PATIENCE)
        if left:
            message = f"the cgroup `{path}` still has processes: {left}"
            raise StopTimeoutError(message, left)
        cgroup.remove()

    return Trace("cgroup", owner, path, cgroup.exists, mend)


def _mounts(host: Host) -> Iterator[Trace]:
    for directory in (host.places.containers, f"{host.places.run_root}/pods"):
        real = os.path.realpath(directory)
        for target in mounts.below(real):
            owner = target.removeprefix(f"{real}/").partition("/")[0]
            if _ID.fullmatch(owner):
                yield Trace(
                    "mount",
                    owner,
                    target,
                    partial(mounts.mounted, target),
                    partial(mounts.unmount, target),
                )


def _runtime_states(host: Host) -> Iterator[Trace]:
    for name in names(host.places.run_root):
        if _RUNTIME.fullmatch(name):
            directory = f"{host.places.run_root}/{name}"
            for each in names(directory):
                if _ID.fullmatch(each):
                    yield _tree("runtime-state", each, f"{directory}/{each}")


def _attempts(host: Host) -> Iterator[Trace]:
    for name in names(host.places.attempts):
        known = _ATTEMPT.fullmatch(name)
        if known is not None:
            path = f"{host.places.attempts}/{name}"
            yield _tree("attempt", known[1], path, incarnation=int(known[2]))


def _pod_runs(host: Host) -> Iterator[Trace]:
    for name in names(f"{host.places.run_root}/pods"):
        if _ID.fullmatch(name):
            yield _tree("pod-run", name, host.places.pod_run(name))


def _homes(host: Host) -> Iterator[Trace]:
    for name in names(host.places.containers):
        if _ID.fullmatch(name):
            yield Trace(
                "home",
                name,
                host.places.container(name),
                partial(os.path.lexists, host.places.container(name)),
                partial(rootfs.discard, host.places, name),
                early=True,
            )


def _ledgers(host: Host) -> Iterator[Trace]:
    for name in names(host.places.pods):
        known = _LEDGER.fullmatch(name)
        if known is not None:
            yield _tree("ledger", known[1], ledger.pod_path(host.places, known[1]), early=True)


def _volumes(host: Host) -> Iterator[Trace]:
    for name in names(host.places.volumes):
        yield _tree("volume", name, f"{host.places.volumes}/{name}", early=True)


def _tree(
    kind: str, owner: str, path: str, *, incarnation: int | None = None, early: bool = False
) -> Trace:
    return Trace(
        kind,
        owner,
        path,
        lambda: os.path.lexists(path),
        lambda: remove_tree(path),
        incarnation,
        early,
    )
