"""Trees of v1 and v2 as other hosts have them, made of plain files."""

import os
import threading
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from podcore.errors import (
    ContainerStateError,
    InvalidArgumentError,
    ResourceExhaustedError,
    UnsupportedError,
)
from podcore.kernel import cgroupfs, limits, usage
from podcore.kernel.cgroup import Cgroup, Hierarchies
from podcore.model import Limits

Tree = Any  # of conftest.py, which is no module to import from

ONE = "podcore/pod/one"


def test_v2_has_one_hierarchy_with_the_controllers_that_it_lists(v2: Tree) -> None:
    found = v2.detect()
    assert found.version == "v2"
    assert found.freezer_kind == "v2"
    assert found.tops == (v2.top,)
    assert found.unified == v2.top
    assert set(found.controllers) == {"cpuset", "cpu", "io", "memory", "hugetlb", "pids", "rdma"}
    assert found.cgroup(ONE).directories() == [f"{v2.top}/{ONE}"]


def test_v1_has_a_hierarchy_for_each_set_of_controllers(v1: Tree) -> None:
    found = v1.detect()
    assert found.version == "v1"
    assert found.freezer_kind == "v1"
    assert found.unified is None
    assert found.controllers["cpu"] == found.controllers["cpuacct"] == f"{v1.top}/cpu,cpuacct"
    assert found.controllers["systemd"] == f"{v1.top}/systemd"
    assert len(found.tops) == 7


def test_v2_beside_v1_is_a_hybrid_and_v1_controllers_win(v1: Tree, tmp_path: Path) -> None:
    with open(f"{tmp_path}/proc/self/mountinfo", "a", encoding="ascii") as file:
        file.write(f"39 31 0:37 / {v1.top}/unified rw - cgroup2 cgroup2 rw\n")
        file.write(f"40 31 0:31 / {v1.top}/memory2 rw - cgroup cgroup rw,memory\n")
    v1.write("unified/cgroup.controllers", "memory hugetlb\n")
    found = v1.detect()
    assert found.version == "hybrid"
    assert found.freezer_kind == "v1"
    assert found.controllers["memory"] == f"{v1.top}/memory"
    assert found.controllers["hugetlb"] == f"{v1.top}/unified"
    assert found.tops[-1] == f"{v1.top}/unified"
    assert f"{v1.top}/memory2" not in found.tops


def test_a_host_without_cgroups_is_told_what_to_mount(v2: Tree) -> None:
    with pytest.raises(UnsupportedError, match=r"no cgroups are mounted[^\n]*\nhint: `mount"):
        Hierarchies.detect("/nowhere")


def test_making_a_v2_cgroup_hands_controllers_down_to_it(
    v2: Tree, monkeypatch: pytest.MonkeyPatch
) -> None:
    written: list[tuple[str, bytes]] = []
    monkeypatch.setattr(cgroupfs, "write", lambda path, data: written.append((path, data)))
    v2.write("podcore/cgroup.controllers", "cpu memory\n")
    v2.detect().cgroup("podcore/pod/two").create()
    assert os.path.isdir(f"{v2.top}/podcore/pod/two")
    assert written == [
        (f"{v2.top}/cgroup.subtree_control", b"+cpuset"),
        (f"{v2.top}/cgroup.subtree_control", b"+io"),
        (f"{v2.top}/cgroup.subtree_control", b"+memory"),
        (f"{v2.top}/podcore/cgroup.subtree_control", b"+cpu"),
        (f"{v2.top}/podcore/cgroup.subtree_control", b"+memory"),
    ]


def test_v2_population_and_freezing_are_read_from_its_events(v2: Tree) -> None:
    cgroup = v2.detect().cgroup(ONE)
    assert cgroup.populated()
    assert not cgroup.frozen()
    v2.write(f"{ONE}/cgroup.events", "populated 0\nfrozen 1\n")
    assert not cgroup.populated()
    assert cgroup.frozen()
    assert not v2.detect().cgroup("podcore/none").populated()
    assert not v2.detect().cgroup("podcore/none").frozen()


def test_v2_freezing_waits_for_the_event(v2: Tree) -> None:
    cgroup = v2.detect().cgroup(ONE)
    v2.write(f"{ONE}/cgroup.events", "populated 1\nfrozen 1\n")
    cgroup.freeze(30)
    assert v2.read(f"{ONE}/cgroup.freeze").startswith("1")
    cgroup.thaw()
    assert v2.read(f"{ONE}/cgroup.freeze").startswith("0")


