"""Where things are: every path below the state directory and the run directory has its name here.

The state directory survives a reboot, the run directory need not. Ids are checked before they get
here: they are 64 hexadecimal digits of podcore's own making.
"""

import os
from dataclasses import dataclass

EXEC = "exec-"
"""How the name of the directory of an exec'ed command begins, below ``Places.attempt``."""


@dataclass(frozen=True, slots=True)
class Places:
    """The paths of an engine.

    Attributes:
        root: the state directory, ``/var/lib/podcore`` by default.
        run_root: the run directory, ``/run/podcore`` by default.
        cgroup_parent: below the root of each cgroup hierarchy, without a leading slash.
    """

    root: str
    run_root: str
    cgroup_parent: str

    @property
    def locks(self) -> str:
        """The directory of the lock files."""
        return f"{self.run_root}/locks"

    @property
    def restarts(self) -> str:
        """The file in which a restart holds a lock on the byte of each of its containers."""
        return f"{self.run_root}/restarts"

    @property
    def runtime_cache(self) -> str:
        """What was found out about this host's OCI runtimes."""
        return f"{self.run_root}/oci-runtime.json"

    def runtime_root(self, name: str) -> str:
        """The OCI runtime's own state directory, one for each runtime."""
        return f"{self.run_root}/runtime-{name}"

    def infra_root(self, program: str) -> str:
        """The root that infra containers share; ``program`` tells one catatonit from another."""
        return f"{self.root}/infra/{program}"

    @property
    def containers(self) -> str:
        """The directory with one directory for each container."""
        return f"{self.root}/containers"

    @property
    def pods(self) -> str:
        """The directory with the ledger of each pod, from which its row could be made again."""
        return f"{self.root}/pods"

    def container(self, container_id: str) -> str:
        """What belongs to a container until it is removed, the files for its /etc among it."""
        return f"{self.root}/containers/{container_id}"

    def ledger(self, container_id: str) -> str:
        """What its row could be made again from."""
        return f"{self.root}/containers/{container_id}/podcore.json"

    def bundle(self, container_id: str) -> str:
        """Its OCI bundle; conmon binds its attach socket here, so it is never shared."""
        return f"{self.root}/containers/{container_id}/bundle"

    def upper(self, container_id: str) -> str:
        """The overlay layer that takes its writes."""
        return f"{self.root}/containers/{container_id}/upper"

    def work(self, container_id: str) -> str:
        """The work directory that overlayfs wants beside it."""
        return f"{self.root}/containers/{container_id}/work"

    def merged(self, container_id: str) -> str:
        """Where its overlay is mounted."""
        return f"{self.root}/containers/{container_id}/rootfs"

    def log(self, container_id: str) -> str:
        """What it wrote, in the k8s-file format."""
        return f"{self.root}/containers/{container_id}/log"

    def persist(self, container_id: str, incarnation: int) -> str:
        """Where conmon leaves the exit file that survives a reboot."""
        return f"{self.root}/containers/{container_id}/exit.{incarnation}"

    @property
    def attempts(self) -> str:
        """The directory with one directory for each container that is created now."""
        return f"{self.run_root}/containers"

    def attempt(self, container_id: str, incarnation: int) -> str:
        """The pid files, logs and exit file of one OCI create: never used twice."""
        return f"{self.run_root}/containers/{container_id}.{incarnation}"

    def serves(self, argv: list[bytes], container_id: str) -> bool:
        """Says whether a command line is that of a monitor or a runtime at work on a container.

        It has the container's 64-digit id, and a log or pid file in the directory of an attempt. Who
        only names the container and the run directory, as another podcore does, is none of them.
        """
        files = os.fsencode(f"{self.attempts}/{container_id}.")
        return os.fsencode(container_id) in argv and any(part.startswith(files) for part in argv)

    def runtime_log(self, container_id: str, incarnation: int) -> str:
        """What the OCI runtime says about an incarnation, in the order in which it is called."""
        return f"{self.attempt(container_id, incarnation)}/runtime.log"

    def pod_run(self, pod_id: str) -> str:
        """What the containers of a pod share until the end of this boot."""
        return f"{self.run_root}/pods/{pod_id}"

    @property
    def volumes(self) -> str:
        """The directory with one directory for each named volume."""
        return f"{self.root}/volumes"

    def volume(self, name: str) -> str:
        """The directory of a named volume that is mounted into containers."""
        return f"{self.root}/volumes/{name}/_data"

    def pod_cgroup(self, pod_id: str) -> str:
        """The cgroup of a pod."""
        return f"{self.cgroup_parent}/{pod_id}"

    @property
    def monitors_cgroup(self) -> str:
        """The cgroup of all monitors, outside that of whoever calls podcore."""
        return f"{self.cgroup_parent}/monitors"
