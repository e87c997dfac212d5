"""Runtimes that are not what they were, and processes that are not whose they seem: groups B and C."""

import os
import shutil
import subprocess

import pytest

import podcore
from harness.bare import kill_hard
from integration.builders import POLITE, add, await_ready, create_only, new_pod, sound, states
from podcore.kernel import process
from podcore.oci.interface import OCIRuntime

pytestmark = pytest.mark.runtimes("crun")


def row(container):
    with container._engine.host.store.read() as view:
        return view.container(container.id)


def rewrite(container, **changes):
    """Changes a container's row behind podcore's back."""
    host = container._engine.host
    with host.session("test") as session, host.store.write(session) as change:
        change.save_container(change.container(container.id).but(**changes))


def replace(path, other):
    """Puts another program in the place of one that may be running."""
    os.unlink(path)
    if other == "a script that does nothing":
        with open(path, "w", encoding="ascii") as file:
            file.write("#!/bin/sh\nexit 0\n")
        os.chmod(path, 0o755)
    else:
        shutil.copy(shutil.which(other), path)


@pytest.mark.parametrize("other", ["runc", "true", "a script that does nothing"])
def test_f28_a_container_outlives_the_replacement_of_its_runtime(site, other):
    runtime = f"{site.base}/crun"
    shutil.copy(shutil.which("crun"), runtime)
    engine = site.engine(oci_runtime=runtime)
    pod = new_pod(site, engine=engine)
    one = add(site, pod, "one", command=POLITE)
    pod.start()
    await_ready(one)
    replace(runtime, other)
    # The engine's own choice is another one by now.
    engine = site.engine(oci_runtime="runc")
    pod, one = engine.pod("web"), engine.container(one.id)

    assert one.status == "running"
    assert one.inspect().oci_runtime == runtime, "a container keeps its runtime"
    pod.pause()
    pod.unpause()
    pod.stop(timeout=30)
    assert one.exit_code == 0
    if other != "runc":
        with pytest.raises(podcore.MonitorProtocolError, match="`one`"):
            one.start()
        assert one.status == "configured"
        sound(engine)
    replace(runtime, "crun")
    one.start()
    assert (one.status, one.inspect().oci_runtime) == ("running", runtime)
    pod.remove(force=True)
    sound(engine)


@pytest.mark.parametrize("other", [None, "true"], ids=["gone", "something else"])
def test_f28_what_a_runtime_of_another_name_made_is_removed_without_it(site, other):
    runtime = f"{site.base}/crun-1.8"
    shutil.copy(shutil.which("crun"), runtime)
    engine = site.engine(oci_runtime=runtime)
    pod = new_pod(site, engine=engine)
    for name in ("runs", "stopped", "started again"):
        add(site, pod, name.replace(" ", "-"))
    pod.start()
    pod.stop(timeout=0)
    pod.container("runs").start()
    os.unlink(runtime)
    if other is not None:
        shutil.copy(shutil.which(other), runtime)
    engine = site.engine()  # one that does not know what the program was
    pod = engine.pod("web")

    assert pod.container("runs").status == "running"
    with pytest.raises(podcore.OCIRuntimeError, match=r"hint: "):
        pod.container("stopped").start()
    with pytest.raises(podcore.OCIRuntimeError, match=r"hint: "):
        add(site, pod, "new", oci_runtime=runtime)
    pod.container("stopped").remove()
    shutil.copy(shutil.which("crun"), runtime)
    pod.container("started-again").start()
    pod.container("started-again").stop(timeout=0)
    os.unlink(runtime)
    pod.remove(force=True)
    sound(engine)


@pytest.mark.runtimes("runc", "crun")
def test_f31_what_the_runtime_knows_of_an_unstarted_container_is_told_and_never_adopted(site):
    engine = site.engine()
    pod = new_pod(site, engine=engine)
    one = add(site, pod, "one")
    one.start()
    known = row(one)
    rewrite(one, state=podcore.ContainerStatus.CONFIGURED, init=None, monitor=None)

    assert one.status == "configured"
    assert ("leftover", one.id) in [(found.kind, found.object) for found in engine.check()]
    with pytest.raises(podcore.OCIRuntimeError, match="already exists"):
        one.start()

    assert one.status == "configured"
    assert process.wait_gone([known.init, known.monitor], 30) == []
    assert all(found.repaired for found in engine.check(repair=True))
    one.start()
    assert one.status == "running"
    assert one.pid != known.init.pid
    sound(engine)


