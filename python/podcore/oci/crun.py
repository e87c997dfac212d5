"""What is crun's own."""

import os

from podcore.kernel.sealed import SealedCopy
from podcore.oci.interface import OCIRuntime

_UNIFIED = "/sys/fs/cgroup/unified/cgroup.controllers"


class Crun(OCIRuntime):
    """crun."""

    name = "crun"

    def __init__(self, path: str, root: str) -> None:
        super().__init__(path, root)
        # By another name it may be another program (krun), which it takes from the path's end.
        self._copy = SealedCopy(path) if os.path.basename(path) == self.name else None

    @property
    def program(self) -> str:
        """A sealed copy: from its file crun executes itself twice (libcrun's ``cloned_binary.c``).

        That takes two mounts, and leaves a file in /tmp when it is killed at the wrong moment.
        """
        return self.path if self._copy is None else self._copy.path()

    @property
    def state_file(self) -> str:
        """The file that a create writes when it is through."""
        return "status"

    def unusable_here(self) -> str:
        """Says whether controllers are spread over both versions of cgroups, which crun refuses.

        It looks in the same place (libcrun's ``cgroup.c``).
        """
        try:
            fd = os.open(_UNIFIED, os.O_RDONLY | os.O_CLOEXEC)
        except OSError:
            return ""
        try:
            controllers = os.read(fd, 4096).decode("ascii", "replace").split()
        finally:
            os.close(fd)
        if not controllers:
            return ""
        named = ", ".join(f"`{name}`" for name in controllers)
        return (
            f"it refuses hosts whose cgroup v2 has controllers ({named}) beside cgroup v1\n"
            "hint: mount them as cgroup v1, or boot with `systemd.unified_cgroup_hierarchy=1`"
        )
