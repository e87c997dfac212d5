"""What every verb gets: the global options, and the engine when it asks for it."""

from argparse import Namespace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from podcore.engine import Engine


class Context:
    """One run of the command line.

    Attributes:
        options: the global options and those of the verb.
    """

    def __init__(self, options: Namespace) -> None:
        self.options = options
        self._engine: Engine | None = None

    @property
    def format(self) -> str | None:
        """What ``--format`` or ``--json`` asked for."""
        chosen: str | None = self.options.format
        return chosen

    @property
    def json(self) -> bool:
        """Whether a program reads the output."""
        return self.format == "json"

    @property
    def engine(self) -> "Engine":
        """The engine, opened on first use."""
        if self._engine is None:
            self._engine = open_engine(self.options)
        return self._engine

    def close(self) -> None:
        """Closes the engine; what runs goes on running."""
        if self._engine is not None:
            self._engine.close()
            self._engine = None


def open_engine(options: Namespace) -> "Engine":
    """Returns an engine for the global options; what they leave open, the environment says."""
    from podcore.engine import Engine

    return Engine(
        root=options.root,
        run_root=options.runroot,
        oci_runtime=options.runtime,
        cgroup_parent=options.cgroup_parent,
    )
