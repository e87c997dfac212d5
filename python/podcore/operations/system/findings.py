"""What a check has found so far, and whether mending it worked."""

from collections.abc import Callable

from podcore.errors import PodcoreError
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
                hint = str(error)
        self.found.append(Finding(kind, thing, text, repaired, "" if repaired else hint))
        return bool(repaired)
