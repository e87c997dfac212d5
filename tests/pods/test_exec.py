"""Commands run in a container: streamed output, and that nothing of them stays."""

import os
import pty
import subprocess
import sys
import threading

import pytest

from harness import host
from harness.polling import eventually
from podcore.kernel import process
from podcore.lifecycle.exec import Exec, run_attached
from podcore.operations import find
from pods.inside import THOROUGH, add

PODCORE = os.path.join(os.path.dirname(sys.executable), "podcore")


@pytest.fixture
def container(site):
    pod = site.engine().create_pod("web", share=())
    container = add(site, pod, "app")
    pod.start()
    return container


def test_output_is_handed_out_as_it_comes(site, container):
    pieces = []
    gate = f"{site.root}/containers/{container.id}/rootfs/tmp/go"

    def take(stream, data):
        pieces.append((stream, data))
        if data == b"first\n":
            # The command waits for this: nothing was kept back until its end.
            with open(gate, "w", encoding="utf-8"):
                pass

    script = (
        "echo first; until [ -e /tmp/go ]; do usleep 10000; done; echo bad >&2; echo last; exit 5"
    )
    done = container.exec(["/bin/sh", "-c", script], timeout=60, on_output=take)
    assert (done.exit_code, done.stdout, done.stderr) == (5, b"", b"")
    assert b"".join(data for stream, data in pieces if stream == "stdout") == b"first\nlast\n"
    assert b"".join(data for stream, data in pieces if stream == "stderr") == b"bad\n"


def test_a_consumer_that_raises_ends_the_command(container):
    seen = []

    def refuse(stream, data):
        seen.append(process.find(lambda argv: argv == [b"sleep", b"4321"]))
        raise RuntimeError("enough")

    script = "sleep 4321 & while :; do echo x; usleep 10000; done"
    with pytest.raises(RuntimeError, match="enough"):
        container.exec(["/bin/sh", "-c", script], timeout=60, on_output=refuse)
    assert container._engine.host.cgroup(container.inspect().cgroup_path).procs() == [container.pid]
    assert len(seen) == 1


def test_what_a_terminal_shows_is_handed_out_as_it_comes(container):
    pieces = []

    def take(stream, data):
        pieces.append((stream, data))

    script = "echo first; echo bad >&2; exit 5"
    command = ["/bin/sh", "-c", script]
    done = container.exec(command, terminal=True, timeout=60, on_output=take)
    assert (done.exit_code, done.stdout, done.stderr) == (5, b"", b"")
    assert {stream for stream, _ in pieces} == {"stdout"}
    assert b"".join(data for _, data in pieces).split() == [b"first", b"bad"]


def test_nothing_is_lost_that_a_very_short_command_shows_on_a_terminal(container):
    before = host.descriptors()
    for _ in range(20):
        done = container.exec(["echo", "hi"], terminal=True, timeout=60)
        assert (done.exit_code, done.stdout) == (0, b"hi\r\n")
    assert host.descriptors() == before
    assert threading.active_count() == 1


@pytest.mark.runtimes("crun")
def test_a_consumer_that_raises_ends_a_command_on_a_terminal(container):
    def refuse(stream, data):
        raise RuntimeError("enough")

    with pytest.raises(RuntimeError, match="enough"):
        container.exec(
            ["/bin/sh", "-c", "echo x; sleep 1000"], terminal=True, timeout=60, on_output=refuse
        )
    cgroup = container._engine.host.cgroup(container.inspect().cgroup_path)
    assert cgroup.procs() == [container.pid]


def test_many_commands_leave_no_zombie_no_file_and_no_descriptor(site, container):
    count = 1000 if THOROUGH else 40

    def left():
        zombies = [
            pid
            for pid in host.processes()
            if f"\nPPid:\t{os.getpid()}\n" in (status := host.read_proc(pid, "status"))
            and "\nState:\tZ" in status
        ]
        cgroup = container._engine.host.cgroup(container.inspect().cgroup_path)
        groups = [
            name
            for directory in cgroup.directories()
            if os.path.isdir(directory)
            for name in os.listdir(directory)
            if os.path.isdir(f"{directory}/{name}")
        ]
        files = sorted(
            os.path.join(directory, name)
            for top in (site.root, site.run_root)
            for directory, names, plain in os.walk(top)
            for name in (*names, *plain)
            if "/rootfs/" not in directory and not name.startswith("state.db")
        )
        return zombies, groups, files, host.descriptors(), cgroup.procs()

    assert container.exec(["/bin/true"], timeout=60).exit_code == 0
    before = left()
    for number in range(count):
        done = container.exec(["/bin/sh", "-c", f"exit {number % 100}"], timeout=60)
        assert done.exit_code == number % 100
    eventually(lambda: left() == before, what="nothing being left of them")


