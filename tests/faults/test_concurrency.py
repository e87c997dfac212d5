"""Faults of concurrency, group F of docs/reliability.md, where no other test tries them."""

import os
import random
import signal
import subprocess
import sys
import threading
import time

import pytest

import podcore
from harness.polling import eventually
from integration.builders import add, new_pod
from podcore import LockTable
from podcore.kernel import failpoints, process
from podcore.lifecycle.held import hold
from podcore.testing import check_invariants

pytestmark = pytest.mark.contention

# What the verbs of others may make of one, and a host too busy to end a process within seconds.
CONTRACT = (
    podcore.DependencyNotRunningError,
    podcore.DependencyFailedError,
    podcore.ContainerStateError,
    podcore.StopTimeoutError,
)


def sound(engine):
    eventually(lambda: not check_invariants(engine), what="all invariants")


def at_once(*calls):
    """Does all of them at the same moment; returns what each one raised, None for nothing."""
    raised = [None] * len(calls)
    meeting = threading.Barrier(len(calls))

    def do(number, call):
        meeting.wait(30)
        try:
            call()
        except Exception as error:
            raised[number] = error

    threads = [threading.Thread(target=do, args=pair, daemon=True) for pair in enumerate(calls)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(150)
        assert not thread.is_alive(), "a call hangs"
    return raised


@pytest.mark.runtimes("crun")
def test_f57_a_verb_names_the_stopped_process_that_holds_it_up_and_goes_on_later(
    site, monkeypatch, popen
):
    engine = site.engine()
    pod = new_pod(site, engine=engine)
    one, other = add(site, pod, "one"), add(site, pod, "other")
    with engine.host.store.read() as view:
        number = view.container(one.id).number
    # It sleeps for long enough to be stopped in it.
    holder = popen(
        [sys.executable, "-c", "import podcore; podcore.Engine().container('web/one').start()"],
        env=site.environ | {"PODCORE_FAILPOINTS": "start.before-start=sleep=3"},
    )
    eventually(lambda: one.status == "created")
    holder.send_signal(signal.SIGSTOP)
    assert engine.host.locks.probe("container", number)

    with monkeypatch.context() as patched:
        patched.setattr(hold.__wrapped__, "__defaults__", (0.5,))  # seconds, instead of 30
        with pytest.raises(podcore.PartialFailureError) as caught:
            pod.start()

    (error,) = caught.value.errors.values()
    assert isinstance(error, podcore.LockTimeoutError)
    assert error.holder["pid"] == holder.pid
    assert (one.status, other.status) == ("created", "running")
    holder.send_signal(signal.SIGCONT)
    assert holder.wait(60) == 0
    assert one.status == "running"
    assert pod.start().ok
    sound(engine)


@pytest.mark.runtimes("crun")
def test_f60_one_removal_of_a_pod_wins_against_starts_and_removals(site):
    engines = [site.engine() for _ in range(4)]
    for _ in range(3):
        pod = new_pod(site, engine=engines[0])
        add(site, pod, "base")
        add(site, pod, "top", "base")
        pods = [engine.pod("web") for engine in engines]

        removals = [lambda pod=pod: pod.remove(force=True) for pod in pods * 2]
        starts = [pod.start for pod in pods * 2]
        raised = at_once(*[call for pair in zip(starts, removals, strict=True) for call in pair])

        lost = [error for error in raised[1::2] if error is not None]
        assert [type(error) for error in lost] == [podcore.PodRemovedError] * 7
        for error in raised[::2]:
            assert error is None or isinstance(error, podcore.PodRemovedError)
        assert engines[0].pods() == []
        sound(engines[0])


@pytest.mark.runtimes("crun")
def test_f60_one_removal_of_a_container_wins_against_starts_and_removals(site):
    engines = [site.engine() for _ in range(4)]
    pod = new_pod(site, engine=engines[0])
    for _ in range(3):
        add(site, pod, "one")
        found = [engine.container("web/one") for engine in engines]

        removals = [lambda one=one: one.remove(force=True) for one in found * 2]
        starts = [one.start for one in found * 2]
        raised = at_once(*[call for pair in zip(starts, removals, strict=True) for call in pair])

        lost = [error for error in raised[1::2] if error is not None]
        assert [type(error) for error in lost] == [podcore.ContainerRemovedError] * 7
        for error in raised[::2]:
            assert error is None or isinstance(error, podcore.ContainerRemovedError)
        assert pod.containers() == []
        sound(engines[0])


@pytest.mark.runtimes("crun")
def test_f61_reads_do_not_wait_for_a_stop_that_hangs_under_its_locks(site):
    engine = site.engine()
    pod = new_pod(site, engine=engine)
    one = add(site, pod, "one")
    pod.start()
    program = "import podcore; podcore.Engine().pod('web').stop(timeout=600)"
    stopper = subprocess.Popen(
        [sys.executable, "-c", program],
        env=site.environ | {"PODCORE_FAILPOINTS": "stop.after-intent=hang"},
    )
    try:
        eventually(lambda: one.status == "stopping", what="the stop")
        with engine.host.store.read() as view:
            number = view.container(one.id).number
        assert engine.host.locks.probe("container", number), "it is under its lock"

        looks = (
            pod.status,
            pod.inspect,
            pod.containers,
            one.inspect,
            engine.pods,
            engine.inspect_pods,
            engine.inspect_containers,
            lambda: list(one.logs()),
        )
        # Waiting ends after minutes: a guard, no measure. A look takes about a millisecond.
        assert at_once(*looks) == [None] * len(looks)
        assert stopper.poll() is None
        assert pod.state == "running"
    finally:
        stopper.kill()
        stopper.wait()
    assert pod.stop(timeout=0).ok
    sound(engine)


@pytest.mark.runtimes("crun")
def test_f62_thirty_two_threads_work_on_one_pod(site):
    engine = site.engine()
    pod = new_pod(site, engine=engine)
    add(site, pod, "base", stop_timeout=0)
    add(site, pod, "top", "base", stop_timeout=0)
    verbs = [pod.start, pod.start, pod.stop, pod.kill, pod.restart, pod.pause, pod.unpause]

    def work(chance):
        for verb in chance.sample([*verbs, pod.status, pod.inspect], 5):
            try:
                verb()
            except podcore.PartialFailureError as error:
                for cause in error.errors.values():
                    assert isinstance(cause, CONTRACT), cause

    raised = at_once(*(lambda seed=seed: work(random.Random(seed)) for seed in range(32)))

    assert raised == [None] * 32
    sound(engine)
    pod.unpause()
    assert pod.start().ok
    assert set(pod.status().values()) == {"running"}


def test_f62_thirty_two_threads_all_get_a_lock(tmp_path):
    table = LockTable(tmp_path / "locks")
    inside, most = 0, 0

    def compete():
        nonlocal inside, most
        with table.session() as session:
            for _ in range(10):
                with session.acquire("container", 1, timeout=100):
                    inside += 1
                    most = max(most, inside)
                    time.sleep(0.0005)  # lets others in, were the lock none
                    inside -= 1

    assert at_once(*[compete] * 32) == [None] * 32
    assert most == 1


PLACES = {
    "stop": "stop.after-intent",
    "kill": "kill.before-signal",
    "pause": "pause.after-intent",
    "unpause": "unpause.after-intent",
}


@pytest.mark.runtimes("crun")
@pytest.mark.parametrize("verb", PLACES)
def test_f63_a_container_that_exits_before_it_is_acted_on_is_no_error(site, monkeypatch, verb):
    engine = site.engine()
    pod = new_pod(site, engine=engine)
    one, other = add(site, pod, "one"), add(site, pod, "other")
    pod.start()
    if verb == "unpause":
        pod.pause()
    ended = []

    def end(place):
        # Its state has been looked at, under its lock; now it ends by itself.
        if place == PLACES[verb] and not ended:
            ended.append(place)
            one_pid = one.pid
            os.kill(one_pid, signal.SIGKILL)
            if verb != "unpause":  # a frozen process does not die before it is thawed
                eventually(lambda: process.identify(one_pid) is None)

    with monkeypatch.context() as patched:
        patched.setattr(failpoints, "_armed", {})
        patched.setattr(failpoints, "_pass", end)
        arguments = {"timeout": 0.2} if verb == "stop" else {}
        report = getattr(pod, verb)(**arguments)

    assert ended
    assert report.ok
    assert one.wait(60) == 137
    expected = {"pause": "paused", "unpause": "running"}.get(verb, "exited")
    assert (one.status, other.status) == ("exited", expected)
    sound(engine)


@pytest.mark.runtimes("crun")
def test_f64_what_a_progress_calls_does_not_wait_for_the_verb_that_calls_it(site):
    pod = new_pod(site)
    one = add(site, pod, "one")
    told = []

    def meddle(container_id, name, phase):
        told.append(phase)
        for change in (
            lambda: pod.remove(force=True),
            lambda: one.remove(force=True),
            lambda: add(site, pod, "new"),
        ):
            with pytest.raises(podcore.LockOrderError, match="hint: "):
                change()
        # What does not have to wait goes on.
        assert pod.status()
        assert pod.start().ok

    assert pod.start(progress=meddle).ok
    assert pod.stop(timeout=0, progress=lambda *_: pod.inspect()).ok

    assert told
    add(site, pod, "new")
    assert pod.remove().ok
    sound(pod._engine)


@pytest.mark.runtimes("crun")
def test_f64_what_a_signal_handler_calls_does_not_wait_for_the_verb_it_interrupts(site):
    pod = new_pod(site)
    one = add(site, pod, "one")
    pod.start()
    refused = []

    def second_thoughts(signum, frame):
        try:
            pod.remove(force=True)
        except podcore.LockOrderError as error:
            refused.append(error)
        pod.kill()

    def interrupt():
        eventually(lambda: one.status == "stopping")
        os.kill(os.getpid(), signal.SIGUSR1)

    before = signal.signal(signal.SIGUSR1, second_thoughts)
    helper = threading.Thread(target=interrupt)
    try:
        helper.start()
        assert pod.stop(timeout=600).ok
        helper.join(60)
    finally:
        signal.signal(signal.SIGUSR1, before)

    assert len(refused) == 1
    assert one.exit_code == 137


@pytest.mark.runtimes("crun")
def test_f64_a_handler_under_a_containers_lock_is_refused_at_once(site, monkeypatch):
    pod = new_pod(site)
    one = add(site, pod, "one")
    refused = []

    def impatient(signum, frame):
        for change in (lambda: one.stop(timeout=0), one.kill, lambda: one.remove(force=True)):
            with pytest.raises(podcore.LockOrderError, match="hint: "):
                change()
            refused.append(change)

    def interrupt(place):
        if place == "start.before-start":
            os.kill(os.getpid(), signal.SIGUSR1)

    before = signal.signal(signal.SIGUSR1, impatient)
    try:
        with monkeypatch.context() as patched:
            patched.setattr(failpoints, "_armed", {})
            patched.setattr(failpoints, "_pass", interrupt)
            one.start()
    finally:
        signal.signal(signal.SIGUSR1, before)

    assert len(refused) == 3
    assert one.status == "running"
    one.stop(timeout=0)
    sound(pod._engine)
