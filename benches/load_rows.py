"""The loads L5 to L8: many processes on the state store, many pods, one large pod."""

import multiprocessing
import os
import resource
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from multiprocessing.connection import Connection
from multiprocessing.synchronize import Barrier

from load_table import Table, percentile
from podcore import ContainerSpec, Engine, LockTable, PodcoreError
from podcore.operations.snapshot import snapshot
from podcore.store import Store
from podcore.testing import fake_engine
from store.builders import new_container, new_pod

WRITERS = 8
PODS, MEMBERS = 1000, 10
MANY = 10_000

_spawn = multiprocessing.get_context("spawn")


# --- L5, L6: processes that read and write rows as fast as they can --------------------------------


def _write(directory: str, key: str, barrier: Barrier, seconds: float, out: Connection) -> None:
    """Saves one container's row again and again; sends how often, the worst time and the errors."""
    locks = LockTable(f"{directory}/locks")
    store = Store.open(f"{directory}/state", locks)
    with store.read() as view:
        record = view.container(key)
    assert record is not None
    times, errors = [], []
    with locks.session("load") as session:
        barrier.wait()
        end = time.monotonic() + seconds
        while (begun := time.monotonic()) < end:
            try:
                with store.write(session) as change:
                    change.save_container(record.but(incarnation=len(times) + 1))
            except (PodcoreError, OSError) as error:
                errors.append(repr(error))
            times.append(time.monotonic() - begun)
    store.close()
    out.send((times, errors))


def _read(directory: str, key: str, barrier: Barrier, seconds: float, out: Connection) -> None:
    """Reads one container's row every millisecond; sends the times and the errors."""
    store = Store.open(f"{directory}/state", LockTable(f"{directory}/locks"))
    times, errors = [], []
    barrier.wait()
    end = time.monotonic() + seconds
    while (begun := time.monotonic()) < end:
        try:
            with store.read() as view:
                found = view.container(key)
            assert found is not None
        except (PodcoreError, OSError) as error:
            errors.append(repr(error))
        times.append(time.monotonic() - begun)
        time.sleep(0.001)
    store.close()
    out.send((times, errors))


def _bare(directory: str, key: str, barrier: Barrier, seconds: float, out: Connection) -> None:
    """As ``_write``, with SQLite's own way to wait for other writers and no more."""
    connection = sqlite3.connect(f"{directory}/bare.db", timeout=60, isolation_level=None)
    connection.execute("PRAGMA synchronous=NORMAL")
    times = []
    barrier.wait()
    end = time.monotonic() + seconds
    while (begun := time.monotonic()) < end:
        connection.execute("BEGIN IMMEDIATE")
        connection.execute("UPDATE rows SET value = ? WHERE key = ?", (len(times), key))
        connection.execute("COMMIT")
        times.append(time.monotonic() - begun)
    connection.close()
    out.send((times, []))


Job = Callable[[str, str, Barrier, float, Connection], None]


def together(
    jobs: Sequence[Job], directory: str, keys: Sequence[str], seconds: float
) -> list[tuple[list[float], list[str]]]:
    """Runs each job in a process of its own, all from the same moment on."""
    barrier = _spawn.Barrier(len(jobs))
    processes, results = [], []
    for job, key in zip(jobs, keys, strict=True):
        receive, send = _spawn.Pipe(duplex=False)
        process = _spawn.Process(target=job, args=(directory, key, barrier, seconds, send))
        process.start()
        send.close()  # so that a process that dies is the end of the pipe
        processes.append(process)
        results.append(receive)
    outcome = [result.recv() for result in results]
    for process in processes:
        process.join()
    return outcome


@contextmanager
def rows(parent: str) -> Iterator[tuple[str, list[str]]]:
    """A state directory with a pod of as many containers as there are writers; their ids."""
    with tempfile.TemporaryDirectory(prefix="podcore-load-", dir=parent) as directory:
        os.mkdir(f"{directory}/state", 0o700)
        locks = LockTable(f"{directory}/locks")
        store = Store.open(f"{directory}/state", locks)
        with locks.session("load") as session, store.write(session) as change:
            pod = change.add_pod(new_pod())
            made = [change.add_container(new_container(pod, f"c{n}")) for n in range(WRITERS)]
        store.close()
        yield directory, [row.id for row in made]


