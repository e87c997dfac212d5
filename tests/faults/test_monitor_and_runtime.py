"""Faults of the monitor and of the OCI runtime, groups B and C of docs/reliability.md."""

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import threading

import pytest

import podcore
from harness import leftovers
from harness.bare import When, kill_hard
from harness.polling import eventually
from integration.builders import POLITE, add, await_ready, bundle, new_pod, sound, states
from podcore.kernel.cgroup import Cgroup
from podcore.lifecycle import create as lifecycle_create
from podcore.lifecycle import purge

pytestmark = pytest.mark.runtimes("crun")


def row(container):
    with container._engine.host.store.read() as view:
        return view.container(container.id)


def test_f16_a_stopped_monitor_holds_up_nobody_for_longer_than_the_deadline(site, monkeypatch):
    monkeypatch.setattr("podcore.lifecycle.settle.EXIT_PATIENCE", 1.0)
    engine = site.engine()
    pod = new_pod(site, engine=engine)
    held, other = add(site, pod, "held"), add(site, pod, "other")
    pod.start()
    monitor = row(held).monitor.pid
    stops = [
        threading.Thread(target=one.stop, kwargs={"timeout": 0}, daemon=True)
        for one in (held, other)
    ]
    os.kill(monitor, signal.SIGSTOP)
    try:
        for stop in stops:
            stop.start()
        for stop in stops:
            stop.join(60)
        assert not any(stop.is_alive() for stop in stops), "somebody waits for its word"
    finally:
        os.kill(monitor, signal.SIGCONT)

    # It had no chance to say how the container ended, and its word comes too late.
    assert (held.status, held.exit_code) == ("exited", None)
    assert row(held).reason == "MonitorLost"
    assert other.exit_code == 137
    pod.start()
    assert states(pod) == {"held": "running", "other": "running"}
    sound(engine)


@pytest.mark.parametrize("damage", ["gone", "file", "read-only"])
def test_f18_an_exit_code_survives_the_run_directory(site, damage):
    engine = site.engine()
    pod = new_pod(site, engine=engine)
    one = add(site, pod, "one", command=POLITE)
    pod.start()
    await_ready(one)
    attempt = engine.host.places.attempt(one.id, row(one).incarnation)
    if damage == "read-only":
        subprocess.run(["mount", "-t", "tmpfs", "-o", "ro", "none", attempt], check=True)
    else:
        shutil.rmtree(attempt)
        if damage == "file":
            with open(attempt, "w", encoding="ascii"):
                pass
    try:
        pod.stop(timeout=30)
        assert one.exit_code == 0
    finally:
        if damage == "read-only":
            subprocess.run(["umount", attempt], check=True)
    if damage == "file":
        os.unlink(attempt)
    pod.start()
    assert one.status == "running"
    sound(engine)


def test_f20_the_exit_code_of_an_earlier_life_is_never_that_of_a_later_one(site):
    engine = site.engine()
    pod = new_pod(site, engine=engine)
    one = add(site, pod, "one", command=POLITE)
    pod.start()
    await_ready(one)
    pod.stop(timeout=30)
    assert one.exit_code == 0
    pod.start()
    os.kill(row(one).monitor.pid, signal.SIGKILL)
    os.kill(one.pid, signal.SIGKILL)

    eventually(lambda: one.status == "exited")

    assert one.exit_code is None
    assert one.wait(10) is None
    sound(engine)


@pytest.mark.runtimes("runc", "crun")
def test_f23_a_runtime_that_is_killed_in_the_middle_of_a_create_leaves_nothing(site):
    mark = f"{site.base}/in-the-hook"
    hook = (
        f"if [ ! -e {mark} ]; then echo $$ > {mark}.new; mv {mark}.new {mark}; exec sleep 1000; fi"
    )
    engine = site.engine()
    pod = new_pod(site, engine=engine)
    one = pod.create_container("one", bundle=bundle(site, hook))
    failure = []

    def start():
        try:
            one.start()
        except podcore.PodcoreError as error:
            failure.append(error)

    thread = threading.Thread(target=start)
    thread.start()
    eventually(lambda: os.path.exists(mark), what="the hook")
    with open(mark, encoding="ascii") as file:
        in_the_hook = int(file.read())
    for pid, command in leftovers.find(site.base, site.cgroup_parent).processes.items():
        if " create " in command and os.path.basename(command.split(" ")[0]) == site.runtime:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
    # It was the runtime's child, and is nobody's now.
    kill_hard(in_the_hook)
    thread.join(60)

    assert not thread.is_alive()
    assert isinstance(failure[0], podcore.MonitorError | podcore.OCIRuntimeError)
    assert one.status == "configured"
    sound(engine)
    one.start()
    assert one.status == "running"
    sound(engine)


