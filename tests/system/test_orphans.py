"""What has no row is found and removed, and nothing else is touched."""

import os
import subprocess
import threading

import pytest

from harness import leftovers
from harness.polling import eventually
from podcore.kernel import mounts
from podcore.model import ContainerStatus
from podcore.names import new_id
from podcore.testing import check_invariants

pytestmark = pytest.mark.runtimes("runc")


def kinds(findings):
    return sorted({one.kind for one in findings})


@pytest.mark.runtimes("runc", "crun")
def test_all_that_a_running_pod_without_rows_owns_is_found_and_removed(site, engine, pod, unowned):
    unowned(pod)

    def monitors_only():
        # Until it runs the container's command, its process has the command line of the runtime.
        return [one.kind for one in engine.check()].count("process") == 3

    eventually(monitors_only)
    found = engine.check()

    assert kinds(found) == [
        "attempt",
        "cgroup",
        "home",
        "ledger",
        "mount",
        "pod-run",
        "process",
        "runtime-state",
    ]
    assert [one.repaired for one in found] == [None] * len(found)
    assert found == engine.check(), "the order is the same each time, and nothing was touched"
    assert all(one.repaired for one in engine.check(repair=True))
    assert engine.check() == []
    assert check_invariants(engine) == []
    leftovers.expect_none(site.base, site.cgroup_parent, [pod.id])


def test_an_attempt_of_an_earlier_incarnation_is_removed(site, engine, pod):
    db = pod.container("db")
    stale = f"{site.run_root}/containers/{db.id}.7"
    os.mkdir(stale, 0o700)

    (found,) = engine.check(repair=True)

    assert (found.kind, found.object, found.repaired) == ("attempt", stale, True)
    assert not os.path.exists(stale)
    assert db.status is ContainerStatus.RUNNING


def test_directories_and_files_of_nothing_are_removed(site, engine, pod):
    engine.volumes.create("kept")
    made = {
        "runtime-state": f"{site.run_root}/runtime-runc/{new_id()}",
        "attempt": f"{site.run_root}/containers/{new_id()}.1",
        "pod-run": f"{site.run_root}/pods/{new_id()}",
        "home": f"{site.root}/containers/{new_id()}",
        "ledger": f"{site.root}/pods/{new_id()}.json",
        "volume": f"{site.root}/volumes/gone",
    }
    for kind, path in made.items():
        if kind == "ledger":
            with open(path, "w", encoding="ascii") as file:
                file.write("{")
        else:
            os.makedirs(f"{path}/below", 0o700)

    found = engine.check(repair=True)

    assert {one.kind: one.object for one in found} == made
    assert all(one.repaired for one in found)
    assert [path for path in made.values() if os.path.exists(path)] == []
    assert engine.check() == []
    assert [volume.name for volume in engine.volumes.list()] == ["kept"]


def test_a_mount_is_taken_off_before_its_directory_goes(site, engine, pod, tmp_path):
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "kept").write_text("kept")
    home = f"{site.root}/containers/{new_id()}"
    os.makedirs(f"{home}/rootfs")
    mounts.bind(str(outside), f"{home}/rootfs")

    found = engine.check(repair=True)

    assert [(one.kind, one.repaired) for one in found] == [("mount", True), ("home", True)]
    assert (outside / "kept").read_text() == "kept"


def test_a_process_is_known_by_an_id_and_a_file_of_an_attempt(site, engine, pod, popen):
    """Only both together make a process podcore's."""
    key = new_id()
    argv = ["/bin/sh", "-c", "read x", "sh"]
    pipe = subprocess.PIPE
    ours = popen([*argv, key, f"{site.run_root}/containers/{key}.1/x"], stdin=pipe)
    others = [
        popen([*argv, new_id(), "/run/another/x"], stdin=pipe),
        popen([*argv, key[:12], f"{site.run_root}/containers/{key}.1/x"], stdin=pipe),
        popen([*argv, key, f"{site.run_root}/containers/{new_id()}.1/x"], stdin=pipe),
        # A command of podcore's.
        popen([*argv, "--runroot", f"{site.run_root}/", "wait", key], stdin=pipe),
    ]

    (found,) = engine.check(repair=True)

    assert (found.kind, found.object, found.repaired) == ("process", str(ours.pid), True)
    assert ours.wait(30) == -9
    assert [other.poll() for other in others] == [None] * len(others)


def test_cgroups_of_another_engine_below_the_same_parent_are_left_alone(site, engine, pod):
    other = site.engine(root=f"{site.base}/s2", run_root=f"{site.base}/r2")
    foreign = other.create_pod("foreign", share=())
    foreign.create_container("x", rootfs=site.rootfs, command=["/bin/sleep", "1000"])
    foreign.start()
    pid = foreign.container("x").pid

    assert engine.check(repair=True) == []

    assert foreign.container("x").pid == pid
    assert other.check() == []
    foreign.remove(force=True)


def test_what_a_dead_process_was_writing_is_removed(site, engine, pod, dead_pid):
    names = [f"pods/x.json.{dead_pid}.3.tmp", f"infra/1-2.{dead_pid}", "state.db.new"]
    alive = f"pods/x.json.{os.getpid()}.3.tmp"
    for name in (*names, alive):
        with open(f"{site.root}/{name}", "w", encoding="ascii") as file:
            file.write("half")

    found = engine.check(repair=True)

    assert [one.object for one in found] == [f"{site.root}/{name}" for name in names]
    assert {(one.kind, one.repaired) for one in found} == {("temporary", True)}
    assert [name for name in names if os.path.exists(f"{site.root}/{name}")] == []
    os.unlink(f"{site.root}/{alive}")


def test_a_check_never_takes_running_verbs_for_damage(site, engine):
    """It runs over and over while another engine starts, stops and removes containers."""
    pod = site.engine(max_workers=4).create_pod("busy", share=("ipc",))
    errors = []

    def work():
        try:
            for number in range(20):
                pod.create_container(
                    f"c{number}",
                    rootfs=site.rootfs,
                    command=["/bin/sleep", "1000"],
                    stop_timeout=0.0,
                )
            pod.start()
            pod.stop(cleanup=True)
            pod.remove()
        except Exception as error:
            errors.append(error)

    worker = threading.Thread(target=work)
    worker.start()
    seen = []
    while worker.is_alive():
        seen += engine.check(repair=True)
    worker.join()

    assert (errors, seen) == ([], [])
    assert check_invariants(engine) == []
