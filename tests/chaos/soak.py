"""Soak: processes take pods of three containers through their lives while leaks are looked for.

A sampler looks once a second at the descriptors, threads and memory of the workers, at the size of
the write-ahead log, and at zombies. What grows from the first third to the last is a leak.
``make soak MINUTES=60`` runs it.
"""

import argparse
import ctypes
import os
import signal
import statistics
import sys
import tempfile
import time
import traceback
from dataclasses import dataclass, field

from chaos import ground
from harness import host, reaper
from harness.rootfs import make_rootfs
from harness.site import Site
from podcore import Engine

WAL_CAP = 8 << 20
RSS_DRIFT = 2 << 20
_PAGE = os.sysconf("SC_PAGE_SIZE")


@dataclass(slots=True)
class Samples:
    """What was seen, once a second; of all workers the largest."""

    descriptors: list[int] = field(default_factory=list)
    threads: list[int] = field(default_factory=list)
    memory: list[int] = field(default_factory=list)
    log: list[int] = field(default_factory=list)
    zombies: list[int] = field(default_factory=list)

    def take(self, pids: list[int], log: str) -> None:
        """Adds one sample."""
        self.descriptors.append(max((_count(pid, "fd") for pid in pids), default=0))
        self.threads.append(max((_count(pid, "task") for pid in pids), default=0))
        self.memory.append(max((_memory(pid) for pid in pids), default=0))
        self.log.append(os.stat(log).st_size if os.path.exists(log) else 0)
        children = [child for pid in pids for child in _children(pid)]
        states = [
            host.read_proc(child, "stat").rpartition(")")[2].strip()[:1] for child in children
        ]
        self.zombies.append(states.count("Z"))

    def problems(self) -> list[str]:
        """Returns what grows."""
        found = []
        for name, least in (("descriptors", 4), ("threads", 2), ("memory", RSS_DRIFT)):
            first, last = _thirds(getattr(self, name))
            if last - first > least:
                found.append(f"{name} grow from {first:.0f} to {last:.0f}")
        if max(self.log, default=0) > WAL_CAP:
            found.append(f"the write-ahead log has {max(self.log)} bytes")
        if len(self.zombies) > 3 and min(self.zombies[-3:]) > 0:
            found.append(f"{self.zombies[-1]} zombies stay")
        return found

    def __str__(self) -> str:
        parts = []
        for name in ("descriptors", "threads", "memory", "log", "zombies"):
            first, last = _thirds(getattr(self, name))
            parts.append(f"{name} {first:.0f} -> {last:.0f} (max {max(getattr(self, name))})")
        return ", ".join(parts)


def _thirds(values: list[int]) -> tuple[float, float]:
    """Returns the medians of the first third, without what is being warmed up, and of the last."""
    third = max(1, len(values) // 3)
    return statistics.median(values[third // 3 : third] or values), statistics.median(
        values[-third:]
    )


def _count(pid: int, what: str) -> int:
    try:
        return len(os.listdir(f"/proc/{pid}/{what}"))
    except FileNotFoundError:
        return 0


def _memory(pid: int) -> int:
    fields = host.read_proc(pid, "statm").split()
    return int(fields[1]) * _PAGE if fields else 0


def _children(pid: int) -> list[int]:
    return [int(child) for child in host.read_proc(pid, f"task/{pid}/children").split()]


def live(engine: Engine, rootfs: str, name: str, grace: float) -> None:
    """Takes one pod of three containers through its whole life; ``grace`` is a stop's, seconds."""
    pod = engine.create_pod(name)
    needs: list[str] = []
    for one in "abc":
        pod.create_container(
            one, rootfs=rootfs, rootfs_mode="ro", command=ground.LIFE, depends_on=needs
        )
        needs = ["a"]
    pod.start()
    report = pod.stop(timeout=grace)
    assert report.ok, str(report)
    codes = {container.exit_code for container in pod.containers()}
    # 2 is runc's own: a signal that comes before its Go program has given way to the command can't
    # kill what is process 1 of its namespace, and exits instead.
    assert codes <= {2, 3, 137, 143}, codes
    pod.remove()


def _work(site: Site, slot: int, until: float, counter: int, grace: float) -> None:
    settings = {
        "root": site.root,
        "run_root": site.run_root,
        "cgroup_parent": site.cgroup_parent,
        "oci_runtime": site.runtime,
    }
    number = 0
    with Engine(**settings, max_workers=4) as engine:
        while time.monotonic() < until:
            live(engine, site.rootfs, f"w{slot}-{number}", grace)
            number += 1
            os.write(counter, b".")


def run(
    site: Site, seconds: float, processes: int, grace: float = 1.0
) -> tuple[int, Samples, list[str]]:
    """Returns how many pods lived, the samples, and what was wrong."""
    until = time.monotonic() + seconds
    reading, writing = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
    pids: dict[int, int] = {}
    for slot in range(processes):
        pid = os.fork()
        if pid == 0:
            code = 1
            try:
                ctypes.CDLL(None).prctl(1, signal.SIGKILL, 0, 0, 0)
                _work(site, slot, until, writing, grace)
                code = 0
            except BaseException:
                traceback.print_exc()
            os._exit(code)
        pids[pid] = slot
    samples, wrong, lives = Samples(), [], 0
    while pids:
        samples.take(list(pids), f"{site.root}/state.db-wal")
        try:
            lives += len(os.read(reading, 1 << 16))
        except BlockingIOError:
            pass
        for pid in list(pids):
            found, status = os.waitpid(pid, os.WNOHANG)
            if found:
                slot = pids.pop(pid)
                if status:
                    code = os.waitstatus_to_exitcode(status)
                    wrong.append(f"worker {slot} ended with {code}")
        time.sleep(1 if len(samples.log) > 3 else 0.2)
    for fd in (reading, writing):
        os.close(fd)
    with site.engine() as engine:
        wrong += ground.settled(engine)
        if engine.pods():
            wrong.append("pods are left")
    return lives, samples, wrong


def main() -> int:
    """Runs it; returns the exit status."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=300)
    parser.add_argument("--processes", type=int, default=4)
    parser.add_argument("--runtime", default="crun")
    options = parser.parse_args()
    reaper.move_under_a_reaper()
    with tempfile.TemporaryDirectory(prefix="podcore-soak-") as base:
        site = Site(options.runtime, make_rootfs(f"{base}/rootfs"))
        try:
            lives, samples, wrong = run(site, options.seconds, options.processes)
        finally:
            site.close()
    # A short run has not warmed up: there is nothing to be said about growth.
    if options.seconds >= 60:
        wrong += samples.problems()
    rate = lives * 3 / max(1.0, options.seconds)
    print(f"{lives} pods, {lives * 3} containers lived and died, {rate:.1f} containers/s")
    print(samples)
    for text in wrong:
        print(f"WRONG: {text}")
    return int(bool(wrong) or not lives)


if __name__ == "__main__":
    sys.exit(main())
