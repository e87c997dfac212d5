"""Kills a verb at every system call that has an effect, and lets every such call fail.

``strace`` takes hold of one thread of a process that has imported everything, so its children are
never touched and calls are counted from the opening of the store on. A first run lists the calls;
then each is a point of its own: prepare, run up to the point, repeat the verb, look at what is
left. ``make sweep`` does all of them.
"""

import argparse
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from chaos import ground, verbs
from harness import reaper
from harness.rootfs import make_rootfs
from harness.site import Site

EFFECTS = (
    "write,pwrite64,writev,pwritev,rename,renameat,renameat2,unlink,unlinkat,mkdir,mkdirat,rmdir,"
    "fsync,fdatasync,sync_file_range,fcntl,clone,clone3,fork,vfork,kill,tgkill,pidfd_send_signal,"
    "mount,umount2,move_mount,open_tree,fsopen,fsconfig,fsmount,mount_setattr,sendmsg,sendto,"
    "ftruncate,fallocate,openat,openat2,symlink,symlinkat,link,linkat,chmod,fchmod,fchmodat,chown,"
    "fchown,fchownat,setns,unshare,mknod,mknodat,setxattr"
)
ERRORS = {
    "ENOSPC": {"write", "pwrite64", "mkdir", "mkdirat", "openat", "ftruncate", "rename"},
    "EIO": {"write", "pwrite64", "fsync", "fdatasync", "unlink", "rmdir", "rename"},
    "EMFILE": {"openat", "clone", "vfork", "fork"},
    "EINTR": {"write", "openat"},
}
"""What each error is injected into; a kill goes into everything."""

_TRACER = ("strace", "-s", "64", "-e")
_CALL = re.compile(r"^([a-z0-9_]+)\((.*)")


@dataclass(frozen=True, slots=True)
class Point:
    """One moment of a verb: the Nth call of a name; ``action`` is ``kill`` or an errno's name."""

    verb: str
    call: str
    number: int
    action: str = "kill"

    def __str__(self) -> str:
        return f"{self.verb} {self.call}#{self.number} {self.action}"


@dataclass(slots=True)
class Outcome:
    """What came of some points.

    Attributes:
        found: points there are.
        swept: points at which the verb was hit.
        missed: points that this run of the verb did not pass.
        failures: what was wrong, by point.
    """

    found: int = 0
    swept: int = 0
    missed: list[Point] = field(default_factory=list)
    failures: dict[Point, list[str]] = field(default_factory=dict)

    def __str__(self) -> str:
        lines = [f"{point}: {'; '.join(what)}" for point, what in self.failures.items()]
        missed = ", ".join(map(str, self.missed[:5]))
        lines.append(
            f"{self.found} points, {self.swept} swept, {len(self.missed)} not passed"
            f"{f' ({missed} ...)' if missed else ''}, {len(self.failures)} failures"
        )
        return "\n".join(lines)


