"""What stands in for a runtime whose program is gone, or is something else by now."""

from podcore.errors import OCIRuntimeError
from podcore.oci.interface import OCIRuntime


class Unknown(OCIRuntime):
    """A program that can't be told what to do; what it has left on disk can be found and removed.

    Every verb raises ``why``. Without this, no container that it made could be removed any more.

    Attributes:
        why: what is wrong with the program.
    """

    name = "unknown"

    def __init__(self, path: str, root: str, why: OCIRuntimeError) -> None:
        super().__init__(path, root)
        self.why = why

    def arguments(self, log: str) -> list[str]:  # noqa: ARG002 - the interface has it
        """Raises ``why``: there is nobody who would understand them."""
        raise self.why

    @property
    def state_file(self) -> str:
        """The directory itself: what it holds is not known."""
        return "."

    def unusable_here(self) -> str:
        """Says what is wrong with the program."""
        return str(self.why)
