"""What one verb did to one container."""

from dataclasses import dataclass

from podcore.report import Outcome


@dataclass(frozen=True, slots=True)
class Step:
    """The outcome of a verb that did not fail; failures are exceptions."""

    outcome: Outcome
    reason: str = ""


DONE = Step(Outcome.DONE)


def ignored(reason: str) -> Step:
    """Returns the step of a verb that does not apply to the state the container is in."""
    return Step(Outcome.IGNORED, reason)
