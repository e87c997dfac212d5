"""The loads L1 and L2: many processes on one pod of real containers, and each on pods of its own."""

import multiprocessing
import os
import random
import subprocess
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from multiprocessing.connection import Connection
from multiprocessing.synchronize import Barrier

from chaos import ground, soak
from floor import WORKERS, Floor
from harness.rootfs import make_rootfs
from harness.site import Site
from load_table import Table, percentile
from podcore import Engine, LockTable
from podcore.testing.words import CONTRACT

CALLERS = 8
MEMBERS = 5
TURN = 15.0
"""Seconds of a turn of podcore or of the floor."""
_IMAGE = 2 << 30
"""Bytes; only what is written takes space."""
STOP = 1.0
"""Seconds that a stop gives."""
VERBS = ("start", "stop", "restart", "kill", "pause", "unpause", "status", "inspect")

_spawn = multiprocessing.get_context("spawn")


def _configs(site: Site, engine: Engine) -> list[str]:
    """Makes a pod of three, runs it once and returns the paths of its config.json, infra's first."""
    pod = engine.create_pod()
    made = [
        pod.create_container(name, rootfs=site.rootfs, rootfs_mode="ro", command=ground.LIFE)
        for name in "abc"
    ]
    pod.start()
    pod.stop(timeout=0)
    keys = [pod.inspect().infra_container_id, *(one.id for one in made)]
    return [f"{site.root}/containers/{key}/bundle/config.json" for key in keys]


def lives(table: Table, seconds: float, runtime: str) -> None:
    """L2: sixteen processes take pods of three through their lives, beside the floor's.

    Once with all state in memory, where only they count, and once on an ext4 as distributions make
    it. Without a journal ext4 passes over each inode that was freed in the last minutes, so that
    what a directory costs depends on what others did there.
    """
    _lives(table, seconds, runtime, "/dev/shm", "in memory")
    with _ext4() as directory:
        _lives(table, seconds, runtime, directory, "on ext4")


def _lives(table: Table, seconds: float, runtime: str, directory: str, where: str) -> None:
    """Measures one medium: both make directories of their own for each container, and take turns."""

    def floor(one: Floor, until: float) -> int:
        count = 0
        while time.monotonic() < until:
            one.start()
            one.remove()
            one.renew()
            count += 1
        return count

    turns = max(1, round(seconds / TURN))
    bare, counted, wrong = 0, 0, list[str]()
    # The bundles of the floor lead to what their pods have on the host.
    with (
        _site(runtime, directory) as bundles,
        _site(runtime, directory) as site,
        bundles.engine() as engine,
    ):
        floors = [
            Floor(
                f"{bundles.base}/f{number}",
                runtime,
                _configs(bundles, engine),
                workers=1,
                infra=True,
            )
            for number in range(WORKERS)
        ]
        for _ in range(turns):
            until = time.monotonic() + seconds / turns
            with ThreadPoolExecutor(WORKERS) as pool:
                bare += sum(pool.map(floor, floors, [until] * WORKERS))
            lived, _, found = soak.run(site, seconds / turns, 16, grace=0.0)
            counted += lived
            wrong += found
    for text in wrong:
        print(f"    {text}")
    # With its infra container a pod has four.
    rate, most = counted * 4 / seconds, bare * 4 / seconds
    print(f"    {rate:.1f} containers/s lived and died, floor {most:.1f}/s")
    what = f"16 processes, pods of 3 on {runtime}, {where}"
    table.row("L2", f"{what}: errors", len(wrong), 0, "")
    table.least("L2", f"{what}, to floor", rate / most, 0.75, ": 1")


def _call(
    settings: dict[str, str], slot: int, barrier: Barrier, seconds: float, out: Connection
) -> None:
    """Calls random verbs on the one pod; sends the durations by verb, and what broke the contract."""
    chance = random.Random(slot)
    times: list[tuple[str, float]] = []
    breaches = []
    with Engine(**settings, max_workers=4) as engine:
        pod = engine.pod("one")
        verbs = {
            "stop": lambda: pod.stop(timeout=STOP),
            "restart": lambda: pod.restart(timeout=STOP),
            "kill": lambda: pod.kill(chance.choice(["KILL", "TERM", "USR1"])),
        }
        barrier.wait()
        end = time.monotonic() + seconds
        while (begun := time.monotonic()) < end:
            verb = chance.choice(VERBS)
            try:
                verbs.get(verb, getattr(pod, verb))()
            except CONTRACT as error:
                inner = getattr(error, "exceptions", ())
                breaches += [f"{verb}: {one!r}" for one in inner if not isinstance(one, CONTRACT)]
            except Exception as error:  # noqa: BLE001 - counted and shown
                breaches.append(f"{verb}: {error!r}")
            times.append((verb, time.monotonic() - begun))
    out.send((times, breaches))


