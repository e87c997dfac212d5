"""``podcore pod``: the verbs that look at pods without changing them."""

from argparse import Namespace
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from podcore.cli import filters, output
from podcore.cli.arguments import Parser, add_list_options, add_references
from podcore.cli.output import Column
from podcore.cli.rows import container_rows, pod_columns, pod_row
from podcore.cli.selection import FAILED, MISSING, each, pods
from podcore.errors import AmbiguousReferenceError, NotFoundError, PodcoreError

if TYPE_CHECKING:
    from podcore.cli.context import Context
    from podcore.pod import Pod

_SORT = {
    "created": lambda row: row["CreatedSeconds"],
    "id": lambda row: row["Id"],
    "name": lambda row: row["Name"],
    "status": lambda row: row["Status"],
    "number": lambda row: row["NumberOfContainers"],
}

_STATUS_COLUMNS = (
    Column("CONTAINER ID", lambda row: str(row["Id"])[:12]),
    Column("NAME", lambda row: str(row["Names"][0])),
    Column("STATE", lambda row: str(row["State"])),
    Column("EXIT CODE", lambda row: "" if row["ExitCode"] is None else str(row["ExitCode"])),
    Column("PID", lambda row: str(row["Pid"] or "")),
    Column("STATUS", lambda row: str(row["Status"])),
)


def configure_list(parser: Parser) -> None:
    """Adds the arguments of ``pod ps``."""
    add_list_options(parser, tuple(_SORT))
    parser.add_argument("--ns", action="store_true", help="the shared namespaces too")
    parser.add_argument("--ctr-ids", action="store_true", help="the ids of the containers")
    parser.add_argument("--ctr-names", action="store_true", help="their names")
    parser.add_argument("--ctr-status", action="store_true", help="their states")
    parser.add_argument("-l", "--latest", action="store_true", help="the one created last")


def run_list(context: "Context", options: Namespace) -> int:
    """Lists pods."""
    keep = filters.parse(options.filter, filters.POD)
    rows = [row for row in map(pod_row, context.engine.inspect_pods()) if keep(row)]
    if options.latest:
        rows = sorted(rows, key=_SORT["created"])[-1:]
    rows.sort(key=_SORT[options.sort])
    if options.quiet and context.format is None:
        output.ids([row["Id"] for row in rows], full=options.no_trunc)
        return 0
    columns = pod_columns(
        full=options.no_trunc,
        ids=options.ctr_ids,
        names=options.ctr_names,
        status=options.ctr_status,
    )
    if options.ns:
        columns.append(Column("NAMESPACES", lambda row: ",".join(row["Share"])))
    output.listing(rows, columns, context.format, heading=not options.noheading)
    return 0


def configure_inspect(parser: Parser) -> None:
    """Adds the arguments of ``pod inspect``."""
    add_references(parser, "pod", "latest")


def run_inspect(context: "Context", options: Namespace) -> int:
    """Prints an array with all that is known of each pod."""
    return show_objects(
        context, [target.find for target in pods(context, options)], lambda pod: pod.inspect()
    )


def show_objects(
    context: "Context", finders: Sequence[Callable[[], Any]], look: Callable[[Any], Any]
) -> int:
    """Prints what ``look`` finds of each object; those that fail are reported and left out.

    `Any`: a Pod or a Container and its ``inspect()``, as the caller knows.
    """
    values, code = [], 0
    for find in finders:
        try:
            values.append(look(find()).to_dict())
        except PodcoreError as problem:
            output.failure(problem)
            code = FAILED
    output.objects(values, context.format)
    return code


def exists(find: Callable[[], object]) -> int:
    """Returns 0 when ``find`` finds, 1 when there is no such thing; says nothing.

    Raises:
        AmbiguousReferenceError: several things answer to that name.
    """
    try:
        find()
    except AmbiguousReferenceError:
        raise
    except NotFoundError:
        return MISSING
    return 0


def run_status(context: "Context", options: Namespace) -> int:
    """Shows the state of each container of a pod."""
    rows = container_rows(context.engine.list_containers(options.pod))
    output.listing(rows, _STATUS_COLUMNS, context.format)
    return 0


def run_wait(context: "Context", options: Namespace) -> int:
    """Waits until all containers of each pod have exited."""

    def wait(pod: "Pod") -> dict[str, Any]:
        codes = {member.name: member.wait() for member in pod.containers()}
        return {"Id": pod.id, "ExitCodes": codes}

    return each(context, pods(context, options), wait, at_once=True)
