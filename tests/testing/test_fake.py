"""Simulated containers go through the real engine, in numbers that no test machine has."""

import os
import shutil
import tempfile
import threading

import pytest

import podcore
from podcore import ContainerStatus, Outcome
from podcore.kernel import mountinfo, process
from podcore.testing import Behaviour, FakeContainers, check_invariants, fake_engine


@pytest.fixture
def memory():
    """A directory in memory: a disk shared with others makes a directory a hundred times slower."""
    path = tempfile.mkdtemp(prefix="podcore-fake-", dir="/dev/shm")
    yield path
    shutil.rmtree(path)


@pytest.fixture
def rootfs_directory(memory):
    os.mkdir(f"{memory}/rootfs")
    return f"{memory}/rootfs"


@pytest.fixture
def world():
    return FakeContainers()


@pytest.fixture
def engine(memory, world):
    with fake_engine(memory, world) as engine:
        yield engine


@pytest.fixture
def make(engine, rootfs_directory):
    """Makes a pod of simulated containers: name to names of dependencies."""

    def made(containers, **fields):
        pod = engine.create_pod("web", share=())
        pod.create_containers(
            podcore.ContainerSpec(
                name=name,
                rootfs=rootfs_directory,
                command=("/bin/server",),
                depends_on=tuple(needs),
                **fields,
            )
            for name, needs in containers.items()
        )
        return pod

    return made


def states(pod):
    return {one.name: one.status.value for one in pod.containers()}


@pytest.mark.parametrize("infra", [True, False], ids=["infra", "pins"])
def test_a_pod_that_shares_namespaces_lives_and_leaves_no_mount(
    engine, memory, rootfs_directory, infra
):
    pod = engine.create_pod("web", infra=infra)
    fields = {"rootfs": rootfs_directory, "command": ("/bin/server",)}
    pod.create_container("db", namespaces={"ipc": "private"}, **fields)
    pod.create_container("api", namespaces={"ipc": "container:db"}, **fields)
    for _ in range(2):
        pod.start()
        assert states(pod) == {"db": "running", "api": "running"}
        assert mountinfo.below(memory) == []
        pod.stop(timeout=0)
    pod.remove()
    assert os.listdir(f"{memory}/run/pods") == []


def test_a_life_goes_as_with_real_ones(engine, make):
    pod = make({"db": [], "api": ["db"]})

    assert pod.start().ok
    assert states(pod) == {"db": "running", "api": "running"}
    assert pod.container("db").pid > 1 << 22
    pod.pause()
    assert set(states(pod).values()) == {"paused"}
    pod.unpause()
    pod.kill("HUP")
    assert pod.container("db").wait(30) == 129
    pod.restart()
    assert set(states(pod).values()) == {"running"}
    assert check_invariants(engine) == []
    pod.stop()
    assert pod.container("api").exit_code == 143
    pod.remove()
    assert engine.pods() == []
    assert check_invariants(engine) == []


def test_a_container_behaves_as_it_was_told(engine, make, world):
    world.behave("quick", Behaviour(exits=3))
    world.behave("deaf", Behaviour(deaf=True))
    pod = make({"quick": [], "deaf": []}, stop_timeout=0.05)

    pod.start()
    assert pod.container("quick").wait(30) == 3
    pod.stop()

    assert pod.container("deaf").exit_code == 137


@pytest.mark.parametrize("broken", [Behaviour(create_fails=True), Behaviour(start_fails=True)])
def test_a_failure_skips_exactly_the_dependents(engine, make, world, broken):
    world.behave("db", broken)
    pod = make({"db": [], "api": ["db"], "other": []})

    with pytest.raises(podcore.PartialFailureError) as caught:
        pod.start()

    outcomes = {row.name: row.outcome for row in caught.value.report.rows}
    assert outcomes == {"db": Outcome.FAILED, "api": Outcome.SKIPPED, "other": Outcome.DONE}
    assert check_invariants(engine) == []


def test_a_death_is_seen(engine, make, world):
    pod = make({"db": []})
    pod.start()

    world.die(pod.container("db").id, 9)

    assert pod.status() == {pod.container("db").id: ContainerStatus.EXITED}
    assert pod.container("db").exit_code == 9


def test_two_engines_see_the_same_world(memory, engine, make, world):
    make({"db": []}).start()

    with fake_engine(memory, world) as other:
        assert states(other.pod("web")) == {"db": "running"}
        other.pod("web").stop()

    assert states(engine.pod("web")) == {"db": "exited"}


def test_real_processes_stay_real(tmp_path):
    before = process.identify
    with fake_engine(tmp_path):
        assert process.alive(process.me())
        assert process.wait_gone([process.me()], 0) == [process.me()]

    assert process.identify is before


def test_waiting_ends_with_the_process(engine, make, world):
    pod = make({"db": []})
    pod.start()
    db = pod.container("db")
    codes = []
    waiter = threading.Thread(target=lambda: codes.append(db.wait(60)))
    waiter.start()

    world.die(db.id, 4)
    waiter.join(60)

    assert codes == [4]


@pytest.mark.slow
def test_a_thousand_containers_in_one_pod(engine, make):
    """Set ``SCALE`` for more: ``make stress`` takes 10000."""
    count = int(os.environ.get("SCALE", "1000"))
    pod = make({f"c{number}": [f"c{number // 2}"] if number > 1 else [] for number in range(count)})

    assert pod.start().ok
    assert list(pod.status().values()) == [ContainerStatus.RUNNING] * count
    assert pod.state is podcore.PodStatus.RUNNING
    assert pod.stop().ok
    assert set(pod.status().values()) == {ContainerStatus.EXITED}
    assert check_invariants(engine) == []
    pod.remove()
    assert engine.pods() == []
