"""What a check has found so far, and whether mending it worked."""

from collections.abc import Callable

from podcore.errors import PartialFailureError, PodcoreError
from podcore.model import Finding


class Findings:
    """The growing list of a check.

    Attributes:
        found: in order.
        repair: whether to mend.
        hopeless: nothing else can be looked at until what was found is put right.
    """

    def __init__(self, *, repair: bool) -> None:
        self.found: list[Finding] = []
        self.repair = repair
        self.hopeless = False

    def add(
        self,
        kind: str,
        thing: str,
        text: str,
        mend: Callable[[], object] | None = None,
        hint: str = "",
    ) -> bool:
        """Notes a finding, and mends it when that is wanted.

        Args:
            kind: in one word.
            thing: what it is about.
            text: as a sentence.
            mend: puts it right; finding it right already is fine. None: podcore can't.
            hint: what the user may do, where podcore can't.

        Returns:
            Whether all is well now.
        """
        repaired: bool | None = None
        if self.repair:
            repaired = mend is not None
            try:
                if mend is not None:
                    mend()
            except (PodcoreError, OSError) as error:
                repaired = False
                hint = _reason(error)
        self.found.append(Finding(kind, thing, text, repaired, "" if repaired else hint))
        return bool(repaired)


def _reason(error: Exception) -> str:
    """Returns why something was not put right; of a batch, a line for each container."""
    if not isinstance(error, PartialFailureError):
        return str(error)
    names = {row.id: row.name for row in error.report.rows}
    return "\n".join(
        f"container `{error.report.pod_name}/{names[key]}`: {cause}"
        for key, cause in error.errors.items()
    )
