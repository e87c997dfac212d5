"""What the state store adds to a transition: transactions, reads, opening."""

import itertools
import os

import pytest

from podcore import LockTable
from podcore.store import Store
from store.builders import new_container, new_pod

# Seconds.
WRITE_BUDGET = 60e-6
READ_BUDGET = 30e-6
SNAPSHOT_BUDGET = 20e-3
LINES_BUDGET = 20e-3
IDS_BUDGET = 4e-3
OPEN_BUDGET = 1e-3

MANY = 1000
FEW = 50


@pytest.fixture
def directory(tmp_path):
    os.mkdir(tmp_path / "state", 0o700)
    return str(tmp_path / "state")


@pytest.fixture
def locks(tmp_path):
    return LockTable(str(tmp_path / "locks"))


@pytest.fixture
def store(directory, locks):
    opened = Store.open(directory, locks)
    yield opened
    opened.close()


@pytest.fixture
def session(locks):
    with locks.session("bench") as one:
        yield one


@pytest.fixture
def pod(store, session, benchmark):
    with store.write(session) as change:
        made = change.add_pod(new_pod())
        for index in range(FEW if benchmark.disabled else MANY):
            change.add_container(new_container(made, f"c{index}"))
    return made


def describe(benchmark, what, budget):
    benchmark.group = f"store:{what}"
    benchmark.extra_info |= {"subject": "podcore", "budget": budget}


def test_a_transition_is_committed(benchmark, store, session, pod):
    describe(benchmark, "write", WRITE_BUDGET)
    with store.read() as view:
        record = view.containers(pod.id)[FEW // 2]
    numbers = itertools.count(1)

    def write():
        with store.write(session) as change:
            change.save_container(record.but(incarnation=next(numbers)))

    benchmark(write)

    with store.read() as view:
        assert view.container(record.id).incarnation == next(numbers) - 1


def test_a_transition_is_committed_with_its_event(benchmark, store, session, pod):
    describe(benchmark, "write and event", WRITE_BUDGET)
    with store.read() as view:
        record = view.containers(pod.id)[FEW // 2]

    def write():
        with store.write(session) as change:
            change.save_container(record)
            change.event("container", record.id, "start")

    benchmark(write)

    with store.read() as view:
        assert view.last_event() > 0


def test_a_container_is_read(benchmark, store, pod):
    describe(benchmark, "read", READ_BUDGET)
    with store.read() as view:
        record = view.containers(pod.id)[FEW // 2]

    def read():
        with store.read() as view:
            return view.container(record.id)

    assert benchmark(read) == record


def test_a_whole_pod_is_read(benchmark, store, pod):
    describe(benchmark, "snapshot", SNAPSHOT_BUDGET)
    benchmark.extra_info["size"] = FEW if benchmark.disabled else MANY

    def snapshot():
        with store.read() as view:
            return view.containers(pod.id)

    assert len(benchmark(snapshot)) == benchmark.extra_info["size"]


@pytest.mark.parametrize(
    ("what", "budget"), [("summaries", LINES_BUDGET), ("container_ids", IDS_BUDGET)]
)
def test_a_list_of_a_whole_pod_is_read(benchmark, store, pod, what, budget):
    describe(benchmark, what.replace("_", " "), budget)
    benchmark.extra_info["size"] = FEW if benchmark.disabled else MANY

    def listed():
        with store.read() as view:
            return getattr(view, what)(pod.id, infra=False)

    assert len(benchmark(listed)) == benchmark.extra_info["size"]


def test_a_store_is_opened_and_closed(benchmark, directory, locks, store, pod):
    describe(benchmark, "open", OPEN_BUDGET)

    def reopen():
        opened = Store.open(directory, locks)
        with opened.read() as view:
            found = view.pod(pod.id)
        opened.close()
        return found

    assert benchmark(reopen) == pod
