"""Cgroups of this host, whichever version it has: made, filled, frozen, emptied, removed."""

import errno
import os
import signal
import subprocess
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from harness.polling import eventually
from podcore.errors import InvalidArgumentError, StopTimeoutError
from podcore.kernel import process
from podcore.kernel.cgroup import Cgroup, Hierarchies
from podcore.kernel.freezer import FreezeTimeout
from podcore.model import Limits

pytestmark = pytest.mark.integration

Sleeping = Callable[[], int]


def test_a_cgroup_is_made_in_all_hierarchies_and_removed_from_all(real: Cgroup) -> None:
    assert not real.exists()
    real.create()
    real.create()
    assert real.exists()
    assert all(os.path.isdir(directory) for directory in real.directories())
    real.remove()
    real.remove()
    assert not any(os.path.isdir(directory) for directory in real.directories())


def test_a_process_is_moved_into_every_hierarchy(real: Cgroup, sleeping: Sleeping) -> None:
    pid = sleeping()
    assert real.procs() == []
    assert not real.populated()
    real.add(pid)
    mounted = set(real.hierarchies.controllers) | ({""} if real.hierarchies.unified else set())
    for name, path in process.cgroup_paths(pid).items():
        if name.removeprefix("name=") in mounted:
            assert path == f"/{real.path}", name
    assert real.procs() == [pid]
    assert real.populated()
    assert process.in_cgroup(pid, real.path)
    assert process.in_cgroup(pid, os.path.dirname(real.path))
    assert not process.in_cgroup(pid, real.path + "x")
    assert not process.in_cgroup(pid, real.path[:-1])


def test_a_process_that_is_gone_cannot_be_added(real: Cgroup) -> None:
    child = subprocess.Popen(["true"])
    child.wait()
    with pytest.raises(ProcessLookupError):
        real.add(child.pid)
    with pytest.raises(ProcessLookupError):
        real.shelter(child.pid)


@pytest.mark.contention
def test_a_parent_that_others_remove_all_the_time_is_made_again(
    real: Cgroup, sleeping: Sleeping
) -> None:
    pid = sleeping()
    top = real.hierarchies.tops[0]
    done = threading.Event()

    def remove() -> None:
        while not done.is_set():
            for path in (real.path, os.path.dirname(real.path)):
                try:
                    os.rmdir(f"{top}/{path}")
                except OSError:
                    continue

    others = threading.Thread(target=remove)
    others.start()
    try:
        for _ in range(200):
            real.create()
        real.add(pid)
    finally:
        done.set()
        others.join()
    assert real.procs() == [pid]


