"""Commands run in a container: streamed output, and that nothing of them stays."""

import os

import pytest

import podcore
from harness import host
from harness.polling import eventually
from podcore.kernel import process
from pods.inside import THOROUGH, add


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


@pytest.mark.runtimes("runc")
def test_what_a_terminal_shows_is_not_streamed(container):
    with pytest.raises(podcore.InvalidArgumentError, match="on_output"):
        container.exec(["/bin/true"], terminal=True, on_output=print)


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
        return zombies, groups, files, len(os.listdir("/proc/self/fd")), cgroup.procs()

    assert container.exec(["/bin/true"], timeout=60).exit_code == 0
    before = left()
    for number in range(count):
        done = container.exec(["/bin/sh", "-c", f"exit {number % 100}"], timeout=60)
        assert done.exit_code == number % 100
    eventually(lambda: left() == before, what="nothing being left of them")