def _queue(directory: str, number: int, until: float) -> list[float]:
    """Takes a container's lock every 20 ms; returns how long each took, in seconds."""
    waits = []
    locks = LockTable(directory)
    while time.monotonic() < until:
        begun = time.monotonic()
        with locks.session("load") as session:
            session.acquire("container", number, timeout=60)
        waits.append(time.monotonic() - begun)
        time.sleep(0.02)
    return sorted(waits)


def one_pod(table: Table, seconds: float, runtime: str) -> None:
    """L1: eight processes call random verbs on one pod of five containers."""
    with _site(runtime) as site:
        with site.engine() as engine:
            pod = engine.create_pod("one")
            for number in range(MEMBERS):
                pod.create_container(
                    f"c{number}",
                    rootfs=site.rootfs,
                    rootfs_mode="ro",
                    command=ground.LIFE,
                    depends_on=[f"c{number - 1}"] if number == 1 else [],
                )
            with engine.host.store.read() as view:
                last = max(row.number for row in view.containers(pod.id))
            locks = str(engine.host.locks.directory)
        settings = {
            "root": site.root,
            "run_root": site.run_root,
            "cgroup_parent": site.cgroup_parent,
            "oci_runtime": site.runtime,
        }
        barrier = _spawn.Barrier(CALLERS + 1)
        processes, results = [], []
        for slot in range(CALLERS):
            receive, send = _spawn.Pipe(duplex=False)
            process = _spawn.Process(target=_call, args=(settings, slot, barrier, seconds, send))
            process.start()
            send.close()
            processes.append(process)
            results.append(receive)
        barrier.wait()
        waits = _queue(locks, last, time.monotonic() + seconds)
        outcome = [result.recv() for result in results]
        for process in processes:
            process.join()
        with site.engine() as engine:
            breaches = [text for _, found in outcome for text in found]
            breaches += ground.settled(engine)
    counts = [len(times) for times, _ in outcome]
    status = sorted(took for times, _ in outcome for verb, took in times if verb == "status")
    longest = max((took, verb) for times, _ in outcome for verb, took in times)
    for text in breaches[:5]:
        print(f"    {text}")
    print(f"    {sum(counts)} calls, the longest {longest[0]:.1f} s ({longest[1]})")
    what = f"8 processes, one pod of {MEMBERS} on {runtime}: "
    table.row("L1", what + "errors", len(breaches), 0, "")
    table.row("L1", what + "most to least calls", max(counts) / min(counts), 3, ": 1")
    table.row("L1", what + "lock, 99 %", percentile(waits, 99), 1, "s")
    table.row("L1", what + "status, 99 %", percentile(status, 99) * 1e3, 250, "ms")


@contextmanager
def _ext4() -> Iterator[str]:
    """Gives a new ext4 in a file of the temporary directory."""
    with tempfile.TemporaryDirectory(prefix="pc-", dir="/tmp") as base:
        image, directory = f"{base}/image", f"{base}/m"
        with open(image, "wb") as file:
            file.truncate(_IMAGE)
        os.mkdir(directory)
        subprocess.run(["mkfs.ext4", "-q", image], check=True)
        subprocess.run(["mount", "-o", "loop", image, directory], check=True)
        try:
            yield directory
        finally:
            subprocess.run(["umount", directory], check=True)


@contextmanager
def _site(runtime: str, directory: str = "/tmp") -> Iterator[Site]:
    with tempfile.TemporaryDirectory(prefix="podcore-load-") as base:
        site = Site(runtime, make_rootfs(f"{base}/rootfs"), directory)
        try:
            yield site
        finally:
            site.close()
