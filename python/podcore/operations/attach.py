"""Attaches to a container, and starts it then where that is wanted: nothing it writes is missed."""

import os
from collections.abc import Callable
from typing import Protocol

from podcore.backend import Host
from podcore.deadlines import Deadline
from podcore.errors import InvalidArgumentError
from podcore.lifecycle.attach import Attach, Attachment, attached
from podcore.lifecycle.pump import Watched
from podcore.lifecycle.streams import Output, write_all
from podcore.model import AttachResult
from podcore.operations import single
from podcore.operations.stop import check_timeout
from podcore.records import ContainerRecord


class HasDescriptor(Protocol):
    """A file, a socket or what else has a descriptor."""

    def fileno(self) -> int:
        """Returns the descriptor."""


class Sink:
    """Where what a container writes goes: to descriptors, a function, or into the result.

    Args:
        stdout, stderr: descriptors or what has one; None collects.
        on_output: takes all of it instead.
    """

    def __init__(
        self,
        stdout: int | HasDescriptor | None,
        stderr: int | HasDescriptor | None,
        on_output: Output | None,
    ) -> None:
        if on_output is not None and (stdout is not None or stderr is not None):
            raise InvalidArgumentError("on_output: excludes stdout and stderr")
        self._on_output = on_output
        self._targets = {
            "stdout": descriptor("stdout", stdout),
            "stderr": descriptor("stderr", stderr),
        }
        self._collected = {"stdout": bytearray(), "stderr": bytearray()}

    def write(self, stream: str, data: bytes) -> None:
        """Takes a piece."""
        target = self._targets[stream]
        if self._on_output is not None:
            self._on_output(stream, data)
        elif target is None:
            self._collected[stream] += data
        else:
            write_all(target, data)

    def result(self, exit_code: int | None, *, detached: bool) -> AttachResult:
        """Returns what came of it."""
        out, err = (bytes(self._collected[stream]) for stream in ("stdout", "stderr"))
        return AttachResult(exit_code, out, err, detached)


def descriptor(what: str, given: int | HasDescriptor | None) -> int | None:
    """Returns the number of a descriptor that is given as such or as a file.

    Raises:
        InvalidArgumentError: it is neither, or closed.
    """
    if given is None:
        return None
    try:
        number = given if isinstance(given, int) else given.fileno()
        os.fstat(number)
    except (AttributeError, ValueError, OSError, OverflowError) as error:
        message = f"{what}: `{given!r}` is no open file: {error}"
        raise InvalidArgumentError(message) from error
    return number


def _nothing(_attachment: Attachment) -> Watched:
    return {}


def attach(
    host: Host,
    which: ContainerRecord,
    wanted: Attach,
    sink: Sink,
    *,
    start: bool = False,
    begin: Callable[[Attachment], Watched] = _nothing,
    timeout: float | None = None,
) -> AttachResult:
    """Attaches to a container until it has ended.

    Args:
        host: of the engine.
        which: the container.
        wanted: what for.
        sink: takes what it writes, in the calling thread; what it raises ends the attachment, not
            the container.
        start: start it once the connection is there; one that runs already is fine.
        begin: is called between the two; returns descriptors, and what is to be done when one can
            be read.
        timeout: seconds; the container goes on after that.

    Raises:
        TimeoutError: it has not ended in time.
        ContainerStateError: it is not up, or can't be started.
        MonitorError: its monitor can't be attached to, died, or has let this client go.
        PodcoreError: as a start; the container is then as it was before.
    """
    deadline = Deadline.after(check_timeout(timeout))
    created = start and single.create(host, which)
    try:
        with attached(host, which, wanted) as attachment:
            watched = begin(attachment)
            if start:
                single.start(host, which)
                created = False
            if not attachment.follow(sink.write, watched, deadline):
                return sink.result(None, detached=True)
            return sink.result(attachment.exit_code(deadline), detached=False)
    except BaseException:
        if created:
            single.discard(host, which)
        raise
