"""Gathers what becomes of each container of a batch."""

import time
from collections.abc import Callable, Mapping, Sequence

from podcore.errors import DependencyFailedError
from podcore.lifecycle.nesting import inside
from podcore.lifecycle.step import Step
from podcore.names import short
from podcore.records import ContainerRecord, PodRecord
from podcore.report import Outcome, Report, ReportRow

Progress = Callable[[str, str, str], None]
"""Told of a container's id, its name and the phase it enters; called from worker threads.

It may call other verbs, but those that change who is in the pod raise ``LockOrderError``.
"""


class Batch:
    """The growing report of one verb; the caller keeps threads apart."""

    def __init__(
        self,
        verb: str,
        pod: PodRecord,
        members: Sequence[ContainerRecord],
        progress: Progress | None = None,
    ) -> None:
        self.verb = verb
        self._pod = pod
        self._members = tuple(members)
        self._names = {member.id: member.name for member in members}
        self._progress = progress
        self._rows: dict[str, ReportRow] = {}
        self._errors: dict[str, Exception] = {}
        self._began: dict[str, float] = {}
        self._start = time.monotonic()

    def begin(self, container_id: str, phase: str) -> None:
        """Notes that work on a container has begun."""
        self._began.setdefault(container_id, time.monotonic() - self._start)
        self._tell(container_id, phase)

    def done(self, container_id: str, step: Step, phase: str) -> None:
        """Notes the outcome of a container's verb."""
        self._row(container_id, step.outcome, step.reason)
        self._tell(container_id, phase if step.outcome is Outcome.DONE else step.outcome.value)

    def failed(self, container_id: str, error: Exception) -> None:
        """Notes that a container did not reach the goal."""
        self._errors[container_id] = error
        self._row(container_id, Outcome.FAILED, str(error).partition("\n")[0])
        self._tell(container_id, "failed")

    def skipped(self, container_id: str, because: str) -> None:
        """Notes that a container was not tried, because another one failed."""
        name = self._names[container_id]
        cause = self._names.get(because, short(because))
        message = f"container `{name}` ({short(container_id)}) was skipped because `{cause}` failed"
        self._errors[container_id] = DependencyFailedError(message, because)
        self._row(container_id, Outcome.SKIPPED, f"`{cause}` failed", because)
        self._tell(container_id, "skipped")

    def skip(self, causes: Mapping[str, str]) -> None:
        """Notes what was skipped, by id and cause, as far as nothing is known of it yet."""
        for skipped, because in causes.items():
            if self.outcome(skipped) is None:
                self.skipped(skipped, because)

    def outcome(self, container_id: str) -> Outcome | None:
        """Returns what is known of a container so far."""
        row = self._rows.get(container_id)
        return None if row is None else row.outcome

    def report(self) -> Report:
        """Returns the report, rows and errors in order of the containers' creation."""
        order = [member.id for member in self._members if member.id in self._rows]
        return Report(
            verb=self.verb,
            pod_id=self._pod.id,
            pod_name=self._pod.name,
            rows=tuple(self._rows[key] for key in order),
            errors={key: self._errors[key] for key in order if key in self._errors},
            seconds=time.monotonic() - self._start,
        )

    def _row(
        self, container_id: str, outcome: Outcome, reason: str, because: str | None = None
    ) -> None:
        began = self._began.get(container_id)
        ended = None if began is None else time.monotonic() - self._start
        self._rows[container_id] = ReportRow(
            container_id, self._names[container_id], outcome, reason, because, began, ended
        )

    def _tell(self, container_id: str, phase: str) -> None:
        if self._progress is not None:
            with inside(self._pod, exclusive=False):
                self._progress(container_id, self._names[container_id], phase)
