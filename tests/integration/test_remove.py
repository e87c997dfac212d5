"""``Pod.remove`` and ``Container.remove`` on real containers."""

import contextlib
import os
import shutil
import signal
import subprocess

import pytest

import podcore
from harness import host
from harness.polling import eventually
from integration.builders import add, create_only, diamond, events, new_pod, outcomes, states
from podcore.kernel import process
from podcore.lifecycle import create as lifecycle_create

VERBS = ["start", "stop", "pause", "unpause", "restart", "kill", "status", "inspect", "remove"]


def test_a_stopped_pod_is_removed_dependents_first(site):
    pod = new_pod(site)
    diamond(site, pod)
    pod.start()
    pod.stop(timeout=0)

    report = pod.remove()

    assert outcomes(report) == dict.fromkeys(("base", "left", "right", "top"), "done")
    ids = {row.id: row.name for row in report.rows}
    removed = [ids[event] for event in events(pod._engine, "remove") if event in ids]
    assert (removed[0], removed[3]) == ("top", "base")
    assert pod._engine.pods() == []


@pytest.mark.runtimes("crun")
@pytest.mark.parametrize("state", ["running", "paused"])
def test_a_living_pod_is_refused_and_left_as_it_is(site, state):
    pod = new_pod(site)
    add(site, pod, "gone")
    alive = add(site, pod, "alive")
    alive.start()
    if state == "paused":
        alive.pause()
    pid, before = alive.pid, states(pod)

    with pytest.raises(podcore.ContainerStateError) as caught:
        pod.remove()

    assert caught.value.current == state
    assert states(pod) == before
    assert alive.pid == pid
    assert pod.state != "error"


@pytest.mark.parametrize("state", ["running", "paused", "created"])
def test_force_removes_a_living_pod(site, state):
    pod = new_pod(site, share=("ipc", "net", "uts"))
    container = add(site, pod, "a", rootfs_mode="overlay")
    container.start()
    if state == "paused":
        container.pause()
    if state == "created":
        create_only(add(site, pod, "b"))

    assert pod.remove(force=True).ok

    assert not os.path.exists(f"{site.root}/containers/{container.id}")


@pytest.mark.runtimes("crun")
def test_a_container_frozen_before_its_command_began_is_removed(site):
    pod = new_pod(site)
    container = add(site, pod, "a")
    create_only(container)
    pod._engine.host.cgroup(container.inspect().cgroup_path).freeze(10)

    assert pod.remove(force=True).ok


@pytest.mark.runtimes("crun")
@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_on_a_removed_pod_says_so(site, verb):
    pod = new_pod(site)
    container = add(site, pod, "a")
    container.start()
    pod.remove(force=True)

    with pytest.raises(podcore.PodRemovedError):
        getattr(pod, verb)()
    with pytest.raises(podcore.PodRemovedError):
        _ = pod.state
    with pytest.raises(podcore.PodRemovedError):
        pod.containers()
    with pytest.raises(podcore.PodRemovedError):
        add(site, pod, "b")
    with pytest.raises(podcore.NoSuchPodError):
        pod._engine.pod("web")
    if verb != "status":
        with pytest.raises(podcore.ContainerRemovedError):
            getattr(container, verb)()


@pytest.mark.runtimes("crun")
def test_a_container_that_others_need_is_not_removed_forced_or_not(site):
    pod = new_pod(site)
    base = add(site, pod, "base")
    top = add(site, pod, "top", "base")

    for force in (False, True):
        with pytest.raises(podcore.ContainerStateError, match="`top` depend on it"):
            base.remove(force=force)

    top.remove()
    base.remove()
    assert pod.containers() == []


@pytest.mark.runtimes("crun")
def test_one_running_container_is_removed_with_force_only(site):
    pod = new_pod(site)
    container = add(site, pod, "a")
    pod.start()

    with pytest.raises(podcore.ContainerStateError):
        container.remove()
    assert container.status == "running"
    container.remove(force=True)

    with pytest.raises(podcore.ContainerRemovedError):
        container.remove(force=True)
    assert pod.status() == {}
    assert not os.path.exists(f"{site.root}/containers/{container.id}")


