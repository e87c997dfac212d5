"""Runs another command in a running container, with a deadline for all that it starts.

Each command gets a cgroup of its own below the container's, so that a timeout ends its whole tree
and nothing else. No lock is held while it runs: a stop or a removal ends it like any other process
of the container.
"""

import json
import os
import secrets
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import NoReturn

from podcore import bundle
from podcore._core import open_in_root
from podcore.backend import Host
from podcore.deadlines import Deadline
from podcore.errors import (
    CommandError,
    ContainerRemovedError,
    ContainerStateError,
    ExecTimeoutError,
    InvalidArgumentError,
    OCIRuntimeError,
)
from podcore.kernel import command as programs
from podcore.kernel.cgroup import Cgroup
from podcore.kernel.files import make_directory, remove_tree, write_atomic
from podcore.lifecycle.held import hold
from podcore.lifecycle.relay import relayed
from podcore.lifecycle.streams import Collected, Output, collect
from podcore.model import ContainerStatus, ExecResult
from podcore.names import short
from podcore.observe import stored, truth
from podcore.places import EXEC
from podcore.records import ContainerRecord
from podcore.runtime_log import last_error

KILL_PATIENCE = 5.0
"""Seconds until SIGKILL must have ended a command whose time is up."""

NOT_FOUND = 127
NOT_EXECUTABLE = 126

_REMEDY = {
    ContainerStatus.CONFIGURED: "start it first",
    ContainerStatus.CREATED: "start it first",
    ContainerStatus.EXITED: "start it first",
    ContainerStatus.PAUSED: "unpause it first",
    ContainerStatus.REMOVING: "`podcore rm --force` finishes that",
    ContainerStatus.UNKNOWN: "`podcore system check` says what is wrong",
}
"""What must be done before a command can be run in a container of that state."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Exec:
    """What is to be run.

    Attributes:
        command: argv; looked up in the container's PATH.
        env: variables added to the container's own.
        user: ``user[:group]``; None for the container's.
        cwd: None for the container's.
        terminal: it gets a pseudo-terminal; see ``exec_terminal``.
        size: lines and columns of that; None for the runtime's choice.
        timeout: seconds; None for no end.
    """

    command: Sequence[str]
    env: Mapping[str, str] | None = None
    user: str | None = None
    cwd: str | None = None
    terminal: bool = False
    size: tuple[int, int] | None = None
    timeout: float | None = None


def run(
    host: Host,
    which: ContainerRecord,
    wanted: Exec,
    stdin: bytes | None = None,
    output: Output | None = None,
) -> ExecResult:
    """Runs a command, feeds it and collects what it writes.

    Args:
        host: of the engine.
        which: the container.
        wanted: what to run; without a terminal.
        stdin: what it reads; None for nothing.
        output: takes what it writes as it comes, instead of the result; what it raises ends the
            command.

    Raises:
        ContainerStateError: the container is not running.
        CommandError: the command is not there (127) or can't be executed (126).
        ExecTimeoutError: its time was up; all that it started has been killed.
    """
    with prepared(host, which, wanted) as it:
        with collect(it.start, stdin, output) as collected:
            code = it.wait(collected)
        return ExecResult(code, collected.stdout, collected.stderr)


def run_attached(host: Host, which: ContainerRecord, wanted: Exec, fds: Mapping[int, int]) -> int:
    """Runs a command on descriptors of the caller's, and returns its exit code.

    Args:
        host: of the engine.
        which: the container.
        wanted: what to run.
        fds: where its descriptors 0, 1 and 2 lead, see ``relayed``.

    Raises:
        As ``run``.
    """
    with prepared(host, which, wanted) as it, relayed(fds) as lent:
        it.start(lent)
        return it.wait(None)


class Prepared:
    """A command with a cgroup and a directory of its own, which are there as long as the block.

    Attributes:
        host: of the engine.
        record: the container, which runs.
        wanted: what is to be run.
        directory: holds ``process.json``; gets ``pid`` once the command begins, and ``log``.
        cgroup: where it will be.
        deadline: when its time is up.
    """

    def __init__(
        self, host: Host, record: ContainerRecord, wanted: Exec, directory: str, cgroup: Cgroup
    ) -> None:
        self.host = host
        self.record = record
        self.wanted = wanted
        self.directory = directory
        self.cgroup = cgroup
        self._child: programs.Child | None = None
        self.deadline = Deadline.after(wanted.timeout)

    @property
    def begun(self) -> bool:
        """Whether there has been a process of it."""
        return os.path.exists(f"{self.directory}/pid")

    def start(self, fds: Mapping[int, int]) -> programs.Child:
        """Starts it by its runtime, with these descriptors."""
        runtime = self.host.runtime(self.record.oci_runtime)
        argv = runtime.exec_arguments(
            self.record.id,
            process_file=f"{self.directory}/process.json",
            pid_file=f"{self.directory}/pid",
            cgroup=os.path.basename(self.cgroup.path),
            log=f"{self.directory}/log",
        )
        self._child = programs.spawn(argv, fds=fds, executable=runtime.program)
        return self._child

    def wait(self, collected: Collected | None) -> int:
        """Waits for its end, or ends it, and returns its exit code."""
        child = self._child
        assert child is not None, "it was started"
        with child:
            try:
                if collected is not None:
                    collected.pump(self.deadline)
                code = child.wait(self.deadline.remaining())
                if code is None:
                    if collected is None:
                        self.raise_timeout()
                    self.raise_timeout(collected.stdout, collected.stderr)
            except BaseException:
                # Ctrl-C and whatever `output` raises too: nobody waits for it any more.
                self.cgroup.kill(KILL_PATIENCE)
                child.kill()
                raise
        if code != 0 and not self.begun:
            self.raise_not_begun(child.argv, code)
        return 128 - code if code < 0 else code

    def raise_timeout(self, stdout: bytes = b"", stderr: bytes = b"") -> NoReturn:
        """Says that it was killed, and what it had written by then."""
        message = (
            f"`{self.wanted.command[0]}` in container `{self.record.name}` was killed: it took "
            f"longer than {self.wanted.timeout:g} s"
        )
        raise ExecTimeoutError(message, stdout, stderr)

    def raise_not_begun(self, argv: Sequence[str], code: int) -> NoReturn:
        """Says why there was no command: by what is in the container, not by what is said."""
        detail = last_error(f"{self.directory}/log")
        name, record = self.wanted.command[0], self.record
        found = _in_rootfs(self.host, record, name)
        if found is None:
            message = f"exec in container `{record.name}` ({short(record.id)}) failed: {detail}"
            raise OCIRuntimeError(message, argv, code, detail)
        if not found:
            message = (
                f"command `{name}` is not in container `{record.name}`: {detail}\n"
                "hint: give its path inside the container"
            )
            raise CommandError(message, NOT_FOUND)
        message = f"command `{name}` can't be run in container `{record.name}`: {detail}"
        raise CommandError(message, NOT_EXECUTABLE)


@contextmanager
def prepared(host: Host, which: ContainerRecord, wanted: Exec) -> Iterator[Prepared]:
    """Makes what a command needs; what it leaves running in the background stays.

    Raises:
        InvalidArgumentError: it can't be a command.
        ContainerStateError: the container is not running, or its run files are gone.
        ContainerRemovedError: it is gone.
    """
    if not wanted.command or not all(isinstance(word, str) for word in wanted.command):
        message = f"the command of an exec in `{which.name}` is empty or holds what is no string"
        raise InvalidArgumentError(message)
    if not wanted.command[0]:
        message = f"the command of an exec in `{which.name}` has no name"
        raise InvalidArgumentError(message)
    record = _running(host, which)
    token = f"{EXEC}{secrets.token_hex(8)}"
    try:
        config = bundle.load(f"{host.places.bundle(record.id)}/config.json")
    except InvalidArgumentError:
        stored(host, which)  # raises where it has been removed meanwhile
        raise
    described = bundle.process_for_exec(
        config,
        list(wanted.command),
        env=wanted.env,
        user=wanted.user,
        cwd=wanted.cwd,
        terminal=wanted.terminal,
    )
    if wanted.terminal and wanted.size is not None:
        described["consoleSize"] = {"height": wanted.size[0], "width": wanted.size[1]}
    attempt = host.places.attempt(record.id, record.incarnation)
    directory = f"{attempt}/{token}"
    cgroup = host.cgroup(f"{record.cgroup_path}/{token}")
    try:
        try:
            make_directory(directory)
            write_atomic(f"{directory}/process.json", json.dumps(described).encode())
        except FileNotFoundError:
            stored(host, which)
            raise _without_files(record, attempt) from None
        cgroup.create()
        yield Prepared(host, record, wanted, directory, cgroup)
    finally:
        remove_tree(directory)
        if not cgroup.populated():
            # What it left running in the background stays, and its cgroup with it.
            cgroup.remove()
            if not os.path.isdir(attempt):
                _remove_made_anew(host, record)


def _remove_made_anew(host: Host, record: ContainerRecord) -> None:
    """Removes the cgroups of a container that ended meanwhile: the command's came with its parents."""
    mine = host.cgroup(record.cgroup_path)
    try:
        # Under its lock nobody is about to put its process there.
        with host.session("exec") as session, hold(host, session, record):
            mine.remove_empty()
    except ContainerRemovedError:
        mine.remove_empty()
        with host.store.read() as view:
            if view.pod(record.pod_id) is None:
                host.cgroup(os.path.dirname(record.cgroup_path)).remove_empty()


