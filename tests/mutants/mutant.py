"""What a mutant is."""

from dataclasses import dataclass


class MisplacedError(Exception):
    """What a mutant replaces is not exactly once in its file."""


@dataclass(frozen=True, slots=True)
class Mutant:
    """A change that takes away what defends against a fault, and a test that then fails.

    Attributes:
        fault: the row of docs/reliability.md, such as ``F16``.
        file: the source file, below the checkout.
        old: what is replaced; exactly once in the file.
        new: what takes its place.
        test: the node id of the test, below ``tests/``; it may name one parameter.
        lost: what the change takes away, a phrase.
    """

    fault: str
    file: str
    old: str
    new: str
    test: str
    lost: str

    @property
    def number(self) -> int:
        """The number of the fault."""
        return int(self.fault.removeprefix("F"))

    @property
    def is_rust(self) -> bool:
        """Whether the extension has to be built for it."""
        return self.file.startswith("rust/")

    def applied(self, text: str) -> str:
        """Returns ``text``, which is the file's, with the change.

        Raises:
            MisplacedError: ``old`` is not exactly once in it.
        """
        if (times := text.count(self.old)) != 1:
            message = f"{self.fault}: `{self.file}` has this {times} times, not once:\n{self.old}"
            raise MisplacedError(message)
        return text.replace(self.old, self.new)
