"""A pod: containers that start in dependency order and stop in reverse."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from podcore.container import Container
    from podcore.engine import Engine
    from podcore.model import (
        ContainerSpec,
        ContainerStatus,
        Limits,
        PodInspect,
        PodStatus,
        ProcessInfo,
        Usage,
    )
    from podcore.records import PodRecord
    from podcore.report import Report

    Progress = Callable[[str, str, str], None]


class Pod:
    """A handle on a pod; made by ``Engine.create_pod``, ``Engine.pod`` and ``Engine.pods``.

    Cheap, and safe to share between threads. Two handles of one engine on the same pod are equal.

    The batch verbs (``start``, ``stop``, ``pause``, ``unpause``, ``restart``, ``kill``,
    ``remove``) treat each container independently and share one contract (libpod's ``pod_api.go``,
    its defects apart):

    * what is refused before any container was touched raises a specific error;
    * where some containers failed, ``PartialFailureError`` is raised, with ``.errors`` by container
      id and ``.report``; a container that was skipped because another one failed has a
      ``DependencyFailedError`` there whose ``.because`` is the one that itself failed;
    * otherwise a ``Report`` with a row for each container is returned.

    All are idempotent, and on a removed pod all raise ``PodRemovedError``. They hold the pod's lock,
    shared, so that verbs go on side by side while membership can't change; only ``remove`` and the
    making of containers hold it exclusively. ``LockTimeoutError`` is raised after 30 s of waiting.
    """

    __slots__ = ("_engine", "_record")

    def __init__(self, engine: "Engine", record: "PodRecord") -> None:
        self._engine = engine
        self._record = record

    @property
    def id(self) -> str:
        """64 hexadecimal digits."""
        return self._record.id

    @property
    def name(self) -> str:
        """Unique in the engine; never changes."""
        return self._record.name

    @property
    def state(self) -> "PodStatus":
        """What the states of its containers add up to, as they are seen now; takes no lock.

        Raises:
            PodRemovedError: it is gone.
        """
        from podcore.operations.status import state

        return state(self._engine.host, self._record)

    # `Any`: the fields of `ContainerSpec`, of many types, checked there.
    def create_container(self, name: str | None = None, **fields: Any) -> "Container":
        """Makes a container, which is not started.

        The one-element form of ``create_containers``. Holds the pod's lock exclusively.

        Args:
            name: unique in the pod, 1 to 128 of ``a-zA-Z0-9_.-``; generated when None.
            fields: the fields of ``ContainerSpec`` (``rootfs=``, ``command=``, ``depends_on=`` and
                others) and of ``Limits`` (``memory=``, ``cpus=`` and others).

        Raises:
            InvalidArgumentError: something is not acceptable; nothing was touched, as with all of
                these.
            ContainerExistsError: the name is taken.
            UnknownDependencyError: it depends on what is not in this pod.
            DependencyCycleError: it depends on itself.
            OCIRuntimeNotFoundError: there is no such runtime.
            PodRemovedError: the pod is gone.
            TypeError: there is no such field.
        """
        from podcore.operations.keywords import spec_of

        return self.create_containers([spec_of(name, fields)])[0]

    def create_containers(self, specs: "Iterable[ContainerSpec]") -> "list[Container]":
        """Makes containers in one transaction: all of them or none.

        They may depend on each other in any order. Holds the pod's lock exclusively.

        Returns:
            Their handles, in the order of ``specs``.

        Raises:
            GraphError: a dependency is unknown or there is a cycle; ``.defects`` has all of them.
            PodcoreError: as ``create_container``.
        """
        from podcore.container import Container
        from podcore.operations.create import create_containers

        records = create_containers(self._engine.host, self._record, list(specs))
        return [Container(self._engine, self._record, record) for record in records]

    def containers(self) -> "list[Container]":
        """Returns its containers in order of creation, the infra container apart; takes no lock.

        Raises:
            PodRemovedError: it is gone.
        """
        from podcore.container import Container
        from podcore.operations.snapshot import snapshot

        taken = snapshot(self._engine.host, self._record)
        return [Container(self._engine, taken.pod, record) for record in taken.members]

    def container(self, reference: str) -> "Container":
        """Returns one of its containers; takes no lock.

        Args:
            reference: its name, its id, or the beginning of its id that no other has.

        Raises:
            InvalidNameError: it is malformed.
            NoSuchContainerError: nothing in this pod answers to it.
            AmbiguousReferenceError: more than one does.
        """
        from podcore.container import Container
        from podcore.operations.find import member

        record = member(self._engine.host, self._record, reference)
        return Container(self._engine, self._record, record)

    def start(self, progress: "Progress | None" = None) -> "Report":
        """Starts all containers, dependencies first and independent ones in parallel.

        Running and paused containers are ignored. A failure skips all that depend on the container
        that failed, and nothing else.

        Args:
            progress: called with (container id, name, what it is doing), from any thread; what it
                asks of this pod's containers itself raises ``LockOrderError``, or waits for long.

        Raises:
            NoSuchContainerError: the pod has no containers.
            PartialFailureError: some failed or were skipped. See ``Pod`` for all verbs.
        """
        from podcore.operations.start import start_pod

        return start_pod(self._engine.host, self._record, progress)

    def stop(
        self,
        cleanup: bool = False,  # noqa: FBT001, FBT002 -- libpod's word, given by name
        timeout: float | None = None,
        progress: "Progress | None" = None,
    ) -> "Report":
        """Stops the running containers, dependents first.

        Each gets its stop signal and, when its time is up, SIGKILL; how it ended is recorded.
        Paused containers and those that do not run are ignored.

        Args:
            cleanup: also release what they have on the host: mounts and the runtime's own state.
            timeout: seconds until SIGKILL, for all of them; 0 kills at once, ``math.inf`` waits for
                ever; default: each container's own ``stop_timeout``.
            progress: called with (container id, name, what it is doing), from any thread; what it
                asks of this pod's containers itself raises ``LockOrderError``, or waits for long.

        Raises:
            InvalidArgumentError: the timeout is negative; nothing was touched.
            PartialFailureError: some could not be stopped; what they depend on was left running.
                See ``Pod`` for all verbs.
        """
        from podcore.operations.stop import stop_pod

        return stop_pod(
            self._engine.host, self._record, cleanup=cleanup, timeout=timeout, progress=progress
        )

    def pause(self) -> "Report":
        """Freezes the running containers; all others are ignored.

        Raises:
            PartialFailureError: some could not be frozen. See ``Pod`` for all verbs.
        """
        from podcore.operations.simple import pause_pod

        return pause_pod(self._engine.host, self._record)

    def unpause(self) -> "Report":
        """Thaws the paused containers; all others are ignored.

        Raises:
            PartialFailureError: some could not be thawed. See ``Pod`` for all verbs.
        """
        from podcore.operations.simple import unpause_pod

        return unpause_pod(self._engine.host, self._record)

    def restart(self, timeout: float | None = None, progress: "Progress | None" = None) -> "Report":
        """Stops the containers in reverse order, then starts them in order.

        Paused and unknown containers are ignored; one that was never started is started.

        Args:
            timeout: seconds until SIGKILL, see ``stop``.
            progress: called with (container id, name, what it is doing), from any thread; what it
                asks of this pod's containers itself raises ``LockOrderError``, or waits for long.

        Raises:
            InvalidArgumentError: the timeout is negative; nothing was touched.
            NoSuchContainerError: the pod has no containers.
            PartialFailureError: some failed or were skipped. See ``Pod`` for all verbs.
        """
        from podcore.operations.restart import restart_pod

        return restart_pod(self._engine.host, self._record, timeout=timeout, progress=progress)

    def kill(self, signal: str | int = "KILL") -> "Report":
        """Sends a signal to the running containers; all others are ignored.

        Args:
            signal: ``SIGTERM``, ``TERM``, ``term``, ``15`` or ``RTMIN+3``, or a number from 1 to 64.

        Raises:
            InvalidArgumentError: there is no such signal; nothing was sent.
            PartialFailureError: some could not be signalled. See ``Pod`` for all verbs.
        """
        from podcore.operations.simple import kill_pod

        return kill_pod(self._engine.host, self._record, signal)

    def status(self) -> "dict[str, ContainerStatus]":
        """Returns the state of each container by id, in order of creation, as it is seen now.

        Takes no lock and runs no program; one that can't be read is ``unknown``.

        Raises:
            PodRemovedError: it is gone.
        """
        from podcore.operations.status import status

        return status(self._engine.host, self._record)

    def inspect(self) -> "PodInspect":
        """Returns all that is known of the pod, its containers sorted by id; takes no lock.

        Raises:
            PodRemovedError: it is gone.
        """
        from podcore.operations.status import inspect_pod

        return inspect_pod(self._engine.host, self._record)

    # `Any`: the fields of `Limits`, of several types, checked there.
    def update(self, **limits: Any) -> "Limits":
        """Changes the limits of all its containers together, at once; holds the pod's lock.

        Args:
            limits: the fields of ``Limits``; those that are left out stay as they are.

        Returns:
            The limits that hold now.

        Raises:
            InvalidArgumentError: a value is not acceptable; nothing was changed.
            UnsupportedError: this host has no such controller.
            PodRemovedError: it is gone.
        """
        from podcore.lifecycle.update import update_pod
        from podcore.operations.keywords import limits_of
        from podcore.operations.snapshot import pod_lock, snapshot

        host, wanted = self._engine.host, limits_of(limits, "update")
        with pod_lock(host, self._record, "update", exclusive=True) as session:
            return update_pod(host, session, snapshot(host, self._record).pod, wanted).limits

    def top(self) -> "list[ProcessInfo]":
        """Returns the processes of those of its containers that run; takes no lock.

        In the order of the containers' creation, and by ascending pid of this host.

        Raises:
            ContainerStateError: none runs.
            PodRemovedError: it is gone.
        """
        from podcore.operations.top import top_of_pod

        return top_of_pod(self._engine.host, self._record)

    def stats(self) -> "Usage":
        """Returns what all its containers use now; takes no lock.

        Raises:
            PodRemovedError: it is gone.
        """
        from podcore.lifecycle.update import usage
        from podcore.operations.snapshot import snapshot

        host = self._engine.host
        return usage(host, snapshot(host, self._record).pod.cgroup_path)

    def remove(self, force: bool = False) -> "Report":  # noqa: FBT001, FBT002 -- podman's word
        """Removes the pod and all its containers, dependents first.

        What a crash interrupts is finished by the next ``remove``. Holds the pod's lock exclusively.

        Args:
            force: also running and paused containers, which are killed.

        Raises:
            ContainerStateError: a container runs or is paused; nothing was changed.
            PartialFailureError: some containers could not be removed; the pod is still there.
            PodRemovedError: it is gone already.
        """
        from podcore.operations.remove import remove_pod

        return remove_pod(self._engine.host, self._record, force=force)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Pod):
            return NotImplemented
        return self._engine is other._engine and self.id == other.id

    def __hash__(self) -> int:
        return hash((id(self._engine), self._record.id))

    def __repr__(self) -> str:
        return f"<Pod {self.name} {self.id[:12]}>"
