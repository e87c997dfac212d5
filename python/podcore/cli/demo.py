"""``podcore demo``: a pod of real containers, in a place of its own that is gone afterwards.

The show runs in a child process. Whatever ends it, an interrupt at any instruction included, this
process then removes the pods with an engine of its own, as any next podcore would.
"""

import os
import signal
import sys
from argparse import Namespace
from types import FrameType
from typing import TYPE_CHECKING, Any

from podcore.cli import output
from podcore.cli.arguments import Parser, Verb
from podcore.cli.progress import Progress
from podcore.cli.selection import FAILED
from podcore.engine import Engine
from podcore.errors import PartialFailureError, PodcoreError, UnsupportedError

# All at the top: the removal at the end must not depend on what can be imported by then.
from podcore.kernel import files, mounts, process
from podcore.kernel.cgroup import Hierarchies

if TYPE_CHECKING:
    from podcore.cli.context import Context
    from podcore.pod import Pod

# Name: what it depends on. `users` and `orders` are the two sides of a diamond.
_PLAN: dict[str, tuple[str, ...]] = {
    "db": (),
    "cache": (),
    "users": ("db",),
    "orders": ("db", "cache"),
    "gateway": ("users", "orders"),
    "metrics": (),
    "dashboard": ("metrics", "gateway"),
}
_BROKEN = "orders"
_SCRIPT = (
    'trap \'echo "$0: bye"; exit 0\' TERM; echo "$0: up, after: $*"; '
    "while :; do sleep 60 & wait $!; done"
)
_PROGRAMS = (b"conmon", b"runc", b"crun")
_APPLETS = ("sh", "sleep")


class _Place:
    """A directory, a parent of cgroups and a runtime that nobody else uses."""

    def __init__(self, runtime: str) -> None:
        import tempfile

        self.runtime = runtime
        self.base = tempfile.mkdtemp(prefix="podcore-demo-")
        self.cgroup_parent = f"podcore-demo-{os.getpid()}"

    @property
    def rootfs(self) -> str:
        return f"{self.base}/rootfs"

    def engine(self) -> Engine:
        return Engine(
            root=f"{self.base}/state",
            run_root=f"{self.base}/run",
            oci_runtime=self.runtime,
            cgroup_parent=self.cgroup_parent,
        )

    def clear(self) -> None:
        """Removes everything, whatever state a killed show has left it in."""
        try:
            # A show that was killed before it made its state left nothing to remove.
            if os.path.isdir(f"{self.base}/state"):
                with self.engine() as engine:
                    for pod in engine.pods():
                        pod.remove(force=True)
        finally:
            cgroup = Hierarchies.detect().cgroup(self.cgroup_parent)
            if cgroup.exists():
                cgroup.kill(10.0)
            # What a killed show had just launched, and has not got a cgroup of its own yet.
            marker = f"{self.base}/".encode()
            process.end(
                lambda argv: (
                    os.path.basename(argv[0]) in _PROGRAMS and any(marker in word for word in argv)
                ),
                10.0,
            )
            for target in mounts.below(self.base):
                mounts.unmount(target)
            files.remove_tree(self.base)
            cgroup.remove()


_ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT)


class _Guard:
    """Ends the child on the first signal that would end us; afterwards we are not disturbed."""

    def __init__(self) -> None:
        self.received = 0
        self._pidfd = -1
        self._before = {number: signal.signal(number, self._handle) for number in _ENDING}

    def _handle(self, number: int, _frame: FrameType | None) -> None:
        self.received = self.received or number
        self.end_child()

    def end_child(self) -> None:
        """Kills the child, if there is one."""
        if self._pidfd >= 0:
            try:
                signal.pidfd_send_signal(self._pidfd, signal.SIGKILL)
            except ProcessLookupError:
                return

    def wait(self, child: int) -> int:
        """Waits for the child and returns its exit code."""
        self._pidfd = os.pidfd_open(child)
        if self.received:
            self.end_child()
        _, status = os.waitpid(child, 0)
        os.close(self._pidfd)
        self._pidfd = -1
        code = os.waitstatus_to_exitcode(status)
        return code if code >= 0 else 128 - code

    def announce(self) -> None:
        """Says why the show has ended, if it was interrupted and somebody is still there."""
        if self.received:
            output.note("interrupted: removing everything")

    def restore(self) -> None:
        """Puts the handlers back that were there before."""
        for number, handler in self._before.items():
            signal.signal(number, handler)


def _configure(_parser: Parser) -> None:
    """Adds nothing."""


def _run(_context: "Context", options: Namespace) -> int:
    busybox = _find_busybox()
    runtime = _choose_runtime(options.runtime)
    guard = _Guard()
    try:
        place = _Place(runtime)
        try:
            sys.stdout.flush()
            child = os.fork()
            if child == 0:
                _show_and_exit(place, busybox)
            code = guard.wait(child)
        finally:
            guard.announce()
            place.clear()
    finally:
        guard.restore()
    if guard.received:
        return 128 + guard.received
    if code == 0:
        output.line("everything is removed")
    return code


def _find_busybox() -> str:
    from podcore import programs

    path = programs.find("busybox", os.environ.get("PATH", ""))
    if path is None:
        raise UnsupportedError(
            "the demo needs a static busybox\nhint: apt-get install busybox-static"
        )
    return path


