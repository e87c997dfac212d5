"""Reads what a container wrote, and knows when there is no more to come."""

from collections.abc import Iterator

from podcore.backend import Host
from podcore.errors import ContainerRemovedError
from podcore.model import ContainerStatus, LogEntry
from podcore.monitor.logs import read_logs
from podcore.observe import truth
from podcore.operations.find import current
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

    Raises:
        ContainerRemovedError: it is gone.
        InvalidArgumentError: ``tail`` is negative.
    """
    current(host, which)
    path = host.places.log(which.id)

    def over() -> bool:
        try:
            _, record = current(host, which)
        except ContainerRemovedError:
            return True
        return truth(host, record).state is ContainerStatus.EXITED

    return read_logs(path, follow=follow, tail=tail, since=since, stop=over)
