"""A container engine for pods: groups of OCI containers that start in dependency order.

Directly on OCI runtimes (runc, crun), without a daemon::

    with podcore.Engine() as engine:
        pod = engine.create_pod("web")
        pod.create_container("db", rootfs="/srv/db", command=["/bin/db"])
        pod.create_container("api", rootfs="/srv/api", command=["/bin/api"], depends_on=["db"])
        pod.start()

Names are imported when they are first used, so that importing the package costs little.
"""

TYPE_CHECKING = False  # that of `typing`, whose import takes longer than all of this package's
if TYPE_CHECKING:
    from podcore._core import (
        DependencyGraph,
        LockGuard,
        LockSession,
        LockTable,
        Traversal,
    )
    from podcore.container import Container
    from podcore.engine import Engine
    from podcore.errors import (
        AlreadyExistsError,
        AmbiguousReferenceError,
        CommandError,
        ContainerExistsError,
        ContainerRemovedError,
        ContainerStateError,
        DependencyCycleError,
        DependencyFailedError,
        DependencyNotRunningError,
        ExecTimeoutError,
        GraphError,
        InternalError,
        InvalidArgumentError,
        InvalidNameError,
        LockError,
        LockOrderError,
        LockTimeoutError,
        MonitorError,
        MonitorProtocolError,
        NoSuchContainerError,
        NoSuchPodError,
        NoSuchVolumeError,
        NotFoundError,
        OCIRuntimeError,
        OCIRuntimeNotFoundError,
        OCIRuntimeProtocolError,
        OCIRuntimeTimeoutError,
        PartialFailureError,
        PodcoreError,
        PodExistsError,
        PodRemovedError,
        ReadOnlyStoreError,
        ResourceExhaustedError,
        StopTimeoutError,
        StoreBusyError,
        StoreCorruptError,
        StoreError,
        StoreTooNewError,
        UnknownDependencyError,
        UnsupportedError,
        UseAfterForkError,
        VolumeExistsError,
        VolumeInUseError,
    )
    from podcore.model import (
        AttachResult,
        ContainerInspect,
        ContainerKind,
        ContainerSpec,
        ContainerStatus,
        ContainerSummary,
        ExecResult,
        Finding,
        Limits,
        LogEntry,
        Mount,
        PodInspect,
        PodMember,
        PodSpec,
        PodStatus,
        ProcessInfo,
        Profile,
        RootfsMode,
        Usage,
        Volume,
    )
    from podcore.pod import Pod
    from podcore.report import Outcome, Report, ReportRow
    from podcore.volumes import Volumes

    __version__: str

__all__ = [
    "AlreadyExistsError",
    "AmbiguousReferenceError",
    "AttachResult",
    "CommandError",
    "Container",
    "ContainerExistsError",
    "ContainerInspect",
    "ContainerKind",
    "ContainerRemovedError",
    "ContainerSpec",
    "ContainerStateError",
    "ContainerStatus",
    "ContainerSummary",
    "DependencyCycleError",
    "DependencyFailedError",
    "DependencyGraph",
    "DependencyNotRunningError",
    "Engine",
    "ExecResult",
    "ExecTimeoutError",
    "Finding",
    "GraphError",
    "InternalError",
    "InvalidArgumentError",
    "InvalidNameError",
    "Limits",
    "LockError",
    "LockGuard",
    "LockOrderError",
    "LockSession",
    "LockTable",
    "LockTimeoutError",
    "LogEntry",
    "MonitorError",
    "MonitorProtocolError",
    "Mount",
    "NoSuchContainerError",
    "NoSuchPodError",
    "NoSuchVolumeError",
    "NotFoundError",
    "OCIRuntimeError",
    "OCIRuntimeNotFoundError",
    "OCIRuntimeProtocolError",
    "OCIRuntimeTimeoutError",
    "Outcome",
    "PartialFailureError",
    "Pod",
    "PodExistsError",
    "PodInspect",
    "PodMember",
    "PodRemovedError",
    "PodSpec",
    "PodStatus",
    "PodcoreError",
    "ProcessInfo",
    "Profile",
    "ReadOnlyStoreError",
    "Report",
    "ReportRow",
    "ResourceExhaustedError",
    "RootfsMode",
    "StopTimeoutError",
    "StoreBusyError",
    "StoreCorruptError",
    "StoreError",
    "StoreTooNewError",
    "Traversal",
    "UnknownDependencyError",
    "UnsupportedError",
    "Usage",
    "UseAfterForkError",
    "Volume",
    "VolumeExistsError",
    "VolumeInUseError",
    "Volumes",
    "__version__",
]

_HOMES = {
    "Container": "container",
    "DependencyGraph": "_core",
    "Engine": "engine",
    "LockGuard": "_core",
    "LockSession": "_core",
    "LockTable": "_core",
    "Outcome": "report",
    "Pod": "pod",
    "Report": "report",
    "ReportRow": "report",
    "Traversal": "_core",
    "Volumes": "volumes",
    "__version__": "_core",
}


def __getattr__(name: str) -> object:
    if name in __all__:
        from importlib import import_module

        home = _HOMES.get(name) or ("errors" if name.endswith("Error") else "model")
        value: object = getattr(import_module(f"podcore.{home}"), name)
    elif name == "errors":
        from importlib import import_module

        value = import_module("podcore.errors")
    else:
        raise AttributeError(f"module 'podcore' has no attribute {name!r}")
    globals()[name] = value  # the next look-up does not come here
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
