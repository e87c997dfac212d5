"""Freezing the processes of a cgroup, in the freezer of cgroup v1 or in v2."""

import os
import select
import time
from dataclasses import dataclass

from podcore.deadlines import Deadline
from podcore.errors import ContainerStateError
from podcore.kernel import cgroupfs
from podcore.kernel.process import milliseconds

# v1 says FREEZING as long as something can't be frozen, often because it forks: thawing for a
# moment lets it get on (libcontainer/cgroups/fs/freezer.go, which tries a thousand times).
_THAW_EVERY = 50


class FreezeTimeout(ContainerStateError, TimeoutError):  # noqa: N818 - it is a TimeoutError
    """The processes of a cgroup could not be frozen in time; they have been thawed again.

    Attributes:
        path: the cgroup's directory.
    """

    def __init__(self, path: str, seconds: float) -> None:
        super().__init__(
            f"the processes in `{path}` could not be frozen within {seconds:g} s\n"
            "hint: one of them is stuck in the kernel (`ps -o pid,stat,wchan`), or they fork too fast",
            current="running",
            wanted=("paused",),
        )
        self.path = path


@dataclass(frozen=True, slots=True)
class FreezerV1:
    """The v1 freezer of one cgroup.

    Attributes:
        directory: the cgroup's in the hierarchy of the freezer.
    """

    directory: str

    def frozen(self) -> bool:
        """Says whether it is frozen, or about to be; a cgroup that is not there isn't."""
        try:
            return not cgroupfs.read(f"{self.directory}/freezer.state").startswith(b"THAWED")
        except OSError as error:
            if cgroupfs.is_gone(error):
                return False
            raise

    def freeze(self, timeout: float) -> None:
        """Freezes all processes in it and below.

        Raises:
            FreezeTimeout: not all of them by then; they run again.
            FileNotFoundError: there is no such cgroup.
        """
        deadline = Deadline.after(timeout)
        state = f"{self.directory}/freezer.state"
        attempt = 0
        while True:
            cgroupfs.write(state, b"FROZEN")
            if cgroupfs.read(state).startswith(b"FROZEN"):
                return
            attempt += 1
            if deadline.expired:
                cgroupfs.write(state, b"THAWED")
                raise FreezeTimeout(self.directory, timeout)
            if attempt % _THAW_EVERY == 0:
                cgroupfs.write(state, b"THAWED")
            time.sleep(min(0.0001 * attempt, 0.01))

    def thaw(self) -> None:
        """Lets all processes in it run; a cgroup that is not there is fine."""
        try:
            cgroupfs.write(f"{self.directory}/freezer.state", b"THAWED")
        except OSError as error:
            if not cgroupfs.is_gone(error):
                raise


@dataclass(frozen=True, slots=True)
class FreezerV2:
    """The v2 freezer of one cgroup.

    Attributes:
        directory: the cgroup's.
    """

    directory: str

    def frozen(self) -> bool:
        """Says whether all of its processes are frozen; a cgroup that is not there isn't."""
        try:
            return b"\nfrozen 1" in b"\n" + cgroupfs.read(f"{self.directory}/cgroup.events")
        except OSError as error:
            if cgroupfs.is_gone(error):
                return False
            raise

    def freeze(self, timeout: float) -> None:
        """Freezes all processes in it and below.

        Raises:
            FreezeTimeout: not all of them by then; they run again.
            FileNotFoundError: there is no such cgroup.
        """
        deadline = Deadline.after(timeout)
        cgroupfs.write(f"{self.directory}/cgroup.freeze", b"1")
        events = os.open(f"{self.directory}/cgroup.events", os.O_RDONLY | os.O_CLOEXEC)
        try:
            poll = select.poll()
            poll.register(events, select.POLLPRI)
            while b"\nfrozen 1" not in b"\n" + os.pread(events, 4096, 0):
                if deadline.expired:
                    self.thaw()
                    raise FreezeTimeout(self.directory, timeout)
                poll.poll(milliseconds(deadline))
        finally:
            os.close(events)

    def thaw(self) -> None:
        """Lets all processes in it run; a cgroup that is not there is fine."""
        try:
            cgroupfs.write(f"{self.directory}/cgroup.freeze", b"0")
        except OSError as error:
            if not cgroupfs.is_gone(error):
                raise
