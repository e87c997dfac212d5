"""`attach`, `run -i`, `run -t` and `start --attach` on real containers and real terminals."""

import contextlib
import fcntl
import os
import pty
import re
import select
import signal
import struct
import subprocess
import sys
import termios
import time

import pytest

from harness import host
from harness.polling import eventually

PODCORE = os.path.join(os.path.dirname(sys.executable), "podcore")


class Screen:
    """A terminal that the command line runs on, and whoever looks at it."""

    def __init__(self, site, popen, *arguments, stdin=None):
        self.ours, self.theirs = pty.openpty()
        self.resize(24, 80)
        self.before = termios.tcgetattr(self.theirs)
        self.shown = b""
        self.process = popen(
            [PODCORE, *arguments],
            env=site.environ,
            stdin=self.theirs if stdin is None else stdin,
            stdout=self.theirs,
            stderr=self.theirs,
            start_new_session=True,
        )

    def resize(self, rows, columns):
        fcntl.ioctl(self.ours, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def type(self, data):
        # Until the terminal is handed over, some keys mean something to it.
        eventually(lambda: termios.tcgetattr(self.theirs) != self.before, what="a raw terminal")
        os.write(self.ours, data)

    def expect(self, pattern, timeout=60):
        deadline = time.monotonic() + timeout
        while not re.search(pattern, self.shown):
            ready, _, _ = select.select([self.ours], [], [], 0.1)
            if ready:
                self.shown += os.read(self.ours, 65536)
            assert time.monotonic() < deadline, f"{pattern!r} was not shown, but {self.shown!r}"
        self.shown = self.shown[re.search(pattern, self.shown).end() :]

    def end(self, timeout=60):
        """The exit code, once it has ended and has given the terminal back as it was."""
        deadline = time.monotonic() + timeout
        while self.process.poll() is None:
            if select.select([self.ours], [], [], 0.05)[0]:
                self.shown += os.read(self.ours, 65536)
            assert time.monotonic() < deadline, f"it does not end: {self.shown!r}"
        while select.select([self.ours], [], [], 0)[0]:
            self.shown += os.read(self.ours, 65536)
        assert termios.tcgetattr(self.theirs) == self.before
        return self.process.returncode

    def close(self):
        os.close(self.ours)
        os.close(self.theirs)


@pytest.fixture
def screen(site, popen):
    with contextlib.ExitStack() as stack:

        def make(*arguments, **options):
            made = Screen(site, popen, *arguments, **options)
            stack.callback(made.close)
            return made

        yield make


@pytest.fixture
def jobs(site):
    site.cli("pod", "create", "--share", "none", "jobs")
    return ("--pod", "jobs", "--rootfs", site.rootfs)


def run(site, *arguments, **options):
    argv = [PODCORE, *arguments]
    return subprocess.run(
        argv, env=site.environ, capture_output=True, check=False, timeout=120, **options
    )


def test_run_with_stdin_passes_input_its_end_output_and_exit_code(site, jobs, tmp_path):
    command = (*jobs, "sh", "-c", "wc -c; echo err >&2; exit 5")
    done = run(site, "run", "-i", "--rm", *command, input=b"x" * 200_000)
    assert (done.returncode, done.stdout.strip(), done.stderr) == (5, b"200000", b"err\n")

    (tmp_path / "in").write_bytes(b"four")
    with open(tmp_path / "in", "rb") as source:
        done = run(site, "run", "-i", "--rm", *command, stdin=source)
    assert (done.returncode, done.stdout.strip()) == (5, b"4")


@pytest.mark.runtimes("crun")
def test_run_with_a_stdin_that_is_nothing_or_closed(site, jobs):
    command = ("run", "-i", "--rm", *jobs, "sh", "-c", "wc -c; exit 5")
    done = run(site, *command, stdin=subprocess.DEVNULL)
    assert (done.returncode, done.stdout.strip()) == (5, b"0")
    shell = ["sh", "-c", '"$0" "$@" <&-', PODCORE, *command]
    done = subprocess.run(shell, env=site.environ, capture_output=True, timeout=120, check=False)
    assert (done.returncode, done.stdout.strip(), done.stderr) == (5, b"0", b"")


@pytest.mark.runtimes("crun")
def test_run_with_stdin_says_why_a_command_does_not_start(site, jobs):
    done = run(site, "run", "-i", "--rm", *jobs, "nope", input=b"")
    assert done.returncode == 127
    assert b"nope" in done.stderr


@pytest.mark.runtimes("crun")
def test_a_signal_to_run_with_stdin_reaches_its_container(site, jobs, popen):
    script = "trap 'echo got it; exit 3' TERM; echo ready; while :; do sleep 60 & wait $!; done"
    process = popen(
        [PODCORE, "run", "-i", *jobs, "sh", "-c", script],
        env=site.environ,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert process.stdout.readline() == "ready\n"
    process.send_signal(signal.SIGTERM)
    out, err = process.communicate(timeout=60)
    assert (process.returncode, out, err) == (3, "got it\n", "")


def test_a_terminal_goes_to_the_container_and_comes_back(site, jobs, screen):
    one = screen("run", "-it", "--rm", *jobs, "sh", "-c", "stty -echo; tty; cat; exit $?")
    one.expect(rb"/dev/pts/\d+\r+\n")
    one.type(b"hello\r")
    one.expect(rb"hello\r+\n")
    # Ctrl-C is the container's: its terminal makes a signal of it.
    one.type(b"\x03")
    assert one.end() == 130


def test_the_size_of_the_window_is_that_of_the_container(site, jobs, screen):
    script = 'while read line; do echo "[$(stty size)]"; done; exit 4'
    one = screen("run", "-it", *jobs, "sh", "-c", f"stty -echo; echo ready; {script}")
    one.expect(rb"ready")

    def shows(rows, columns):
        wanted = f"[{rows} {columns}]".encode()

        def look():
            one.type(b"\r")
            deadline = time.monotonic() + 60
            while not (found := re.search(rb"\[(\d+) (\d+)\]", one.shown)):
                assert time.monotonic() < deadline
                if select.select([one.ours], [], [], 0.1)[0]:
                    one.shown += os.read(one.ours, 65536)
            one.shown = one.shown[found.end() :]
            return found[0] == wanted

        eventually(look, what=f"a window of {rows} and {columns}")

    shows(24, 80)
    one.resize(33, 77)
    os.kill(one.process.pid, signal.SIGWINCH)
    shows(33, 77)
    one.type(b"\x04")
    assert one.end() == 4


@pytest.mark.runtimes("crun")
def test_one_detaches_and_attaches_again(site, jobs, screen):
    script = "stty -echo; echo ready; while read line; do echo got $line; done; exit 6"
    one = screen("run", "-it", "--rm", "--name", "app", *jobs, "sh", "-c", script)
    one.expect(rb"ready")
    one.type(b"one\r")
    one.expect(rb"got one")
    one.type(b"\x10\x11")
    assert one.end() == 0
    assert site.cli("ps", "--format", "{{.Names}} {{.State}}").stdout == "app running\n"

    two = screen("attach", "--detach-keys", "ctrl-a", "jobs/app")
    two.type(b"two\r")
    two.expect(rb"got two")
    two.type(b"\x10\x11\r")  # no keys to this one; the second one means something to a terminal
    two.expect(rb"got \x10")
    two.type(b"\x01")
    assert two.end() == 0

    three = screen("attach", "jobs/app")
    three.type(b"\x04")
    assert three.end() == 6


def test_start_attaches_before_anything_can_be_missed(site, jobs, screen):
    site.cli("create", "-it", "--name", "app", *jobs, "sh", "-c", "echo hi; read x; exit $x")
    one = screen("start", "-ai", "jobs/app")
    one.expect(rb"hi")
    one.type(b"9\r")
    assert one.end() == 9


@pytest.mark.runtimes("crun")
def test_who_watches_does_not_end_the_input_of_others(site, jobs, popen):
    site.cli("run", "-d", "-i", "--name", "app", *jobs, "sh", "-c", "echo up; cat; exit 8")
    watcher = popen(
        [PODCORE, "attach", "--no-stdin", "--sig-proxy=false", "jobs/app"],
        env=site.environ,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    writer = popen(
        [PODCORE, "attach", "jobs/app"],
        env=site.environ,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    # What is written until both are there is missed by the other one.
    while not select.select([watcher.stdout], [], [], 0.1)[0]:
        writer.stdin.write("x\n")
        writer.stdin.flush()
    watcher.send_signal(signal.SIGINT)
    watcher.communicate(timeout=60)
    assert watcher.returncode == 130
    writer.stdin.write("last\n")
    out, _ = writer.communicate(timeout=60)
    assert out.endswith("x\nlast\n")
    assert writer.returncode == 8


@pytest.mark.runtimes("crun")
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP], ids=["TERM", "HUP"])
def test_whatever_ends_it_the_terminal_is_as_before(number, site, jobs, screen):
    script = "trap 'exit 7' TERM HUP; stty -echo; echo ready; while :; do sleep 60 & wait $!; done"
    one = screen("run", "-it", *jobs, "sh", "-c", script)
    one.expect(rb"ready")
    assert termios.tcgetattr(one.theirs) != one.before
    os.kill(one.process.pid, number)
    assert one.end() == 7


@pytest.mark.runtimes("crun")
def test_a_command_that_is_not_there_gives_the_terminal_back(site, jobs, screen):
    one = screen("run", "-it", *jobs, "nope")
    assert one.end() == 127
    assert b"nope" in one.shown


@pytest.mark.runtimes("crun")
def test_a_container_without_a_terminal_controls_none(site, jobs, screen):
    one = screen(
        "run", "-i", *jobs, "sh", "-c", r"printf '\033[2Jtext\n'", stdin=subprocess.DEVNULL
    )
    assert one.end() == 0
    assert b"\\x1b[2Jtext" in one.shown


@pytest.fixture
def up(site, jobs):
    site.cli("run", "-d", "--name", "app", *jobs, "sleep", "1000")
    return "jobs/app"


def test_exec_on_a_terminal_has_its_size_its_keys_and_its_exit_code(site, up, screen):
    # crun does not know the size before it starts the command.
    sized = 'until [ "$(stty size)" = "24 80" ]; do usleep 9999; done; echo sized'
    one = screen("exec", "-it", up, "sh", "-c", f"{sized}; stty -echo; read x; exit $x")
    one.expect(rb"sized")
    one.type(b"9\r")
    assert one.end() == 9
    two = screen("exec", "-it", up, "sh", "-c", "stty -echo; echo ready; cat; exit $?")
    two.expect(rb"ready")
    two.type(b"\x03")
    assert two.end() == 130


@pytest.mark.runtimes("crun")
def test_a_window_that_changes_changes_for_a_command_too(site, up, screen):
    script = """
        trap '[ "$(stty size)" != "33 77" ] || exit 3' WINCH
        stty -echo; echo ready; while :; do usleep 9999; done
    """
    one = screen("exec", "-it", up, "sh", "-c", script)
    one.expect(rb"ready")
    one.resize(33, 77)
    os.kill(one.process.pid, signal.SIGWINCH)
    assert one.end() == 3


@pytest.mark.runtimes("crun")
@pytest.mark.parametrize(
    ("number", "code"),
    [(signal.SIGTERM, 143), (signal.SIGINT, 130), (signal.SIGHUP, 129)],
    ids=["TERM", "INT", "HUP"],
)
def test_whatever_ends_an_exec_the_terminal_is_as_before(number, code, site, up, screen):
    one = screen("exec", "-it", up, "sh", "-c", "stty -echo; echo ready; sleep 4321")
    one.expect(rb"ready")
    os.kill(one.process.pid, number)
    assert one.end() == code
    # And nothing of the command is left.
    group = f"/{site.cgroup_parent}/"
    assert not [
        pid
        for pid in host.processes()
        if group in host.read_proc(pid, "cgroup") and "4321" in host.read_proc(pid, "cmdline")
    ]


@pytest.mark.runtimes("crun")
def test_exec_on_a_terminal_says_why_there_is_no_command(site, up, screen):
    one = screen("exec", "-it", up, "nope")
    assert one.end() == 127
    assert b"is not in container" in one.shown


@pytest.mark.runtimes("crun")
def test_exec_with_a_terminal_but_none_here(site, up):
    done = run(site, "exec", "-it", up, "sh", "-c", "tty; cat; exit 4", input=b"typed\n")
    assert done.returncode == 4
    assert done.stdout.startswith(b"/dev/pts/") or done.stdout.startswith(b"typed")
    assert done.stdout.count(b"typed") == 2
    assert done.stderr.startswith(b"warning: stdin is no terminal")

    # Who only looks needs none.
    done = run(site, "exec", "-t", up, "sh", "-c", "tty; exit 4", stdin=subprocess.DEVNULL)
    assert (done.returncode, done.stderr) == (4, b"")
    assert done.stdout.startswith(b"/dev/pts/")


@pytest.mark.runtimes("crun")
@pytest.mark.parametrize("flags", ["-it", "-t", "-dit"])
def test_run_with_a_terminal_but_none_here(site, jobs, flags):
    done = run(site, "run", flags, *jobs, "sh", "-c", "tty; exit 4", stdin=subprocess.DEVNULL)
    if flags == "-dit":
        # Whoever attaches later may have a terminal.
        assert (done.returncode, done.stderr) == (0, b"")
    else:
        assert done.returncode == 4
        assert done.stdout.startswith(b"/dev/pts/")
        assert (b"warning: stdin is no terminal" in done.stderr) is (flags == "-it")
