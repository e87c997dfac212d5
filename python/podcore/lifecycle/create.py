"""OCI create of one container: everything is there but its command has not begun."""

from collections.abc import Iterator
from dataclasses import replace
from functools import partial

from podcore._core import LockSession
from podcore.backend import Host
from podcore.deadlines import Deadline
from podcore.errors import (
    ContainerStateError,
    DependencyNotRunningError,
    InvalidArgumentError,
    OCIRuntimeError,
    PodcoreError,
)
from podcore.kernel import process
from podcore.kernel.devices import take_back_null
from podcore.kernel.exhaustion import typed
from podcore.kernel.failpoints import failpoint
from podcore.kernel.files import make_below, make_directory, remove_tree
from podcore.lifecycle import home
from podcore.lifecycle.config import write_bundle
from podcore.lifecycle.course import Conduct, Course, alone
from podcore.lifecycle.held import Commit, Held
from podcore.lifecycle.namespaces import Joined, hostname_of, join, kept_by, providers
from podcore.lifecycle.purge import purge
from podcore.lifecycle.shm import lend, mount_shm
from podcore.lifecycle.step import DONE, Step, ignored
from podcore.lifecycle.update import apply_pod_limits
from podcore.model import AT_REST, ContainerStatus
from podcore.monitor import log_file
from podcore.monitor.conmon import Launch
from podcore.names import short
from podcore.observe import truth
from podcore.records import ContainerRecord, PodRecord, ProcessIdentity, Verb

CREATE_TIMEOUT = 60.0
"""Seconds that conmon and the OCI runtime get for a create."""

_THERE = {ContainerStatus.CREATED, ContainerStatus.RUNNING, ContainerStatus.PAUSED}


def create(
    host: Host,
    session: LockSession,
    which: ContainerRecord,
    pod: PodRecord,
    names: tuple[str, ...] = (),
) -> Step:
    """Creates a container with its OCI runtime, so that a later start is all that is left.

    Ignores one that is created, running or paused. Holds its lock all the while. On failure
    nothing of the attempt is left and the container is ``configured``.

    Raises:
        OCIRuntimeError, MonitorError: the create failed.
        DependencyNotRunningError: a container whose namespace it joins is not there.
    """
    return alone(host, session, which, creating(pod, names))


def creating(pod: PodRecord, names: tuple[str, ...]) -> Conduct[Step]:
    """Returns ``create`` as a course."""
    return partial(_create, pod, names)


def _create(pod: PodRecord, names: tuple[str, ...], held: Held) -> Course[Step]:
    if held.record.state in _THERE:
        return ignored(f"is {held.record.state}")
    yield from create_held(held, pod, then=None, names=names)
    return DONE


def create_held(
    held: Held, pod: PodRecord, then: Verb | None, names: tuple[str, ...] = ()
) -> Course[None]:
    """Creates a held container; the commit of its result carries the intent of what is next.

    Args:
        held: the container.
        pod: its pod.
        then: what is next.
        names: the containers on the pod's network, for /etc/hosts.
    """
    host, record = held.host, held.record
    if record.state not in AT_REST:
        message = f"container `{record.name}` ({short(record.id)}) is {record.state}"
        raise ContainerStateError(message, record.state, ("configured", "exited"))
    if record.state is ContainerStatus.EXITED and record.incarnation:
        purge(host, record, interrupted=False)
    apply_pod_limits(host, pod)
    joined = _joined(host, record, pod, names)
    failpoint("create.before-intent")
    yield held.meaning(
        Verb.CREATE, incarnation=record.incarnation + 1, boot_id=host.boot_id, init=None
    )
    try:
        failpoint("create.after-intent")
        monitor, init = _launch(held, pod, joined)
        failpoint("create.after-launch")
        _check_joined(record, joined)
    except BaseException as error:
        yield from _undo(held, error)
        if isinstance(error, OCIRuntimeError):
            _check_joined(record, joined, error)
        if isinstance(error, OSError) and not isinstance(error, PodcoreError):
            raise _typed(error, held.record) from error
        raise
    yield Commit(
        held.record.but(
            state=ContainerStatus.CREATED,
            init=init,
            monitor=monitor,
            intent=None if then is None else held.intent(then),
        ),
        "init",
    )
    failpoint("create.after-commit")


def discard_created(host: Host, session: LockSession, which: ContainerRecord) -> Step:
    """Takes a container that was created ahead, but will not be started, back to ``configured``."""
    return alone(host, session, which, discarding)


def discarding(held: Held) -> Course[Step]:
    """Is ``discard_created`` as a course."""
    if held.record.state is not ContainerStatus.CREATED:
        return ignored(f"is {held.record.state}")
    yield held.meaning(Verb.CREATE)
    failpoint("discard.after-intent")
    purge(held.host, held.record, interrupted=False)
    failpoint("discard.before-commit")
    yield Commit(
        held.record.but(state=ContainerStatus.CONFIGURED, init=None, monitor=None, intent=None),
        "cleanup",
    )
    return DONE


