"""Runs other programs: with a clean environment, no descriptors but those meant, and a deadline.

Output goes to files in memory, never through pipes: a container's process inherits the runtime's
stdout, so that the end of a pipe may come only when the container ends.
"""

import os
import select
import signal
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Self

from podcore.deadlines import Deadline
from podcore.errors import PodcoreError, UnsupportedError
from podcore.kernel import exhaustion
from podcore.kernel.process import milliseconds

# What a program gets when nothing else is asked for: nothing of the caller's environment, whose
# variables may steer a runtime or a dynamic linker (LD_PRELOAD, _OCI_*, LISTEN_FDS, NOTIFY_SOCKET).
CLEAN_ENV: Mapping[str, str] = {
    "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    "LC_ALL": "C",
}

_REAP_TIMEOUT = 5.0  # seconds; what was sent SIGKILL ends at once, unless the kernel is stuck


class CommandTimeout(PodcoreError, TimeoutError):  # noqa: N818 - it is a TimeoutError
    """A program did not end in time; it and its process group have been killed.

    Attributes:
        argv: what was run.
        seconds: how long it was given.
    """

    def __init__(self, argv: Sequence[str], seconds: float) -> None:
        super().__init__(f"`{' '.join(argv)}` did not end within {seconds:g} s and was killed")
        self.argv = tuple(argv)
        self.seconds = seconds


@dataclass(frozen=True, slots=True)
class Finished:
    """A program that has ended.

    Attributes:
        argv: what was run.
        returncode: its exit code, or minus the number of the signal that ended it.
        stdout, stderr: what it had written by then, at most as long as was asked for.
    """

    argv: tuple[str, ...]
    returncode: int
    stdout: bytes
    stderr: bytes


