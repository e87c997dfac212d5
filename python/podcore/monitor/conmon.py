"""conmon, the monitor of one container: launching it, and understanding what it answers.

conmon starts the OCI runtime's ``create``, keeps the container's stdio, writes its log and, at the
end, its exit file. It reads its two descriptors from the environment: it waits for a byte (or the
end!) of ``_OCI_STARTPIPE`` before it does anything, then forks and lets its first process, the
front, exit; what came of ``create`` arrives on ``_OCI_SYNCPIPE`` as one line of JSON,
``{"data": pid}`` or ``{"data": -1, "message": "..."}`` (conmon's ``src/conmon.c``, ``ctr_exit.c``).
"""

import fcntl
import json
import math
import os
import re
import select
import signal
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property, partial

from podcore import programs, runtime_log
from podcore.deadlines import Deadline
from podcore.errors import (
    MonitorError,
    MonitorProtocolError,
    OCIRuntimeError,
    OCIRuntimeTimeoutError,
)
from podcore.kernel import command, exhaustion, process
from podcore.records import ProcessIdentity

_INSTALL = "hint: `apt-get install conmon`, or name it: `Engine(conmon=...)`"
_ELSEWHERE = ("/usr/libexec/podman", "/usr/local/libexec/podman", "/usr/lib/podman")

_ANSWER_CAP = 65536
_MAX_PID = 1 << 22  # PID_MAX_LIMIT of the kernel
# Seconds for a monitor to end by itself after it has said that `create` failed.
_GRACE = 2.0
# Seconds for a killed process to go.
_KILL = 10.0
# Seconds between two looks at a monitor that says nothing.
_LOOK = 0.5
# Seconds in which a monitor must say something once there is no runtime any more, as for exit files.
_SILENCE = 5.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Launch:
    """What a monitor is started with.

    Attributes:
        container_id: checked; the runtime knows the container by it.
        name: the container's name, for messages.
        bundle: the bundle directory, not shared: conmon binds its attach socket there.
        runtime: absolute path, for messages.
        program: what is executed as that; default: itself.
        runtime_arguments: the runtime's global arguments, ``--root`` and ``--log`` among them.
        pid_file: where the runtime puts the pid of the container's process; a path that was never
            used before, for runc refuses one that a killed runc has left half done.
        monitor_pid_file: likewise for conmon's own.
        exit_dir: conmon leaves the exit code in a file with the container's id here.
        persist_dir: and as ``exit``, with ``oom`` when that happened, here; its working directory.
        log_path: the log, in the k8s-file format.
        log_size_max: bytes after which conmon begins the log anew; None for never.
        terminal: the container gets a pseudo-terminal.
        stdin: its stdin stays open for an attached client, instead of being /dev/null, and is at
            its end when the first one goes; that of a pseudo-terminal always stays open.
        place: called with the pid of the front process before that does anything, to move it to
            the monitors' cgroup.
        runtime_log: the file that ``--log`` among ``runtime_arguments`` names.
        cgroup_path: of the container, whose processes are in there or below it.
    """

    container_id: str
    name: str
    bundle: str
    runtime: str
    runtime_arguments: Sequence[str]
    pid_file: str
    monitor_pid_file: str
    exit_dir: str
    persist_dir: str
    log_path: str
    program: str | None = None
    log_size_max: int | None = None
    terminal: bool = False
    stdin: bool = False
    place: Callable[[int], None]
    runtime_log: str
    cgroup_path: str


@dataclass(frozen=True, slots=True)
class Launched:
    """A created container: its monitor, and its process that waits for the runtime's ``start``."""

    monitor: ProcessIdentity
    init: ProcessIdentity


