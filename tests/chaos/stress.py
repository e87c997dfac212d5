"""Stress: many containers started by many processes at a time, and by one process at once.

Prints how long both take and what memory a podcore process, a monitor and a container cost.
``make stress`` starts 800.
"""

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor

from chaos import ground
from harness import host, leftovers, reaper
from harness.rootfs import make_rootfs
from harness.site import Site
from podcore import ContainerSpec

_START = """
import sys, resource, podcore
with podcore.Engine(max_workers=2) as engine:
    engine.container(sys.argv[1]).start()
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""


def prepare(site: Site, name: str, count: int) -> list[str]:
    """Makes a pod of containers that stand alone; returns how each is referred to."""
    with site.engine() as engine:
        pod = engine.create_pod(name, share=())
        pod.create_containers(
            ContainerSpec(
                name=f"c{number}",
                rootfs=site.rootfs,
                rootfs_mode="ro",
                command=["/bin/sleep", "100000"],
            )
            for number in range(count)
        )
    return [f"{name}/c{number}" for number in range(count)]


def by_processes(site: Site, count: int, at_once: int) -> tuple[float, list[int]]:
    """Starts each container in a process of its own; returns seconds and the processes' KiB.

    Raises:
        AssertionError: a start failed.
    """
    references = prepare(site, "many", count)

    def start(reference: str) -> int:
        done = subprocess.run(
            [sys.executable, "-c", _START, reference],
            env=site.environ,
            capture_output=True,
            text=True,
            check=False,
            timeout=600,
        )
        assert done.returncode == 0, f"{reference}: {done.stderr}"
        return int(done.stdout)

    begun = time.monotonic()
    with ThreadPoolExecutor(at_once) as pool:
        memory = list(pool.map(start, references))
    return time.monotonic() - begun, memory


def by_one(site: Site, count: int) -> float:
    """Starts a pod of as many containers in this process; returns the seconds it takes."""
    prepare(site, "one", count)
    with site.engine() as engine:
        begun = time.monotonic()
        report = engine.pod("one").start()
        seconds = time.monotonic() - begun
        assert report.ok
        states = set(engine.pod("one").status().values())
        assert states == {"running"}, states
        return seconds


def remove(site: Site, name: str) -> tuple[float, float]:
    """Returns how long ``status`` and ``remove`` of a pod take, in seconds."""
    with site.engine() as engine:
        pod = engine.pod(name)
        begun = time.monotonic()
        pod.status()
        seen = time.monotonic()
        pod.remove(force=True)
        return seen - begun, time.monotonic() - seen


def memory_of_monitors(site: Site) -> list[int]:
    """Returns the proportional share of memory of each monitor, KiB."""
    found = []
    for pid, command in leftovers.find(site.base, site.cgroup_parent).processes.items():
        if os.path.basename(command.split(" ")[0]) != "conmon":
            continue
        lines = host.read_proc(pid, "smaps_rollup").splitlines()
        found += [int(line.split()[1]) for line in lines if line.startswith("Pss:")]
    return found


def main() -> int:
    """Runs it; returns the exit status."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--containers", type=int, default=800)
    parser.add_argument("--processes", type=int, default=64)
    parser.add_argument("--runtime", default="crun")
    options = parser.parse_args()
    reaper.move_under_a_reaper()
    count = options.containers
    with tempfile.TemporaryDirectory(prefix="podcore-stress-") as base:
        site = Site(options.runtime, make_rootfs(f"{base}/rootfs"))
        try:
            seconds, memory = by_processes(site, count, options.processes)
            print(
                f"{count} containers by {options.processes} processes at a time: {seconds:.1f} s, "
                f"{count / seconds:.1f}/s, 0 errors; "
                f"a process has {statistics.median(memory) / 1024:.1f} MiB at most"
            )
            monitors = memory_of_monitors(site)
            assert len(monitors) == count, f"{len(monitors)} monitors"
            print(f"a monitor has {statistics.median(monitors)} KiB (proportional share)")
            status, removed = remove(site, "many")
            print(f"status {status * 1000:.0f} ms, remove {removed:.1f} s")
            seconds = by_one(site, count)
            print(f"{count} containers by one process: {seconds:.1f} s, {count / seconds:.1f}/s")
            status, removed = remove(site, "one")
            print(f"status {status * 1000:.0f} ms, remove {removed:.1f} s")
            with site.engine() as engine:
                wrong = ground.settled(engine)
        finally:
            site.close()
    for text in wrong:
        print(f"WRONG: {text}")
    return int(bool(wrong))


if __name__ == "__main__":
    sys.exit(main())
