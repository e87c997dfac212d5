"""``Pod.stop`` on real containers."""

import math
import os
import signal
import subprocess
import sys
import threading
import time

import pytest

import podcore
from harness import host
from harness.polling import eventually
from integration.builders import (
    add,
    await_ready,
    create_only,
    diamond,
    events,
    new_pod,
    outcomes,
    states,
)


def test_a_diamond_stops_dependents_first_and_exit_codes_are_recorded(site):
    pod = new_pod(site)
    containers = diamond(site, pod)
    pod.start()
    await_ready(*containers.values())

    report = pod.stop(timeout=60)

    assert outcomes(report) == dict.fromkeys(("base", "left", "right", "top"), "done")
    stopped = events(pod._engine, "stop")
    assert stopped[0] == "top"
    assert sorted(stopped[1:3]) == ["left", "right"]
    assert stopped[3] == "base"
    died = events(pod._engine, "died")
    assert (died[0], sorted(died[1:3]), died[3]) == ("top", ["left", "right"], "base")
    ended = {name: container.inspect().finished for name, container in containers.items()}
    assert ended["top"] <= min(ended["left"], ended["right"])
    assert max(ended["left"], ended["right"]) <= ended["base"]
    assert {container.exit_code for container in containers.values()} == {0}
    assert pod.state == "exited"


def test_one_that_does_not_stop_in_time_is_killed_and_its_row_says_so(site):
    pod = new_pod(site)
    container = add(site, pod, "a")
    pod.start()

    report = pod.stop(timeout=0.3)

    assert report.rows[0].reason == "did not stop within 0.3 s and was killed"
    assert container.exit_code == 137
    # Longer than any host needs for a SIGKILL.
    assert 0.3 <= report.seconds < 30


@pytest.mark.runtimes("crun")
def test_each_container_has_a_stop_timeout_of_its_own(site):
    pod = new_pod(site)
    quick = add(site, pod, "quick", stop_timeout=0.2)
    slow = add(site, pod, "slow", stop_timeout=1.5)
    pod.start()

    pod.stop()

    took = {row.name: row.ended - row.began for row in _stop_rows(pod, quick, slow)}
    assert took["quick"] >= 0.2
    assert took["slow"] >= 1.5
    assert (quick.exit_code, slow.exit_code) == (137, 137)


def _stop_rows(pod, *containers):
    pod.start()
    return pod.stop().rows


@pytest.mark.runtimes("crun")
def test_a_timeout_of_0_kills_at_once(site):
    pod = new_pod(site)
    container = add(site, pod, "a", stop_timeout=math.inf)
    pod.start()

    report = pod.stop(timeout=0)

    assert outcomes(report) == {"a": "done"}
    assert container.exit_code == 137


@pytest.mark.runtimes("crun")
@pytest.mark.parametrize("timeout", [math.inf, 1e12])
def test_an_endless_timeout_waits_for_the_container(site, timeout):
    command = ["sh", "-c", "trap 'exit 3' TERM; echo ready; sleep 1000 & wait"]
    pod = new_pod(site)
    container = add(site, pod, "a", command=command, stop_timeout=0.1)
    pod.start()
    await_ready(container)

    assert pod.stop(timeout=timeout).ok

    assert container.exit_code == 3
    container.start()
    eventually(lambda: len(list(container.logs())) == 2)
    container.stop(timeout=timeout)
    assert container.exit_code == 3


@pytest.mark.runtimes("crun")
@pytest.mark.parametrize("timeout", [-1, -0.001, math.nan, -math.inf, "5", True])
def test_a_timeout_that_is_none_is_refused(site, timeout):
    pod = new_pod(site)
    container = add(site, pod, "a")
    pod.start()

    for verb in (pod.stop, pod.restart, container.stop, container.restart, container.wait):
        with pytest.raises(podcore.InvalidArgumentError):
            verb(timeout=timeout)

    assert container.status == "running"


@pytest.mark.runtimes("runc")
def test_paused_created_and_exited_containers_are_ignored(site):
    pod = new_pod(site)
    run = add(site, pod, "run")
    paused = add(site, pod, "paused", "run")
    gone = add(site, pod, "gone")
    pod.start()
    paused.pause()
    gone.kill()
    add(site, pod, "new")
    create_only(add(site, pod, "made"))

    report = pod.stop(timeout=0)

    # The paused dependent does not hold its dependency back.
    ignored = dict.fromkeys(("paused", "gone", "new", "made"), "ignored")
    assert outcomes(report) == {"run": "done", **ignored}
    assert states(pod) == {
        "run": "exited",
        "paused": "paused",
        "gone": "exited",
        "new": "configured",
        "made": "created",
    }
    assert run.exit_code == 137


