"""``podcore bundle``: what an OCI bundle that a user brings lacks of podcore's own hardening."""

from argparse import Namespace
from typing import TYPE_CHECKING, Any

from podcore.cli import output
from podcore.cli.arguments import TEMPLATE, Parser, Verb
from podcore.cli.output import Column

if TYPE_CHECKING:
    from podcore.cli.context import Context

_COLUMNS = (
    Column("SEVERITY", lambda row: str(row["Severity"])),
    Column("PATH", lambda row: str(row["Path"])),
    Column("WHAT", lambda row: str(row["Text"])),
)


def _configure_check(parser: Parser) -> None:
    parser.add_argument("directory", metavar="DIR", help="with a config.json in it")


def _check(context: "Context", options: Namespace) -> int:
    from podcore import bundle

    deltas = bundle.deltas(bundle.load(f"{options.directory}/config.json"))
    rows: list[dict[str, Any]] = [
        {"Severity": str(delta.severity), "Path": delta.path, "Text": delta.text}
        for delta in deltas
    ]
    if rows or context.format is not None:
        output.listing(rows, _COLUMNS, context.format)
    return 1 if rows else 0


VERBS: dict[str, Verb] = {
    "check": Verb("say what it lacks of the default profile", _configure_check, _check, TEMPLATE),
}
