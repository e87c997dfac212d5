"""A place of its own for the containers of one test, checked to be empty afterwards."""

from __future__ import annotations

import itertools
import os
import shutil
import subprocess
import sys
import tempfile
from typing import Any

import podcore
from harness import leftovers
from harness.polling import eventually
from podcore.testing import check_invariants

_numbers = itertools.count(1)


class Site:
    """Directories, a cgroup parent and a runtime that no other test uses.

    Attributes:
        base: the directory that holds everything; short, for a socket's path has 107 bytes at most.
        root: the state directory of engines.
        run_root: their run directory.
        cgroup_parent: the parent of their cgroups.
        runtime: the name of the OCI runtime.
        rootfs: a busybox root file system, shared by the whole session.
    """

    def __init__(self, runtime: str, rootfs: str, directory: str = "/tmp") -> None:
        self.base = tempfile.mkdtemp(prefix="pc-", dir=directory)
        self.root = f"{self.base}/s"
        self.run_root = f"{self.base}/r"
        self.cgroup_parent = f"podcore-test-{os.getpid()}-{next(_numbers)}"
        self.runtime = runtime
        self.rootfs = rootfs
        self._engines: list[podcore.Engine] = []

    # `Any`: whatever `Engine` takes, checked there.
    def engine(self, **overrides: Any) -> podcore.Engine:
        """Returns a new engine on this site; it is closed when the test is over."""
        settings: dict[str, Any] = {
            "root": self.root,
            "run_root": self.run_root,
            "cgroup_parent": self.cgroup_parent,
            "oci_runtime": self.runtime,
        }
        engine = podcore.Engine(**(settings | overrides))
        self._engines.append(engine)
        return engine

    @property
    def environ(self) -> dict[str, str]:
        """The environment that points a podcore of another process to this site."""
        return os.environ | {
            "PODCORE_ROOT": self.root,
            "PODCORE_RUNROOT": self.run_root,
            "PODCORE_CGROUP_PARENT": self.cgroup_parent,
            "PODCORE_RUNTIME": self.runtime,
        }

    def cli(
        self, *arguments: str, check: bool = True, timeout: float = 120
    ) -> subprocess.CompletedProcess[str]:
        """Runs the command line on this site and returns what it printed.

        Raises:
            AssertionError: ``check`` is set and the exit code is not 0.
        """
        argv = [os.path.join(os.path.dirname(sys.executable), "podcore"), *arguments]
        done = subprocess.run(
            argv, env=self.environ, capture_output=True, text=True, check=False, timeout=timeout
        )
        if check:
            assert done.returncode == 0, f"{argv}: exit {done.returncode}\n{done.stderr}"
        return done

    def close(self) -> None:
        """Removes all pods and the directories, and checks that nothing else is left on the host.

        Raises:
            AssertionError: something was left; it has been printed and cleaned up.
        """
        ids: set[str] = set()
        try:
            self._remove_pods(ids)
        finally:
            try:
                leftovers.expect_none(self.base, self.cgroup_parent, ids)
                self._expect_untouched_rootfs()
            finally:
                shutil.rmtree(self.base, ignore_errors=True)

    def _expect_untouched_rootfs(self) -> None:
        """Checks that no runtime has made devices in what all tests share.

        It does so for a bundle that mounts nothing at /dev; a copy of /dev/full has no end.

        Raises:
            AssertionError: it has; they have been removed.
        """
        devices = os.listdir(f"{self.rootfs}/dev") if os.path.isdir(f"{self.rootfs}/dev") else []
        for name in devices:
            path = f"{self.rootfs}/dev/{name}"
            if os.path.isdir(path) and not os.path.islink(path):
                shutil.rmtree(path)
            else:
                os.unlink(path)
        assert not devices, (
            f"a runtime made {', '.join(sorted(devices))} in the shared {self.rootfs}"
        )

    def _remove_pods(self, ids: set[str]) -> None:
        for engine in self._engines:
            engine.close()
        if not os.path.isdir(self.root):
            return
        with podcore.Engine(
            root=self.root,
            run_root=self.run_root,
            cgroup_parent=self.cgroup_parent,
            oci_runtime=self.runtime,
        ) as engine:
            for pod in engine.pods():
                ids.add(pod.id)
                ids.update(container.id for container in pod.containers())
                pod.remove(force=True)
            self._expect_nothing_broken(engine)

    def _expect_nothing_broken(self, engine: podcore.Engine) -> None:
        """Checks what must hold once everything has been removed.

        Raises:
            AssertionError: something is broken.
        """
        broken: list[str] = []

        def sound() -> bool:
            # Another process of the test may just be on its way out.
            broken[:] = check_invariants(engine)
            return not broken

        try:
            eventually(sound, interval=0.05)
        except AssertionError:
            raise AssertionError("after all was removed:\n" + "\n".join(broken)) from None
