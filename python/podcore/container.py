"""A container of a pod."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import os

    from podcore.engine import Engine
    from podcore.model import (
        AttachResult,
        ContainerInspect,
        ContainerStatus,
        ExecResult,
        Limits,
        LogEntry,
        ProcessInfo,
        Usage,
    )
    from podcore.operations.attach import HasDescriptor
    from podcore.records import ContainerRecord, PodRecord


class Container:
    """A handle on a container; made by ``Pod.create_container``, ``Pod.containers`` and others.

    Cheap, and safe to share between threads. Two handles of one engine on the same container are
    equal. What it tells is what is seen at that moment, never a memory.

    Once the container is removed, everything but ``id``, ``name``, ``pod_id`` and ``pod_name``
    raises ``ContainerRemovedError``. Verbs hold the pod's lock, shared, and the container's; both
    are waited for, 30 s at most (``LockTimeoutError``).
    """

    __slots__ = ("_engine", "_pod", "_record")

    def __init__(self, engine: "Engine", pod: "PodRecord", record: "ContainerRecord") -> None:
        self._engine = engine
        self._pod = pod
        self._record = record

    @property
    def id(self) -> str:
        """64 hexadecimal digits."""
        return self._record.id

    @property
    def name(self) -> str:
        """Unique in its pod; never changes."""
        return self._record.name

    @property
    def pod_id(self) -> str:
        """The id of its pod."""
        return self._record.pod_id

    @property
    def pod_name(self) -> str:
        """The name of its pod."""
        return self._pod.name

    @property
    def status(self) -> "ContainerStatus":
        """What it is doing, as it is seen now; takes no lock.

        Raises:
            ContainerRemovedError: it is gone.
        """
        return self._now().state

    @property
    def exit_code(self) -> int | None:
        """How it ended: 128 and the signal for one that was killed; takes no lock.

        None while it has not exited, and where nobody can know; ``inspect().reason`` says why.

        Raises:
            ContainerRemovedError: it is gone.
        """
        return self._now().exit_code

    @property
    def pid(self) -> int | None:
        """The host's pid of its process; None while it has none; takes no lock.

        Raises:
            ContainerRemovedError: it is gone.
        """
        return self.inspect().pid

    def start(self) -> None:
        """Starts it; one that runs already is fine.

        Raises:
            ContainerStateError: it is paused, or its process died before its command began.
            DependencyNotRunningError: something that it depends on does not run.
            OCIRuntimeError, MonitorError: it could not be created or started.
            CommandError: its command is not there or can't be executed.
        """
        from podcore.operations import single

        single.start(self._engine.host, self._record)

    def stop(self, timeout: float | None = None) -> None:
        """Stops it: its stop signal first, SIGKILL when its time is up; one that does not run is fine.

        What depends on it is left as it is.

        Args:
            timeout: seconds until SIGKILL; 0 kills at once, ``math.inf`` waits for ever; default:
                its own ``stop_timeout``.

        Raises:
            InvalidArgumentError: the timeout is negative.
            ContainerStateError: it is paused.
            StopTimeoutError: it is still there after SIGKILL.
        """
        from podcore.operations import single

        single.stop(self._engine.host, self._record, timeout)

    def restart(self, timeout: float | None = None) -> None:
        """Stops it and starts it again; one that does not run is started.

        Args:
            timeout: seconds until SIGKILL, see ``stop``.

        Raises:
            ContainerStateError: it is paused or unknown; nothing was touched.
            PodcoreError: as ``stop`` and ``start``.
        """
        from podcore.operations import single

        single.restart(self._engine.host, self._record, timeout)

    def kill(self, signal: str | int = "KILL") -> None:
        """Sends a signal to its process.

        Args:
            signal: ``SIGTERM``, ``TERM``, ``term``, ``15`` or ``RTMIN+3``, or a number from 1 to 64.

        Raises:
            InvalidArgumentError: there is no such signal; nothing was sent.
            ContainerStateError: it does not run.
        """
        from podcore.operations import single

        single.kill(self._engine.host, self._record, signal)

    def pause(self) -> None:
        """Freezes it; one that is paused is fine.

        Raises:
            ContainerStateError: it does not run.
        """
        from podcore.operations import single

        single.pause(self._engine.host, self._record)

    def unpause(self) -> None:
        """Lets it go on; one that runs is fine.

        Raises:
            ContainerStateError: it is not paused.
        """
        from podcore.operations import single

        single.unpause(self._engine.host, self._record)

    def wait(self, timeout: float | None = None) -> int | None:
        """Waits until it has exited; one that was never started is waited for too. Holds no lock.

        Args:
            timeout: seconds; None waits for ever.

        Returns:
            Its exit code; None when nobody can know it.

        Raises:
            TimeoutError: it had not exited in time.
            InvalidArgumentError: the timeout is negative.
        """
        from podcore.lifecycle.wait import wait
        from podcore.operations.stop import check_timeout

        return wait(self._engine.host, self._record, check_timeout(timeout))

    def logs(
        self,
        follow: bool = False,  # noqa: FBT001, FBT002 -- podman's word, given by name
        tail: int | None = None,
        since: float | None = None,
    ) -> "Iterator[LogEntry]":
        """Returns an iterator over what it has written, over all its restarts. Holds no lock.

        Args:
            follow: wait for more; ends once it has exited and all of it was read, or when it is
                removed. A ``restart`` does not end it.
            tail: only the last so many lines.
            since: seconds since the epoch; earlier entries are passed over.

        Raises:
            InvalidArgumentError: ``tail`` is negative.
            MonitorError: the log can't be read.
        """
        from podcore.operations.logs import logs

        return logs(self._engine.host, self._record, follow=follow, tail=tail, since=since)

    def exec(
        self,
        command: Sequence[str],
        timeout: float | None = None,
        env: Mapping[str, str] | None = None,
        user: str | None = None,
        cwd: str | None = None,
        stdin: bytes | None = None,
        terminal: bool = False,  # noqa: FBT001, FBT002 -- podman's word, given by name
        on_output: Callable[[str, bytes], object] | None = None,
    ) -> "ExecResult":
        """Runs another command in it and waits for it. Holds no lock meanwhile.

        Args:
            command: argv, looked up in the container's PATH.
            timeout: seconds; then the command and all that it started is killed. None for no end.
            env: variables added to those of the container.
            user: ``user[:group]``; default: the container's.
            cwd: default: the container's.
            stdin: what it reads; None for nothing.
            terminal: it gets a pseudo-terminal; all that it shows is ``stdout`` then.
            on_output: is called with ``stdout`` or ``stderr`` and a piece of what was written
                there as it comes, which the result then lacks; what it raises ends the command.

        Raises:
            InvalidArgumentError: a bad command or timeout.
            ContainerStateError: it does not run.
            CommandError: the command is not there (``.exit_code`` 127) or can't be executed (126).
            ExecTimeoutError: its time was up; has what it had written until then.
        """
        from podcore.lifecycle.exec import Exec, run
        from podcore.operations.stop import check_timeout

        wanted = Exec(
            command=command,
            env=env,
            user=user,
            cwd=cwd,
            terminal=terminal,
            timeout=check_timeout(timeout),
        )
        if terminal:
            from podcore.operations.terminal import run_in_terminal

            return run_in_terminal(self._engine.host, self._record, wanted, stdin, on_output)
        return run(self._engine.host, self._record, wanted, stdin, on_output)

    def attach(
        self,
        stdin: "bytes | int | HasDescriptor | None" = None,
        stdout: "int | HasDescriptor | None" = None,
        stderr: "int | HasDescriptor | None" = None,
        start: bool = False,  # noqa: FBT001, FBT002 -- podman's word, given by name
        timeout: float | None = None,
        on_output: Callable[[str, bytes], object] | None = None,
        detach_keys: str = "",
    ) -> "AttachResult":
        """Attaches to its own process until that has ended. Holds no lock meanwhile.

        It is read from all the while, so that neither a slow reader nor one that dies holds it up.

        Args:
            stdin: what it reads, where it was created with ``stdin`` or a terminal: bytes, or a
                file or descriptor that is read as there is something to be read. After that its
                stdin is at its end. None leaves its stdin alone.
            stdout: a file or descriptor that gets what it writes from now on; None collects it.
            stderr: likewise; a container with a terminal shows everything on its stdout.
            start: start it, once the connection is there: of one that does not run yet, nothing
                is missed.
            timeout: seconds; the container goes on after that. None for no end.
            on_output: is called with ``stdout`` or ``stderr`` and a piece of what was written
                there as it comes, instead; what it raises ends the attachment.
            detach_keys: what detaches when it is read from ``stdin``, such as ``ctrl-p,ctrl-q``.

        Raises:
            InvalidArgumentError: it has no stdin, or an argument is not acceptable.
            ContainerStateError: it is not up, and ``start`` was not given.
            TimeoutError: it has not ended in time.
            MonitorError: its monitor is gone, or dies meanwhile.
            PodcoreError: as ``start``; it is then as it was before.
        """
        from podcore.lifecycle.attach import Attach
        from podcore.operations.attach import Sink, attach, descriptor
        from podcore.operations.keys import parse_keys

        given = stdin if isinstance(stdin, bytes) else descriptor("stdin", stdin)
        wanted = Attach(stdin=given, keys=parse_keys(detach_keys))
        sink = Sink(stdout, stderr, on_output)
        return attach(self._engine.host, self._record, wanted, sink, start=start, timeout=timeout)

    def copy_in(
        self,
        source: "str | os.PathLike[str]",
        target: str,
        archive: bool = True,  # noqa: FBT001, FBT002 -- podman's word, given by name
    ) -> tuple[str, ...]:
        """Copies a file or a tree of the host into it, running or not; no link leads out of it.

        As podman does it: modes (set-user-id bits too), times, links, hard links within the copy,
        holes, FIFOs, the extended attributes ``user.*`` and file capabilities are kept; sockets
        and devices in a tree are left out. While it runs, what is mounted is where it sees it;
        otherwise a path in one of its volumes or binds goes to that. A file that is there is
        replaced as a whole, a directory is added to, a link at the end of the target is followed
        inside; so is one at the end of the source, on the host.

        Args:
            source: a path of the host; with ``/.`` at its end, what is in the directory.
            target: a path inside; an existing directory is copied into.
            archive: the copies belong to the container's user; False: to whom the sources belong.

        Returns:
            What was left out, and why, each as a sentence.

        Raises:
            InvalidArgumentError: one of them is missing or can't be copied.
            ContainerStateError: what the target lies in is read-only.
            UnsupportedError: it runs a bundle of the user's; or it has the profile ``strict``, the
                target lies in a tmpfs, and nobody but root can run this Python.
        """
        import os

        from podcore.lifecycle.copy import copy_in

        host = self._engine.host
        with host.session(f"copy into container {self.name}") as session:
            left = copy_in(host, session, self._record, os.fspath(source), target, archive=archive)
        return tuple(left)

    def copy_out(self, source: str, target: "str | os.PathLike[str]") -> tuple[str, ...]:
        """Copies a file or a tree of it to the host, running or not; no link leads out of it.

        As ``copy_in``, but the copies belong to the caller, set-user-id bits and file capabilities
        are dropped, and a link at the end of the target is replaced. File systems that the kernel
        makes up, such as /proc, are left out unless one is the source.

        Args:
            source: a path inside; with ``/.`` at its end, what is in the directory.
            target: a path of the host; an existing directory is copied into.

        Returns:
            What was left out, and why, each as a sentence.

        Raises:
            InvalidArgumentError: one of them is missing or can't be copied.
        """
        import os

        from podcore.lifecycle.copy import copy_out

        host = self._engine.host
        with host.session(f"copy out of container {self.name}") as session:
            left = copy_out(host, session, self._record, source, os.fspath(target))
        return tuple(left)

    # `Any`: the fields of `Limits`, of several types, checked there.
    def update(self, **limits: Any) -> "Limits":
        """Changes its limits, at once where it runs.

        Args:
            limits: the fields of ``Limits``; those that are left out stay as they are.

        Returns:
            The limits that hold now.

        Raises:
            InvalidArgumentError: a value is not acceptable; nothing was changed.
            UnsupportedError: this host has no such controller.
        """
        from podcore.lifecycle.update import update_container
        from podcore.operations.keywords import limits_of
        from podcore.operations.snapshot import pod_lock

        host, wanted = self._engine.host, limits_of(limits, "update")
        with pod_lock(host, self._pod, f"update container {self.name} of") as session:
            return update_container(host, session, self._record, wanted)

    def top(self) -> "list[ProcessInfo]":
        """Returns its processes, by ascending pid of this host; takes no lock.

        Raises:
            ContainerStateError: it does not run.
        """
        from podcore.operations.top import top

        return top(self._engine.host, self._record)

    def stats(self) -> "Usage":
        """Returns what it uses now; takes no lock."""
        from podcore.lifecycle.update import usage
        from podcore.operations.find import current

        host = self._engine.host
        return usage(host, current(host, self._record)[1].cgroup_path)

    # `Any`: ready for JSON.
    def security(self) -> dict[str, Any]:
        """Returns what it may do, and what its profile lacks of the default; takes no lock.

        Of one that was never started, what it will.
        """
        from podcore.operations.security import security

        return security(self._engine.host, self._record)

    def inspect(self) -> "ContainerInspect":
        """Returns all that is known of it, as it is seen now; takes no lock."""
        from podcore.operations.find import current
        from podcore.operations.status import inspect_container

        host = self._engine.host
        return inspect_container(host, *current(host, self._record))

    def remove(self, force: bool = False) -> None:  # noqa: FBT001, FBT002 -- podman's word
        """Removes it with all that it wrote; holds the pod's lock exclusively.

        Args:
            force: also while it runs or is paused; it is killed.

        Raises:
            ContainerStateError: others depend on it (also with ``force``), or it runs or is paused;
                nothing was changed.
            ContainerRemovedError: it is gone already.
        """
        from podcore.operations.remove import remove_container

        remove_container(self._engine.host, self._pod, self._record, force=force)

    def _now(self) -> "ContainerRecord":
        from podcore.operations.find import current
        from podcore.operations.status import true_records

        host = self._engine.host
        return true_records(host, (current(host, self._record)[1],))[0]

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Container):
            return NotImplemented
        return self._engine is other._engine and self.id == other.id

    def __hash__(self) -> int:
        return hash((id(self._engine), self._record.id))

    def __repr__(self) -> str:
        return f"<Container {self._pod.name}/{self.name} {self.id[:12]}>"