def owners(*paths):
    found = [os.stat(path) for path in paths]
    return [(status.st_uid, status.st_gid, status.st_mode) for status in found]


@pytest.fixture
def null_is_root_s():
    """Whatever happens in the test, the rest of this host has its /dev/null."""
    yield
    os.chown(os.devnull, 0, 0)
    os.chmod(os.devnull, 0o666)


def test_the_user_of_a_command_never_owns_a_device_or_a_file_of_the_host(
    site, container, null_is_root_s, tmp_path
):
    engine = container._engine
    _, record = find.container(engine.host, container.id)
    script = "id -u; cat; for n in 0 1 2; do chmod 600 /proc/self/fd/$n; done; echo bad >&2"
    wanted = Exec(command=["/bin/sh", "-c", script], user="1000:1000", timeout=60)
    ours, theirs = pty.openpty()
    (tmp_path / "file").write_bytes(b"")
    terminal = os.ttyname(theirs)
    places = (os.devnull, "/dev/zero", terminal, str(tmp_path / "file"))
    before = owners(*places)
    with (
        open(os.devnull, "r+b") as null,
        open(tmp_path / "file", "r+b") as file,
        open("/dev/zero", "r+b") as zero,
    ):
        for fds in (
            {},
            {0: null.fileno(), 1: null.fileno(), 2: null.fileno()},
            {1: file.fileno(), 2: null.fileno()},
            {1: theirs, 2: zero.fileno()},
        ):
            assert run_attached(engine.host, record, wanted, fds) == 0
            assert owners(*places) == before
    done = container.exec(
        ["/bin/sh", "-c", "id -u"], user="1000:1000", terminal=True, timeout=60, stdin=b""
    )
    assert b"1000" in done.stdout
    assert owners(*places) == before

    assert (tmp_path / "file").read_bytes() == b"1000\n"
    assert os.read(ours, 100) == b"1000\r\n"
    os.close(ours)
    os.close(theirs)


@pytest.mark.runtimes("crun")
def test_an_exec_without_output_leaves_the_null_device_root_s(site, container, null_is_root_s):
    before = owners(os.devnull)
    argv = [PODCORE, "exec", "-u", "1000", "web/app", "sh", "-c", "echo x; echo y >&2; exit 4"]
    with open(os.devnull, "r+b") as null:
        done = subprocess.run(
            argv, env=site.environ, stdin=null, stdout=null, stderr=null, check=False, timeout=120
        )
    assert done.returncode == 4
    assert owners(os.devnull) == before
    assert before[0][:2] == (0, 0)


# runc itself waits for what a command leaves in the background.
@pytest.mark.runtimes("crun")
def test_files_are_read_and_written_by_a_command(container, tmp_path):
    engine = container._engine
    _, record = find.container(engine.host, container.id)
    (tmp_path / "in").write_bytes(b"x" * 300_000)
    wanted = Exec(command=["/bin/sh", "-c", "cat; (sleep 1000 &) ; echo bad >&2"], timeout=60)
    before = host.descriptors()
    with open(tmp_path / "in", "rb") as source, open(tmp_path / "out", "wb") as out:
        # What is left in the background has the pipe open, and is not waited for.
        fds = {0: source.fileno(), 1: out.fileno(), 2: out.fileno()}
        assert run_attached(engine.host, record, wanted, fds) == 0

    assert sorted((tmp_path / "out").read_bytes()) == sorted(b"x" * 300_000 + b"bad\n")
    assert host.descriptors() == before
    assert threading.active_count() == 1


@pytest.mark.runtimes("crun")
def test_a_disk_that_is_full_is_an_error_and_no_hang(container):
    engine = container._engine
    _, record = find.container(engine.host, container.id)
    wanted = Exec(command=["/bin/sh", "-c", "head -c 1000000 /dev/zero"], timeout=60)
    with (
        open("/dev/full", "wb", buffering=0) as full,
        pytest.raises(OSError, match="No space left"),
    ):
        run_attached(engine.host, record, wanted, {1: full.fileno()})
    assert threading.active_count() == 1
