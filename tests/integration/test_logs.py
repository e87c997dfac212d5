"""What real containers write."""

import threading

import pytest

import podcore
from harness.polling import eventually
from integration.builders import add, new_pod


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
