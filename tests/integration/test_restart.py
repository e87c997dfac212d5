"""``Pod.restart`` on real containers."""

import pytest

import podcore
from integration.builders import (
    POLITE,
    add,
    await_ready,
    diamond,
    events,
    new_pod,
    outcomes,
    states,
)


def test_everything_stops_in_reverse_before_anything_starts_in_order(site):
    pod = new_pod(site)
    containers = diamond(site, pod)
    pod.start()
    await_ready(*containers.values())

    report = pod.restart(timeout=60)

    assert outcomes(report) == dict.fromkeys(("base", "left", "right", "top"), "done")
    stopped = events(pod._engine, "stop")
    started = events(pod._engine, "start")[4:]
    assert (stopped[0], stopped[3]) == ("top", "base")
    assert (started[0], started[3]) == ("base", "top")
    assert set(states(pod).values()) == {"running"}
    assert {container.inspect().restarts for container in containers.values()} == {1}


@pytest.mark.runtimes("crun")
def test_a_never_started_and_an_exited_container_are_started(site):
    pod = new_pod(site)
    gone = add(site, pod, "gone")
    pod.start()
    gone.kill()
    add(site, pod, "new", "gone")

    report = pod.restart(timeout=0)

    assert outcomes(report) == {"gone": "done", "new": "done"}
    assert states(pod) == {"gone": "running", "new": "running"}


@pytest.mark.runtimes("crun")
def test_a_paused_container_is_left_alone_and_satisfies_its_dependents(site):
    pod = new_pod(site)
    base = add(site, pod, "base")
    top = add(site, pod, "top", "base")
    pod.start()
    base.pause()
    pids = (base.pid, top.pid)

    report = pod.restart(timeout=0)

    assert outcomes(report) == {"base": "ignored", "top": "done"}
    assert states(pod) == {"base": "paused", "top": "running"}
    assert base.pid == pids[0]
    assert top.pid != pids[1]


@pytest.mark.runtimes("crun")
def test_only_paused_containers_are_all_ignored(site):
    pod = new_pod(site)
    add(site, pod, "a")
    pod.start()
    pod.pause()

    assert outcomes(pod.restart()) == {"a": "ignored"}
    assert pod.state == "paused"


@pytest.mark.runtimes("runc")
def test_one_that_cannot_start_again_is_reported_with_its_dependents(site, tmp_path):
    gate = tmp_path / "gate"
    gate.mkdir()
    (gate / "run").write_text("#!/bin/sh\nexec sleep 1000\n")
    (gate / "run").chmod(0o755)
    mounts = [podcore.Mount(type="bind", source=str(gate), target="/mnt")]
    pod = new_pod(site)
    bad = add(site, pod, "bad", command=["/mnt/run"], rootfs_mode="overlay", mounts=mounts)
    top = add(site, pod, "top", "bad")
    add(site, pod, "apart")
    pod.start()
    (gate / "run").unlink()

    with pytest.raises(podcore.PartialFailureError) as caught:
        pod.restart(timeout=0)

    assert outcomes(caught.value.report) == {"bad": "failed", "top": "skipped", "apart": "done"}
    assert caught.value.errors[top.id].because == bad.id
    assert states(pod)["apart"] == "running"


@pytest.mark.runtimes("crun")
def test_one_that_cannot_be_stopped_is_not_started(site, monkeypatch):
    from podcore.lifecycle import stop as lifecycle_stop

    pod = new_pod(site)
    base = add(site, pod, "base")
    top = add(site, pod, "top", "base")
    apart = add(site, pod, "apart")
    pod.start()
    pids = {c.name: c.pid for c in (base, top, apart)}
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
            pod.restart(timeout=0)

    assert outcomes(caught.value.report) == {"base": "skipped", "top": "failed", "apart": "done"}
    assert (base.pid, top.pid) == (pids["base"], pids["top"])
    assert apart.pid != pids["apart"]


@pytest.mark.runtimes("crun")
def test_an_empty_pod_cannot_be_restarted(site):
    with pytest.raises(podcore.NoSuchContainerError):
        new_pod(site).restart()


@pytest.mark.runtimes("crun")
def test_each_container_has_a_stop_timeout_of_its_own(site):
    pod = new_pod(site)
    a = add(site, pod, "a", stop_timeout=0.1)
    b = add(site, pod, "b", stop_timeout=0)
    pod.start()
    pids = (a.pid, b.pid)

    assert pod.restart().ok

    assert {a.pid, b.pid}.isdisjoint(pids)


@pytest.mark.runtimes("crun")
def test_one_container_is_restarted_under_its_dependents(site):
    pod = new_pod(site)
    base = add(site, pod, "base", command=POLITE)
    top = add(site, pod, "top", "base")
    pod.start()
    await_ready(base)
    pids = (base.pid, top.pid)

    base.restart()

    assert base.pid != pids[0]
    assert top.pid == pids[1]
    assert base.inspect().restarts == 1


@pytest.mark.runtimes("crun")
def test_one_paused_container_is_not_restarted(site):
    pod = new_pod(site)
    container = add(site, pod, "a")
    container.start()
    container.pause()

    with pytest.raises(podcore.ContainerStateError) as caught:
        container.restart()

    assert caught.value.current == "paused"
    assert container.status == "paused"


@pytest.mark.runtimes("crun")
def test_one_container_that_never_ran_is_started(site):
    pod = new_pod(site)
    container = add(site, pod, "a")

    container.restart()

    assert container.status == "running"
