"""Short runs of the soak and of the stress, and a sampler that can find a leak."""

import os
import subprocess
import sys

import pytest

from chaos.soak import Samples

TESTS = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))


def program(name, *arguments):
    done = subprocess.run(
        [sys.executable, "-m", f"chaos.{name}", *arguments],
        env=os.environ | {"PYTHONPATH": TESTS},
        capture_output=True,
        text=True,
        timeout=280,
        check=False,
    )
    print(done.stdout)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.slow
@pytest.mark.runtimes("crun")
@pytest.mark.timeout(300)
def test_pods_live_and_die_in_several_processes_and_nothing_is_left(runtime):
    assert "lived and died" in program("soak", "--seconds", "6", "--runtime", runtime)


@pytest.mark.slow
@pytest.mark.runtimes("crun")
@pytest.mark.timeout(300)
def test_many_processes_start_containers_of_one_pod_without_an_error(runtime):
    chosen = ("--containers", "48", "--processes", "8", "--runtime", runtime)
    assert "0 errors" in program("stress", *chosen)


def samples(**changes):
    flat = dict.fromkeys(("descriptors", "threads", "memory", "log", "zombies"), [10] * 90)
    return Samples(**(flat | {"zombies": [0] * 90} | changes))


def test_what_stays_as_it_is_is_no_leak():
    assert samples().problems() == []


@pytest.mark.parametrize(
    ("changes", "what"),
    [
        ({"descriptors": list(range(90))}, "descriptors grow"),
        ({"threads": list(range(90))}, "threads grow"),
        ({"memory": [number << 20 for number in range(90)]}, "memory grow"),
        ({"log": [9 << 20] * 90}, "write-ahead log"),
        ({"zombies": [0] * 80 + [2] * 10}, "zombies stay"),
    ],
)
def test_what_grows_is_a_leak(changes, what):
    problems = samples(**changes).problems()

    assert len(problems) == 1
    assert what in problems[0]
