"""Faults of disks, clocks and limits, groups D and E of docs/reliability.md."""

import itertools
import os
import subprocess
import sys
import time

import pytest

import podcore
from harness.polling import eventually
from integration.builders import POLITE, add, await_ready, new_pod, says, states
from podcore.testing import check_invariants

pytestmark = pytest.mark.runtimes("crun")


def sound(engine):
    eventually(lambda: not check_invariants(engine), what="all invariants")


@pytest.fixture
def small(site):
    """A state directory on a file system of 3 MiB."""
    os.mkdir(site.root, 0o700)
    subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=3m,mode=0700", "none", site.root], check=True
    )
    yield site.root
    subprocess.run(["umount", "--lazy", site.root], check=True)


def fill(directory):
    """Writes until there is no more space, and returns the file."""
    path = f"{directory}/ballast"
    with open(path, "wb", buffering=0) as file:
        for size in (1 << 16, 1 << 9, 1):
            try:
                while True:
                    file.write(b"x" * size)
            except OSError:
                continue
    return path


def test_f40_on_a_full_disk_nothing_is_half_made_and_what_runs_can_be_stopped(site, small):
    engine = site.engine()
    pod = new_pod(site, engine=engine)
    one = add(site, pod, "one")
    pod.start()
    ballast = fill(small)

    names = itertools.count()
    with pytest.raises(podcore.ResourceExhaustedError):
        eventually(lambda: add(site, pod, f"n{next(names)}") and False, interval=0)
    assert one.status == "running"
    assert [found.name for found in engine.pods()] == ["web"]
    whole = {container.name for container in pod.containers()}

    os.unlink(ballast)
    assert {container.name for container in pod.containers()} == whole
    one.stop(timeout=0)
    assert one.status == "exited"
    add(site, pod, "later").start()
    sound(engine)
    pod.remove(force=True)
    engine.close()


def test_f49_a_container_does_not_need_its_log(site):
    engine = site.engine()
    pod = new_pod(site, engine=engine)
    one = add(site, pod, "one", command=POLITE)
    pod.start()
    await_ready(one)
    log = engine.host.places.log(one.id)
    os.unlink(log)

    assert list(one.logs()) == []
    os.mkfifo(log)
    with pytest.raises(podcore.MonitorError, match="not a regular file"):
        list(one.logs())
    os.unlink(log)
    pod.stop(timeout=30)

    assert one.exit_code == 0
    pod.start()
    eventually(lambda: says(one, "ready"))
    sound(engine)


@pytest.mark.parametrize("shift", [86400.0, -86400.0, -1.7e9])
def test_f50_a_clock_that_jumps_changes_no_deadline_and_no_order(site, monkeypatch, shift):
    engine = site.engine()
    pod = new_pod(site, engine=engine)
    first = add(site, pod, "first")
    first.start()
    now = time.time
    monkeypatch.setattr(time, "time", lambda: max(0.0, now() + shift))
    second = add(site, pod, "second", "first")

    second.start()
    begun = time.monotonic()
    report = pod.stop(timeout=1)

    assert report.ok
    assert time.monotonic() - begun < 90
    assert report.seconds >= 0
    assert [container.name for container in pod.containers()] == ["first", "second"]
    assert states(pod) == {"first": "exited", "second": "exited"}
    assert first.wait(5) == second.wait(5) == 137
    sound(engine)


FEW = """
import os, resource, podcore
with podcore.Engine() as engine:
    pod = engine.pod("web")
    pod.containers()
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(map(int, os.listdir("/proc/self/fd"))) + 2, 4096))
    before = len(os.listdir("/proc/self/fd"))
    try:
        pod.start()
    except podcore.PodcoreError as error:
        causes = getattr(error, "exceptions", (error,))
        print("exhausted", *(type(cause).__name__ for cause in causes))
    resource.setrlimit(resource.RLIMIT_NOFILE, (4096, 4096))
    print("leaked", len(os.listdir("/proc/self/fd")) - before)
    pod.start()
    print(sorted(pod.status().values()))
"""


def test_f54_without_descriptors_a_start_fails_by_its_type_and_goes_on_later(site):
    engine = site.engine()
    pod = new_pod(site, engine=engine)
    add(site, pod, "one")
    done = subprocess.run(
        [sys.executable, "-c", FEW],
        env=site.environ,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )

    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert lines[0] == "exhausted ResourceExhaustedError"
    assert int(lines[1].removeprefix("leaked ")) <= 1
    assert "RUNNING" in lines[2]
    sound(engine)


FORKLESS = """
import os, sys, podcore
with podcore.Engine(max_workers=1) as engine:
    pod = engine.pod("web")
    pod.containers()
    with open(sys.argv[1] + "/cgroup.procs", "w") as file:
        file.write(str(os.getpid()))
    with open(sys.argv[1] + "/pids.max", "w") as file:
        file.write("1")
    container = pod.containers()[0]
    try:
        container.start()
    except podcore.PodcoreError as error:
        print(type(error).__name__)
    print(container.status.value)
    with open(sys.argv[1] + "/pids.max", "w") as file:
        file.write("max")
    container.start()
    print(container.status.value)
"""


def processes_in(group):
    with open(f"{group}/cgroup.procs", encoding="ascii") as file:
        return file.read().split()


def test_f55_without_processes_a_start_fails_by_its_type_and_goes_on_later(site):
    engine = site.engine()
    top = engine.host.hierarchies.controllers.get("pids")
    if top is None:
        pytest.skip("this host has no pids controller")
    pod = new_pod(site, engine=engine)
    add(site, pod, "one")
    group = f"{top}/{site.cgroup_parent}-limited"
    os.mkdir(group)
    try:
        done = subprocess.run(
            [sys.executable, "-c", FORKLESS, group],
            env=site.environ,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
    finally:
        eventually(lambda: not processes_in(group), what="an empty group")
        os.rmdir(group)

    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == ["ResourceExhaustedError", "configured", "running"]
    sound(engine)
