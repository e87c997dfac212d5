"""The engine without its containers: what podcore itself costs, on simulated ones.

An operation is one verb on one container, of a pod of a thousand that the verb is given to: its
lock, what is true of it, the intents and results in the database, its events, its row of the
report. All of that, the bundles included, is real, in a directory in memory; only the OCI runtime,
the monitor and the processes are simulated. The budget is that of 5,000 operations a second.
"""

import os
import shutil
import tempfile

import pytest

from podcore import ContainerSpec
from podcore.testing import fake_engine

SIZE = 1000
# Enough to see that the answers are right: more than go in step at once.
SHORT_SIZE = 70
RATE = 5000


@pytest.fixture
def size(benchmark):
    return SHORT_SIZE if benchmark.disabled else SIZE


@pytest.fixture
def directory():
    path = tempfile.mkdtemp(prefix="podcore-bench-", dir="/dev/shm")
    os.mkdir(f"{path}/rootfs")
    yield path
    shutil.rmtree(path)


@pytest.fixture
def engine(directory):
    with fake_engine(directory) as engine:
        yield engine


def specs(directory, size):
    return [
        ContainerSpec(name=f"c{number}", rootfs=f"{directory}/rootfs", command=("/bin/server",))
        for number in range(size)
    ]


@pytest.fixture
def pod(engine, directory, size):
    """A pod whose containers run."""
    pod = engine.create_pod("bench", share=())
    pod.create_containers(specs(directory, size))
    pod.start()
    return pod


def measure(benchmark, what, operations, verb, before=None):
    rounds = 1 if benchmark.disabled else 5
    benchmark.group = f"{operations} operations on simulated containers: {what}"
    benchmark.extra_info |= {"subject": "podcore", "budget": operations / RATE}
    benchmark.pedantic(verb, setup=before, rounds=rounds)
    if not benchmark.disabled:
        benchmark.extra_info["operations a second"] = operations / benchmark.stats.stats.median


def states(pod):
    return {str(status) for status in pod.status().values()}


def start(pod):
    pod.start()


def stop(pod):
    pod.stop()


def pause(pod):
    pod.pause()


def unpause(pod):
    pod.unpause()


def kill(pod):
    pod.kill()


def signal(pod):
    pod.kill("CONT")


def restart(pod):
    pod.restart()


@pytest.mark.parametrize(
    ("verb", "before", "state"),
    [
        (stop, start, "exited"),
        (kill, start, "exited"),
        (restart, None, "running"),
        (pause, unpause, "paused"),
        (unpause, pause, "running"),
        (signal, None, "running"),
    ],
)
def test_a_verb(benchmark, pod, size, verb, before, state):
    measure(
        benchmark,
        verb.__name__,
        size,
        lambda: verb(pod),
        None if before is None else lambda: before(pod),
    )

    assert states(pod) == {state}


def test_status(benchmark, pod, size):
    found = []

    measure(benchmark, "status", size, lambda: found.append(pod.status()))

    assert len(found[0]) == size
    assert set(found[0].values()) == {"running"}


def test_inspect(benchmark, engine, pod, size):
    found = []

    measure(benchmark, "inspect", size, lambda: found.append(engine.inspect_containers("bench")))

    assert len(found[0]) == size
    assert {one.state for one in found[0]} == {"running"}


@pytest.fixture
def pods(engine):
    """Pods without containers, made one after the other."""

    class Pods(list):
        def add(self):
            self.append(engine.create_pod(share=()))
            return self[-1]

    return Pods()


def test_create(benchmark, pods, directory, size):
    def create():
        pods[-1].create_containers(specs(directory, size))

    def an_empty_pod():
        pods.add()

    measure(benchmark, "create", size, create, an_empty_pod)

    assert len(pods[-1].containers()) == size


def test_first_start(benchmark, pods, directory, size):
    def first_start():
        pods[-1].start()

    def a_pod():
        pods.add().create_containers(specs(directory, size))

    measure(benchmark, "first start", size, first_start, a_pod)

    assert states(pods[-1]) == {"running"}


def test_remove(benchmark, engine, pods, directory, size):
    def remove():
        pods[-1].remove()

    def a_pod_that_has_run():
        pod = pods.add()
        pod.create_containers(specs(directory, size))
        pod.start()
        pod.stop()

    measure(benchmark, "remove", size, remove, a_pod_that_has_run)

    assert engine.pods() == []


def test_a_mixed_life(benchmark, engine, pod, size):
    """Once in its life a container starts and stops; in between it is looked at and handled."""

    def life():
        pod.start()
        for _ in range(2):
            assert states(pod) == {"running"}
            assert len(engine.inspect_containers("bench")) == size
            pod.kill("CONT")
            pod.pause()
            pod.unpause()
        pod.stop()

    measure(benchmark, "a mixed life", 12 * size, life, lambda: stop(pod))

    assert states(pod) == {"exited"}
