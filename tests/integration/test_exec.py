"""Commands that are run in real containers."""

import os
import shutil
import threading
import time
from types import SimpleNamespace

import pytest

import podcore
from harness import host
from harness.polling import eventually
from integration.builders import add, new_pod
from podcore.lifecycle import exec as exec_module
from podcore.lifecycle.exec import _REMEDY


@pytest.fixture
def container(site):
    pod = new_pod(site)
    made = add(site, pod, "a", env={"MINE": "1"}, rootfs_mode="overlay")
    pod.start()
    return made


def test_output_and_exit_code_come_back(container):
    result = container.exec(["sh", "-c", "echo out; echo err >&2; exit 3"], timeout=60)

    assert (result.exit_code, result.stdout, result.stderr) == (3, b"out\n", b"err\n")


def test_input_environment_user_and_directory_are_passed_on(container):
    assert container.exec(["cat"], stdin=b"x" * 200_000, timeout=60).stdout == b"x" * 200_000
    assert container.exec(["cat"], timeout=60).stdout == b""
    shown = container.exec(["sh", "-c", "echo $MINE $OTHER"], env={"OTHER": "2"}, timeout=60)
    assert shown.stdout == b"1 2\n"
    who = ["sh", "-c", "echo $(id -u):$(id -g)"]
    assert container.exec(who, timeout=60).stdout == b"0:0\n"
    assert container.exec(who, user="user", timeout=60).stdout == b"1000:1000\n"
    assert container.exec(who, user="1234:5678", timeout=60).stdout == b"1234:5678\n"
    assert container.exec(["pwd"], cwd="/tmp", timeout=60).stdout == b"/tmp\n"


def test_a_timeout_kills_all_that_the_command_started(site, container):
    # Its child has left the session, and its grandchild's parent has ended.
    command = ["sh", "-c", "echo before; setsid sleep 9876 & (sleep 9876 &); sleep 9876"]
    group = container.inspect().cgroup_path
    before = container._engine.host.cgroup(group).procs()

    with pytest.raises(podcore.ExecTimeoutError) as caught:
        container.exec(command, timeout=1.5)

    assert isinstance(caught.value, TimeoutError)
    assert caught.value.stdout in (b"before\n", b"")  # b"" where the host took longer than that
    eventually(lambda: container._engine.host.cgroup(group).procs() == before)
    assert container.status == "running"
    assert container.exec(["true"], timeout=60).exit_code == 0


def test_what_can_not_be_run_is_told_apart(container):
    with pytest.raises(podcore.CommandError) as caught:
        container.exec(["no-such-command"], timeout=60)
    assert caught.value.exit_code == 127
    with pytest.raises(podcore.CommandError) as caught:
        container.exec(["/bin/not/there"], timeout=60)
    assert caught.value.exit_code == 127
    with pytest.raises(podcore.CommandError) as caught:
        container.exec(["/etc/passwd"], timeout=60)
    assert caught.value.exit_code == 126
    # A command's own 127 is its result, not an error.
    assert container.exec(["sh", "-c", "exit 127"], timeout=60).exit_code == 127


@pytest.mark.runtimes("crun")
def test_a_signalled_command_has_the_exit_code_of_its_signal(container):
    assert container.exec(["sh", "-c", "kill -9 $$"], timeout=60).exit_code == 137


@pytest.mark.runtimes("crun")
def test_what_does_not_run_takes_no_command_and_says_what_must_come_first(site):
    pod = new_pod(site)
    container = add(site, pod, "a")

    def refused(state, hint):
        with pytest.raises(podcore.ContainerStateError, match=f"\nhint: {hint}$") as caught:
            container.exec(["true"])
        assert caught.value.current == state

    refused("configured", "start it first")
    pod.start()
    pod.pause()
    refused("paused", "unpause it first")
    pod.unpause()
    pod.kill()
    refused("exited", "start it first")


@pytest.mark.parametrize("state", sorted(set(podcore.ContainerStatus) - {"running", "stopping"}))
def test_each_state_that_takes_no_command_has_a_remedy(state):
    assert _REMEDY[state]