@pytest.mark.parametrize("number", [errno.ENOENT, errno.ENODEV])
def test_one_that_is_removed_while_it_is_set_up_is_made_again(
    real: Cgroup, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    """The kernel says ENODEV where one of its files has been opened before."""
    create, failures = Cgroup._create_once, [OSError(number, os.strerror(number))]

    def removed_at_first(self: Cgroup, top: str) -> None:
        create(self, top)
        if failures:
            os.rmdir(f"{top}/{self.path}")
            raise failures.pop()

    monkeypatch.setattr(Cgroup, "_create_once", removed_at_first)
    real.create()

    assert all(os.path.isdir(directory) for directory in real.directories())


def test_processes_below_count_too(real: Cgroup, sleeping: Sleeping) -> None:
    inner = real.hierarchies.cgroup(f"{real.path}/inner")
    pids = sorted((sleeping(), sleeping()))
    inner.add(pids[0])
    real.hierarchies.cgroup(f"{real.path}/other").add(pids[1])
    assert real.procs() == pids
    assert real.populated()
    assert inner.procs() == [pids[0]]


def test_a_sheltered_process_leaves_every_cgroup_but_the_root(
    real: Cgroup, sleeping: Sleeping
) -> None:
    pid = sleeping()
    job = real.hierarchies.cgroup(f"{real.path}/job")
    top = real.hierarchies.tops[0]
    job.add(pid)
    monitors = real.hierarchies.cgroup(f"{real.path}/monitors")
    monitors.shelter(pid)
    assert job.procs() == []
    assert monitors.procs() == [pid]
    # From here on it is where it should be, so nothing is written.
    monitors.shelter(pid)
    assert monitors.procs() == [pid]
    assert os.path.isdir(f"{top}/{monitors.path}")


def test_a_process_in_the_root_needs_no_shelter(real: Cgroup, sleeping: Sleeping) -> None:
    pid = sleeping()
    for top in real.hierarchies.tops:
        with open(f"{top}/cgroup.procs", "w", encoding="ascii") as file:
            file.write(str(pid))
    real.shelter(pid)
    assert not real.exists()


def test_frozen_processes_stand_still_until_they_are_thawed(
    real: Cgroup, sleeping: Sleeping
) -> None:
    assert not real.frozen()
    real.add(sleeping())
    pod = real.hierarchies.cgroup(os.path.dirname(real.path))
    real.freeze(30)
    assert real.frozen()
    assert not pod.frozen()
    real.freeze(30)
    real.thaw()
    assert not real.frozen()
    pod.freeze(30)
    assert real.frozen()
    pod.thaw()
    assert not real.frozen()


def test_thawing_reaches_what_was_frozen_below(real: Cgroup, sleeping: Sleeping) -> None:
    inner = real.hierarchies.cgroup(f"{real.path}/inner")
    inner.add(sleeping())
    inner.freeze(30)
    real.freeze(30)
    real.thaw()
    assert not inner.frozen()


def test_freezing_what_is_not_there_is_an_error_and_thawing_it_is_not(real: Cgroup) -> None:
    with pytest.raises(FileNotFoundError):
        real.freeze(1)
    real.thaw()


def test_all_processes_are_killed_frozen_ones_and_those_below_too(
    real: Cgroup, sleeping: Sleeping
) -> None:
    pids = [sleeping() for _ in range(3)]
    inner = real.hierarchies.cgroup(f"{real.path}/inner")
    real.add(pids[0])
    inner.add(pids[1])
    real.freeze(30)
    assert real.kill(30) == []
    assert not real.populated()
    assert not real.frozen()
    assert process.identify(pids[0]) is None
    assert process.identify(pids[1]) is None
    assert process.identify(pids[2]) is not None
    assert real.kill(0) == []


def test_what_forks_all_the_time_is_killed(
    real: Cgroup, popen: Callable[..., subprocess.Popen[str]]
) -> None:
    # Each process starts the next one and ends, so that a list of pids is old as soon as it is read.
    script = 'read x; for i in 1 2 3 4; do sh -c "$HOP" & done; wait'
    environ = {**os.environ, "HOP": 'sh -c "$HOP" & exit 0'}
    child = popen(["sh", "-c", script], stdin=subprocess.PIPE, env=environ)
    real.add(child.pid)
    child.communicate("\n", timeout=60)
    first = real.procs()
    eventually(lambda: not set(real.procs()) & set(first), what="the next generation")
    assert real.populated()
    assert real.kill(60) == []
    assert real.procs() == []


def test_a_populated_cgroup_is_not_removed_and_the_error_names_the_processes(
    real: Cgroup, sleeping: Sleeping
) -> None:
    pid = sleeping()
    real.add(pid)
    with pytest.raises(StopTimeoutError, match=str(pid)) as caught:
        real.remove(timeout=0.05)
    assert caught.value.pids == (pid,)
    assert real.procs() == [pid]


@pytest.mark.parametrize("inside", ["nothing", "a process", "a process of one hierarchy", "below"])
def test_only_what_is_empty_in_all_hierarchies_is_removed_as_empty(
    real: Cgroup, sleeping: Sleeping, inside: str
) -> None:
    real.create()
    if inside == "a process":
        real.add(sleeping())
    if inside == "a process of one hierarchy":
        pid = sleeping()
        with open(f"{real.directories()[-1]}/cgroup.procs", "w", encoding="ascii") as file:
            file.write(str(pid))
    if inside == "below":
        os.mkdir(f"{real.directories()[-1]}/below")
    assert real.remove_empty() is (inside == "nothing")
    assert any(map(os.path.isdir, real.directories())) is (inside != "nothing")
    real.kill(30)
    real.remove(30)
    assert real.remove_empty()


@pytest.mark.integration
def test_what_is_gone_needs_no_removal_where_cgroups_are_read_only(
    root: None, tmp_path: Path
) -> None:
    (tmp_path / "parent" / "left").mkdir(parents=True)
    subprocess.run(["mount", "--bind", "-o", "ro", tmp_path, tmp_path], check=True)
    try:
        hierarchies = Hierarchies("v2", {}, (str(tmp_path),), str(tmp_path))
        assert hierarchies.cgroup("parent/gone").remove_empty()
        with pytest.raises(OSError, match="Read-only file system"):
            hierarchies.cgroup("parent/left").remove_empty()
    finally:
        subprocess.run(["umount", tmp_path], check=True)


def test_a_cgroup_is_removed_right_after_its_last_process_was_killed(
    real: Cgroup, sleeping: Sleeping
) -> None:
    for _ in range(5):
        real.add(sleeping())
        real.kill(30)
        real.remove(30)
        assert not real.exists()


def test_signals_go_only_to_processes_in_the_cgroup(real: Cgroup, sleeping: Sleeping) -> None:
    inside, outside = sleeping(), sleeping()
    real.add(inside)
    for pid in (inside, outside):
        identity = process.identify(pid)
        assert identity is not None
        assert process.send(identity, signal.SIGTERM, real.path) is (pid == inside)
    eventually(lambda: process.identify(inside) is None)
    assert process.identify(outside) is not None


def test_limits_are_set_changed_and_lifted_while_processes_run(
    real: Cgroup, sleeping: Sleeping
) -> None:
    real.create()
    pid = sleeping()
    real.add(pid)
    for memory, swap in ((64 << 20, None), (512 << 20, 1 << 30), (32 << 20, 64 << 20)):
        real.apply(Limits(memory=memory, memory_swap=swap, pids_limit=7, cpus=0.5, cpu_shares=512))
        usage = real.usage()
        assert usage.memory_limit == memory
        assert usage.pids_limit == 7
    real.apply(Limits(memory=64 << 20, memory_swap=-1, pids_limit=-1))
    assert real.usage().memory_limit == 64 << 20
    real.apply(Limits())
    usage = real.usage()
    assert usage.memory_limit is None
    assert usage.pids_limit is None
    assert real.procs() == [pid]


def test_the_cpus_of_a_pod_can_be_narrowed_and_widened_under_its_containers(
    real: Cgroup, sleeping: Sleeping
) -> None:
    inner = real.hierarchies.cgroup(f"{real.path}/inner")
    inner.add(sleeping())
    pid = inner.procs()[0]
    everywhere = os.sched_getaffinity(pid)
    first = min(everywhere)
    real.apply(Limits(cpuset_cpus=str(first)))
    assert os.sched_getaffinity(pid) == {first}
    real.apply(Limits())
    inner.apply(Limits())
    assert os.sched_getaffinity(pid) == everywhere


def test_a_cpu_that_this_host_lacks_is_refused(real: Cgroup) -> None:
    with pytest.raises(InvalidArgumentError, match=r"`cpuset_cpus`.*`8000`"):
        real.apply(Limits(cpuset_cpus="8000"))


def test_a_limit_makes_only_the_directory_that_it_needs(real: Cgroup) -> None:
    if real.hierarchies.version == "v2":
        pytest.skip("there is one directory only")
    real.apply(Limits(pids_limit=10))
    made = [directory for directory in real.directories() if os.path.isdir(directory)]
    assert made == [real.directory("pids")]


def test_usage_counts_what_runs_in_the_cgroup(
    real: Cgroup, popen: Callable[..., subprocess.Popen[str]]
) -> None:
    child = popen(["sh", "-c", "read x; while :; do :; done"], stdin=subprocess.PIPE)
    real.add(child.pid)
    before = real.usage()
    assert child.stdin is not None
    child.stdin.write("\n")
    child.stdin.flush()
    eventually(lambda: (real.usage().cpu_seconds or 0) > (before.cpu_seconds or 0) + 0.01)
    usage = real.usage()
    assert usage.pids == 1
    assert usage.memory is not None
    assert usage.time >= before.time
    assert real.oom_kills() == 0
    assert all(0 <= value <= 100 for value in usage.pressure.values())


def test_usage_of_what_is_not_there_is_unknown(real: Cgroup) -> None:
    usage = real.usage()
    assert usage.memory is usage.pids is usage.cpu_seconds is usage.read_bytes is None
    assert real.oom_kills() is None


def test_an_out_of_memory_kill_is_counted(
    real: Cgroup, popen: Callable[..., subprocess.Popen[str]]
) -> None:
    real.apply(Limits(memory=4 << 20, memory_swap=4 << 20))
    child = popen(
        ["sh", "-c", "read x; exec head -c 200000000 /dev/zero | tail -c 100000000"],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
    )
    real.add(child.pid)
    assert child.stdin is not None
    child.stdin.write("\n")
    child.stdin.close()
    child.wait(60)
    eventually(lambda: (real.oom_kills() or 0) > 0)


@pytest.mark.parametrize("path", ["", "/", "a/../b", "..", "a//b", "a/.", "a\nb", "a\0b"])
def test_a_path_that_could_leave_the_hierarchy_is_refused(root: None, path: str) -> None:
    with pytest.raises(InvalidArgumentError):
        Hierarchies.detect().cgroup(path)


def test_a_process_that_cannot_be_frozen_is_reported_and_runs_on(
    real: Cgroup, sleeping: Sleeping, monkeypatch: pytest.MonkeyPatch
) -> None:
    from podcore.kernel import cgroupfs, freezer

    if real.hierarchies.freezer_kind != "v1":
        pytest.skip("only v1 says FREEZING")
    real.add(sleeping())
    state = f"{real.directory('freezer')}/freezer.state"

    class Stubborn:
        is_gone = staticmethod(cgroupfs.is_gone)
        write = staticmethod(cgroupfs.write)

        @staticmethod
        def read(path: str) -> bytes:
            return b"FREEZING\n"

    monkeypatch.setattr(freezer, "cgroupfs", Stubborn)
    with pytest.raises(FreezeTimeout, match=r"within 0\.2 s\nhint: "):
        real.freeze(0.2)
    assert cgroupfs.read(state) == b"THAWED\n"
