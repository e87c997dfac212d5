"""Limits of pods and containers, seen in the kernel's own files and felt from inside."""

import os

import pytest

import podcore
from harness.polling import eventually
from pods.inside import add, sh, written

MIB = 1 << 20
LIMITS = {
    "cpus": 0.5,
    "cpu_shares": 512,
    "cpuset_cpus": "0",
    "memory": "64m",
    "memory_swap": "64m",
    "pids_limit": 50,
}
# What the kernel of cgroup v1 shows for these.
FILES = {
    "cpu": {"cpu.cfs_quota_us": "50000", "cpu.cfs_period_us": "100000", "cpu.shares": "512"},
    "cpuset": {"cpuset.cpus": "0"},
    "memory": {"memory.limit_in_bytes": str(64 * MIB)},
    "pids": {"pids.max": "50"},
}


@pytest.fixture
def engine(site):
    engine = site.engine()
    if engine.host.hierarchies.version == "v2":
        pytest.skip("these are the files of cgroup v1; those of v2 are unit-tested")
    return engine


def files(engine, path):
    """What the files of ``FILES`` say of a cgroup."""
    cgroup = engine.host.cgroup(path)
    seen = {}
    for controller, names in FILES.items():
        directory = cgroup.directory(controller)
        assert directory is not None
        seen[controller] = {name: read(f"{directory}/{name}") for name in names}
    return seen


def read(path):
    with open(path, encoding="ascii") as file:
        return file.read().strip()


def test_limits_are_set_for_pod_and_container_and_survive_stop_and_start(site, engine):
    pod = engine.create_pod("web", **LIMITS)
    container = add(site, pod, "app", **LIMITS)
    free = add(site, pod, "free")
    for _ in range(2):
        pod.start()
        assert files(engine, pod.inspect().cgroup_path) == FILES
        assert files(engine, container.inspect().cgroup_path) == FILES
        names = [f"{kind}/{name}" for kind, wanted in FILES.items() for name in wanted]
        inside = sh(container, f"cd /sys/fs/cgroup; cat {' '.join(names)}").split()
        assert inside == [value for wanted in FILES.values() for value in wanted.values()]
        assert sh(container, "nproc") == sh(free, "nproc") == "1"  # by the cpuset of its pod
        pod.stop(timeout=0, cleanup=True)
    whole = engine.host.cgroup(pod.inspect().cgroup_path)
    own = engine.host.cgroup(container.inspect().cgroup_path)
    assert whole.exists()
    container.remove()
    assert not own.exists()
    pod.remove()
    assert not whole.exists()


