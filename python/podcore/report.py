"""The result of a batch verb: a row for every container, whatever became of it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from podcore.errors import PartialFailureError


class Outcome(StrEnum):
    """What became of a container in a batch."""

    DONE = "done"
    IGNORED = "ignored"  # the verb does not apply to the state it was in
    FAILED = "failed"
    SKIPPED = "skipped"  # not tried because another one failed


@dataclass(frozen=True, slots=True)
class ReportRow:
    """One container of a batch.

    Attributes:
        reason: a sentence; "" when it is done and there is nothing to add.
        because: of a skipped one, the id of the container that itself failed; else None.
        began, ended: monotonic seconds since the batch began; None when it was never tried.
    """

    id: str
    name: str
    outcome: Outcome
    reason: str = ""
    because: str | None = None
    began: float | None = None
    ended: float | None = None


@dataclass(frozen=True, slots=True)
class Report:
    """What a batch verb did, a row per container in the order of their creation.

    Attributes:
        verb: ``start``, ``stop`` …
        pod_id: of the pod.
        errors: the exception of each failed or skipped container, by id, in the order of rows.
        seconds: how long the batch took.
    """

    verb: str
    pod_id: str
    pod_name: str
    rows: tuple[ReportRow, ...]
    errors: Mapping[str, Exception] = field(default_factory=dict)
    seconds: float = 0.0

    @property
    def ok(self) -> bool:
        """Whether every container reached the goal or was rightly ignored."""
        return not self.errors

    def row(self, container_id: str) -> ReportRow:
        """Returns the row of a container, by its full id.

        Raises:
            KeyError: the batch had no such container.
        """
        for row in self.rows:
            if row.id == container_id:
                return row
        raise KeyError(container_id)

    def raise_for_errors(self) -> "Report":
        """Returns the report itself when all is well.

        Raises:
            PartialFailureError: some containers failed or were skipped.
        """
        if self.errors:
            message = f"{self.verb} of pod `{self.pod_name}`: {self._tally()}"
            raise PartialFailureError(message, self.errors, self)
        return self

    def _tally(self) -> str:
        counts = dict.fromkeys(Outcome, 0)
        for row in self.rows:
            counts[row.outcome] += 1
        parts = [f"{count} {outcome}" for outcome, count in counts.items() if count]
        return ", ".join(parts) or "no containers"

    def to_dict(self) -> dict[str, Any]:
        """Returns the report with podman's way of naming fields, ready for JSON."""
        return {
            "Verb": self.verb,
            "Pod": self.pod_id,
            "PodName": self.pod_name,
            "Ok": self.ok,
            "Seconds": self.seconds,
            "Rows": [
                {
                    "Id": row.id,
                    "Name": row.name,
                    "Outcome": row.outcome.value,
                    "Reason": row.reason,
                    "Because": row.because or "",
                    "Began": row.began,
                    "Ended": row.ended,
                }
                for row in self.rows
            ],
        }
