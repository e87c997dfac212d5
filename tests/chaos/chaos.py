"""Chaos: workers call random verbs on the same pods while their processes are killed at random.

Every 200 ms a podcore, conmon or OCI runtime process of the site is killed. In the end the history
of all calls must fit the model, all rows the host, and nothing may be left.
``make chaos MINUTES=5`` runs it.
"""

import argparse
import ctypes
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Callable

from chaos import ground, worker
from harness import leftovers, reaper
from harness.polling import eventually
from harness.rootfs import make_rootfs
from harness.site import Site
from podcore import Engine, PodcoreError
from podcore.records import Event
from podcore.testing import history
from podcore.testing.agreement import disorder
from podcore.testing.heartbeat import Beat, Heartbeat, lasting
from podcore.testing.parts import orders

READS = ("status", "inspect")
FORBIDDEN = ("StoreCorruptError", "UseAfterForkError")
"""Errors of podcore's that no caller may see where nobody damages a database."""

_STILL = """
import sys
from chaos.ground import LIFE
from podcore import Engine
with Engine() as engine:
    pod = engine.create_pod("still")
    for name in ("x", "y"):
        pod.create_container(name, rootfs=sys.argv[1], rootfs_mode="ro", command=LIFE)
    pod.start()
"""


class Chaos:
    """Workers and the one who kills them.

    Attributes:
        kills: processes killed, by what they were.
        problems: what was wrong besides the history.
    """

    def __init__(self, site: Site, directory: str, *, workers: int, seed: int) -> None:
        self._site = site
        self._directory = directory
        self._slots: dict[int, int] = {}
        self._workers = workers
        self._random = random.Random(seed)
        self._recorder = history.Recorder(f"{directory}/deaths.jsonl", -1)
        self.kills: Counter[str] = Counter()
        self.problems: list[str] = []

    def run(self, seconds: float, interval: float) -> None:
        """Lets the workers work, killing one process each interval."""
        until = time.monotonic() + seconds
        due = time.monotonic() + interval
        while (now := time.monotonic()) < until:
            self._reap()
            for slot in set(range(self._workers)) - set(self._slots.values()):
                self._slots[self._fork(slot, until)] = slot
            if now >= due:
                self._kill_one()
                due += interval
            time.sleep(max(0.0, min(due - time.monotonic(), 0.02)))
        eventually(self._all_ended, timeout=200, interval=0.05, what="the end of the workers")

    def _fork(self, slot: int, until: float) -> int:
        site = self._site
        settings = {
            "root": site.root,
            "run_root": site.run_root,
            "cgroup_parent": site.cgroup_parent,
            "oci_runtime": site.runtime,
        }
        pid = os.fork()
        if pid:
            return pid
        try:
            ctypes.CDLL(None).prctl(1, signal.SIGKILL, 0, 0, 0)
            worker.work(settings, site.rootfs, self._directory, slot, until)
        except BaseException:
            traceback.print_exc()
            os._exit(1)
        os._exit(0)

    def _reap(self) -> None:
        for pid in list(self._slots):
            found, status = os.waitpid(pid, os.WNOHANG)
            if found:
                slot = self._slots.pop(pid)
                self._recorder.dead(pid)
                code = os.waitstatus_to_exitcode(status)
                if code not in (0, -signal.SIGKILL):
                    self.problems.append(f"worker {slot} ended with {code}")

    def _all_ended(self) -> bool:
        self._reap()
        return not self._slots

    def _kill_one(self) -> None:
        """Kills a process of the site, of a kind that is chosen first.

        Runtimes live for milliseconds, so one is looked for a few times.
        """
        kind = self._random.choice(["podcore", "conmon", "runtime"])
        for _ in range(8):
            if pids := self._victims(kind):
                break
        else:
            kind, pids = "podcore", sorted(self._slots)
        try:
            os.kill(self._random.choice(pids), signal.SIGKILL)
        except (ProcessLookupError, IndexError):
            return  # it has ended meanwhile, or there is none
        self.kills[kind] += 1

    def _victims(self, kind: str) -> list[int]:
        if kind == "podcore":
            return sorted(self._slots)
        found = []
        there = leftovers.find(self._site.base, self._site.cgroup_parent).processes
        for pid, command in there.items():
            if pid in self._slots or f"{self._site.base}/" not in command:
                continue  # a worker, or a process of a container
            program = os.path.basename(command.split(" ")[0])
            if (program == "conmon") == (kind == "conmon"):
                found.append(pid)
        return found


def settle(site: Site) -> list[str]:
    """Lets podcore put everything right, and returns what is wrong all the same."""
    with site.engine() as engine:
        out_of_order = _disorder(engine)
        engine.check(repair=True)
        wrong = ground.settled(engine)
        if wrong:
            # A signal whose sender was killed may have ended a container after the check only.
            engine.check(repair=True)
            wrong = ground.settled(engine)
        return out_of_order + wrong + _converge(engine)


