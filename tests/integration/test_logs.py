"""What real containers write."""

import os
import sys
import threading

import pytest

import podcore
from harness.polling import eventually
from integration.builders import add, new_pod
from podcore.operations import logs, restart, single


def test_both_streams_come_back_line_by_line(site):
    pod = new_pod(site)
    command = ["sh", "-c", "echo one; echo two >&2; printf three"]
    container = add(site, pod, "a", command=command)
    pod.start()
    container.wait(timeout=60)

    entries = list(container.logs())

    lines = sorted((entry.stream, entry.text) for entry in entries)
    assert lines == [("stderr", "two"), ("stdout", "one"), ("stdout", "three")]


@pytest.mark.runtimes("crun")
def test_logs_go_on_across_a_restart(site):
    pod = new_pod(site)
    container = add(site, pod, "a", command=["sh", "-c", "echo here; exec sleep 1000"])
    for count in (1, 2, 3):
        pod.restart(timeout=0)
        eventually(lambda count=count: _texts(container) == ["here"] * count)

    assert [entry.text for entry in container.logs(tail=2)] == ["here"] * 2
    assert list(container.logs(tail=0)) == []
    last = list(container.logs())[-1].time
    assert list(container.logs(since=last + 1)) == []
    assert len(list(container.logs(since=0))) == 3


def _texts(container):
    return [entry.text for entry in container.logs()]


@pytest.mark.runtimes("crun")
def test_following_ends_with_the_container_and_misses_nothing(site):
    pod = new_pod(site)
    script = "i=0; while [ $i -lt 50 ]; do echo line $i; i=$((i+1)); done; read x; echo last"
    container = add(site, pod, "a", command=["sh", "-c", script], stdin=False)
    pod.start()
    texts = []
    follower = threading.Thread(
        target=lambda: texts.extend(entry.text for entry in container.logs(follow=True))
    )
    follower.start()
    follower.join(60)

    assert not follower.is_alive()
    assert texts == [f"line {number}" for number in range(50)] + ["last"]


@pytest.mark.runtimes("crun")
def test_a_container_that_never_ran_has_written_nothing(site):
    container = add(site, new_pod(site), "a")

    assert list(container.logs()) == []
    with pytest.raises(podcore.InvalidArgumentError):
        list(container.logs(tail=-1))


@pytest.fixture
def looks(monkeypatch):
    """The states that followers see, in the order in which they look."""
    monkeypatch.setattr("podcore.monitor.logs._POLL", 0.01)
    seen = []
    truth = logs.truth

    def look(host, record):
        now = truth(host, record)
        seen.append(str(now.state))
        return now

    monkeypatch.setattr(logs, "truth", look)
    return seen


@pytest.fixture
def follower(looks):
    """Follows the log of a container in a thread, which is joined at the end."""
    threads = []

    def follow(container):
        texts = []
        entries = container.logs(follow=True)
        thread = threading.Thread(target=lambda: texts.extend(entry.text for entry in entries))
        threads.append(thread)
        thread.start()
        eventually(lambda: texts, what="the first line")
        return thread, texts

    yield follow
    for thread in threads:
        thread.join(60)
        assert not thread.is_alive()


def many_looks(looks):
    """Waits until followers have looked again and again at a container that has exited."""
    eventually(lambda: looks.count("exited") >= 5, what="looks at a container that has exited")


@pytest.mark.runtimes("crun")
@pytest.mark.parametrize("whole", [True, False], ids=["pod", "container"])
def test_following_goes_on_through_a_restart_and_ends_with_a_stop(
    site, looks, follower, monkeypatch, whole
):
    pod = new_pod(site)
    container = add(site, pod, "a", command=["sh", "-c", "echo here; exec sleep 1000"])
    pod.start()
    thread, texts = follower(container)
    go_on = threading.Event()
    module, name = (restart, "start_members") if whole else (single, "_start")
    start = getattr(module, name)

    def later(*arguments):
        assert go_on.wait(60)
        return start(*arguments)

    monkeypatch.setattr(module, name, later)
    restarter = threading.Thread(target=lambda: (pod if whole else container).restart(timeout=0))
    restarter.start()
    try:
        many_looks(looks)
        assert thread.is_alive()
        assert texts == ["here"]
    finally:
        go_on.set()
        restarter.join(60)
    eventually(lambda: texts == ["here", "here"], what="the line of the next life")
    assert thread.is_alive()
    container.stop(timeout=0)
    thread.join(60)
    assert not thread.is_alive()


@pytest.mark.runtimes("crun")
def test_following_ends_when_the_restart_is_killed(site, looks, follower, popen):
    pod = new_pod(site)
    container = add(site, pod, "a", command=["sh", "-c", "echo here; exec sleep 1000"])
    pod.start()
    thread, texts = follower(container)
    program = os.path.join(os.path.dirname(sys.executable), "podcore")
    environ = site.environ | {"PODCORE_FAILPOINTS": "stop.after-commit=hang"}
    restarter = popen([program, "restart", "-t", "0", "web/a"], env=environ)
    many_looks(looks)
    assert thread.is_alive()
    restarter.kill()
    restarter.wait()
    thread.join(60)
    assert not thread.is_alive()
    assert texts == ["here"]