@pytest.mark.runtimes("crun")
def test_a_name_is_free_again_after_a_removal(site):
    engine = site.engine()
    pod = new_pod(site, engine=engine)
    add(site, pod, "a").remove()
    again = add(site, pod, "a")
    pod.remove()

    assert add(site, new_pod(site, engine=engine), "a").id != again.id


@pytest.mark.runtimes("crun")
def test_a_removal_that_fails_is_finished_by_the_next_one(site, monkeypatch):
    from podcore.lifecycle import remove as lifecycle_remove

    pod = new_pod(site)
    base, top = add(site, pod, "base"), add(site, pod, "top", "base")
    apart = add(site, pod, "apart")
    pod.start()
    purge = lifecycle_remove.purge

    def failing(host, record, **how):
        if record.id == top.id:
            raise podcore.StopTimeoutError("stuck", [1])
        purge(host, record, **how)

    with monkeypatch.context() as patch:
        patch.setattr(lifecycle_remove, "purge", failing)
        with pytest.raises(podcore.PartialFailureError) as caught:
            pod.remove(force=True)

    assert outcomes(caught.value.report) == {"base": "skipped", "top": "failed", "apart": "done"}
    assert caught.value.errors[base.id].because == top.id
    assert pod.state == "error"
    assert pod.status()[top.id] == "removing"
    assert base.status == "running"
    # What is half removed takes nothing new, and only goes on to its end.
    for verb in (pod.start, pod.restart, base.start, base.restart):
        with pytest.raises(podcore.PodRemovedError):
            verb()
    with pytest.raises(podcore.PodRemovedError):
        add(site, pod, "new")
    with pytest.raises(podcore.ContainerRemovedError):
        _ = apart.status

    assert outcomes(pod.remove()) == {"base": "done", "top": "done"}
    assert pod._engine.pods() == []


@contextlib.contextmanager
def worker_of(container):
    """Gives a process that works on a container that has ended, as its client left it."""
    attempt = container._engine.host.places.attempt(container.id, 1)
    argv = ["sh", "-c", "read line", f"{attempt}/pid", container.id]
    with subprocess.Popen(argv, stdin=subprocess.PIPE) as worker:
        try:
            # For a moment after it is executed a program has no command line.
            eventually(lambda: container.id in host.read_proc(worker.pid, "cmdline"))
            yield worker, attempt
        finally:
            worker.kill()
    assert worker.returncode == -signal.SIGKILL


@pytest.mark.runtimes("crun")
@pytest.mark.parametrize("left", ["nothing", "a command's directory"])
def test_only_after_a_command_all_processes_of_the_host_are_looked_through(site, left):
    pod = new_pod(site)
    container = add(site, pod, "a")
    container.start()
    container.stop(timeout=0)
    # No row tells of what the client of a command leaves behind when it is killed.
    with worker_of(container) as (worker, attempt):
        if left != "nothing":
            os.mkdir(f"{attempt}/exec-0123456789abcdef")
        container.remove()
        assert (worker.poll() is None) is (left == "nothing")


@pytest.mark.runtimes("crun")
@pytest.mark.parametrize("verb", ["start", "clean up"])
def test_what_the_client_of_a_command_left_is_ended_before_its_directory_is_gone(site, verb):
    pod = new_pod(site)
    container = add(site, pod, "a")
    container.start()
    container.stop(timeout=0)
    with worker_of(container) as (worker, attempt):
        os.mkdir(f"{attempt}/exec-0123456789abcdef")
        if verb == "start":
            container.start()
        else:
            pod.stop(cleanup=True)
        assert not os.path.exists(attempt)
        assert worker.poll() is not None


@pytest.mark.runtimes("crun")
@pytest.mark.parametrize("files", ["there", "gone"])
def test_a_stopped_monitor_is_ended_with_what_was_created_ahead(site, files):
    pod = new_pod(site)
    container = add(site, pod, "a")
    create_only(container)
    engine = pod._engine
    with engine.host.store.read() as view:
        row = view.container(container.id)
    os.kill(row.monitor.pid, signal.SIGSTOP)
    if files == "gone":
        shutil.rmtree(engine.host.places.attempt(container.id, 1))
    with engine.host.session("test") as session:
        lifecycle_create.discard_created(engine.host, session, row)
    assert not process.alive(row.monitor)
    assert states(pod) == {"a": "configured"}
