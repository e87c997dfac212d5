"""A parent for the test session that reaps orphans, as the init of a real host does.

Monitors and killed callers leave orphans on purpose. In a build container their new parent may be
a program that never waits, and a zombie that nobody reaps looks alive to whoever asks for its pid.
The session itself can't reap them: it would steal exit codes from its own children.
"""

import ctypes
import os
import signal

from harness import host

PR_SET_PDEATHSIG = 1
PR_SET_CHILD_SUBREAPER = 36

_FORWARDED = {signal.SIGINT, signal.SIGTERM, signal.SIGHUP}

_reaper: int | None = None


def orphans() -> list[int]:
    """Returns the pids of processes that this session started and whose parent has ended."""
    if _reaper is None:
        return []
    children = host.read_proc(_reaper, f"task/{_reaper}/children").split()
    return [int(pid) for pid in children if int(pid) != os.getpid()]


def _prctl(option: int, value: int) -> None:
    if ctypes.CDLL(None, use_errno=True).prctl(option, value, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), f"prctl({option}) failed")


def move_under_a_reaper() -> None:
    """Forks; the child returns and goes on, the parent reaps until the child ends, then ends alike.

    To be called before threads are started.
    """
    global _reaper  # noqa: PLW0603 - a process has one parent
    watched = _FORWARDED | {signal.SIGCHLD}
    old_mask = signal.pthread_sigmask(signal.SIG_BLOCK, watched)
    parent = os.getpid()
    child = os.fork()
    if child == 0:
        _prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:
            os._exit(1)
        signal.pthread_sigmask(signal.SIG_SETMASK, old_mask)
        _reaper = parent
        return
    _prctl(PR_SET_CHILD_SUBREAPER, 1)
    while True:
        info = signal.sigwaitinfo(watched)
        if info.si_signo == signal.SIGCHLD:
            _reap(child)
        elif info.si_pid:
            # What the terminal sends (no sender) reaches the whole process group by itself.
            os.kill(child, info.si_signo)


def _reap(child: int) -> None:
    while True:
        try:
            pid, status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return
        if pid == 0:
            return
        if pid == child:
            code = os.waitstatus_to_exitcode(status)
            os._exit(code if code >= 0 else 128 - code)
