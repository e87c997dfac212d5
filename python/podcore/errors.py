"""Every exception that podcore raises, in one tree.

PodcoreError
├─ InvalidArgumentError(ValueError)
│  └─ InvalidNameError
├─ GraphError(ValueError)                  .defects
│  ├─ DependencyCycleError                 .cycle
│  └─ UnknownDependencyError               .container .dependency
├─ NotFoundError(LookupError)
│  ├─ NoSuchPodError
│  ├─ NoSuchContainerError
│  ├─ NoSuchVolumeError
│  ├─ AmbiguousReferenceError              .matches
│  ├─ PodRemovedError
│  └─ ContainerRemovedError
├─ AlreadyExistsError
│  ├─ PodExistsError
│  ├─ ContainerExistsError
│  └─ VolumeExistsError
├─ ContainerStateError                     .current .wanted
│  ├─ StopTimeoutError(TimeoutError)       .pids
│  ├─ DependencyNotRunningError            .dependencies
│  └─ DependencyFailedError                .because
├─ VolumeInUseError                        .containers
├─ PartialFailureError(ExceptionGroup)     .errors .report
├─ LockError
│  ├─ LockTimeoutError(TimeoutError)       .holder .waited
│  ├─ LockOrderError
│  └─ UseAfterForkError
├─ CommandError                            .exit_code    a command that could not be run in a container
├─ ExecTimeoutError(TimeoutError)          .stdout .stderr
├─ OCIRuntimeError                         .argv .returncode .message
│  ├─ OCIRuntimeNotFoundError
│  ├─ OCIRuntimeTimeoutError(TimeoutError)
│  └─ OCIRuntimeProtocolError
├─ MonitorError
│  └─ MonitorProtocolError
├─ ResourceExhaustedError(OSError)
├─ UnsupportedError
├─ InternalError
└─ StoreError
   ├─ StoreBusyError
   ├─ StoreCorruptError
   ├─ StoreTooNewError
   └─ ReadOnlyStoreError

A message names the object in backticks and says what to do about it; a remedy stands on a line of
its own that begins with ``hint: ``.
"""

from __future__ import annotations

TYPE_CHECKING = False  # that of `typing`, whose import takes longer than all of this package's
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any, Self

    from podcore.report import Report


class PodcoreError(Exception):
    """The root of everything that podcore raises on purpose."""


class InvalidArgumentError(PodcoreError, ValueError):
    """A value is not acceptable; nothing was touched."""


class InvalidNameError(InvalidArgumentError):
    """A name or an id is malformed; nothing was touched."""


class GraphError(PodcoreError, ValueError):
    """The dependencies of a set of containers do not form a directed acyclic graph.

    Attributes:
        defects: every defect of the input in input order, this one included.
    """

    defects: tuple[GraphError, ...] = ()


class DependencyCycleError(GraphError):
    """Containers depend on each other in a circle; a container that depends on itself is one.

    Attributes:
        cycle: the closed simple path ``("a", "b", "a")``; each one depends on the next.
    """

    def __init__(self, message: str, cycle: Sequence[str] = ()) -> None:
        super().__init__(message)
        self.cycle = tuple(cycle)


class UnknownDependencyError(GraphError):
    """A container depends on one that is not in the same pod.

    Attributes:
        container: the one that declares the dependency.
        dependency: what it names.
    """

    def __init__(self, message: str, container: str = "", dependency: str = "") -> None:
        super().__init__(message)
        self.container = container
        self.dependency = dependency


class NotFoundError(PodcoreError, LookupError):
    """Nothing is known under that reference."""

    __str__ = Exception.__str__


class NoSuchPodError(NotFoundError):
    """No pod has that name, id or id prefix."""


class NoSuchContainerError(NotFoundError):
    """No container has that name, id or id prefix, or a pod has none to begin with."""


class NoSuchVolumeError(NotFoundError):
    """No volume has that name."""


class AmbiguousReferenceError(NotFoundError):
    """More than one object answers to that reference.

    Attributes:
        matches: the full ids of the objects that do, in order of creation.
    """

    def __init__(self, message: str, matches: Sequence[str] = ()) -> None:
        super().__init__(message)
        self.matches = tuple(matches)


class PodRemovedError(NotFoundError):
    """The pod behind this handle has been removed."""


class ContainerRemovedError(NotFoundError):
    """The container behind this handle has been removed."""


class AlreadyExistsError(PodcoreError):
    """That name is taken."""


class PodExistsError(AlreadyExistsError):
    """A pod of that name exists."""


class ContainerExistsError(AlreadyExistsError):
    """The pod has a container of that name."""


class VolumeExistsError(AlreadyExistsError):
    """A volume of that name exists."""


class ContainerStateError(PodcoreError):
    """A container is not in a state in which this can be done.

    Attributes:
        current: the state it is in.
        wanted: the states in which this works.
    """

    def __init__(self, message: str, current: str = "", wanted: Sequence[str] = ()) -> None:
        super().__init__(message)
        self.current = current
        self.wanted = tuple(wanted)


class StopTimeoutError(ContainerStateError, TimeoutError):
    """Processes of a container are still there after SIGKILL (uninterruptible sleep, most likely).

    Attributes:
        pids: the processes that are left.
    """

    def __init__(self, message: str, pids: Sequence[int] = ()) -> None:
        super().__init__(message, current="stopping", wanted=("exited",))
        self.pids = tuple(pids)