def test_v2_kills_by_one_write(v2: Tree) -> None:
    cgroup = v2.detect().cgroup(ONE)
    v2.write(f"{ONE}/cgroup.kill", "")
    # A pid that no process can have: it must not be asked for, since the kernel does the work.
    v2.write(f"{ONE}/cgroup.procs", "4194305\n")
    killed = threading.Event()

    def obey() -> None:
        while not v2.read(f"{ONE}/cgroup.kill") and not killed.wait(0.005):
            pass
        v2.write(f"{ONE}/cgroup.procs", "")

    kernel = threading.Thread(target=obey)
    kernel.start()
    try:
        assert cgroup.kill(60) == []
    finally:
        killed.set()
        kernel.join()
    assert v2.read(f"{ONE}/cgroup.kill") == "1"


def test_what_cannot_be_killed_is_returned(v2: Tree) -> None:
    cgroup = v2.detect().cgroup(ONE)
    v2.write(f"{ONE}/cgroup.kill", "")
    v2.write(f"{ONE}/cgroup.procs", "4194305\n0\n4194306\n")
    assert cgroup.kill(0.02) == [4194305, 4194306]


ALL = Limits(
    cpus=1.5,
    cpu_shares=1024,
    cpuset_cpus="0-1",
    memory=64 << 20,
    memory_swap=96 << 20,
    pids_limit=10,
    blkio_weight=500,
)


def blank(tree: Tree, *names: str) -> None:
    for name in names:
        tree.write(name, "")


V2_FILES = ("cpu.max", "cpu.weight", "cpuset.cpus", "memory.max", "memory.swap.max", "pids.max")


def test_v2_limits_are_written_in_its_own_terms(v2: Tree) -> None:
    blank(v2, *(f"{ONE}/{name}" for name in (*V2_FILES, "io.weight")))
    v2.detect().cgroup(ONE).apply(ALL)
    seen = {name: v2.read(f"{ONE}/{name}") for name in (*V2_FILES, "io.weight")}
    assert seen == {
        "cpu.max": "150000 100000",
        "cpu.weight": "100",
        "cpuset.cpus": "0-1",
        "memory.max": str(64 << 20),
        "memory.swap.max": str(32 << 20),  # alone, while memory_swap counts both
        "pids.max": "10",
        "io.weight": "4950",
    }


def test_v2_limits_are_lifted_by_none(v2: Tree) -> None:
    blank(v2, *(f"{ONE}/{name}" for name in V2_FILES))
    v2.detect().cgroup(ONE).apply(Limits(memory_swap=-1, pids_limit=-1))
    seen = {name: v2.read(f"{ONE}/{name}") for name in V2_FILES}
    assert seen == {
        "cpu.max": "max 100000",
        "cpu.weight": "100",
        "cpuset.cpus": "\n",
        "memory.max": "max",
        "memory.swap.max": "max",
        "pids.max": "max",
    }


@pytest.fixture
def whole(monkeypatch: pytest.MonkeyPatch) -> None:
    """Lets a write replace what was in a file, as it does in a cgroup and not in a plain one."""

    def write(path: str, data: bytes) -> None:
        with open(path, "wb") as file:
            file.write(data)

    monkeypatch.setattr(cgroupfs, "write", write)


@pytest.mark.usefixtures("whole")
def test_v2_leaves_the_cpus_of_what_is_below_to_the_kernel(v2: Tree) -> None:
    v2.write("podcore/pod/cpuset.cpus", "0-3\n")
    v2.write(f"{ONE}/cpuset.cpus", "2-3\n")
    hierarchies = v2.detect()
    assert not hierarchies.cpuset_is_strict
    pod = hierarchies.cgroup("podcore/pod")
    pod.apply(Limits(cpuset_cpus="0"), {ONE: "2-3"})
    assert v2.read("podcore/pod/cpuset.cpus") == "0"
    assert v2.read(f"{ONE}/cpuset.cpus") == "2-3\n"  # what it has again once the pod has it
    pod.apply(Limits(cpuset_cpus="0-3"), {ONE: "2-3"})
    assert v2.read("podcore/pod/cpuset.cpus") == "0-3"


@pytest.mark.usefixtures("whole")
def test_v1_narrows_and_widens_what_is_below_with_it(v1: Tree) -> None:
    hierarchies = v1.detect()
    assert hierarchies.cpuset_is_strict
    pod = hierarchies.cgroup("podcore/pod")
    pod.apply(Limits(cpuset_cpus="0"), {ONE: "0-3"})
    assert v1.read(f"cpuset/{ONE}/cpuset.cpus") == "0"
    pod.apply(Limits(cpuset_cpus="0-5"), {ONE: "0-3"})
    assert v1.read(f"cpuset/{ONE}/cpuset.cpus") == "0-3"
    assert v1.read("cpuset/podcore/pod/cpuset.cpus") == "0-5"


