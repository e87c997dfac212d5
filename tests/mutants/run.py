"""Runs mutants: each one's test passes without it and fails with it.

A test runs in a mount namespace of its own, in which a changed copy of the package lies over the
checkout's and an empty directory over ``/tmp``: no process outside sees either, and what a test
leaves there is gone with it.
"""

import argparse
import contextlib
import ctypes
import enum
import functools
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from harness import host, leftovers
from harness.reaper import PR_SET_CHILD_SUBREAPER
from mutants import extension
from mutants.mutant import MisplacedError, Mutant
from mutants.tables import MUTANTS

CHECKOUT = os.path.realpath(os.path.join(os.path.dirname(__file__), "..", ".."))
PACKAGE = f"{CHECKOUT}/python/podcore"
EXTENSION = "_core.abi3.so"

# Seconds. Beyond the guard that each test has itself: when it is reached, the guard failed, too.
_HUNG = 900

# A checkout below /tmp is seen in the one that lies over it, too.
_LAID_OVER = """
set -e
mount --bind "$1" "$2"
case "$4" in
    /tmp/*) mkdir -p "$3${4#/tmp}"; mount --rbind "$4" "$3${4#/tmp}" ;;
esac
mount --rbind "$3" /tmp
shift 4
exec "$@"
"""


class Fate(enum.Enum):
    """What became of a mutant."""

    KILLED = "killed"
    SURVIVED = "SURVIVED"
    # Says nothing about the test: it fails without the mutant, or can't even begin with it.
    BROKEN = "BROKEN"


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a test came to.

    Attributes:
        fate: that of the mutant it ran with.
        why: what failed, in one line or more.
        output: all that pytest printed.
    """

    fate: Fate
    why: str
    output: str = ""


def run(mutant: Mutant) -> Outcome:
    """Runs the test of a mutant without it and with it."""
    plain = unharmed(mutant.test)
    if plain.fate is not Fate.SURVIVED:
        why = f"the test does not pass without it: {plain.why}"
        return Outcome(Fate.BROKEN, why, plain.output)
    with _scratch() as scratch:
        copy = f"{scratch}/podcore"
        try:
            _copy_package(copy)
            _apply(mutant, copy)
        except (MisplacedError, extension.BuildError) as error:
            return Outcome(Fate.BROKEN, str(error))
        return _try(mutant.test, copy, scratch)


@functools.cache
def unharmed(test: str) -> Outcome:
    """Runs a test on the package as it is; where it passes, the fate is SURVIVED."""
    with _scratch() as scratch:
        return _try(test, PACKAGE, scratch)


@contextlib.contextmanager
def _scratch() -> Iterator[str]:
    scratch = tempfile.mkdtemp(prefix="podcore-mutant-")
    try:
        os.mkdir(f"{scratch}/tmp")
        os.chmod(f"{scratch}/tmp", 0o1777)
        yield scratch
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def _copy_package(copy: str) -> None:
    shutil.copytree(PACKAGE, copy, ignore=shutil.ignore_patterns("__pycache__"))


def _apply(mutant: Mutant, copy: str) -> None:
    if mutant.is_rust:
        extension.build(CHECKOUT, mutant, f"{copy}/{EXTENSION}")
        return
    path = f"{copy}/{os.path.relpath(mutant.file, 'python/podcore')}"
    with open(path, encoding="utf-8") as file:
        text = mutant.applied(file.read())
    with open(path, "w", encoding="utf-8") as file:
        file.write(text)


def _try(test: str, package: str, scratch: str) -> Outcome:
    """Runs a test with ``package`` over the checkout's and ``tmp`` of ``scratch`` over ``/tmp``."""
    tmp = f"{scratch}/tmp"
    argv = ["unshare", "--mount", "--propagation=private", "sh", "-c", _LAID_OVER, "sh"]
    argv += [package, PACKAGE, tmp, CHECKOUT]
    argv += [sys.executable, f"{CHECKOUT}/tests/mutants/judged.py", "/tmp/verdict"]
    argv += ["-x", "-q", "-p", "no:cacheprovider", f"{CHECKOUT}/tests/{test}"]
    # Its output goes to a file: what it leaves running must not hold up who reads.
    with open(f"{scratch}/output", "w+", encoding="utf-8", errors="replace") as printed:
        process = subprocess.Popen(
            argv, cwd=CHECKOUT, stdin=subprocess.DEVNULL, stdout=printed, stderr=subprocess.STDOUT
        )
        hung = False
        try:
            process.wait(_HUNG)
        except subprocess.TimeoutExpired:
            hung = True
        finally:
            process.kill()
            process.wait()
            verdict = _verdict(f"{tmp}/verdict")
            _end_what_is_left(verdict.pid)
        printed.seek(0)
        return _judge(verdict, printed.read(), hung=hung)