def writers(table: Table, parent: str, seconds: float) -> None:
    """L5: eight processes save rows as fast as they can."""
    with rows(parent) as (directory, keys):
        outcome = together([_write] * WRITERS, directory, keys, seconds)
        with sqlite3.connect(f"{directory}/bare.db") as bare:
            bare.execute("PRAGMA journal_mode=WAL")
            bare.execute("CREATE TABLE rows(key TEXT PRIMARY KEY, value INTEGER)")
            bare.executemany("INSERT INTO rows VALUES (?, 0)", [(key,) for key in keys])
        bare.close()
        beside = together([_bare] * WRITERS, directory, keys, seconds)
    counts = [len(times) for times, _ in outcome]
    errors = [error for _, found in outcome for error in found]
    for error in errors[:3]:
        print(f"    {error}")
    print(f"    {sum(counts) / seconds:.0f} commits/s, bare SQLite {_rate(beside, seconds):.0f}/s")
    table.row("L5", "8 writers: errors", len(errors), 0, "")
    table.row("L5", "8 writers: most served to least served", max(counts) / min(counts), 3, ":1")
    table.row("L5", "8 writers: worst save", _worst(outcome) * 1e3, 500, "ms")
    print(f"    bare SQLite's worst: {_worst(beside) * 1e3:.0f} ms")


def _rate(outcome: list[tuple[list[float], list[str]]], seconds: float) -> float:
    return sum(len(times) for times, _ in outcome) / seconds


def _worst(outcome: list[tuple[list[float], list[str]]]) -> float:
    return max(max(times) for times, _ in outcome)


def readers(table: Table, parent: str, seconds: float) -> None:
    """L6: four processes read rows while four write."""
    with rows(parent) as (directory, keys):
        outcome = together([_write] * 4 + [_read] * 4, directory, keys, seconds)
    times = sorted(one for found, _ in outcome[4:] for one in found)
    errors = [error for _, found in outcome for error in found]
    for error in errors[:3]:
        print(f"    {error}")
    table.row("L6", "4 readers beside 4 writers: errors", len(errors), 0, "")
    table.row("L6", "4 readers beside 4 writers: read, 99 %", percentile(times, 99) * 1e3, 2, "ms")


# --- L7, L8: many rows ----------------------------------------------------------------------------


def _fill(engine: Engine, name: str, count: int, rootfs: str) -> None:
    pod = engine.create_pod(name, share=())
    pod.create_containers(
        ContainerSpec(name=f"c{number}", rootfs=rootfs, command=("/bin/server",))
        for number in range(count)
    )


def _life(engine: Engine, name: str) -> float:
    """Starts and stops a pod; returns the seconds that it takes."""
    pod = engine.pod(name)
    begun = time.perf_counter()
    pod.start()
    pod.stop()
    return time.perf_counter() - begun