@pytest.mark.runtimes("crun")
def test_a_second_stop_changes_nothing(site):
    pod = new_pod(site)
    container = add(site, pod, "a")
    pod.start()
    pod.stop(timeout=0)
    before = container.inspect()

    assert outcomes(pod.stop()) == {"a": "ignored"}
    container.stop()

    assert container.inspect() == before


@pytest.mark.runtimes("crun")
def test_the_stop_signal_of_the_container_is_sent(site):
    command = ["sh", "-c", "trap 'exit 5' USR1; trap '' TERM; echo ready; sleep 1000 & wait"]
    pod = new_pod(site)
    container = add(site, pod, "a", command=command, stop_signal="USR1")
    pod.start()
    await_ready(container)

    pod.stop(timeout=60)

    assert container.exit_code == 5


@pytest.mark.runtimes("crun")
def test_one_paused_container_is_not_stopped(site):
    pod = new_pod(site)
    container = add(site, pod, "a")
    pod.start()
    container.pause()

    with pytest.raises(podcore.ContainerStateError) as caught:
        container.stop()

    assert caught.value.current == "paused"


def _on_the_host(site, container):
    """What a container has on the host besides its home."""
    found = [m.mount_point for m in host.mounts() if container.id in m.mount_point]
    for top in host.cgroup_mounts():
        path = f"{top}/{container.inspect().cgroup_path}"
        found += [path] if os.path.isdir(path) else []
    for directory, names, files in os.walk(site.run_root):
        found += [f"{directory}/{name}" for name in names + files if container.id in name]
    return found


def test_cleanup_releases_mounts_cgroup_and_runtime_state(site):
    pod = new_pod(site)
    stopped = add(site, pod, "stopped", rootfs_mode="overlay")
    gone = add(site, pod, "gone", rootfs_mode="overlay")
    pod.start()
    gone.kill()
    assert _on_the_host(site, stopped)

    pod.stop(timeout=0, cleanup=True)

    for container in (stopped, gone):
        assert _on_the_host(site, container) == []
        assert (container.status, container.exit_code) == ("exited", 137)
    assert events(pod._engine, "cleanup") == ["stopped", "gone"] or events(
        pod._engine, "cleanup"
    ) == ["gone", "stopped"]


@pytest.mark.runtimes("crun")
def test_cleanup_after_a_stop_releases_what_that_left(site):
    pod = new_pod(site, share=("ipc", "net", "uts"))
    container = add(site, pod, "a", rootfs_mode="overlay")
    pod.start()
    infra = pod._engine.container(pod.inspect().infra_container_id)
    pod.stop(timeout=0)

    pod.stop(cleanup=True)

    assert _on_the_host(site, container) == []
    assert _on_the_host(site, infra) == []
    assert not [m.mount_point for m in host.mounts() if pod.id in m.mount_point]
    pod.start()
    assert pod.state == "running"


@pytest.mark.runtimes("crun")
def test_what_a_container_wrote_survives_a_cleanup(site):
    pod = new_pod(site)
    command = ["sh", "-c", "cat /tmp/mark; echo here >> /tmp/mark; echo ready; exec sleep 1000"]
    container = add(site, pod, "a", command=command, rootfs_mode="overlay")
    pod.start()
    await_ready(container)
    pod.stop(timeout=0, cleanup=True)

    pod.start()

    eventually(lambda: [e.text for e in container.logs() if e.text == "here"])


@pytest.mark.runtimes("crun")
def test_a_failing_cleanup_is_the_error_of_its_container(site, monkeypatch):
    from podcore.lifecycle import stop as lifecycle_stop

    pod = new_pod(site)
    bad, good = add(site, pod, "bad"), add(site, pod, "good")
    pod.start()
    purge = lifecycle_stop.purge

    def failing(host, record, **how):
        if record.id == bad.id:
            raise podcore.OCIRuntimeError("no")
        purge(host, record, **how)

    with monkeypatch.context() as patch:
        patch.setattr(lifecycle_stop, "purge", failing)
        with pytest.raises(podcore.PartialFailureError) as caught:
            pod.stop(timeout=0, cleanup=True)

    assert outcomes(caught.value.report) == {"bad": "failed", "good": "done"}
    assert list(caught.value.errors) == [bad.id]
    assert (bad.status, bad.exit_code) == ("exited", 137)
    assert _on_the_host(site, good) == []
    assert pod.stop(cleanup=True).ok
    assert _on_the_host(site, bad) == []


