"""The command line of an OCI runtime, as far as runc and crun have it in common.

Every call has a deadline and a log of its own message. Success is what the exit status says here;
whoever must be sure looks at what happened (a runtime may fail after it has done its work, and some
report success for what they ignored).
"""

import json
import os
import re
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from podcore import runtime_log
from podcore.errors import (
    InvalidNameError,
    OCIRuntimeError,
    OCIRuntimeNotFoundError,
    OCIRuntimeProtocolError,
    OCIRuntimeTimeoutError,
)
from podcore.kernel import command, exhaustion
from podcore.kernel.files import remove_tree

_ID = re.compile(r"[0-9a-f]{64}")
_STATES = ("creating", "created", "running", "paused", "stopped")
_MAX_PID = 1 << 22  # PID_MAX_LIMIT of the kernel


@dataclass(frozen=True, slots=True)
class RuntimeState:
    """What a runtime knows of a container.

    Attributes:
        status: ``creating``, ``created``, ``running``, ``paused`` or ``stopped``.
        pid: of its process, in the engine's pid namespace; None when it has none any more.
    """

    status: str
    pid: int | None


class OCIRuntime(ABC):
    """An OCI runtime of this host, with a state directory of podcore's own.

    Ids are checked before anything is run or removed: crun takes ``..`` for one and deletes it.

    Attributes:
        name: ``runc`` or ``crun``.
        path: absolute.
        root: what ``--root`` gets.
    """

    name: str

    def __init__(self, path: str, root: str) -> None:
        self.path = path
        self.root = root

    @property
    def program(self) -> str:
        """What is executed: ``path``, or what does the same in less time while this process lives."""
        return self.path

    @cached_property
    def version(self) -> str:
        """Its version, such as ``1.1.5+ds1``; asked once.

        Raises:
            OCIRuntimeError: it does not run, or is something else.
        """
        name, version = identify(self.path)
        if name != self.name:
            raise OCIRuntimeProtocolError(
                f"the OCI runtime `{self.path}` says that it is `{name}`, not `{self.name}`"
            )
        return version

    def arguments(self, log: str) -> list[str]:
        """Returns the arguments that stand before every verb.

        Args:
            log: the file that gets its messages.
        """
        return ["--root", self.root, "--log", log, "--log-format", "json"]

    def start(self, container_id: str, *, log: str, timeout: float = 30.0) -> None:
        """Lets the process of a created container run the container's command.

        Raises:
            OCIRuntimeError: it said that it could not; it may have, so look.
            OCIRuntimeTimeoutError: it was killed at the deadline.
        """
        self._act("start", (), container_id, (), log, timeout)

    def kill(self, container_id: str, signum: int, *, log: str, timeout: float = 10.0) -> None:
        """Sends a signal to the container's process, by way of the runtime.

        Raises:
            OCIRuntimeError: it said that it could not.
            OCIRuntimeTimeoutError: it was killed at the deadline.
        """
        self._act("kill", (), container_id, (str(signum),), log, timeout)

    def pause(self, container_id: str, *, log: str, timeout: float = 30.0) -> None:
        """Freezes all processes of the container.

        Raises:
            OCIRuntimeError: it said that it could not.
            OCIRuntimeTimeoutError: it was killed at the deadline.
        """
        self._act("pause", (), container_id, (), log, timeout)

    def resume(self, container_id: str, *, log: str, timeout: float = 30.0) -> None:
        """Thaws them.

        Raises:
            OCIRuntimeError: it said that it could not.
            OCIRuntimeTimeoutError: it was killed at the deadline.
        """
        self._act("resume", (), container_id, (), log, timeout)

    def delete(
        self, container_id: str, *, force: bool = False, log: str, timeout: float = 30.0
    ) -> None:
        """Makes the runtime forget a container and remove what it made on the host.

        Args:
            container_id: one that is unknown is an error, unless forced.
            force: kill it first when it still runs. A runtime reports success for a forced delete
                also where processes are left, so whoever forces looks at the cgroup.
            log: gets the messages.
            timeout: seconds.

        Raises:
            OCIRuntimeError: it said that it could not.
            OCIRuntimeTimeoutError: it was killed at the deadline.
        """
        self._act("delete", ("--force",) if force else (), container_id, (), log, timeout)

    def state(self, container_id: str, *, log: str, timeout: float = 10.0) -> RuntimeState | None:
        """Returns what the runtime knows of a container, None when it doesn't know it.

        Raises:
            OCIRuntimeError: it knows it and can't say, its file being damaged for example.
            OCIRuntimeProtocolError: its answer makes no sense.
            OCIRuntimeTimeoutError: it was killed at the deadline.
        """
        state_file = f"{self.state_directory(container_id)}/{self.state_file}"
        # Both runtimes report an unknown id by a message alone; its file says the same.
        if not os.path.lexists(state_file):
            return None
        try:
            done = self._act("state", (), container_id, (), log, timeout)
        except OCIRuntimeTimeoutError:
            raise
        except OCIRuntimeError:
            if not os.path.lexists(state_file):
                return None
            raise
        return _parse_state(done, container_id)

    def exec_arguments(
        self,
        container_id: str,
        *,
        process_file: str,
        pid_file: str,
        cgroup: str | None = None,
        detach: bool = False,
        log: str,
    ) -> list[str]:
        """Returns the whole command line, ``path`` first, that runs a process in a container.

        Args:
            container_id: a running container.
            process_file: an OCI process object as JSON.
            pid_file: gets the pid of the new process; a path that was never used before.
            cgroup: an existing cgroup for it, below the container's.
            detach: don't wait for its end.
            log: gets the messages.
        """
        self._check(container_id)
        argv = [self.path, *self.arguments(log), "exec"]
        argv += ["--process", process_file, "--pid-file", pid_file]
        if cgroup is not None:
            argv += ["--cgroup", cgroup]
        if detach:
            argv.append("--detach")
        return [*argv, "--", container_id]

    def state_directory(self, container_id: str) -> str:
        """Returns where the runtime keeps what it knows of a container."""
        self._check(container_id)
        return f"{self.root}/{container_id}"

    def purge(self, container_id: str) -> None:
        """Removes what the runtime knows of a container, where its own ``delete`` can't.

        Its processes, cgroups and mounts must be gone already. A missing directory is fine.

        Raises:
            OSError: it could not be removed.
        """
        remove_tree(self.state_directory(container_id))

    @property
    @abstractmethod
    def state_file(self) -> str:
        """The name of the file without which the runtime does not know a container."""

    @abstractmethod
    def unusable_here(self) -> str:
        """Says why this runtime can't run containers on this host; empty when it can."""

    def _check(self, container_id: str) -> None:
        if _ID.fullmatch(container_id) is None:
            raise InvalidNameError(f"`{container_id}` is not the id of a container")

    def _act(
        self,
        verb: str,
        options: Sequence[str],
        container_id: str,
        operands: Sequence[str],
        log: str,
        timeout: float,
    ) -> command.Finished:
        self._check(container_id)
        argv = [self.path, *self.arguments(log), verb, *options, "--", container_id, *operands]
        before = runtime_log.size(log)
        try:
            done = run(argv, timeout, self.program)
        except OCIRuntimeTimeoutError as error:
            message = f"could not {verb} container `{container_id[:12]}`: {error}"
            raise OCIRuntimeTimeoutError(message, argv) from error
        if done.returncode != 0:
            said = runtime_log.last_error(log, before) or _text(done.stderr)
            raise OCIRuntimeError(
                runtime_log.worded(said, container_id[:12], verb), argv, done.returncode, said
            )
        return done


