"""Looks at what the rows say, and whether the host agrees."""

import os
import re

from podcore.backend import Host
from podcore.errors import ContainerRemovedError, LockTimeoutError, PodRemovedError
from podcore.kernel import process
from podcore.kernel.files import make_directory, remove_tree
from podcore.lifecycle import home, ledger
from podcore.lifecycle.held import Held, hold
from podcore.lifecycle.purge import purge
from podcore.model import AT_REST, ContainerKind, ContainerStatus
from podcore.names import short
from podcore.observe import abandoned
from podcore.operations.remove import remove_container, remove_pod
from podcore.operations.system.findings import Findings
from podcore.operations.system.listing import names
from podcore.operations.volumes import make_directories
from podcore.records import ContainerRecord, PodRecord, Verb, VolumeRecord

_EXIT = re.compile(r"exit\.(\d+)")
_UP = {ContainerStatus.CREATED, ContainerStatus.RUNNING, ContainerStatus.PAUSED}


def check(host: Host, findings: Findings) -> None:
    """Looks at every pod, container and volume that has a row."""
    with host.store.read() as view:
        pods = {pod.id: pod for pod in view.pods()}
        records = view.containers()
        volumes = view.volumes()
    for pod in pods.values():
        _check_pod(host, findings, pod)
    for record in records:
        pod = pods[record.pod_id]
        if not pod.removing:
            _check_container(host, findings, pod, record)
    for volume in volumes:
        _check_volume(host, findings, volume)


def _check_pod(host: Host, findings: Findings, pod: PodRecord) -> None:
    said = f"pod `{pod.name}` ({short(pod.id)})"
    if pod.removing:
        if _at_work(host, pod):
            return
        text = f"{said} is half removed"
        hint = "remove it again to finish"
        findings.add("pod", pod.id, text, lambda: _finish_pod(host, pod), hint)
        return
    path = ledger.pod_path(host.places, pod.id)
    if not os.path.lexists(path):
        text = f"{said} has no ledger, from which it could be rebuilt"
        findings.add("ledger", pod.id, text, lambda: _write_pod(host, pod))


def _at_work(host: Host, pod: PodRecord) -> bool:
    """Says whether somebody holds the lock of a pod, so that what is seen of it will change."""
    with host.session("system check") as session:
        try:
            session.acquire("pod", pod.number, shared=True, timeout=0)
        except LockTimeoutError:
            return True
        with host.store.read() as view:
            return view.pod(pod.id) is None


def _finish_pod(host: Host, pod: PodRecord) -> None:
    try:
        remove_pod(host, pod, force=True)
    except PodRemovedError:
        return  # somebody else was faster


def _write_pod(host: Host, pod: PodRecord) -> None:
    with host.session("system check") as session, host.store.write(session) as change:
        infra = None if pod.infra_id is None else change.container(pod.infra_id)
        ledger.write_pod(host.places, pod, ledger.name_store(change), infra)


def _check_container(
    host: Host, findings: Findings, pod: PodRecord, record: ContainerRecord
) -> None:
    said = f"container `{record.name}` ({short(record.id)})"
    verb = abandoned(host, record.intent) or _forgotten(host, record)

    def settle() -> None:
        with host.session("system check") as session, hold(host, session, record):
            pass  # taking the lock is what puts it right

    def finish() -> None:
        try:
            remove_container(host, pod, record, force=True)
        except ContainerRemovedError:
            return  # somebody else was faster

    if verb is Verb.REMOVE:
        findings.add("intent", record.id, f"{said} is half removed", finish)
        return
    if verb is not None:
        findings.add("intent", record.id, f"{said}: its {verb} was never finished", settle)
    elif record.intent is None and record.boot_id not in ("", host.boot_id):
        if record.state not in AT_REST:
            findings.add("boot", record.id, f"{said} was {record.state} before a reboot", settle)
    elif record.intent is None:
        _check_quiet(host, findings, record, said)
    _check_home(host, findings, record, said)


def _forgotten(host: Host, record: ContainerRecord) -> Verb | None:
    """Returns the verb that failed in a process that goes on; None when it is at work on it.

    Whoever works on a container holds its lock, but for a stop, which waits without it.
    """
    if record.intent is None or record.intent.verb is Verb.STOP:
        return None
    with host.session("system check") as session:
        try:
            session.acquire("container", record.number, timeout=0)
        except LockTimeoutError:
            return None
        return record.intent.verb if _still_there(host, record) else None


