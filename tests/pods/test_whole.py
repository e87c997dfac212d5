"""Killing and pausing a whole pod by one write, on the cgroup v2 that this host has beside its v1.

Runtimes put containers into both; the engines here are told to look at v2 alone.
"""

import os

import pytest

import podcore
from harness.polling import eventually
from podcore.kernel import cgroupfs
from podcore.kernel.cgroup import Hierarchies
from pods import inside
from pods.inside import written

ANSWERS = ["/bin/sh", "-c", 'trap "echo alive" USR1; echo ready; while :; do usleep 20000; done']


@pytest.fixture
def engine(site, monkeypatch):
    engine = site.engine()
    found = engine.host.hierarchies
    if found.unified is None:
        pytest.skip("no cgroup v2 is mounted")
    monkeypatch.setattr(
        engine.host, "_hierarchies", Hierarchies("v2", {}, (found.unified,), found.unified)
    )
    return engine


@pytest.fixture
def writes(monkeypatch):
    """The control files of cgroups that are written to, by name, with what is written."""
    seen = []
    write = cgroupfs.write

    def note(path, data):
        seen.append((os.path.relpath(path, "/sys/fs/cgroup/unified"), data))
        write(path, data)

    monkeypatch.setattr(cgroupfs, "write", note)
    return seen


def add(site, pod, name):
    return inside.add(site, pod, name, command=ANSWERS)


def alive(container):
    """Whether a container that runs answers."""
    eventually(lambda: "ready" in written(container))
    before = written(container).count("alive")
    container.kill("USR1")
    eventually(lambda: written(container).count("alive") > before, what="an answer")
    return True


def states(pod):
    return {container.name: str(container.status) for container in pod.containers()}


def test_a_pod_is_killed_by_one_write(site, engine, writes):
    pod = engine.create_pod("web")
    for name in ("one", "two", "three"):
        add(site, pod, name)
    pod.container("one").start()
    pod.container("two").start()
    infra = engine.container(pod.inspect().infra_container_id)
    writes.clear()

    report = pod.kill()

    assert {row.name: str(row.outcome) for row in report.rows} == {
        "one": "done",
        "two": "done",
        "three": "ignored",
    }
    assert writes == [(f"{pod.inspect().cgroup_path}/cgroup.kill", b"1")]
    assert states(pod) == {"one": "exited", "two": "exited", "three": "configured"}
    assert pod.container("one").exit_code == 137
    assert infra.status == "exited"
    pod.start()
    assert set(states(pod).values()) == {"running"}
    assert alive(pod.container("three"))


def test_a_kill_spares_what_is_paused_or_waits_for_its_start(site, engine, writes):
    pod = engine.create_pod("web")
    one, two = add(site, pod, "one"), add(site, pod, "two")
    pod.start()
    two.pause()
    writes.clear()
    pod.kill()
    assert states(pod) == {"one": "exited", "two": "paused"}
    assert not [path for path, _ in writes if path == f"{pod.inspect().cgroup_path}/cgroup.kill"]
    assert one.exit_code == 137


def test_a_pod_is_paused_by_one_write_and_each_container_goes_on_by_itself(site, engine, writes):
    pod = engine.create_pod("web")
    one, two, late = add(site, pod, "one"), add(site, pod, "two"), add(site, pod, "late")
    one.start()
    two.start()
    writes.clear()
    cgroup = pod.inspect().cgroup_path

    assert {row.name: str(row.outcome) for row in pod.pause().rows} == {
        "one": "done",
        "two": "done",
        "late": "ignored",
    }
    assert writes == [(f"{cgroup}/cgroup.freeze", b"1")]
    assert states(pod) == {"one": "paused", "two": "paused", "late": "configured"}
    assert {str(row.outcome) for row in pod.pause().rows} == {"ignored"}
    with pytest.raises(podcore.ContainerStateError):
        one.exec(["/bin/true"])

    # One of them alone, though the freeze was of all.
    one.unpause()
    assert states(pod) == {"one": "running", "two": "paused", "late": "configured"}
    assert alive(one)

    assert {str(row.outcome) for row in pod.pause().rows} == {"done", "ignored"}
    # Nor does it keep another one from starting.
    late.start()
    assert states(pod) == {"one": "paused", "two": "paused", "late": "running"}
    assert alive(late)

    pod.unpause()
    assert set(states(pod).values()) == {"running"}
    assert alive(two)


def test_a_paused_pod_is_removed(site, engine):
    pod = engine.create_pod("web")
    add(site, pod, "one")
    pod.start()
    pod.pause()
    path = pod.inspect().cgroup_path
    pod.remove(force=True)
    assert not engine.host.cgroup(path).exists()
    Hierarchies.detect().cgroup(path).remove()  # what its runtime has made beside it


@pytest.mark.runtimes("runc")
def test_a_worker_that_dies_in_the_middle_of_a_pause_leaves_what_is_seen(site, engine):
    pod = engine.create_pod("web")
    one = add(site, pod, "one")
    pod.start()
    engine.host.cgroup(pod.inspect().cgroup_path).freeze(10)  # all that it did
    assert states(pod) == {"one": "paused"}
    pod.unpause()
    assert alive(one)