def _disorder(engine: Engine) -> list[str]:
    """I7, of the containers that are still there."""
    with engine.host.store.read() as view:
        needs = {row.id: [edge.id for edge in row.dependencies] for row in view.containers()}
        events: list[Event] = []
        while more := view.events(events[-1].number if events else 0):
            events += more
    return [f"I7: {text}" for text in disorder(events, needs, (), ())]


def _converge(engine: Engine) -> list[str]:
    """Every pod must still do what it is told."""
    wrong = []
    for pod in engine.pods():
        if not pod.containers():
            continue  # its creator was killed before it had any
        steps: list[tuple[str, Callable[[], object]]] = [
            ("unpause", pod.unpause),
            ("start", pod.start),
            ("stop", lambda pod=pod: pod.stop(timeout=10)),
        ]
        for name, step in steps:
            try:
                step()
            except PodcoreError as error:
                if "removing" not in str(error) and "half removed" not in str(error):
                    wrong.append(f"{name} {pod.name} afterwards: {error}")
        alive = set(pod.status().values()) - {"exited", "configured", "removing"}
        if alive:
            wrong.append(f"{pod.name} is {sorted(alive)} after a stop")
    return wrong


def main() -> int:
    """Runs it; returns the exit status."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=300)
    parser.add_argument("--interval", type=float, default=0.2, help="seconds between two kills")
    parser.add_argument("--workers", type=int, default=8)
    parser.add_argument("--runtime", default="crun")
    parser.add_argument("--seed", type=int, default=int.from_bytes(os.urandom(4), "big"))
    options = parser.parse_args()
    print(f"seed {options.seed}", flush=True)
    reaper.move_under_a_reaper()
    base = tempfile.mkdtemp(prefix="podcore-chaos-")
    rootfs = make_rootfs(f"{base}/rootfs")
    os.mkdir(f"{base}/history")
    site = Site(options.runtime, rootfs)
    beside = Site(options.runtime, rootfs)
    chaos = Chaos(site, f"{base}/history", workers=options.workers, seed=options.seed)
    wrong: list[str] = []
    try:
        pids = _bystander(beside)
        with Heartbeat() as heartbeat:
            chaos.run(options.seconds, options.interval)
            heartbeat.await_beat(time.monotonic())
        paths = [f"{base}/history/{name}" for name in sorted(os.listdir(f"{base}/history"))]
        verdict = judge(paths, heartbeat.beats())
        print(verdict, flush=True)
        killed = ", ".join(f"{number} {kind}" for kind, number in sorted(chaos.kills.items()))
        print(f"  killed: {killed}")
        wrong = chaos.problems + verdict.breaches + settle(site)
        if _pids(beside) != pids:
            wrong.append("a pod beside them is not what it was")
    finally:
        for place in (site, beside):
            try:
                place.close()
            except Exception as error:
                wrong.append(f"in the end: {type(error).__name__}: {error}")
    for text in wrong:
        print(f"WRONG: {text}")
    if wrong:
        print(f"the history is kept in {base}/history")
        return 1
    shutil.rmtree(base)
    return 0


def judge(paths: list[str], beats: list[Beat]) -> history.Verdict:
    """Judges the histories of all workers."""
    calls, cut = history.read(paths)
    found = orders([*calls, *cut])
    print(f"  {found}")
    for text in found.undecided:
        print(f"  UNDECIDED {text}")

    def lasted(begun: float, ended: float) -> float:
        return lasting(beats, begun, ended)

    verdict = history.judge(calls, len(cut), worker.DEADLINES, lasted, FORBIDDEN)
    verdict.breaches += found.breaches
    for kind, verbs in (("reads", READS), ("other calls", set(worker.VERBS) - set(READS))):
        longest = max((history.own(one, lasted) for one in calls if one.verb in verbs), default=0)
        print(f"  longest of {kind}, without what they can't help: {longest:.2f} s")
    stalls = sorted(beat.stalled for beat in beats)
    print(
        f"  5 ms of work took {stalls[len(stalls) // 2]:.3f} s longer, {stalls[-1]:.2f} s at worst"
    )
    return verdict


def _bystander(site: Site) -> list[int | None]:
    """Starts a pod that nobody may touch."""
    # Not in this process: it forks workers, and must not have opened an engine.
    subprocess.run(
        [sys.executable, "-c", _STILL, site.rootfs],
        env=site.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
        check=True,
        timeout=120,
    )
    return _pids(site)


def _pids(site: Site) -> list[int | None]:
    rows = json.loads(site.cli("ps", "--json").stdout)
    return sorted(row["Pid"] for row in rows)


if __name__ == "__main__":
    sys.exit(main())
