"""podman as a peer: the same pod, on the same runtime, without network."""

import os
import shutil
import subprocess
import time
from collections.abc import Sequence

POD = "bench"
# podman raises limits above those of the caller, which takes CAP_SYS_RESOURCE; these do not.
_CONFIGURATION = """\
[containers]
default_ulimits = ["nofile=1024:1024", "nproc=8192:8192"]
"""


def installed() -> bool:
    """Returns whether podman can be run here."""
    return shutil.which("podman") is not None


class Podman:
    """A pod of podman's, in directories of its own.

    Args:
        directory: of its own.
        runtime: the name of the OCI runtime.
    """

    def __init__(self, directory: str, runtime: str) -> None:
        path = shutil.which(runtime)
        assert path is not None, f"{runtime} is not installed"
        os.makedirs(directory)
        configuration = f"{directory}/containers.conf"
        with open(configuration, "w", encoding="ascii") as file:
            file.write(_CONFIGURATION)
        self._environ = {**os.environ, "CONTAINERS_CONF": configuration}
        self._argv = ["podman", "--root", f"{directory}/root", "--runroot", f"{directory}/run"]
        self._argv += ["--tmpdir", f"{directory}/tmp", "--cgroup-manager", "cgroupfs"]
        self._argv += ["--events-backend", "none", "--runtime", path]

    def create(self, rootfs: str, command: Sequence[str], count: int) -> None:
        """Makes the pod, with its infra container, and its containers."""
        self._run("pod", "create", "--name", POD, "--network", "none")
        for number in range(count):
            # ":O" is podman's overlay on a root file system that others use too.
            options = ("--pod", POD, "--name", f"c{number}", "--rootfs", f"{rootfs}:O")
            self._run("create", *options, *command)

    def time(self, verb: str, *options: str) -> float:
        """Runs a verb on the pod; returns the seconds that it took."""
        before = time.perf_counter()
        self._run("pod", verb, *options, POD)
        return time.perf_counter() - before

    def running(self) -> int:
        """Returns how many containers run, the infra container apart."""
        listed = self._run("ps", "--filter", "status=running", "--format", "{{.Names}}")
        return sum(not name.endswith("-infra") for name in listed.split())

    def remove(self) -> None:
        """Removes the pod and everything that podman keeps."""
        self._run("pod", "rm", "--force", "--time", "0", POD)
        self._run("system", "reset", "--force")

    def _run(self, *arguments: str) -> str:
        done = subprocess.run(
            [*self._argv, *arguments],
            env=self._environ,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, f"podman {' '.join(arguments)}: {done.stderr}"
        return done.stdout
