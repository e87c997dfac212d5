"""``cp``: files and trees into, out of and between containers."""

import os
from argparse import Namespace
from collections.abc import Iterable
from typing import TYPE_CHECKING

from podcore.cli import output
from podcore.cli.arguments import Parser
from podcore.cli.selection import UsageError

if TYPE_CHECKING:
    from podcore.cli.context import Context
    from podcore.container import Container


def configure(parser: Parser) -> None:
    """Adds the arguments of ``cp``."""
    parser.add_argument(
        "-a",
        "--archive",
        "--archive=true",
        action="store_const",
        const=True,
        default=True,
        help="copies inside belong to the container's user (default)",
    )
    parser.add_argument(
        "--no-archive",
        "--archive=false",
        action="store_const",
        const=False,
        dest="archive",
        help="they belong to whom the sources belong",
    )
    parser.add_argument("source", metavar="SOURCE", help="a path, or CONTAINER:PATH")
    parser.add_argument("target", metavar="TARGET", help="likewise; at least one of the two")


def run(context: "Context", options: Namespace) -> int:
    """Copies, and says on stderr what was left out."""
    source, target = _split(options.source), _split(options.target)
    if source is None and target is None:
        raise UsageError("SOURCE or TARGET must be CONTAINER:PATH")
    left: list[str] = []
    if source is not None and target is not None:
        left += _between(
            context.engine.container(source[0]),
            source[1],
            context.engine.container(target[0]),
            target[1],
            archive=options.archive,
        )
    elif source is not None:
        left += context.engine.container(source[0]).copy_out(source[1], options.target)
    elif target is not None:
        container = context.engine.container(target[0])
        left += container.copy_in(options.source, target[1], archive=options.archive)
    for sentence in left:
        output.note(f"Warning: {sentence}")
    return 0


def _between(
    one: "Container", source: str, other: "Container", target: str, *, archive: bool
) -> Iterable[str]:
    """Copies by way of a directory of the host that only the caller can enter."""
    import tempfile

    with tempfile.TemporaryDirectory(prefix="podcore-cp-") as directory:
        left = one.copy_out(source, directory)
        # Under its own name, unless the contents were asked for.
        name = os.path.basename(source.rstrip("/")) or "."
        path = f"{directory}/." if name == ".." else f"{directory}/{name}"
        return [*left, *other.copy_in(path, target, archive=archive)]


def _split(text: str) -> tuple[str, str] | None:
    # `./a:b` is a path of this host, `web/db:/a` is not.
    name, separator, path = text.partition(":")
    if not separator or text[0] in "/.":
        return None
    return name, path or "/"