def test_v2_memory_in_use_is_reclaimed_and_never_killed_for(v2: Tree) -> None:
    cgroup = v2.detect().cgroup(ONE)
    blank(v2, f"{ONE}/memory.max")
    with pytest.raises(ContainerStateError, match="more than that is in use"):
        cgroup.apply(Limits(memory=1 << 19))
    assert v2.read(f"{ONE}/memory.reclaim") == str(1 << 19)
    assert v2.read(f"{ONE}/memory.max") == ""


V1_FILES = {
    f"cpu,cpuacct/{ONE}/cpu.cfs_period_us": ("100000", ""),
    f"cpu,cpuacct/{ONE}/cpu.cfs_quota_us": ("150000", "-1"),
    f"cpu,cpuacct/{ONE}/cpu.shares": ("1024", "1024"),
    f"memory/{ONE}/memory.limit_in_bytes": (str(64 << 20), "-1"),
    f"memory/{ONE}/memory.memsw.limit_in_bytes": (str(96 << 20), "-1"),
    f"pids/{ONE}/pids.max": ("10", "max"),
    f"cpuset/{ONE}/cpuset.cpus": ("0-1", "0-7"),
    f"blkio/{ONE}/blkio.bfq.weight": ("500", "100"),
}


@pytest.mark.parametrize(("which", "asked"), [(0, ALL), (1, Limits())])
def test_v1_limits_are_written_and_lifted(v1: Tree, which: int, asked: Limits) -> None:
    blank(v1, *V1_FILES)
    v1.detect().cgroup(ONE).apply(asked)
    assert {name: v1.read(name) for name in V1_FILES} == {
        name: values[which] for name, values in V1_FILES.items()
    }


MEMORY, MEMSW = "memory.limit_in_bytes", "memory.memsw.limit_in_bytes"


@pytest.mark.parametrize(
    ("now", "asked", "order"),
    [
        (100 << 20, Limits(memory=50 << 20, memory_swap=60 << 20), [MEMORY, MEMSW]),
        (100 << 20, Limits(memory=200 << 20, memory_swap=300 << 20), [MEMSW, MEMORY]),
        (100 << 20, Limits(memory=200 << 20), [MEMSW, MEMORY]),
        (100 << 20, Limits(), [MEMSW, MEMORY]),
    ],
)
def test_v1_memory_is_never_above_memory_and_swap_on_the_way(
    v1: Tree, monkeypatch: pytest.MonkeyPatch, now: int, asked: Limits, order: list[str]
) -> None:
    v1.write(f"memory/{ONE}/{MEMSW}", f"{now}\n")
    written: list[str] = []
    monkeypatch.setattr(
        cgroupfs, "write", lambda path, data: written.append(os.path.basename(path))
    )
    v1.detect().cgroup(ONE).apply(asked)
    assert [name for name in written if name.startswith("memory.")] == order


def test_v1_without_swap_accounting_takes_a_memory_limit_and_refuses_one_of_swap(v1: Tree) -> None:
    os.unlink(f"{v1.top}/memory/{ONE}/{MEMSW}")
    cgroup = v1.detect().cgroup(ONE)
    blank(v1, f"memory/{ONE}/{MEMORY}")
    cgroup.apply(Limits(memory=1 << 30, memory_swap=-1))
    assert v1.read(f"memory/{ONE}/{MEMORY}") == str(1 << 30)
    with pytest.raises(UnsupportedError, match=r"`memory_swap`.*memory\.memsw"):
        cgroup.apply(Limits(memory=1 << 30, memory_swap=2 << 30))


def test_a_weight_of_block_io_that_the_kernel_lacks_is_refused(v1: Tree) -> None:
    v1.detect().cgroup(ONE).apply(Limits())
    with pytest.raises(UnsupportedError, match="`blkio_weight`"):
        v1.detect().cgroup(ONE).apply(Limits(blkio_weight=100))


def test_a_limit_without_its_controller_is_refused_and_lifting_it_is_not(v2: Tree) -> None:
    v2.write("cgroup.controllers", "cpu pids\n")
    cgroup = v2.detect().cgroup(ONE)
    cgroup.apply(Limits(pids_limit=5))
    with pytest.raises(UnsupportedError, match="no cgroup controller `memory`"):
        cgroup.apply(Limits(memory=1 << 30))