class Child:
    """A program that this process has started; only its owner may wait for it.

    As a context manager it is killed, with its process group, on the way out if it still runs.

    Attributes:
        argv: what runs.
        pid: its pid, which is also its process group and its session.
        pidfd: refers to that very process; closed by ``close``.
    """

    __slots__ = ("_returncode", "argv", "pid", "pidfd")

    def __init__(self, argv: Sequence[str], pid: int) -> None:
        self.argv = tuple(argv)
        self.pid = pid
        self._returncode: int | None = None
        # A child of ours is a zombie at least, so the pid can't mean another process.
        self.pidfd = os.pidfd_open(pid)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        if self.pidfd >= 0 and self._returncode is None:
            self.kill()
        self.close()

    def wait(self, timeout: float | None = None) -> int | None:
        """Waits for the program to end.

        Args:
            timeout: seconds; 0 only looks, None waits for ever.

        Returns:
            Its exit code, minus the number of the signal that ended it, or None when it still runs.

        Raises:
            UnsupportedError: this program doesn't let its children be waited for.
        """
        if self._returncode is not None:
            return self._returncode
        deadline = Deadline.after(timeout)
        poll = select.poll()
        poll.register(self.pidfd, select.POLLIN)
        while not poll.poll(milliseconds(deadline)):
            if deadline.expired:
                return None
        try:
            info = os.waitid(os.P_PIDFD, self.pidfd, os.WEXITED)
        except ChildProcessError as error:
            raise UnsupportedError(
                f"the exit code of `{self.argv[0]}` was taken by someone else\n"
                "hint: this program ignores SIGCHLD or waits for children that are not its own"
            ) from error
        assert info is not None, "without WNOHANG there is an answer"
        exited = info.si_code == os.CLD_EXITED
        self._returncode = info.si_status if exited else -info.si_status
        return self._returncode

    def kill(self) -> None:
        """Kills the program and what it left in its process group, and reaps it.

        One in uninterruptible sleep is left behind after a while.
        """
        # The group's number stays taken as long as the program itself is not reaped.
        try:
            os.killpg(self.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        self.wait(_REAP_TIMEOUT)

    def close(self) -> None:
        """Closes the pidfd; the program is left as it is."""
        if self.pidfd >= 0:
            os.close(self.pidfd)
            self.pidfd = -1


def spawn(
    argv: Sequence[str],
    *,
    env: Mapping[str, str] | None = None,
    fds: Mapping[int, int] | None = None,
    cwd: str = "/",
    umask: int = 0o077,
    executable: str | None = None,
) -> Child:
    """Starts a program in a session of its own.

    Args:
        argv: the program's absolute path and its arguments.
        env: its whole environment; default ``CLEAN_ENV``.
        fds: what it has open, from its descriptor to ours. 0, 1 and 2 may be any of ours and are
            /dev/null when left out; from 3 on both numbers are the same, since nothing can be
            renumbered between a safe fork and exec. Nothing else is open in it.
        cwd: its working directory.
        umask: its umask.
        executable: what is executed in place of the program, see ``sealed``.

    Raises:
        ResourceExhaustedError: out of processes, descriptors or memory.
        OSError: the program can't be run.
    """
    # Not at the top: it costs milliseconds, and reading commands run no program.
    import subprocess

    given = dict(fds or {})
    standard = [given.pop(number, subprocess.DEVNULL) for number in (0, 1, 2)]
    assert all(target == ours for target, ours in given.items()), "can't be renumbered"
    try:
        # Popen forks by vfork and closes in C whatever the embedding program may have left
        # inheritable: a directory that leaks into a container is a way out of it. posix_spawn
        # would save 60 us of CPU time and can't close what it doesn't know of.
        process = subprocess.Popen(
            argv,
            executable=executable,
            stdin=standard[0],
            stdout=standard[1],
            stderr=standard[2],
            cwd=cwd,
            env=CLEAN_ENV if env is None else env,
            pass_fds=tuple(given),
            start_new_session=True,
            umask=umask,
        )
    except OSError as error:
        raise exhaustion.typed(error, f"start `{argv[0]}`") or error from error
    try:
        child = Child(argv, process.pid)
    except OSError as error:
        process.kill()
        process.wait()
        raise exhaustion.typed(error, f"start `{argv[0]}`") or error from error
    # From here on the child is waited for by its pidfd; Popen must neither warn nor reap it.
    process.returncode = 0
    return child


def run(
    argv: Sequence[str],
    *,
    timeout: float,
    env: Mapping[str, str] | None = None,
    input: bytes | None = None,  # noqa: A002 - as in subprocess.run
    stdout_cap: int = 1 << 20,
    log_path: str | None = None,
    executable: str | None = None,
) -> Finished:
    """Runs a program until it ends, in a session of its own, in ``/``, with umask 077.

    What it has started is left alone when it ends by itself, and killed with it at the deadline.

    Args:
        argv: the program's absolute path and its arguments.
        timeout: seconds.
        env: its whole environment; default ``CLEAN_ENV``.
        input: its stdin; default /dev/null.
        stdout_cap: how many bytes of stdout and of stderr are returned; the end of stderr, the
            beginning of stdout.
        log_path: stderr is appended to this file, and not returned.
        executable: what is executed in place of the program, see ``sealed``.

    Raises:
        CommandTimeout: it was killed.
        ResourceExhaustedError: out of processes, descriptors or memory.
        OSError: the program can't be run.
    """
    fds: dict[int, int] = {}
    try:
        fds[1] = os.memfd_create("stdout", os.MFD_CLOEXEC)
        if log_path is None:
            fds[2] = os.memfd_create("stderr", os.MFD_CLOEXEC)
        else:
            flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW | os.O_CLOEXEC
            fds[2] = os.open(log_path, flags, 0o600)
        if input is not None:
            fds[0] = os.memfd_create("stdin", os.MFD_CLOEXEC)
            os.pwrite(fds[0], input, 0)
        with spawn(argv, env=env, fds=fds, executable=executable) as child:
            returncode = child.wait(timeout)
            if returncode is None:
                raise CommandTimeout(argv, timeout)
        stderr = b"" if log_path is not None else _tail(fds[2], stdout_cap)
        return Finished(tuple(argv), returncode, os.pread(fds[1], stdout_cap, 0), stderr)
    finally:
        for fd in fds.values():
            os.close(fd)


def _tail(fd: int, cap: int) -> bytes:
    """Returns the last bytes: a program says at the end why it gave up."""
    return os.pread(fd, cap, max(0, os.fstat(fd).st_size - cap))
