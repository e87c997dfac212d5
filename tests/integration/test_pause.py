"""``Pod.pause`` and ``Pod.unpause`` on real containers."""

import pytest

import podcore
from harness.polling import eventually
from integration.builders import add, new_pod, outcomes, states

TICKING = ["sh", "-c", "while :; do echo tick; sleep 0.02; done"]


def test_a_paused_container_stands_still_until_it_is_unpaused(site):
    pod = new_pod(site)
    container = add(site, pod, "a", command=TICKING)
    pod.start()
    eventually(lambda: list(container.logs()))

    assert outcomes(pod.pause()) == {"a": "done"}

    assert container.status == "paused"
    assert pod.state == "paused"
    assert pod._engine.host.cgroup(container.inspect().cgroup_path).frozen()
    # conmon may still write what it had read: ask until two looks agree.
    eventually(lambda: len(list(container.logs())) == len(list(container.logs())))
    before = len(list(container.logs()))
    assert outcomes(pod.unpause()) == {"a": "done"}
    assert container.status == "running"
    eventually(lambda: len(list(container.logs())) > before + 3)


@pytest.mark.runtimes("crun")
def test_what_does_not_run_is_ignored(site):
    pod = new_pod(site)
    add(site, pod, "run")
    paused, gone = add(site, pod, "paused"), add(site, pod, "gone")
    pod.start()
    paused.pause()
    gone.kill()
    add(site, pod, "new")

    report = pod.pause()

    others = dict.fromkeys(("paused", "gone", "new"), "ignored")
    assert outcomes(report) == {"run": "done", **others}
    expected = {"run": "paused", "paused": "paused", "gone": "exited", "new": "configured"}
    assert states(pod) == expected


@pytest.mark.runtimes("crun")
def test_what_is_not_paused_is_ignored(site):
    pod = new_pod(site)
    add(site, pod, "run")
    paused, gone = add(site, pod, "paused"), add(site, pod, "gone")
    pod.start()
    paused.pause()
    gone.kill()
    add(site, pod, "new")

    report = pod.unpause()

    others = dict.fromkeys(("gone", "new"), "ignored")
    assert outcomes(report) == {"run": "ignored", "paused": "done", **others}
    assert states(pod)["paused"] == "running"


@pytest.mark.runtimes("crun")
def test_both_are_idempotent(site):
    pod = new_pod(site)
    container = add(site, pod, "a")
    pod.start()

    pod.pause()
    assert outcomes(pod.pause()) == {"a": "ignored"}
    container.pause()
    pod.unpause()
    assert outcomes(pod.unpause()) == {"a": "ignored"}
    container.unpause()
    assert container.status == "running"


@pytest.mark.runtimes("crun")
def test_an_empty_pod_has_nothing_to_pause(site):
    pod = new_pod(site)

    assert pod.pause().rows == ()
    assert pod.unpause().rows == ()
    assert pod.stop().rows == ()
    assert pod.kill().rows == ()


@pytest.mark.runtimes("crun")
def test_one_failing_container_does_not_stop_the_others(site, monkeypatch):
    from podcore.lifecycle import pause as lifecycle_pause

    pod = new_pod(site)
    bad, good = add(site, pod, "bad"), add(site, pod, "good")
    pod.start()
    freeze = lifecycle_pause.pausing

    def failing(held):
        if held.record.id == bad.id:
            raise TimeoutError("can't be frozen")
        return (yield from freeze(held))

    with monkeypatch.context() as patch:
        patch.setattr(lifecycle_pause, "pausing", failing)
        with pytest.raises(podcore.PartialFailureError) as caught:
            pod.pause()

    assert outcomes(caught.value.report) == {"bad": "failed", "good": "done"}
    assert list(caught.value.errors) == [bad.id]
    assert (bad.status, good.status) == ("running", "paused")


@pytest.mark.runtimes("crun")
def test_one_container_that_does_not_run_is_an_error(site):
    pod = new_pod(site)
    container = add(site, pod, "a")

    for verb in (container.pause, container.unpause):
        with pytest.raises(podcore.ContainerStateError) as caught:
            verb()
        assert caught.value.current == "configured"


@pytest.mark.runtimes("runc")
def test_a_container_thawed_by_somebody_else_is_running(site):
    pod = new_pod(site)
    container = add(site, pod, "a")
    pod.start()
    pod.pause()

    pod._engine.host.cgroup(container.inspect().cgroup_path).thaw()

    assert container.status == "running"
    assert outcomes(pod.pause()) == {"a": "done"}
