"""Several processes and threads at work on the same pod of real containers."""

import json
import random
import subprocess
import sys
import threading
import time

import pytest

import podcore
from harness.polling import eventually
from integration.builders import add, events, new_pod, outcomes, states
from podcore.testing import check_invariants

pytestmark = [pytest.mark.contention, pytest.mark.runtimes("crun")]

# Opens everything that it will need, says so, waits for its turn and tells how it went.
CALL = """
import json, sys
import podcore
from podcore.errors import PodcoreError

engine = podcore.Engine()
pods = engine.pods()
print("ready", flush=True)
sys.stdin.readline()
verb, arguments = sys.argv[1], json.loads(sys.argv[2])
try:
    if verb == "create_pod":
        engine.create_pod(**arguments)
    else:
        getattr(pods[0], verb)(**arguments)
except PodcoreError as error:
    print(type(error).__name__)
else:
    print("fine")
"""

MIX = """
import json, random, sys, time
import podcore
from podcore.errors import PartialFailureError, PodcoreError

verbs, seconds, seed = json.loads(sys.argv[1]), float(sys.argv[2]), int(sys.argv[3])
chance = random.Random(seed)
pod = podcore.Engine().pod("web")
until = time.monotonic() + seconds
seen = set()
while time.monotonic() < until:
    verb, arguments = chance.choice(verbs)
    try:
        getattr(pod, verb)(**arguments)
    except PartialFailureError as error:
        seen.update(type(one).__name__ for one in error.errors.values())
    except PodcoreError as error:
        seen.add(type(error).__name__)
print(json.dumps(sorted(seen)))
"""

VERBS = [
    ("start", {}),
    ("start", {}),
    ("stop", {"timeout": 0}),
    ("stop", {"timeout": 0.05, "cleanup": True}),
    ("kill", {}),
    ("kill", {"signal": "TERM"}),
    ("pause", {}),
    ("unpause", {}),
    ("unpause", {}),
    ("restart", {"timeout": 0}),
    ("status", {}),
    ("inspect", {}),
]

CONTRACT = {
    # A dependency was stopped, paused or killed by another one just then.
    "DependencyNotRunningError",
    "DependencyFailedError",
    # Somebody else stops it at that moment, or ended it between its create and its start.
    "ContainerStateError",
    # The host is too busy to end a process within seconds.
    "StopTimeoutError",
}


@pytest.fixture
def together(site, popen):
    """Makes several processes do something at the same moment; returns what they say."""

    def do(count, verb, **arguments):
        argv = [sys.executable, "-c", CALL, verb, json.dumps(arguments)]
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
        started = [popen(argv, env=site.environ, **pipes) for _ in range(count)]
        for one in started:
            assert one.stdout.readline() == "ready\n"
        for one in started:
            one.stdin.write("\n")
            one.stdin.flush()
        said = [one.communicate(timeout=120)[0].strip() for one in started]
        assert [one.returncode for one in started] == [0] * count
        return said

    return do


@pytest.mark.parametrize("count", [2, 8])
def test_a_pod_that_several_processes_start_is_started_once(site, together, count):
    pod = new_pod(site)
    add(site, pod, "base")
    add(site, pod, "left", "base")
    add(site, pod, "right", "base")
    add(site, pod, "top", "left", "right")

    assert together(count, "start") == ["fine"] * count

    started = events(pod._engine, "start")
    assert sorted(started) == ["base", "left", "right", "top"]
    assert (started[0], started[3]) == ("base", "top")
    assert sorted(events(pod._engine, "init")) == ["base", "left", "right", "top"]
    assert set(states(pod).values()) == {"running"}
    assert {container.inspect().restarts for container in pod.containers()} == {0}
    assert check_invariants(pod._engine) == []


def test_a_pod_with_an_infra_container_is_started_once_too(site, together):
    pod = new_pod(site, share=("ipc", "net", "uts"))
    add(site, pod, "a")

    assert together(4, "start") == ["fine"] * 4

    assert len(events(pod._engine, "start")) == 2


@pytest.mark.parametrize("verb", ["stop", "kill", "pause"])
def test_a_verb_of_several_processes_acts_once(site, together, verb):
    pod = new_pod(site)
    add(site, pod, "base", stop_timeout=0)
    add(site, pod, "top", "base", stop_timeout=0)
    pod.start()

    assert together(4, verb) == ["fine"] * 4

    assert set(states(pod).values()) == {"paused" if verb == "pause" else "exited"}
    if verb == "pause":
        assert sorted(events(pod._engine, "pause")) == ["base", "top"]