def _launch(held: Held, pod: PodRecord, joined: Joined) -> tuple[ProcessIdentity, ProcessIdentity]:
    host, record = held.host, held.record
    places = host.places
    attempt = places.attempt(record.id, record.incarnation)
    make_below(places.attempts, attempt)
    failpoint("create.after-attempt")
    home.make_if_missing(places, record)
    log_file.prepare(places.log(record.id))
    if record.incarnation > 1:
        # Only the exit file of this incarnation means anything from here on.
        remove_tree(places.persist(record.id, record.incarnation - 1))
    make_directory(places.persist(record.id, record.incarnation))
    if joined.shm_of is not None:
        joined = replace(joined, shm_path=lend(places, record, joined.shm_of))
    bundle = write_bundle(host, record, pod, joined)
    failpoint("create.after-bundle")
    runtime = host.runtime(record.oci_runtime)
    log = places.runtime_log(record.id, record.incarnation)
    launched = host.conmon.launch(
        Launch(
            container_id=record.id,
            name=record.name,
            bundle=bundle,
            runtime=runtime.path,
            program=runtime.program,
            runtime_arguments=runtime.arguments(log),
            runtime_log=log,
            pid_file=f"{attempt}/pid",
            monitor_pid_file=f"{attempt}/conmon.pid",
            exit_dir=attempt,
            persist_dir=places.persist(record.id, record.incarnation),
            log_path=places.log(record.id),
            log_size_max=record.spec.log_size_max,
            terminal=record.spec.terminal,
            stdin=record.spec.stdin,
            place=host.place_monitor,
            cgroup_path=record.cgroup_path,
        ),
        Deadline.after(CREATE_TIMEOUT),
    )
    take_back_null()
    return launched.monitor, launched.init


def _undo(held: Held, error: BaseException) -> Course[None]:
    """Removes what a failed create left; the error it adds to is raised by the caller."""
    try:
        purge(held.host, held.record)
        yield Commit(
            held.record.but(state=ContainerStatus.CONFIGURED, init=None, monitor=None, intent=None)
        )
    except Exception as undoing:  # noqa: BLE001 - the first error is the one to raise
        # The intent stays, so the next one who takes the lock tries again.
        error.add_note(f"and what it left could not be removed: {undoing}")


def _typed(error: OSError, record: ContainerRecord) -> PodcoreError:
    what = f"container `{record.name}` ({short(record.id)})"
    return typed(error, f"create {what}") or InvalidArgumentError(f"creating {what}: {error}")


def _joined(host: Host, record: ContainerRecord, pod: PodRecord, names: tuple[str, ...]) -> Joined:
    """Returns the namespaces of a container, whose providers must be there."""
    processes: dict[str, ProcessIdentity] = {}
    known: dict[str, ContainerRecord | None] = {}
    for provider in providers(record, pod):
        found = _find(host, provider)
        known[provider] = found
        now = None if found is None else truth(host, found)
        if now is None or now.state not in _THERE or now.init is None:
            name = short(provider) if found is None else found.name
            message = (
                f"container `{record.name}` ({short(record.id)}) joins a namespace of `{name}`, "
                "which is not running"
            )
            raise DependencyNotRunningError(message, [provider])
        processes[provider] = now.init
    if record.id == pod.infra_id:
        joined = join(host.places, record, pod, processes, pod.hostname)
        kept = kept_by(pod, _living(host, pod))
        return replace(
            joined,
            paths={**joined.paths, **kept.paths},
            processes={**processes, **kept.processes},
            shm_path=mount_shm(host.places, pod),
        )
    hostname = hostname_of(record, pod, lambda key: known.get(key) or _find(host, key))
    return join(host.places, record, pod, processes, hostname, names)


def _living(host: Host, pod: PodRecord) -> Iterator[tuple[ContainerRecord, ProcessIdentity]]:
    """Yields the members of a pod that are in namespaces, in order of creation."""
    with host.store.read() as view:
        rows = view.containers(pod.id, awake=host.boot_id)
    for member in rows:
        if member.id == pod.infra_id:
            continue
        now = truth(host, member, 0)
        if now.state in _THERE and now.init is not None:
            yield member, now.init


def _check_joined(
    record: ContainerRecord, joined: Joined, error: OCIRuntimeError | None = None
) -> None:
    """Checks that the namespaces that were joined are still those that were meant.

    Another verb may have stopped a provider meanwhile, and its pid may be another process's.

    Raises:
        DependencyNotRunningError: a provider has ended; ``error`` is its cause.
    """
    ended = [key for key, identity in joined.processes.items() if not process.alive(identity)]
    if ended:
        listed = ", ".join(f"`{short(key)}`" for key in ended)
        message = (
            f"container `{record.name}` ({short(record.id)}) joins a namespace of {listed}, "
            "which ended meanwhile\nhint: start it again"
        )
        raise DependencyNotRunningError(message, ended) from error


def _find(host: Host, container_id: str) -> ContainerRecord | None:
    with host.store.read() as view:
        return view.container(container_id)
