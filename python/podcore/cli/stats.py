"""``stats``: what pods and containers use, once or again and again."""

import sys
import time
from argparse import Namespace
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from podcore.cli import human, output
from podcore.cli.arguments import Parser
from podcore.cli.output import Column
from podcore.errors import NotFoundError

if TYPE_CHECKING:
    from podcore.cli.context import Context
    from podcore.model import Usage


class Source(NamedTuple):
    """Something whose usage is shown."""

    id: str
    name: str
    pod: str
    read: "Callable[[], Usage]"


_COLUMNS = (
    Column("ID", lambda row: str(row["Id"])[:12]),
    Column(
        "NAME", lambda row: f"{row['PodName']}/{row['Name']}" if row["PodName"] else row["Name"]
    ),
    Column("CPU %", lambda row: _percent(row["CPUPercent"])),
    Column("CPU TIME", lambda row: _seconds(row["CPUSeconds"])),
    Column("MEM USAGE / LIMIT", lambda row: _share(row["MemUsage"], row["MemLimit"])),
    Column("PIDS", lambda row: "--" if row["PIDs"] is None else str(row["PIDs"])),
    Column(
        "BLOCK IO",
        lambda row: f"{human.size(row['BlockInput'])} / {human.size(row['BlockOutput'])}",
    ),
)


def configure(parser: Parser) -> None:
    """Adds the flags of ``stats``."""
    parser.add_argument("--no-stream", action="store_true", help="once only")
    parser.add_argument(
        "--interval", type=float, default=2.0, metavar="SECONDS", help="between two"
    )
    parser.add_argument("-n", "--noheading", action="store_true", help="no headings")


def show(context: "Context", options: Namespace, sources: Callable[[], Sequence[Source]]) -> int:
    """Shows usage until it is interrupted, or once.

    Args:
        context: of this run.
        options: the flags of ``configure``.
        sources: asked before each round, so that new objects appear and removed ones go.
    """
    from podcore.errors import InvalidArgumentError

    if not options.interval > 0:
        raise InvalidArgumentError(f"`--interval {options.interval:g}`: must be positive")
    before = _sample(sources())
    while True:
        # The share of a CPU is that of a short span: the first one is waited for.
        time.sleep(0.2 if options.no_stream else options.interval)
        now = _sample(sources())
        rows = [_row(source, usage, before.get(key)) for key, (source, usage) in now.items()]
        if not options.no_stream and context.format is None and output.is_terminal(sys.stdout):
            sys.stdout.write("\x1b[H\x1b[2J")
        output.listing(rows, _COLUMNS, context.format, heading=not options.noheading)
        if options.no_stream:
            return 0
        before = now


_Sample = dict[str, "tuple[Source, Usage]"]


def _sample(sources: Sequence[Source]) -> _Sample:
    found = {}
    for source in sources:
        try:
            found[source.id] = (source, source.read())
        except NotFoundError:
            continue  # removed since it was listed
    return found


def _row(source: Source, usage: "Usage", before: "tuple[Source, Usage] | None") -> dict[str, Any]:
    percent = None
    if before is not None:
        earlier = before[1]
        span = usage.time - earlier.time
        if usage.cpu_seconds is not None and earlier.cpu_seconds is not None and span > 0:
            percent = round(max(0.0, usage.cpu_seconds - earlier.cpu_seconds) / span * 100, 2)
    return {
        "Id": source.id,
        "Name": source.name,
        "PodName": source.pod,
        "CPUPercent": percent,
        "CPUSeconds": usage.cpu_seconds,
        "MemUsage": usage.memory,
        "MemLimit": usage.memory_limit,
        "PIDs": usage.pids,
        "PIDsLimit": usage.pids_limit,
        "BlockInput": usage.read_bytes,
        "BlockOutput": usage.write_bytes,
        "Pressure": dict(usage.pressure),
    }


def _percent(value: float | None) -> str:
    return "--" if value is None else f"{value:.2f}%"


def _seconds(value: float | None) -> str:
    return "--" if value is None else f"{value:.3f}s"


def _share(used: int | None, limit: int | None) -> str:
    return f"{human.size(used)} / {human.size(limit)}"
