"""What is crun's own."""

import os

from podcore.oci.interface import OCIRuntime

_UNIFIED = "/sys/fs/cgroup/unified/cgroup.controllers"


class Crun(OCIRuntime):
    """crun."""

    name = "crun"

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
