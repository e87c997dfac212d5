"""What the drivers share: what containers run, and whether all is well on a site afterwards."""

import contextlib

from harness.polling import eventually
from podcore import Engine
from podcore.testing import check_invariants

LIFE = ["/bin/sh", "-c", "trap 'exit 3' TERM; sleep 1000000 & wait"]
"""A command that ends at once, with exit code 3, when it is told to stop, and never by itself."""


def settled(engine: Engine) -> list[str]:
    """Returns what is wrong even after a while: a monitor that has done its work needs it to go."""

    def wrong() -> list[str]:
        # A container whose monitor was killed goes on, and the check says so.
        return [text for text in check_invariants(engine) if "without its monitor" not in text]

    with contextlib.suppress(AssertionError):
        eventually(lambda: not wrong(), timeout=20, interval=0.02)
        return []
    return wrong()
