"""Verbs of several containers in step: shared commits, and no other difference."""

import os
import threading

import pytest

import podcore
from harness.polling import eventually
from podcore.backend import QUICK, SLOW
from podcore.lifecycle.course import Part, alone, together
from podcore.lifecycle.held import Commit
from podcore.lifecycle.pause import pausing
from podcore.lifecycle.step import DONE
from podcore.model import ContainerStatus
from podcore.records import Verb
from podcore.testing import Behaviour, FakeContainers, fake_engine


@pytest.fixture
def engine(tmp_path):
    os.mkdir(tmp_path / "rootfs")
    with fake_engine(tmp_path) as engine:
        yield engine


@pytest.fixture
def host(engine):
    return engine.host


@pytest.fixture
def running(engine, host, tmp_path):
    """The rows of five containers that run."""
    pod = engine.create_pod("web", share=())
    for number in range(5):
        pod.create_container(f"c{number}", rootfs=str(tmp_path / "rootfs"), command=["/bin/s"])
    pod.start()
    with host.store.read() as view:
        return view.containers(pod.id)


@pytest.fixture
def writes(host, monkeypatch):
    """How many rows each transaction writes, from now on."""
    counts = []
    write = host.store.write

    class Counted:
        def __init__(self, *arguments, **options):
            self.inner = write(*arguments, **options)

        def __enter__(self):
            self.change = self.inner.__enter__()
            counts.append(0)
            save = self.change.save_container

            def counted(record):
                counts[-1] += 1
                save(record)

            self.change.save_container = counted
            return self.change

        def __exit__(self, *error):
            return self.inner.__exit__(*error)

    monkeypatch.setattr(host.store, "write", Counted)
    return counts


def go(host, rows, conduct):
    with host.session("test") as session:
        return together(host, session, [Part(row, conduct) for row in rows])


def states(engine):
    return [one.status for one in engine.pod("web").containers()]


def test_those_who_go_in_step_share_their_commits(engine, host, running, writes):
    assert go(host, running, pausing) == [DONE] * 5

    assert writes == [5, 5]  # the intents, the results
    assert states(engine) == [ContainerStatus.PAUSED] * 5


def test_a_verb_of_a_pod_takes_as_many_in_step_as_the_host_says(
    engine, host, running, writes, monkeypatch
):
    monkeypatch.setattr(host, "at_once", lambda pace: 2)

    engine.pod("web").pause()

    assert writes == [2, 2, 2, 2, 1, 1]


@pytest.mark.parametrize("verb", ["pause", "kill", "stop", "restart", "remove"])
def test_every_verb_of_a_pod_shares_its_commits(engine, host, running, writes, verb):
    pod = engine.pod("web")
    if verb == "remove":
        pod.stop()
        writes.clear()

    getattr(pod, verb)()

    # Of each container apart there would be more.
    assert len(writes) < len(running) * 2


def test_what_takes_long_is_worth_a_worker_each(tmp_path):
    real = podcore.Engine(root=tmp_path / "state", run_root=tmp_path / "run").host

    assert real.at_once(SLOW) == 1
    assert real.at_once(QUICK) > 1


def test_simulated_containers_that_take_time_are_begun_side_by_side(tmp_path):
    world = FakeContainers()
    with fake_engine(tmp_path, world, max_workers=7) as engine:
        quick = (engine.host.max_workers, engine.host.at_once(SLOW))
        world.behave("db", Behaviour(create_seconds=0.01))

        assert quick == (1, 64)
        assert (engine.host.max_workers, engine.host.at_once(SLOW)) == (7, 1)


def test_one_who_goes_alone_commits_the_same(engine, host, running, writes):
    with host.session("test") as session:
        assert alone(host, session, running[0], pausing) is DONE

    assert writes == [1, 1]


def test_every_intent_is_committed_before_the_first_effect(host, running):
    seen = []

    def conduct(held):
        yield held.meaning(Verb.PAUSE)
        with host.store.read() as view:
            seen.append([row.intent is not None for row in view.containers(held.record.pod_id)])
        yield Commit(held.record.but(intent=None))

    go(host, running, conduct)

    assert seen == [[True] * 5] * 5


