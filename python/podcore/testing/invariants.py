"""What must hold after any fault, once the next command has been run: I1 to I20.

Here are those that are seen at rest; ``podcore.testing.watch`` sees the others too.
"""

from typing import TYPE_CHECKING

from podcore.operations.system.invariants import breaches

if TYPE_CHECKING:
    from podcore.engine import Engine


def check_invariants(engine: "Engine") -> list[str]:
    """Returns what is broken, as sentences that begin with the invariant's number.

    The engine must be at rest: nobody, in this process or another, may be inside of a verb.
    ``podcore system check --invariants`` does the same.

    Args:
        engine: open; only its directories, its cgroups and its processes are looked at.
    """
    return [str(breach) for breach in breaches(engine.host)]
