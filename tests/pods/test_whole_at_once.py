"""What reaches a whole pod by one write, against others that are at work on its containers."""

import os
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

import podcore
from harness.polling import eventually
from podcore.kernel.cgroup import Cgroup, Hierarchies
from podcore.testing import failpoints
from pods import inside

pytestmark = pytest.mark.runtimes("crun")


@pytest.fixture
def engine(site, monkeypatch):
    engine = site.engine()
    found = engine.host.hierarchies
    if found.unified is None:
        pytest.skip("no cgroup v2 is mounted")
    seen = Hierarchies("v2", {}, (found.unified,), found.unified)
    monkeypatch.setattr(engine.host, "_hierarchies", seen)
    return engine


@pytest.fixture
def pod(site, engine):
    made = engine.create_pod("web", share=())
    for name in ("one", "two", "three"):
        inside.add(site, made, name)
    made.start()
    return made


def states(pod):
    return {container.name: str(container.status) for container in pod.containers()}


def test_containers_that_are_thawed_at_the_same_time_do_not_freeze_each_other(pod, monkeypatch):
    """One of them reads that all are paused, and freezes them, after another one has gone on."""
    frozen = Cgroup.frozen
    meeting = threading.Barrier(3)
    path = pod.inspect().cgroup_path

    def together(self):
        answer = frozen(self)
        if self.path == path and threading.current_thread() not in met:
            met.add(threading.current_thread())
            meeting.wait(30)
        return answer

    pod.pause()
    met = set()
    with monkeypatch.context() as patch:
        patch.setattr(Cgroup, "frozen", together)
        with ThreadPoolExecutor(3) as pool:
            list(pool.map(podcore.Container.unpause, pod.containers()))

    assert states(pod) == dict.fromkeys(("one", "two", "three"), "running")


def test_a_start_in_the_middle_of_a_pause_thaws_nobody_who_is_said_to_be_paused(site, engine, pod):
    late = inside.add(site, pod, "late")
    with failpoints({"pause-pod.before-commit": "sleep=0.5"}):
        pausing = threading.Thread(target=pod.pause)
        pausing.start()
        eventually(engine.host.cgroup(pod.inspect().cgroup_path).frozen)
        late.start()
        pausing.join(60)

    assert states(pod) == dict.fromkeys(("one", "two", "three"), "paused") | {"late": "running"}


def test_a_pause_that_can_not_be_recorded_leaves_nobody_frozen(engine, pod):
    with (
        failpoints({"pause-pod.before-commit": "raise=ENOSPC"}),
        pytest.raises((podcore.ResourceExhaustedError, OSError)),
    ):
        pod.pause()

    cgroup = engine.host.cgroup(pod.inspect().cgroup_path)
    assert not cgroup.frozen()
    assert os.path.exists(cgroup.directories()[0])
    assert states(pod) == dict.fromkeys(("one", "two", "three"), "running")
