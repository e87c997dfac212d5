"""One container without an engine: conmon, a runtime, a bundle and its directories, no more."""

import itertools
import json
import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import pytest

from harness import leftovers
from harness.polling import eventually
from podcore.deadlines import Deadline
from podcore.kernel import process
from podcore.monitor.conmon import Conmon, Launch, Launched
from podcore.monitor.exits import Exit, read_exit
from podcore.oci import discovery

_numbers = itertools.count(1)


class BareContainer:
    """A container that the test itself takes through its life.

    Attributes:
        base: the directory that holds everything.
        id: the container's id.
        cgroup: its cgroup, below the root of each hierarchy.
        runtime: the adapter of its OCI runtime.
        log: the runtime's log of messages.
    """

    def __init__(self, runtime: str, rootfs: str) -> None:
        self.base = tempfile.mkdtemp(prefix="pc-", dir="/tmp")
        self.id = os.urandom(32).hex()
        self.parent = f"podcore-bare-{os.getpid()}-{next(_numbers)}"
        self.cgroup = f"{self.parent}/c"
        self.rootfs = rootfs
        self.runtime = discovery.runtime_for(
            discovery.resolve(runtime, os.environ), f"{self.base}/runtime"
        )
        self.log = f"{self.base}/runtime.log"
        for name in ("bundle", "exits", "persist", "run"):
            os.mkdir(f"{self.base}/{name}")

    # `Any`: a part of config.json.
    def configure(self, command: Sequence[str], **linux: Any) -> None:
        """Writes a bundle that runs ``command``; ``linux`` is merged into its section."""
        namespaces = [{"type": kind} for kind in ("pid", "ipc", "uts", "mount", "network")]
        config = {
            "ociVersion": "1.0.2",
            "process": {
                "args": list(command),
                "cwd": "/",
                "env": ["PATH=/bin"],
                "user": {"uid": 0, "gid": 0},
                "noNewPrivileges": True,
            },
            "root": {"path": self.rootfs, "readonly": True},
            "mounts": [
                {"destination": "/proc", "type": "proc", "source": "proc"},
                {"destination": "/dev", "type": "tmpfs", "source": "tmpfs"},
                {"destination": "/dev/pts", "type": "devpts", "source": "devpts"},
            ],
            "linux": {"namespaces": namespaces, "cgroupsPath": f"/{self.cgroup}", **linux},
        }
        with open(f"{self.base}/bundle/config.json", "w", encoding="utf-8") as file:
            json.dump(config, file)

    # `Any`: whatever `Launch` takes.
    def launch(self, **changes: Any) -> Launch:
        """Returns what a monitor is started with, pid files of a new attempt included."""
        attempt = f"{self.base}/run/{next(_numbers)}"
        os.mkdir(attempt)
        settings: dict[str, Any] = {
            "container_id": self.id,
            "name": "box",
            "bundle": f"{self.base}/bundle",
            "runtime": self.runtime.path,
            "program": self.runtime.program,
            "runtime_arguments": self.runtime.arguments(self.log),
            "pid_file": f"{attempt}/pid",
            "monitor_pid_file": f"{attempt}/monitor.pid",
            "exit_dir": f"{self.base}/exits",
            "persist_dir": f"{self.base}/persist",
            "log_path": f"{self.base}/log",
            "place": lambda _pid: None,
            "runtime_log": self.log,
            "cgroup_path": self.cgroup,
        }
        return Launch(**(settings | changes))

    def create(self, command: Sequence[str], *, timeout: float = 60, **linux: Any) -> Launched:
        """Creates the container under a monitor."""
        self.configure(command, **linux)
        return Conmon.find().launch(self.launch(), Deadline.after(timeout))

    def start(self) -> None:
        """Starts it."""
        self.runtime.start(self.id, log=self.log)

    def wait(self) -> Exit:
        """Returns how it ended, when it has."""
        return eventually(self.exit, what="an exit file")  # type: ignore[return-value] # not None

    def exit(self) -> Exit | None:
        """Returns how it ended, None while it has not."""
        return read_exit(f"{self.base}/persist", f"{self.base}/exits", self.id)

    def delete(self) -> None:
        """Makes the runtime forget it."""
        self.runtime.delete(self.id, force=True, log=self.log)

    def processes(self) -> list[str]:
        """Returns the command lines of what still runs for it."""
        return sorted(leftovers.find(self.base, self.parent).processes.values())

    def close(self) -> None:
        """Deletes the container and its directories, and checks that nothing else is left.

        Raises:
            AssertionError: something was left; it has been cleaned up.
        """
        if os.path.exists(self.runtime.state_directory(self.id)):
            subprocess.run(
                [self.runtime.path, "--root", self.runtime.root, "delete", "--force", self.id],
                check=False,
                capture_output=True,
                timeout=60,
            )
        self._remove_cgroups()
        try:
            eventually(lambda: not leftovers.find(self.base, self.parent), interval=0.05)
        except AssertionError:
            left = leftovers.find(self.base, self.parent)
            leftovers.clean_up(left, self.base, self.parent)
            raise AssertionError(f"left behind:\n{left}") from None
        finally:
            shutil.rmtree(self.base, ignore_errors=True)

    def _remove_cgroups(self) -> None:
        # The container's own is its caller's when the runtime was killed, the parent always is.
        for top in leftovers.find(self.base, self.parent).cgroups:
            for path, _, _ in os.walk(top, topdown=False):
                try:
                    os.rmdir(path)
                except OSError:
                    continue  # not empty: `close` reports it


class When(Deadline):
    """A deadline that comes when something has happened, however slow the host is."""

    happened: Callable[[], bool]

    @classmethod
    def true(cls, happened: Callable[[], bool]) -> "When":
        """Returns a deadline that has come as soon as ``happened`` says so."""
        made = cls.after(None)
        object.__setattr__(made, "happened", happened)
        return made

    @property
    def expired(self) -> bool:
        """What ``happened`` says."""
        return self.happened()

    def remaining(self) -> float:
        """A short while until the next question."""
        return 0.0 if self.expired else 0.02


@pytest.fixture
def box(runtime: str, rootfs: str) -> Iterator[BareContainer]:
    """A container of the test's own, on each OCI runtime; nothing of it may be left in the end."""
    container = BareContainer(runtime, rootfs)
    yield container
    container.close()


def kill_hard(pid: int) -> None:
    """Kills a process and waits until it is gone."""
    identity = process.identify(pid)
    assert identity is not None
    os.kill(pid, signal.SIGKILL)
    assert process.wait_gone([identity], 30) == []
