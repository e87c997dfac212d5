"""Faults of disks, clocks and limits, groups D and E of docs/reliability.md."""

import itertools
import os
import re
import shutil
import subprocess
import sys
import time

import pytest

import podcore
from harness.polling import eventually
from integration.builders import (
    POLITE,
    add,
    await_ready,
    bundle,
    events,
    new_pod,
    says,
    sound,
    states,
)
from podcore.cli.main import main
from podcore.kernel.files import remove_tree
from podcore.lifecycle import create as lifecycle_create

pytestmark = pytest.mark.runtimes("crun")


def take_away(path):
    os.unlink(path)


def change_it(path):
    with open(path, "a", encoding="utf-8") as file:
        file.write(" ")


def make_it_unreadable(path):
    os.unlink(path)
    os.mkdir(path, 0o700)


@pytest.mark.parametrize("damage", [take_away, change_it, make_it_unreadable])
def test_f48_a_bundle_that_is_not_what_was_accepted_is_never_started(site, damage):
    engine = site.engine()
    pod = new_pod(site, engine=engine)
    users = bundle(site)
    one = pod.create_container("one", bundle=users)
    # That one is not needed any more.
    shutil.rmtree(users)
    one.start()
    copy = f"{engine.host.places.bundle(one.id)}/config.json"
    damage(copy)

    one.kill()
    with pytest.raises(
        podcore.ContainerStateError, match="missing or was changed\nhint: "
    ) as caught:
        one.start()

    assert copy in str(caught.value)
    assert one.status == "configured"
    one.remove()
    assert pod.containers() == []
    sound(engine)


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


def link_to_the_host(path):
    os.symlink(f"{path}.target", path)


@pytest.mark.parametrize("make", [os.mkfifo, os.mkdir, link_to_the_host])
def test_f49_what_is_no_log_is_neither_waited_for_nor_followed(site, monkeypatch, make):
    # That long a start would wait for somebody to read from the FIFO.
    monkeypatch.setattr(lifecycle_create, "CREATE_TIMEOUT", 20.0)
    engine = site.engine()
    pod = new_pod(site, engine=engine)
    one = add(site, pod, "one")
    log = engine.host.places.log(one.id)
    make(log)

    with pytest.raises(podcore.MonitorError, match="not a regular file\nhint: remove it"):
        one.start()

    assert one.status == "configured"
    assert not os.path.exists(f"{log}.target")
    sound(engine)
    remove_tree(log)
    one.start()
    assert one.status == "running"


@pytest.mark.parametrize("shift", [86400.0, -86400.0, -1.7e9])
def test_f50_a_clock_that_jumps_changes_no_deadline_and_no_order(site, monkeypatch, capsys, shift):
    engine = site.engine()
    pod = new_pod(site, engine=engine)
    first = add(site, pod, "first")
    first.start()
    now, looks = time.time, itertools.count(1)
    # To and fro, so that no two looks at it are any measure of time.
    monkeypatch.setattr(time, "time", lambda: max(0.0, now() + shift * (next(looks) % 2)))
    second = add(site, pod, "second", "first", command=POLITE)

    second.start()
    await_ready(second)
    begun = time.monotonic()
    report = pod.stop(timeout=2)
    took = time.monotonic() - begun

    assert report.ok
    # The one had its two seconds, the other one did not need them.
    assert 2 <= took < 90
    assert 2 <= report.seconds <= took
    assert all(0 <= line.began <= line.ended <= report.seconds for line in report.rows)
    assert second.exit_code == 0
    assert first.wait(5) == 137
    assert [container.name for container in pod.containers()] == ["first", "second"]
    assert events(engine, "died") == ["second", "first"]
    assert states(pod) == {"first": "exited", "second": "exited"}
    places = ["--root", site.root, "--runroot", site.run_root]
    assert main(["ps", "--all", *places, "--cgroup-parent", site.cgroup_parent]) == 0
    shown = capsys.readouterr().out
    assert shown.count(" ago") == 4
    assert re.search(r"-\d+ \w+ ago", shown) is None
    sound(engine)


FEW = """
import os, resource, sys, podcore
with podcore.Engine() as engine:
    pod = engine.pod("web")
    pod.containers()
    highest = max(map(int, os.listdir("/proc/self/fd")))
    resource.setrlimit(resource.RLIMIT_NOFILE, (highest + int(sys.argv[1]), 4096))
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


@pytest.mark.parametrize("left", range(2, 9))
def test_f54_without_descriptors_a_start_fails_by_its_type_and_goes_on_later(site, left):
    """Whatever is the first that finds none left: locks, threads, files or pipes."""
    engine = site.engine()
    pod = new_pod(site, engine=engine)
    add(site, pod, "one")
    done = subprocess.run(
        [sys.executable, "-c", FEW, str(left)],
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
