"""What is runc's own."""

from podcore.oci.interface import OCIRuntime


class Runc(OCIRuntime):
    """runc."""

    name = "runc"

    @property
    def state_file(self) -> str:
        """The last file that a create writes; an interrupted one leaves a directory without it."""
        return "state.json"

    def unusable_here(self) -> str:
        """It works with every layout of cgroups that Linux distributions use."""
        return ""