class DependencyNotRunningError(ContainerStateError):
    """A dependency is not running, so its dependent was not started.

    Attributes:
        dependencies: ids of those that are not running.
    """

    def __init__(self, message: str, dependencies: Sequence[str] = ()) -> None:
        super().__init__(message, wanted=("running",))
        self.dependencies = tuple(dependencies)


class DependencyFailedError(ContainerStateError):
    """A container was skipped because another one failed.

    Attributes:
        because: the id of the container that itself failed, never of a skipped one in between.
    """

    def __init__(self, message: str, because: str = "") -> None:
        super().__init__(message)
        self.because = because


class VolumeInUseError(PodcoreError):
    """Containers use this volume.

    Attributes:
        containers: their ids.
    """

    def __init__(self, message: str, containers: Sequence[str] = ()) -> None:
        super().__init__(message)
        self.containers = tuple(containers)


class PartialFailureError(PodcoreError, ExceptionGroup[Exception]):
    """Some containers of a batch did not reach the goal; the others did.

    Attributes:
        errors: the exception of each container that did not, by container id, in report order.
        report: the rows of all containers.
    """

    errors: Mapping[str, Exception]
    report: Report

    def __new__(cls, message: str, errors: Mapping[str, Exception], report: Report) -> Self:
        """Returns the group, which takes its exceptions from ``errors``."""
        self = super().__new__(cls, message, list(errors.values()))
        self.errors = dict(errors)
        self.report = report
        return self

    def __init__(self, message: str, errors: Mapping[str, Exception], report: Report) -> None:
        del report  # kept by ``__new__``
        super().__init__(message, list(errors.values()))

    def __reduce__(self) -> tuple[Any, ...]:
        """Returns what pickle needs: the message alone does not make one."""
        return type(self), (self.message, dict(self.errors), self.report)

    def derive(  # type: ignore[override]  # the overloads say the same for plain groups
        self, excs: Sequence[Any]
    ) -> ExceptionGroup[Exception]:
        """Returns a group of some of the exceptions, as ``split`` and ``subgroup`` ask for.

        Where nothing of it belongs to a container (a traceback filter, say), it is a plain group.
        """
        kept = {key: error for key, error in self.errors.items() if any(e is error for e in excs)}
        if len(kept) != len(excs):
            return ExceptionGroup(self.message, excs)
        return PartialFailureError(self.message, kept, self.report)


class LockError(PodcoreError):
    """A lock could not be taken or kept."""


class LockTimeoutError(LockError, TimeoutError):
    """A lock was not free before the deadline.

    Attributes:
        holder: what the holder wrote about itself (pid, operation, since), or None; never trusted.
        waited: seconds.
    """

    def __init__(
        self, message: str, holder: Mapping[str, Any] | None = None, waited: float = 0.0
    ) -> None:
        super().__init__(message)
        self.holder = holder
        self.waited = waited


class LockOrderError(LockError):
    """Locks were asked for out of their global order, which could deadlock: a bug of the caller."""


class UseAfterForkError(LockError):
    """An object made before a fork was used in the child."""


class CommandError(PodcoreError):
    """A command could not be run in a container.

    Attributes:
        exit_code: 127 when it was not found, 126 when it could not be executed.
    """

    def __init__(self, message: str, exit_code: int = 126) -> None:
        super().__init__(message)
        self.exit_code = exit_code


class ExecTimeoutError(PodcoreError, TimeoutError):
    """An exec'ed command was killed, with all its children, because its time was up.

    Attributes:
        stdout: what it had written until then.
        stderr: likewise.
    """

    def __init__(self, message: str, stdout: bytes = b"", stderr: bytes = b"") -> None:
        super().__init__(message)
        self.stdout = stdout
        self.stderr = stderr


class OCIRuntimeError(PodcoreError):
    """An OCI runtime did not do what it was asked for.

    Attributes:
        argv: the command line.
        returncode: its exit status, None when it did not come to that.
        message: what it logged.
    """

    def __init__(
        self,
        message: str,
        argv: Sequence[str] = (),
        returncode: int | None = None,
        detail: str = "",
    ) -> None:
        super().__init__(message)
        self.argv = tuple(argv)
        self.returncode = returncode
        self.message = detail or message


class OCIRuntimeNotFoundError(OCIRuntimeError):
    """There is no such OCI runtime on this host, or none at all."""


class OCIRuntimeTimeoutError(OCIRuntimeError, TimeoutError):
    """An OCI runtime did not finish before its deadline; it was killed."""


class OCIRuntimeProtocolError(OCIRuntimeError):
    """An OCI runtime answered something that the OCI specification does not allow."""


class MonitorError(PodcoreError):
    """The monitor (conmon) is missing or failed."""


class MonitorProtocolError(MonitorError):
    """The monitor answered something that its protocol does not allow."""


class ResourceExhaustedError(PodcoreError, OSError):
    """The host is out of something: space, inodes, descriptors, processes or memory.

    ``errno`` is that of the call that failed.
    """

    def __init__(self, message: str, errno: int | None = None) -> None:
        super().__init__(message)
        self.errno = errno


class UnsupportedError(PodcoreError):
    """This host or this runtime can't do that; the message says what is missing."""


class InternalError(PodcoreError):
    """A bug of podcore, a panic of its Rust core included."""


class StoreError(PodcoreError):
    """The state store could not do what it was asked for."""


class StoreBusyError(StoreError):
    """Another program holds the database's write lock for too long."""


class StoreCorruptError(StoreError):
    """The database is damaged.

    hint: ``podcore system check --repair``
    """


class StoreTooNewError(StoreError):
    """The database was written by a newer podcore."""


class ReadOnlyStoreError(StoreError):
    """The state directory can't be written."""