@pytest.mark.runtimes("crun")
def test_one_whose_run_files_are_gone_is_to_be_restarted(container):
    host_ = container._engine.host
    with host_.store.read() as view:
        record = view.container(container.id)
    shutil.rmtree(host_.places.attempt(record.id, record.incarnation))

    with pytest.raises(podcore.ContainerStateError, match=r"`a`.*gone\nhint: restart it$"):
        container.exec(["true"], timeout=60)
    assert host_.cgroup(record.cgroup_path).populated()
    container.restart(timeout=0)
    assert container.exec(["true"], timeout=60).exit_code == 0


@pytest.mark.runtimes("crun")
@pytest.mark.parametrize(
    "arguments",
    [
        {"command": []},
        {"command": [""]},
        {"command": [1]},
        {"command": ["true"], "timeout": -1},
        {"command": ["true"], "user": "nobody-knows-me"},
        {"command": ["true"], "env": {"A=B": "c"}},
        {"command": ["true"], "cwd": "relative"},
    ],
    ids=repr,
)
def test_bad_arguments_are_refused(container, arguments):
    with pytest.raises(podcore.InvalidArgumentError):
        container.exec(**arguments)


@pytest.mark.runtimes("crun")
def test_execs_leave_no_process_no_file_and_no_descriptor(site, container):
    def look():
        files = [f"{d}/{n}" for d, ns, fs in os.walk(site.base) for n in ns + fs]
        return host.descriptors(), sorted(f for f in files if "exec" in f)

    container.exec(["true"], timeout=60)
    before = look()
    for _ in range(20):
        container.exec(["true"], timeout=60)

    descriptors, files = look()
    # Less is no matter: something of another test may have been collected meanwhile.
    assert descriptors <= before[0]
    assert files == before[1]
    zombies = [pid for pid in host.processes() if _is_my_zombie(pid)]
    assert zombies == []


def _is_my_zombie(pid):
    fields = host.read_proc(pid, "stat").rpartition(")")[2].split()
    return bool(fields) and fields[0] == "Z" and int(fields[1]) == os.getpid()


@pytest.mark.runtimes("crun")
def test_a_stop_ends_a_command_that_runs(container):
    results = []

    def run():
        try:
            results.append(container.exec(["sleep", "1000"], timeout=120).exit_code)
        except podcore.PodcoreError as error:
            results.append(error)

    runner = threading.Thread(target=run)
    runner.start()
    group = container._engine.host.cgroup(container.inspect().cgroup_path)
    eventually(lambda: len(group.procs()) > 1)
    began = time.monotonic()
    container.stop(timeout=0)
    runner.join(60)

    assert not runner.is_alive()
    assert time.monotonic() - began < 60
    assert len(results) == 1


@pytest.mark.runtimes("crun")
@pytest.mark.parametrize("moment", ["before its files are read", "before its cgroup is made"])
def test_what_is_removed_while_a_command_is_prepared_leaves_no_cgroup(site, monkeypatch, moment):
    pod = new_pod(site)
    container = add(site, pod, "a")
    container.start()
    group = pod._engine.host.cgroup(container.inspect().cgroup_path)
    name = "bundle" if "files" in moment else "write_atomic"
    real = getattr(exec_module, name)

    def load(path):
        site.cli("pod", "rm", "--force", "web")
        return real.load(path)

    def write(path, data):
        real(path, data)
        site.cli("pod", "rm", "--force", "web")

    monkeypatch.setattr(
        exec_module, name, SimpleNamespace(load=load) if name == "bundle" else write
    )

    with pytest.raises(podcore.PodcoreError) as caught:
        container.exec(["true"])

    if name == "bundle":
        assert isinstance(caught.value, podcore.ContainerRemovedError)

    above = pod._engine.host.cgroup(os.path.dirname(group.path))
    assert not any(map(os.path.exists, [*group.directories(), *above.directories()]))