class Sweeper:
    """Runs verbs of other processes up to a point; all on sites of its own."""

    def __init__(self, runtime: str, rootfs: str) -> None:
        self.runtime = runtime
        self.rootfs = rootfs
        verbs.use_rootfs(rootfs)
        path = [os.path.dirname(os.path.dirname(os.path.abspath(__file__)))]
        self._server = subprocess.Popen(
            [sys.executable, "-m", "chaos.traced"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(path)},
        )
        self._site = Site(runtime, rootfs)

    def close(self) -> None:
        """Ends the process that forks, and removes the site."""
        try:
            self._server.communicate(timeout=20)
        except subprocess.TimeoutExpired:
            self._server.kill()  # and its child with it
            self._server.communicate()
        self._site.close()

    def points(self, name: str, actions: Sequence[str] = ("kill",)) -> list[Point]:
        """Returns the points of a verb, as one run of it passes them.

        Raises:
            AssertionError: the verb fails without any fault.
        """
        with self._prepared(name) as site:
            ended, calls = self._run(site, name, [])
            assert ended["code"] == 0, ended
            with site.engine() as engine:
                assert verbs.VERBS[name].reached(engine), name
        found, counts = [], dict.fromkeys(EFFECTS.split(","), 0)
        for call, arguments in calls:
            counts[call] += 1
            if not _has_effect(call, arguments):
                continue
            found += [
                Point(name, call, counts[call], action)
                for action in actions
                if action == "kill" or (call in ERRORS[action] and not _never(action, arguments))
            ]
        return found

    def sweep(self, points: Sequence[Point]) -> Outcome:
        """Runs each point and says what was wrong afterwards."""
        outcome = Outcome(found=len(points))
        for number, point in enumerate(points):
            if number and number % 50 == 0:
                print(f"{number} of {len(points)} points", file=sys.stderr, flush=True)
            try:
                hit, wrong = self._try(point)
                if not hit and not wrong:
                    # The first run of a site makes directories that later ones find.
                    self._renew()
                    hit, wrong = self._try(point)
            except Exception as error:
                hit, wrong = True, [f"{type(error).__name__}: {error}"]
            if hit:
                outcome.swept += 1
            else:
                outcome.missed.append(point)
            if wrong:
                outcome.failures[point] = wrong
                self._renew()
        return outcome

    def _renew(self) -> None:
        """Leaves a site where something is wrong, so that it spoils no other point."""
        try:
            self._site.close()
        except Exception as error:
            print(f"the site of the failure: {error}", file=sys.stderr)
        self._site = Site(self.runtime, self.rootfs)

    @contextmanager
    def _prepared(self, name: str) -> Iterator[Site]:
        if name == "init":
            # Only a directory that nobody has opened yet shows the first opening.
            self._site.close()
            self._site = Site(self.runtime, self.rootfs)
        site = self._site
        with site.engine() as engine:
            verbs.VERBS[name].prepare(engine)
        yield site
        with site.engine() as engine:
            for pod in engine.pods():
                pod.remove(force=True)

    def _try(self, point: Point) -> tuple[bool, list[str]]:
        verb = verbs.VERBS[point.verb]
        fault = "signal=SIGKILL" if point.action == "kill" else f"error={point.action}"
        with self._prepared(point.verb) as site:
            inject = f"inject={point.call}:{fault}:when={point.number}"
            ended, calls = self._run(site, point.verb, ["-e", inject])
            if point.action == "kill":
                hit = ended["code"] == -signal.SIGKILL
            else:
                hit = any("(INJECTED)" in rest for _, rest in calls)
            wrong = []
            # An input or output error of the host has no other name than the host's.
            if ended["code"] == 11 or (ended["code"] == 12 and point.action != "EIO"):
                wrong.append(f"no error of podcore's: {ended['said']}")
            wrong += self._recover(site, verb)
        return hit, wrong

    def _recover(self, site: Site, verb: verbs.Verb) -> list[str]:
        """Repeats the verb and looks; what needs a row to be found is left to the check."""
        with site.engine() as engine:
            try:
                verb.act(engine)
            except verb.done:
                pass
            if not verb.reached(engine):
                return ["the verb's goal is not reached when it is repeated"]
            engine.check(repair=True)
            return ground.settled(engine)

    def _run(
        self, site: Site, name: str, inject: Sequence[str]
    ) -> tuple[dict[str, Any], list[tuple[str, str]]]:
        """Runs a verb under the tracer; returns how it ended and the calls that it made."""
        settings = {
            "root": site.root,
            "run_root": site.run_root,
            "cgroup_parent": site.cgroup_parent,
            "oci_runtime": site.runtime,
        }
        order = {
            "verb": name,
            "settings": settings,
            "rootfs": self.rootfs,
            "worker": verbs.VERBS[name].worker,
        }
        assert self._server.stdin is not None
        self._server.stdin.write(json.dumps(order) + "\n")
        self._server.stdin.flush()
        begun = self._answer()
        assert begun["pid"], self._answer()
        with tempfile.NamedTemporaryFile("r", errors="replace") as trace:
            tracer = subprocess.Popen(
                [
                    *_TRACER,
                    f"trace={EFFECTS}",
                    *inject,
                    "-o",
                    trace.name,
                    "-p",
                    str(begun["thread"]),
                ],
                stderr=subprocess.PIPE,
                text=True,
            )
            assert tracer.stderr is not None
            attached = tracer.stderr.readline()
            assert "attached" in attached, attached
            os.kill(begun["pid"], signal.SIGCONT)
            ended = self._answer()
            tracer.communicate(timeout=60)
            calls = [found.groups() for line in trace if (found := _CALL.match(line))]
        return ended, [(str(call), str(rest)) for call, rest in calls]

    def _answer(self) -> dict[str, Any]:
        assert self._server.stdout is not None
        answer: dict[str, Any] = json.loads(self._server.stdout.readline())
        return answer


def _has_effect(call: str, arguments: str) -> bool:
    if call in ("openat", "openat2"):
        return "O_CREAT" in arguments or "O_TMPFILE" in arguments
    if call == "fcntl":
        return "SETLK" in arguments
    return True


def _never(action: str, arguments: str) -> bool:
    """Whether the kernel can't give that answer: no wait for an eventfd, so no interrupt."""
    return action == "EINTR" and re.search(r", 8\)\s+= 8$", arguments) is not None


def sample(points: Sequence[Point], size: int) -> list[Point]:
    """Returns some points, evenly spread and always the same ones."""
    step = max(1, len(points) // size)
    return list(points[step // 2 :: step])[:size]


def main() -> int:
    """Sweeps everything, or what the command line names; returns the exit status."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runtime", default="crun")
    parser.add_argument("--verb", action="append", choices=list(verbs.VERBS))
    parser.add_argument("--action", action="append", choices=["kill", *ERRORS])
    parser.add_argument("--every", type=int, default=1, help="only every Nth point")
    options = parser.parse_args()
    if shutil.which("strace") is None:
        parser.error("`strace` is not installed")
    reaper.move_under_a_reaper()
    failed = False
    with tempfile.TemporaryDirectory(prefix="podcore-sweep-") as base:
        sweeper = Sweeper(options.runtime, make_rootfs(f"{base}/rootfs"))
        try:
            for name in options.verb or verbs.VERBS:
                for action in options.action or ["kill", *ERRORS]:
                    begun = time.monotonic()
                    points = sweeper.points(name, [action])[:: options.every]
                    outcome = sweeper.sweep(points)
                    failed = failed or bool(outcome.failures)
                    seconds = time.monotonic() - begun
                    print(f"{name} {action}: {outcome} ({seconds:.0f} s)", flush=True)
        finally:
            sweeper.close()
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
