"""OCI runtimes that misbehave, chosen container by container.

A container is given a fault by its annotation ``podcore.testing/fault``, or later by ``Rig.fault``.
A fault is ``KIND[=VALUE][:VERB]``, several are separated by ``;``:

=====================  =========================================================================
``hang:VERB``          never returns
``killed:VERB``        the runtime is killed by SIGKILL, before it has done anything
``killed-late:VERB``   it is killed when it has done everything, before it can say so
``rc0-no-effect:VERB`` reports success, does nothing
``rc1-with-effect:VERB`` does it, then reports failure
``garbage:VERB``       prints what is no answer, reports success, does nothing
``huge-stderr:VERB``   writes 8 MiB to stderr, fails
``invalid-utf8:VERB``  fails with a message that is no UTF-8
``slow=MS:VERB``       does it after a while
``exit-before-pid-file`` ``create`` reports success, without a process and its pid file
``die-after-create``   the container's process is killed at the end of ``create``
=====================  =========================================================================

conmon does not read a runtime's stderr before that has ended, so ``huge-stderr:create`` lasts until
the deadline of the create. Either a real runtime stands behind it (``Rig.wrapper``) or a fake one (``Rig.fake``), whose
containers are a process that sleeps, in a cgroup but not isolated: quick, and without a rootfs.
"""

import os
import shlex
import sys

from podcore.kernel.files import make_directory, remove_tree, write_atomic
from podcore.oci import discovery

ANNOTATION = "podcore.testing/fault"
"""The annotation that gives a container its fault from its first ``create`` on."""

EXIT = "podcore.testing/exit"
"""The annotation that makes a container of the fake runtime exit with a code when started."""

_SCRIPT = """#!{python} -I
import sys
from podcore.testing import runtime
sys.exit(runtime.main({faults!r}, {real!r}))
"""


class Rig:
    """A directory with such runtimes; give their paths to ``Engine(oci_runtime=…)``.

    Args:
        directory: missing or empty, on a file system from which programs may be run.
    """

    def __init__(self, directory: str | os.PathLike[str]) -> None:
        self.directory = os.path.abspath(os.fspath(directory))
        make_directory(self.directory)
        make_directory(self._faults)

    @property
    def _faults(self) -> str:
        return f"{self.directory}/faults"

    def wrapper(self, runtime: str = "runc") -> str:
        """Returns the path of a runtime that does what a real one does, but for the faults.

        Raises:
            OCIRuntimeNotFoundError: there is no such real one.
        """
        real = discovery.resolve(runtime, os.environ)
        return self._program("wrapped", os.path.basename(real), real)

    def fake(self, name: str = "runc") -> str:
        """Returns the path of a fake runtime that leaves files as ``runc`` or ``crun`` does."""
        return self._program("fake", name, "")

    def fault(self, container_id: str, fault: str) -> None:
        """Gives a container a fault from now on, in place of any that it had."""
        write_atomic(f"{self._faults}/{container_id}", fault.encode())

    def heal(self, container_id: str) -> None:
        """Takes a container's faults away, those of its annotation included."""
        write_atomic(f"{self._faults}/{container_id}", b"")

    def forget(self) -> None:
        """Forgets all faults that were set or read from annotations."""
        remove_tree(self._faults)
        make_directory(self._faults)

    def _program(self, kind: str, name: str, real: str) -> str:
        if shlex.quote(sys.executable) != sys.executable:
            raise ValueError(f"`{sys.executable}` can't stand in the first line of a script")
        make_directory(f"{self.directory}/{kind}")
        path = f"{self.directory}/{kind}/{name}"
        text = _SCRIPT.format(python=sys.executable, faults=self._faults, real=real)
        write_atomic(path, text.encode(), 0o755)
        return path