@dataclass(frozen=True)
class Conmon:
    """The conmon program of this host.

    Attributes:
        path: absolute.
    """

    path: str

    @classmethod
    def find(cls, path: str | None = None) -> "Conmon":
        """Returns the conmon at ``path``, or the first one in PATH and the usual directories.

        Raises:
            MonitorError: there is none, or one that others could have replaced.
        """
        if path is None:
            found = programs.find("conmon", os.environ.get("PATH", ""), _ELSEWHERE)
            if found is None:
                raise MonitorError(f"the monitor `conmon` is not installed\n{_INSTALL}")
        else:
            found = os.path.abspath(path)
        if objection := programs.objection(found):
            raise MonitorError(f"the monitor `{found}` can't be used: {objection}\n{_INSTALL}")
        return cls(found)

    @cached_property
    def version(self) -> str:
        """Its version, such as ``2.1.6``; asked once.

        Raises:
            MonitorError: it does not run or is something else than conmon.
        """
        try:
            done = command.run([self.path, "--version"], timeout=10.0)
        except OSError as error:
            raise exhaustion.typed(error, f"run `{self.path}`") or MonitorError(
                f"the monitor `{self.path}` does not run: {error}\n{_INSTALL}"
            ) from error
        known = re.match(rb"conmon version (\S+)", done.stdout)
        if done.returncode != 0 or known is None:
            raise MonitorError(f"`{self.path}` is not conmon\n{_INSTALL}")
        return known[1].decode("utf-8", "replace")

    def launch(self, launch: Launch, deadline: Deadline) -> Launched:
        """Starts a monitor that creates the container; returns when it has said that it has.

        When this raises, neither the monitor nor the runtime that it started runs any more; a
        process of the container may (it is in the container's cgroup), and what the runtime left in
        its own state directory is the caller's to delete.

        Raises:
            OCIRuntimeError: the runtime could not create the container.
            OCIRuntimeTimeoutError: nothing was heard until the deadline.
            MonitorError: conmon does not run or gave up.
            MonitorProtocolError: conmon answered nothing, or something unintelligible.
            ResourceExhaustedError: no descriptors, processes or memory for it.
        """
        fds: list[int] = []
        try:
            sync_reader, sync_writer, start_reader, start_writer = _pipes(fds)
            fds.append(complaints := os.memfd_create("conmon-stderr"))
            front = self._spawn(launch, complaints, sync_writer, start_reader)
            try:
                for fd in (sync_writer, start_reader):
                    fds.remove(fd)
                    os.close(fd)
                launch.place(front.pid)
                _let_go(start_writer)
                answer = _read_answer(sync_reader, deadline, partial(_works, launch))
                # The front has exited long before `create` is through; its pid file is complete
                # when it is gone.
                front.wait(deadline.remaining())
                return _understand(launch, answer, complaints)
            except BaseException as error:
                # Before the pipes are closed: conmon takes the end of the start pipe for a start.
                _end(front, launch, _GRACE if type(error) is OCIRuntimeError else 0.0)
                raise
            finally:
                front.close()
        except OSError as error:
            if known := exhaustion.typed(error, f"start a monitor for container `{launch.name}`"):
                raise known from error
            raise
        finally:
            for fd in fds:
                os.close(fd)

    def _spawn(self, launch: Launch, stderr: int, sync: int, start: int) -> command.Child:
        # Nothing of the caller's environment reaches the monitor or the runtime.
        env = {**command.CLEAN_ENV, "_OCI_SYNCPIPE": str(sync), "_OCI_STARTPIPE": str(start)}
        fds = {2: stderr, sync: sync, start: start}
        try:
            return command.spawn(
                self.arguments(launch),
                env=env,
                fds=fds,
                # conmon leaves a file `oom` in its working directory, whatever that is.
                cwd=launch.persist_dir,
                # The runtime makes what is missing in the root file system, the working directory
                # say, and a container's user who is not root must get through.
                umask=0o022,
            )
        except (FileNotFoundError, NotADirectoryError, PermissionError) as error:
            raise MonitorError(
                f"the monitor `{self.path}` can't be run: {error.strerror}\n{_INSTALL}"
            ) from error

    def arguments(self, launch: Launch) -> list[str]:
        """Returns the command line."""
        container_id = launch.container_id
        argv = [
            self.path,
            "--api-version", "1",
            "-c", container_id,
            "-u", container_id,
            "-n", launch.name,
            "-r", launch.program or launch.runtime,
            "-b", launch.bundle,
            "-p", launch.pid_file,
            "-P", launch.monitor_pid_file,
            "--exit-dir", launch.exit_dir,
            "--persist-dir", launch.persist_dir,
            "--full-attach",
            "-l", f"k8s-file:{launch.log_path}",
            "--log-level", "error",
            # The end of a container need not wait until its log is on the disk.
            "--no-sync-log",
        ]  # fmt: skip
        for argument in launch.runtime_arguments:
            argv += ("--runtime-arg", argument)
        if launch.log_size_max is not None:
            argv += ("--log-size-max", str(launch.log_size_max))
        if launch.terminal:
            # Its stdin is open anyway; with `-i` the first client that goes away would close it.
            argv.append("-t")
        elif launch.stdin:
            argv.append("-i")
        return argv