def test_f24_a_runtime_that_hangs_holds_up_its_container_only(site, monkeypatch):
    engine = site.engine()
    pod = new_pod(site, engine=engine)
    pod.create_container("stuck", bundle=bundle(site, "sleep 1000"))
    fine = add(site, pod, "fine")

    class Deadline:
        """Has come when the other one runs."""

        @staticmethod
        def after(seconds):
            return When.true(lambda: fine.status == "running")

    monkeypatch.setattr(lifecycle_create, "Deadline", Deadline)

    with pytest.raises(podcore.PartialFailureError) as caught:
        pod.start()

    assert [type(error) for error in caught.value.errors.values()] == [
        podcore.OCIRuntimeTimeoutError
    ]
    assert states(pod) == {"stuck": "configured", "fine": "running"}
    sound(engine)


def test_f28_without_its_runtime_a_container_is_seen_stopped_and_removed(site):
    engine = site.engine()
    runtime = f"{site.base}/crun"
    shutil.copy(shutil.which("crun"), runtime)
    engine = site.engine(oci_runtime=runtime)
    pod = new_pod(site, engine=engine)
    one = add(site, pod, "one", command=POLITE)
    pod.start()
    await_ready(one)
    os.unlink(runtime)

    assert one.status == "running"
    assert one.inspect().oci_runtime == runtime
    pod.pause()
    pod.unpause()
    pod.stop(timeout=30)
    assert one.exit_code == 0
    with pytest.raises(podcore.PodcoreError, match="crun"):
        one.start()
    assert states(pod) == {"one": "exited"} or states(pod) == {"one": "configured"}
    pod.remove()
    sound(engine)


@pytest.mark.runtimes("runc", "crun")
@pytest.mark.parametrize("damage", ["truncated", "empty", "foreign", "gone"])
def test_f30_damaged_runtime_state_stops_no_verb(site, damage):
    engine = site.engine()
    pod = new_pod(site, engine=engine)
    one = add(site, pod, "one")
    pod.start()
    directory = engine.host.runtime(row(one).oci_runtime).state_directory(one.id)
    if damage == "gone":
        shutil.rmtree(directory)
    else:
        name = {"runc": "state.json", "crun": "status"}[site.runtime]
        with open(f"{directory}/{name}", "r+b") as file:
            file.truncate(0 if damage == "empty" else 40)
            if damage == "foreign":
                file.truncate(0)
                file.write(b'{"id": "other", "init_process_pid": 1, "pid": 1}')

    assert one.status == "running"
    one.restart(timeout=0)
    assert one.status == "running"
    pod.remove(force=True)
    sound(engine)


def test_f33_however_short_a_life_is_its_exit_code_is_exact(site):
    engine = site.engine()
    pod = new_pod(site, engine=engine)
    for code in (0, 1, 7, 125, 126, 127, 255):
        add(site, pod, f"c{code}", command=["sh", "-c", f"exit {code}"])

    assert pod.start().ok

    for container in pod.containers():
        assert container.wait(60) == int(container.name.removeprefix("c"))
    sound(engine)


@pytest.mark.parametrize("verb", ["stop", "kill", "remove", "restart"])
def test_f34_a_container_that_somebody_else_froze(site, verb):
    engine = site.engine()
    pod = new_pod(site, engine=engine)
    one = add(site, pod, "one")
    pod.start()
    engine.host.cgroup(row(one).cgroup_path).freeze(10)

    assert one.status == "paused"
    if verb == "remove":
        pod.remove(force=True)
    else:
        # A batch leaves what is paused alone.
        report = getattr(pod, verb)()
        assert [str(line.outcome) for line in report.rows] == ["ignored"]
        pod.unpause()
        assert one.status == "running"
    sound(engine)


def test_f35_what_can_not_be_killed_is_never_said_to_have_exited(site, monkeypatch):
    engine = site.engine()
    pod = new_pod(site, engine=engine)
    one = add(site, pod, "one")
    pod.start()
    pid = one.pid
    # Uninterruptible sleep can't be had on demand: signals go nowhere instead.
    with monkeypatch.context() as deaf:
        deaf.setattr(purge, "KILL_PATIENCE", 0.3)
        deaf.setattr("podcore.lifecycle.stop.KILL_PATIENCE", 0.3)
        deaf.setattr("podcore.kernel.process.send", lambda *_arguments: True)
        deaf.setattr(Cgroup, "kill", lambda *_arguments: [pid])
        with pytest.raises(podcore.StopTimeoutError) as caught:
            one.stop(timeout=0)
        assert one.status == "stopping"

    assert list(caught.value.pids) == [pid]
    assert os.path.exists(f"/proc/{pid}")
    one.stop(timeout=0)
    assert one.exit_code == 137
    sound(engine)


