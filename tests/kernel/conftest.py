"""Cgroups for the tests of the lowest floor: real ones, and trees of plain files that look alike."""

import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from harness.host import cgroup_mounts
from podcore.kernel.cgroup import Cgroup, Hierarchies


def need(what: str) -> None:
    """Skips the test for want of something; fails it under CI."""
    if os.environ.get("CI"):
        pytest.fail(f"this test needs {what}, and CI must not skip it")
    pytest.skip(f"this test needs {what}")


@pytest.fixture
def root() -> None:
    """Runs the test as root only."""
    if os.geteuid() != 0:
        need("root")


@pytest.fixture
def real(root: None) -> Iterator[Cgroup]:
    """A cgroup of this host whose path no one else has; all that is in it is gone afterwards."""
    if not cgroup_mounts() or not all(os.access(top, os.W_OK) for top in cgroup_mounts()):
        need("cgroups that can be written to")
    hierarchies = Hierarchies.detect()
    cgroup = hierarchies.cgroup(f"podcore-test-kernel-{os.getpid()}/pod")
    yield cgroup
    parent = hierarchies.cgroup(os.path.dirname(cgroup.path))
    assert parent.kill(30) == []
    parent.remove(30)
    assert not parent.exists()


class Tree:
    """Plain files that stand for cgroup file systems; the kernel's behaviour is not imitated."""

    def __init__(self, base: Path, mountinfo: str) -> None:
        self.top = f"{base}/cgroup"
        os.makedirs(self.top)
        os.makedirs(f"{base}/proc/self")
        with open(f"{base}/proc/self/mountinfo", "w", encoding="utf-8") as file:
            file.write(mountinfo.replace("TOP", self.top))
        self._proc = f"{base}/proc"

    def write(self, name: str, text: str) -> None:
        path = f"{self.top}/{name}"
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)

    def read(self, name: str) -> str:
        with open(f"{self.top}/{name}", encoding="utf-8") as file:
            return file.read()

    def detect(self) -> Hierarchies:
        return Hierarchies.detect(self.top, self._proc)


V2 = "30 23 0:26 / TOP rw,nosuid - cgroup2 cgroup2 rw,nsdelegate\n"
V1 = """\
31 23 0:28 / TOP rw - tmpfs tmpfs rw,mode=755
32 31 0:29 / TOP/cpu,cpuacct rw,relatime - cgroup cgroup rw,cpu,cpuacct
33 31 0:31 / TOP/memory rw,relatime - cgroup cgroup rw,memory
34 31 0:32 / TOP/freezer rw,relatime - cgroup cgroup rw,freezer
35 31 0:33 / TOP/pids rw,relatime - cgroup cgroup rw,pids
36 31 0:34 / TOP/cpuset rw,relatime - cgroup cgroup rw,cpuset
37 31 0:35 / TOP/blkio rw,relatime - cgroup cgroup rw,blkio
38 31 0:36 / TOP/systemd rw - cgroup cgroup rw,xattr,release_agent=/lib/x,name=systemd
"""


@pytest.fixture
def v2(tmp_path: Path) -> Tree:
    """A v2 tree with a populated container at ``podcore/pod/one``."""
    tree = Tree(tmp_path, V2)
    tree.write("cgroup.controllers", "cpuset cpu io memory hugetlb pids rdma\n")
    tree.write("cgroup.subtree_control", "cpu pids\n")
    one = "podcore/pod/one"
    for name, text in {
        "cgroup.procs": "",
        "cgroup.events": "populated 1\nfrozen 0\n",
        "cgroup.freeze": "0\n",
        "cpu.max": "max 100000\n",
        "cpu.weight": "100\n",
        "cpu.stat": "usage_usec 2500000\nuser_usec 2000000\nsystem_usec 500000\n",
        "cpu.pressure": "some avg10=1.50 avg60=0.00 avg300=0.00 total=9\n",
        "cpuset.cpus": "\n",
        "io.stat": "8:0 rbytes=4096 wbytes=8192 rios=1 wios=2\n8:16 rbytes=1 wbytes=2 rios=1\n",
        "io.weight": "default 100\n",
        "io.pressure": "some avg10=garbage\n",
        "memory.current": "1048576\n",
        "memory.max": "max\n",
        "memory.swap.max": "max\n",
        "memory.events": "low 0\nhigh 0\nmax 3\noom 2\noom_kill 1\noom_group_kill 0\n",
        "memory.reclaim": "",
        "pids.current": "3\n",
        "pids.max": "max\n",
    }.items():
        tree.write(f"{one}/{name}", text)
    return tree


@pytest.fixture
def v1(tmp_path: Path) -> Tree:
    """A v1 tree with a container at ``podcore/pod/one``."""
    tree = Tree(tmp_path, V1)
    one = "podcore/pod/one"
    for controller in ("cpu,cpuacct", "memory", "freezer", "pids", "cpuset", "blkio", "systemd"):
        tree.write(f"{controller}/{one}/cgroup.procs", "")
    for name, text in {
        "cpu,cpuacct/{}/cpu.cfs_period_us": "100000\n",
        "cpu,cpuacct/{}/cpu.cfs_quota_us": "-1\n",
        "cpu,cpuacct/{}/cpu.shares": "1024\n",
        "cpu,cpuacct/{}/cpuacct.usage": "1500000000\n",
        "memory/{}/memory.limit_in_bytes": "9223372036854771712\n",
        "memory/{}/memory.memsw.limit_in_bytes": "9223372036854771712\n",
        "memory/{}/memory.usage_in_bytes": "65536\n",
        "memory/{}/memory.oom_control": "oom_kill_disable 0\nunder_oom 0\noom_kill 4\n",
        "freezer/{}/freezer.state": "THAWED\n",
        "pids/{}/pids.current": "2\n",
        "pids/{}/pids.max": "100\n",
        "cpuset/{}/cpuset.cpus": "0-3\n",
        "blkio/{}/blkio.throttle.io_service_bytes_recursive": (
            "8:0 Read 10\n8:0 Write 20\n8:0 Total 30\n8:16 Read 1\nTotal 31\n"
        ),
    }.items():
        tree.write(name.format(one), text)
    for parent in ("", "podcore/", "podcore/pod/"):
        tree.write(f"cpuset/{parent}cpuset.cpus", "0-7\n")
        tree.write(f"cpuset/{parent}cpuset.mems", "0\n")
    tree.write(f"cpuset/{one}/cpuset.mems", "0\n")
    return tree


@pytest.fixture
def sleeping() -> Iterator[Callable[[], int]]:
    """Starts processes that sleep and returns their pids; they are ended and reaped afterwards."""
    started: list[subprocess.Popen[bytes]] = []

    def start() -> int:
        started.append(subprocess.Popen(["sleep", "1000"]))
        return started[-1].pid

    yield start
    for child in started:
        child.kill()
    for child in started:
        child.wait()