def _pipes(fds: list[int]) -> tuple[int, int, int, int]:
    """Opens two pipes; each descriptor is in ``fds`` as soon as it is open."""
    fds += os.pipe()
    fds += os.pipe()
    for place, fd in enumerate(fds):
        if fd < 3:
            fds[place] = above_stdio(fd)
    return fds[0], fds[1], fds[2], fds[3]


def above_stdio(fd: int) -> int:
    """Renumbers a descriptor of a caller that has closed its own stdin, stdout or stderr."""
    try:
        return fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, 3)
    finally:
        os.close(fd)


def _let_go(start_writer: int) -> None:
    """Lets the front go on; when it has given up already, the sync pipe and its stderr say so."""
    try:
        os.write(start_writer, b"\n")
    except BrokenPipeError:
        return


class _Silence(StrEnum):
    """Why a monitor has not said all."""

    DEADLINE = "deadline"
    STUCK = "stuck"  # its runtime has ended, and it waits for something else


@dataclass(frozen=True, slots=True)
class _Answer:
    """What came through the sync pipe, and why that is not all; None when it is."""

    data: bytes
    silence: _Silence | None = None


def _read_answer(fd: int, deadline: Deadline, works: Callable[[], bool]) -> _Answer:
    """Reads to the end of the line, the end of the pipe, the cap or the deadline.

    Args:
        fd: of the pipe.
        deadline: for all of it.
        works: whether there is any reason to wait; asked as long as nothing is heard.
    """
    poll = select.poll()
    poll.register(fd, select.POLLIN)
    stuck = Deadline.after(_SILENCE)
    data = b""
    while len(data) <= _ANSWER_CAP:
        if not poll.poll(math.ceil(min(deadline.remaining(), _LOOK) * 1000)):
            if deadline.expired:
                return _Answer(data, _Silence.DEADLINE)
            if works():
                stuck = Deadline.after(_SILENCE)
            elif stuck.expired:
                return _Answer(data, _Silence.STUCK)
            continue
        part = os.read(fd, _ANSWER_CAP)
        data += part
        if not part or part.endswith(b"\n") or b"\n" in part:
            break
    return _Answer(data)


def _works(launch: Launch) -> bool:
    """Whether the runtime is at work, or the monitor has yet to start it.

    A runtime that is killed at the end of ``create`` leaves a process that waits for its ``start``
    and holds the runtime's stderr, which conmon 2.1.6 reads to its end once the runtime is gone.
    That process is conmon's child then, as the runtime was before.
    """
    monitor = process.of_pid_file(launch.monitor_pid_file)
    if monitor is None:
        return True
    children = _children(monitor)
    return any(not process.in_cgroup(child.pid, launch.cgroup_path) for child in children)


def _understand(launch: Launch, answer: _Answer, complaints: int) -> Launched:
    if answer.silence is _Silence.STUCK:
        raise MonitorError(
            f"the monitor of container `{launch.name}` did not answer, although the OCI runtime "
            f"`{launch.runtime}` had ended; it was killed{_quoted_log(launch)}"
        )
    if answer.silence is _Silence.DEADLINE:
        raise OCIRuntimeTimeoutError(
            f"creating container `{launch.name}` took too long; "
            f"the OCI runtime `{launch.runtime}` was killed{_quoted_log(launch)}",
            argv=_create_argv(launch),
        )
    pid = _parse(launch, answer.data, complaints)
    init = process.identify(pid)
    monitor = process.of_pid_file(launch.monitor_pid_file)
    if monitor is None:
        raise MonitorError(f"the monitor of container `{launch.name}` died as it was created")
    if init is None:
        raise OCIRuntimeError(
            f"the process of container `{launch.name}` (pid {pid}) died as it was created"
            f"{_quoted_log(launch)}",
            argv=_create_argv(launch),
        )
    return Launched(monitor, init)