@dataclass(frozen=True, slots=True)
class _Verdict:
    """What judged.py wrote: see there."""

    pid: int = 0
    status: int | None = None
    passed: int = 0
    failures: Sequence[tuple[str, str]] = ()


def _verdict(path: str) -> _Verdict:
    try:
        with open(path, encoding="utf-8") as file:
            return _Verdict(**json.load(file))
    except FileNotFoundError:
        return _Verdict()


def _judge(verdict: _Verdict, output: str, *, hung: bool) -> Outcome:
    if hung:
        return Outcome(Fate.BROKEN, f"it hung for {_HUNG} s", output)
    if verdict.status == 0 and verdict.passed:
        return Outcome(Fate.SURVIVED, "the test passes", output)
    if verdict.status == 0:
        return Outcome(Fate.BROKEN, "the test was skipped", output)
    if verdict.status == 1 and verdict.failures:
        phase, message = verdict.failures[0]
        if phase != "setup":
            return Outcome(Fate.KILLED, message, output)
        return Outcome(Fate.BROKEN, f"the test did not begin: {message}", output)
    why = "died" if verdict.status is None else f"ended with status {verdict.status}"
    return Outcome(Fate.BROKEN, f"pytest {why}", output)


def _end_what_is_left(session: int) -> None:
    """Ends all that a session left: a mutant may defeat what cleans up after its test."""
    groups = leftovers.groups_of_session(session) if session else frozenset()
    for group in groups:
        leftovers.thaw(group)
    # Orphans come to this process, and their children after them.
    deadline = time.monotonic() + 30
    while children := _children():
        for pid in children:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        with contextlib.suppress(ChildProcessError):
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass
        if time.monotonic() > deadline:
            print(f"still there: processes {children}", file=sys.stderr)
            break
        time.sleep(0.01)
    for group in groups:
        left = leftovers.Leftovers(cgroups=[group])
        leftovers.clean_up(left, f"/nowhere/{session}", os.path.basename(group))


def _children() -> list[int]:
    me = os.getpid()
    return [int(pid) for pid in host.read_proc(me, f"task/{me}/children").split()]


def _adopt_orphans() -> None:
    if ctypes.CDLL(None, use_errno=True).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl(PR_SET_CHILD_SUBREAPER) failed")


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the program; returns its exit status: 1 when a mutant was not killed."""
    parser = argparse.ArgumentParser(prog="mutants", description=__doc__)
    parser.add_argument("faults", nargs="*", metavar="F16", help="only those of these faults")
    parser.add_argument("-v", "--verbose", action="store_true", help="say what the tests said")
    options = parser.parse_args(arguments)
    wanted = [mutant for mutant in MUTANTS if mutant.fault in options.faults or not options.faults]
    if unknown := set(options.faults) - {mutant.fault for mutant in wanted}:
        parser.error(f"no mutant for {', '.join(sorted(unknown))}")
    _adopt_orphans()
    # Cleans up on its way out, as after a Ctrl-C.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    fates: Counter[Fate] = Counter()
    begun = time.monotonic()
    for mutant in wanted:
        since = time.monotonic()
        outcome = run(mutant)
        fates[outcome.fate] += 1
        seconds = time.monotonic() - since
        print(f"{mutant.fault:4}{outcome.fate.value:9}{seconds:6.1f} s  {_described(mutant)}")
        if options.verbose or outcome.fate is not Fate.KILLED:
            print(_indented(f"{mutant.test}\n{outcome.why}"))
        if options.verbose and outcome.fate is Fate.BROKEN:
            print(_indented(outcome.output))
        sys.stdout.flush()
    totals = ", ".join(f"{fates[fate]} {fate.value}" for fate in Fate)
    print(f"{len(wanted)} mutants: {totals}; {time.monotonic() - begun:.0f} s")
    return int(fates[Fate.KILLED] != len(wanted))


def _described(mutant: Mutant) -> str:
    return f"{mutant.file.removeprefix('python/podcore/')}: without {mutant.lost}"


def _indented(text: str) -> str:
    return "\n".join(f"      | {line}" for line in text.splitlines())
