"""Attaching to real containers: nothing is missed, and no client can harm them."""

import os
import signal
import subprocess
import sys
import threading

import pytest

import podcore
from harness.host import descriptors
from harness.polling import eventually
from pods.inside import add

pytestmark = pytest.mark.integration


@pytest.fixture
def pod(site):
    return site.engine().create_pod("web", share=())


def shell(site, pod, script, name="app", **fields):
    return add(site, pod, name, command=["/bin/sh", "-c", script], **fields)


def logged(container):
    return b"".join(e.data if e.partial else e.data + b"\n" for e in container.logs())


def test_input_output_and_exit_code_are_complete(site, pod):
    container = shell(site, pod, "cat; echo err >&2; exit 3", stdin=True)
    before = descriptors()
    done = container.attach(stdin=b"x" * 300_000, start=True, timeout=60)

    assert (done.exit_code, done.stdout, done.stderr) == (3, b"x" * 300_000, b"err\n")
    assert not done.detached
    assert descriptors() == before
    assert threading.active_count() == 1
    written = [entry.data for entry in container.logs() if entry.stream == "stdout"]
    assert b"".join(written) == b"x" * 300_000


def test_nothing_of_a_very_short_command_is_missed(site, pod):
    container = shell(site, pod, "echo hi", stdin=True)
    for _ in range(5):
        done = container.attach(stdin=b"", start=True, timeout=60)
        assert (done.exit_code, done.stdout) == (0, b"hi\n")


def test_who_only_watches_misses_nothing_either(site, pod):
    container = shell(site, pod, "echo out; echo err >&2; printf end; exit 4")
    for _ in range(2):
        done = container.attach(start=True, timeout=60)
        assert (done.exit_code, done.stdout, done.stderr) == (4, b"out\nend", b"err\n")


def test_a_running_container_shows_what_it_writes_from_now_on(site, pod):
    container = shell(site, pod, "echo before; read line; echo got $line", stdin=True)
    container.start()
    eventually(lambda: [entry.text for entry in container.logs()] == ["before"])

    done = container.attach(stdin=b"this\n", timeout=60)
    assert (done.exit_code, done.stdout) == (0, b"got this\n")


@pytest.mark.runtimes("crun")
def test_files_and_pipes_are_read_and_written(site, pod, tmp_path):
    container = shell(site, pod, "cat; echo err >&2", stdin=True)
    (tmp_path / "in").write_bytes(b"hello\n" * 1000)
    with (
        open(tmp_path / "in", "rb") as source,
        open(tmp_path / "out", "wb") as out,
        open(tmp_path / "err", "wb") as err,
    ):
        done = container.attach(source, out, err, start=True, timeout=60)

    assert (done.exit_code, done.stdout, done.stderr) == (0, b"", b"")
    assert (tmp_path / "out").read_bytes() == b"hello\n" * 1000
    assert (tmp_path / "err").read_bytes() == b"err\n"


@pytest.mark.runtimes("crun")
@pytest.mark.parametrize("name", [os.devnull, "/dev/zero"])
def test_devices_are_read_like_files(name, site, pod):
    container = shell(site, pod, "head -c 10 | wc -c", stdin=True)
    with open(name, "rb") as source:
        done = container.attach(stdin=source, start=True, timeout=60)

    assert done.stdout == (b"0\n" if name == os.devnull else b"10\n")


@pytest.mark.runtimes("crun")
def test_input_that_nobody_reads_is_no_error_and_output_comes_back(site, pod):
    container = shell(site, pod, "head -c 1; exit 5", stdin=True)
    done = container.attach(stdin=b"x" * 2_000_000, start=True, timeout=60)

    assert (done.exit_code, done.stdout) == (5, b"x")


def test_a_conversation(site, pod):
    container = shell(site, pod, "while read line; do echo answer $line; done", stdin=True)
    reading, writing = os.pipe()
    heard = []

    def listen(stream, data):
        heard.append(data)
        if len(heard) < 4:
            os.write(writing, b"%d\n" % len(heard))
        elif len(heard) == 4:
            os.close(writing)

    os.write(writing, b"0\n")
    done = container.attach(stdin=reading, start=True, timeout=60, on_output=listen)
    os.close(reading)

    assert heard == [b"answer %d\n" % number for number in range(4)]
    assert (done.exit_code, done.stdout) == (0, b"")