@pytest.mark.parametrize(
    ("number", "error"),
    [
        (12, ResourceExhaustedError),
        (16, ContainerStateError),
        (22, InvalidArgumentError),
        (1, UnsupportedError),
        (30, UnsupportedError),
        (5, OSError),
    ],
)
def test_what_the_kernel_says_to_a_limit_is_typed(
    v2: Tree, monkeypatch: pytest.MonkeyPatch, number: int, error: type[Exception]
) -> None:
    def refuse(path: str, data: bytes) -> None:
        raise OSError(number, os.strerror(number), path)

    cgroup = v2.detect().cgroup(ONE)
    monkeypatch.setattr(cgroupfs, "write", refuse)
    monkeypatch.setattr(Cgroup, "create", lambda self, controllers: None)
    with pytest.raises(error):
        cgroup.apply(Limits(pids_limit=5))


def test_usage_is_read_from_v2(v2: Tree) -> None:
    v2.write(f"{ONE}/memory.max", "2097152\n")
    seen = v2.detect().cgroup(ONE).usage()
    assert seen.cpu_seconds == 2.5
    assert (seen.memory, seen.memory_limit) == (1 << 20, 2 << 20)
    assert (seen.pids, seen.pids_limit) == (3, None)
    assert (seen.read_bytes, seen.write_bytes) == (4097, 8194)
    assert seen.pressure == {"cpu": 1.5}
    assert v2.detect().cgroup(ONE).oom_kills() == 1


def test_usage_is_read_from_v1(v1: Tree) -> None:
    seen = v1.detect().cgroup(ONE).usage()
    assert seen.cpu_seconds == 1.5
    assert (seen.memory, seen.memory_limit) == (65536, None)
    assert (seen.pids, seen.pids_limit) == (2, 100)
    assert (seen.read_bytes, seen.write_bytes) == (11, 20)
    assert seen.pressure == {}
    assert v1.detect().cgroup(ONE).oom_kills() == 4


def test_limits_become_resources_of_an_oci_config() -> None:
    assert limits.limits_to_oci(Limits()) == {}
    assert limits.limits_to_oci(ALL) == {
        "cpu": {"quota": 150_000, "period": 100_000, "shares": 1024, "cpus": "0-1"},
        "memory": {"limit": 64 << 20, "swap": 96 << 20},
        "pids": {"limit": 10},
        "blockIO": {"weight": 500},
    }
    unlimited = limits.limits_to_oci(Limits(memory_swap=-1, pids_limit=-1))
    assert unlimited == {"memory": {"swap": -1}, "pids": {"limit": -1}}
    assert limits.limits_to_oci(Limits(cpus=0.01))["cpu"]["quota"] == 1000


@pytest.mark.parametrize(
    ("shares", "weight"),
    [(2, 1), (3, 2), (1024, 100), (262144, 10000), (1 << 20, 10000)],
)
def test_shares_become_weights_with_both_defaults_alike(shares: int, weight: int) -> None:
    assert limits.shares_to_weight(shares) == weight


@pytest.mark.parametrize(("blkio", "io"), [(10, 1), (500, 4950), (1000, 10000)])
def test_block_io_weights_are_converted_on_a_straight_line(blkio: int, io: int) -> None:
    assert limits.blkio_to_io_weight(blkio) == io


@given(st.integers(2, 262143))
def test_more_shares_never_become_less_weight(shares: int) -> None:
    assert 1 <= limits.shares_to_weight(shares) <= limits.shares_to_weight(shares + 1) <= 10000


@given(st.binary(max_size=200))
def test_garbage_in_the_files_of_a_cgroup_is_no_error(data: bytes) -> None:
    usage.parse_flat(data)
    usage.parse_io_stat(data)
    usage.parse_blkio(data)
    usage.parse_pressure(data)


device = st.tuples(st.integers(0, 4095), st.integers(0, 1 << 20))


@given(st.dictionaries(device, st.tuples(st.integers(0, 1 << 60), st.integers(0, 1 << 60))))
def test_block_io_of_all_devices_adds_up(figures: dict[tuple[int, int], tuple[int, int]]) -> None:
    v2 = "".join(
        f"{major}:{minor} rbytes={read} wbytes={write} rios=1 wios=1 dbytes=9 dios=9\n"
        for (major, minor), (read, write) in figures.items()
    )
    v1 = "".join(
        f"{major}:{minor} Read {read}\n{major}:{minor} Write {write}\n{major}:{minor} Sync 7\n"
        for (major, minor), (read, write) in figures.items()
    )
    wanted = (sum(read for read, _ in figures.values()), sum(w for _, w in figures.values()))
    assert usage.parse_io_stat(v2.encode()) == wanted
    assert usage.parse_blkio(v1.encode() + b"Total 5\n") == wanted
