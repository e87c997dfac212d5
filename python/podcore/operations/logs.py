"""Reads what a container wrote, and knows when there is no more to come."""

from collections.abc import Iterator

from podcore.backend import Host
from podcore.errors import ContainerRemovedError
from podcore.model import ContainerStatus, LogEntry
from podcore.monitor.logs import read_logs
from podcore.observe import truth
from podcore.operations.find import current
from podcore.operations.restarting import is_restarting
from podcore.records import ContainerRecord


def logs(
    host: Host,
    which: ContainerRecord,
    *,
    follow: bool = False,
    tail: int | None = None,
    since: float | None = None,
) -> Iterator[LogEntry]:
    """Returns an iterator over what a container has written; following ends with the container.

    That is once it has exited, as with ``podman logs -f``, but not while it is being restarted.

    Raises:
        ContainerRemovedError: it is gone.
        InvalidArgumentError: ``tail`` is negative.
    """
    current(host, which)
    path = host.places.log(which.id)

    def exited() -> bool:
        _, record = current(host, which)
        return truth(host, record).state is ContainerStatus.EXITED

    def over() -> bool:
        try:
            # Looked at twice: the restart that was under way at first may be done by the time that
            # it is asked for, and then the second look sees what became of it.
            return exited() and not is_restarting(host, which) and exited()
        except ContainerRemovedError:
            return True

    return read_logs(path, follow=follow, tail=tail, since=since, stop=over)
