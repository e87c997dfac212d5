"""The Rust core: graph and traversal, locks, and system calls that Python lacks.

Only the classes of ``podcore.errors`` and builtin exceptions are raised; a panic is an
``InternalError``. Everything here may be shared by threads, where nothing else is said.
"""

from collections.abc import Iterable, Mapping
from typing import final

__all__ = [
    "DependencyGraph",
    "Traversal",
    "_panic_for_test",
]

@final
class DependencyGraph:
    """What containers depend on: checked, in order, and immutable.

    Every list is deterministic: what is not ordered by dependency comes in the order of the keys
    of the mapping. The strings are the caller's own objects.

    Args:
        mapping: the id of every container, and the ids that it depends on. Duplicates collapse.
            A dict of lists, tuples or sets is read fastest; any other mapping of iterables gives
            the same answers. The interpreter lock is held while it is read.

    Raises:
        UnknownDependencyError: a container depends on what is no key.
        DependencyCycleError: containers depend on each other in a circle, or one on itself. The
            exception of the first defect is raised, unknown ones before cycles; its ``defects``
            are all: every unknown dependency, every self-dependency, and for every set of
            containers that reach each other the shortest cycle through the first of them.
        InvalidArgumentError: dependencies are a single str instead of an iterable of them, or a
            key appears twice.
        TypeError: something is not a mapping of str to iterables of str.
        RuntimeError: the mapping changed while it was read.
        OverflowError: there are more nodes or edges than 32 bits can count.
    """

    def __new__(cls, mapping: Mapping[str, Iterable[str]], /) -> DependencyGraph: ...
    def order(self) -> list[str]:
        """Returns all ids: by level, and in a level in the order of the keys."""

    def levels(self) -> list[list[str]]:
        """Returns the ids by level: the length of the longest path to them from a root."""

    @property
    def roots(self) -> list[str]:
        """The ids without dependencies."""

    @property
    def leaves(self) -> list[str]:
        """The ids on which nothing depends."""

    def dependencies(self, id: str, /) -> list[str]:
        """Returns what a container depends on directly.

        Raises:
            NoSuchContainerError: the id is no key.
        """

    def dependents(self, id: str, /) -> list[str]:
        """Returns what depends on a container directly; raises as ``dependencies`` does."""

    def ancestors(self, id: str, /) -> list[str]:
        """Returns what a container depends on, directly or not; raises as ``dependencies``."""

    def descendants(self, id: str, /) -> list[str]:
        """Returns what depends on a container, directly or not; raises as ``dependencies``."""

    def critical_path(self, weights: Mapping[str, float], /) -> list[str]:
        """Returns the path of the greatest sum of weights, dependencies first.

        With durations in seconds as weights, nothing that starts in order can be faster than it.

        Raises:
            InvalidArgumentError: a weight is missing, negative or not finite.
            TypeError: a weight is not a number.
        """

    def transitive_reduction(self) -> dict[str, list[str]]:
        """Returns the dependencies of each id without those that others imply, as for drawing."""

    def traversal(self, *, reverse: bool = False) -> Traversal:
        """Returns a new walk: dependencies first, or dependents first when it is reversed."""

    def __len__(self) -> int: ...
    def __contains__(self, id: object, /) -> bool: ...

@final
class Traversal:
    """One walk over a graph: says what is ready, is told what became of it, says what is skipped.

    Made by ``DependencyGraph.traversal``. It does nothing by itself and never waits.
    """

    def ready(self) -> list[str]:
        """Returns the ids that became ready since the last call; each is handed out once."""

    def succeed(self, id: str, /) -> None:
        """Takes note that a container did what it should.

        Raises:
            InvalidArgumentError: it was not handed out, or its result is known already.
            NoSuchContainerError: the graph has no such id.
        """

    def fail(self, id: str, /) -> list[str]:
        """Takes note that a container failed.

        Returns:
            The ids that are skipped for it: all that wait for it, directly or not, but for those
            that were skipped before.

        Raises:
            InvalidArgumentError: it was not handed out, or its result is known already.
            NoSuchContainerError: the graph has no such id.
        """

    @property
    def skipped(self) -> dict[str, str]:
        """Every skipped id with the one that failed first of those it waited for.

        In the order in which they were skipped, and then in that of the keys.
        """

    @property
    def finished(self) -> bool:
        """Whether every id is skipped or has a result."""

def _panic_for_test() -> None:
    """Panics in Rust, so that a test can see the ``InternalError`` that becomes of it."""