def run(argv: Sequence[str], timeout: float, executable: str | None = None) -> command.Finished:
    """Runs a runtime with a deadline; ``executable`` is a runtime's ``program``.

    Raises:
        OCIRuntimeNotFoundError: the program is not there any more.
        OCIRuntimeTimeoutError: it was killed at the deadline.
        OCIRuntimeError: it can't be executed.
        ResourceExhaustedError: out of processes, descriptors or memory.
    """
    try:
        return command.run(argv, timeout=timeout, executable=executable)
    except command.CommandTimeout as error:
        raise OCIRuntimeTimeoutError(
            f"the OCI runtime `{argv[0]}` did not finish within {timeout:g} s and was killed", argv
        ) from error
    except FileNotFoundError as error:
        raise OCIRuntimeNotFoundError(
            f"the OCI runtime `{argv[0]}` is not there any more\nhint: install it again; "
            "a container keeps the runtime that it was made with",
            argv,
        ) from error
    except OSError as error:
        if known := exhaustion.typed(error, f"run `{argv[0]}`"):
            raise known from error
        raise OCIRuntimeError(f"the OCI runtime `{argv[0]}` can't be run: {error}", argv) from error


def identify(path: str) -> tuple[str, str]:
    """Returns the name and the version that a runtime gives itself.

    Raises:
        OCIRuntimeError: it does not run.
        OCIRuntimeProtocolError: it does not say.
    """
    done = run([path, "--version"], 10.0)
    known = re.match(rb"(\w+) version (\S+)", done.stdout)
    if done.returncode != 0 or known is None:
        raise OCIRuntimeProtocolError(
            f"`{path}` does not answer `--version` as an OCI runtime does\n"
            "hint: podcore works with runc and crun; name one of them, or its path",
            done.argv,
            done.returncode,
        )
    return _text(known[1]), _text(known[2])


def _text(data: bytes) -> str:
    return data[-4096:].decode("utf-8", "replace").strip()


def _parse_state(done: command.Finished, container_id: str) -> RuntimeState:
    try:
        said = json.loads(done.stdout)
    except (ValueError, RecursionError):
        said = None
    if isinstance(said, dict) and said.get("id") == container_id:
        status, pid = said.get("status"), said.get("pid", 0)
        if status in _STATES and type(pid) is int and 0 <= pid <= _MAX_PID:
            return RuntimeState(status, pid or None)
    shown = _text(done.stdout[:200])
    raise OCIRuntimeProtocolError(
        f"the OCI runtime `{done.argv[0]}` gave `{shown!r}` as the state of `{container_id[:12]}`",
        done.argv,
        done.returncode,
    )