def many_pods(table: Table, parent: str, seconds: float) -> None:
    """L7: a thousand pods of ten containers."""
    with (
        tempfile.TemporaryDirectory(prefix="podcore-load-", dir=parent) as full,
        tempfile.TemporaryDirectory(prefix="podcore-load-", dir=parent) as empty,
        fake_engine(full) as crowd,
        fake_engine(empty) as alone,
    ):
        rootfs = f"{full}/rootfs"
        os.mkdir(rootfs)
        for number in range(PODS):
            _fill(crowd, f"p{number}", MEMBERS, rootfs)
        _fill(crowd, "mine", MEMBERS, rootfs)
        _fill(alone, "mine", MEMBERS, rootfs)
        for engine in (crowd, alone):
            _life(engine, "mine")
        ratios = []
        end = time.monotonic() + min(seconds, 20)
        while time.monotonic() < end or len(ratios) < 5:
            ratios.append(_life(crowd, "mine") / _life(alone, "mine"))
        lists = []
        for _ in range(5):
            begun = time.perf_counter()
            assert len(crowd.inspect_containers(infra=False)) == (PODS + 1) * MEMBERS
            lists.append(time.perf_counter() - begun)
        environ = os.environ | {
            "PODCORE_ROOT": f"{full}/state",
            "PODCORE_RUNROOT": f"{full}/run",
            "PODCORE_CGROUP_PARENT": "podcore-testing",
            # As installed: compiled. Here what was edited last is compiled in each run otherwise.
            "PYTHONPYCACHEPREFIX": f"{empty}/compiled",
        }
        environ.pop("PYTHONDONTWRITEBYTECODE", None)
        figures = {flags: _command(environ, flags, (PODS + 1) * MEMBERS) for flags in _PS}
    what = f"{PODS} pods of {MEMBERS}: "
    table.row("L7", what + "inspect_containers()", statistics.median(lists) * 1e3, 300, "ms")
    for flags, (wall, processor, memory) in figures.items():
        print(
            f"    `podcore ps {flags}` {wall * 1e3:.0f} ms, {processor * 1e3:.0f} of a processor,"
            f" {memory / 1024:.0f} MiB"
        )
    wall, _, memory = figures["-aq"]
    table.row("L7", what + "`podcore ps -aq`", wall * 1e3, 300, "ms")
    table.row("L7", what + "memory of `ps -aq`", memory / 1024, 100, "MiB")
    table.row("L7", what + "start and stop of one, to alone", statistics.median(ratios), 1.1, ": 1")


_PS = ("-aq", "-q", "-a", "-a --format json")
# What `ru_maxrss` says of a child is at least what its parent had.
_MEMORY = """
import sys
from podcore.cli.main import main
code = main(sys.argv[1:])
with open("/proc/self/status") as status:
    sys.stderr.write(next(line.split()[1] for line in status if line.startswith("VmHWM")))
sys.exit(code)
"""


def _command(environ: dict[str, str], flags: str, count: int) -> tuple[float, float, int]:
    """Runs ``podcore ps`` several times.

    Returns:
        The median of the seconds that it takes, the least of those that a processor works for it,
        and the most memory that it has in KiB.
    """
    argv = ["ps", *flags.split()]
    command = [sys.executable, "-c", _MEMORY, *argv]
    first = subprocess.run(command, env=environ, capture_output=True, text=True, check=True)
    assert flags != "-aq" or len(first.stdout.splitlines()) == count
    times, processor = [], []
    for _ in range(5):
        begun, before = time.perf_counter(), _children()
        command = [sys.executable, "-m", "podcore", *argv]
        subprocess.run(command, env=environ, stdout=subprocess.DEVNULL, check=True)
        times.append(time.perf_counter() - begun)
        processor.append(_children() - before)
    return statistics.median(times), min(processor), int(first.stderr)


def _children() -> float:
    """Returns the seconds that processors have worked for the children of this process."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def large_pod(table: Table, parent: str, seconds: float) -> None:
    """L8: one pod of ten thousand containers."""
    del seconds
    with (
        tempfile.TemporaryDirectory(prefix="podcore-load-", dir=parent) as directory,
        fake_engine(directory) as engine,
    ):
        os.mkdir(f"{directory}/rootfs")
        _fill(engine, "large", MANY, f"{directory}/rootfs")
        host, pod = engine.host, engine.pod("large")
        taken = snapshot(host, pod._record)
        numbers = sorted(row.number for row in taken.members)
        begun = time.perf_counter()
        with host.session("load") as session:
            for number in numbers:
                session.acquire("container", number)
            locked = time.perf_counter() - begun
            descriptors = len(os.listdir("/proc/self/fd"))
        begun = time.process_time()
        order = taken.graph().order()
        graph = time.process_time() - begun
        assert len(order) == MANY
        begun = time.perf_counter()
        assert len(pod.status()) == MANY
        status = time.perf_counter() - begun
    what = f"a pod of {MANY}: "
    table.row("L8", what + "all locks", locked * 1e3, 100, "ms")
    table.row("L8", what + "descriptors meanwhile", descriptors, 100, "")
    table.row("L8", what + "graph and order, processor time", graph * 1e3, 200, "ms")
    print(f"    status() {status * 1e3:.0f} ms, without a lock")