@pytest.mark.parametrize("of", ["pod", "container"])
def test_memory_and_swap_together_are_limited_where_the_kernel_counts_swap(site, engine, of):
    top = engine.host.hierarchies.controllers["memory"]
    if not os.path.exists(f"{top}/memory.memsw.limit_in_bytes"):
        pytest.skip("this kernel does not count swap; kernel/test_hierarchies has its files")
    limit = {"memory": "32m", "memory_swap": "48m"}
    pod = engine.create_pod("web", **(limit if of == "pod" else {}))
    container = add(site, pod, "app", **(limit if of == "container" else {}))
    pod.start()
    inspected = (pod if of == "pod" else container).inspect()
    directory = engine.host.cgroup(inspected.cgroup_path).directory("memory")

    def seen():
        names = ("memory.limit_in_bytes", "memory.memsw.limit_in_bytes")
        return [int(read(f"{directory}/{name}")) // MIB for name in names]

    assert seen() == [32, 48]
    # Both ways past the limit that holds: the order of the two writes is turned round.
    (pod if of == "pod" else container).update(memory="64m", memory_swap="64m")
    assert seen() == [64, 64]
    (pod if of == "pod" else container).update(memory="16m", memory_swap="24m")
    assert seen() == [16, 24]


def test_cpu_time_beyond_the_limit_is_not_given(site, engine):
    pod = engine.create_pod("web")
    busy = add(site, pod, "busy", cpus=0.1, command=["/bin/sh", "-c", "while :; do :; done"])
    pod.start()
    directory = engine.host.cgroup(busy.inspect().cgroup_path).directory("cpu")

    def throttled():
        return int(
            dict(line.split() for line in read(f"{directory}/cpu.stat").splitlines())[
                "nr_throttled"
            ]
        )

    eventually(lambda: throttled() >= 3, what="periods in which it had to wait")
    before = busy.stats()
    eventually(lambda: busy.stats().time - before.time > 1, what="a second")
    after = busy.stats()
    # A tenth of a CPU, and what a period may overlap.
    assert after.cpu_seconds - before.cpu_seconds < 0.1 * (after.time - before.time) + 0.1


def test_limits_of_what_runs_are_updated_and_stay(site, engine):
    pod = engine.create_pod("web", memory="256m")
    container = add(site, pod, "app", memory="64m", pids_limit=50)
    pod.start()

    now = container.update(memory="96m", cpus=1.5)
    assert (now.memory, now.cpus, now.pids_limit) == (96 * MIB, 1.5, 50)
    pod.update(memory="128m", pids_limit=77)

    def seen():
        own = engine.host.cgroup(container.inspect().cgroup_path)
        whole = engine.host.cgroup(pod.inspect().cgroup_path)
        return (
            read(f"{own.directory('memory')}/memory.limit_in_bytes"),
            read(f"{own.directory('cpu')}/cpu.cfs_quota_us"),
            read(f"{own.directory('pids')}/pids.max"),
            read(f"{whole.directory('memory')}/memory.limit_in_bytes"),
            read(f"{whole.directory('pids')}/pids.max"),
        )

    expected = (str(96 * MIB), "150000", "50", str(128 * MIB), "77")
    assert seen() == expected
    pod.stop(timeout=0, cleanup=True)
    pod.start()
    assert seen() == expected
    assert pod.inspect().limits.pids_limit == 77
    with pytest.raises(podcore.InvalidArgumentError):
        container.update(memory="lots")
    assert seen() == expected


def test_the_cpus_of_a_pod_are_taken_and_given_while_its_containers_run(site, engine):
    """The kernel of cgroup v1 wants each container's CPUs to be a part of its pod's."""
    if not {0, 1} <= os.sched_getaffinity(0):
        pytest.skip("two CPUs are needed to take one away")
    pod = engine.create_pod("web")
    free = add(site, pod, "free")
    wide = add(site, pod, "wide", cpuset_cpus="0-1")
    second = add(site, pod, "second", cpuset_cpus="1")
    late = add(site, pod, "late", cpuset_cpus="0-1")
    for container in (free, wide, second):
        container.start()

    def seen(*containers):
        script = "grep Cpus_allowed_list /proc/self/status"
        return [sh(container, script).split()[1] for container in containers]

    assert seen(free, wide, second) == ["0-1", "0-1", "1"]
    pod.update(cpuset_cpus="0")
    # Who asks for nothing that the pod has gets what it has, as in cgroup v2.
    assert seen(free, wide, second) == ["0", "0", "0"]
    late.start()
    assert seen(late) == ["0"]
    pod.update(cpuset_cpus="1")
    assert seen(free, wide, second, late) == ["1"] * 4
    pod.update(memory="256m")
    assert seen(free, wide, second, late) == ["1"] * 4
    # What a container asks for later, too, is had as far as the pod has it.
    free.update(cpuset_cpus="0-1")
    assert seen(free) == ["1"]
    pod.stop(timeout=0, cleanup=True)
    pod.start()
    assert seen(free, wide, second, late) == ["1"] * 4
    pod.update(cpuset_cpus="0-1")
    assert seen(free, wide, second, late) == ["0-1", "0-1", "1", "0-1"]
    with pytest.raises(podcore.InvalidArgumentError):
        pod.update(cpuset_cpus="0,8000")
    assert seen(free, wide, second, late) == ["0-1", "0-1", "1", "0-1"]
    assert pod.inspect().limits.cpuset_cpus == "0-1"


def test_a_memory_hog_is_killed_and_shown_as_such(site, engine):
    pod = engine.create_pod("web")
    hog = add(site, pod, "hog", memory="24m", memory_swap="24m", command=["/bin/tail", "/dev/zero"])
    other = add(site, pod, "other", memory="24m")
    pod.start()
    assert hog.wait(timeout=60) == 137
    assert hog.inspect().oom_killed
    assert hog.inspect().to_dict()["State"]["OOMKilled"] is True
    assert other.status == "running"
    other.kill()
    assert other.exit_code == 137
    assert not other.inspect().oom_killed
    # The next incarnation begins with a clean record.
    assert hog.inspect().reason == ""


def test_a_pods_memory_holds_for_all_together(site, engine):
    pod = engine.create_pod("web", memory="32m", memory_swap="32m")
    hog = add(site, pod, "hog", command=["/bin/tail", "/dev/zero"])
    pod.start()
    assert hog.wait(timeout=60) == 137
    assert pod.stats().memory <= 32 * MIB


def test_a_fork_bomb_is_stopped_by_the_limit_of_processes(site, engine):
    pod = engine.create_pod("web", pids_limit=60)
    # Not in the first shell: it would end where it is refused a fork itself.
    script = "(bomb() { bomb | bomb & }; bomb) 2>/dev/null & exec sleep 1000"
    bomb = add(site, pod, "bomb", pids_limit=20, command=["/bin/sh", "-c", script])
    other = add(site, pod, "other")
    pod.start()
    eventually(lambda: refused_forks(engine, bomb), what="a fork that is refused")
    assert bomb.stats().pids <= 20
    assert sh(other, "echo alive") == "alive"
    bomb.kill()
    assert bomb.exit_code == 137
    assert pod.remove(force=True).ok


def refused_forks(engine, of):
    """How often the limit of processes has refused one."""
    directory = engine.host.cgroup(of.inspect().cgroup_path).directory("pids")
    return int(read(f"{directory}/pids.events").split()[1])


@pytest.mark.runtimes("runc")
def test_a_pods_limit_of_processes_holds_for_all_together(site, engine):
    pod = engine.create_pod("web", pids_limit=40, share=())
    # Neither has a limit of its own; together they would be 54, runc's own while it starts apart.
    script = "for i in $(seq 26); do sleep 1000 & done; exec sleep 1000"
    one = add(site, pod, "one", command=["/bin/sh", "-c", script])
    two = add(site, pod, "two", depends_on=["one"], command=["/bin/sh", "-c", script])
    one.start()
    eventually(lambda: one.stats().pids == 27, what="the first one being complete")
    two.start()
    # Which cgroup counts the refusal depends on the kernel.
    eventually(lambda: refused_forks(engine, two) + refused_forks(engine, pod), what="a refusal")
    assert pod.stats().pids <= pod.stats().pids_limit == 40
    assert one.stats().pids == 27


@pytest.mark.runtimes("runc")
def test_stats_are_numbers_that_move(site, engine):
    pod = engine.create_pod("web", memory="256m", share=())
    script = "head -c 20000000 /dev/zero > /dev/shm/x; i=0; while [ $i -lt 100000 ]; do i=$((i+1)); done; echo done; sleep 1000; true"
    busy = add(site, pod, "busy", pids_limit=30, command=["/bin/sh", "-c", script])
    idle = add(site, pod, "idle")
    pod.start()
    eventually(lambda: written(busy) == "done", what="the end of its work")
    eventually(lambda: busy.stats().pids == 2, what="its sleep beside its shell")
    used, rest, whole = busy.stats(), idle.stats(), pod.stats()
    assert used.memory >= 20_000_000
    assert used.cpu_seconds > 0.02
    assert (used.pids, used.pids_limit) == (2, 30)
    assert used.memory_limit is None
    assert whole.memory_limit == 256 * MIB
    assert whole.pids == 3
    assert whole.memory >= used.memory
    assert whole.cpu_seconds >= used.cpu_seconds
    assert rest.memory < used.memory
    assert whole.time >= used.time


def test_pressure_is_told_where_the_kernel_measures_it(site, engine):
    """Also beside cgroup v1: runtimes put containers into the v2 that is mounted there, too."""
    unified = engine.host.hierarchies.unified
    kinds = [
        kind for kind in ("cpu", "memory", "io") if os.path.exists(f"{unified}/{kind}.pressure")
    ]
    if not kinds:
        pytest.skip("this kernel measures no pressure; kernel/test_hierarchies has its files")
    pod = engine.create_pod("web", share=())
    script = "while :; do :; done & while :; do :; done & while :; do :; done & wait"
    busy = add(site, pod, "busy", cpus=0.5, command=["/bin/sh", "-c", script])
    pod.start()
    assert list(busy.stats().pressure) == list(pod.stats().pressure) == kinds
    # Three that share a half wait all the time; the figure is an average of ten seconds.
    eventually(lambda: busy.stats().pressure["cpu"] > 1, timeout=60, what="tasks that wait")
    assert all(0 <= share <= 100 for share in pod.stats().pressure.values())


@pytest.mark.runtimes("runc")
def test_the_weight_of_block_io_is_set_or_refused_by_name(site, engine):
    pod = engine.create_pod("web")
    container = add(site, pod, "app")
    pod.start()
    own = engine.host.cgroup(container.inspect().cgroup_path).directory("blkio")
    names = ("blkio.weight", "blkio.bfq.weight")
    there = [name for name in names if os.path.exists(f"{own}/{name}")]
    if there:
        container.update(blkio_weight=200)
        assert read(f"{own}/{there[-1]}").split()[-1] == "200"
    else:
        with pytest.raises(podcore.UnsupportedError, match="I/O"):
            container.update(blkio_weight=200)
