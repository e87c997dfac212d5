"""Ends and removes everything on the host that belongs to one incarnation of a container.

The order is that of ``reliability.md`` 3.2: whoever could still act for it first, then its
processes, then the OCI runtime's state, then what the kernel and the disk keep.
"""

import contextlib
import os
from collections.abc import Sequence

from podcore.backend import Host
from podcore.errors import OCIRuntimeError, StopTimeoutError
from podcore.kernel import process
from podcore.kernel.failpoints import failpoint
from podcore.kernel.files import remove_tree
from podcore.lifecycle import rootfs
from podcore.lifecycle.shm import give_back
from podcore.names import short
from podcore.places import EXEC
from podcore.records import ContainerRecord, ProcessIdentity

KILL_PATIENCE = 5.0
"""Seconds until SIGKILL must have emptied a cgroup (libpod's kill wait)."""

_SIGKILL = 9


def purge(host: Host, record: ContainerRecord, *, interrupted: bool = True) -> None:
    """Ends whatever is left of an incarnation: cgroup, runtime state, mounts and run files.

    The exit file stays until the container is created again or removed. Call with the container's
    lock held.

    Args:
        host: of the engine.
        record: the container.
        interrupted: a worker may have died at it and have left others, which are looked for among
            all processes of the host. Without, its own processes and its monitor are all there is.

    Raises:
        StopTimeoutError: processes are still there.
        OSError: the runtime's state, the cgroup or a file could not be removed.
    """
    _purge(host, record, interrupted=interrupted)
    # A process that its caller forked just before it died shows the caller's command line until it
    # executes its own. Without the directory of the attempt no runtime does anything any more.
    if interrupted and _workers(host, record):
        _purge(host, record, interrupted=True)


def _purge(host: Host, record: ContainerRecord, *, interrupted: bool) -> None:
    _end_workers(host, record, None if interrupted else _known(host, record))
    failpoint("purge.after-workers")
    cgroup = host.cgroup(record.cgroup_path)
    # The quickest look whether somebody is in it.
    empty = cgroup.remove_empty()
    if not empty:
        end_rest(host, record)
    failpoint("purge.after-processes")
    _delete_runtime_state(host, record)
    failpoint("purge.after-runtime")
    if not empty:
        cgroup.remove()
    failpoint("purge.after-cgroup")
    rootfs.release(host.places, record.id)
    give_back(host.places, record)
    failpoint("purge.after-mounts")
    remove_tree(host.places.attempt(record.id, record.incarnation))


def end_rest(host: Host, record: ContainerRecord) -> None:
    """Kills every process in the container's cgroup, frozen ones too.

    Raises:
        StopTimeoutError: some are still there (uninterruptible sleep).
    """
    left = host.cgroup(record.cgroup_path).kill(KILL_PATIENCE)
    if left:
        message = (
            f"container `{record.name}` ({short(record.id)}): processes {left} are still there "
            f"{KILL_PATIENCE:g} s after SIGKILL\n"
            "hint: they wait for the kernel (`ps -o pid,stat,wchan`); try again when it lets go"
        )
        raise StopTimeoutError(message, left)


def end_runtimes(host: Host, record: ContainerRecord, verb: bytes) -> None:
    """Kills the runtime processes that a dead caller left at work on a container.

    One of them could act on it later, maybe on its next incarnation. Call with the container's
    lock held.

    Args:
        host: of the engine.
        record: the container, which lives on.
        verb: what they were told to do, of the runtime's command line.

    Raises:
        StopTimeoutError: they are still there.
    """
    # The container's own process, not yet at its command, bears the command line of the create;
    # that of the monitor has the container's name in it, which may be such a verb.
    spared = (record.init, record.monitor)
    found = [worker for worker in _workers(host, record, verb) if worker not in spared]
    _signal(found)
    _await_end(record, found)


def _known(host: Host, record: ContainerRecord) -> list[int] | None:
    """Returns the pids of the monitor; None where there may be others that nobody has written down.

    Every verb but a command that is exec'ed leaves an intent when it is cut short.
    """
    attempt = host.places.attempt(record.id, record.incarnation)
    try:
        if any(name.startswith(EXEC) for name in os.listdir(attempt)):
            return None
    except FileNotFoundError:
        pass  # nothing is left of it, or somebody has removed its run files
    monitor = process.of_pid_file(f"{attempt}/conmon.pid") or record.monitor
    return [] if monitor is None else [monitor.pid]


def _end_workers(host: Host, record: ContainerRecord, among: list[int] | None) -> None:
    """Kills the conmon and the runtime processes that a dead caller started for this container.

    Args:
        host: of the engine.
        record: the container.
        among: see ``Host.find_processes``.

    Raises:
        StopTimeoutError: they are still there.
    """
    # The monitor is among them; whoever has its pid and lacks its command line is somebody else.
    # They may fork until they are dead: a monitor begins with a fork, and then starts the runtime.
    while found := _workers(host, record, among=among):
        _signal(found)
        # The container's own process may be among them: it bears the runtime's command line until
        # it executes its command. Where it was frozen before that, no signal ends it until it is
        # thawed.
        end_rest(host, record)
        _await_end(record, found)


def _workers(
    host: Host, record: ContainerRecord, verb: bytes = b"", among: list[int] | None = None
) -> list[ProcessIdentity]:
    """Returns the processes that work on a container.

    They are told by their command line, so a runtime process needs no row of its own in the journal.
    """

    def ours(argv: list[bytes]) -> bool:
        return (not verb or verb in argv) and host.places.serves(argv, record.id)

    return host.find_processes(ours, among)


def _signal(found: Sequence[ProcessIdentity]) -> None:
    for worker in found:
        process.send(worker, _SIGKILL)


def _await_end(record: ContainerRecord, found: Sequence[ProcessIdentity]) -> None:
    left = process.wait_gone(found, KILL_PATIENCE)
    if left:
        pids = [worker.pid for worker in left]
        message = (
            f"container `{record.name}` ({short(record.id)}): its runtime or monitor processes "
            f"{pids} are still there {KILL_PATIENCE:g} s after SIGKILL"
        )
        raise StopTimeoutError(message, pids)


def _delete_runtime_state(host: Host, record: ContainerRecord) -> None:
    runtime = host.runtime(record.oci_runtime)
    if not os.path.lexists(runtime.state_directory(record.id)):
        return
    attempt = host.places.attempt(record.id, record.incarnation)
    if os.path.exists(record.oci_runtime) and os.path.isdir(attempt):
        # Its answer is worth nothing (damaged state files make runc refuse for ever): no process
        # is left, so what is left on disk is removed by hand.
        log = host.places.runtime_log(record.id, record.incarnation)
        with contextlib.suppress(OCIRuntimeError):
            runtime.delete(record.id, force=True, log=log)
    runtime.purge(record.id)
