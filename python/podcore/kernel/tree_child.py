"""A copy in a process of its own, which has other user ids than its caller.

Run as ``python -I -m podcore.kernel.tree_child ROOT SOURCE TARGET``, where ROOT is the number of a
descriptor that it has inherited. Prints what came of it as JSON: ``left`` (what was left out),
``refused`` (a sentence) or ``errno`` and ``text``.
"""

import json
import sys
from collections.abc import Sequence

from podcore.errors import InvalidArgumentError
from podcore.kernel import trees


def main(arguments: Sequence[str]) -> None:
    """Copies, and prints what came of it."""
    root, source, target = arguments
    said: dict[str, object]
    try:
        said = {"left": trees.copy_in(int(root), source, target, owner=trees.as_source)}
    except InvalidArgumentError as error:
        said = {"refused": str(error)}
    except OSError as error:
        said = {"errno": error.errno, "text": str(error)}
    sys.stdout.write(json.dumps(said))


if __name__ == "__main__":
    main(sys.argv[1:])