def test_a_terminal_shows_everything_and_has_an_end_of_input(site, pod):
    container = shell(site, pod, "tty; echo err >&2; cat; exit 6", terminal=True)
    done = container.attach(stdin=b"typed", start=True, timeout=60)

    assert done.exit_code == 6
    shown = done.stdout.replace(b"\r", b"")
    # The terminal shows what is typed when it comes, and cat again what it has read.
    assert shown.count(b"typed") == 2
    assert {b"/dev/pts/0", b"err"} <= set(shown.replace(b"typed", b"").splitlines())
    assert done.stderr == b""


def test_the_keys_that_detach_leave_it_running(site, pod):
    script = "stty raw -echo; echo ready; head -c 3; echo; sleep 1000"
    container = shell(site, pod, script, terminal=True)
    reading, writing = os.pipe()

    def listen(stream, data):
        if b"ready" in data:
            os.write(writing, b"a\x10b\x10\x11never")

    keys = "ctrl-p,ctrl-q"
    done = container.attach(reading, start=True, on_output=listen, timeout=60, detach_keys=keys)
    assert done.detached
    assert done.exit_code is None
    assert container.status == "running"
    # All that was typed before them went in, the first key of another sequence too.
    eventually(lambda: any(b"a\x10b" in entry.data for entry in container.logs()))
    # And one can come back.
    with pytest.raises(TimeoutError):
        container.attach(timeout=0.1)
    os.close(reading)
    os.close(writing)


@pytest.mark.runtimes("crun")
def test_a_timeout_leaves_it_running_and_leaks_nothing(site, pod):
    container = shell(site, pod, "sleep 1000", stdin=True)
    reading, writing = os.pipe()
    before = descriptors()
    with pytest.raises(TimeoutError, match="has not ended in time"):
        container.attach(stdin=reading, start=True, timeout=1)

    assert container.status == "running"
    assert descriptors() == before
    assert threading.active_count() == 1
    os.close(reading)
    os.close(writing)


@pytest.mark.runtimes("crun")
def test_what_a_consumer_raises_ends_the_attachment_alone(site, pod):
    container = shell(site, pod, "echo hi; sleep 1000", stdin=True)

    def refuse(stream, data):
        raise RuntimeError("enough")

    with pytest.raises(RuntimeError, match="enough"):
        container.attach(stdin=b"", start=True, timeout=60, on_output=refuse)
    assert container.status == "running"
    assert threading.active_count() == 1


@pytest.mark.runtimes("crun")
def test_what_is_not_up_can_not_be_attached_to(site, pod):
    container = shell(site, pod, "true", stdin=True)
    with pytest.raises(podcore.ContainerStateError, match="nothing to attach to"):
        container.attach()
    container.attach(start=True, timeout=60)
    with pytest.raises(podcore.ContainerStateError, match="is exited"):
        container.attach(stdin=b"")


@pytest.mark.runtimes("crun")
@pytest.mark.parametrize(
    "arguments",
    [
        {"stdin": b"x"},
        {"stdin": 1 << 20},
        {"stdout": "a string"},
        {"stdout": 1, "on_output": print},
        {"timeout": -1},
        {"detach_keys": "ctrl-"},
        {"detach_keys": "ab"},
        {"detach_keys": 5},
    ],
    ids=repr,
)
def test_bad_arguments_are_refused_and_nothing_is_started(arguments, site, pod):
    container = shell(site, pod, "sleep 1000")
    with pytest.raises(podcore.InvalidArgumentError):
        container.attach(start=True, **arguments)
    assert container.status == "configured"


@pytest.mark.runtimes("crun")
def test_a_start_that_fails_leaves_it_as_it_was(site, pod):
    add(site, pod, "db")
    container = shell(site, pod, "true", stdin=True, depends_on=["db"])
    with pytest.raises(podcore.DependencyNotRunningError):
        container.attach(stdin=b"", start=True, timeout=60)
    assert container.status == "configured"


