"""Programs run with nothing but what they are given, and end at their deadline."""

import os
import signal
import subprocess
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from harness import host
from harness.polling import eventually
from podcore.errors import ResourceExhaustedError, UnsupportedError
from podcore.kernel import command

SH = "/bin/sh"


# `Any`: whatever command.run takes.
def run(script: str, timeout: float = 60.0, **options: Any) -> command.Finished:
    return command.run([SH, "-c", script], timeout=timeout, **options)


def with_argument(mark: str) -> list[int]:
    """Returns the running processes that have an argument in their command line."""
    return [
        pid
        for pid in host.processes()
        if mark in host.read_proc(pid, "cmdline").split("\0")
        and host.read_proc(pid, "stat").rpartition(")")[2].split()[0] not in "ZX"
    ]


def test_output_and_exit_code_come_back() -> None:
    done = run("echo out; echo err >&2; exit 7")
    assert done == command.Finished((SH, "-c", done.argv[2]), 7, b"out\n", b"err\n")


def test_the_signal_that_ended_it_is_told_as_a_negative_number() -> None:
    assert run("kill -TERM $$").returncode == -signal.SIGTERM


def test_input_is_its_stdin_and_without_any_it_is_at_its_end() -> None:
    assert run("cat", input=b"x" * 100_000).stdout == b"x" * 100_000
    assert run("cat").stdout == b""


def test_the_environment_of_the_caller_is_not_passed_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LD_PRELOAD", "")
    monkeypatch.setenv("NOTIFY_SOCKET", "/run/x")
    inherited = command.run(["/usr/bin/env"], timeout=60).stdout.decode().splitlines()
    assert sorted(line.partition("=")[0] for line in inherited) == ["LC_ALL", "PATH"]
    assert command.run(["/usr/bin/env"], timeout=60, env={"A": "b"}).stdout == b"A=b\n"


def test_it_runs_in_the_root_directory_with_a_private_umask_in_its_own_session() -> None:
    script = "pwd; umask; cut -d' ' -f1,5,6 /proc/self/stat; echo $$"
    cwd, umask, ids, shell = run(script).stdout.decode().splitlines()
    assert (cwd, umask) == ("/", "0077")
    assert ids.split()[1:] == [shell, shell]


def test_only_three_descriptors_are_open_in_it_whatever_the_caller_left_inheritable() -> None:
    leaked = os.open("/", os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.dup2(leaked, 50, inheritable=True)
        # `exec`: the shell itself would open nothing else, but ls opens the directory it lists.
        seen = command.run(["/bin/ls", "/proc/self/fd"], timeout=60).stdout.split()
    finally:
        os.close(leaked)
        os.close(50)
    assert seen == [b"0", b"1", b"2", b"3"]


def test_descriptors_that_are_meant_are_open_under_their_numbers() -> None:
    reader, writer = os.pipe()
    with command.spawn(
        [SH, "-c", f"echo hello >/proc/self/fd/{writer}"], fds={writer: writer}
    ) as child:
        os.close(writer)
        assert child.wait(60) == 0
    assert os.read(reader, 100) == b"hello\n"
    os.close(reader)


def test_at_the_deadline_the_whole_process_group_is_killed() -> None:
    mark = f"10{os.getpid()}"
    with pytest.raises(command.CommandTimeout, match=r"did not end within 0\.5 s") as caught:
        run(f"sleep {mark} & sleep {mark}; wait", timeout=0.5)
    assert caught.value.argv[0] == SH
    assert caught.value.seconds == 0.5
    eventually(lambda: not with_argument(mark), what="the end of the process group")


def test_a_grandchild_that_keeps_stdout_open_holds_nobody_up() -> None:
    mark = f"20{os.getpid()}"
    begun = time.monotonic()
    done = run(f"echo before; setsid sleep {mark} &")
    assert (done.returncode, done.stdout) == (0, b"before\n")
    assert time.monotonic() - begun < 60
    left = eventually(lambda: with_argument(mark), what="the grandchild, which was left alone")
    for pid in left:
        os.kill(pid, signal.SIGKILL)


def test_more_output_than_a_pipe_holds_blocks_nothing_and_is_capped() -> None:
    script = "head -c 3000000 /dev/zero; yes e | head -c 3000000 >&2; echo last >&2"
    done = run(script, stdout_cap=1000)
    assert done.stdout == bytes(1000)
    assert len(done.stderr) == 1000
    assert done.stderr.endswith(b"last\n")


def test_stderr_can_be_appended_to_a_private_file(tmp_path: Path) -> None:
    log = f"{tmp_path}/log"
    for word in ("one", "two"):
        done = run(f"echo {word} >&2", log_path=log)
        assert done.stderr == b""
    with open(log, encoding="ascii") as file:
        assert file.read() == "one\ntwo\n"
    assert os.stat(log).st_mode & 0o777 == 0o600


def test_a_program_that_is_not_there_is_the_kernels_error_and_leaks_nothing() -> None:
    run("true")
    before = os.listdir("/proc/self/fd")
    with pytest.raises(FileNotFoundError):
        command.run(["/nonexistent/program"], timeout=60)
    run("true")
    with pytest.raises(command.CommandTimeout):
        run("sleep 1000", timeout=0)
    assert os.listdir("/proc/self/fd") == before


def test_a_long_running_child_is_waited_for_by_its_own_descriptor() -> None:
    child = command.spawn([SH, "-c", "read x; exit 3"], fds={})
    # stdin is /dev/null, so `read` ends at once.
    assert child.wait(60) == 3
    assert child.wait(0) == 3
    child.close()
    child.close()


def test_a_child_that_still_runs_has_no_exit_code_yet() -> None:
    with command.spawn(["/bin/sleep", "1000"]) as child:
        assert child.wait(0) is None
        assert child.wait(0.05) is None
    assert child.wait() == -signal.SIGKILL


def test_an_exit_code_that_someone_else_took_is_not_invented() -> None:
    child = command.spawn(["/bin/true"])
    os.waitpid(child.pid, 0)
    with pytest.raises(UnsupportedError, match=r"taken by someone else\nhint: "):
        child.wait(60)
    child.close()


def test_threads_run_programs_side_by_side() -> None:
    answers: dict[int, bytes] = {}

    def work(number: int) -> None:
        answers[number] = run(f"echo {number}").stdout

    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert answers == {number: b"%d\n" % number for number in range(8)}


def test_too_many_processes_is_a_typed_error(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*arguments: object, **options: object) -> None:
        raise BlockingIOError(11, "Resource temporarily unavailable")

    monkeypatch.setattr(subprocess, "Popen", refuse)
    with pytest.raises(ResourceExhaustedError, match=r"start `/bin/true`.*no more processes"):
        command.run(["/bin/true"], timeout=60)
