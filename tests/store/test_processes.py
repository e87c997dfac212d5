"""Several processes at one database."""

import os
import signal
import subprocess
import sys

import pytest

from podcore.store import Store
from store.builders import new_container, new_pod

pytestmark = pytest.mark.contention

PRELUDE = """
import os, sys
from podcore._core import LockTable
from podcore.store import Store
directory, locks = sys.argv[1], LockTable(sys.argv[2])
def ready():
    print("ready", flush=True)
    sys.stdin.readline()
"""


@pytest.fixture
def start(popen, directory, locks):
    """Starts a program beside this one, which has waited for a line since it said `ready`."""

    def run(program, *arguments):
        return popen(
            [sys.executable, "-c", PRELUDE + program, directory, locks.directory, *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )

    return run


def let_go(processes):
    for process in processes:
        assert process.stdout.readline() == "ready\n"
    for process in processes:
        process.stdin.write("\n")
        process.stdin.flush()


def finish(processes):
    for process in processes:
        process.communicate(timeout=60)
        assert process.returncode == 0


def test_many_make_the_database_at_once(start, directory, locks):
    program = """
ready()
store = Store.open(directory, locks)
with locks.session() as session, store.write(session, timeout=60) as change:
    change.event("pod", "x", "made")
"""
    processes = [start(program) for _ in range(6)]
    let_go(processes)
    finish(processes)
    store = Store.open(directory, locks)
    with store.read() as view:
        assert len(view.events()) == 6
    store.close()


COUNT = """
store = Store.open(directory, locks)
ready()
with locks.session() as session:
    for step in range(int(sys.argv[3])):
        with store.write(session, timeout=60) as change:
            change.set_meta("count", str(int(change.meta("count") or 0) + 1))
"""


def test_no_increment_of_many_writers_is_lost(start, store):
    processes = [start(COUNT, "150") for _ in range(4)]
    let_go(processes)
    finish(processes)
    with store.read() as view:
        assert view.meta("count") == "600"
    assert store.integrity() == []


def test_a_reader_does_not_wait_for_a_writer(start, store):
    writer = start(
        """
store = Store.open(directory, locks)
with locks.session() as session, store.write(session) as change:
    change.set_meta("a", "new")
    ready()
"""
    )
    assert writer.stdout.readline() == "ready\n"
    # The writer ends only when it is told to: a reader that waited for it would never come back.
    with store.read() as view:
        assert view.meta("a") is None
    writer.stdin.write("\n")
    finish([writer])
    with store.read() as view:
        assert view.meta("a") == "new"


def test_a_writer_does_not_wait_for_a_reader(start, store, session):
    reader = start(
        """
store = Store.open(directory, locks)
with store.read() as view:
    before = view.meta("a")
    ready()
    assert view.meta("a") == before, "a snapshot changed"
"""
    )
    assert reader.stdout.readline() == "ready\n"
    with store.write(session) as change:
        change.set_meta("a", "new")
    reader.stdin.write("\n")
    finish([reader])


@pytest.mark.parametrize("durable", [False, True])
def test_a_writer_that_is_killed_in_a_transaction_leaves_the_last_commit(
    start, store, session, durable
):
    with store.write(session) as change:
        pod = change.add_pod(new_pod())
        kept = change.add_container(new_container(pod, "kept"))
    writer = start(
        f"""
store = Store.open(directory, locks)
with locks.session() as session, store.write(session, durable={durable}) as change:
    for record in change.containers():
        change.delete_container(record.id)
    change.set_meta("half", "done" * 100_000)
    change._connection.database.cache_flush()
    ready()
"""
    )
    assert writer.stdout.readline() == "ready\n"
    writer.kill()
    assert writer.wait(20) == -signal.SIGKILL
    with store.write(session, timeout=30) as change:  # its lock went with it
        assert change.meta("half") is None
        assert change.containers() == [kept]
        change.event("pod", pod.id, "after")
    assert store.integrity() == []


def test_writers_that_are_killed_at_any_moment_lose_nothing_that_was_committed(start, store):
    program = """
store = Store.open(directory, locks)
ready()
with locks.session() as session:
    step = 0
    while True:
        step += 1
        with store.write(session, timeout=60) as change:
            change.set_meta(f"a{sys.argv[3]}", str(step))
            change.set_meta(f"b{sys.argv[3]}", str(step))
        print(step, flush=True)
"""
    for turn in range(6):
        writer = start(program, str(turn))
        let_go([writer])
        for _ in range(5 + 3 * turn):
            writer.stdout.readline()
        writer.kill()
        told = [line for line in writer.communicate()[0].splitlines() if line.isdigit()]
        last = int(told[-1]) if told else 5 + 3 * turn
        other = Store.open(os.path.dirname(store.path), None)
        with other.read() as view:
            stored = int(view.meta(f"a{turn}"))
            assert view.meta(f"b{turn}") == str(stored)
            # The last line may have been cut off, or a commit not yet told of.
            assert stored >= last - 1
        assert other.integrity() == []
        other.close()


def test_a_writer_waits_for_its_turn_at_the_lock(start, store, locks):
    with locks.session("holder") as holder:
        with store.write(holder) as change:
            change.set_meta("count", "10")
            waiting = start(COUNT, "1")
            let_go([waiting])
            # Committed while the other one waits, or is about to.
        finish([waiting])
    with store.read() as view:
        assert view.meta("count") == "11"