@pytest.mark.runtimes("crun")
@pytest.mark.parametrize("stdin", [b"", None], ids=["attached", "watching"])
def test_a_restart_ends_an_attachment_with_the_code_of_that_life(stdin, site, pod):
    script = "trap 'exit 9' TERM; echo up; while :; do sleep 60 & wait $!; done"
    container = shell(site, pod, script, stdin=True)
    helpers = []

    def restart(stream, data):
        if not helpers:
            helpers.append(threading.Thread(target=container.restart))
            helpers[0].start()

    done = container.attach(stdin=stdin, start=True, timeout=60, on_output=restart)
    helpers[0].join(60)
    # Where it was started again before anybody could look, nobody knows.
    assert done.exit_code in (9, None)
    assert container.status == "running"


CLIENT = """
import os, sys
import podcore
engine = podcore.Engine(**eval(sys.argv[1]))
container = engine.container("web/app")
first = [True]
def listen(stream, data):
    if first:
        first.clear()
        print("attached", flush=True)
container.attach(stdin=0, on_output=listen, start=sys.argv[2] == "start")
"""


@pytest.fixture
def client(site, popen):
    """Starts a process that attaches to ``web/app``."""

    def start(*, begin):
        settings = {
            "root": site.root,
            "run_root": site.run_root,
            "cgroup_parent": site.cgroup_parent,
            "oci_runtime": site.runtime,
        }
        process = popen(
            [sys.executable, "-c", CLIENT, repr(settings), "start" if begin else "join"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        assert process.stdout.readline() == "attached\n"
        return process

    return start


WRITES = "i=0; while [ $i -lt 3000 ]; do echo {line}; i=$((i+1)); done"


def test_a_client_that_dies_harms_nobody(site, pod, client):
    line = "x" * 300
    script = f"echo first; cat >/dev/null; {WRITES.format(line=line)}; exit 7"
    container = shell(site, pod, script, stdin=True, rootfs_mode="overlay")
    process = client(begin=True)
    process.send_signal(signal.SIGKILL)
    process.wait(60)

    # Its end is the end of the input; the container goes on to its own end.
    assert container.wait(timeout=60) == 7
    assert logged(container).count(f"{line}\n".encode()) == 3000


@pytest.mark.runtimes("crun")
def test_a_client_that_is_stopped_holds_up_neither_container_nor_monitor(site, pod, client):
    line = "x" * 300
    script = f"echo first; read go; {WRITES.format(line=line)}; exit 7"
    container = shell(site, pod, script, stdin=True)
    process = client(begin=True)
    os.kill(process.pid, signal.SIGSTOP)
    # Another one says go on; what then comes is far more than the kernel keeps for the first.
    done = container.attach(stdin=b"go\n", timeout=60)

    assert done.exit_code == 7
    assert done.stdout.count(line.encode()) == 3000
    assert container.wait(timeout=60) == 7
    assert logged(container).count(f"{line}\n".encode()) == 3000
    os.kill(process.pid, signal.SIGCONT)
    process.wait(60)


@pytest.mark.runtimes("crun")
def test_a_reader_that_is_slow_loses_nothing_and_holds_up_nobody(site, pod):
    line = "x" * 300
    container = shell(site, pod, f"echo first; {WRITES.format(line=line)}; exit 7", stdin=True)
    pieces = []

    def listen(stream, data):
        if not pieces:
            # It does not read on until the container has ended, which so does not wait for it.
            assert container.wait(timeout=60) == 7
        pieces.append(data)

    done = container.attach(stdin=b"", start=True, timeout=60, on_output=listen)
    assert done.exit_code == 7
    assert b"".join(pieces) == b"first\n" + f"{line}\n".encode() * 3000


@pytest.mark.runtimes("crun")
def test_a_monitor_that_dies_is_an_error_not_an_end(site, pod):
    container = shell(site, pod, "echo hi; sleep 1000", stdin=True)
    host = container._engine.host

    def listen(stream, data):
        with host.store.read() as view:
            os.kill(view.container(container.id).monitor.pid, signal.SIGKILL)

    with pytest.raises(podcore.MonitorError, match="monitor of container `app` has died"):
        container.attach(stdin=b"", start=True, timeout=60, on_output=listen)
    assert container.status == "running"
    with pytest.raises(podcore.MonitorError, match="can be attached to"):
        container.attach(stdin=b"", timeout=60)