def test_a_pod_that_several_processes_remove_is_removed_once(site, together):
    pod = new_pod(site)
    add(site, pod, "base")
    add(site, pod, "top", "base")
    pod.start()

    said = together(4, "remove", force=True)

    assert sorted(said) == ["PodRemovedError"] * 3 + ["fine"]
    assert pod._engine.pods() == []
    assert check_invariants(pod._engine) == []


def test_one_of_several_processes_gets_a_name(site, together):
    site.engine().create_pod("other", share=())

    said = together(4, "create_pod", name="web", share=[])

    assert sorted(said) == ["PodExistsError"] * 3 + ["fine"]
    assert [pod.name for pod in site.engine().pods()] == ["other", "web"]


def _each_in_a_thread(calls):
    """Does all of them at the same moment; returns what each one returned or raised."""
    results = [None] * len(calls)
    meeting = threading.Barrier(len(calls))

    def do(number, call):
        meeting.wait(30)
        try:
            results[number] = call()
        except Exception as error:
            results[number] = error

    threads = [threading.Thread(target=do, args=pair, daemon=True) for pair in enumerate(calls)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)
        assert not thread.is_alive(), "a call hangs"
    return results


def test_one_of_sixteen_threads_gets_a_name(site):
    engine = site.engine()
    results = _each_in_a_thread([lambda: new_pod(site, engine=engine)] * 16)

    made = [result for result in results if isinstance(result, podcore.Pod)]
    assert len(made) == 1
    assert sum(isinstance(result, podcore.PodExistsError) for result in results) == 15
    pod = made[0]
    results = _each_in_a_thread([lambda: add(site, pod, "a")] * 16)
    assert sum(isinstance(result, podcore.Container) for result in results) == 1
    assert sum(isinstance(result, podcore.ContainerExistsError) for result in results) == 15
    assert len(pod.containers()) == 1


def test_threads_share_an_engine(site):
    engine = site.engine()
    pods = [new_pod(site, f"p{number}", engine=engine) for number in range(4)]
    for pod in pods:
        add(site, pod, "a")

    def life(pod):
        pod.start()
        pod.pause()
        pod.unpause()
        pod.restart(timeout=0)
        pod.stop(timeout=0)
        return outcomes(pod.remove())

    assert _each_in_a_thread([lambda p=pod: life(p) for pod in pods]) == [{"a": "done"}] * 4
    assert check_invariants(engine) == []


@pytest.mark.slow
def test_any_mix_of_verbs_breaks_no_contract(site, popen):
    engine = site.engine()
    pod = new_pod(site, engine=engine)
    add(site, pod, "base", stop_timeout=0.05)
    add(site, pod, "left", "base", stop_timeout=0.05)
    add(site, pod, "right", "base", stop_timeout=0.05)
    add(site, pod, "top", "left", "right", stop_timeout=0.05)
    seconds, seen = 3.0, set()
    workers = [
        popen(
            [sys.executable, "-c", MIX, json.dumps(VERBS), str(seconds), str(seed)],
            env=site.environ,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        for seed in range(2)
    ]

    def mix(seed):
        chance = random.Random(seed)
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            verb, arguments = chance.choice(VERBS)
            try:
                getattr(pod, verb)(**arguments)
            except podcore.PartialFailureError as error:
                seen.update(type(one).__name__ for one in error.errors.values())
            except podcore.PodcoreError as error:
                seen.add(type(error).__name__)

    results = _each_in_a_thread([lambda s=seed: mix(s) for seed in (10, 11)])

    assert results == [None, None]
    for worker in workers:
        out, err = worker.communicate(timeout=120)
        assert worker.returncode == 0, err
        seen.update(json.loads(out))
    assert seen <= CONTRACT
    assert check_invariants(engine) == []
    pod.unpause()
    assert pod.start().ok
    assert set(states(pod).values()) == {"running"}
    assert pod.stop(timeout=0, cleanup=True).ok
    assert check_invariants(engine) == []


def test_reads_do_not_wait_for_a_stop(site, popen):
    pod = new_pod(site)
    container = add(site, pod, "a")
    pod.start()
    argv = [sys.executable, "-c", CALL, "stop", json.dumps({"timeout": 600})]
    stopper = popen(argv, env=site.environ, stdin=subprocess.PIPE)
    stopper.stdin.write("\n")
    stopper.stdin.flush()
    eventually(lambda: container.status == "stopping")

    for look in (pod.status, pod.inspect, pod.containers, container.inspect, pod._engine.pods):
        began = time.monotonic()
        look()
        # A guard against waiting for the stop, no measure: a look takes about a millisecond.
        assert time.monotonic() - began < 60
    assert pod.state == "running"
    assert stopper.poll() is None
    assert pod.stop(timeout=0).ok
    assert stopper.wait(60) == 0