def test_f32_a_process_that_dies_between_create_and_start_fails_the_start_by_its_exit_code(
    site, monkeypatch
):
    engine = site.engine()
    pod = new_pod(site, engine=engine)
    one = add(site, pod, "one")
    real = OCIRuntime.start

    def start(self, container_id, **options):
        kill_hard(row(one).init.pid)
        return real(self, container_id, **options)

    with monkeypatch.context() as patched:
        patched.setattr(OCIRuntime, "start", start)
        with pytest.raises(podcore.ContainerStateError, match="with exit code 137") as caught:
            one.start()

    assert caught.value.current == "exited"
    assert (one.status, one.exit_code) == ("exited", 137)
    assert row(one).state == "exited"
    one.start()
    assert one.status == "running"
    sound(engine)


def test_f33_a_container_that_is_gone_when_its_start_returns_has_been_started(site, monkeypatch):
    engine = site.engine()
    pod = new_pod(site, engine=engine)
    one = add(site, pod, "one", command=["sh", "-c", "exit 7"])
    real = OCIRuntime.start

    def start(self, container_id, **options):
        real(self, container_id, **options)
        assert process.wait_gone([row(one).init], 60) == []

    monkeypatch.setattr(OCIRuntime, "start", start)

    report = pod.start()

    assert [str(line.outcome) for line in report.rows] == ["done"]
    assert (one.wait(60), one.exit_code) == (7, 7)
    assert one.inspect().started is not None
    sound(engine)


@pytest.fixture
def victim(popen):
    """A process that is nobody's container."""
    child = popen(["sleep", "1000"])
    yield process.identify(child.pid)
    assert child.poll() is None, "it was signalled"


@pytest.mark.parametrize("verb", ["kill", "stop", "restart", "remove"])
@pytest.mark.parametrize("same_tick", ["nobody", "init", "monitor"])
def test_f37_whoever_has_the_pids_of_dead_processes_now_is_never_signalled(
    site, victim, monkeypatch, verb, same_tick
):
    # A monitor that seems to live is given time to write the exit file.
    monkeypatch.setattr("podcore.lifecycle.settle.EXIT_PATIENCE", 0.3)
    engine = site.engine()
    pod = new_pod(site, engine=engine)
    one = add(site, pod, "one", stop_timeout=0.2)
    pod.start()
    known = row(one)
    for pid in (known.monitor.pid, known.init.pid):
        kill_hard(pid)
    earlier = process.ProcessIdentity(victim.pid, victim.start_time - 1)
    now = {"init": earlier, "monitor": earlier}
    if same_tick != "nobody":
        now[same_tick] = victim
    rewrite(one, **now)

    # Who only looks does not look that closely.
    seen = {"nobody": "exited", "init": "running", "monitor": "stopping"}
    assert one.status == seen[same_tick]
    if verb == "remove":
        pod.remove(force=True)
    else:
        getattr(pod, verb)()
        assert states(pod) == {"one": "running" if verb == "restart" else "exited"}
        assert verb == "restart" or one.exit_code is None
    sound(engine)


def test_f37_who_has_the_pid_of_a_dead_monitor_is_not_ended_with_its_container(site, victim):
    engine = site.engine()
    pod = new_pod(site, engine=engine)
    one = add(site, pod, "one")
    create_only(one)
    kill_hard(row(one).monitor.pid)
    rewrite(one, monitor=victim)

    pod.remove(force=True)

    sound(engine)


def test_f37_a_pid_that_the_kernel_gives_again_is_another_process(site):
    if not os.access("/proc/sys/kernel/ns_last_pid", os.W_OK):
        pytest.skip("this host doesn't let pids be chosen")
    engine = site.engine()
    pod = new_pod(site, engine=engine)
    one = add(site, pod, "one")
    pod.start()
    known = row(one)
    for pid in (known.monitor.pid, known.init.pid):
        kill_hard(pid)
    victims = []
    try:
        victims += [again(known.monitor.pid)]
        victims += [again(known.init.pid)]
        assert (one.status, one.exit_code) == ("exited", None)
        pod.kill()
        pod.stop(timeout=0, cleanup=True)
        pod.remove(force=True)
        assert [child.poll() for child in victims] == [None, None]
    finally:
        for child in victims:
            child.kill()
            child.wait()
    sound(engine)


def again(pid):
    """Starts a process with that pid."""
    for _ in range(200):
        with open("/proc/sys/kernel/ns_last_pid", "w", encoding="ascii") as file:
            file.write(str(pid - 1))
        child = subprocess.Popen(["sleep", "1000"])
        if child.pid == pid:
            return child
        child.kill()
        child.wait()
    pytest.skip("somebody else is faster at taking pids")