WORKER = "import os, sys, time; sys.stdin.read(1); os.fork(); time.sleep(1000)"


@pytest.fixture
def worker(site):
    """Starts what has the command line of a monitor that a dead caller left; it forks when told."""
    started = []

    def start(record):
        argv = [
            sys.executable,
            "-c",
            WORKER,
            f"{site.engine().host.places.attempt(record.id, 1)}/x",
            record.id,
        ]
        one = subprocess.Popen(argv, stdin=subprocess.PIPE)
        started.append(one)
        eventually(lambda: purge._workers(site.engine().host, record), what="its command line")
        return one

    yield start
    for one in started:
        one.kill()
        one.communicate()


def test_f3_what_a_left_monitor_forks_as_it_is_killed_ends_before_anything_is_removed(
    site, worker, monkeypatch
):
    engine = site.engine()
    one = add(site, new_pod(site, engine=engine), "one")
    record, host = row(one), engine.host
    left = worker(record)
    kill, delete = purge._signal, purge._delete_runtime_state
    seen = []

    def first_it_forks(found):
        if not left.stdin.closed:
            left.stdin.write(b"x")
            left.stdin.close()
            eventually(lambda: len(purge._workers(host, record)) == 2, what="its child")
        kill(found)

    def look(host, record):
        seen.append(purge._workers(host, record))
        delete(host, record)

    monkeypatch.setattr(purge, "_signal", first_it_forks)
    monkeypatch.setattr(purge, "_delete_runtime_state", look)
    purge.purge(host, record)

    assert left.stdin.closed
    assert seen == [[]]


def test_f3_who_only_names_a_container_and_the_run_directory_is_no_worker(site):
    engine = site.engine()
    one = add(site, new_pod(site, engine=engine), "one")
    argv = ["/bin/sh", "-c", "read x", "podcore", "--runroot", f"{site.run_root}/", "wait", one.id]
    with subprocess.Popen(argv, stdin=subprocess.PIPE) as other:
        purge.purge(engine.host, row(one))

        assert other.poll() is None
        other.kill()


def test_f3_a_monitor_that_appears_while_its_attempt_is_removed_is_ended(site, worker, monkeypatch):
    engine = site.engine()
    one = add(site, new_pod(site, engine=engine), "one")
    record, host = row(one), engine.host
    give_back = purge.give_back
    late = []

    def meanwhile(places, record):
        give_back(places, record)
        if not late:
            late.append(worker(record))

    monkeypatch.setattr(purge, "give_back", meanwhile)
    purge.purge(host, record)

    assert late
    assert purge._workers(host, record) == []


def test_f39_a_hook_that_fails_is_an_error_and_leaves_nothing(site):
    engine = site.engine()
    pod = new_pod(site, engine=engine)
    one = pod.create_container("one", bundle=bundle(site, "echo hook is unhappy >&2; exit 9"))

    with pytest.raises(podcore.OCIRuntimeError):
        one.start()

    assert one.status == "configured"
    sound(engine)


def test_f63_a_container_that_exits_while_it_is_worked_on_is_no_error(site):
    engine = site.engine()
    pod = new_pod(site, engine=engine)
    for number in range(6):
        add(site, pod, f"c{number}", command=["sh", "-c", f"sleep 0.{number}; exit 5"])
    for verb in (pod.pause, lambda: pod.stop(timeout=5), pod.kill):
        assert pod.start().ok

        assert verb().ok

        pod.unpause()
        for container in pod.containers():
            assert container.wait(60) in (5, 137, 143)
    sound(engine)


@pytest.mark.parametrize("step", ["write_bundle", "take_back_null"])
def test_a_provider_that_ends_during_a_create_is_named_and_nothing_else_is_joined(
    site, monkeypatch, step
):
    engine = site.engine()
    pod = new_pod(site, engine=engine, share=("ipc",))
    one, two = add(site, pod, "one"), add(site, pod, "two")
    one.start()
    real = getattr(lifecycle_create, step)

    def ended(*arguments):
        with engine.host.store.read() as view:
            kill_hard(view.container(view.pod(pod.id).infra_id).init.pid)
        return real(*arguments)

    with monkeypatch.context() as patched:
        patched.setattr(lifecycle_create, step, ended)
        with pytest.raises(podcore.DependencyNotRunningError, match="ended meanwhile"):
            two.start()

    assert two.status == "configured"
    two.start()
    assert two.status == "running"
    pod.remove(force=True)
    sound(engine)
