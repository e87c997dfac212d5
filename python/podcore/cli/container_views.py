"""``podcore container``: the verbs that look at containers without changing them."""

from argparse import Namespace
from typing import TYPE_CHECKING, Any

from podcore.cli import filters, output
from podcore.cli.arguments import (
    Parser,
    add_list_options,
    add_log_options,
    add_references,
    duration,
)
from podcore.cli.pod_views import exists, show_objects
from podcore.cli.rows import container_columns, container_rows
from podcore.cli.selection import FAILED, UsageError, containers
from podcore.errors import NotFoundError, PodcoreError

if TYPE_CHECKING:
    from podcore.cli.context import Context
    from podcore.container import Container

_SORT = {
    "created": lambda row: row["CreatedSeconds"],
    "id": lambda row: row["Id"],
    "names": lambda row: row["Names"],
    "status": lambda row: row["State"],
    "pod": lambda row: row["PodName"],
}


def configure_list(parser: Parser) -> None:
    """Adds the arguments of ``ps``."""
    add_list_options(parser, tuple(_SORT))
    parser.add_argument("-a", "--all", action="store_true", help="also those that do not run")
    parser.add_argument("-l", "--latest", action="store_true", help="the one created last")
    parser.add_argument("-p", "--pod", metavar="POD", help="of this pod only")
    parser.add_argument("--infra", action="store_true", help="infra containers too")


def run_list(context: "Context", options: Namespace) -> int:
    """Lists containers."""
    keep = filters.parse(options.filter, filters.CONTAINER)
    quiet = options.quiet and context.format is None
    if quiet and _needs_ids_alone(options):
        ids = context.engine.container_ids(options.pod, infra=options.infra)
        output.ids(ids[-1:] if options.latest else ids, full=options.no_trunc)
        return 0
    by_state = any(item.startswith("status=") for item in options.filter)
    alive = not (options.all or options.latest or by_state)
    found = context.engine.list_containers(options.pod, infra=options.infra, alive=alive)
    rows = [row for row in container_rows(found) if keep(row)]
    if options.latest:
        rows = sorted(rows, key=_SORT["created"])[-1:]
    rows.sort(key=_SORT[options.sort])
    if quiet:
        output.ids([row["Id"] for row in rows], full=options.no_trunc)
        return 0
    columns = container_columns(full=options.no_trunc)
    output.listing(rows, columns, context.format, heading=not options.noheading)
    return 0


def _needs_ids_alone(options: Namespace) -> bool:
    """Says whether neither the choice nor the order takes more than what ``container_ids`` does."""
    every = options.all or options.latest
    return bool(every and not options.filter and options.sort == "created")


def configure_logs(parser: Parser) -> None:
    """Adds the arguments of ``logs``."""
    add_references(parser, "container", "latest")
    add_log_options(parser)


def run_logs(context: "Context", options: Namespace) -> int:
    """Shows what containers wrote, merged by time."""
    from podcore.cli import logs

    choice = logs.Choice.of(options)
    chosen = [target.find() for target in containers(context, options)]
    return logs.show(chosen, choice)


def configure_inspect(parser: Parser) -> None:
    """Adds the arguments of ``inspect``."""
    add_references(parser, "container", "latest")
    parser.add_argument("--security", action="store_true", help="what it may do, and no more")


def run_inspect(context: "Context", options: Namespace) -> int:
    """Prints an array with all that is known of each container."""
    finders = [target.find for target in containers(context, options)]
    return show_objects(
        context, finders, _security if options.security else lambda item: item.inspect()
    )


class _Security:
    """What the config.json of a container allows, as an object with ``to_dict``."""

    def __init__(self, container: "Container") -> None:
        self._container = container

    def to_dict(self) -> dict[str, Any]:
        """Returns the summary that ``podcore.bundle`` makes of it."""
        known = _pascal(self._container.security())
        return {"Id": self._container.id, "Name": self._container.name, "Security": known}


def _pascal(value: object) -> object:
    """Returns a value of JSON with its keys as podman writes them."""
    if isinstance(value, dict):
        return {
            "".join(part.capitalize() for part in key.split("_")): _pascal(item)
            for key, item in value.items()
        }
    return [_pascal(item) for item in value] if isinstance(value, list) else value


def _security(container: "Container") -> _Security:
    return _Security(container)


def configure_exists(parser: Parser) -> None:
    """Adds the arguments of ``container exists``."""
    parser.add_argument("container", metavar="CONTAINER", help="name, id or prefix")


def run_exists(context: "Context", options: Namespace) -> int:
    """Returns 0 or 1."""
    return exists(lambda: context.engine.container(options.container))


def configure_wait(parser: Parser) -> None:
    """Adds the arguments of ``wait``."""
    add_references(parser, "container", "latest", "ignore")
    parser.add_argument("--timeout", metavar="SECONDS", help="give up then")


def run_wait(context: "Context", options: Namespace) -> int:
    """Waits for each container to exit, and prints the exit codes."""
    timeout = duration(options.timeout)
    code, found = 0, []
    for target in containers(context, options):
        try:
            container = target.find()
            exit_code = container.wait(timeout=timeout)
        except NotFoundError as problem:
            if not options.ignore:
                output.failure(problem)
                code = FAILED
            continue
        except (PodcoreError, TimeoutError) as problem:
            output.failure(problem)
            code = FAILED
            continue
        found.append({"Id": container.id, "ExitCode": exit_code})
        if not context.json:
            output.line("unknown" if exit_code is None else str(exit_code))
    if context.json:
        output.json(found)
    return code


def configure_stats(parser: Parser) -> None:
    """Adds the arguments of ``stats``."""
    add_references(parser, "container", "all", "latest")
    from podcore.cli import stats

    stats.configure(parser)


def run_stats(context: "Context", options: Namespace) -> int:
    """Shows what containers use; without a name, those that run."""
    from podcore.cli import stats

    if options.all and options.references:
        raise UsageError("`--all` and names exclude each other")
    chosen: list[Container] | None = None
    if options.references or options.latest:
        chosen = [target.find() for target in containers(context, options)]

    def sources() -> list[stats.Source]:
        found = chosen
        if found is None:
            found = context.engine.containers()
            if not options.all:
                up = {line.id for line in context.engine.list_containers(alive=True)}
                found = [container for container in found if container.id in up]
        return [stats.Source(one.id, one.name, one.pod_name, one.stats) for one in found]

    return stats.show(context, options, sources)