def _running(host: Host, which: ContainerRecord) -> ContainerRecord:
    now = truth(host, stored(host, which))
    if now.state not in (ContainerStatus.RUNNING, ContainerStatus.STOPPING):
        message = (
            f"container `{which.name}` ({short(which.id)}) is {now.state}, "
            f"so nothing can be run in it\nhint: {_REMEDY[now.state]}"
        )
        raise ContainerStateError(message, now.state, ("running",))
    return now


def _without_files(record: ContainerRecord, attempt: str) -> ContainerStateError:
    message = (
        f"nothing can be run in container `{record.name}` ({short(record.id)}): "
        f"its run files `{attempt}` are gone\nhint: restart it"
    )
    return ContainerStateError(message, record.state, ("running",))


def _in_rootfs(host: Host, record: ContainerRecord, name: str) -> bool | None:
    """Returns whether a command's file is in the container; None where it can't be looked for."""
    config = bundle.load(f"{host.places.bundle(record.id)}/config.json")
    root = config.get("root", {}).get("path")
    if not isinstance(root, str):
        return None
    variables = config.get("process", {}).get("env") or []
    search = next((v.partition("=")[2] for v in variables if v.startswith("PATH=")), "/bin")
    paths = [name] if "/" in name else [f"{part}/{name}" for part in search.split(":")]
    try:
        directory = os.open(root, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        return any(_opens(directory, path.lstrip("/")) for path in paths)
    finally:
        os.close(directory)


def _opens(directory: int, path: str) -> bool:
    try:
        os.close(open_in_root(directory, path, os.O_PATH | os.O_CLOEXEC, mode=0))
    except OSError:
        return False
    return True