def _check_quiet(host: Host, findings: Findings, record: ContainerRecord, said: str) -> None:
    """Looks at a container that nobody is at work on."""
    if record.state in _UP and record.init is not None:
        watched = record.monitor is not None and process.alive(record.monitor)
        directory = host.runtime(record.oci_runtime).state_directory(record.id)
        known = os.path.exists(directory)
        # Its process last, and its row: whoever ends it takes the others away behind it.
        if (watched and known) or not process.alive(record.init) or not _still_there(host, record):
            return
        if not watched:
            hint = "its exit code will be unknown and its output is lost; restart it"
            findings.add("monitor", record.id, f"{said} runs without its monitor", hint=hint)
        if not known:
            text = f"{said} runs, but its OCI runtime does not know it any more"
            hint = "it can be stopped and removed; restart it to exec in it"
            findings.add("runtime-state", record.id, text, hint=hint)
    if record.state is ContainerStatus.CONFIGURED and _left_behind(host, record):

        def clear() -> None:
            with host.session("system check") as session, hold(host, session, record) as held:
                if held.record.state is ContainerStatus.CONFIGURED:
                    purge(host, held.record)

        text = f"{said} is not created, but something of it is on the host"
        findings.add("leftover", record.id, text, clear)


def _left_behind(host: Host, record: ContainerRecord) -> bool:
    with host.store.read() as view:
        now = view.container(record.id)
    if now != record:
        return False  # somebody is at work on it
    attempt = host.places.attempt(record.id, record.incarnation)
    runtime = host.runtime(record.oci_runtime)
    there = (
        os.path.lexists(attempt)
        or os.path.lexists(runtime.state_directory(record.id))
        or host.cgroup(record.cgroup_path).exists()
    )
    with host.store.read() as view:
        return there and view.container(record.id) == record


def _check_home(host: Host, findings: Findings, record: ContainerRecord, said: str) -> None:
    places = host.places
    directory = places.container(record.id)
    # That of an infra container is made with its first start.
    expected = record.kind is not ContainerKind.INFRA or record.state in _UP

    def make(held: Held) -> None:
        home.make_if_missing(places, held.record)
        with host.store.write(held.session) as change:
            if held.record.kind is not ContainerKind.INFRA:
                ledger.write_containers(places, [held.record], ledger.name_store(change))

    def mend() -> None:
        with host.session("system check") as session, hold(host, session, record) as held:
            make(held)

    if expected and not os.path.isdir(places.bundle(record.id)):
        if _still_there(host, record):
            text = f"{said}: its directory is gone, with what it had written"
            findings.add("home", directory, text, mend)
        return
    if record.kind is not ContainerKind.INFRA:
        path = places.ledger(record.id)
        if not os.path.lexists(path) and _still_there(host, record):
            text = f"{said} has no ledger, from which it could be rebuilt"
            findings.add("ledger", record.id, text, mend)
    for name in names(directory):
        known = _EXIT.fullmatch(name)
        if known is not None and int(known[1]) != record.incarnation:
            _check_exit(host, findings, record, f"{directory}/{name}", int(known[1]))


def _still_there(host: Host, record: ContainerRecord) -> bool:
    """Says whether nobody has touched a row since it was read."""
    with host.store.read() as view:
        return view.container(record.id) == record


def _check_exit(
    host: Host, findings: Findings, record: ContainerRecord, path: str, incarnation: int
) -> None:
    if record.intent is not None or not _still_there(host, record):
        return

    def mend() -> None:
        with host.session("system check") as session, hold(host, session, record) as held:
            if held.record.incarnation != incarnation:
                remove_tree(path)

    text = f"`{path}` says how an earlier incarnation ended"
    findings.add("exit-file", path, text, mend)


def _check_volume(host: Host, findings: Findings, volume: VolumeRecord) -> None:
    path = host.places.volume(volume.name)
    if not os.path.isdir(path):

        def make() -> None:
            make_directory(host.places.volumes)
            with host.session("system check") as session, host.store.write(session) as change:
                if change.volume(volume.name) is not None:
                    make_directories(host.places, volume.name)
                    ledger.write_volume(host.places, volume, ledger.name_store(change))

        with host.store.read() as view:
            there = view.volume(volume.name) is not None
        if there:
            text = f"volume `{volume.name}`: its directory is gone, with what was in it"
            findings.add("volume", volume.name, text, make)