def _choose_runtime(requested: str | None) -> str:
    from podcore import programs
    from podcore.oci import discovery

    if requested is not None or "PODCORE_RUNTIME" in os.environ:
        return discovery.resolve(requested, os.environ)
    crun = programs.find("crun", os.environ.get("PATH", ""))
    why = "it is not installed" if crun is None else discovery.usable(crun)
    if crun is not None and why is None:
        return crun
    path = discovery.resolve(None, os.environ)
    output.line(f"crun can't be used here ({why}): taking {path}")
    return path


def _show_and_exit(place: _Place, busybox: str) -> None:
    """Runs the show in the child; never returns."""
    code = FAILED
    try:
        # An interrupt ends it on the spot: what it leaves is the parent's to remove.
        for number in _ENDING:
            signal.signal(number, signal.SIG_DFL)
        _make_rootfs(place.rootfs, busybox)
        with place.engine() as engine:
            _show(engine, place)
        code = 0
    except output.ClosedOutputError:
        code = 141
    except (PodcoreError, OSError) as problem:
        output.failure(problem)
    except BaseException:  # noqa: BLE001 # a bug: its traceback must not be lost in os._exit
        import traceback

        traceback.print_exc()
    finally:
        os._exit(code)


def _make_rootfs(path: str, busybox: str) -> None:
    import shutil

    for name in ("bin", "dev", "etc", "proc", "sys", "tmp"):
        os.makedirs(f"{path}/{name}")
    shutil.copy(busybox, f"{path}/bin/busybox")
    for name in _APPLETS:
        os.symlink("busybox", f"{path}/bin/{name}")


def _show(engine: Engine, place: _Place) -> None:
    output.line(f"a pod of {len(_PLAN)} containers on {place.runtime}")
    pod = _make_pod(engine, place, "shop")
    _show_plan(pod)
    _start(pod)
    _show_status(pod)
    _show_logs(pod)
    _stop(pod)
    output.line("exit codes:")
    for container in pod.containers():
        output.line(f"  {container.name:<10} {container.exit_code}")
    pod.remove()
    output.line()
    output.line(f"the same pod, but the command of `{_BROKEN}` does not exist")
    broken = _make_pod(engine, place, "broken", broken=_BROKEN)
    try:
        _start(broken)
    except PartialFailureError as problem:
        _show_failure(problem)
    _show_status(broken)
    broken.remove(force=True)


def _make_pod(engine: Engine, place: _Place, name: str, broken: str = "") -> "Pod":
    from podcore.model import ContainerSpec

    pod = engine.create_pod(name)
    specs = [
        ContainerSpec(
            name=member,
            rootfs=place.rootfs,
            # The demo writes nothing, so that it needs no overlay and mounts nothing.
            rootfs_mode="ro",
            command=["/bin/no-such-command"]
            if member == broken
            else ["/bin/sh", "-c", _SCRIPT, member, *(needs or ("nothing",))],
            depends_on=needs,
        )
        for member, needs in _PLAN.items()
    ]
    pod.create_containers(specs)
    return pod


def _show_plan(pod: "Pod") -> None:
    from podcore.cli.graph import Shape, plan_lines

    shape = Shape(pod)
    output.line("plan, level by level:")
    for text in plan_lines(shape.levels, shape.names):
        output.line(f"  {text}")


def _start(pod: "Pod") -> None:
    output.line("start:")
    progress = Progress(tuple(_PLAN), sys.stdout)
    try:
        report = pod.start(progress=progress)
    finally:
        _check(progress)
    output.line(f"all running after {report.seconds * 1000:.0f} ms")


def _stop(pod: "Pod") -> None:
    output.line("stop, in reverse order:")
    progress = Progress(tuple(_PLAN), sys.stdout, waiting="running")
    report = pod.stop(cleanup=True, progress=progress)
    _check(progress)
    output.line(f"all stopped after {report.seconds * 1000:.0f} ms")


def _check(progress: Progress) -> None:
    if progress.broken is not None:
        raise output.ClosedOutputError from progress.broken


def _show_status(pod: "Pod") -> None:
    output.line(f"status: {pod.state.value}")
    states: dict[str, Any] = pod.status()
    for container in pod.containers():
        output.line(f"  {container.name:<10} {states[container.id].value}")


def _show_logs(pod: "Pod") -> None:
    output.line("logs:")
    for container in pod.containers():
        # A container is running before its command has written anything: wait for the first line.
        entry = next(iter(container.logs(follow=True)), None)
        text = "" if entry is None else output.escape_bytes(entry.data)
        output.line(f"  {text}")


def _show_failure(problem: PartialFailureError) -> None:
    names = {row.id: row.name for row in problem.report.rows}
    output.line("root causes:")
    for row in problem.report.rows:
        if row.outcome == "failed":
            output.line(f"  {row.name:<10} {output.escape(row.reason)}")
    output.line("skipped because of them:")
    for row in problem.report.rows:
        if row.outcome == "skipped" and row.because is not None:
            output.line(f"  {row.name:<10} because `{names[row.because]}` failed")


VERBS: dict[str, Verb] = {
    "demo": Verb("start, show and stop a pod of real containers", _configure, _run)
}