def test_results_come_in_the_order_of_the_parts(host, running):
    def conduct(held):
        yield None
        return held.record.name

    backwards = list(reversed(running))

    assert go(host, backwards, conduct) == ["c4", "c3", "c2", "c1", "c0"]


def test_none_lets_the_others_come_as_far(host, running):
    order = []

    def conduct(held):
        order.append("signal")
        yield None
        order.append("wait")

    go(host, running, conduct)

    assert order == ["signal"] * 5 + ["wait"] * 5


def test_an_error_of_one_is_its_own(engine, host, running):
    bad = running[2]

    def conduct(held):
        if held.record.id == bad.id:
            raise ValueError("no")
        return (yield from pausing(held))

    results = go(host, running, conduct)

    assert str(results.pop(2)) == "no"
    assert results == [DONE] * 4
    assert states(engine).count(ContainerStatus.PAUSED) == 4


def test_an_exhausted_host_is_named(host, running):
    def conduct(held):
        yield None
        raise OSError(28, "No space left on device")

    results = go(host, running, conduct)

    assert {type(one) for one in results} == {podcore.ResourceExhaustedError}
    assert "container `c3`" in str(results[3])


def test_a_row_that_is_gone_is_an_error_of_that_container_alone(engine, host, running):
    gone = running[1]
    with host.session("test") as session, host.store.write(session) as change:
        change.delete_container(gone.id)

    results = go(host, running, pausing)

    assert isinstance(results.pop(1), podcore.ContainerRemovedError)
    assert results == [DONE] * 4


def test_a_row_that_goes_meanwhile_fails_the_commit_of_that_container_alone(host, running):
    gone = running[1]

    def conduct(held):
        if held.record.id == gone.id:
            with host.store.write(held.session) as change:
                change.delete_container(gone.id)
        return (yield from pausing(held))

    results = go(host, running, conduct)

    assert isinstance(results.pop(1), podcore.ContainerRemovedError)
    assert results == [DONE] * 4


def test_a_failed_commit_is_raised_where_each_asked_for_it(host, running, monkeypatch):
    caught = []

    def conduct(held):
        try:
            yield held.meaning(Verb.PAUSE)
        except podcore.StoreBusyError:
            caught.append(held.record.name)
            raise

    def busy(*arguments, **options):
        raise podcore.StoreBusyError("somebody else writes")

    with monkeypatch.context() as patched:
        patched.setattr(host.store, "write", busy)
        results = go(host, running, conduct)

    assert caught == ["c0", "c1", "c2", "c3", "c4"]
    assert {type(one) for one in results} == {podcore.StoreBusyError}
    with host.store.read() as view:
        assert all(row.intent is None for row in view.containers())


def test_an_exit_lets_the_others_end_first(engine, host, running):
    leaving = running[0]

    def conduct(held):
        if held.record.id == leaving.id:
            raise SystemExit(3)
        return (yield from pausing(held))

    with pytest.raises(SystemExit):
        go(host, running, conduct)

    assert states(engine) == [ContainerStatus.RUNNING] + [ContainerStatus.PAUSED] * 4


def test_nobody_waits_for_a_stranger_with_locks_in_hand(engine, host, running):
    """Of five, somebody holds the third: two go in step, and their locks are free while it waits."""
    taken, free = threading.Event(), threading.Event()

    def hold():
        with host.session("a stranger") as session:
            session.acquire("container", running[2].number)
            taken.set()
            free.wait(60)

    stranger = threading.Thread(target=hold)
    stranger.start()
    assert taken.wait(60)
    results = []
    verb = threading.Thread(target=lambda: results.extend(go(host, running, pausing)))
    verb.start()
    try:
        eventually(lambda: all(_paused(host, row) for row in running[:2]))
        with host.session("test") as session:
            for row in running[:2]:
                session.acquire("container", row.number, timeout=60)
        assert not results
    finally:
        free.set()
        stranger.join(60)
        verb.join(60)

    assert results == [DONE] * 5
    assert states(engine) == [ContainerStatus.PAUSED] * 5


def _paused(host, row):
    with host.store.read() as view:
        return view.container(row.id).state is ContainerStatus.PAUSED