def _parse(launch: Launch, data: bytes, complaints: int) -> int:
    """Returns the pid of the container's process out of conmon's answer."""
    line, newline, _ = data.partition(b"\n")
    if not newline:
        raise _broken_off(launch, data, complaints)
    try:
        said = json.loads(line)
    except (ValueError, RecursionError):
        said = None
    if isinstance(said, dict):
        pid = said.get("data")
        if type(pid) is int and 0 < pid <= _MAX_PID:
            return pid
        if pid == -1 and type(pid) is int:
            raise _create_failed(launch, said.get("message"))
    raise MonitorProtocolError(
        f"the monitor of container `{launch.name}` answered `{_shown(line)}`, not a process id"
    )


def _broken_off(launch: Launch, data: bytes, complaints: int) -> MonitorError:
    if len(data) > _ANSWER_CAP:
        return MonitorProtocolError(
            f"the monitor of container `{launch.name}` answered more than {_ANSWER_CAP} bytes"
        )
    if data:
        return MonitorProtocolError(
            f"the monitor of container `{launch.name}` broke off after `{_shown(data)}`"
        )
    said = os.pread(complaints, 4096, 0)
    if said.strip():
        return MonitorError(
            f"the monitor of container `{launch.name}` gave up: `{_shown(said.strip())}`"
        )
    return MonitorProtocolError(
        f"the monitor of container `{launch.name}` ended without saying what came of it"
        f"{_quoted_log(launch)}"
    )


def _create_failed(launch: Launch, message: object) -> OCIRuntimeError:
    said = runtime_log.last_error(launch.runtime_log) or str(message or "").strip()
    return OCIRuntimeError(
        runtime_log.worded(said, launch.name, "create"), argv=_create_argv(launch), detail=said
    )


def _create_argv(launch: Launch) -> list[str]:
    return [launch.runtime, *launch.runtime_arguments, "create", launch.container_id]


def _quoted_log(launch: Launch) -> str:
    said = runtime_log.last_error(launch.runtime_log)
    return f"; the OCI runtime said: {said}" if said else ""


def _shown(data: bytes) -> str:
    text = data[:200].decode("utf-8", "backslashreplace")
    return "".join(c if c.isprintable() else repr(c)[1:-1] for c in text)


def _end(front: command.Child, launch: Launch, grace: float) -> None:
    """Makes sure that front, monitor and whatever runs below them are gone.

    Args:
        front: the process that was spawned.
        launch: whose pid file's path tells its processes from all others.
        grace: seconds in which they may go by themselves.
    """
    if front.wait(0) is None:
        front.kill()
    monitor = process.of_pid_file(launch.monitor_pid_file)
    if grace and (monitor is None or not process.wait_gone([monitor], grace)):
        return
    name = os.fsencode(launch.monitor_pid_file)
    # What a hook has started as well: it would outlive the runtime, which is not in its cgroup yet.
    doomed = process.find(lambda argv: name in argv)
    for one in doomed:  # which grows meanwhile, to the whole tree from the top down
        # A stopped process forks no more.
        process.send(one, signal.SIGSTOP)
        doomed += [child for child in _children(one) if child not in doomed]
    for one in doomed:
        process.send(one, signal.SIGKILL)
    process.wait_gone(doomed, _KILL)


def _children(parent: ProcessIdentity) -> list[ProcessIdentity]:
    """Returns the children of all threads of a process; a runtime in Go forks from any of them."""
    pids: list[int] = []
    try:
        for thread in os.listdir(f"/proc/{parent.pid}/task"):
            with open(f"/proc/{parent.pid}/task/{thread}/children", encoding="ascii") as file:
                pids += map(int, file.read().split())
    except (FileNotFoundError, ProcessLookupError):
        pass  # a thread or the process has ended; the children found so far are still its own
    found = [process.identify(pid) for pid in pids]
    return [one for one in found if one is not None]