@pytest.mark.runtimes("crun")
def test_a_dependency_stays_while_its_dependent_cannot_be_stopped(site, monkeypatch):
    from podcore.lifecycle import stop as lifecycle_stop

    pod = new_pod(site)
    base = add(site, pod, "base")
    middle = add(site, pod, "middle", "base")
    top = add(site, pod, "top", "middle")
    apart = add(site, pod, "apart")
    pod.start()
    beginning = lifecycle_stop.beginning

    def failing(timeout):
        def begin(held):
            if held.record.id == top.id:
                raise podcore.StopTimeoutError("stuck", [1])
            return (yield from beginning(timeout)(held))

        return begin

    with monkeypatch.context() as patch:
        patch.setattr(lifecycle_stop, "beginning", failing)
        with pytest.raises(podcore.PartialFailureError) as caught:
            pod.stop(timeout=0)

    assert outcomes(caught.value.report) == {
        "base": "skipped",
        "middle": "skipped",
        "top": "failed",
        "apart": "done",
    }
    for skipped in (base, middle):
        assert isinstance(caught.value.errors[skipped.id], podcore.DependencyFailedError)
        assert caught.value.errors[skipped.id].because == top.id
        assert skipped.status == "running"
    assert apart.exit_code == 137


@pytest.mark.runtimes("crun")
def test_a_kill_cuts_a_stop_short(site):
    pod = new_pod(site)
    container = add(site, pod, "a")
    pod.start()
    reports = []
    stopper = threading.Thread(target=lambda: reports.append(pod.stop(timeout=120)))
    stopper.start()
    eventually(lambda: container.status == "stopping")
    assert pod.state == "running"

    report = pod.kill()

    stopper.join(30)
    assert not stopper.is_alive()
    assert outcomes(report) == outcomes(reports[0]) == {"a": "done"}
    assert container.exit_code == 137


@pytest.mark.runtimes("crun")
def test_a_second_stop_with_less_time_ends_a_first_one(site):
    pod = new_pod(site)
    container = add(site, pod, "a")
    pod.start()
    stopper = threading.Thread(target=pod.stop, kwargs={"timeout": 120})
    stopper.start()
    eventually(lambda: container.status == "stopping")

    assert outcomes(pod.stop(timeout=0)) == {"a": "done"}

    stopper.join(30)
    assert not stopper.is_alive()
    assert container.exit_code == 137


@pytest.mark.runtimes("runc")
def test_what_is_left_in_the_cgroup_ends_with_the_container(site):
    # In the host's pid namespace its children outlive it.
    command = ["sh", "-c", 'trap "exit 0" TERM; sleep 4321 & echo ready; wait']
    pod = new_pod(site)
    container = add(site, pod, "a", command=command, namespaces={"pid": "host"})
    pod.start()
    await_ready(container)
    group = container.inspect().cgroup_path

    pod.stop(timeout=60)

    assert container.exit_code == 0
    eventually(lambda: pod._engine.host.cgroup(group).procs() == [])


@pytest.mark.runtimes("crun")
def test_a_stop_that_is_interrupted_stops_waiting(site, monkeypatch):
    from podcore.operations import crew

    pod = new_pod(site)
    container = add(site, pod, "a")
    pod.start()
    due = crew._milliseconds

    def interrupted(watched):
        if watched:
            raise KeyboardInterrupt
        return due(watched)

    with monkeypatch.context() as patch:
        patch.setattr(crew, "_milliseconds", interrupted)
        began = time.monotonic()
        with pytest.raises(KeyboardInterrupt):
            pod.stop(timeout=100)
    assert time.monotonic() - began < 60

    assert pod.stop(timeout=0).ok
    assert container.exit_code == 137


@pytest.mark.runtimes("crun")
@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)], ids=["INT", "TERM"]
)
def test_a_signal_to_a_stop_ends_it_in_an_orderly_way(site, popen, number, code):
    pod = new_pod(site)
    container = add(site, pod, "a", stop_timeout=600)
    pod.start()
    program = os.path.join(os.path.dirname(sys.executable), "podcore")
    process = popen([program, "pod", "stop", "web"], env=site.environ, stderr=subprocess.DEVNULL)
    eventually(lambda: container.status == "stopping")

    process.send_signal(number)

    assert process.wait(60) == code
    assert container.status == "running"
    assert pod.stop(timeout=0).ok
    assert container.exit_code == 137
