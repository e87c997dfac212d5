"""``podcore volume``: named directories that outlive containers."""

from argparse import Namespace
from typing import TYPE_CHECKING, Any

from podcore.cli import filters, human, output
from podcore.cli.arguments import TEMPLATE, Parser, Verb, pairs
from podcore.cli.output import Column
from podcore.cli.selection import FAILED, MISSING
from podcore.errors import NoSuchVolumeError, PodcoreError

if TYPE_CHECKING:
    from podcore.cli.context import Context
    from podcore.model import Volume

_COLUMNS = (
    Column("VOLUME NAME", lambda row: str(row["Name"])),
    Column("MOUNTPOINT", lambda row: str(row["Mountpoint"])),
)


def _row(volume: "Volume") -> dict[str, Any]:
    return {
        "Name": volume.name,
        "Mountpoint": volume.path,
        "CreatedAt": human.rfc3339(volume.created),
        "Labels": dict(volume.labels),
    }


def _configure_create(parser: Parser) -> None:
    parser.add_argument("volume", metavar="NAME", help="a new name")
    parser.add_argument("-l", "--label", action="append", default=[], metavar="KEY=VALUE")


def _create(context: "Context", options: Namespace) -> int:
    labels = pairs(options.label, "--label", bare=True)
    volume = context.engine.volumes.create(options.volume, labels=labels)
    if context.json:
        output.json(_row(volume))
    else:
        output.line(volume.name)
    return 0


def _configure_list(parser: Parser) -> None:
    parser.add_argument("-q", "--quiet", action="store_true", help="names only")
    parser.add_argument("-n", "--noheading", action="store_true", help="no headings")
    parser.add_argument("-f", "--filter", action="append", default=[], metavar="KEY=VALUE")


def _list(context: "Context", options: Namespace) -> int:
    keep = filters.parse(options.filter, filters.VOLUME)
    rows = [row for row in map(_row, context.engine.volumes.list()) if keep(row)]
    if options.quiet and context.format is None:
        for row in rows:
            output.line(row["Name"])
        return 0
    output.listing(rows, _COLUMNS, context.format, heading=not options.noheading)
    return 0


def _configure_names(parser: Parser) -> None:
    parser.add_argument("volumes", nargs="+", metavar="NAME")


def _inspect(context: "Context", options: Namespace) -> int:
    rows, code = [], 0
    for name in options.volumes:
        try:
            rows.append(_row(context.engine.volumes.get(name)))
        except PodcoreError as problem:
            output.failure(problem)
            code = FAILED
    output.objects(rows, context.format)
    return code


def _remove(context: "Context", options: Namespace) -> int:
    code, removed = 0, []
    for name in options.volumes:
        try:
            context.engine.volumes.remove(name)
        except PodcoreError as problem:
            output.failure(problem)
            code = max(code, MISSING if isinstance(problem, NoSuchVolumeError) else FAILED)
            continue
        removed.append({"Name": name})
        if not context.json:
            output.line(name)
    if context.json:
        output.json(removed)
    return code


def _configure_prune(parser: Parser) -> None:
    parser.add_argument("-f", "--force", action="store_true", help="do not ask")


def _prune(context: "Context", options: Namespace) -> int:
    if not options.force and not output.confirm(
        "This removes all volumes that no container uses, with what is in them."
    ):
        return 0
    names = list(context.engine.volumes.prune())
    if context.json:
        output.json([{"Name": name} for name in names])
    else:
        for name in names:
            output.line(name)
    return 0


VERBS: dict[str, Verb] = {
    "create": Verb("create a volume", _configure_create, _create),
    "ls": Verb("list volumes", _configure_list, _list, TEMPLATE),
    "list": Verb("the same as ls", _configure_list, _list, TEMPLATE),
    "inspect": Verb("show all that is known of volumes", _configure_names, _inspect, TEMPLATE),
    "rm": Verb("remove volumes", _configure_names, _remove),
    "prune": Verb("remove volumes that nobody uses", _configure_prune, _prune),
}
