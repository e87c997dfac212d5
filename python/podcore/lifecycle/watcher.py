"""Reads what a container writes from now on out of its log: nobody waits for who only watches."""

import select
import time

from podcore.backend import Host
from podcore.deadlines import Deadline
from podcore.errors import ContainerRemovedError
from podcore.lifecycle.pump import Watched
from podcore.lifecycle.streams import Output
from podcore.model import ContainerStatus
from podcore.monitor.logs import read_logs
from podcore.observe import stored, truth
from podcore.records import ContainerRecord


class Watcher:
    """Stands in for a ``Pump`` where nothing is sent."""

    detached = False

    def __init__(self, host: Host, record: ContainerRecord) -> None:
        self._host = host
        self._record = record
        self._since = time.time()

    def follow(self, output: Output, watched: Watched, deadline: Deadline) -> bool:
        """Hands out what is written until the container has ended; see ``Pump.follow``."""
        poll = select.poll()
        for descriptor in watched:
            poll.register(descriptor, select.POLLIN)
        late = False

        def over() -> bool:
            nonlocal late
            for descriptor, _ in poll.poll(0):
                watched[descriptor]()
            if self._ended():
                return True
            late = deadline.expired
            return late

        path = self._host.places.log(self._record.id)
        for entry in read_logs(path, follow=True, since=self._since, stop=over):
            output(entry.stream, entry.data if entry.partial else entry.data + b"\n")
        return not late

    def _ended(self) -> bool:
        try:
            now = truth(self._host, stored(self._host, self._record))
        except ContainerRemovedError:
            return True
        # Another incarnation is another container to who watches this one.
        return now.state is ContainerStatus.EXITED or now.incarnation != self._record.incarnation
