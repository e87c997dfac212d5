"""Removes one container and everything that belongs to it."""

from functools import partial

from podcore._core import LockSession
from podcore.backend import Host
from podcore.errors import ContainerStateError
from podcore.kernel.failpoints import failpoint
from podcore.lifecycle import rootfs
from podcore.lifecycle.course import Conduct, Course, alone
from podcore.lifecycle.held import Commit, Held
from podcore.lifecycle.purge import purge
from podcore.lifecycle.step import DONE, Step
from podcore.model import ALIVE, ContainerStatus
from podcore.names import short
from podcore.records import ContainerRecord, Verb


def check_removable(record: ContainerRecord, *, force: bool) -> None:
    """Checks that a container may be removed.

    Raises:
        ContainerStateError: it is running, paused or stopping and ``force`` is not given.
    """
    if force or record.state not in ALIVE:
        return
    message = (
        f"container `{record.name}` ({short(record.id)}) is {record.state}\n"
        "hint: stop it first, or remove it with force"
    )
    raise ContainerStateError(message, record.state, ("configured", "created", "exited"))


def remove(host: Host, session: LockSession, which: ContainerRecord, *, force: bool) -> Step:
    """Kills what is left of a container, removes all that belongs to it and, last, its row.

    Call with the pod lock held exclusively. A removal that is interrupted leaves the container
    ``removing``; the next one goes on from there.

    Raises:
        ContainerStateError: it is alive and ``force`` is not given; nothing was changed.
        StopTimeoutError: its processes can't be killed; it stays ``removing``.
    """
    return alone(host, session, which, removing(force=force))


def removing(*, force: bool) -> Conduct[Step]:
    """Returns ``remove`` as a course."""
    return partial(_remove, force)


def _remove(force: bool, held: Held) -> Course[Step]:  # noqa: FBT001 - private
    check_removable(held.record, force=force)
    interrupted = held.record.state is ContainerStatus.REMOVING
    if not interrupted:
        yield held.meaning(Verb.REMOVE, state=ContainerStatus.REMOVING)
    failpoint("remove.after-intent")
    record = held.record
    if record.incarnation:
        purge(held.host, record, interrupted=interrupted)
    failpoint("remove.after-purge")
    rootfs.discard(held.host.places, record.id)
    failpoint("remove.before-commit")
    yield Commit(record, "remove", record.name, durable=True, gone=True)
    failpoint("remove.after-commit")
    return DONE
